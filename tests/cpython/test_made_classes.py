"""Classes that a context has made, on the main side.

Run by the patched interpreter: python tests/cpython/test_made_classes.py
"""
import abc
import dataclasses
import enum
import functools
import gc
import itertools
import sys
import threading
import types
import unittest
import weakref

import parallel
from support import CALLS, Case, crossing_without_memory, in_context, note


class Base:
    def __init_subclass__(cls, **given):
        note("__init_subclass__")
        super().__init_subclass__(**given)


class Meta(type):
    def __new__(meta, name, bases, names):
        note("__new__")
        return super().__new__(meta, name, bases, names)

    def __init__(cls, *args):
        note("__init__")
        super().__init__(*args)

    def mro(cls):
        note("mro")
        return super().mro()

    def __setattr__(cls, name, value):
        note("__setattr__")
        super().__setattr__(name, value)

    def __hash__(cls):
        return 1

    def __instancecheck__(cls, thing):
        note("__instancecheck__")
        return super().__instancecheck__(thing)


class Named:
    def __set_name__(self, owner, name):
        note("__set_name__")

    def __get__(self, thing, owner=None):
        note("__get__")
        return self


def made_of(*bases, **names):
    return type("Made", bases, names)


class Classes(Case):
    def setUp(self):
        gc.collect()
        CALLS.clear()

    def test_nothing_is_called_again(self):
        def make():
            class Made(Base, metaclass=Meta):
                named = Named()

                def __new__(cls):
                    note("__new__ of it")
                    return super().__new__(cls)

                def __getattribute__(self, name):
                    note("__getattribute__")
                    return super().__getattribute__(name)
            return [Made(), Made]
        thing, cls = in_context(make)
        self.assertEqual(CALLS, [])
        self.assertIs(type(thing), cls)
        self.assertIs(type(cls), Meta)

    def test_one_copy(self):
        def make():
            above = made_of(object)
            below = made_of(above, of=above)
            above.below, above.one = below, below()
            return below(), above, [above, below], above.one
        thing, above, both, one = in_context(make)
        self.assertEqual(both, [above, above.below])
        self.assertIs(type(thing), both[1])
        self.assertIs(above.one, one)
        self.assertEqual(above.__subclasses__(), [both[1]])
        self.assertIs(both[1].of, above)
        self.assertIsNot(in_context(make)[1], above)

    def test_subclasses(self):
        got = in_context(lambda: made_of(Base))
        self.assertEqual(Base.__subclasses__(), [got])
        Base.__len__ = lambda self: 5
        self.addCleanup(delattr, Base, "__len__")
        self.assertEqual(len(got()), 5)
        again = type("Again", (got,), {})
        self.assertEqual(got.__subclasses__(), [again])
        gone = weakref.ref(got)
        del got, again
        gc.collect()
        self.assertIsNone(gone())
        self.assertEqual(Base.__subclasses__(), [])

    def test_changed_on_the_main_side(self):
        cls, thing = in_context(lambda: [cls := made_of(Base, x=1), cls()])
        for value in 2, 3:  # its cache of methods, too
            cls.x = value
            self.assertEqual([thing.x for _ in range(50)], [value] * 50)
        cls.__call__ = lambda self: "called"
        self.assertEqual(thing(), "called")
        thing.__class__ = Thing = made_of(Base)
        self.assertIs(type(thing), Thing)
        with self.assertRaises(parallel.UnprotectedError):
            in_context(setattr, cls, "x", 5)
        self.assertEqual(in_context(lambda: cls().x), 3)

    def test_many_attributes(self):
        def make():
            class Made:
                def __init__(self, count):
                    for i in range(count):
                        setattr(self, f"name_{i}", [i])
            return [Made(count) for count in (0, 1, 5, 29, 30, 31, 100)]
        for thing in in_context(make):
            self.assertEqual(list(vars(thing).values()),
                             [[i] for i in range(len(vars(thing)))])
            thing.new = 1
            self.assertEqual(vars(thing).pop("new"), 1)
            again = type(thing)(40)
            self.assertEqual(again.name_39, [39])

    def test_errors_with_a_class_of_the_contexts(self):
        """The exception becomes one of main's classes; what is in it has its own."""
        def fail():
            cls = made_of(ValueError)
            raise cls(made_of(object, x=[1])(), cls)
        with self.assertRaises(ValueError) as caught:
            in_context(fail)
        thing, cls = caught.exception.args
        self.assertEqual((thing.x, cls.__base__), ([1], ValueError))
        self.assertIs(type(caught.exception), ValueError)

    def test_what_fails_leaves_no_class(self):
        def make():
            return made_of(Base, fail=sys._getframe())
        for _ in range(3):
            self.assertRaises(parallel.PersistenceError, in_context, make)
        gc.collect()
        self.assertEqual(Base.__subclasses__(), [])

    def test_what_fails_is_not_finalized(self):
        def make():
            class Made(Base):
                def __del__(self):
                    note("del of " + __class__.__name__)
            kept = Made()
            kept.more = [Ends(), Made, sys._getframe()]
            return [kept, Ends(), ends()]

        class Ends:
            def __del__(self):
                note("del")

        def generator():
            try:
                yield
            finally:
                note("finally")

        def ends():
            made = generator()
            next(made)
            return made
        for _ in range(3):
            self.assertRaises(parallel.PersistenceError, in_context, make)
        gc.collect()
        self.assertEqual(CALLS, [])

    def test_finalizers_of_its_own_class(self):
        def make():
            class Made:
                def __del__(self):
                    note(self.x)
            made = Made()
            made.x = 7
            return made
        got = in_context(make)
        self.assertEqual(CALLS, [])
        del got
        self.assertEqual(CALLS, [7])

    def test_weak_references_to_copies(self):
        cls = in_context(lambda: made_of(object))
        thing = cls()
        self.assertIs(weakref.ref(thing)(), thing)
        self.assertIs(weakref.WeakSet([cls]).pop(), cls)

    def test_a_class_that_registers_itself(self):
        """What it did to main's registry was refused there; to its own, it comes with."""
        def make():
            registry = {}

            class Plugin:
                def __init_subclass__(cls):
                    registry[cls.__name__] = cls

            class One(Plugin):
                pass
            return Plugin, registry
        plugin, registry = in_context(make)
        self.assertEqual(list(registry), ["One"])
        type("Two", (plugin,), {})
        self.assertEqual(list(registry), ["One", "Two"])

    def test_abstract_classes(self):
        def make():
            class Shape(abc.ABC):
                @classmethod
                def __subclasshook__(cls, other):
                    return NotImplemented
            Shape.register(int)
            return Shape
        shape = in_context(make)
        self.assertEqual((issubclass(bool, shape), issubclass(str, shape)), (True, False))
        shape.register(str)
        self.assertTrue(isinstance("", shape))

    def test_enums_by_value(self):
        def make():
            class Made(enum.StrEnum):
                A = enum.auto()
                B = "b"
            return Made, {Made.A: 1}, Made.B
        cls, table, member = in_context(make)
        self.assertEqual((cls("a"), table[cls.A], member), (cls.A, 1, cls.B))
        self.assertIs(cls["B"], member)

    def test_hashed_by_their_class(self):
        def make():
            @dataclasses.dataclass(frozen=True)
            class Key:
                a: int
            return {Key(1): "one"}, {Key(1), Key(2)}, Key
        table, members, key = in_context(make)
        self.assertEqual((table[key(1)], len(members), key(2) in members), ("one", 2, True))

    def test_methods_that_wrap(self):
        def make():
            def wrap(func):
                @functools.wraps(func)
                def wrapped(*args):
                    return [func(*args)]
                return wrapped

            class Made:
                @wrap
                def get(self):
                    return super().__eq__(self)
                part = functools.partialmethod(get)
            return Made
        cls = in_context(make)
        self.assertEqual((cls().get(), cls().part()), ([True], [True]))
        self.assertEqual(cls.get.__wrapped__.__name__, "get")

    def test_in_the_making(self):
        """Main is asked about it by its metaclass, before there is an mro."""
        ask = parallel.call_from_main_thread_and_wait(lambda cls: cls.__name__)

        def make():
            class Asking(type):
                def mro(cls):
                    ask(cls)
                    return super().mro()
            return Asking("Made", (), {})
        with self.assertRaisesRegex(parallel.PersistenceError, "'Asking' object"):
            in_context(make)

    def test_too_deep(self):
        def generators(kept):
            for _ in range(50_000):
                kept = (i for i in [kept])
                next(kept)
            return kept

        def classes(kept):
            for _ in range(50_000):
                kept = type("Made", (), {"x": kept})()
            return kept

        def functions(kept):
            def bind(kept):
                return lambda: kept
            for _ in range(50_000):
                kept = bind(kept)
            return kept
        for make in generators, classes, functions:
            with self.assertRaises(RecursionError):
                in_context(make, None)

    def test_memory(self):
        def make():
            cls = made_of(Base, get=lambda self: cls, x=property(lambda self: 1))
            return [cls(), (i for i in [cls]), threading.Condition()]

        def cross():
            for _ in range(100):
                in_context(make)
            gc.collect()
            return len(gc.get_objects()), sys.getallocatedblocks()
        for _ in range(10):  # until free lists and pages are full
            first = cross()
        for _ in range(4):
            last = cross()
        self.assertLess(last[0] - first[0], 50)
        self.assertLess(last[1] - first[1], 300)


