"""Code that sets out to change main's objects, by ways that look like reading.

Run by the patched interpreter: python tests/cpython/test_hostile.py

Most of it was found by programs that call whatever dir() shows on objects of all
kinds. Each attempt either raises UnprotectedError or has the value that it has
on the main side; main's object is the same afterwards.
"""
import _imp
import _interpchannels
import _interpqueues
import asyncio
import atexit
import ctypes
import decimal
import faulthandler
import functools
import itertools
import multiprocessing
import operator
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import unittest

import parallel
import test_own
from parallel import _parallel
from support import fill_memory
from test_contexts import in_context


class Case(test_own.Case):

    def refuse(self, change, *args):
        with self.assertRaises(parallel.UnprotectedError):
            in_context(change, *args)


def count(n):
    for i in range(n):
        yield i


async def acount():
    yield 1


class GeneratorsTest(Case):

    def test_finalizing_by_name(self):
        gen = count(3)
        next(gen)
        self.refuse(lambda: gen.__del__())
        self.assertEqual(list(gen), [1, 2])

    def test_closing_and_throwing(self):
        async def coroutine():
            pass

        def started():
            gen = (lambda: (yield from count(3)))()
            next(gen)
            return gen

        def in_try():
            try:
                yield 1
            finally:
                pass
        later = in_try()
        next(later)
        for gen in count(3), started(), coroutine(), later, acount():
            state = gen.gi_frame if hasattr(gen, "gi_frame") else None
            for use in (lambda: gen.close(), lambda: gen.aclose(),
                        lambda: gen.throw(ValueError), lambda: gen.__del__()):
                with self.assertRaises((parallel.UnprotectedError,
                                        AttributeError)):
                    in_context(use)
            if state:
                self.assertIs(gen.gi_frame, state)
            if hasattr(gen, "close"):
                gen.close()

    def test_the_frame_that_is_not_there_yet(self):
        gen = count(3)
        self.refuse(lambda: gen.gi_frame)
        frame = gen.gi_frame
        self.assertTrue(in_context(lambda: gen.gi_frame is frame))

    def test_asynchronous(self):
        gen = acount()
        for make in (lambda: gen.__anext__(), lambda: gen.asend(None),
                     lambda: gen.athrow(ValueError), lambda: gen.aclose(),
                     lambda: next(anext(gen, 0))):
            self.refuse(make)
        with self.assertRaises(StopIteration) as caught:
            gen.__anext__().send(None)
        self.assertEqual(caught.exception.value, 1)

    def test_awaitables(self):
        for make in (lambda: acount().__anext__(), lambda: acount().asend(None),
                     lambda: acount().athrow(ValueError),
                     lambda: acount().aclose(), lambda: anext(acount(), 0)):
            awaitable = make()
            for use in (lambda: awaitable.close(), lambda: next(awaitable),
                        lambda: awaitable.send(None),
                        lambda: awaitable.throw(ValueError)):
                self.refuse(use)
            awaitable.close()


class FuturesTest(Case):

    def test_awaiting_mains(self):
        loop = asyncio.new_event_loop()
        future = loop.create_future()
        self.refuse(lambda: list(future))
        self.refuse(lambda: future.__await__())
        self.assertFalse(future._asyncio_future_blocking)
        future.set_result(1)
        self.refuse(lambda: list(future))
        loop.close()

    def test_iterators_of_the_contexts_own(self):
        loop = asyncio.new_event_loop()
        future = loop.create_future()

        def body():
            own = asyncio.Future(loop=loop)
            return {id(iter(own)) for _ in range(300)}
        with parallel.Executor(memory="counted") as executor:
            theirs = executor.submit(body).result()
        several = [iter(future) for _ in range(300)]
        self.assertFalse(theirs & set(map(id, several)))
        loop.close()


    def test_the_name_of_a_task(self):
        loop = asyncio.new_event_loop()
        task = asyncio.Task(asyncio.sleep(0), loop=loop)
        name = in_context(lambda: task.get_name())
        self.assertEqual(_parallel.find_strays(), [])
        self.assertEqual(task.get_name(), name)
        loop.run_until_complete(task)
        loop.close()


