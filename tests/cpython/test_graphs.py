"""Results that are graphs of all kinds of objects, at random: the copy is alike.

Run by the patched interpreter: python tests/cpython/test_graphs.py
"""
import array
import collections
import datetime
import decimal
import functools
import gc
import random
import sys
import types
import unittest

from support import in_context
from test_results import (Point, Frozen, Strict, Key, List, Dict, Pair,
                          with_attribute)


class Graph:
    """A list of things that refer to each other, the same for each seed."""

    def __init__(self, seed, sentinel):
        self.random = random.Random(seed)
        self.sentinel = sentinel
        self.things = [sentinel, None, "text", 2 ** 70, 1.5]

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

    def make(self):
        choices = [
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

    def build(self, size):
        for _ in range(size):
            self.things.append(self.make())
            self.tie()
        return self.things


def parts(thing):
    """What the copy of a thing has to be made of, in order."""
    kind = type(thing)
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
        return [cell.cell_contents for cell in thing.__closure__], thing.__code__
    if kind is slice:
        return [thing.start, thing.stop], None
    return [], thing


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
        told.append((type(thing), rest, [number(part) for part in found]))
    return told


class AtRandom(unittest.TestCase):
    def test_same_shape(self):
        sentinel = object()
        for seed in range(300):
            with self.subTest(seed=seed):
                here = Graph(seed, sentinel).build(seed % 60)
                there = in_context(lambda: Graph(seed, sentinel).build(seed % 60))
                self.assertEqual(canonical(there, sentinel),
                                 canonical(here, sentinel))

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
