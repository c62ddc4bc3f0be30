#!/bin/sh
# Make FOLDER CPython's source with the series on it, one commit a patch, and
# links to our own sources (see ../files):
#
#   sh src/cpython/tools/apply.sh [--stock] FOLDER
#
# Work there with git as usual, then export.sh makes patch files of the commits.
# A folder that has been applied to before is brought up to date when the series
# has changed; files that do not change keep their times. Work that is in no
# patch file is never dropped: then the script refuses. With --stock the series
# is left out.
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/series.sh"

stock=
if [ "${1:-}" = --stock ]; then
    stock=yes
    shift
fi
[ $# = 1 ] || die 'usage: apply.sh [--stock] FOLDER'
folder=$1
links=$folder/.git/px-links

# The released source; whole or not there.
make_folder() {
    [ -z "$(ls -A "$folder" 2>/dev/null)" ] || die "$folder is not ours"
    rm -rf "$folder" "$folder.new"
    git clone -q --no-checkout "$base" "$folder.new"
    git -C "$folder.new" remote remove origin
    git -C "$folder.new" checkout -q -b series base
    git -C "$folder.new" update-ref refs/px/applied HEAD
    mv "$folder.new" "$folder"
}

# Put the folder at $head, unless it was last applied from the same series: then
# what was done to it since stays. Refuse to drop what is in no patch.
update_folder() {
    applied=$(git -C "$folder" rev-parse refs/px/applied)
    [ "$head" != "$applied" ] || return 0
    [ -z "$(git -C "$folder" status --porcelain)" ] ||
        die "$folder has changes that are not committed"
    now=$(git -C "$folder" rev-parse HEAD)
    [ "$now" = "$applied" ] || git -C "$folder" diff --quiet "$now" "$head" ||
        die "$folder has commits that are in no patch: see export.sh"
    git -C "$folder" reset -q --hard "$head"
    git -C "$folder" update-ref refs/px/applied "$head"
}

# "path target" of every file of ours.
wanted_links() {
    [ "$stock" ] && return
    grep -v -e '^#' -e '^ *$' "$cpython/files" | while read -r source where; do
        for file in "$cpython"/$source; do
            [ -f "$file" ] || die "files: no $source"
            case $where in
            */) echo "$where$(basename "$file") $file" ;;
            *) echo "$where $file" ;;
            esac
        done
    done
}

# git must see neither our links nor what Python and autoconf leave behind.
hide_links() {
    {
        printf '%s\n' '__pycache__/' 'autom4te.cache/' '*~'
        sed 's|^|/|; s| .*||' "$links"
    } >"$folder/.git/info/exclude"
}

drop_links() {
    [ -f "$links" ] || return 0
    while read -r path target; do
        rm -f "$folder/$path"
    done <"$links"
}

make_links() {
    wanted_links >"$tmp/links"
    cmp -s "$tmp/links" "$links" && return
    drop_links
    cp "$tmp/links" "$links"
    hide_links
    while read -r path target; do
        [ ! -e "$folder/$path" ] || die "files: CPython has a $path"
        mkdir -p "$(dirname "$folder/$path")"
        ln -s "$target" "$folder/$path"
    done <"$links"
}

plain_git
temporary
need_base
if git -C "$folder" rev-parse -q --verify refs/px/applied >/dev/null 2>&1; then
    git -C "$folder" fetch -q "$base" '+refs/tags/base:refs/tags/base'
else
    make_folder
fi
if [ "$stock" ]; then
    head=$(git -C "$folder" rev-parse 'base^{commit}')
else
    commit_series "$folder"
fi
update_folder
make_links
