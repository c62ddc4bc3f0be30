"""What a callback tells weakref.finalize(), and what leaves with its result.

Run by the patched interpreter: python tests/cpython/test_finalize.py
"""
import gc
import os
import sqlite3
import sys
import tempfile
import unittest
import warnings
import weakref

import parallel
from parallel import _parallel
from support import in_context, run

ENTRY = parallel.call_from_main_thread_and_wait
LATER = parallel.call_from_main_thread

seen = []


class Thing:
    def __init__(self, *parts):
        self.parts = parts


@LATER
def note(what):
    """From a context, or on main."""
    seen.append(what)


def note_here(what):
    (note if parallel.is_parallel_thread() else seen.append)(what)


def watched(text, *parts):
    thing = Thing(*parts)
    weakref.finalize(thing, note_here, text)
    return thing


class Case(unittest.TestCase):
    def setUp(self):
        warnings.simplefilter("ignore")
        seen.clear()

    def tearDown(self):
        gc.collect()
        self.assertEqual(_parallel.find_strays(), [])

    def settle(self):
        parallel.run()
        gc.collect()
        return seen


class Directories(Case):
    def test_one_that_leaves(self):
        def body():
            folder = tempfile.TemporaryDirectory()
            with open(os.path.join(folder.name, "a"), "w") as file:
                file.write("text")
            return folder
        folder = in_context(body)
        with open(os.path.join(folder.name, "a")) as file:
            self.assertEqual(file.read(), "text")
        folder.cleanup()
        self.assertFalse(os.path.exists(folder.name))

    def test_one_that_is_dropped(self):
        folder = in_context(tempfile.TemporaryDirectory)
        name = folder.name
        self.assertTrue(os.path.isdir(name))
        del folder
        gc.collect()
        self.assertFalse(os.path.exists(name))

    def test_one_that_stays(self):
        def body():
            folder = tempfile.TemporaryDirectory()
            folder.loop = folder
            return folder.name
        self.assertFalse(os.path.exists(in_context(body)))

    def test_one_that_cannot_leave(self):
        name = os.path.join(tempfile.gettempdir(), f"px-{os.getpid()}-")

        def body():
            folder = tempfile.TemporaryDirectory(prefix=name)
            return [folder, sys._getframe()]
        self.assertRaises(parallel.PersistenceError, in_context, body)
        start = os.path.basename(name)
        self.assertEqual([one for one in os.listdir(tempfile.gettempdir())
                          if one.startswith(start)], [])

    def test_by_an_exception(self):
        def body():
            error = ValueError()
            error.folder = tempfile.TemporaryDirectory()
            raise error
        with self.assertRaises(ValueError) as caught:
            in_context(body)
        with caught.exception.folder as name:
            self.assertTrue(os.path.isdir(name))
        self.assertFalse(os.path.exists(name))


