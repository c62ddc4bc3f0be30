#!/bin/sh
# Every public header compiles alone, as C11 and as C++17, without a warning.
. "$(dirname "$0")/../support/check.sh"
need g++
alone() {
    compiler=$1
    shift
    "$compiler" "$@" -Wall -Wextra -Wpedantic -Werror -fsyntax-only -Iinclude \
        -include "$header" -x "$language" /dev/null || status=1
}
for header in include/pxrt.h include/pxrt/*.h; do
    language=c
    alone "${CC:-cc}" -std=c11
    language=c++
    alone g++ -std=c++17
done
exit $status
