#!/bin/sh
# clang-tidy (see .clang-tidy) finds nothing in the library's sources, the
# tests' support and the examples.
. "$(dirname "$0")/../support/check.sh"
need clang-tidy
[ -f "$build/compile_commands.json" ] || {
    echo "no compile_commands.json in $build"
    exit 1
}
c_files src tests/support examples | grep '\.c$' |
    while read -r file; do
        # Only what this build compiles: not the other system's platform files.
        grep -q "/$file\"" "$build/compile_commands.json" && echo "$file"
    done >"$tmp/files"
xargs -P 2 -n 4 clang-tidy --quiet -p "$build" <"$tmp/files" >"$tmp/out" \
    2>"$tmp/err" || status=1
cat "$tmp/out"
grep -v -e 'warnings generated' -e 'Suppressed' "$tmp/err"
exit $status
