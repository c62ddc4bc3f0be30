"""Ways round the guards: what main's objects hold, what a process has once, and what
is there to be read.

Run by the patched interpreter: python tests/cpython/test_detours_library.py
"""
import _imp
import asyncio
import contextlib
import contextvars
import decimal
import doctest
import enum
import gc
import io
import os
import pickle
import pwd
import re
import resource
import ssl
import subprocess
import threading
import unittest
import weakref
import xml.etree.ElementTree as ET

import parallel
from support import Case, in_context
from test_detours import Thing, database, loop_for_main

try:
    import readline
except ImportError:
    readline = None


# ---- one object inside another ------------------------------------------------------

VALUE = contextvars.ContextVar("VALUE")


class HeldTest(Case):

    def test_memos(self):
        pickler = pickle.Pickler(io.BytesIO())
        unpickler = pickle.Unpickler(io.BytesIO(pickle.dumps([[1], [2]]) + pickle.dumps(3)))
        pickler.dump([[1], [2]])
        unpickler.load()
        for mains in pickler, unpickler:
            with self.subTest(type(mains)):
                self.refuse(lambda: mains.memo.clear(), state=lambda: len(mains.memo.copy()))
                self.assertGreater(len(mains.memo.copy()), 1)
        self.assertEqual(unpickler.load(), 3)
        pickler.memo.clear()
        self.assertEqual(len(pickler.memo.copy()), 0)

    def test_eager_tasks(self):
        """Here no task makes the task: what cannot begin is the loop's current one."""
        def start():
            async def change():
                VALUE.set([5])

            def make():
                try:
                    task = asyncio.Task(work, loop=loop, eager_start=True, context=mains)
                    seen.append(task.done() and task.exception())
                except Exception as error:
                    seen.append(error)
                loop.stop()
            seen, work = [], change()
            with contextlib.closing(asyncio.new_event_loop()) as loop:
                loop.set_exception_handler(lambda loop, what: seen.append(what["exception"]))
                loop.call_soon(make)
                loop.run_forever()
            work.close()
            return [type(error) for error in seen]
        mains = contextvars.copy_context()
        mains.run(VALUE.set, 1)
        self.assertIn(parallel.UnprotectedError, in_context(start))
        self.assertEqual(mains[VALUE], 1)
        self.assertEqual(mains.run(VALUE.get), 1)

    def test_tasks_in_mains_context(self):
        """They are refused when they are made: none would ever make its first step."""
        async def work():
            return VALUE.get(None)

        async def make():
            coroutine = work()
            with self.assertRaisesRegex(parallel.UnprotectedError, "Context"):
                asyncio.create_task(coroutine, context=mains)
            coroutine.close()
            return await asyncio.create_task(work(), context=mains.copy())
        mains = contextvars.copy_context()
        mains.run(VALUE.set, 1)
        self.assertEqual(in_context(lambda: asyncio.run(make())), 1)

    def test_steps_of_tasks(self):
        async def work():
            return 1
        loop = loop_for_main(self)
        task = asyncio.Task(work(), loop=loop)
        self.refuse(lambda: loop._ready[0]._callback(),
                    state=lambda: (task.done(), len(loop._ready)))
        self.assertEqual(loop.run_until_complete(task), 1)

    def test_flags_of_decimals(self):
        two, four = decimal.Decimal(2), decimal.Decimal(4)
        mains, flagged = decimal.Context(prec=5), decimal.Context(prec=5)
        self.refuse(lambda: two.sqrt(mains), state=lambda: repr(mains))
        two.sqrt(flagged)
        self.agree(lambda: two.sqrt(flagged), lambda: repr(flagged))
        self.agree(lambda: four.sqrt(mains), lambda: repr(mains))
        self.assertFalse(any(mains.flags.values()))
        two.sqrt(mains)
        self.assertTrue(mains.flags[decimal.Inexact])

    def test_elements(self):
        mains = ET.Element("a")
        self.refuse(lambda: ET.SubElement(mains, "b"), state=lambda: ET.tostring(mains))
        ET.SubElement(mains, "c")
        self.assertEqual(ET.tostring(mains), b"<a><c /></a>")

    def test_targets_of_parsers(self):
        mains = ET.TreeBuilder()
        root = mains.start("a", {})
        self.refuse(lambda: ET.XMLParser(target=mains).feed("<b>x</b>"),
                    state=lambda: ET.tostring(root))
        mains.data("y")
        mains.end("a")
        self.assertEqual(ET.tostring(mains.close()), b"<a>y</a>")

    def test_events_of_parsers(self):
        mains = ET.TreeBuilder()
        self.refuse(lambda: ET.XMLParser(target=mains)._setevents([], ["start", "end"]),
                    state=lambda: len(gc.get_referents(mains)))
        mains.start("a", {})
        mains.end("a")
        self.assertEqual(ET.tostring(mains.close()), b"<a />")

    def test_backup(self):
        def change():
            with database() as own:
                own.execute("create table own(a)")
                own.backup(mains)
        with database() as mains:
            mains.execute("create table t(a)")
            self.refuse(change, state=lambda: mains.execute(
                "select name from sqlite_master").fetchall())

    def test_memory_of_ssl(self):
        def shake(make):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            with contextlib.suppress(ssl.SSLError):
                context.wrap_bio(*make()).do_handshake()
        mains = ssl.MemoryBIO()
        mains.write(b"x" * 10)
        own = ssl.MemoryBIO
        self.refuse(lambda: shake(lambda: (mains, own())), lambda: shake(lambda: (own(), mains)),
                    state=lambda: (mains.pending, mains.eof))
        self.assertEqual(mains.read(), b"x" * 10)
        in_context(shake, lambda: (own(), own()))

    def test_own_modules(self):
        """What is no module's name says so."""
        with self.assertRaises(Exception) as caught:
            in_context(lambda: _imp.begin_own([1]))
        self.assertNotIsInstance(caught.exception, SystemError)


