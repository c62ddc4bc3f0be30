#!/bin/sh
# The reference is complete: doxygen has nothing to say about the headers.
. "$(dirname "$0")/../support/check.sh"
need doxygen
mkdir -p "$build/doc"
sed "s|@BUILD@|$build/doc|" src/doc/Doxyfile >"$tmp/Doxyfile"
doxygen "$tmp/Doxyfile" >"$tmp/out" 2>&1 || {
    cat "$tmp/out"
    exit 1
}
echo "see $build/doc/html/index.html"
