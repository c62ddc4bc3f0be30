"""Compare two runs of CPython's own tests, one result with the other.

    python3 tests/cpython/compare.py STOCK.xml PATCHED.xml [EXCUSED]

The files are what `python -m test --junit-xml FILE` writes. Each line printed
is a test whose result differs, as "stock -> patched"; a test that only one run
has is "absent" from the other. EXCUSED has lines "PATTERN: reason", where the
pattern is a shell's; what it matches is counted apart. An excuse for tests that
do not differ is a difference too: it must go.

The status is 1 if there is a difference. It is run by any Python.
"""
import collections
import fnmatch
import re
import sys
from xml.etree import ElementTree

# Worst last: a test with subtests has one entry for each that failed.
KINDS = ["ok", "skipped", "failure", "error"]


def kind_of(case):
    kinds = [child.tag for child in case if child.tag in KINDS]
    if any(child.text == "UNEXPECTED_SUCCESS"
           for child in case.iter("outcome")):
        kinds.append("failure")
    return max(kinds, key=KINDS.index, default="ok")


def results_of(path):
    """Test -> its result. A test of which only subtests failed is written
    without a name: it is called after the one before it."""
    results, before = {}, "the beginning"
    for case in ElementTree.parse(path).iter("testcase"):
        name, kind = case.get("name"), kind_of(case)
        if name is None:
            name, kind = f"what follows {before}", "failure"
        name = re.sub(r" at 0x[0-9a-f]+>", ">", name)
        results[name] = max(results.get(name, "ok"), kind, key=KINDS.index)
        before = name
    return results


def differences(stock, patched):
    """Test -> "stock -> patched"."""
    found = {}
    for name in sorted(stock.keys() | patched.keys()):
        one, other = stock.get(name, "absent"), patched.get(name, "absent")
        if one != other:
            found[name] = f"{one} -> {other}"
    return found


def excuses_of(path):
    """Patterns, with reasons."""
    excuses = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                pattern, colon, reason = line.partition(": ")
                if not reason.strip():
                    sys.exit(f"{path}: no reason: {line!r}")
                excuses[pattern] = reason.strip()
    return excuses


def excuse(found, excuses):
    """Take out of `found` what is excused: pattern -> how many."""
    used = collections.Counter()
    for name in list(found):
        for pattern in excuses:
            if fnmatch.fnmatchcase(name, pattern):
                used[pattern] += 1
                del found[name]
                break
    return used


def needless(excuses, used, names):
    """Excuses of tests that were run and do not differ."""
    return [pattern for pattern in excuses if not used[pattern]
            and fnmatch.filter(names, pattern)]


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    stock, patched = map(results_of, sys.argv[1:3])
    excuses = excuses_of(sys.argv[3]) if len(sys.argv) == 4 else {}
    found = differences(stock, patched)
    used = excuse(found, excuses)
    unneeded = needless(excuses, used, stock.keys() & patched.keys())
    for name, difference in found.items():
        print(f"{name}: {difference}")
    for pattern in unneeded:
        print(f"{pattern}: excused, and the same")
    print(f"{len(stock)} tests on stock, {len(patched)} on patched, "
          f"{len(found)} differ, {used.total()} more are excused")
    return bool(found or unneeded)


if __name__ == "__main__":
    sys.exit(main())