# ---- the process --------------------------------------------------------------------

def documented():
    """
    >>> 1 + 1
    2
    >>> print(1)
    2
    """


class ProcessTest(Case):

    def refuse(self, *changes, state=lambda: None):
        before = state()
        for number, change in enumerate(changes):
            with self.subTest(number):
                with self.assertRaises(parallel.ParallelError):
                    in_context(change)
                self.assertEqual(state(), before)

    def test_settings(self):
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        self.addCleanup(threading.stack_size, threading.stack_size())
        self.refuse(
            os.setpgrp, lambda: threading.stack_size(1 << 20),
            lambda: resource.prlimit(0, resource.RLIMIT_NOFILE, (limits[0] - 1, limits[1])),
            state=lambda: (os.getpgrp(), threading.stack_size(),
                           resource.getrlimit(resource.RLIMIT_NOFILE)))
        self.agree(threading.stack_size, lambda: resource.getrlimit(resource.RLIMIT_NOFILE))

    def test_users(self):
        self.refuse(pwd.getpwall)
        self.assertIn("root", [user.pw_name for user in pwd.getpwall()])

    @unittest.skipIf(readline is None, "there is no readline")
    def test_readline(self):
        readline.add_history("mains")
        self.addCleanup(readline.clear_history)
        self.refuse(
            lambda: readline.add_history("own"), readline.clear_history,
            lambda: readline.set_completer_delims("!"),
            lambda: readline.parse_and_bind("set bell-style none"),
            lambda: readline.set_history_length(7),
            lambda: readline.set_auto_history(True),
            lambda: readline.read_init_file("/dev/null"),
            state=lambda: (readline.get_current_history_length(),
                           readline.get_completer_delims(),
                           readline.get_history_length()))
        self.assertEqual(readline.get_history_item(1), "mains")

    def test_what_a_child_does_first(self):
        """The child of a context waits for nobody, whatever main does meanwhile."""
        def body():
            return {subprocess.run(["sh", "-c", "umask"], text=True, capture_output=True,
                                   preexec_fn=lambda: os.umask(0o27)).stdout
                    for _ in range(50)}

        with parallel.Executor() as pool:
            running = [pool.submit(body) for _ in range(2)]
            while not all(one.done() for one in running):
                sum(range(3000))
            self.assertEqual([one.result() for one in running], [{"0027\n"}] * 2)

    def test_doctest(self):
        def check():
            out = io.StringIO()
            runner = doctest.DocTestRunner()
            tests = doctest.DocTestFinder().find(documented, "documented", globs={})
            results = [tuple(runner.run(test, out=out.write)) for test in tests]
            return results, "Got:\n    1" in out.getvalue()
        self.assertEqual(check(), ([(1, 2)], True))
        self.agree(check)

    def test_unittest(self):
        def check():
            class Own(unittest.TestCase):
                def test_right(self):
                    self.assertEqual(1, 1)

                def test_wrong(self):
                    with self.subTest(1):
                        self.assertEqual(1, 2)
            out = io.StringIO()
            suite = unittest.defaultTestLoader.loadTestsFromTestCase(Own)
            result = unittest.TextTestRunner(out).run(suite)
            return result.testsRun, len(result.failures), len(result.errors)
        self.assertEqual(check(), (2, 1, 0))
        self.agree(check)


