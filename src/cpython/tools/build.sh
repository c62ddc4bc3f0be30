#!/bin/sh
# CPython with contexts, from a bare machine:
#
#   sh src/cpython/tools/build.sh [OPTION...]
#
#   --stock           CPython as it was released, to compare with
#   --free-threaded   the same with --disable-gil
#   --hooks-off       our source, configured without --with-parallel
#   --debug           with the interpreter's (and libpxrt's) internal checks
#   --pgo             profile-guided optimisation (takes long)
#   --asan            address sanitizer
#   --prefix FOLDER   install there, not into build/cpython[-FLAVOUR]
#   --no-install      stop at build/cpython-src/build[-FLAVOUR]/objects/python,
#                     which runs where it is
#   --jobs N          compile with N processes, not with one a processor
#
# What is missing is installed, which needs root; the source is fetched (see
# fetch.sh). Each flavour has folders of its own:
#
#   build/cpython-src/source[-stock]     source, shared by what differs in flags
#   build/cpython-src/build[-FLAVOUR]    px-log, objects/, objects/python
#   build/cpython[-FLAVOUR]              installed
#
# A second run does only what a change asks for. To work on the patches, edit
# and commit in build/cpython-src/source, run this, then export.sh.
#
# Stock and patched flavours get the same compiler, flags and options, so that
# only the patches differ. pip is left out: nothing here needs it.
. "$(dirname "$0")/common.sh"
. "$root/tests/support/setup.sh"

kind='' given='' prefix=''
jobs=$(getconf _NPROCESSORS_ONLN)

usage() {
    sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p;}' "$0" >&2
    exit 2
}

# The order of the words must not depend on that of the options.
words_of() {
    for word in stock free-threaded hooks-off debug pgo asan; do
        case " $* " in *" $word "*) printf -- '-%s' "$word" ;; esac
    done
}

choose_kind() {
    [ -z "$kind" ] || die "--$kind and --$1 exclude each other"
    kind=$1
}

while [ $# -gt 0 ]; do
    given="$given ${1#--}"
    case $1 in
    --stock | --free-threaded | --hooks-off) choose_kind "${1#--}" ;;
    --debug | --pgo | --asan | --no-install) ;;
    --prefix | --jobs)
        [ $# -gt 1 ] || usage
        [ "$1" = --jobs ] && jobs=$2 || prefix=$2
        shift
        ;;
    *) usage ;;
    esac
    shift