class GroupsTest(Case):

    def test_a_new_group_of_mains(self):
        by = itertools.groupby([1, 1, 2])
        group = next(by)[1]
        self.refuse(lambda: type(group)(by, 1))
        self.assertEqual(list(group), [1, 1])


class LocksTest(Case):
    """A child of fork() makes locks new; nobody else may."""

    def test_those_of_threads(self):
        for lock in threading.Lock(), threading.RLock(), threading.Condition():
            with lock:
                self.refuse(lambda: lock._at_fork_reinit())
            self.assertTrue(lock.acquire(blocking=False))
            lock.release()

    def test_those_of_processes(self):
        lock = multiprocessing.RLock()._semlock
        with lock:
            self.refuse(lambda: lock._after_fork())
            self.assertEqual(lock._count(), 1)


class FramesTest(Case):

    def test_locals(self):
        def grow(frame):
            frame.f_locals["more"] = []
        local, cell, frame = 1, 2, sys._getframe()

        def set_to(name, value):
            frame.f_locals[name] = value
        self.refuse(set_to, "local", 5)
        self.refuse(set_to, "cell", 5)
        self.refuse(grow, frame)
        self.assertEqual((local, (lambda: cell)()), (1, 2))
        self.assertEqual(in_context(lambda: frame.f_locals["local"]), 1)

    def test_those_of_callers(self):
        frame = sys._getframe()
        self.refuse(lambda: frame.f_back)

        def own():
            return (lambda: sys._getframe().f_back.f_code.co_name)()
        self.assertEqual(in_context(own), "own")


class ViewsTest(Case):

    def test_views_of_views(self):
        for memory in "auto", "arena", "counted":
            view = memoryview(bytearray(b"abc"))
            for make in memoryview, lambda v: v[1:], lambda v: v.cast("b"):
                with parallel.Executor(memory=memory) as executor:
                    for _ in range(3):
                        executor.submit(self.look, make, view).result()
            self.assertEqual(bytes(view), b"abc")
            view.release()

    def test_they_write_nothing(self):
        program = """
import parallel
view = memoryview(bytearray(b"abc"))
def body():
    return [bytes(v) for v in (view[1:], view.cast("b"), view.toreadonly(),
                               memoryview(view))], view == b"abc"
with parallel.Executor() as executor:
    print(executor.submit(body).result())
"""
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True,
            env={**os.environ, "PYTHONPARALLELGUARD": "auto"}, timeout=60)
        self.assertEqual((done.stdout, done.stderr),
                         ("([b'bc', b'abc', b'abc', b'abc'], True)\n", ""))

    @staticmethod
    def look(make, view):
        with make(view) as other:
            return other.tobytes() + bytes(make(view))


type Alias = list[Point]
def generic[T: Point, *Ts = Point, **P = Point](x: T): ...
def either[T: (Point, int) = Point](x: T): ...
class Point: pass


class LazyTest(Case):
    """What is evaluated when first asked for."""

    def test_it_has_its_value_and_stays_open(self):
        t, ts, p = generic.__type_params__
        s, = either.__type_params__
        union = list[t] | None
        for ask, expected in (
                (lambda: Alias.__value__, list[Point]),
                (lambda: t.__bound__, Point),
                (lambda: ts.__default__, Point),
                (lambda: p.__default__, Point),
                (lambda: s.__default__, Point),
                (lambda: s.__constraints__, (Point, int)),
                (lambda: union.__parameters__, (t,)),
                (lambda: union[int], list[int] | None)):
            self.assertTrue(in_context(lambda: ask() == expected))
            self.assertEqual(_parallel.find_strays(), [])
            self.assertEqual(ask(), expected)


    def test_the_places_of_a_match(self):
        match = re.match("(a)b", "ab")
        self.assertTrue(in_context(lambda: match.regs == ((0, 2), (0, 1))))
        self.assertEqual(_parallel.find_strays(), [])
        self.assertEqual(match.regs, ((0, 2), (0, 1)))


