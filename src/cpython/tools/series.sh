# Sourced by apply.sh, export.sh and verify.sh: the series as patch files, and
# the series as commits.
#
#     tarball --> base.git, tag base          (once)
#     patch files --commit_series--> commits on top of base
#     commits     --export_series--> patch files
#
# Commits are made with an index of their own and no working files, so that
# checking one out afterwards touches only the files that really differ, and
# make recompiles no more than it has to.
#
# A patch file is "Subject: ...", an empty line, the reason why, "---", and a
# diff without anything that may differ from one machine to the next. A commit
# remembers its file's name in the line "Patch-File: ...".
# shellcheck shell=sh disable=SC2154 # common.sh sets tmp, patches and so on

# The tarball as one commit of a bare repository: sets $base.
need_base() {
    version=$(base_value version)
    sha256=$(base_value sha256)
    base=$work/base-$(echo "$sha256" | cut -c 1-12).git
    [ -d "$base" ] && return
    tarball=$(sh "$tools/fetch.sh")
    mkdir "$tmp/base"
    tar -xf "$tarball" -C "$tmp/base" --strip-components=1
    git init -q --bare "$tmp/base.git"
    (
        GIT_DIR=$tmp/base.git GIT_WORK_TREE=$tmp/base
        export GIT_DIR GIT_WORK_TREE
        git add -A -f
        git commit -q -m "Python $version"
        git tag base
    )
    rm -rf "$tmp/base"
    mv "$tmp/base.git" "$base"
}

# The message of a patch file.
patch_message() {
    awk 'NR == 1 && !sub(/^Subject: /, "") { exit 1 }
         /^---$/ || /^diff --git / { exit }
         { print }' "$1"
}

# commit_series REPOSITORY: sets $head to the last commit.
commit_series() {
    head=$(git -C "$1" rev-parse 'base^{commit}')
    GIT_INDEX_FILE=$tmp/index
    export GIT_INDEX_FILE
    git -C "$1" read-tree "$head"
    for patch in $(series); do
        [ -f "$patches/$patch" ] || die "the series names $patch: no such file"
        {
            patch_message "$patches/$patch" || die "$patch: no Subject: line"
            printf '\nPatch-File: %s\n' "$patch"
        } >"$tmp/message"
        git -C "$1" apply --cached --whitespace=nowarn "$patches/$patch" ||
            die "$patch does not apply"
        head=$(git -C "$1" commit-tree -p "$head" -F "$tmp/message" \
            "$(git -C "$1" write-tree)")
    done
    unset GIT_INDEX_FILE
}

# The file name of a commit: the one it came from, or made of its subject.
patch_name() {
    name=$(git -C "$1" log -1 --format=%B "$2" | sed -n 's/^Patch-File: //p')
    [ "$name" ] || name=$(git -C "$1" log -1 --format=%s "$2" |
        tr '[:upper:]' '[:lower:]' | tr -cs 'a-z0-9' '-' | cut -c 1-50 |
        sed 's/^-//; s/-$//').patch
    echo "$name"
}

# The message of a commit as a patch file has it, without empty lines at its
# end.
commit_message() {
    git -C "$1" log -1 --format='Subject: %s%n%n%b' "$2" |
        sed '/^Patch-File: /d' |
        awk 'NF { for (; empty; empty--) print ""; print; next }
             { empty++ }'
}

# No hashes: that of a file changes with every patch before this one.
commit_diff() {
    git -C "$1" diff-tree -p --no-color --no-ext-diff --no-textconv \
        --no-renames --unified=3 --diff-algorithm=myers --src-prefix=a/ \
        --dst-prefix=b/ "$2^" "$2" | sed '/^index [0-9a-f]*\.\./d'
}

# export_series REPOSITORY COMMIT FOLDER: the patch files from base to COMMIT.
export_series() {
    git -C "$1" merge-base --is-ancestor base "$2" ||
        die "$1 does not start at $patches/BASE"
    [ -z "$(git -C "$1" rev-list --merges "base..$2")" ] ||
        die "$1 has merges: make it one line of commits"
    sed '/^#/!d' "$patches/series" >"$3/series"
    for commit in $(git -C "$1" rev-list --reverse "base..$2"); do
        name=$(patch_name "$1" "$commit")
        [ ! -e "$3/$name" ] || die "two commits would be $name"
        {
            commit_message "$1" "$commit"
            printf '\n%s\n' ---
            commit_diff "$1" "$commit"
        } >"$3/$name"
        echo "$name" >>"$3/series"
    done
}
