"""Run each program in a context and check its result.

    build/cpython-src/build/objects/python bench/python/each.py [SECONDS]

Without SECONDS once each, in a context of its own: what trace_writes.py traces.
With it, one callback runs them in turn for so long, and what its context has come
to hold after a tenth of the time and at the end is printed. run.py measures.
"""
import importlib
import pathlib
import sys
import time

import parallel

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))
PROGRAMS = [importlib.import_module("programs." + path.stem)
            for path in sorted((HERE / "programs").glob("[a-z]*.py"))]


def check(program, size="small"):
    n, expected = program.SIZES[size]
    result = program.run(n)
    assert result == expected, f"{program.__name__}({n}) is {result!r}"


def resident():
    """Bytes of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def check_for(seconds):
    """Rounds, resident bytes after a tenth of the time, and at the end."""
    begin, rounds, early = time.monotonic(), 0, None
    while (passed := time.monotonic() - begin) < seconds:
        for program in PROGRAMS:
            check(program, "large")
        rounds += 1
        if early is None and passed > seconds / 10:
            early = resident()
    return rounds, early, resident()


def main():
    with parallel.Executor() as executor:
        if len(sys.argv) > 1:
            future = executor.submit(check_for, float(sys.argv[1]))
            print("%d rounds, resident %d bytes, then %d" % future.result())
        else:
            list(executor.map(check, PROGRAMS))


main()
