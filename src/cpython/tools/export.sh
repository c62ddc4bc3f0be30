#!/bin/sh
# Make patch files of the commits of FOLDER, which apply.sh made:
#
#   sh src/cpython/tools/export.sh FOLDER
#
# A commit that is new becomes a file named after its subject, or after a line
# "Patch-File: name.patch" in its message. Fix-ups belong into the commit they
# fix (git rebase -i base). Files whose commit is gone are removed.
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/series.sh"

[ $# = 1 ] || die 'usage: export.sh FOLDER'
plain_git
git -C "$1" rev-parse -q --verify refs/px/applied >/dev/null ||
    die "$1: not made by apply.sh"
[ -z "$(git -C "$1" status --porcelain)" ] ||
    die "$1 has changes that are not committed"
temporary
mkdir "$tmp/patches"
export_series "$1" HEAD "$tmp/patches"
for patch in $(series); do
    [ -f "$tmp/patches/$patch" ] || rm -f "$patches/$patch"
done
for file in "$tmp"/patches/*; do
    name=$(basename "$file")
    cmp -s "$file" "$patches/$name" && continue
    cp "$file" "$patches/$name"
    say "wrote $name"
done