class DecimalTest(Case):

    def test_flags_of_a_context(self):
        context = decimal.Context()
        for name in "copy_abs", "is_nan", "to_sci_string":
            self.refuse(lambda: getattr(context, name)(1.5))
        self.assertFalse(context.flags[decimal.FloatOperation])
        self.assertEqual(in_context(lambda: context.copy().prec), context.prec)


class CTypesTest(Case):

    def test_fields(self):
        class Pair(ctypes.Structure):
            _fields_ = [("a", ctypes.c_int), ("b", ctypes.py_object)]
        pair = Pair(1, None)
        self.refuse(lambda: setattr(pair, "a", 5))
        self.refuse(lambda: setattr(pair, "b", [1]))
        self.refuse(lambda: Pair.a.__set__(pair, 5))
        self.assertEqual((pair.a, pair.b), (1, None))


class ErrorsTest(Case):
    """What an exception takes along that cannot leave, and what refers to it."""

    def outcome(self, body, *args):
        try:
            in_context(body, *args)
        except Exception as error:  # with its traceback
            return error

    def test_a_part_that_cannot_leave_in_two_places(self):
        for make in (lambda own: [1, own, 3], lambda own: ([1], own),
                     lambda own: {1: 2, 2: own}, lambda own: [[own]]):
            def body():
                part = make(sys._getframe())
                error = ValueError(part, part, [part])
                error.again, error.well = part, [1]
                raise error
            error = self.outcome(body)
            for part in (*error.args, error.again):
                self.assertRegex(part, "<.* object of a context>")
            self.assertEqual(error.well, [1])

    def test_what_was_copied_on_the_way_is_forgotten(self):
        def body():
            first, second = [], []
            first += [second, sys._getframe()]
            second.append(first)
            raise ValueError(first, second, [4])
        text = "<list object of a context>"
        self.assertEqual(self.outcome(body).args, (text, text, [4]))

    def test_an_exception_among_its_own_arguments(self):
        def itself():
            error = ValueError(1)
            error.args = (error, 2)
            raise error

        def group():
            part = ValueError(1)
            whole = ExceptionGroup("whole", [part])
            part.args = (whole,)
            part.__cause__ = whole
            raise whole
        self.assertEqual(self.outcome(itself).args,
                         ("<ValueError object of a context>", 2))
        self.assertEqual(self.outcome(group).args[0], "whole")

    def test_long_chains_and_tracebacks(self):
        def chain(length):
            error = None
            for i in range(length):
                following = ValueError(i)
                following.__context__, error = error, following
            raise error

        def deep(length):
            sys.setrecursionlimit(length + 100)

            def down(n):
                return down(n - 1) if n else 1 / 0
            down(length)
        length, count, frames = 200_000, 0, 0
        error = self.outcome(chain, length)
        while error is not None:
            error, count = error.__context__, count + 1
        at = self.outcome(deep, length).__traceback__
        while at is not None:
            at, frames = at.tb_next, frames + 1
        self.assertEqual(count, length)
        self.assertGreater(frames, length)

    def test_no_memory_for_a_traceback(self):
        def body():
            sys.setrecursionlimit(10**6)

            def down(n):
                return down(n + 1)
            down(0)
        parallel.set_memory_limit(32 << 20)
        try:
            error = self.outcome(body)
        finally:
            parallel.set_memory_limit(None)
        self.assertIsInstance(error, MemoryError)


