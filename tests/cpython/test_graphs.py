"""Results that are graphs of all kinds of objects, at random: the copy is alike.

Run by the patched interpreter: python tests/cpython/test_graphs.py
"""
import abc
import array
import collections
import ctypes
import datetime
import decimal
import functools
import gc
import itertools
import random
import re
import sys
import threading
import types
import unittest

import parallel

from support import in_context
from test_results import (Point, Frozen, Strict, Key, List, Dict, Pair,
                          with_attribute)


CAPTIVE = sys._getframe  # which no copier knows


def generator(first, more):
    kept = [first]
    try:
        got = yield first
        for item in more:
            kept.append(got)
            got = yield item, kept
    except KeyError as error:
        yield error
        yield first


class Graph:
    """A list of things that refer to each other, the same for each seed."""

    def __init__(self, seed, sentinel):
        self.random = random.Random(seed)
        self.sentinel = sentinel
        self.things = [sentinel, None, "text", 2 ** 70, 1.5]
        self.classes = [object]

    def some(self, count=3):
        return [self.random.choice(self.things)
                for _ in range(self.random.randrange(count))]

    def one(self):
        return self.random.choice(self.things)

    def hashable(self):
        return self.random.choice([Key(self.random.random()), "k" * 3, 7,
                                   (Key(1), "x"), frozenset([1, Key("z")])])

    def closure(self):
        bound = self.one()
        return lambda: bound

    def cls(self):
        """With what is bound to it: functions with super(), descriptors."""
        base = self.random.choice(self.classes)
        kept = self.one()

        class Made(base, metaclass=self.random.choice([type, abc.ABCMeta])
                   if type(base) is type else type(base)):
            part = self.one()
            __slots__ = [[], ["slot"], ["slot", "other", "__dict__"]][
                self.random.randrange(3) if base is object else 0]

            def get(self):
                return __class__, super().__hash__, kept
            value = property(get, doc="a value")
            static = staticmethod(self.closure())
            of_class = classmethod(get)
        if self.random.randrange(3) == 0:
            Made = type(Made)("MadeByName", (Made,), {"get": Made.get, "more": self.some()})
        self.classes.append(Made)
        return Made

    def instance(self):
        made = self.random.choice(self.classes)()
        for name in "slot", "other", "x", "y":
            if self.random.randrange(2):
                try:
                    setattr(made, name, self.one())
                except AttributeError:
                    pass
        return made

    def module(self):
        made = types.ModuleType("made")
        made.part = self.one()
        exec("def get(): return part, later", vars(made))
        made.later = self.some()
        return made if self.random.randrange(2) else made.get

    def generator(self):
        made = generator(self.one(), self.some(6))
        for _ in range(self.random.randrange(3)):
            next(made, None)
        if self.random.randrange(4) == 0:
            try:
                made.throw(KeyError(self.one() if self.random.randrange(2) else 1))
            except (KeyError, StopIteration):
                pass
        return made

    def iterator(self):
        table = {key: self.one() for key in range(self.random.randrange(6))}
        made = self.random.choice([iter, reversed])(self.random.choice(
            [table, table.values(), table.items()]))
        self.things.append(table)
        return made

    def started(self, iterator):
        for _ in range(self.random.randrange(3)):
            next(iterator, None)
        return iterator

    def make(self):
        choices = [
            self.cls, self.cls, self.instance, self.instance, self.instance,
            self.module, self.generator, self.generator,
            lambda: self.started(self.iterator()),
            lambda: self.started(iter({1, 2, 3})),
            lambda: self.started(itertools.product(self.some(), self.some(4))),
            lambda: self.started(itertools.permutations(self.some(5), 2)),
            lambda: self.started(itertools.combinations(self.some(5), 2)),
            lambda: self.started(itertools.tee(iter(self.some(9)))[0]),
            lambda: Point(self.one(), []).__eq__, lambda: self.some().append,
            lambda: [threading.Lock(), threading.Condition(), threading.RLock()],
            lambda: vars(self.random.choice(self.classes[1:] or [Point])),
            lambda: self.random.choice(list(vars(self.random.choice(
                self.classes[1:] or [Point])).values())),
            lambda: Point(self.one(), self.some()),
            lambda: Frozen(self.one(), self.one()),
            lambda: tuple(self.some()), lambda: Pair(self.one(), self.one()),
            lambda: List(self.some()), lambda: self.some(),
            lambda: {self.hashable(): self.one() for _ in range(3)},
            lambda: {self.hashable() for _ in range(3)},
            lambda: collections.OrderedDict((k, self.one()) for k in "ab"),
            lambda: collections.deque(self.some(5), 4),
            lambda: types.SimpleNamespace(a=self.one(), b=self.one()),
            lambda: with_attribute(Dict(a=self.one())),
            lambda: collections.defaultdict(self.closure(), x=self.one()),
            lambda: functools.partial(len, self.one(), k=self.one()),
            self.closure,
            lambda: datetime.timedelta(self.random.randrange(9)),
            lambda: decimal.Decimal(self.random.randrange(99)),
            lambda: bytearray(b"abc"), lambda: array.array("i", [1, 2]),
            lambda: slice(self.one(), self.one()),
            lambda: Strict(self.one()),
        ]
        return self.random.choice(choices)()

    def tie(self):
        """Let something refer to something that came later."""
        thing, other = self.one(), self.one()
        if type(thing) in (list, List):
            thing.append(other)
        elif type(thing) is Point:
            thing.x = other
        elif type(thing) is types.SimpleNamespace:
            thing.c = other
        elif isinstance(thing, type) and is_made(thing):
            thing.later = other
        elif type(thing) is types.ModuleType:
            thing.later = other
        elif is_made(type(thing)) and hasattr(thing, "__dict__"):
            vars(thing)["later"] = other

    def build(self, size):
        for _ in range(size):
            self.things.append(self.make())
            self.tie()
        return self.things


