"""Weak references that leave a context, and what is made of them.

Run by the patched interpreter: python tests/cpython/test_weak.py
"""
import abc
import collections
import dataclasses
import enum
import functools
import gc
import itertools
import operator
import random
import sys
import types
import unittest
import warnings
import weakref

import _testcapi
import parallel
from parallel import _parallel
from support import Case, in_context
from test_returns import LAZY, LEAVES


class Thing:
    def __init__(self, name=0):
        self.name = name

    def method(self):
        return self.name

    def __call__(self):
        return self


class Node:
    """A tree: parents keep their children."""

    def __init__(self, parent=None):
        self.children = []
        self.parent = parent and weakref.ref(parent)
        if parent:
            parent.children.append(self)


class Sibling:
    """Hashed by Python code, and equal to others."""

    def __init__(self, name):
        self.name = name

    def __hash__(self):
        return hash(self.name)

    def __eq__(self, other):
        return isinstance(other, Sibling) and self.name == other.name


@dataclasses.dataclass(frozen=True)
class Tagged:
    """Hashed by a set that is filled late."""
    tags: frozenset

    def about(self):
        return sorted(tag.name for tag in self.tags)


class Named(weakref.ref):
    __slots__ = "name",


class Noted(weakref.ref):
    pass


class Bits(enum.Flag):
    A, B, C = 1, 2, 4


def loop():
    """What only the collector would find to be garbage."""
    thing = Thing()
    thing.itself = thing
    return thing


def captive():
    return operator.methodcaller("upper")


def dead(proxy):
    try:
        proxy.name
    except ReferenceError:
        return True
    return False