class NoMemory(Case):
    def test_each_allocation(self):
        """Of a class with all that may be in one, an enum, generators, a module."""
        def make():
            class Made(Base, metaclass=Meta):
                __slots__ = "a", "b"
                named, text = Named(), "".join("ab")

                def get(self):
                    return super().__str__(), __class__
                value = property(get)
                kept = [1, {2: "c"}]

            class Below(Made):
                def __init__(self):
                    self.a, self.x = [self], 1
            module = types.ModuleType("made")
            exec("def f(a): yield a, ones\nones = [1]", vars(module))
            it = module.f([Below()])
            color = enum.Enum("Color", "RED BLUE")
            return [Below(), it, module.f, color.RED, threading.Condition(),
                    itertools.permutations("abc"), iter({1: it}.items())]

        def check(seen):
            self.assertEqual(len(seen), 1)
            made, = seen
            if made is MemoryError:
                return False
            self.assertEqual((type(made[0]).__base__.text, made[0].a[0]), ("ab", made[0]))
            self.assertEqual(next(made[1])[1], [1])
            return True
        for count in 1, 1000:
            whole = [check(crossing_without_memory(make, first, count)) for first in range(1, 700, 3)]
            self.assertFalse(all(whole))
            self.assertTrue(whole[-1])
        gc.collect()
        self.assertEqual(Base.__subclasses__(), [])


if __name__ == "__main__":
    unittest.main()
