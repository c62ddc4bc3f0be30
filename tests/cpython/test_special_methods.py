"""Main changes the special methods of its classes while callbacks are stopped that
have derived some of their own from them.

Run by the patched interpreter: python tests/cpython/test_special_methods.py
What a scene is, is said in scenes.py.
"""
import sys
import unittest

import parallel
from scenes import Case, outcome


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


if __name__ == "__main__":
    unittest.main()
