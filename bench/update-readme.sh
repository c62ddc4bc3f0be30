#!/bin/sh
# Measure, and put the tables between the markers of RESULTS.md.
#     sh bench/update-readme.sh <path of pxbench> [options of pxbench]
set -eu
bench=$1
shift
results=$(dirname "$0")/RESULTS.md
tables=$(mktemp)
trap 'rm -f "$tables"' EXIT
"$bench" --markdown "$@" >"$tables"
awk -v tables="$tables" '
    /^<!-- end of results -->/ { inside = 0 }
    !inside { print }
    /^<!-- results -->/ {
        inside = 1
        print ""
        while ((getline line < tables) > 0) print line
        print ""
    }
' "$results" >"$results.new"
mv "$results.new" "$results"
