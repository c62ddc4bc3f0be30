#!/bin/sh
# Every check can fail: in a copy of the tree with one fault planted, it does,
# and names the fault. So does the runner of the models.
. "$(dirname "$0")/../support/check.sh"
for tool in clang-format clang-tidy shellcheck doxygen g++ \
    x86_64-w64-mingw32-gcc spin; do
    need $tool
done
root=$PWD
case $build in /*) ;; *) build=$root/$build ;; esac
tree=$tmp/tree

# A fresh copy, small enough to check quickly, that takes itself for the tree.
fresh() {
    rm -rf "$tree" "$tmp/build"
    mkdir -p "$tree/src" "$tree/examples" "$tmp/build"
    cp -r .clang-format .clang-tidy include tests "$tree"
    cp -r src/base src/doc src/pxrt.map "$tree/src"
    ln -s "$build/src" "$tmp/build/src"
    sed -e "s|$root/src|$tree/src|g" -e "s|$root/include|$tree/include|g" \
        "$build/compile_commands.json" >"$tmp/build/compile_commands.json"
}

# The check of that name finds what stands in @words, and then the copy is made
# anew.
finds() {
    check=$1 words=$2
    if PXRT_BUILD_DIR=$tmp/build sh "$tree/tests/check/$check.sh" \
        >"$tmp/said" 2>&1; then
        wrong "check.$check passes in spite of: $words"
    elif ! grep -q -e "$words" "$tmp/said"; then
        wrong "check.$check fails, but does not say: $words"
        cat "$tmp/said"
    fi
    fresh
}

fresh
echo 'int  x;' >>"$tree/src/base/status.c"
finds format 'status.c:.*clang-format'

rm -rf "$tree/tests/support" && mkdir "$tree/tests/support"
cp tests/support/check.sh "$tree/tests/support"
echo 'int px__bad(void); int px__bad(void) { int *p = NULL; return *p; }' \
    >>"$tree/src/base/status.c"
finds tidy 'Dereference of null pointer'

echo 'size_t px_bad(void);' >"$tree/include/pxrt/bad.h"
finds headers "unknown type name .size_t"

echo '#include <uv.h>' >>"$tree/src/base/status.c"
finds rooms 'only src/runtime and src/net may include <uv.h>'
echo '#include "heap/heap.h"' >>"$tree/src/base/status.c"
finds rooms 'base must not include heap'
mkdir "$tree/src/shared"
echo '#include <pxrt/heap.h>' >"$tree/src/shared/bad.c"
finds rooms 'shared must not include heap'

echo '#include <sys/mman.h>' >>"$tree/src/base/status.c"
finds mingw 'sys/mman.h: No such file'

echo 'int px_bad(void);' >>"$tree/include/pxrt/status.h"
finds doc 'px_bad.*is not documented'

# shellcheck disable=SC2016 # it is the fault
echo 'echo $1' >"$tree/tests/check/bad.sh"
finds shell 'SC2086'

yes '' | head -n 601 >"$tree/src/base/bad.c"
finds size 'bad.c:601: more than 600 lines'
{ echo '{' && yes ';' | head -n 61 && echo '}'; } >"$tree/src/base/bad.c"
finds size 'function of 61 lines'
yes '' | head -n 601 >"$tree/tests/bad.py"
finds size 'bad.py:601: more than 600 lines'

echo 'PX_API int px_bad(void);' >>"$tree/include/pxrt/status.h"
finds exports '< px_bad'
sed -i.bak '/px_version;/d' "$tree/src/pxrt.map"
finds exports '> px_version@@'

sed -i.bak '/^abort/d' "$tree/tests/fault/infallible.txt"
finds faults '^abort: neither'
echo 'exit' >>"$tree/tests/fault/infallible.txt"
finds faults 'exit has no reason'

# Two processes and a counter, with a wrong assertion or without.
model() {
    cat >"$tmp/model.pml" <<PROMELA
/* spin-config: -DN=2 $1
   spin-mutant: $2 */
byte inside = 0;
active [N] proctype p()
{
    atomic { inside == 0 -> inside++ };
    assert(inside == 1);
#if defined(BROKEN)
    assert(false);
#elif defined(STUCK)
    inside == 2;
#endif
    inside--
}
PROMELA
    sh tests/support/spin.sh "$tmp/model.pml" >"$tmp/said" 2>&1
}
model '' BROKEN || wrong "spin.sh finds fault with a good model"
model -DBROKEN BROKEN && wrong "spin.sh misses a failed assertion"
model -DSTUCK BROKEN && wrong "spin.sh misses a deadlock"
model '' HARMLESS && wrong "spin.sh takes a harmless mutant for caught"
model -Dactive=1 BROKEN && wrong "spin.sh passes what is not a model"
exit $status
