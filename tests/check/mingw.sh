#!/bin/sh
# The rooms that know no libuv compile for Windows, without a warning: for the
# DLL and for the static library.
. "$(dirname "$0")/../support/check.sh"
need x86_64-w64-mingw32-gcc
for room in base platform platform/windows lock heap shared context \
    protect persist guard border; do
    find "src/$room" -maxdepth 1 -name '*.c' 2>/dev/null
done | sort >"$tmp/files"
for kind in PXRT_BUILDING PXRT_STATIC; do
    xargs -P 2 -I FILE x86_64-w64-mingw32-gcc -std=c11 -O1 -Wall -Wextra \
        -Werror -D$kind -DPXRT_DEBUG -Iinclude -Isrc -c FILE -o /dev/null \
        <"$tmp/files" || status=1
done
echo "$(wc -l <"$tmp/files") files"
exit $status
