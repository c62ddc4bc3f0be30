#!/bin/sh
# Every test of libpxrt, from a bare machine:
#
#   sh tests/run.sh              set-up, then every leg of $default
#   sh tests/run.sh LEG...       these legs only
#   sh tests/run.sh list         what legs there are
#
# A leg is one way to look at the tree: a build preset, or one label of the dev
# build's tests. All legs run even when one fails. The summary counts tests; a
# leg that breaks outside of a test counts as one failure. What follows it is
# why: the last lines of each failed test, once more.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/support/setup.sh

legs='
plain     dev build, every internal check on: all its tests
release   what users get: optimised, no internal checks; benchmarks build
asan      address, leak and undefined-behaviour sanitizers
tsan      thread sanitizer
model     the lock and baton protocols, exhaustively (Spin)
install   programs built against an installed copy
check     format, lint, headers, rooms, exports, sizes, scripts
mingw     the rooms below runtime compile for Windows
doc       the reference is complete (Doxygen)
fuzz      libFuzzer targets, some seconds each
coverage  lines and branches of heap, context and lock
cpython   the patch set of CPython applies, is small, builds; its tests
valgrind  unit tests under memcheck (not in the default run)
'
default='plain release asan tsan model install check mingw doc fuzz coverage
         cpython'
whole=

# A skipped test hides things: here, every tool has to be there.
PXRT_REQUIRE_TOOLS=1
export PXRT_REQUIRE_TOOLS

needs() {
    echo cmake ninja cc pkgconfig libuv cmocka
    case $1 in
    plain) echo cxx binutils clangformat clangtidy shellcheck mingw doxygen \
        spin git xz ;;
    asan) echo sanitizers ;;
    tsan) echo tsan ;;
    model) echo spin ;;
    install) echo cxx ;;
    check) echo cxx binutils clangformat clangtidy shellcheck mingw doxygen \
        spin git xz ;;
    mingw) echo mingw ;;
    doc) echo doxygen ;;
    fuzz) echo clang libfuzzer ;;
    coverage) echo gcovr ;;
    cpython) echo make git curl xz pythonlibs bzip2 gdbm ;;
    valgrind) echo valgrind ;;
    esac
}

# Progress is of interest only when it ends in failure.
quietly() {
    "$@" >"$log.build" 2>&1 || {
        tail -n 200 "$log.build"
        return 1
    }
}

build() {
    preset=$1
    shift
    cmake --preset "$preset" "$@" >/dev/null
    quietly cmake --build --preset "$preset" -j 2
}

# The thread sanitizer needs addresses where it expects them; where the system
# lets us, switch randomisation off.
steady() {
    if setarch "$(uname -m)" -R true 2>/dev/null; then
        setarch "$(uname -m)" -R "$@"
    else
        "$@"
    fi
}

# In the whole run the legs below show their labels themselves.
leg_plain() {
    build dev
    if [ "$whole" ]; then
        ctest --preset dev -LE '^(model|install|check)$'
    else
        ctest --preset dev
    fi
}

leg_release() {
    build release
    ctest --preset release
}

leg_asan() {
    build asan
    ctest --preset asan
}

leg_tsan() {
    build tsan
    steady ctest --preset tsan
}

leg_model() {
    build dev
    ctest --preset dev -L '^model$'
}

leg_install() {
    build dev
    ctest --preset dev -L '^install$'
}

leg_check() {
    build dev
    ctest --preset dev -L '^check$' -LE '^(mingw|doc)$'
}

leg_mingw() {
    build dev
    ctest --preset dev -L '^mingw$'
}

leg_doc() {
    build dev
    ctest --preset dev -L '^doc$'
}

leg_fuzz() {
    build fuzz -DPXRT_FUZZ_SECONDS="${PXRT_FUZZ_SECONDS:-20}"
    ctest --preset fuzz
}

# Branches of a check that aborts are not counted: no test may take them.
leg_coverage() {
    build coverage
    find build/coverage -name '*.gcda' -exec rm -f {} +
    gates=0
    ctest --preset coverage || gates=1
    for room in heap context lock; do
        echo "coverage of $room:"
        gcovr --root . --filter "src/$room/" --exclude-unreachable-branches \
            --exclude-branches-by-pattern '.*(PX_CHECK|PX_ASSERT|PX_INVARIANT)' \
            --fail-under-line 95 --fail-under-branch 85 --print-summary \
            build/coverage || gates=1
    done
    return $gates
}

leg_valgrind() {
    build dev
    failed=0 all=0
    for program in build/dev/tests/unit_*; do
        all=$((all + 1))
        valgrind --quiet --error-exitcode=9 --leak-check=full "$program" ||
            failed=$((failed + 1))
    done
    echo "tests passed, $failed tests failed out of $all"
    [ $failed = 0 ]
}

