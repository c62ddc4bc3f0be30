#!/bin/sh
# Verify one Promela model: sh tests/support/spin.sh tests/model/x.pml
#
# Comments in the model say how:
#   spin-config: -DREADERS=2 -DWRITERS=1   one exhaustive run each; at least one
#   spin-mutant: NO_RECHECK [-D...]        this mistake must be found
#   spin-cc: -DMA=90                       flags for compiling pan
#   spin-pan: -a -f -m200000               flags for running it
# A mutant is the model with -DNO_RECHECK in which a test of ours would be
# worth nothing if it passed.
set -u
model=$1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
model=$(cd "$(dirname "$model")" && pwd)/$(basename "$model")
for tool in spin cc; do
    command -v $tool >/dev/null && continue
    echo "$tool is not installed"
    [ "${PXRT_REQUIRE_TOOLS:-}" ] && exit 1
    exit 77
done

# The rest of each line that has this key.
wishes() {
    sed -n "s|.*spin-$1: *||p" "$model" | sed 's| *\*/.*||'
}

# Explore all states of the model with the given definitions.
explore() {
    # shellcheck disable=SC2046,SC2086 # lists of flags
    (cd "$tmp" && rm -f pan* && spin -a $1 "$model" &&
        cc -O2 -w $(wishes cc) -o pan pan.c && ./pan $(wishes pan)) \
        >"$tmp/out" 2>&1 || return 2
    grep -q -e 'max search depth too small' -e 'out of memory' \
        -e 'pan: reached' "$tmp/out" && return 2
    grep -q 'errors: 0' "$tmp/out"
}

summary() {
    awk '/errors:/ { e = $NF } /states, stored/ { n = $1 }
         END { printf "%s states, %s errors\n", n, e }' "$tmp/out"
}

status=0
verdict() {
    printf '%-8s %-40s %s\n' "$1" "$2" "$(summary)"
    [ "$1" != WRONG ] && return
    cat "$tmp/out"
    status=1
}

wishes config >"$tmp/configs"
[ -s "$tmp/configs" ] || {
    echo "$model: no spin-config line"
    exit 1
}
while read -r flags; do
    if explore "$flags"; then verdict ok "$flags"; else verdict WRONG "$flags"; fi
done <"$tmp/configs"

wishes mutant >"$tmp/mutants"
first=$(sed -n 1p "$tmp/configs")
while read -r mutant flags; do
    explore "-D$mutant ${flags:-$first}"
    if [ $? = 1 ]; then verdict caught "$mutant"; else verdict WRONG "$mutant"; fi
done <"$tmp/mutants"
exit $status
