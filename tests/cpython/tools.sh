#!/bin/sh
# The tools of the CPython patch set, on a patch set and a "CPython" of a few
# lines, so that no network and no build is needed. Each case starts from the
# same two patches, in folders of its own. Arguments choose cases.
# shellcheck disable=SC2317 # the cases are found by their names
. "$(dirname "$0")/../support/check.sh"
need git
need xz
tools=$PWD/src/cpython/tools

# A source of two files of 40 lines, as a tarball.
make_tarball() {
    mkdir -p "$tmp/Python-9.9.9/Objects"
    for file in one two; do
        awk -v file=$file 'BEGIN { for (i = 1; i <= 40; i++) print i, file }' \
            >"$tmp/Python-9.9.9/Objects/$file.c"
    done
    tar -C "$tmp" -cJf "$tmp/tarball" Python-9.9.9
}

# patch_of NAME FILE LINE: a patch file that changes one line of FILE.
patch_of() {
    {
        printf 'Subject: Change %s\n\nA reason\nof two lines.\n\n---\n' "$1"
        printf 'diff --git a/Objects/%s b/Objects/%s\n' "$2" "$2"
        printf -- '--- a/Objects/%s\n+++ b/Objects/%s\n' "$2" "$2"
        diff -U3 "$tmp/Python-9.9.9/Objects/$2" - <<HERE | sed 1,2d
$(sed "$3s/.*/changed by $1/" "$tmp/Python-9.9.9/Objects/$2")
HERE
    } >"$patches/$1.patch"
    echo "$1.patch" >>"$patches/series"
}

# The patch set that every case starts from.
begin() {
    place=$tmp/$1
    PX_CPYTHON_DIR=$place/cpython PX_CPYTHON_WORK=$place/work
    PX_CPYTHON_TARBALL=$tmp/tarball
    export PX_CPYTHON_DIR PX_CPYTHON_WORK PX_CPYTHON_TARBALL
    patches=$PX_CPYTHON_DIR/patches/3.13
    mkdir -p "$patches" "$PX_CPYTHON_DIR/hooks"
    printf 'version 9.9.9\nsha256 %s\n' \
        "$(sha256sum <"$tmp/tarball" | cut -d ' ' -f 1)" >"$patches/BASE"
    echo '# In order.' >"$patches/series"
    patch_of first one.c 10
    patch_of second two.c 20
    echo 'int hook;' >"$PX_CPYTHON_DIR/hooks/hook.c"
    printf '# Ours.\nhooks/*.c Objects/\n' >"$PX_CPYTHON_DIR/files"
}

tool() {
    name=$1
    shift
    sh "$tools/$name.sh" "$@" >"$tmp/out" 2>&1
}

works() {
    tool "$@" || wrong "$case: $* failed: $(cat "$tmp/out")"
}

# refuses TEXT TOOL...: fails, and says why.
refuses() {
    text=$1
    shift
    if tool "$@"; then wrong "$case: $* did not fail"; fi
    grep -q -e "$text" "$tmp/out" ||
        wrong "$case: $* did not say \"$text\" but: $(cat "$tmp/out")"
}

same() {
    [ "$1" = "$2" ] || wrong "$case: \"$1\" is not \"$2\""
}

line() {
    sed -n "$2p" "$place/tree/Objects/$1"
}

commit() {
    git -C "$place/tree" -c user.name=me -c user.email=me@localhost \
        commit -q -a "$@"
}

case_apply_makes_a_commit_a_patch() {
    works apply "$place/tree"
    same "$(line one.c 10)" 'changed by first'
    same "$(line two.c 20)" 'changed by second'
    same "$(git -C "$place/tree" log --format=%s base..)" \
        "$(printf 'Change second\nChange first')"
    same "$(cat "$place/tree/Objects/hook.c")" 'int hook;'
    same "$(git -C "$place/tree" status --porcelain)" ''
}

case_apply_stock_leaves_the_series_out() {
    works apply --stock "$place/tree"
    same "$(git -C "$place/tree" rev-list --count HEAD)" 1
    [ ! -e "$place/tree/Objects/hook.c" ] || wrong "$case: it has our sources"
}

case_commits_are_the_same_everywhere() {
    works apply "$place/tree"
    works apply "$place/other"
    same "$(git -C "$place/tree" rev-parse HEAD)" \
        "$(git -C "$place/other" rev-parse HEAD)"
}

case_export_writes_the_same_bytes() {
    cp -r "$patches" "$place/before"
    works verify
    works apply "$place/tree"
    works export "$place/tree"
    diff -r "$place/before" "$patches" || wrong "$case: other bytes"
}

case_export_writes_new_commits() {
    works apply "$place/tree"
    sed -i '30s/.*/third/' "$place/tree/Objects/one.c"
    commit -m 'Let "three" be: new!' -m 'Since two are few.'
    works export "$place/tree"
    same "$(tail -n 1 "$patches/series")" let-three-be-new.patch
    same "$(sed -n 3p "$patches/let-three-be-new.patch")" 'Since two are few.'
    works verify
    works apply "$place/tree"
    same "$(line one.c 30)" third
}

case_export_removes_dropped_commits() {
    works apply "$place/tree"
    git -C "$place/tree" reset -q --hard HEAD^
    works export "$place/tree"
    [ ! -e "$patches/second.patch" ] || wrong "$case: the file is still there"
    same "$(tail -n 1 "$patches/series")" first.patch
    works verify
}

case_export_refuses_what_is_not_committed() {
    works apply "$place/tree"
    echo more >>"$place/tree/Objects/one.c"
    refuses 'not committed' export "$place/tree"
}