def is_made(cls):
    return cls.__name__.startswith("Made")


def slots(thing):
    for cls in type(thing).__mro__:
        for name in vars(cls).get("__slots__", ()):
            if isinstance(name, str) and name != "__dict__":
                yield getattr(thing, name, "unset")


def parts_of_made(thing):
    """Of what a context has made a class of its own for, and of generators."""
    kind = type(thing)
    if isinstance(thing, type) and is_made(thing):
        mine = [item for item in vars(thing).items() if item[0] not in ("__dict__", "_abc_impl")]
        return ([part for item in mine for part in item] + [*thing.__bases__, kind] +
                thing.__subclasses__(),
                (thing.__name__, thing.__qualname__, thing.__flags__, thing.__basicsize__))
    if is_made(kind):
        return [kind, *slots(thing), *getattr(thing, "__dict__", {}).values()], None
    if kind is types.GeneratorType:
        names = thing.gi_frame.f_locals if thing.gi_frame else {}
        return list(names.values()), (thing.gi_frame and thing.gi_frame.f_lasti, list(names))
    if kind is types.MethodType:
        return [thing.__self__, thing.__func__], None
    if kind is types.BuiltinFunctionType:
        return [thing.__self__], thing.__name__
    if kind is property:
        return [thing.fget], thing.__doc__
    if kind in (staticmethod, classmethod):
        return [thing.__func__, *vars(thing).values()], tuple(vars(thing))
    if kind is types.MemberDescriptorType:
        return [thing.__objclass__], thing.__name__
    if kind is types.ModuleType:
        return [value for name, value in vars(thing).items() if name != "__builtins__"], None
    if kind is types.MappingProxyType:
        return parts(next(cls for cls in gc.get_referrers(*gc.get_referents(thing))
                          if isinstance(cls, type) and vars(cls) == thing))
    return [], None


ITERATORS = [type(iter([])), type(iter({})), type(iter({}.values())), type(iter({}.items())),
             type(reversed({})), type(reversed({}.values())), type(reversed({}.items()))]


def parts(thing):
    """What the copy of a thing has to be made of, in order."""
    kind = type(thing)
    if kind in ITERATORS:
        return list(thing.__reduce__()[1][0]), None
    if kind is type(iter(set())):
        return sorted(thing.__reduce__()[1][0]), None
    if isinstance(thing, (tuple, list, collections.deque)):
        return list(thing), len(thing)
    if isinstance(thing, (dict, Dict)):
        found = [part for item in dict.items(thing) for part in item]
        if kind is collections.defaultdict:
            found.append(thing.default_factory)
        return found, len(thing)
    if isinstance(thing, (set, frozenset)):
        return sorted(thing, key=repr_of_key), len(thing)
    if kind in (Point, types.SimpleNamespace, Strict, Key):
        return list(vars(thing).values()), tuple(vars(thing))
    if kind is Frozen:
        return [thing.a, thing.b], None
    if kind is functools.partial:
        return [*thing.args, *thing.keywords.values()], thing.func
    if kind is types.FunctionType:
        return ([cell.cell_contents for cell in thing.__closure__ or ()] +
                list(vars(thing).values()), thing.__code__)
    if kind is slice:
        return [thing.start, thing.stop], None
    if kind in (datetime.timedelta, decimal.Decimal, bytearray, array.array):
        return [], thing
    return parts_of_made(thing)


