# Sourced by tests/run.sh, bench/setup.sh and examples/demo.sh: sees which of the tools they
# name are missing, says so, and installs them with the system's package
# manager. A machine that has everything is left alone.
# shellcheck shell=sh

# One line a tool: name | probe | apt | dnf | pacman | brew. A dash: comes with
# another line, or is not to be had there.
setup_table='
cmake|have cmake|cmake|cmake|cmake|cmake
ninja|have ninja|ninja-build|ninja-build|ninja|ninja
cc|have cc|gcc libc6-dev|gcc|gcc|-
cxx|have c++ g++|g++|gcc-c++|gcc|gcc
pkgconfig|have pkg-config|pkg-config|pkgconf-pkg-config|pkgconf|pkgconf
libuv|module libuv|libuv1-dev|libuv-devel|libuv|libuv
cmocka|module cmocka|libcmocka-dev|libcmocka-devel|cmocka|cmocka
sanitizers|links cc -fsanitize=address,undefined|-|libasan libubsan|-|-
tsan|links cc -fsanitize=thread|-|libtsan|-|-
clang|have clang|clang|clang|clang|llvm
libfuzzer|links clang -fsanitize=fuzzer-no-link,address,undefined|libclang-rt-dev|compiler-rt|compiler-rt|-
clangformat|have clang-format|clang-format|clang-tools-extra|clang|clang-format
clangtidy|have clang-tidy|clang-tidy|clang-tools-extra|clang|llvm
shellcheck|have shellcheck|shellcheck|ShellCheck|shellcheck|shellcheck
binutils|have nm readelf|binutils|binutils|binutils|binutils
mingw|have x86_64-w64-mingw32-gcc|gcc-mingw-w64-x86-64|mingw64-gcc|mingw-w64-gcc|mingw-w64
doxygen|have doxygen|doxygen|doxygen|doxygen|doxygen
spin|have spin|spin|-|-|spin
gcovr|have gcovr|gcovr|gcovr|gcovr|gcovr
valgrind|have valgrind|valgrind|valgrind|valgrind|-
wrk|have wrk|wrk|wrk|wrk|wrk
make|have make|make|make|make|make
git|have git|git|git|git|git
curl|have curl|curl ca-certificates|curl|curl|curl
xz|have xz|xz-utils|xz|xz|xz
pythonlibs|module openssl zlib libffi liblzma sqlite3 readline ncursesw uuid|libssl-dev zlib1g-dev libffi-dev liblzma-dev libsqlite3-dev libreadline-dev libncurses-dev uuid-dev|openssl-devel zlib-devel libffi-devel xz-devel sqlite-devel readline-devel ncurses-devel libuuid-devel|openssl zlib libffi xz sqlite readline ncurses util-linux-libs|openssl zlib libffi xz sqlite readline ncurses
bzip2|header bzlib.h|libbz2-dev|bzip2-devel|bzip2|bzip2
gdbm|header gdbm.h ndbm.h|libgdbm-dev libgdbm-compat-dev|gdbm-devel|gdbm|gdbm
apr|module apr-1|libapr1-dev|apr-devel|apr|apr
talloc|module talloc|libtalloc-dev|libtalloc-devel|talloc|talloc
glib|module glib-2.0|libglib2.0-dev|glib2-devel|glib2|glib
ck|module ck|libck-dev|ck-devel|-|-
nsync|links cc -lnsync|libnsync-dev|-|-|-
mimalloc|links cc -lmimalloc|libmimalloc-dev|mimalloc-devel|mimalloc|mimalloc
jemalloc|links cc -ljemalloc|libjemalloc-dev|jemalloc-devel|jemalloc|jemalloc
nginx|daemon nginx|nginx-light|nginx|nginx|nginx
'

# Probes.
have() {
    for command in "$@"; do
        command -v "$command" >/dev/null 2>&1 || return 1
    done
}

# Not everybody has the administrator's folders in PATH.
daemon() {
    (PATH=$PATH:/usr/sbin:/usr/local/sbin && have "$@")
}

module() {
    have pkg-config && pkg-config --exists "$@"
}

header() {
    for header in "$@"; do
        have cc && echo "#include <$header>" | cc -E - >/dev/null 2>&1 ||
            return 1
    done
}

links() {
    have "$1" && echo 'int main(void) { return 0; }' |
        "$1" "$2" -x c - -o /dev/null >/dev/null 2>&1
}

# The column of one tool's line.
setup_column() {
    printf '%s' "$setup_table" | awk -F'|' -v tool="$1" -v column="$2" \
        '$1 == tool { print $column }'
}

setup_missing() {
    for tool in "$@"; do
        probe=$(setup_column "$tool" 2)
        $probe || printf '%s ' "$tool"
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# The package manager's column, and how it installs.
setup_manager() {
    if have apt-get; then echo 3
    elif have dnf; then echo 4
    elif have pacman; then echo 5
    elif have brew; then echo 6
    fi
}

setup_install() {
    case $(setup_manager) in
    3) as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
        --no-install-recommends "$@" ;;
    4) as_root dnf install -y "$@" ;;
    5) as_root pacman -S --noconfirm --needed "$@" ;;
    6) brew install "$@" ;;
    esac
}

# Install the packages at once, or, where one of them does not exist, each
# alone: one that is missing must not keep out the others.
setup_packages() {
    [ "$(setup_manager)" = 3 ] && as_root apt-get update -q
    setup_install "$@" && return
    for package in "$@"; do
        setup_install "$package" || echo "set-up: no package $package"
    done
}

# setup TOOL...: have these tools, or say which are missing and fail.
setup() {
    missing=$(setup_missing "$@")
    [ "$missing" ] || return 0
    echo "set-up: missing: $missing"
    packages=
    for tool in $missing; do
        names=$(setup_column "$tool" "$(setup_manager)")
        [ "$names" = - ] || packages="$packages $names"
    done
    if [ "$packages" ]; then
        echo "set-up: installing:$packages"
        # shellcheck disable=SC2086 # a list
        setup_packages $packages
    fi
    missing=$(setup_missing "$@")
    [ "$missing" ] || return 0
    echo "set-up: still missing: $missing"
    return 1
}