class Finalizers(Case):
    def test_called_once_by_main(self):
        thing = in_context(watched, "a")
        self.assertEqual(self.settle(), [])
        del thing
        self.assertEqual(self.settle(), ["a"])
        gc.collect()
        self.assertEqual(seen, ["a"])

    def test_called_once_by_the_context(self):
        in_context(lambda: [watched("a") and None for _ in range(3)])
        self.assertEqual(self.settle(), ["a"] * 3)

    def test_some_leave(self):
        def body():
            things = [watched(n) for n in range(6)]
            return things[1::2]
        kept = in_context(body)
        self.assertEqual(self.settle(), [4, 2, 0])
        seen.clear()
        while kept:
            kept.pop()
        self.assertEqual(self.settle(), [5, 3, 1])

    def test_the_finalizer_itself(self):
        def body():
            thing = Thing()
            finalizer = weakref.finalize(thing, note_here, thing.parts)
            finalizer.atexit = False
            return thing, finalizer
        thing, finalizer = in_context(body)
        self.assertTrue(finalizer.alive)
        self.assertFalse(finalizer.atexit)
        self.assertIs(finalizer.peek()[0], thing)
        finalizer()
        self.assertFalse(finalizer.alive)
        del thing
        self.assertEqual(self.settle(), [()])

    def test_one_that_was_detached(self):
        def body():
            thing = Thing()
            finalizer = weakref.finalize(thing, note_here, 1)
            finalizer.detach()
            return thing, finalizer
        thing, finalizer = in_context(body)
        self.assertFalse(finalizer.alive)
        del thing
        self.assertEqual(self.settle(), [])

    def test_arguments_leave_with_it(self):
        """Those that are part of the result, too, are the same object."""
        def body():
            shared = ["shared"]
            thing = Thing(shared)
            weakref.finalize(thing, note_here, shared)
            return thing, shared
        thing, shared = in_context(body)
        del thing
        self.assertIs(self.settle()[0], shared)

    def test_arguments_that_cannot_leave(self):
        def body():
            thing = Thing()
            weakref.finalize(thing, print, sys._getframe())
            return thing
        self.assertRaises(parallel.PersistenceError, in_context, body)

    def test_of_what_is_mains(self):
        mine = Thing()
        in_context(lambda: weakref.finalize(mine, note_here, "a") and None)
        self.assertEqual(self.settle(), ["a"])

    def test_one_of_an_outcome_that_cannot_leave(self):
        def body(*order):
            return [watched("a"), sys._getframe()][::order[0]]
        for order in 1, -1:
            seen.clear()
            self.assertRaises(parallel.PersistenceError, in_context, body, order)
            self.assertEqual(self.settle(), ["a"])

    def test_an_owner_that_cannot_leave(self):
        """The outcome is replaced in the context already."""
        def body():
            return [watched("a"), sqlite3.connect(":memory:")]
        self.assertRaises(parallel.PersistenceError, in_context, body)
        self.assertEqual(self.settle(), ["a"])

    def test_an_argument(self):
        kept = []
        keep = LATER(kept.append)
        in_context(lambda: keep(watched("a")))
        self.assertEqual(self.settle(), [])
        kept.clear()
        self.assertEqual(self.settle(), ["a"])

    def test_outcome_and_argument(self):
        """The outcome's copy has it."""
        kept = []
        keep = LATER(kept.append)

        def body():
            thing = watched("a")
            keep(thing)
            return thing
        thing = in_context(body)
        parallel.run()
        kept.clear()
        self.assertEqual(self.settle(), [])
        del thing
        self.assertEqual(self.settle(), ["a"])

    def test_an_argument_of_a_callback_that_goes_on(self):
        """Main's copy has none: the callback has it still."""
        def body():
            thing = watched("a")
            ENTRY(lambda copy: None)(thing)
        in_context(body)
        self.assertEqual(self.settle(), ["a"])

    def test_one_that_raises(self):
        def body():
            thing = Thing()
            weakref.finalize(thing, int, "x")
            return [thing, sys._getframe()]
        caught = []
        before, sys.unraisablehook = sys.unraisablehook, lambda one: caught.append(one.exc_type)
        self.addCleanup(setattr, sys, "unraisablehook", before)
        self.assertRaises(parallel.PersistenceError, in_context, body)
        self.assertEqual(caught, [ValueError])

    def test_at_exit(self):
        """Main has never made one itself."""
        output, _ = run("""
            import os, parallel, weakref
            class Thing: pass
            def body():
                thing = Thing()
                weakref.finalize(thing, os.write, 1, b"end\\n")
                return thing
            kept = []
            with parallel.Executor() as executor:
                kept.append(executor.submit(body).result())
            print("here", flush=True)
            """)
        self.assertEqual(output.split(), ["here", "end"])

    def test_memory(self):
        growth = []
        for _ in range(6):  # caches fill
            before = sys.getallocatedblocks()
            for _ in range(300):
                in_context(watched, "a")
                seen.clear()
            growth.append(sys.getallocatedblocks() - before)
        self.assertLess(min(growth), 50, growth)


if __name__ == "__main__":
    unittest.main()
