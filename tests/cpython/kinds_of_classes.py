"""Kinds of classes that a context may make and return, alone or with an instance;
modules. See test_returns.py.
"""
import abc
import collections
import dataclasses
import enum
import functools
import types
import typing

from kinds_of_objects import Slots


def classes():
    class Below:
        made = []

        def __init_subclass__(cls, **given):
            Below.made.append(cls.__name__)
            cls.given = given

        def name(self):
            return "below"

    class Named:
        def __set_name__(self, owner, name):
            self.names = getattr(self, "names", []) + [name]

    class Made(Below, Named, x=[1]):
        """A class."""
        slot = Named()
        count: int = 0

        def __init__(self):
            self.list = [1]
            self.__private = 2

        def name(self):
            return super().name() + __class__.__name__ + str(self.__private)

        @property
        def first(self):
            return self.list[0]

        @classmethod
        def of(cls):
            return cls

        @staticmethod
        def three():
            return 3

        @functools.cached_property
        def once(self):
            return [self.first]

        def __eq__(self, other):
            return type(other) is type(self)

        def __hash__(self):
            return 7
    return Made


def about(cls):
    it = cls()
    return (cls.__name__, cls.__qualname__, cls.__module__, cls.__doc__, cls.given, cls.made,
            cls.slot.names, cls.count, it.name(), it.first, cls.of() is cls, it.three(), it.once,
            it == cls(), hash(it), vars(it), [base.__name__ for base in cls.__mro__],
            cls in cls.__base__.__subclasses__(), cls.__annotations__, sorted(vars(cls)))


def slotted():
    class Slotted(Slots):
        __slots__ = ("c", "__d", "__weakref__")

        def set(self):
            self.c, self.__d = [self.a], 4
            return self

        def get(self):
            return self.a, self.c, self.__d
    return Slotted


def shapes():
    class Shape(abc.ABC):
        @abc.abstractmethod
        def area(self):
            pass

    class Square(Shape):
        def area(self):
            return 4

    @Shape.register
    class Other:
        pass
    issubclass(int, Shape)
    return Shape, Square, Other


def about_shapes(them):
    shape, square, other = them
    return (shape.__abstractmethods__, square().area(), issubclass(square, shape),
            issubclass(other, shape), issubclass(int, shape), isinstance(other(), shape))


def metaclass():
    class Meta(type):
        def __new__(meta, name, bases, names):
            return super().__new__(meta, name, bases, {**names, "made": [name]})

        def mro(cls):
            return [*super().mro()[:1], *super().mro()[1:]]

        def __call__(cls, *args):
            return [super().__call__(*args)]

    class Made(metaclass=Meta):
        pass
    return Made


def typed():
    S = typing.TypeVar("S", bound=int)

    class Boxed(typing.Generic[S]):
        def __init__(self, value: S):
            self.value = value

    class Later[V: (int, str), *Rest, **P]:
        value: V

        def get[U](self, more: U) -> U:
            return more
    type Names[V] = dict[str, V]
    return Boxed, Later, Names


def colors():
    class Made(enum.Enum):
        RED = 1
        BLUE = [2]
        CRIMSON = 1

        @property
        def low(self):
            return self.name.lower()
    return Made


def permissions():
    return enum.IntFlag("Permissions", "R W X")


def module():
    made = types.ModuleType("made", "A module.")
    exec("import os\nones = [1]\nclass Inside:\n  def get(self): return ones, os.sep, add(3)\n"
         "def add(a, *, b=len(ones)): ones.append(a); return Inside, a, b", vars(made))
    return made


def tagged():
    class Tagged(int):
        def twice(self):
            return self * 2
    made = Tagged(7)
    made.tag = [made]
    return [made]


# How to make it, and what shows that the copy is right.
CLASSES = {
    "a class": (classes, about), "an instance of it": (lambda: [classes()()], lambda it: (
        about(type(it[0])), vars(it[0]))),
    "with slots": (lambda: [slotted()().set()], lambda it: (it[0].get(), sorted(vars(type(it[0]))))),
    "abstract ones": (shapes, about_shapes), "a metaclass": (lambda: [metaclass()], lambda it: (
        it[0].made, type(it[0]()), type(it[0]).__name__, type(type(it[0])))),
    "of numbers": (tagged, lambda it: (it[0], it[0].twice(), it[0].tag[0] is it[0])),
    "a class made by its name": (lambda: type("Made", (list,), {"x": [1]}),
                                 lambda it: (it([1]), it.x, it.__name__)),
    "a dataclass made there": (lambda: dataclasses.make_dataclass(
        "Made", [("a", int), ("b", list, dataclasses.field(default_factory=list))], order=True),
        lambda it: (repr(it(1)), it(1) < it(2), dataclasses.asdict(it(3, [4])), it.__match_args__)),
    "a frozen one made there": (lambda: [dataclasses.make_dataclass(
        "Made", "ab", frozen=True, slots=True)([1], 2)], lambda it: (repr(it), hash(type(it[0])(1, 2)))),
    "a named tuple made there": (lambda: collections.namedtuple("Made", "a b", defaults=[3]),
                                 lambda it: (it(1), it(1).b, it._make([4, 5])._asdict())),
    "one with types": (lambda: typing.NamedTuple("Made", [("a", int)]), lambda it: (
        it(1), it.__annotations__)),
    "an enum made there": (colors, lambda it: (list(map(repr, it)), it(1) is it.RED, it.CRIMSON is it.RED,
                                               it.BLUE.low, it["BLUE"].value)),
    "one of its members": (lambda: [colors().RED], lambda it: (
        repr(it), type(it[0]).RED is it[0], type(it[0])(1) is it[0])),
    "flags made there": (permissions, lambda it: (repr(it.R | it.X), it(3) is it.R | it.W)),
    "generic ones": (typed, lambda it: (
        str(it[0][int]), it[0].__parameters__[0].__bound__, it[0](1).value, str(it[1].__type_params__),
        it[1]().get(3), it[1].__type_params__[0].__constraints__, str(it[2][int]),
        it[0].__parameters__[0] is it[0].__orig_bases__[0].__args__[0])),
    "a type variable": (lambda: typing.TypeVar("S", int, str), lambda it: (
        it.__name__, it.__constraints__)),
    "a module": (module, lambda it: (it.__name__, it.__doc__, it.add(1)[1:], it.Inside().get()[0],
                                     it.Inside().get()[2][0] is it.Inside, it.add.__globals__ is vars(it))),
    "a function of it": (lambda: module().add, lambda it: (it(5)[1:], it.__globals__["ones"])),
}
