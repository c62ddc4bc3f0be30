"""What a context must not change: main's objects, and what is the process's.

Run by the patched interpreter: python tests/cpython/test_changes.py
"""
import array
import atexit
import collections
import contextlib
import decimal
import io
import os
import signal
import sys
import threading
import unittest

import parallel
from support import Case, in_context


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y


class Slotted:
    __slots__ = ("a",)


GLOBAL = 0


def set_global():
    global GLOBAL
    GLOBAL = 1


def make_counter():
    count = 0

    def step():
        nonlocal count
        count += 1
        return count
    return step


class Changes(Case):
    """Each change of main's objects raises, and changes nothing."""

    def test_list(self):
        x = [3, 1, 2]
        self.refuse(
            lambda: x.append(1), lambda: x.extend([1]), lambda: x.insert(0, 1),
            lambda: x.pop(), lambda: x.remove(1), lambda: x.clear(),
            lambda: x.sort(), lambda: x.reverse(), lambda: x.__init__(),
            lambda: x.__setitem__(0, 1), lambda: x.__delitem__(0),
            lambda: x.__setitem__(slice(1), []), lambda: x.__imul__(2),
            lambda: x.__setitem__(slice(0, 3, 2), [7, 8]),
            lambda: x.__imul__(0), lambda: x.__iadd__((1,)),
            lambda: x.extend(i for i in range(3)), state=x.copy)

    def test_dict(self):
        x = {"a": 1}
        self.refuse(
            lambda: x.__setitem__("a", 2), lambda: x.__setitem__("b", 2),
            lambda: x.__delitem__("a"), lambda: x.pop("a"), lambda: x.popitem(),
            lambda: x.clear(), lambda: x.update(b=1), lambda: x.update([(1, 2)]),
            lambda: x.setdefault("b", 1), lambda: x.__ior__({"b": 1}),
            state=x.copy)
        self.assertEqual(in_context(lambda: x.setdefault("a", 5)), 1)
        self.assertEqual(in_context(lambda: x.pop("none", 7)), 7)

    def test_empty_dict(self):
        x = {}
        self.refuse(lambda: x.__setitem__("a", 2), lambda: x.setdefault(1, 2),
                    lambda: x.update(a=1), state=x.copy)

    def test_set(self):
        x = {1, 2}
        self.refuse(
            lambda: x.add(3), lambda: x.discard(1), lambda: x.remove(1),
            lambda: x.pop(), lambda: x.clear(), lambda: x.update([3]),
            lambda: x.__ior__({3}), lambda: x.__iand__({1}),
            lambda: x.__isub__({1}), lambda: x.__ixor__({1}),
            lambda: x.intersection_update([1]),
            lambda: x.difference_update([1]),
            lambda: x.symmetric_difference_update([1]), state=x.copy)

    def test_bytearray(self):
        x = bytearray(b"abc")
        self.refuse(
            lambda: x.append(1), lambda: x.extend(b"1"), lambda: x.clear(),
            lambda: x.pop(), lambda: x.reverse(), lambda: x.__setitem__(0, 1),
            lambda: x.__setitem__(slice(2), b""), lambda: x.__iadd__(b"1"),
            lambda: memoryview(x).__setitem__(0, 1), state=lambda: bytes(x))
        self.assertEqual(in_context(lambda: bytes(memoryview(x))), b"abc")
        x.append(1)  # no export was left behind

    def test_attributes(self):
        point, slotted = Point(1, 2), Slotted()
        slotted.a = 1

        def by_opcode():
            point.x = 5

        def slot_by_opcode():
            slotted.a = 5

        def item_by_opcode():
            items[0] = 5
        items = [1]
        for _ in range(50):
            by_opcode(), slot_by_opcode(), item_by_opcode()
        point.x = slotted.a = items[0] = 1
        self.refuse(
            by_opcode, slot_by_opcode, item_by_opcode,
            lambda: setattr(point, "new", 1), lambda: delattr(point, "x"),
            lambda: setattr(Point, "new", 1),
            lambda: setattr(slotted, "a", 2), lambda: delattr(slotted, "a"),
            lambda: setattr(set_global, "mark", 1),
            state=lambda: (dict(point.__dict__), slotted.a, items[:],
                           dir(Point), vars(set_global).copy()))

    def test_a_copy_of_a_dict(self):
        point = Point(1, 2)

        def body():
            attributes = vars(point).copy()
            attributes["x"] = 10
            return attributes, point.x
        self.assertEqual(in_context(body), ({"x": 10, "y": 2}, 1))
        self.assertEqual(vars(point), {"x": 1, "y": 2})

    def test_globals_and_cells(self):
        step = make_counter()
        self.refuse(set_global, lambda: globals().update(GLOBAL=2), step,
                    state=lambda: GLOBAL)
        self.assertEqual(step(), 1)

    def test_refused_value(self):
        kept = None

        def keep(value):
            nonlocal kept
            kept = value

        def left_behind():
            value = object()
            before = sys.getrefcount(value)
            with contextlib.suppress(parallel.UnprotectedError):
                keep(value)
            return sys.getrefcount(value) - before

        self.assertEqual(in_context(left_behind, memory="counted"), 0)
        self.assertIsNone(kept)

    def test_iterators(self):
        def numbers():
            yield 1
            yield 2
        for make in (numbers, lambda: iter([1, 2]), lambda: iter((1, 2)),
                     lambda: zip((1, 2)), lambda: map(int, "12"),
                     lambda: enumerate("ab")):
            it = make()
            self.refuse(lambda: next(it), lambda: list(it),
                        lambda: [x for x in it], lambda: it.__next__())
            self.assertEqual(len(list(it)), 2)

    def test_deque(self):
        x = collections.deque([1, 2, 3])
        self.refuse(
            lambda: x.append(1), lambda: x.appendleft(1), lambda: x.pop(),
            lambda: x.popleft(), lambda: x.extend([1]), lambda: x.clear(),
            lambda: x.extendleft([1]), lambda: x.rotate(), lambda: x.reverse(),
            lambda: x.remove(2), lambda: x.insert(1, 5), lambda: x.__init__([1]),
            lambda: x.__setitem__(0, 1), lambda: x.__delitem__(0),
            lambda: x.__imul__(2), state=lambda: list(x))
        self.assertEqual(in_context(lambda: (x[1], len(x), list(x))),
                         (2, 3, [1, 2, 3]))

    def test_array(self):
        x = array.array("i", [3, 1, 2])
        self.refuse(
            lambda: x.append(1), lambda: x.extend([1]), lambda: x.pop(),
            lambda: x.insert(0, 1), lambda: x.reverse(), lambda: x.byteswap(),
            lambda: x.fromlist([1]), lambda: x.frombytes(b"abcd"),
            lambda: x.remove(1), lambda: x.__setitem__(0, 1),
            lambda: x.__delitem__(0), lambda: x.__imul__(2),
            lambda: x.__setitem__(slice(2), x[:1]), state=lambda: x.tobytes())

    def test_ordered_dict(self):
        x = collections.OrderedDict(a=1, b=2)
        self.refuse(
            lambda: x.__setitem__("a", 2), lambda: x.__setitem__("c", 2),
            lambda: x.__delitem__("a"), lambda: x.pop("a"), lambda: x.popitem(),
            lambda: x.clear(), lambda: x.move_to_end("a"),
            lambda: x.update(b=1), lambda: x.setdefault("c"),
            state=lambda: list(x.items()))

    def test_files(self):
        text, data = io.StringIO("a\nb"), io.BytesIO(b"a\nb")
        file = open(__file__)
        self.addCleanup(file.close)
        for each in text, data:
            self.refuse(each.read, each.readline, lambda: each.seek(1),
                        lambda: next(each), each.close,
                        lambda: each.truncate(0),
                        state=lambda: (each.tell(), each.getvalue()))
        self.refuse(file.read, file.readline, lambda: next(file),
                    lambda: file.seek(1), lambda: file.buffer.read(1),
                    lambda: file.write("x"), file.detach, state=file.tell)

    def test_exceptions_of_main(self):
        error = ValueError("main's")
        self.refuse(lambda: error.add_note(""),
                    lambda: setattr(error, "args", ()),
                    lambda: setattr(error, "__cause__", error),
                    lambda: setattr(error, "__context__", error),
                    state=lambda: (error.args, error.__cause__))

        def body():
            try:
                try:
                    raise error
                finally:
                    raise KeyError from error
            except KeyError as other:
                return other.__cause__ is error
        self.assertTrue(in_context(body))
        self.assertIsNone(error.__traceback__)
        self.assertIsNone(error.__context__)

    def test_it_can_be_caught(self):
        x = []

        def body():
            try:
                x.append(1)
            except parallel.UnprotectedError as error:
                return str(error)
        self.assertIn("'list' object", in_context(body))

    def test_what_belongs_to_the_process(self):
        directory, limit = os.getcwd(), sys.getrecursionlimit()
        handler = signal.getsignal(signal.SIGUSR1)
        for change in (
                os.fork, os.forkpty, lambda: os.chroot("/"),
                sys._current_frames, sys._clear_type_cache,
                sys._clear_internal_caches, lambda: threading.stack_size(0),
                lambda: sys._setprofileallthreads(print),
                lambda: sys._settraceallthreads(print),
                lambda: os.putenv("PX_TEST", "1"),
                lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN),
                lambda: signal.alarm(100), lambda: sys.settrace(print),
                lambda: sys.setprofile(print),
                lambda: threading.Thread(target=print).start(),
                lambda: atexit.register(print)):
            with self.assertRaises(parallel.ParallelError):
                in_context(change)
        self.assertEqual((os.getcwd(), sys.getrecursionlimit()),
                         (directory, limit))
        self.assertEqual(signal.getsignal(signal.SIGUSR1), handler)
        self.assertNotIn("PX_TEST", os.environ)

    def test_running_from_a_context(self):
        with self.assertRaises(parallel.ParallelError):
            in_context(parallel._parallel.run_once)

    def test_setters_of_classes_in_c(self):
        def function():
            pass
        place = decimal.Context(prec=5)

        def rename():
            function.__name__ = "spoilt"

        def widen():
            place.prec = 6
        for body in rename, widen:
            parallel.submit_work(body)
            with self.assertRaises(parallel.UnprotectedError):
                parallel.run()
        self.assertEqual((function.__name__, place.prec), ("function", 5))


if __name__ == "__main__":
    unittest.main()
