#!/bin/sh
# An installed pxrt serves its users: sh tests/install/run.sh STEP
#
#   prefix      install into a folder, then move it: nothing may depend on where
#               it was built or first installed
#   cmake       a C and a C++ program by find_package, shared and static
#   pkgconfig   the same two by pkg-config, shared and static
#   subproject  the same with the library's sources as a part of the build
#   examples    every example as a project of its own, built and run
#
# The later steps use what `prefix` left in the build folder.
set -eu
cd "$(dirname "$0")/../.."
build=${PXRT_BUILD_DIR:-$PWD/build/dev}
work=$build/install-test
prefix=$work/prefix
here=tests/install

# Where the libraries went: lib, lib64 or lib/<machine>.
libdir() {
    dirname "$(find "$prefix" -name 'libpxrt.a')"
}

step_prefix() {
    rm -rf "$work"
    cmake --install "$build" --prefix "$work/first" >/dev/null
    mv "$work/first" "$prefix"
    if grep -rIl -e "$build" -e "$work/first" "$prefix"; then
        echo "these installed files name the build folder"
        exit 1
    fi
}

# Configure, build and test a user's project.
project() {
    name=$1 folder=$2
    shift 2
    rm -rf "${work:?}/$name"
    cmake -S "$folder" -B "$work/$name" -G Ninja \
        -DCMAKE_C_COMPILER="${CC:-cc}" "$@" >/dev/null
    cmake --build "$work/$name" -j 2
    (cd "$work/$name" && ctest --output-on-failure)
}

step_subproject() {
    project subproject $here -DPXRT_SOURCE="$PWD"
}

step_cmake() {
    project cmake $here -DCMAKE_PREFIX_PATH="$prefix"
    if LD_LIBRARY_PATH='' ldd "$work/cmake/c_static" | grep pxrt; then
        echo "c_static is linked to the shared library"
        exit 1
    fi
}

# One program of consumer.c, by pkg-config flags alone.
pkgconfig_program() {
    compiler=$1 language=$2 kind=$3
    program=$work/pkgconfig_${language}_$kind
    link=--libs
    [ "$kind" = static ] && link='--static --libs'
    # shellcheck disable=SC2046,SC2086 # lists of flags
    $compiler -x "$language" $here/consumer.c -x none -o "$program" \
        $(pkg-config --cflags pxrt) $(pkg-config $link pxrt)
    LD_LIBRARY_PATH=$(libdir) "$program"
}

# pkg-config knows no "static here, shared there": the static build is the one
# of a user who has only the archive.
step_pkgconfig() {
    PKG_CONFIG_PATH=$(libdir)/pkgconfig
    export PKG_CONFIG_PATH
    pkg-config --modversion pxrt
    pkgconfig_program "${CC:-cc}" c shared
    pkgconfig_program c++ c++ shared
    rm -rf "$work/archive"
    cp -a "$prefix" "$work/archive"
    prefix=$work/archive
    rm -f "$(libdir)"/libpxrt.so*
    PKG_CONFIG_PATH=$(libdir)/pkgconfig
    pkgconfig_program "${CC:-cc}" c static
    pkgconfig_program c++ c++ static
}

step_examples() {
    project examples examples -DCMAKE_PREFIX_PATH="$prefix"
}

"step_$1"
