# Sourced by every script of this folder: where things are, how to speak, and
# git made independent of its user's settings.
# shellcheck shell=sh disable=SC2034 # the scripts use what is set here
set -eu
tools=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$tools/../../.." && pwd)

# Both can be given from outside: the tests of these tools bring a patch set of
# their own.
cpython=$(cd "${PX_CPYTHON_DIR:-$root/src/cpython}" && pwd)
work=${PX_CPYTHON_WORK:-$root/build/cpython-src}
mkdir -p "$work"
work=$(cd "$work" && pwd)
patches=$cpython/patches/3.13

say() {
    printf '%s\n' "$*" >&2
}

die() {
    say "$(basename "$0"): $*"
    exit 1
}

# A folder that is gone when the script ends, however it ends.
temporary() {
    tmp=$(mktemp -d "$work/tmp.XXXXXX")
    trap 'rm -rf "$tmp"' EXIT
    trap 'exit 1' HUP INT TERM
}

# One value of BASE.
base_value() {
    value=$(awk -v key="$1" '$1 == key { print $2 }' "$patches/BASE")
    [ "$value" ] || die "$patches/BASE names no $1"
    echo "$value"
}

# The file names of the series.
series() {
    grep -v -e '^#' -e '^ *$' "$patches/series" || :
}

has_sha256() {
    [ "$(sha256sum <"$1" | cut -d ' ' -f 1)" = "$2" ]
}

# What git writes must depend on what it is given alone: neither on settings of
# the user or the machine, nor on a repository around us.
plain_git() {
    # shellcheck disable=SC2046 # a list of names
    unset $(git rev-parse --local-env-vars)
    GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
    GIT_AUTHOR_NAME=libpxrt GIT_AUTHOR_EMAIL=libpxrt@localhost
    GIT_AUTHOR_DATE='2000-01-01T00:00:00Z'
    GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL
    GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE
    export GIT_CONFIG_GLOBAL GIT_CONFIG_SYSTEM GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL
    export GIT_AUTHOR_DATE GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL
    export GIT_COMMITTER_DATE
}
