#!/bin/sh
# Search the model of the rwlock exhaustively, then once more with each
# deliberate mistake, which the search must find. Needs spin and a C compiler.
# Prints a table; exit status 0 only if every row came out as expected.
#
#   tests/model/run.sh [path to rwlock.pml]
set -u
model=${1:-$(cd "$(dirname "$0")" && pwd)/rwlock.pml}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0

# row NAME READERS WRITERS ROUNDS MUTATION clean|error
row() {
    spin -DREADERS="$2" -DWRITERS="$3" -DROUNDS="$4" -DMUTATE="$5" -a "$model" \
        >spin.out 2>&1 &&
        "${CC:-cc}" -O2 -w -DSAFETY -DCOLLAPSE -o pan pan.c &&
        ./pan -m100000 >pan.out 2>&1
    found=$(sed -n 's/^pan:[0-9]*: \(assertion violated\|invalid end state\).*/\1/p' \
        pan.out 2>/dev/null | head -n 1)
    states=$(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' pan.out)
    result=error
    if grep -q 'errors: 0' pan.out && ! grep -q 'Search not completed' pan.out; then
        result=clean
    fi
    verdict=ok
    if [ "$result" != "$6" ] || { [ "$6" = error ] && [ -z "$found" ]; }; then
        verdict=WRONG
        failed=1
    fi
    printf '%-28s %sR+%sW x%s  %9s states  %-20s %s\n' \
        "$1" "$2" "$3" "$4" "${states:-?}" "${found:-no error}" "$verdict"
    rm -f pan pan.* rwlock.pml.trail
}

row "as it is" 2 2 1 0 clean
row "as it is" 1 3 1 0 clean
row "as it is" 1 1 4 0 clean
row "as it is" 2 1 2 0 clean
row "U4 trusts the wake" 2 2 1 1 error
row "WL3 drops other writers" 1 3 1 2 error
row "WL1 overwrites waiting bits" 2 2 1 3 error
row "U2 does not bump notify" 2 2 1 4 error
row "WL5 does not look again" 2 2 1 5 error
row "RL2 does not announce" 2 2 1 6 error
row "RL1 passes waiting writers" 2 2 1 7 error
row "U6 wakes one reader only" 2 2 1 8 error
row "reached: readers share" 2 2 1 20 error
row "reached: both kinds parked" 2 2 1 21 error
row "reached: 2 writers parked" 1 3 1 22 error
exit $failed
