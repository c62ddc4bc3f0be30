"""Weak containers that leave a context; graphs with weak references, against main.

Run by the patched interpreter: python tests/cpython/test_weak_containers.py
"""
import collections
import functools
import gc
import random
import types
import unittest
import weakref

import parallel
from support import Case, in_context
from test_weak import Named, Node, Sibling, Tagged, Thing, loop


class Containers(Case):

    def test_values(self):
        def make():
            kept, lost = Thing(1), loop()
            names = weakref.WeakValueDictionary(kept=kept, lost=lost)
            names[Sibling(2)] = kept
            return names, kept
        names, kept = in_context(make)
        self.assertEqual(dict(names), {"kept": kept, Sibling(2): kept})
        self.assertEqual((len(names), len(names.data)), (2, 2))
        names["more"] = more = Thing()
        self.assertEqual(len(names), 3)
        del kept
        self.assertEqual(list(names.data), ["more"])
        del more
        self.assertEqual(names.data, {})

    def test_keys(self):
        def make():
            kept, lost = Thing(1), loop()
            table = weakref.WeakKeyDictionary({kept: [1], lost: [2]})
            table[Thing] = 3
            return table, kept
        table, kept = in_context(make)
        self.assertEqual(dict(table), {kept: [1], Thing: 3})
        self.assertEqual((len(table), len(table.data)), (2, 2))
        self.assertEqual(table[kept], [1])
        del kept
        self.assertEqual([ref() for ref in table.data], [Thing])

    def test_sets(self):
        def make():
            kept, lost = Thing(1), loop()
            return weakref.WeakSet([kept, lost, Node]), kept
        all, kept = in_context(make)
        self.assertEqual(set(all), {kept, Node})
        self.assertEqual((len(all), len(all.data)), (2, 2))
        self.assertIn(kept, all)
        all.add(loop)
        del kept
        self.assertEqual(set(all), {Node, loop})
        self.assertEqual(len(all.data), 2)

    def test_an_iterator_of_one(self):
        def make():
            kept = [Thing(n) for n in range(3)]
            all = weakref.WeakSet(kept)
            all.add(loop())
            it = iter(all)
            return it, next(it).name, kept, all
        it, first, kept, all = in_context(make)
        self.assertIn(len(all), (3, 4))  # it may be at the one that only it holds
        self.assertEqual({first, *(thing.name for thing in it)} - {0}, {1, 2})
        gc.collect()
        self.assertEqual((len(all), len(all.data)), (3, 3))
        kept.pop()
        self.assertEqual(len(all.data), 2)

    def test_plain_ones(self):
        """As main's: they keep what is dead."""
        def make():
            kept, lost = Thing(), loop()
            both = weakref.ref(kept), weakref.ref(lost)
            return (both, kept, set(both), frozenset(both), {both[0]: 1, both[1]: 2}, {both: 3},
                    collections.OrderedDict.fromkeys(both))
        both, kept, members, frozen, table, tuples, ordered = in_context(make)
        self.assertEqual(members, set(both))
        self.assertEqual(frozen, set(both))
        self.assertEqual(table, {both[0]: 1, both[1]: 2})
        self.assertEqual(tuples, {both: 3})
        self.assertEqual(list(ordered), list(both))

    def test_hashed_by_python_code(self):
        def make():
            kept, lost = [Sibling(1), Sibling(2)], Sibling(3)
            lost.itself = lost
            all = *kept, lost
            return (weakref.WeakKeyDictionary(zip(all, "abc")), weakref.WeakSet(all), kept,
                    {weakref.ref(it) for it in all})
        table, all, kept, plain = in_context(make)
        self.assertEqual(dict(table), {Sibling(1): "a", Sibling(2): "b"})
        self.assertEqual(set(all), set(kept))
        self.assertEqual(len(plain), 3)
        self.assertIn(weakref.ref(kept[0]), plain)
        kept.pop()
        self.assertEqual(table.data, {weakref.ref(kept[0]): "a"})
        self.assertEqual(len(all.data), 1)

    def test_hashed_by_what_is_filled_late(self):
        """Wherever it comes, and by references among it."""
        def make(first):
            one, other = (Tagged(frozenset([Sibling(n), Sibling(0)])) for n in (1, 2))
            edge = frozenset([weakref.ref(one), weakref.ref(other)])
            table = weakref.WeakKeyDictionary({one: 1, other: 2})
            weights = {edge: 3, Tagged(frozenset([Sibling(9)])): 4, (edge, 1): 5}
            held = [one, other]
            return (held, table, weights, edge)[::first]
        for first in 1, -1:
            held, table, weights, edge = in_context(make, first)[::first]
            one, other = held
            self.assertEqual(one.about(), [0, 1])
            self.assertEqual((table[one], table[other]), (1, 2))
            self.assertIn(weakref.ref(one), edge)
            self.assertEqual(weights[edge], 3)
            self.assertEqual(weights[edge, 1], 5)
            self.assertEqual(weights[frozenset([weakref.ref(other), weakref.ref(one)])], 3)
            self.assertEqual(hash(one), hash(Tagged(frozenset([Sibling(1), Sibling(0)]))))

    def test_hashing_drops_a_referent(self):
        """While containers are filled it stays, and is missed behind that."""
        def make():
            class Dropping(Sibling):
                holder = []

                def __hash__(self):
                    if not parallel.is_parallel_thread():
                        self.holder.clear()
                    return 1
            Dropping.holder.append(thing := Thing())
            return ({Dropping(1): 1}, weakref.WeakSet([thing]), {weakref.ref(thing): 1},
                    weakref.WeakKeyDictionary({thing: 1}), Dropping)
        drops, all, plain, table, cls = in_context(make)
        self.assertEqual(cls.holder, [])
        self.assertEqual((len(drops), len(plain)), (1, 1))
        self.assertEqual((len(all.data), len(table.data)), (0, 0))

    def test_single_dispatch(self):
        def make():
            @functools.singledispatch
            def kind(it):
                return "object"

            @kind.register
            def _(it: int):
                return "int"

            class Mine:
                @functools.singledispatchmethod
                def kind(self, it):
                    return "object"

                @kind.register
                def _(self, it: Thing):
                    return self, "thing"
            kind(1), kind("a"), Mine().kind(1)
            return kind, Mine
        kind, cls = in_context(make)
        self.assertEqual([kind(it) for it in (1, "a", True, None)],
                         ["int", "object", "int", "object"])

        @kind.register
        def _(it: str):
            return "str"
        self.assertEqual(kind("a"), "str")
        it = cls()
        self.assertEqual(it.kind(Thing()), (it, "thing"))
        self.assertEqual(it.kind(None), "object")

    def test_a_derived_one(self):
        def make():
            class Names(weakref.WeakValueDictionary):
                def __init__(self):
                    super().__init__()
                    self.more = [1]
            kept = Thing()
            names = Names()
            names["a"], names["b"] = kept, loop()
            return names, kept
        names, kept = in_context(make)
        self.assertEqual((dict(names), names.more, len(names.data)), ({"a": kept}, [1], 1))