class SilentFailuresTest(Case):
    """C code that fails without an exception, or raises one and goes on."""

    def test_no_memory_to_compile(self):
        def body(work):
            kept = fill_memory()
            try:
                work()
            except Exception as error:
                return type(error).__name__, len(kept)
        parallel.set_memory_limit(8 << 20)
        try:
            for work in (functools.partial(eval, "1"),  # a debug build would assert
                         functools.partial(compile, "1", "name", "exec"),  # if quickened
                         lambda *args: eval(*args, "1")):  # called without a check
                self.assertEqual(in_context(body, work), ("MemoryError", 2))
        finally:
            parallel.set_memory_limit(None)

    def test_guards_in_functions_without_a_result(self):
        for clear in (lambda: struct._clearcache(),
                      lambda *args: struct._clearcache(*args)):
            with self.assertRaises(parallel.ParallelError):
                in_context(clear)
        local, frame = 1, sys._getframe()
        proxy = frame.f_locals
        self.refuse(lambda: operator.ior(proxy, {"local": 2}))
        self.assertEqual(local, 1)


class FunctionsTest(Case):
    """Functions of modules in C that change what they are given, or the process."""

    def test_the_file_of_mains_code(self):
        code = count.__code__
        name = code.co_filename
        self.refuse(lambda: _imp._fix_co_filename(code, "other"))

        def own():
            outer = compile("lambda: 1", name, "eval").replace(co_consts=(code,))
            _imp._fix_co_filename(outer, "other")
            return outer.co_filename
        self.assertEqual(in_context(own), "other")
        self.assertEqual(code.co_filename, name)

    def test_closed_ones(self):
        array = (ctypes.c_int * 3)(1, 2, 3)
        channel = _interpchannels.create(1)
        for call in (lambda: ctypes.resize(array, 100),
                     lambda: _interpchannels.create(1),
                     lambda: _interpchannels.send(channel, 1),
                     lambda: _interpqueues.create(0, 0, 1),
                     lambda: atexit._run_exitfuncs(),
                     lambda: os.nice(0),
                     lambda: os.sched_setaffinity(0, {0}),
                     lambda: socket.setdefaulttimeout(5)):
            with self.assertRaisesRegex(parallel.ParallelError, "in a context"):
                in_context(call)
        _interpchannels.destroy(channel)
        self.assertEqual(ctypes.sizeof(array), 12)
        self.assertIsNone(socket.getdefaulttimeout())


class ProcessTest(Case):

    def test_the_fault_handler(self):
        for change in (lambda: faulthandler.enable(sys.__stderr__.fileno()),
                       lambda: faulthandler.disable(),
                       lambda: faulthandler.dump_traceback_later(100),
                       lambda: faulthandler.cancel_dump_traceback_later(),
                       lambda: faulthandler.register(signal.SIGUSR1),
                       lambda: faulthandler.unregister(signal.SIGUSR1)):
            with self.assertRaisesRegex(parallel.ParallelError, "faulthandler"):
                in_context(change)

    def test_a_lock_that_the_guard_has_refused_is_free(self):
        program = """
import parallel, threading
lock = threading.RLock()
with lock:
    pass
def body():
    with lock:
        return 1
parallel.submit_work(body)
try:
    parallel.run()
except parallel.FrozenMemoryError:
    pass
assert lock.acquire(timeout=5)
"""
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True,
            env={**os.environ, "PYTHONPARALLELGUARD": "auto"}, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_monitoring(self):
        def trace_own_frame():
            frame = sys._getframe()
            frame.f_trace = print
            frame.f_trace_opcodes = True
        use = sys.monitoring
        for change in (trace_own_frame,
                       lambda: use.use_tool_id(3, "mine"),
                       lambda: use.free_tool_id(3),
                       lambda: use.set_events(3, use.events.LINE),
                       lambda: use.set_local_events(3, count.__code__, 1),
                       lambda: use.restart_events()):
            with self.assertRaisesRegex(parallel.ParallelError, "monitoring"):
                in_context(change)


if __name__ == "__main__":
    unittest.main()
