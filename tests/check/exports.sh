#!/bin/sh
# What the headers declare with PX_API, what src/pxrt.map lists, and what the
# shared library exports are the same set, under one version node. With --write
# the list is made from the headers.
. "$(dirname "$0")/../support/check.sh"
map=src/pxrt.map
node=PXRT_0.1

# Names declared with PX_API, as the preprocessor leaves them on this system.
# A function's name is the first px_ word before a parenthesis, a variable's the
# last px_ word.
declared() {
    for header in include/pxrt/*.h; do
        echo "#include <${header#include/}>"
    done | ${CC:-cc} -E -P -Iinclude - | awk '
    { text = text $0 " " }
    END {
        n = split(text, statements, /[;{}]/)
        for (i = 1; i <= n; i++) {
            s = statements[i]
            if (s !~ /visibility\("default"\)/) continue
            gsub(/__attribute__ *\(\(([^()]|\([^()]*\))*\)\)/, "", s)
            if (match(s, /px_[a-z0-9_]+ *\(/)) {
                s = substr(s, RSTART, RLENGTH - 1)
            } else {
                sub(/[[=].*/, "", s)
                sub(/ *$/, "", s)
                sub(/.*[^a-z0-9_]/, "", s)
            }
            sub(/ *$/, "", s)
            print s
        }
    }' | sort -u
}

listed() {
    sed -n 's/^ *\(px_[a-z0-9_]*\);.*/\1/p' $map | sort
}

# Exported symbols, each with its version; the node itself is absolute (A).
exported() {
    nm -D --defined-only --with-symbol-versions "$build/src/libpxrt.so" |
        awk '$2 != "A" { print $3 }' | sort
}

same() {
    diff "$1" "$2" >"$tmp/diff" && return
    wrong "$3 (<) and $4 (>) differ:"
    grep '^[<>]' "$tmp/diff"
}

declared >"$tmp/declared"
if [ "${1:-}" = --write ]; then
    {
        printf '%s {\nglobal:\n' $node
        sed 's/.*/    &;/' "$tmp/declared"
        printf 'local:\n    *;\n};\n'
    } >$map
    exit
fi
listed >"$tmp/listed"
[ -s "$tmp/declared" ] || wrong "no declaration found"
same "$tmp/declared" "$tmp/listed" "PX_API in the headers" $map
[ $status = 0 ] || echo "(sh tests/check/exports.sh --write makes the list anew)"

need nm
need readelf
exported >"$tmp/exported"
sed "s/\$/@@$node/" "$tmp/listed" >"$tmp/versioned"
same "$tmp/versioned" "$tmp/exported" $map libpxrt.so
readelf -d "$build/src/libpxrt.so" >"$tmp/dynamic"
grep -q 'FLAGS_1.*NODELETE' "$tmp/dynamic" || wrong "not linked -z nodelete"
grep -q 'SONAME.*libpxrt.so.[0-9]' "$tmp/dynamic" || wrong "no version in SONAME"
echo "$(wc -l <"$tmp/declared") symbols"
exit $status