case_apply_touches_only_what_changes() {
    works apply "$place/tree"
    touch -d 2001-01-01 "$place/tree/Objects/one.c" "$place/tree/Objects/two.c"
    sed -i 's/^+changed by second/+changed again/' "$patches/second.patch"
    works apply "$place/tree"
    same "$(line two.c 20)" 'changed again'
    same "$(find "$place/tree/Objects" -name '*.c' -type f -newermt 2002-01-01)" \
        "$place/tree/Objects/two.c"
}

case_apply_keeps_work_that_is_in_no_patch() {
    works apply "$place/tree"
    sed -i '30s/.*/mine/' "$place/tree/Objects/one.c"
    works apply "$place/tree"
    same "$(line one.c 30)" mine
    sed -i 's/^+changed by second/+changed again/' "$patches/second.patch"
    refuses 'not committed' apply "$place/tree"
    commit -m mine
    refuses 'in no patch' apply "$place/tree"
    same "$(line one.c 30)" mine
}

# What an interrupted run leaves must not stop the next one.
case_apply_starts_again() {
    mkdir -p "$place/tree" "$place/tree.new/.git"
    works apply "$place/tree"
    same "$(line one.c 10)" 'changed by first'
}

case_apply_refuses_a_folder_of_others() {
    mkdir "$place/tree"
    echo precious >"$place/tree/file"
    refuses 'not ours' apply "$place/tree"
    same "$(cat "$place/tree/file")" precious
}

case_links_follow_the_list() {
    works apply "$place/tree"
    echo 'int more;' >"$PX_CPYTHON_DIR/hooks/more.c"
    works apply "$place/tree"
    same "$(cat "$place/tree/Objects/more.c")" 'int more;'
    rm "$PX_CPYTHON_DIR/hooks/hook.c"
    works apply "$place/tree"
    [ ! -L "$place/tree/Objects/hook.c" ] || wrong "$case: a stale link"
    same "$(git -C "$place/tree" status --porcelain)" ''
    cp "$PX_CPYTHON_DIR/hooks/more.c" "$PX_CPYTHON_DIR/hooks/one.c"
    refuses 'CPython has a Objects/one.c' apply "$place/tree"
    echo 'hooks/nothing.c Objects/' >>"$PX_CPYTHON_DIR/files"
    refuses 'no hooks/nothing.c' apply "$place/tree"
}

case_a_wrong_tarball_is_refused() {
    echo other >"$place/wrong"
    PX_CPYTHON_TARBALL=$place/wrong
    refuses 'has not the SHA-256' fetch
    [ -f "$place/wrong" ] || wrong "$case: it is not ours to remove"
    [ ! -e "$PX_CPYTHON_WORK/Python-9.9.9.tar.xz" ] ||
        wrong "$case: it was kept"
}

case_a_damaged_cache_is_replaced() {
    works fetch
    echo damage >>"$PX_CPYTHON_WORK/Python-9.9.9.tar.xz"
    works fetch
    cmp "$tmp/tarball" "$PX_CPYTHON_WORK/Python-9.9.9.tar.xz" ||
        wrong "$case: still damaged"
}

case_fuzz_is_refused() {
    sed -i 's/^ 8 one$/ eight one/' "$patches/first.patch"
    refuses 'first.patch does not apply' apply "$place/tree"
    refuses 'first.patch does not apply' verify
}

# Applied, so that a series can be carried to another base; but then exported.
case_an_offset_is_not_verified() {
    sed -i 's/^@@ -7,7 +7,7/@@ -6,7 +6,7/' "$patches/first.patch"
    refuses 'not what export.sh would write' verify
    works apply "$place/tree"
    works export "$place/tree"
    works verify
}

case_a_patch_without_a_subject_is_refused() {
    sed -i 1d "$patches/first.patch"
    refuses 'no Subject' verify
}

case_a_file_outside_of_the_series_is_refused() {
    cp "$patches/first.patch" "$patches/stray.patch"
    refuses stray verify
    rm "$patches/stray.patch"
    echo stray.patch >>"$patches/series"
    refuses 'no such file' verify
}

# One added and one removed line a patch.
case_stats_count() {
    works stats
    same "$(awk '$1 == "all" { print $2, $3, $4, $5, $6 }' "$tmp/out")" \
        '2 2 2 2 2'
}

# add_lines N: a third patch with a hunk of N added lines.
add_lines() {
    works apply "$place/tree"
    seq "$1" >>"$place/tree/Objects/one.c"
    commit -m 'Add lines'
    works export "$place/tree"
}

case_stats_allow_the_largest_hunk() {
    add_lines 25
    works stats
}

case_stats_refuse_a_larger_hunk() {
    add_lines 26
    refuses 'over 25: add-lines.patch: b/Objects/one.c' stats
}

# So many changed lines are allowed in hunks of two; 145 files are not.
case_stats_refuse_too_many_files() {
    for number in $(seq 143); do
        printf -- '--- a/%d\n+++ b/%d\n@@ -1 +1 @@\n-a\n+b\n' "$number" "$number"
    done >"$patches/many.patch"
    echo many.patch >>"$patches/series"
    refuses '145 existing files, of 144' stats
}

case_build_refuses_what_makes_no_sense() {
    refuses 'exclude each other' build --stock --free-threaded
    refuses 'from a bare machine' build --nonsense
}

make_tarball
count=0
# shellcheck disable=SC2013,SC2048 # names have no blanks
for case in ${*:-$(sed -n 's/^case_\(.*\)() {$/\1/p' "$0")}; do
    begin "$case"
    "case_$case"
    count=$((count + 1))
done
echo "$count cases"
exit $status
