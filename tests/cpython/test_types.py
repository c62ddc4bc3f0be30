"""Main changes its classes while callbacks are stopped that have derived some of
their own from them.

Run by the patched interpreter: python tests/cpython/test_types.py

A *scene* makes classes of main's, and returns look() and change(). look() yields
once; change() is called meanwhile; what look() yields then must be the same on the
main side and in a context, however that is stopped.
"""
import abc
import collections.abc
import sys
import unittest

import parallel
import test_stop
from support import in_context, run


def outcome(use, *args):
    """What can leave a context."""
    try:
        value = use(*args)
    except Exception as error:
        return type(error).__name__
    plain = type(value) in (int, str, float, bool, bytes, tuple, type(None))
    return value if plain else type(value).__name__


def assign(target, name, value):
    target.__dict__[name] = value


def buffer_of(x):
    return bytes(memoryview(x))


async def in_async_for(x):
    async for item in x:
        return item


def awaited(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value


async def wait_for(x):
    return await x


def yield_from(x):
    yield from x


def increased(x):
    x += 1
    return x


def store(x):
    x.new = 1
    return vars(x).get("new"), vars(x).get("NEW")


def erase(x):
    x.old = 1
    del x.old
    return vars(x).get("old")


def item_set(x):
    x[1] = 2
    return vars(x).get("item")


def item_deleted(x):
    del x[1]
    return vars(x).get("item")


def through(x, use):
    """@x as a descriptor."""
    class Holder:
        field = x
    return use(Holder())


def set_field(holder):
    holder.field = 5
    return "set"


def delete_field(holder):
    del holder.field
    return "deleted"


def made(x):
    other = type(x)()
    return type(other).__name__, vars(other).get("made")


def made_by(cls, *args):
    x = object.__new__(cls)
    x.made = "new"
    return x


# name: what main gives the class, and what asks for it
SPECIAL = {
    "__add__": (lambda self, other: "add", lambda x: x + 1),
    "__radd__": (lambda self, other: "radd", lambda x: 1 + x),
    "__iadd__": (lambda self, other: "iadd", increased),
    "__sub__": (lambda self, other: "sub", lambda x: x - 1),
    "__mul__": (lambda self, other: "mul", lambda x: x * 2),
    "__rmul__": (lambda self, other: "rmul", lambda x: [1] * x),
    "__matmul__": (lambda self, other: "matmul", lambda x: x @ x),
    "__truediv__": (lambda self, other: "div", lambda x: x / 2),
    "__floordiv__": (lambda self, other: "floordiv", lambda x: x // 2),
    "__mod__": (lambda self, other: "mod", lambda x: x % 2),
    "__divmod__": (lambda self, other: "divmod", lambda x: divmod(x, 2)),
    "__pow__": (lambda self, other, mod=None: "pow", lambda x: x ** 2),
    "__lshift__": (lambda self, other: "lshift", lambda x: x << 2),
    "__and__": (lambda self, other: "and", lambda x: x & 2),
    "__or__": (lambda self, other: "or", lambda x: x | 2),
    "__xor__": (lambda self, other: "xor", lambda x: x ^ 2),
    "__neg__": (lambda self: "neg", lambda x: -x),
    "__pos__": (lambda self: "pos", lambda x: +x),
    "__invert__": (lambda self: "invert", lambda x: ~x),
    "__abs__": (lambda self: "abs", abs),
    "__int__": (lambda self: 17, int),
    "__float__": (lambda self: 1.5, float),
    "__index__": (lambda self: 2, lambda x: (10, 20, 30)[x]),
    "__bool__": (lambda self: False, bool),
    "__len__": (lambda self: 3, len),
    "__call__": (lambda self, *args: args, lambda x: x(1, 2)),
    "__getitem__": (lambda self, i: i, lambda x: x[5]),
    "__setitem__": (lambda self, i, v: assign(self, "item", (i, v)), item_set),
    "__delitem__": (lambda self, i: assign(self, "item", i), item_deleted),
    "__contains__": (lambda self, item: True, lambda x: 1 in x),
    "__iter__": (lambda self: iter((1, 2)), lambda x: tuple(x)),
    "__next__": (lambda self: "next", next),
    "__hash__": (lambda self: 1234, lambda x: hash(x) if hash(x) < 9999 else "address"),
    "__eq__": (lambda self, other: other == 7, lambda x: (x == 7, x != 7)),
    "__ne__": (lambda self, other: "ne", lambda x: x != 7),
    "__lt__": (lambda self, other: "lt", lambda x: x < 7),
    "__ge__": (lambda self, other: "ge", lambda x: x >= 7),
    "__repr__": (lambda self: "repr", lambda x: repr(x)[:4]),
    "__str__": (lambda self: "str", lambda x: str(x)[:3]),
    "__format__": (lambda self, spec: "fmt", lambda x: f"{x:>3}"),
    "__getattr__": (lambda self, name: name, lambda x: x.nothing),
    "__getattribute__": (lambda self, name: "all", lambda x: x.nothing),
    "__setattr__": (lambda self, name, value: assign(self, name.upper(), value),
                    store),
    "__delattr__": (lambda self, name: None, erase),
    "__init__": (lambda self, *args: assign(self, "made", "init"), made),
    "__new__": (made_by, made),
    "__get__": (lambda self, obj, cls: "get",
                lambda x: through(x, lambda holder: holder.field)),
    "__set__": (lambda self, obj, value: None,
                lambda x: through(x, set_field)),
    "__delete__": (lambda self, obj: None,
                   lambda x: through(x, delete_field)),
    "__await__": (lambda self: iter(()), lambda x: awaited(wait_for(x))),
    "__aiter__": (lambda self: self, lambda x: awaited(in_async_for(x))),
    "__buffer__": (lambda self, flags: memoryview(b"buffer"), buffer_of),
    "__enter__": (lambda self: "enter", lambda x: type(x).__enter__(x)),
    "__instancecheck__": (lambda self, x: True, lambda x: isinstance(1, x)),
}


def special(name, kind, way, defines=False):
    """Main adds this method to a class, deletes, replaces or forbids it there."""
    method, use = SPECIAL[name]
    other = None if name == "__init__" else 99

    class Top:
        pass

    class Base(Top):
        pass

    class Beside:
        pass
    target = Top if way == "top" else Base
    if kind != "added":
        setattr(target, name, method)

    def look():
        class Mine(Base):
            pass

        class Yours(Mine):
            pass

        class Both(Beside, Yours):
            pass

        class Defines(Base):
            locals()[name] = lambda *args: other
        classes = Mine, Yours, Both, *([Defines] if defines else [])
        things = [cls() for cls in classes]
        before = [outcome(use, thing) for thing in things]
        yield
        yield (before, [outcome(use, thing) for thing in things],
               [outcome(lambda: use(cls())) for cls in classes])

    def change():
        if kind == "added":
            setattr(target, name, method)
        elif kind == "deleted":
            delattr(target, name)
        elif kind == "forbidden":
            setattr(target, name, None)
        else:
            setattr(target, name, lambda *args: 5)
    return look, change


class Case(test_stop.Case):
    def stopped_in_a_call(self, body, change):
        future = self.submit(body, self.meeting.met)
        with self.meeting:
            change()
        return future.result(20)

    def stopped_at_a_look(self, body, change):
        flag, meeting = [], self.meeting

        def stop():
            meeting.begin()
            while not flag:
                pass
        future = self.submit(body, stop)
        self.meeting.await_begin()
        change()
        flag.append(1)
        return future.result(20)

    def stopped_to_ask(self, body, change):
        stop = parallel.call_from_main_thread_and_wait(lambda: change() and None)
        return self.submit(body, stop).result(20)

    def across(self, scene, *ways):
        """All ways to stop agree with what happens on the main side."""
        def expected():
            look, change = scene()
            steps = look()
            next(steps)
            change()
            return next(steps)
        right = expected()
        for way in ways or (self.stopped_in_a_call, self.stopped_at_a_look,
                            self.stopped_to_ask):
            look, change = scene()

            def body(stop):
                steps = look()
                next(steps)
                stop()
                return next(steps)
            with self.subTest(way=way.__name__):
                self.assertEqual(way(body, change), right)
        return right


# ---- special methods -------------------------------------------------------

class SpecialMethods(Case):
    def all_of(self, kind, way="base", **options):
        for name in SPECIAL:
            with self.subTest(name):
                self.across(lambda: special(name, kind, way, **options),
                            self.stopped_in_a_call)

    def test_added(self):
        self.all_of("added")

    def test_added_to_a_base_of_the_base(self):
        self.all_of("added", "top")

    def test_deleted(self):
        self.all_of("deleted")

    def test_deleted_from_a_base_of_the_base(self):
        self.all_of("deleted", "top")

    def test_replaced(self):
        self.all_of("replaced")

    def test_forbidden(self):
        self.all_of("forbidden")

    def test_what_the_context_defines_stays(self):
        self.all_of("added", defines=True)
        self.all_of("deleted", defines=True)

    def test_however_it_is_stopped(self):
        for name in "__len__", "__add__", "__call__", "__getattr__":
            for kind in "added", "deleted":
                right = self.across(lambda: special(name, kind, "base"))
                self.assertNotEqual(right[0][0], right[1][0])

    def test_one_after_the_other(self):
        """Added, replaced, deleted, in as many stops."""
        class Base:
            pass
        steps = [lambda: setattr(Base, "__len__", lambda self: 1),
                 lambda: setattr(Base, "__len__", lambda self: 2),
                 lambda: delattr(Base, "__len__"),
                 lambda: setattr(Base, "__bool__", lambda self: False)] * 5
        step = parallel.call_from_main_thread_and_wait(lambda: steps.pop(0)())

        def body():
            class Mine(Base):
                pass
            mine, seen = Mine(), []
            for _ in range(20):
                step()
                seen.append((outcome(len, mine), bool(mine)))
            return seen
        seen = self.submit(body).result(20)
        self.assertEqual(seen[:3], [(1, True), (2, True), ("TypeError", True)])
        self.assertEqual(seen[3:7], [("TypeError", False), (1, False),
                                     (2, False), ("TypeError", False)])

    def test_the_exception_at_hand_stays(self):
        class Base:
            pass

        def look():
            class Mine(Base):
                pass
            try:
                raise KeyError("mine")
            except KeyError:
                yield
                yield str(sys.exception()), len(Mine())

        def scene():
            return look, lambda: setattr(Base, "__len__", lambda self: 4)
        self.assertEqual(self.across(scene), ("'mine'", 4))

    def test_main_drops_the_class(self):
        def scene():
            class Base:
                pass
            held = [Base]
            del Base

            def look():
                class Mine(held[0]):
                    pass
                yield
                yield len(Mine()), Mine.__bases__[0].__name__

            def change():
                held[0].__len__ = lambda self: 6
                held.clear()
            return look, change
        self.assertEqual(self.across(scene), (6, "Base"))

    def test_code_that_main_has_warmed(self):
        def use(x):
            return x.value, x.method(), x[1], len(x), x == 3

        def scene():
            class Base:
                value = 1

                def method(self):
                    return 2

                def __getitem__(self, i):
                    return i

                def __len__(self):
                    return 3

                def __eq__(self, other):
                    return "eq"
            for _ in range(1000):
                use(Base())

            def look():
                class Mine(Base):
                    pass
                before = use(Base()), use(Mine())
                yield
                yield before, use(Base()), use(Mine())

            def change():
                Base.value = property(lambda self: "value")
                Base.method = lambda self: "method"
                Base.__getitem__ = lambda self, i: "item"
                Base.__len__ = lambda self: 4
                Base.__eq__ = lambda self, other: "other"
            return look, change
        self.across(scene)


class Learned(Case):
    """Code of main's that contexts have specialised remembers nothing of their
    classes."""

    def items(self, change):
        """What x[0] gives before and after change(class of x)."""
        class Base:
            def __getitem__(self, i):
                return "old"

        def get(x):
            return x[0]

        def body(change):
            class Mine(Base):
                pass
            mine = Mine()
            for _ in range(20000):
                before = get(mine)
            change(Mine)
            after = get(mine)
            for _ in range(20000):
                last = get(mine)
            return before, after, last
        work = [self.submit(body, change(Base)).result(20) for _ in range(3)]
        self.assertEqual(work, [("old", "new", "new")] * 3)

    def test_the_context_changes_its_class(self):
        def change(cls):
            cls.__getitem__ = lambda self, i: "new"
        self.items(lambda base: change)

    def test_main_changes_the_base(self):
        def change(base):
            base.__getitem__ = lambda self, i: "old"  # as before
            call = parallel.call_from_main_thread_and_wait(
                lambda: setattr(base, "__getitem__", lambda self, i: "new"))
            return lambda cls: call()
        self.items(change)


# ---- bases, flags, metaclasses ---------------------------------------------

class Orders(Case):
    def test_bases(self):
        def scene():
            class Old:
                def method(self): return "old"
                def __len__(self): return 1

            class New:
                def method(self): return "new"
                def __iter__(self): return iter("new")

            class Base(Old):
                pass

            def look():
                class Mine(Base):
                    def method(self): return super().method()

                class Yours(Mine):
                    pass
                yield
                yield [([c.__name__ for c in cls.__mro__], cls().method(),
                        outcome(len, cls()), outcome(tuple, cls()),
                        issubclass(cls, Old), issubclass(cls, New))
                       for cls in (Mine, Yours)]

            def change():
                Base.__bases__ = New,
            return look, change
        right = self.across(scene)
        self.assertEqual(right[1], (["Yours", "Mine", "Base", "New", "object"],
                                    "new", "TypeError", ("n", "e", "w"),
                                    False, True))

    def test_diamonds(self):
        """A class comes after its bases, and keeps the order of several."""
        def scene():
            class Root:
                pass

            class New(Root):
                pass

            class A(Root):
                pass

            class B(Root):
                pass

            def look():
                class Left(A):
                    pass

                class Right(B):
                    pass

                class Both(Left, Right):
                    pass

                class Mixed(Both, A, B):
                    pass
                yield
                yield [[c.__name__ for c in cls.__mro__]
                       for cls in (Left, Right, Both, Mixed)]

            def change():
                B.__bases__ = New,
                A.__bases__ = New,
            return look, change
        self.across(scene)

    def test_no_order_is_left(self):
        """The class keeps what it has, and somebody is told."""
        out, err = run("""
            import parallel
            class X: pass
            class Y: pass
            class A(type('Z', (), {})): pass
            class B(X, Y): pass
            def change():
                A.__bases__ = Y, X
                A.__len__ = lambda self: 8
            change = parallel.call_from_main_thread_and_wait(change)
            def body():
                class Mine(A, B): pass
                before = Mine.__mro__
                change()
                print(before == Mine.__mro__, len(Mine()))
            parallel.submit_work(body)
            parallel.run()
            """)
        self.assertEqual(out, "True 8\n")
        self.assertIn("keeps its old order", err)
        self.assertIn("TypeError: Cannot create a consistent", err)

    def test_a_metaclass_that_says_the_order(self):
        """mro() of a metaclass is called once for each stop, however much main has
        changed, and only if that were bases."""
        class Meta(type):
            def mro(cls):
                calls = getattr(cls, "calls", None)
                if calls is not None:
                    calls.append(1)
                return super().mro()

        class Old:
            pass

        class New:
            pass

        class Base(Old, metaclass=Meta):
            pass

        def methods():
            for i in range(100):
                Base.__len__ = lambda self, i=i: i

        def bases():
            for i in range(100):
                Base.__bases__ = (Old, New)[i % 2],

        def body(*stops):
            class Mine(Base):
                calls = []
            seen = [len(Mine.calls)]
            for stop in stops:
                stop()
                seen.append(len(Mine.calls))
            return seen, len(Mine()), Mine.__mro__[2].__name__
        stops = map(parallel.call_from_main_thread_and_wait, (methods, bases))
        self.assertEqual(self.submit(body, *stops).result(20),
                         ([0, 0, 1], 99, "New"))

    def test_a_metaclass_that_is_stopped_for_it(self):
        """Main changes bases once more while their order is asked for."""
        names = "First", "Second", "Third", "Fourth"
        bases = [type(name, (), {}) for name in names]
        rest = bases[1:]

        @parallel.call_from_main_thread_and_wait
        def change():
            if rest:
                Base.__bases__ = rest.pop(0),

        class Meta(type):
            def mro(cls):
                if "changes" in vars(cls):
                    change()
                return super().mro()

        class Base(bases[0], metaclass=Meta):
            pass

        def body():
            class Mine(Base):
                pass
            before = Mine.__mro__[2].__name__
            Mine.changes = True
            change()
            return before, Mine.__mro__[2].__name__
        self.assertEqual(self.submit(body).result(20), ("First", "Fourth"))

    def test_own_classes_get_mains_as_base(self):
        def scene():
            class Base:
                pass

            def look():
                class Mine:
                    pass

                class Yours(Mine):
                    pass

                class Third(Yours):
                    pass
                Yours.__bases__ = Base,
                yield
                yield len(Yours()), len(Third()), outcome(lambda: len(Mine()))
            return look, lambda: setattr(Base, "__len__", lambda self: 4)
        self.assertEqual(self.across(scene), (4, 4, "TypeError"))


class Kinds(Case):
    def test_patterns(self):
        def kind(x):
            match x:
                case [*_]: return "sequence"
                case {}: return "mapping"
            return "neither"

        def scene():
            class Base:
                def __len__(self): return 0
                def __getitem__(self, i): raise IndexError

            def look():
                class Mine(Base):
                    pass

                class Yours(Mine):
                    pass
                before = kind(Mine()), kind(Yours())
                yield
                yield before, kind(Mine()), kind(Yours()), isinstance(
                    Yours(), collections.abc.Sequence)
            return look, lambda: collections.abc.Sequence.register(Base)
        self.assertEqual(self.across(scene),
                         (("neither",) * 2, "sequence", "sequence", True))

    def test_abstract_methods(self):
        def scene():
            class Base(abc.ABC):
                @abc.abstractmethod
                def first(self): pass

                @abc.abstractmethod
                def second(self): pass

            def look():
                class Mine(Base):
                    def first(self): pass
                before = outcome(Mine)
                yield

                class Yours(Base):
                    def first(self): pass
                abc.update_abstractmethods(Mine)
                yield before, outcome(Mine), outcome(Yours)

            def change():
                Base.second = lambda self: None
                abc.update_abstractmethods(Base)
            return look, change
        self.across(scene)

    def test_metaclasses(self):
        def scene():
            class Meta(type):
                pass

            class Base(metaclass=Meta):
                pass

            def look():
                class Mine(Base):
                    pass

                class MyMeta(Meta):
                    pass

                class Yours(Base, metaclass=MyMeta):
                    pass

                class Plain(metaclass=MyMeta):
                    pass
                classes = Mine, Yours, Plain
                uses = (len, lambda cls: cls.missing, lambda cls: cls(), tuple,
                        lambda cls: isinstance(1, cls), lambda cls: cls[1],
                        lambda cls: cls | 3)
                yield
                yield [[outcome(use, cls) for use in uses] for cls in classes]

            def change():
                Meta.__len__ = lambda cls: 7
                Meta.__getattr__ = lambda cls, name: name
                Meta.__call__ = lambda cls: "called"
                Meta.__iter__ = lambda cls: iter((1, 2))
                Meta.__instancecheck__ = lambda cls, x: True
                Meta.__getitem__ = lambda cls, i: i
                Meta.__or__ = lambda cls, x: x
            return look, change
        right = self.across(scene)
        self.assertEqual(right, [[7, "missing", "called", (1, 2), True, 1, 3]] * 3)

    def test_metaclasses_whose_classes_have_no_hash(self):
        class Meta(type):
            def __eq__(cls, other):
                return True

        class Base(metaclass=Meta):
            pass

        class Other(metaclass=Meta):
            pass

        def body():
            class Mine(Base):
                pass

            class Yours(Other):
                pass
            return [c.__name__ for c in Base.__subclasses__()], [
                c.__name__ for c in Other.__subclasses__()]
        self.assertEqual(in_context(body), (["Mine"], ["Yours"]))


if __name__ == "__main__":
    unittest.main()