# ---- what is only read --------------------------------------------------------------

class FlagTest(Case):

    def test_inverses(self):
        class Two(enum.Flag):
            A, B = 1, 2

        class Three(enum.Flag):
            A, B, C = 1, 2, 4

        class Kept(enum.IntFlag, boundary=enum.KEEP):
            A, B = 1, 2

        def inverse():
            other = ~flag
            return type(other), other.name, other.value, str(other), bool(other & flag)
        partial = ssl.VERIFY_X509_PARTIAL_CHAIN
        for flag in Two.A, Three.A, Three.A | Three.C, Kept.B, re.I, partial:
            with self.subTest(flag):
                before = vars(flag).copy()
                got = [in_context(inverse) for _ in range(2)]
                self.assertEqual(vars(flag), before)
                self.assertEqual(got, [inverse()] * 2)
                self.agree(inverse)

    def test_a_members_inverse(self):
        class Two(enum.Flag):
            A, B = 1, 2
        self.assertTrue(in_context(lambda: ~Two.A is Two.B))
        self.assertIs(in_context(lambda: ~Two.A), Two.B)
        self.assertIs(~Two.A, Two.B)

    def test_flags_of_ssl(self):
        def change():
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.verify_flags |= ssl.VERIFY_X509_STRICT
            before = int(context.verify_flags)
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            return before, int(context.verify_flags)
        got = in_context(change)
        self.assertEqual(got, change())


class WeakTest(Case):
    """What is weak guards itself while somebody iterates over it."""

    def setUp(self):
        self.kept = [Thing() for _ in range(5)]

    def test_sets(self):
        weak = weakref.WeakSet(self.kept)
        own = weakref.WeakSet
        before = weak._iterating.copy(), weak._pending_removals.copy(), weak.data.copy()
        self.agree(
            lambda: list(weak), lambda: list(weak | own()), lambda: list(own() | weak),
            lambda: weak == own(weak), lambda: own(weak) == weak, lambda: weak <= own(weak),
            lambda: own(weak) < weak, lambda: list(weak.copy()), lambda: set(weak & weak),
            lambda: list(weak - own(self.kept[:1])), lambda: sum(1 for _ in weak))
        self.assertEqual((weak._iterating, weak._pending_removals, weak.data), before)
        self.kept.pop()
        gc.collect()
        self.assertEqual(set(weak), set(self.kept))

    def test_values(self):
        kind = weakref.WeakValueDictionary
        weak = kind(enumerate(self.kept))
        before = weak._iterating.copy(), weak._pending_removals.copy(), weak.data.copy()
        self.agree(
            lambda: list(weak), lambda: list(weak.keys()), lambda: list(weak.values()),
            lambda: list(weak.items()), lambda: dict(weak), lambda: dict(weak.copy()),
            lambda: dict(weak | {}), lambda: dict(weak | kind()), lambda: dict({} | weak),
            lambda: [ref() for ref in weak.itervaluerefs()])
        self.assertEqual((weak._iterating, weak._pending_removals, weak.data), before)
        self.kept.pop()
        gc.collect()
        self.assertEqual(sorted(weak), list(range(4)))

    def test_keys(self):
        kind = weakref.WeakKeyDictionary
        weak = kind((thing, number) for number, thing in enumerate(self.kept))
        before = weak._iterating.copy(), weak._pending_removals.copy(), weak.data.copy()
        self.agree(
            lambda: list(weak), lambda: list(weak.keys()), lambda: list(weak.values()),
            lambda: list(weak.items()), lambda: dict(weak), lambda: dict(weak.copy()),
            lambda: dict(weak | {}), lambda: dict(weak | kind()))
        self.assertEqual((weak._iterating, weak._pending_removals, weak.data), before)
        self.kept.pop()
        gc.collect()
        self.assertEqual(sorted(weak.values()), list(range(4)))


if __name__ == "__main__":
    unittest.main()
