#!/bin/sh
# No file of ours, in C or Python, is longer than 600 lines, no function in C
# longer than 60.
. "$(dirname "$0")/../support/check.sh"
cat >"$tmp/size.awk" <<'AWK'
function complain(line, what) { printf "%s:%d: %s\n", FILENAME, line, what; bad = 1 }
FNR == 1 { open = 0; in_c = FILENAME !~ /\.py$/ }
FNR == 601 { complain(FNR, "more than 600 lines") }
!in_c { next }
# clang-format puts a function's braces, and only those, at the line's start.
/^{/ { open = FNR }
/^}/ {
    if (open && FNR - open - 1 > 60)
        complain(open, "function of " FNR - open - 1 " lines")
    open = 0
}
END { exit bad }
AWK
# shellcheck disable=SC2046 # file names of this tree have no blanks
awk -f "$tmp/size.awk" $(c_files include src tests examples bench) \
    $(python_files src tests examples bench) || status=1
exit $status