done
words=$(words_of "$given")
name=${words#-}
build=$work/build$words
prefix=${prefix:-$root/build/cpython$words}
case $prefix in /*) ;; *) prefix=$PWD/$prefix ;; esac
log=$build/px-log
python=$build/objects/python
began=$(date +%s)

# One line a step; what it prints goes to the log, and to the screen when it
# fails.
step() {
    printf '[%4d s] %s\n' $(($(date +%s) - began)) "$1" >&2
    shift
    "$@" >>"$log" 2>&1 </dev/null && return
    tail -n 30 "$log" >&2
    grep -E ' error: |\*\*\*' "$log" | tail -n 10 >&2 || :
    die "failed; all of it is in $log"
}

tools_needed() {
    echo cc make git curl xz pkgconfig pythonlibs bzip2 gdbm
    [ "$kind" ] || echo cmake ninja libuv
}

# The source of this flavour; work in it that is in no patch yet is built too.
update_source() {
    case $kind in
    stock | free-threaded)
        source=$work/source-stock
        step "source, as released" sh "$tools/apply.sh" --stock "$source"
        ;;
    *)
        source=$work/source
        step "source, with $(series | wc -l) patches" \
            sh "$tools/apply.sh" "$source"
        ;;
    esac
}

# libpxrt goes into the interpreter itself: one owner table, one block of
# thread-local storage. Sets PX_CFLAGS and PX_LIBS for configure.
build_pxrt() {
    step 'libpxrt' pxrt_library
    archive=$build/pxrt/src/libpxrt.a
    mark_state
    PX_CFLAGS="-DPXRT_STATIC -I$root/include"
    PX_LIBS="$archive $(pkg-config --libs libuv) -lpthread"
}

# Sections of its own for what the library writes, since contexts may: see
# pxfault.c.
mark_state() {
    marked=$build/px-marked
    [ -f "$marked" ] && [ -z "$(find "$archive" -newer "$marked")" ] && return
    objcopy --rename-section .data=pxrt_data --rename-section .bss=pxrt_bss \
        "$archive" || die 'objcopy failed'
    touch "$marked"
}

pxrt_library() {
    type=Release debug=OFF sanitize=
    case $words in *-debug*) type=RelWithDebInfo debug=ON ;; esac
    case $words in *-asan*) sanitize=address ;; esac
    cmake -S "$root" -B "$build/pxrt" -G Ninja -DCMAKE_BUILD_TYPE=$type \
        -DPXRT_DEBUG=$debug -DPXRT_SANITIZE=$sanitize -DPXRT_BUILD_TESTS=OFF \
        -DPXRT_BUILD_EXAMPLES=OFF -DPXRT_BUILD_BENCH=OFF -DPXRT_INSTALL=OFF &&
        cmake --build "$build/pxrt" -j "$jobs" --target pxrt_static
}

configure_arguments() {
    printf '%s\n' "--prefix=$prefix" --without-ensurepip
    case $words in *-debug*) echo --with-pydebug ;; esac
    case $words in *-pgo*) echo --enable-optimizations ;; esac
    case $words in *-asan*) echo --with-address-sanitizer ;; esac
    case $kind in
    free-threaded) echo --disable-gil ;;
    '') printf '%s\n' --with-parallel "PX_CFLAGS=$PX_CFLAGS" "PX_LIBS=$PX_LIBS" ;;
    esac
    [ -z "${CC:-}" ] || echo "CC=$CC"
}

# Other arguments than last time: start anew. A change of configure itself is
# make's to notice.
configure() {
    configure_arguments >"$build/px-arguments.new"
    cmp -s "$build/px-arguments.new" "$build/px-arguments" && return
    rm -rf "$build/objects" "$build/px-arguments" "$build/px-flags"
    mkdir "$build/objects"
    set --
    while read -r argument; do
        set -- "$@" "$argument"
    done <"$build/px-arguments.new"
    step "configure, flavour ${name:-parallel}" in_objects \
        "$source/configure" "$@"
    mv "$build/px-arguments.new" "$build/px-arguments"
}

in_objects() {
    (cd "$build/objects" && "$@")
}

# The flags that everything is compiled with. CPython's make does not know that
# objects depend on them.
flags() {
    grep -E '^[A-Z_]*(CC|FLAGS|OPT)[A-Z_]*=' "$build/objects/Makefile" |
        grep -v '^MAKEFLAGS'
}

# A profile belongs to the very source that it was taken of.
stale() {
    [ -f "$build/px-flags" ] || return
    ! cmp -s "$build/px-flags.new" "$build/px-flags" || case $words in
    *-pgo*) [ "$(newer_than "$build/px-flags" "$source")" ] ;;
    *) false ;;
    esac
}

compile() {
    step 'make the Makefile' in_objects make Makefile
    flags >"$build/px-flags.new"
    if stale; then
        step 'other flags, or an old profile: clean' in_objects make clean
    fi
    mv "$build/px-flags.new" "$build/px-flags"
    relink
    step "compile with $jobs processes (follow it: tail -f $log)" \
        in_objects make -j "$jobs" all
}

# make does not know the archive either.
relink() {
    [ "$kind" ] || [ -z "$(find "$python" ! -newer "$archive" 2>/dev/null)" ] ||
        rm -f "$python"
}

# Installing takes a while, since it compiles the library to bytecode: only when
# there is something new.
install() {
    installed=$build/px-installed
    [ -f "$installed" ] && [ -z "$(newer_than "$installed" "$source/Lib" \
        "$source/Include" "$python" "$build/objects/build")" ] && return
    touch "$installed.new"
    step "install to $prefix" in_objects make install
    mv "$installed.new" "$installed"
}

# newer_than STAMP PATH...: the first file below the paths that is.
newer_than() {
    stamp=$1
    shift
    find -L "$@" -name .git -prune -o -name __pycache__ -prune -o \
        -type f -newer "$stamp" -print | head -n 1
}

# Modules that configure could not have would make comparisons lie.
missing_modules() {
    awk '/necessary bits to build these optional modules were not found/ { on = 1; next }
         on && !NF { exit } on && !/^To find/' "$log"
}

mkdir -p "$build"
exec 9>"$work/lock"
flock -n 9 || {
    say 'another build is under way: waiting for it'
    flock 9
}
: >"$log"
# shellcheck disable=SC2046 # a list
setup $(tools_needed) || die 'these tools are needed'
# Compiler cache, where there is one, without a trace in what Python remembers
# of its compiler.
# shellcheck disable=SC2031 # setup.sh changes it in a subshell only
[ ! -d /usr/lib/ccache ] || PATH=/usr/lib/ccache:$PATH
# The build runs the interpreter, which leaves to the system what it holds at
# its end.
ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0}
export ASAN_OPTIONS PATH
update_source
[ "$kind" ] || build_pxrt
configure
compile
case $given in
*' no-install'*) ;;
*)
    install
    python=$prefix/bin/python3
    ;;
esac
missing=$(missing_modules)
[ -z "$missing" ] || say "left out, as their libraries are missing: $missing"
step "done: $python" "$python" -VV
