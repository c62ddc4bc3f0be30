#!/bin/sh
# Whatever the library calls outside of itself can be made to fail by a test
# (tests/fault/wrapped.txt) or is known not to fail (infallible.txt).
. "$(dirname "$0")/../support/check.sh"
need nm
archive=$build/src/libpxrt.a
nm "$archive" | awk '
    $1 == "U" && $2 !~ /^px_/ { used[$2] }
    NF == 3 { defined[$3] }
    END { for (name in used) if (!(name in defined)) print name }' |
    sort >"$tmp/used"
grep '^[a-z]' tests/fault/wrapped.txt | sort >"$tmp/wrapped"
grep -v -e '^#' -e '^$' tests/fault/infallible.txt >"$tmp/reasons"
while read -r pattern reason; do
    echo "$pattern" >>"$tmp/patterns"
    [ "$reason" ] || wrong "infallible.txt: $pattern has no reason"
done <"$tmp/reasons"

known_infallible() {
    while read -r pattern; do
        # shellcheck disable=SC2254 # it is a pattern
        case $1 in $pattern) return 0 ;; esac
    done <"$tmp/patterns"
    return 1
}

comm -23 "$tmp/used" "$tmp/wrapped" >"$tmp/rest"
while read -r symbol; do
    known_infallible "$symbol" ||
        wrong "$symbol: neither in wrapped.txt nor in infallible.txt"
done <"$tmp/rest"
[ -s "$tmp/used" ] || wrong "no undefined symbol in $archive?"
echo "$(wc -l <"$tmp/used") used, $(comm -12 "$tmp/used" "$tmp/wrapped" |
    wc -l) of them wrapped"
exit $status
