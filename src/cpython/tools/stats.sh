#!/bin/sh
# How large the patch set is, and whether it is below its ceiling: existing
# files of CPython touched, changed lines, and changed lines of the largest
# hunk. New files do not count as existing; their lines do. The hunks of
# configure are not ours to choose: autoconf makes them from configure.ac. The
# ceilings are above those first set (60 files, 1,500 lines): guards and own state
# of contexts touch many modules, each by a line or two.
. "$(dirname "$0")/common.sh"

# shellcheck disable=SC2016 # awk's own variables
{
    echo /dev/null
    series | sed "s|^|$patches/|"
} | tr '\n' '\0' | xargs -0 awk -v max_files=144 -v max_lines=1800 \
    -v max_hunk=25 '
function row(name, files, hunks, added, removed, largest) {
    printf "%-44s %5d %6d %6d %8d %8d\n", name, files, hunks, added, removed,
        largest
}
function end_hunk() {
    if (changed > largest) largest = changed
    if (changed > max_hunk && where !~ / b\/configure /) { print "over " max_hunk ": " where; bad = 1 }
    changed = 0
}
function end_patch() {
    end_hunk()
    if (patch == "") return
    row(patch, files, hunks, added, removed, largest)
    all_hunks += hunks; all_added += added; all_removed += removed
    if (largest > all_largest) all_largest = largest
    files = hunks = added = removed = largest = 0
}
function check(what, count, max) {
    if (count <= max) return
    printf "over the ceiling: %d %s, of %d\n", count, what, max
    bad = 1
}
BEGIN {
    printf "%-44s %5s %6s %6s %8s %8s\n", "patch", "files", "hunks", "added",
        "removed", "largest"
}
FNR == 1 { end_patch(); patch = FILENAME; sub(/.*\//, "", patch); left = 0 }
# A hunk says how many lines of each side follow, which tells "--- a/x" of a
# file from a removed "-- a/x".
left > 0 {
    side = substr($0, 1, 1)
    if (side == "\\") next
    if (side == "+") { added++; changed++; left-- }
    else if (side == "-") { removed++; changed++; left-- }
    else left -= 2
    next
}
/^--- / { existing = $2 != "/dev/null" }
/^\+\+\+ / {
    file = $2; files += existing
    if (existing && !(file in seen)) { seen[file]; all_files++ }
}
/^@@ / {
    end_hunk(); hunks++; where = patch ": " file " " $2
    split($2, old, ","); split($3, new, ",")
    left = ($2 ~ /,/ ? old[2] : 1) + ($3 ~ /,/ ? new[2] : 1)
}
END {
    end_patch()
    row("all", all_files, all_hunks, all_added, all_removed, all_largest)
    check("existing files", all_files, max_files)
    check("changed lines", all_added + all_removed, max_lines)
    exit bad
}'