# What our patches touch most of CPython's own suite, on the main side; all of it
# is a long run, see RECORDS.md.
cpython_own='test_dict test_list test_set test_bytes test_str test_tuple
    test_generators test_gc test_weakref test_memoryview test_functools test_re
    test_abc test_context test_types test_descr test_exceptions test_float
    test_iter test_scope test_capi test_threading_local test_deque test_struct
    test_builtin test_grammar test_compile test_code test_call test_class
    test_itertools test_long test_slice test_opcache test_monitoring
    test_sys_settrace test_threading test_coroutines test_frame test_traceback
    test_copy test_pickle test_contextlib test_buffer test_array test_embed
    test_inspect'

leg_cpython() {
    sh src/cpython/tools/verify.sh
    sh src/cpython/tools/stats.sh
    sh src/cpython/tools/build.sh --no-install
    python=build/cpython-src/build/objects/python
    for test in tests/cpython/test_*.py; do
        "$python" "$test"
    done
    PX_STOP_SECONDS=60 "$python" tests/cpython/stress_stop.py
    PX_STOP_SECONDS=15 "$python" tests/cpython/stress_loops.py
    PX_STOP_SECONDS=15 "$python" tests/cpython/stress_rebind.py
    "$python" tests/cpython/stress_submit.py
    "$python" tests/cpython/fuzz_methods.py --seconds 12
    # In the background of a shell Ctrl-C is ignored, which CPython's own tests of
    # it do not bear.
    # shellcheck disable=SC2086 # a list
    env --default-signal=INT "$python" -m test -j 2 --timeout 300 $cpython_own
}

# Run one leg; what it prints is kept in build/log.
run_leg() {
    leg=$1
    log=build/log/$leg
    mkdir -p build/log
    echo "==== $leg"
    began=$(date +%s)
    {
        (set -e && "leg_$leg")
        echo $? >"$log.status"
    } 2>&1 | tee "$log"
    seconds=$(($(date +%s) - began))
    record "$(cat "$log.status")"
}

# One line of the summary: ok or FAILED, the leg, seconds, passed and failed.
record() {
    awk -v leg="$leg" -v seconds="$seconds" -v status="$1" '
    /tests passed, [0-9]+ tests failed out of/ {
        failed += $4; passed += $NF - $4
    }
    /^Ran [0-9]+ tests? in / || /^Total tests: run=/ {
        gsub(/,/, ""); gsub(/[^0-9 ]/, " "); passed += $1
    }
    END {
        if (status != 0 && !failed) failed = 1
        printf "%-7s %-9s %5d s %5d passed %4d failed\n",
            status ? "FAILED" : "ok", leg, seconds, passed, failed
    }' "$log" >>build/log/summary
}

# The last lines of each failed test in a log of ctest, or of the whole log when
# no test failed. A test's output comes after its result; of the functions in it
# that went well nothing is said.
why() {
    awk -v most=40 '
    function show(   i) {
        if (name) {
            shown++
            print "---- " name
            for (i = count > most ? count - most : 0; i < count; i++)
                print line[i]
        }
        name = ""
    }
    / Test +#[0-9]+: / || /^ *Start +[0-9]+: / || /tests passed, / { show() }
    / Test +#[0-9]+: .*\*\*\*/ { name = $0; count = 0; next }
    name && /^\[ +OK \]/ { count -= line[count - 1] ~ /^\[ RUN/; next }
    name { line[count++] = $0 }
    { all[NR] = $0 }
    END {
        show()
        for (i = NR > most ? NR - most + 1 : 1; !shown && i <= NR; i++)
            print all[i]
    }' "$1"
}

explain() {
    awk '/^FAILED/ { print $2 }' build/log/summary | while read -r leg; do
        echo "==== why $leg failed (all of it: build/log/$leg)"
        why "build/log/$leg"
    done
}

summary() {
    echo "==== summary"
    cat build/log/summary
    awk '{ passed += $5; failed += $7 }
         END { printf "%d passed, %d failed\n", passed, failed; exit failed > 0 }
    ' build/log/summary
}

case ${1:-} in
list)
    printf '%s' "$legs" | sed 1d
    exit
    ;;
'')
    whole=yes
    # shellcheck disable=SC2086 # a list
    set -- $default
    ;;
esac

tools=
for leg in "$@"; do
    printf '%s' "$legs" | grep -q "^$leg " || {
        echo "no leg \"$leg\"; see: sh tests/run.sh list"
        exit 2
    }
    tools="$tools $(needs "$leg")"
done
mkdir -p build/log
: >build/log/summary
# shellcheck disable=SC2046,SC2086 # a list without repetitions
setup $(printf '%s\n' $tools | sort -u) ||
    echo "set-up: going on; the legs that need these will fail"
for leg in "$@"; do
    run_leg "$leg"
done
summary || {
    explain
    false
}
