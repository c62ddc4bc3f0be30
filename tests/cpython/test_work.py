"""Work: what comes back of it, callbacks and errbacks, errors, the end.

Run by the patched interpreter: python tests/cpython/test_work.py
"""
import _parallel
import ast
import collections
import gc
import inspect
import os
import pathlib
import sys
import time
import types
import unittest

import parallel
from support import in_context, run


# ---- signatures and stubs --------------------------------------------------

class Signatures(unittest.TestCase):
    def test_builtins(self):
        """All have one, and take what it says: nothing by name."""
        for name, function in vars(_parallel).items():
            if isinstance(function, types.BuiltinFunctionType):
                signature = inspect.signature(function)
                self.assertLessEqual(
                    {parameter.kind for parameter in signature.parameters.values()},
                    {inspect.Parameter.POSITIONAL_ONLY}, name)

    def test_every_module_has_a_stub(self):
        """With all that is public in it."""
        folder = pathlib.Path(parallel.__file__).parent
        for path in folder.glob("*.py"):
            def names(file):
                nodes = ast.parse(file.read_text()).body
                return {node.name if hasattr(node, "name") else node.targets[0].id
                        if isinstance(node, ast.Assign) else node.target.id
                        for node in nodes
                        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.ClassDef,
                                             ast.FunctionDef))}
            public = {name for name in names(path) if not name.startswith("_")}
            self.assertLessEqual(public, names(path.with_suffix(".pyi")), path)


# ---- what comes back -------------------------------------------------------

class MainError(Exception):
    def __init__(self, code, text):
        super().__init__(code, text)
        self.code = code


class Crossing(unittest.TestCase):
    def test_values(self):
        def body():
            shared = [1]
            cycle = [shared, shared]
            cycle.append(cycle)
            return cycle, {"k": (1.5, b"x", "ü" * 3, 10 ** 40, None, 1j)}, \
                bytearray(b"ab"), {1, 2}, frozenset([3]), True, ""
        cycle, items, *rest = in_context(body)
        self.assertIs(cycle[0], cycle[1])
        self.assertIs(cycle[2], cycle)
        self.assertEqual(items, {"k": (1.5, b"x", "üüü", 10 ** 40, None, 1j)})
        self.assertEqual(rest, [bytearray(b"ab"), {1, 2}, frozenset([3]), True, ""])

    def test_main_owned_objects_are_themselves(self):
        mine = object()
        self.assertIs(in_context(lambda: [mine])[0], mine)

    def test_what_cannot_leave(self):
        with self.assertRaisesRegex(parallel.PersistenceError, "frame"):
            in_context(lambda: sys._getframe())

    def test_exception_classes(self):
        def fail(make):
            raise make()
        error = None
        with self.assertRaises(OSError) as caught:
            in_context(open, "/nowhere/at/all")
        self.assertEqual((caught.exception.errno, caught.exception.filename),
                         (2, "/nowhere/at/all"))
        with self.assertRaises(UnicodeDecodeError) as caught:
            in_context(lambda: b"\xff".decode())
        self.assertEqual(caught.exception.start, 0)
        with self.assertRaises(MainError) as caught:
            in_context(fail, lambda: MainError(7, "seven"))
        self.assertEqual((caught.exception.code, caught.exception.args),
                         (7, (7, "seven")))
        with self.assertRaises(ExceptionGroup) as caught:
            in_context(fail, lambda: ExceptionGroup("g", [ValueError(1)]))
        self.assertEqual(caught.exception.exceptions[0].args, (1,))

    def test_a_class_made_in_a_context(self):
        def body():
            class Local(LookupError):
                pass
            raise Local("gone")
        with self.assertRaises(LookupError) as caught:
            in_context(body)
        self.assertIs(type(caught.exception), LookupError)
        self.assertIn("Local", caught.exception.__notes__[0])

    def test_chain_and_traceback(self):
        def inner():
            raise KeyError("inner")

        def outer():
            try:
                inner()
            except KeyError as error:
                raise ValueError("outer", sys._getframe()) from error
        with self.assertRaises(ValueError) as caught:
            in_context(outer)
        error = caught.exception
        self.assertEqual(error.args, ("outer", "<frame object of a context>"))
        self.assertEqual(error.__cause__.args, ("inner",))
        names = []
        at = error.__cause__.__traceback__
        while at:
            names.append((at.tb_frame.f_code.co_name,
                          at.tb_lineno - outer.__code__.co_firstlineno))
            at = at.tb_next
        self.assertEqual(names, [("outer", 2), ("inner", -2)])