class References(Case):

    def test_to_what_is_in_the_result(self):
        """Before it, behind it, within it."""
        def make():
            thing = Thing([1])
            thing.weak = weakref.ref(thing)
            return weakref.ref(thing), thing, [weakref.ref(thing)]
        before, thing, (behind,) = in_context(make)
        self.assertIs(type(before), weakref.ref)
        self.assertIs(before(), thing)
        self.assertIs(before, behind)
        self.assertIs(thing.weak, before)
        self.assertIs(weakref.ref(thing), before)
        self.assertEqual(weakref.getweakrefcount(thing), 1)
        self.assertEqual(hash(before), hash(thing))
        del thing
        gc.collect()
        self.assertIsNone(before())

    def test_to_what_nobody_holds(self):
        called = []
        note = parallel.call_from_main_thread(called.append)

        def make():
            seen = []
            thing = loop()
            return (weakref.ref(thing), weakref.ref(thing, lambda _: note(1)),
                    weakref.ref(thing, seen.append), weakref.proxy(thing), Named(thing), seen)
        plain, noting, listing, proxy, named, seen = in_context(make)
        self.assertEqual([plain(), noting(), listing(), named()], [None] * 4)
        self.assertIsNone(noting.__callback__)
        self.assertIsNone(listing.__callback__)
        self.assertTrue(dead(proxy))
        self.assertEqual((seen, called), ([], []))
        with self.assertRaisesRegex(TypeError, "gone away"):
            hash(plain)

    def test_to_what_has_died_there(self):
        def make():
            seen = []
            thing = Thing()
            weak = weakref.ref(thing, seen.append)
            hash(weak)
            del thing
            return weak, seen, {weak: 1}
        for memory in "auto", "counted":
            weak, seen, table = in_context(make, memory=memory)
            self.assertIsNone(weak())
            self.assertEqual(table, {weak: 1})
        self.assertEqual(len(seen), 1)
        self.assertIs(seen[0], weak)

    def test_to_every_kind(self):
        """Whoever has made the copy, it has a list of its own."""
        def make(kind):
            thing, seen = kind(), []
            try:
                return [weakref.ref(thing, seen.append), weakref.ref(thing), thing, seen]
            except TypeError:
                return None
        some = 0
        self.enterContext(warnings.catch_warnings(action="ignore"))  # of coroutines
        for name, kind in [(name, make) for name, (make, _) in LEAVES.items()] + [*LAZY.items()]:
            with self.subTest(name):
                got = in_context(make, kind)
                if not got:
                    continue
                noting, plain, thing, seen = got
                self.assertIs(plain(), thing)
                self.assertIs(noting(), thing)
                self.assertIs(weakref.ref(thing), plain)
                mine = thing is kind()
                del thing, got
                gc.collect()
                if not mine:
                    self.assertIsNone(plain())
                    self.assertEqual(seen, [noting])
                some += 1
        self.assertGreater(some, 50)

    def test_alone(self):
        self.assertIsNone(in_context(lambda: weakref.ref(loop()))())
        self.assertTrue(dead(in_context(lambda: weakref.proxy(loop()))))
        self.assertIsNone(in_context(lambda: weakref.WeakMethod(loop().method))())

    def test_what_it_refers_to_is_not_copied(self):
        """It may be large, or be one that cannot leave."""
        def make():
            thing = loop()
            thing.name = captive()
            return weakref.ref(thing)
        self.assertIsNone(in_context(make)())

    def test_to_mains(self):
        """The one that main has, if it has."""
        thing, other = Thing(1), Thing(2)
        mine = weakref.ref(thing)
        got = in_context(lambda: [weakref.ref(thing), weakref.ref(thing), weakref.ref(other)])
        self.assertIs(got[0], mine)
        self.assertIs(got[1], mine)
        self.assertIs(got[2], weakref.ref(other))
        proxy = in_context(lambda: weakref.proxy(thing))
        self.assertIs(proxy, weakref.proxy(thing))
        self.assertEqual(weakref.getweakrefcount(thing), 2)
        del thing
        self.assertIsNone(got[0]())
        self.assertTrue(dead(proxy))

    def test_to_mains_class_and_function(self):
        got = in_context(lambda: [weakref.ref(Thing), weakref.ref(int), weakref.ref(loop)])
        self.assertEqual([weak() for weak in got], [Thing, int, loop])

    def test_a_callback(self):
        """Called on the main side when the copy goes, once."""
        def make(thing):
            seen = []
            return thing, weakref.ref(thing, seen.append), seen
        mine = Thing()
        thing, weak, seen = in_context(lambda: make(Thing()))
        self.assertIs(weak(), thing)
        self.assertIsNot(weakref.ref(thing), weak)
        self.assertEqual(seen, [])
        del thing
        self.assertEqual(seen, [weak])
        self.assertIs(seen[0], weak)
        thing, weak, seen = in_context(make, mine)
        self.assertIs(thing, mine)
        self.assertIs(weak(), mine)
        del thing, mine
        self.assertEqual(seen, [weak])

    def test_the_callback_alone_holds_it(self):
        def make():
            thing = Thing(3)
            return weakref.ref(thing, lambda _, thing=thing: None)
        weak = in_context(make)
        self.assertEqual(weak().name, 3)

    def test_the_callback_of_a_dead_one_holds_another(self):
        """The other goes with it, and is noticed."""
        def make():
            one, other, seen = loop(), Thing(), []
            return (weakref.ref(one, lambda _, other=other: None),
                    weakref.ref(other, seen.append), seen)
        first, second, seen = in_context(make)
        self.assertIsNone(first())
        self.assertIsNone(second())
        self.assertEqual(seen, [second])

    def test_the_callback_leads_to_it(self):
        def make():
            thing = Thing()
            thing.weak = weakref.ref(thing, lambda weak: thing.weak)
            return thing
        thing = in_context(make)
        self.assertIs(thing.weak(), thing)
        gone = weakref.ref(thing)
        del thing
        gc.collect()
        self.assertIsNone(gone())

    def test_many_of_one(self):
        """In the order that weakrefobject.c wants."""
        def make():
            thing, seen = Thing(7), []
            return (thing, weakref.ref(thing, seen.append), Named(thing), weakref.proxy(thing),
                    weakref.ref(thing), weakref.proxy(thing, seen.append), Noted(thing), seen)
        thing, *weak, seen = in_context(make)
        self.assertEqual(weakref.getweakrefcount(thing), 6)
        self.assertIs(weakref.ref(thing), weak[3])
        self.assertIs(weakref.proxy(thing), weak[2])
        self.assertEqual(weakref.getweakrefcount(thing), 6)
        self.assertEqual({id(it) for it in weakref.getweakrefs(thing)}, set(map(id, weak)))
        del thing
        self.assertEqual({id(it) for it in seen}, {id(weak[0]), id(weak[4])})
        self.assertEqual(len(seen), 2)

    def test_one_that_goes_before_its_referent(self):
        def make():
            thing = Thing()
            return thing, [weakref.ref(thing), Named(thing), Noted(thing), weakref.proxy(thing)]
        thing, weak = in_context(make)
        while weak:
            weak.pop(len(weak) // 2)
            self.assertEqual(weakref.getweakrefcount(thing), len(weak))

    def test_proxies(self):
        def make():
            thing, plain = Thing(2), Node()
            return weakref.proxy(thing), weakref.proxy(plain), thing, plain
        call, proxy, thing, plain = in_context(make)
        self.assertIs(type(call), weakref.CallableProxyType)
        self.assertIs(type(proxy), weakref.ProxyType)
        self.assertIs(call(), thing)
        self.assertEqual(call.name, 2)
        proxy.children.append(1)
        self.assertEqual(plain.children, [1])
        del plain
        self.assertTrue(dead(proxy))

    def test_derived_classes(self):
        def make():
            thing, name = Thing(), [1]
            one, other = Named(thing), Noted(thing)
            one.name = other.more = name
            return one, other, thing, name
        one, other, thing, name = in_context(make)
        self.assertEqual((type(one), type(other)), (Named, Noted))
        self.assertIs(one(), thing)
        self.assertIs(other(), thing)
        self.assertIs(one.name, name)
        self.assertIs(other.more, name)

    def test_a_class_made_there(self):
        def make():
            class Mine(weakref.ref):
                __slots__ = "name", "__weakref__"

                def __call__(self):
                    return super().__call__(), self.name
            thing = Thing()
            weak = Mine(thing)
            weak.name = [2]
            return weak, thing, weakref.ref(weak), Mine
        weak, thing, weaker, cls = in_context(make)
        self.assertEqual(weak(), (thing, [2]))
        self.assertIs(type(weak), cls)
        self.assertIs(weaker(), weak)
        del weak
        self.assertIsNone(weaker())

    def test_methods(self):
        def make():
            thing, seen = Thing([5]), []
            return weakref.WeakMethod(thing.method), weakref.WeakMethod(
                thing.method, seen.append), thing, seen
        one, other, thing, seen = in_context(make)
        self.assertEqual(one(), thing.method)
        self.assertEqual(one, other)
        self.assertEqual(one()(), [5])
        del thing
        self.assertIsNone(one())
        self.assertEqual(seen, [other])

    def test_a_tree(self):
        def make():
            root = Node()
            for _ in range(3):
                Node(Node(root))
            return root.children[1]
        node = in_context(make)
        self.assertIsNone(node.parent())
        self.assertIs(node.children[0].parent(), node)

        def whole():
            root = Node()
            for _ in range(3):
                Node(Node(root))
            return root
        root = in_context(whole)
        for child in root.children:
            self.assertIs(child.parent(), root)
            self.assertIs(child.children[0].parent(), child)

    def test_a_class_with_a_registry(self):
        def make():
            class Base:
                known = weakref.WeakValueDictionary()
                all = weakref.WeakSet()

                def __init_subclass__(cls):
                    Base.known[cls.__name__] = cls

                def __init__(self):
                    self.all.add(self)

            class Kept(Base):
                pass
            type("Lost", (Base,), {})
            Base()
            return Base, Kept, Kept()
        base, kept, it = in_context(make)
        self.assertEqual(dict(base.known), {"Kept": kept})
        self.assertEqual(set(base.all), {it})
        self.assertEqual(base.__subclasses__(), [kept])

        class More(base):
            pass
        self.assertEqual(set(base.known), {"Kept", "More"})

    def test_abstract_classes(self):
        def make():
            class Shape(abc.ABC):
                pass

            @Shape.register
            class Held:
                pass
            Shape.register(type("Lost", (), {}))
            Shape.register(Thing)
            return Shape, Held
        shape, held = in_context(make)
        self.assertTrue(issubclass(held, shape))
        self.assertTrue(issubclass(Thing, shape))
        self.assertFalse(issubclass(Node, shape))
        self.assertEqual(len(shape.__subclasses__()), 0)

    def test_a_member_of_mains_flags(self):
        """Main's class has it from then on, and so it is not in the memo."""
        def make():
            both = Bits.A | Bits.C
            return both, weakref.ref(both)
        for _ in range(2):
            both, weak = in_context(make)
            self.assertIs(both, Bits.A | Bits.C)
            self.assertIs(weak(), both)

    def test_to_what_becomes_another(self):
        """A copy of a class that takes no weak references."""
        def make():
            class Mine(ValueError):
                pass
            error = Mine("x")
            error.weak = weakref.ref(error)
            raise error
        with self.assertRaises(ValueError) as caught:
            in_context(make)
        self.assertIs(type(caught.exception), ValueError)
        self.assertIsNone(caught.exception.weak())

    def test_in_exceptions(self):
        def make():
            error = KeyError("k")
            error.thing = Thing()
            error.weak = weakref.ref(error.thing), weakref.proxy(error.thing)
            error.lost = weakref.WeakSet([loop()])
            raise error
        with self.assertRaises(KeyError) as caught:
            in_context(make)
        error = caught.exception
        self.assertIs(error.weak[0](), error.thing)
        self.assertEqual(error.weak[1].name, 0)
        self.assertEqual(len(error.lost), 0)

    def test_in_calls(self):
        """Each call, and the result, has copies of its own."""
        seen = []
        later = parallel.call_from_main_thread(lambda *args: seen.append(args))
        wait = parallel.call_from_main_thread_and_wait(lambda *args: seen.append(args))

        def make():
            thing, lost = Thing(4), loop()
            weak = weakref.ref(thing), weakref.proxy(lost)
            names = weakref.WeakValueDictionary(thing=thing, lost=lost)
            for call in wait, later:
                call(weak, thing, names)
            return weak[0](), len(names), weak
        thing, count, weak = in_context(make)
        self.assertEqual(count, 2)
        self.assertIs(weak[0](), thing)
        self.assertTrue(dead(weak[1]))
        self.assertEqual(len(seen), 2)
        for weak, copy, names in seen:
            self.assertIs(weak[0](), copy)
            self.assertTrue(dead(weak[1]))
            self.assertEqual(dict(names), {"thing": copy})
            self.assertEqual(len(names.data), 1)


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

    def test_finalize(self):
        """Called at the end of the callback, as ever."""
        called = []
        note = parallel.call_from_main_thread(called.append)

        def make():
            thing = Thing()
            return thing, weakref.finalize(thing, note, 1)
        thing, final = in_context(make)
        self.assertFalse(final.alive)
        self.assertEqual(called, [1])
        del thing
        self.assertEqual(called, [1])


class Failures(Case):

    def test_something_else_cannot_leave(self):
        called = []
        mine = Thing()

        def note(weak):
            called.append(1)

        def make(first):
            thing = Thing()
            parts = [thing, weakref.ref(thing, note), weakref.proxy(thing), weakref.ref(Thing, note),
                     weakref.WeakSet([thing, mine]), weakref.WeakKeyDictionary({thing: 1, mine: 2}),
                     captive()]
            return parts[::first]
        for first in 1, -1:
            before = weakref.getweakrefcount(Thing)
            with self.assertRaises(parallel.PersistenceError):
                in_context(make, first)
            self.assertEqual(weakref.getweakrefcount(Thing), before)
            self.assertEqual(weakref.getweakrefcount(mine), 0)
            self.assertEqual(called, [])

    def test_the_callback_cannot_leave(self):
        def make(lost):
            thing = loop() if lost else Thing()
            return weakref.ref(thing, captive()), None if lost else thing
        for lost in False, True:
            with self.assertRaisesRegex(parallel.PersistenceError, "methodcaller"):
                in_context(make, lost)

    def test_an_attribute_of_an_error_cannot_leave(self):
        """It is left out, with what was copied for it."""
        def make():
            error = KeyError("k")
            thing = Thing()
            error.parts = [thing, weakref.ref(thing), weakref.WeakSet([thing]), captive()]
            error.weak = weakref.ref(thing)
            raise error
        with self.assertRaises(KeyError) as caught:
            in_context(make)
        self.assertIsNone(caught.exception.weak())

    def test_a_hash_that_fails(self):
        class Failing:
            fails = False

            def __hash__(self):
                if self.fails:
                    raise ValueError("no hash")
                return 1

        def make():
            it, lost = Failing(), loop()
            all = weakref.WeakSet([it, lost])
            it.fails = True
            return it, all, weakref.ref(it)
        for _ in range(3):
            with self.assertRaisesRegex(ValueError, "no hash"):
                in_context(make)
        gc.collect()
        self.assertEqual(len([it for it in gc.get_objects() if type(it) is Failing]), 0)

    def test_no_memory(self):
        """Each allocation of the harvest fails, alone and with all after: a whole copy, or
        an error, and no callback is called."""
        called = []

        def note(weak):
            called.append(1)

        def make():
            thing, lost, seen = Thing(), loop(), []
            one = Tagged(frozenset([Sibling(1), Sibling(2)]))
            return [thing, weakref.ref(thing, note), weakref.ref(lost, note), weakref.proxy(thing),
                    weakref.WeakSet([thing, lost]), weakref.WeakValueDictionary(a=thing, b=lost),
                    weakref.WeakKeyDictionary({one: 1}), one, weakref.ref(Thing, note)]

        def crossing(first, count):
            seen = []
            put = parallel.call_from_main_thread(seen.append)
            parallel.submit_work(lambda: put(make()))
            _testcapi.set_nomemory(first, first + count)
            try:
                _parallel.run_once(-1, True)
            except Exception as error:
                _testcapi.remove_mem_hooks()
                seen.append(type(error))
            _testcapi.remove_mem_hooks()
            while parallel.active_count():
                try:
                    parallel.run()
                except Exception as error:
                    seen.append(type(error))
            return seen
        whole, before = 0, weakref.getweakrefcount(Thing)
        gc.disable()  # without memory it would not leave dicts as they should be
        self.addCleanup(gc.enable)
        for first, count in itertools.product(range(1, 400, 2), (1, 1000)):
            for got in crossing(first, count):
                if got is MemoryError:
                    self.assertEqual(called, [])
                else:
                    whole += 1
                    self.assertIs(got[1](), got[0])
                    self.assertIsNone(got[2]())
                    self.assertEqual((len(got[4]), len(got[6])), (1, 1))
                    got.clear()
                    called.clear()
            got = None
        gc.collect()
        self.assertGreater(whole, 10)
        self.assertLessEqual(weakref.getweakrefcount(Thing), before)

    def test_memory_is_flat(self):
        def make():
            seen, things = [], [Thing(n) for n in range(3)]
            lost = loop()
            return (things, weakref.WeakSet(things + [lost]),
                    weakref.WeakValueDictionary(a=things[0], b=lost),
                    weakref.WeakKeyDictionary({thing: 1 for thing in things + [lost]}),
                    weakref.ref(things[0], seen.append), weakref.ref(lost, seen.append),
                    weakref.proxy(things[1]), Named(things[2]), weakref.WeakMethod(things[0].method),
                    weakref.ref(Thing), weakref.ref(Thing, seen.append),
                    {weakref.ref(things[1]), weakref.ref(things[0])})

        def fail():
            return [*make(), captive()]
        growth = []
        for _ in range(4):  # each worker warms up
            before = sys.getallocatedblocks()
            for _ in range(50):
                in_context(make)
                try:
                    in_context(fail)
                except parallel.PersistenceError:
                    pass
            gc.collect()
            growth.append(sys.getallocatedblocks() - before)
        self.assertLess(min(growth), 50, growth)
        self.assertLessEqual(weakref.getweakrefcount(Thing), 8)


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
            return repr(it() and it().__self__)
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
