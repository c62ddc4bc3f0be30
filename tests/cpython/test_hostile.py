"""Code that sets out to change main's objects, by ways that look like reading.

Run by the patched interpreter: python tests/cpython/test_hostile.py

Most of it was found by programs that call whatever dir() shows on objects of all
kinds. Each attempt either raises UnprotectedError or has the value that it has
on the main side; main's object is the same afterwards.
"""
import ctypes
import sys
import unittest

import parallel
from parallel import _parallel
from test_contexts import in_context


class Case(unittest.TestCase):

    def tearDown(self):
        self.assertEqual(_parallel.find_strays(), [])

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


class CTypesTest(Case):

    def test_fields(self):
        class Pair(ctypes.Structure):
            _fields_ = [("a", ctypes.c_int), ("b", ctypes.py_object)]
        pair = Pair(1, None)
        self.refuse(lambda: setattr(pair, "a", 5))
        self.refuse(lambda: setattr(pair, "b", [1]))
        self.refuse(lambda: Pair.a.__set__(pair, 5))
        self.assertEqual((pair.a, pair.b), (1, None))


if __name__ == "__main__":
    unittest.main()