class Work(unittest.TestCase):
    def test_nothing_submitted(self):
        _, errors = run("import parallel\nparallel.run_once()")
        self.assertIn("NoEventsError", errors)
        self.assertEqual(run("""
            import parallel
            with parallel.Executor() as executor:
                executor.submit(len, "").result()
            while parallel.run_once(0):
                pass
        """), ("", ""))
        with self.assertRaisesRegex(parallel.ParallelError, "not possible"):
            in_context(parallel.run_once)

    def test_callback_and_errback_run_in_the_context(self):
        def check(value):
            assert parallel.is_parallel_thread()
            if value != 42:
                raise ValueError(value)

        def fail():
            raise KeyError("k")

        def errback(error):
            kind, value, traceback = error
            assert kind is KeyError and isinstance(value, KeyError)
            assert traceback is not None
        parallel.submit_work(lambda x: x + 1, 41, callback=check)
        parallel.submit_work(lambda: 42, (), None, check)
        parallel.submit_work(lambda x, y: x - y, (44,), {"y": 2}, check)
        parallel.submit_work(fail, errback=errback)
        parallel.run()

    def test_each_error_is_raised_once(self):
        def fail(number):
            raise ValueError(number)
        for number in range(10):
            parallel.submit_work(fail, number)
        seen = set()
        for _ in range(10):
            with self.assertRaises(ValueError) as caught:
                while True:
                    parallel.run_once()
            seen.add(caught.exception.args[0])
        self.assertEqual(seen, set(range(10)))
        self.assertFalse(parallel.run_once(0))

    def test_callbacks_return_none(self):
        parallel.submit_work(lambda: 1, callback=lambda value: value)
        with self.assertRaisesRegex(TypeError, "callback"):
            parallel.run()

    def test_bad_arguments(self):
        for arguments in ((None,), (print, (), 5)):
            with self.assertRaises(TypeError):
                parallel.submit_work(*arguments)

    def test_what_is_called_can_be(self):
        """That is noticed where it is submitted, in a context, too."""
        before = parallel.active_count()
        for bad in ({"callback": 5}, {"errback": 5}):
            with self.assertRaisesRegex(TypeError, "not callable"):
                parallel.submit_work(len, "", **bad)
            with self.assertRaisesRegex(TypeError, "not callable"):
                in_context(lambda: parallel.submit_work(len, "", **bad))
        with self.assertRaisesRegex(TypeError, "not callable"):
            in_context(parallel.submit_work, None)
        self.assertEqual(parallel.active_count(), before)

    def test_arguments(self):
        """A tuple are the arguments; a named tuple is one, None is none."""
        Point = collections.namedtuple("Point", "x y")
        for given, expected in (((1, 2), (1, 2)), (Point(1, 2), (Point(1, 2),)),
                                ([1, 2], ([1, 2],)), (None, ()), ((None,), (None,))):
            seen = []
            note = parallel.call_from_main_thread(seen.append)
            parallel.submit_work(lambda *args: args, given, callback=note)
            parallel.run()
            self.assertEqual(seen, [expected])
            self.assertIs(type(seen[0]), tuple)

    def test_main_lives_on(self):
        data = {str(i): [i] for i in range(1000)}
        for _ in range(20):
            parallel.submit_work(
                lambda: sum(len(k) + v[0] for k, v in data.items()))
        parallel.run()
        counts = [sys.getrefcount(v) for v in data.values()]
        self.assertEqual(set(counts), {counts[0]})
        gc.collect()
        self.assertEqual(data["7"], [7])

    def test_two_callbacks_at_once(self):
        """Each goes on until it has seen both run, or hears that the other has."""
        first, second = os.pipe(), os.pipe()

        def meet(send, receive):
            until = time.monotonic() + 30
            while parallel.context_stats()["running"] < 2:
                assert time.monotonic() < until, "the other does not run"
                try:
                    os.read(receive, 1)
                    return
                except BlockingIOError:
                    pass
            os.write(send, b"x")
        if os.process_cpu_count() < 2:
            self.skipTest("one CPU, one worker")
        for reader, _ in first, second:
            os.set_blocking(reader, False)
        parallel.submit_work(meet, (first[1], second[0]))
        parallel.submit_work(meet, (second[1], first[0]))
        parallel.run()
        for fd in first + second:
            os.close(fd)

    def test_interrupt(self):
        out, errors = run("""
            import os, parallel, signal, threading
            reader, writer = os.pipe()
            def interrupt():
                os.read(reader, 1)
                os.kill(os.getpid(), signal.SIGINT)
            threading.Thread(target=interrupt, daemon=True).start()
            try:
                for _ in range(1000):
                    parallel.submit_work(lambda: None)
                os.write(writer, b"x")
                while True:
                    parallel.submit_work(lambda: None)
                    parallel.run_once()
            except KeyboardInterrupt:
                print("interrupted")
        """)
        self.assertEqual((out, errors), ("interrupted\n", ""))

    def test_exit_with_work_left(self):
        self.assertEqual(run("""
            import parallel
            for i in range(100):
                parallel.submit_work(sum, (range(10**5),))
            parallel.run_once()
        """), ("", ""))

    def test_errors_that_nobody_has_asked_for(self):
        out, errors = run("""
            import parallel
            def fail(what):
                raise LookupError(what)
            for what in "first", "second":
                parallel.submit_work(fail, what)
            with parallel.Executor() as executor:
                executor.submit(len, "").result()
            while parallel.is_active():
                parallel.active_count()
        """)
        for what in "first", "second":
            self.assertIn(f"LookupError: {what}", errors)
        self.assertEqual(errors.count("Exception ignored at the end"), 2)

    def test_many_errors_that_nobody_has_asked_for(self):
        _, errors = run("""
            import parallel
            for _ in range(100):
                parallel.submit_work(abs, "x")
            while parallel.context_stats()["active"]:
                parallel.Executor().submit(len, "").result()
        """)
        self.assertEqual(errors.count("TypeError: bad operand"), 10)
        self.assertIn("90 more exceptions", errors)


if __name__ == "__main__":
    unittest.main()
