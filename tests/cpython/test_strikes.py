"""What strikes in the midst of something else: signals while a future is told, the
ends of stack and memory, Ctrl-C at exit, waits in waits.

Run by the patched interpreter: python tests/cpython/test_strikes.py
"""
import os
import select
import signal
import subprocess
import sys
import threading
import unittest
from concurrent import futures

import _testcapi
import parallel
from support import run

ENTRY = parallel.call_from_main_thread_and_wait
LATER = parallel.call_from_main_thread
SIGNALS = 200


class Struck(Exception):
    """By a signal."""


def strike(*_):
    raise Struck


def deep(levels, ask):
    return deep(levels - 1, ask) if levels else ask()


class FutureTest(unittest.TestCase):
    """Whatever happens to the thread that tells it, a future is told."""

    def setUp(self):
        self.pool = parallel.Executor()
        self.addCleanup(self.pool.shutdown)

    def ask(self):
        future = self.pool.submit(int)
        try:
            return future.result()
        finally:
            self.assertEqual(future.exception(10), None)

    def test_signals(self):
        before = signal.signal(signal.SIGALRM, strike)
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        struck = 0
        while struck < SIGNALS:
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-6 + struck % 20 * 1e-5)
                while True:
                    self.ask()
            except (Struck, RuntimeError) as error:
                # of Condition.wait(), too, which then does not hold its lock
                self.assertIsInstance(error if type(error) is Struck else error.__context__,
                                      Struck)
                struck += 1

    def test_a_thread_that_is_deep(self):
        for levels in range(sys.getrecursionlimit() - 120, sys.getrecursionlimit()):
            try:
                deep(levels, self.ask)
            except RecursionError:
                pass
            self.assertEqual(self.ask(), 0)

    def test_another_thread_that_is_deep(self):
        """It has callbacks run, and tells of those that others wait for."""
        told = []
        other = threading.Thread(
            target=lambda: told.extend(self.ask() for _ in range(2000)), daemon=True)
        other.start()
        while other.is_alive():
            for levels in range(sys.getrecursionlimit() - 60, sys.getrecursionlimit()):
                try:
                    deep(levels, lambda: self.pool.submit(int).result(.001))
                except (RecursionError, TimeoutError):
                    pass
        self.assertEqual(told, [0] * 2000)

    def test_without_memory(self):
        for first in range(2, 60):
            future = self.pool.submit(int)
            _testcapi.set_nomemory(first, first + 1)
            try:
                future.result()
            except (MemoryError, RuntimeError) as error:  # see test_signals
                self.assertIsInstance(error if type(error) is MemoryError
                                      else error.__context__, MemoryError)
            finally:
                _testcapi.remove_mem_hooks()
            self.assertEqual(future.result(10), 0)


