"""Where there is no memory: nothing is lost, and whoever asks is told.

Run by the patched interpreter: python tests/cpython/test_nomemory.py
"""
import csv
import dataclasses
import gc
import itertools
import sys
import tempfile
import unittest
import warnings

import parallel
from kinds_of_states import ITERATORS, STATES
from parallel import _parallel
from support import crossing_without_memory, fill_memory, in_context, run
from test_returns import LAZY, LEAVES

# Each allocation of main's in turn is the one from which on there is no memory, for
# as long as it takes to harvest a callback.
HARVEST = """
    import _testcapi, _parallel, parallel

    seen = []
    put = parallel.call_from_main_thread(seen.append)

    def body():
        for i in range(3):
            put(i)
        {last}

    def harvest(first, count):
        "How many calls were made; the errors."
        del seen[:]
        errors = []
        parallel.submit_work(body)
        _testcapi.set_nomemory(first, first + count)
        try:
            _parallel.run_once(-1, True)
        except BaseException as error:
            _testcapi.remove_mem_hooks()
            errors.append(type(error).__name__)
        _testcapi.remove_mem_hooks()
        while True:
            try:
                parallel.run()
                return len(seen), errors
            except BaseException as error:
                errors.append(type(error).__name__)

    for count in 1, 2, 5, 1000:
        for first in range(1, 60):
            made, errors = harvest(first, count)
            if made + len(errors) < 3 and "MemoryError" not in errors:
                print("lost", first, count, made, errors)
            if {fails} and not errors:
                print("no error", first, count, made)
"""


class Harvest(unittest.TestCase):
    def check(self, last, fails):
        out, err = run(HARVEST.format(last=last, fails=fails))
        self.assertEqual(out, "")
        self.assertNotIn("Fatal", err)

    def test_calls_for_later(self):
        self.check("pass", False)

    def test_errors(self):
        self.check("1 / 0", True)


# ---- what leaves -----------------------------------------------------------

class Leaving(unittest.TestCase):
    def tearDown(self):
        self.assertEqual(_parallel.find_strays(), [])

    def test_every_kind(self):
        """A whole copy, or MemoryError: each allocation fails, alone and with all after."""
        kinds = [make for make, _ in LEAVES.values()] + [*LAZY.values()]
        kinds += [make for make, _ in STATES.values()] + [*ITERATORS.values()]
        self.enterContext(warnings.catch_warnings(action="ignore"))  # of coroutines
        # CPython leaves the dict of an instance that goes while there is no memory
        # with values that have gone, so no other garbage is to go meanwhile.
        gc.disable()
        self.addCleanup(gc.enable)
        for make, count in itertools.product(kinds, (1, 1000)):
            whole = type(make())
            outcomes = [crossing_without_memory(make, first, count) for first in range(1, 60)]
            for first, seen in enumerate(outcomes, 1):
                with self.subTest(whole, first=first, count=count):
                    self.assertEqual(len(seen), 1)
                    if seen != [MemoryError]:
                        self.assertIs(type(seen[0]), whole)
            self.assertIn([MemoryError], outcomes)


# ---- in a context ----------------------------------------------------------

def register():
    csv.register_dialect("mine", delimiter="|")


def set_module():
    sys.modules["mine"] = sys


def short(change, more):
    """What change() raises where there is place for a few small objects."""
    kept = fill_memory()
    try:
        for _ in range(more):
            kept = kept, bytes(16)
        change()
    except Exception as error:
        return type(error).__name__
    return len(kept)


class Context(unittest.TestCase):
    def test_a_copy_of_mains_that_cannot_be_made(self):
        """Main's stands in, but it is not for that that a change is refused."""
        parallel.set_memory_limit(8 << 20)
        self.addCleanup(parallel.set_memory_limit, None)

        def outcome(change, more):
            try:
                return in_context(short, change, more)
            except MemoryError as error:  # not even for the outcome
                return type(error).__name__
        for change in register, set_module:
            seen = {outcome(change, more) for more in range(0, 90, 3)}
            self.assertIn("MemoryError", seen)
            self.assertEqual(seen - {"MemoryError", 2}, set())

    def sweep(self, body, limits, memory="auto"):
        """It has too little memory, then enough."""
        self.addCleanup(parallel.set_memory_limit, None)
        seen = set()
        for limit in limits:
            parallel.set_memory_limit(limit)
            try:
                in_context(body, memory=memory)
                seen.add("enough")
            except MemoryError:
                seen.add("too little")
        self.assertEqual(seen, {"enough", "too little"})

    def test_locks_of_mains_that_stand_in(self):
        """Who has taken one gives it back."""
        self.addCleanup(setattr, tempfile, "tempdir", tempfile.tempdir)
        tempfile.tempdir = None
        self.sweep(tempfile.gettempdir, range(0, 3000))
        self.assertFalse(tempfile._once_lock.locked())

    def test_setdefault(self):
        """A dict has what it says that it has: else the next to make it larger
        crashes."""
        def body():
            names = {}
            for number in range(60):
                names.setdefault(str(number), number)
            return len(list(names)) == len(names)

        def define():
            @dataclasses.dataclass
            class Made:
                a: int
            Made(1)
        self.sweep(body, range(4000, 10_000, 4), "counted")
        if not hasattr(sys, "gettotalrefcount"):  # there exec() of little memory asserts
            self.sweep(define, range(1700, 60_000, 16), "counted")


if __name__ == "__main__":
    unittest.main()
