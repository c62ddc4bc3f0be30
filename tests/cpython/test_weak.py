"""Weak references that leave a context.

Run by the patched interpreter: python tests/cpython/test_weak.py
"""
import abc
import dataclasses
import enum
import gc
import itertools
import sys
import unittest
import warnings
import weakref

import parallel
from support import Case, crossing_without_memory, in_context
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
    return sys._getframe().clear


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
            with self.assertRaisesRegex(parallel.PersistenceError, "frame"):
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

        whole, before = 0, weakref.getweakrefcount(Thing)
        gc.disable()  # without memory it would not leave dicts as they should be
        self.addCleanup(gc.enable)
        for first, count in itertools.product(range(1, 400, 2), (1, 1000)):
            for got in crossing_without_memory(make, first, count):
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


if __name__ == "__main__":
    unittest.main()