def repr_of_key(key):
    return repr(key.name if type(key) is Key else
                sorted(map(repr_of_key, key)) if isinstance(key, (frozenset, tuple))
                else key)


def canonical(root, sentinel):
    """The same for graphs of the same shape."""
    numbers, told, todo = {}, [], [root]

    def number(thing):
        if thing is sentinel or isinstance(thing, (str, int, float, type(None))):
            return "main's" if thing is sentinel else thing
        if id(thing) not in numbers:
            numbers[id(thing)] = len(numbers)
            todo.append(thing)
        return "#%d" % numbers[id(thing)]
    number(root)
    todo.pop()
    while todo:
        thing = todo.pop(0)
        found, rest = parts(thing)
        told.append((type(thing).__name__, rest, [number(part) for part in found]))
    return told


# ---- words -----------------------------------------------------------------

# Instructions, or hashes beside the references.
OTHERS = int, str, bytes, float, complex, bool, set, frozenset, re.Pattern


def words(thing):
    """What lies in its memory; but for instructions."""
    if isinstance(thing, type) and not thing.__flags__ & 1 << 9:
        return []  # C code's
    size = type(thing).__basicsize__
    if type(thing).__itemsize__ and type(thing) is not types.CodeType:
        size += type(thing).__itemsize__ * max(0, ctypes.c_ssize_t.from_address(
            id(thing) + 16).value)
    return (ctypes.c_size_t * (size // 8)).from_address(id(thing))


def everything_in(root, before):
    """But for what main had before."""
    seen, todo = {id(root): root}, [root]
    while todo:
        thing = todo.pop()
        more = gc.get_referents(thing)
        if isinstance(thing, dict):
            more += list(dict.keys(thing))
        for part in more:
            if id(part) not in seen and id(part) not in before:
                seen[id(part)] = part
                todo.append(part)
    return seen.values()


class AtRandom(unittest.TestCase):
    def test_same_shape(self):
        sentinel = object()
        for seed in range(600):
            with self.subTest(seed=seed):
                here = Graph(seed, sentinel).build(seed % 60)
                there = in_context(lambda: Graph(seed, sentinel).build(seed % 60))
                self.assertEqual(canonical(there, sentinel),
                                 canonical(here, sentinel))

    def test_no_word_of_a_context(self):
        """In no place of a copy's, whether or not anybody visits it."""
        sentinel = object()
        for seed in range(100):
            before = set(map(id, gc.get_objects()))
            near, made = in_context(lambda: (id([]), Graph(seed, sentinel).build(30)))
            for thing in everything_in(made, before):
                if type(thing) not in OTHERS:
                    found = [word for word in words(thing) if abs(word - near) < 1 << 25]
                    self.assertEqual(found, [], type(thing))

    def test_what_cannot_leave(self):
        """Of all that has been copied before, nothing is left, nor runs."""
        sentinel = object()
        for seed in range(100):
            with self.assertRaises(parallel.PersistenceError):
                in_context(lambda: Graph(seed, sentinel).build(30) + [CAPTIVE()])
        gc.collect()
        self.assertEqual([cls for cls in object.__subclasses__() if is_made(cls)], [])

    def test_nothing_stays(self):
        sentinel = object()

        def cross(seeds):
            for seed in seeds:
                in_context(lambda: Graph(seed, sentinel).build(30))
            gc.collect()
            return (sys.getrefcount(sentinel), len(gc.get_objects()),
                    sys.getallocatedblocks())
        cross(range(100))
        references, objects, blocks = cross(range(100))
        for _ in range(3):
            again = cross(range(100))
        self.assertEqual(again[0], references)
        self.assertLess(again[1] - objects, 50)
        self.assertLess(again[2] - blocks, 2000)


if __name__ == "__main__":
    unittest.main()
