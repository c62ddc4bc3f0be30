# Sourced by every script of tests/check. The working directory becomes the
# root of the tree; $build is the build folder, $tmp a folder that is removed
# at the end. A check prints what is wrong, with file and line, and fails.
# shellcheck shell=sh disable=SC2034 # the scripts use what is set here
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${PXRT_BUILD_DIR:-build/dev}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
status=0

# Say what is wrong; the check goes on, so that one run shows everything.
wrong() {
    printf '%s\n' "$*"
    status=1
}

# A check without its tool is skipped, except where all tools must be there.
need() {
    command -v "$1" >/dev/null && return
    echo "$1 is not installed"
    [ "${PXRT_REQUIRE_TOOLS:-}" ] && exit 1
    exit 77
}

# Our C files below the given folders.
c_files() {
    find "$@" -name '*.[ch]' 2>/dev/null | sort
}

# Our Python files below the given folders.
python_files() {
    find "$@" -name '*.py' 2>/dev/null | sort
}