class InterruptTest(unittest.TestCase):

    def test_a_handler_that_does_not_raise(self):
        """It ends nothing."""
        seen = []
        before = signal.signal(signal.SIGINT, lambda *_: seen.append(1))
        self.addCleanup(signal.signal, signal.SIGINT, before)
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        self.addCleanup(os.close, write)

        def work():
            while not select.select([read], [], [], 0)[0]:
                pass
            return "done"
        future = parallel.Executor().submit(work)
        for times in range(1, 6):
            with subprocess.Popen(["kill", "-INT", str(os.getpid())]):
                while len(seen) < times:
                    futures.wait([future], .1)
        os.write(write, b"x")
        self.assertEqual(future.result(), "done")

    def test_termination(self):
        out, errors = run("""
            import os, signal, subprocess, sys, parallel
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
            pool = parallel.Executor()
            pool.submit(int).result()
            try:
                subprocess.Popen(["kill", "-TERM", str(os.getpid())])
                while True:
                    pool.submit(int).result()
            except SystemExit as error:
                print(error.code)
        """)
        self.assertEqual((out, errors), ("3\n", ""))

    def test_at_exit(self):
        """It ends the callbacks, and nothing that comes after them."""
        out, errors = run("""
            import atexit
            atexit.register(lambda: print("told"))
            import os, signal, threading, parallel
            signal.signal(signal.SIGINT, signal.default_int_handler)
            read, write = os.pipe()
            began = threading.Event()
            def endless():
                parallel.call_from_main_thread_and_wait(began.set)()
                os.read(read, 1)
                os.kill(os.getpid(), signal.SIGINT)
                while True: pass
            parallel.submit_work(endless)
            began.wait()
            atexit.register(os.write, write, b"x")
        """)
        self.assertEqual(out, "told\n")
        self.assertIn("KeyboardInterrupt", errors)
        self.assertNotIn("atexit", errors)

    def test_at_exit_twice(self):
        """Who waits in the system is not ended by one; the process is by the next."""
        child = subprocess.Popen([sys.executable, "-c", """if True:
            import os, signal, threading, parallel
            signal.signal(signal.SIGINT, signal.default_int_handler)
            read, write = os.pipe()
            began = threading.Event()
            def stubborn():
                while True:
                    try:
                        if not began.is_set():
                            parallel.call_from_main_thread_and_wait(began.set)()
                        os.read(read, 1)
                    except KeyboardInterrupt:
                        pass
            parallel.submit_work(stubborn)
            began.wait()
            print("waits", flush=True)
        """], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.assertEqual(child.stdout.readline(), "waits\n")
        while child.poll() is None:
            child.send_signal(signal.SIGINT)
            threading.Event().wait(.05)
        child.stdout.close()
        self.assertEqual(child.returncode, -signal.SIGINT)


class EndTest(unittest.TestCase):

    def test_executors_that_are_gone(self):
        """What was submitted to them is done at exit."""
        for end in "", "del pool", "pool.shutdown(wait=False); del pool":
            with self.subTest(end):
                out, errors = run(f"""
                    import parallel
                    pool = parallel.Executor()
                    pool.submit(print, "done")
                    list(pool.submit(print, "done too") for _ in range(2))
                    {end}
                """)
                self.assertEqual(sorted(out.split("\n")), ["", "done"] + ["done too"] * 2)
                self.assertEqual(errors, "")


class CircleTest(unittest.TestCase):

    def setUp(self):
        self.pool = parallel.Executor()
        self.addCleanup(self.pool.shutdown)

    def refused(self, way, ask):
        """What it raises, called for the callback that it waits for."""
        futures, seen = [], []

        def call():
            try:
                ask(futures[0])
            except Exception as error:
                seen.append(error)
        futures.append(self.pool.submit(way(call)))
        futures[0].result(20)
        self.assertIsInstance(seen[0], parallel.ParallelError)
        self.assertIn("waits for that callback", str(seen[0]))

    def test_each_way(self):
        for way in ENTRY, LATER:
            with self.subTest(way.__name__):
                self.refused(way, lambda future: future.result())
                self.refused(way, lambda future: future.exception())
                self.refused(way, lambda future: self.pool.shutdown())
                self.pool = parallel.Executor()

    def test_waits_in_waits(self):
        """The outer one is known when the inner one is over."""
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        self.addCleanup(os.close, write)
        other = self.pool.submit(os.read, read, 1)

        def wait_once_more(*_):
            os.write(write, b"x")
            other.result()

        def call():
            before = signal.signal(signal.SIGALRM, wait_once_more)
            signal.setitimer(signal.ITIMER_REAL, .01)
            try:
                return other.result()
            finally:
                signal.signal(signal.SIGALRM, before)
        future = self.pool.submit(ENTRY(call))
        parallel.run()
        self.assertEqual(future.result(), b"x")


class MistakeTest(unittest.TestCase):

    def test_what_cannot_be_called(self):
        for way in ENTRY, LATER:
            with self.assertRaisesRegex(TypeError, "not callable"):
                way(5)

    def test_audit_hooks(self):
        future = parallel.Executor().submit(sys.addaudithook, print)
        self.assertIsInstance(future.exception(), parallel.ParallelError)


if __name__ == "__main__":
    unittest.main()