# ---- against main ----------------------------------------------------------

class Knot:
    """By its address."""

    def __init__(self, number):
        self.number = number
        self.parts = []

    def __repr__(self):
        return f"{type(self).__name__} {self.number}"


class Valued(Knot):
    """By its number, in Python code."""

    def __hash__(self):
        return self.number % 5

    def __eq__(self, other):
        return type(other) is type(self) and other.number == self.number


class Weak:
    """Kinds of weak things, by the knots that they refer to."""

    def ref(a, b):
        return weakref.ref(a)

    def with_callback(a, b):
        return weakref.ref(a, lambda _, number=b.number: number)

    def proxy(a, b):
        return weakref.proxy(a)

    def named(a, b):
        weak = Named(a)
        weak.name = b.number
        return weak

    def pair(a, b):
        return weakref.ref(a), weakref.ref(b)

    def set(a, b):
        return weakref.WeakSet([a, b])

    def keys(a, b):
        return weakref.WeakKeyDictionary({a: b, b: 1})

    def values(a, b):
        return weakref.WeakValueDictionary({1: a, 2: b})

    def plain(a, b):
        return {weakref.ref(a), weakref.ref(b)}

    def frozen(a, b):
        return {frozenset([weakref.ref(a), weakref.ref(b)]): 1, (weakref.ref(a), 2): b}

    def method(a, b):
        return weakref.WeakMethod(a.__repr__)


KINDS = [make for name, make in vars(Weak).items() if isinstance(make, types.FunctionType)]


def knots(seed):
    """A graph of a few of them, of which a part is returned."""
    choose = random.Random(seed)
    all = [choose.choice((Knot, Valued))(n) for n in range(choose.randint(2, 9))]
    for _ in range(choose.randint(1, 12)):
        choose.choice(all).parts.append(choose.choice(all))
    for _ in range(choose.randint(1, 9)):
        choose.choice(all).parts.append(
            choose.choice(KINDS)(choose.choice(all), choose.choice(all)))
    roots = choose.sample(all, choose.randint(1, 2))
    if choose.random() < 0.5:
        roots.insert(0, choose.choice(KINDS)(choose.choice(all), choose.choice(all)))
    return roots


class Description:
    """The same for graphs of the same shape."""

    def __init__(self):
        self.seen = {}

    def __call__(self, it):
        if type(it) is weakref.ProxyType:
            try:
                return f"proxy {it.number}"
            except ReferenceError:
                return "dead proxy"
        if it is None or isinstance(it, (int, str)):
            return repr(it)
        if id(it) in self.seen:
            return f"again {self.seen[id(it)]}"
        self.seen[id(it)] = len(self.seen)
        return f"{type(it).__name__} {self.parts(it)}"

    def parts(self, it):
        if isinstance(it, Knot):
            return it.number, [self(part) for part in it.parts]
        if isinstance(it, weakref.WeakMethod):
            method = it()
            return repr(method and method.__self__)
        if isinstance(it, weakref.ref):
            return (repr(it()), hash(it) == hash(it()) if it() else None,
                    it() and it.__callback__ is not None, getattr(it, "name", None))
        if isinstance(it, weakref.WeakSet):
            return sorted(map(repr, it)), len(it), len(it.data), all(each in it for each in it)
        if isinstance(it, weakref.WeakKeyDictionary):
            return (sorted((repr(key), repr(it[key])) for key in it), len(it), len(it.data))
        if isinstance(it, weakref.WeakValueDictionary):
            return [(key, repr(value)) for key, value in it.items()], len(it), len(it.data)
        if isinstance(it, (set, frozenset)):
            return sorted(repr(weak()) for weak in it), all(weak in it for weak in it)
        if isinstance(it, dict):
            return [(self(key), self(value), it[key] is value) for key, value in it.items()]
        return [self(part) for part in it]


class AsMain(Case):

    def test_random_graphs(self):
        """What a collection leaves of another is for the next."""
        for seed in range(500):
            want, got = knots(seed), in_context(knots, seed)
            for _ in range(3):
                gc.collect()
            with self.subTest(seed):
                self.assertEqual(Description()(got), Description()(want))


if __name__ == "__main__":
    unittest.main()
