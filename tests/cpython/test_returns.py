"""What may be returned from a context, kind by kind: the table of CODE.md.

Run by the patched interpreter: python tests/cpython/test_returns.py
"""
import abc
import array
import ast
import collections
import contextlib
import ctypes
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import inspect
import io
import ipaddress
import itertools
import operator
import os
import pathlib
import queue
import random
import re
import sqlite3
import struct
import subprocess
import sys
import threading
import types
import typing
import unittest
import uuid
import weakref
import xml.etree.ElementTree as ElementTree
import zoneinfo

import parallel
from parallel import _parallel
from test_contexts import in_context

T = typing.TypeVar("T")


class Slots:
    __slots__ = ("a", "b")

    def __init__(self):
        self.a = [1]


class Thing:
    def __init__(self):
        self.x = [1]

    def method(self):
        return self.x

    def numbers(self):
        for number in self.x + [2, 3]:
            yield number, self.x


class Box(Thing, typing.Generic[T]):
    pass


class Stack(typing.Generic[T]):
    def __init__(self):
        self.items: list[T] = [1]


class Sized(typing.Protocol):
    def __len__(self): ...


class Three(Sized):
    def __len__(self):
        return 3


class Names(list, typing.Generic[T]):
    pass


@dataclasses.dataclass
class Data:
    a: int
    b: list


@dataclasses.dataclass(slots=True, frozen=True)
class Frozen:
    a: tuple


Pair = collections.namedtuple("Pair", "a b")


class Typed(typing.NamedTuple):
    a: int


class Color(enum.Enum):
    RED = 1


class Bits(enum.Flag):
    A, B = 1, 2


class Error(Exception):
    def __init__(self, a, b):
        super().__init__(a)
        self.b = b


def error():
    made = Error(1, [2])
    made.add_note("note")
    made.__cause__ = KeyError("k")
    return made


def closure():
    seen = [1]
    return lambda more: seen + [more]


def countdown(start):
    numbers = list(range(start))
    return lambda: numbers.pop()


def cycle():
    items = [1]
    items.append(items)
    return items


def its_own_method():
    thing = Thing()
    thing.kept = thing.method
    return thing.kept


def its_own_partial():
    thing = Thing()
    thing.kept = functools.partial(thing.method)
    return thing.kept


def shared():
    one = [1]
    return [one, one, {"k": one}]


def weak():
    thing = Thing()
    return [thing, weakref.ref(thing), weakref.proxy(thing), weakref.WeakMethod(thing.method),
            weakref.WeakValueDictionary(kept=thing), weakref.WeakSet([thing]),
            weakref.WeakKeyDictionary({thing: 1})]


def deep(levels):
    items = []
    for _ in range(levels):
        items = [items]
    return items


def row():
    with contextlib.closing(sqlite3.connect(":memory:")) as base:
        base.row_factory = sqlite3.Row
        return base.execute("select 1 as a, 'x' as b union select 2, 'y'").fetchall()


def tree():
    root = ElementTree.fromstring("<a b='c'>t<d/>tail<d e='f'><g>h</g></d></a>")
    root[0].set("n", "1")
    return root


class Letters:
    def __len__(self):
        return 3

    def __getitem__(self, at):
        return "abc"[at]


class Stream(io.StringIO):
    def getvalue(self):
        return "mine: " + super().getvalue()


def entry():
    with os.scandir("/") as entries:
        found = min(entries, key=lambda it: it.name)
        found.stat()
        return found


def at(stream, place):
    stream.seek(place)
    return stream


def written(stream, *pieces):
    for piece in pieces:
        stream.write(piece)
    return stream


def closed(stream):
    stream.close()
    return stream


def with_more(thing):
    thing.more = [1]
    return thing


def over(iterator):
    for _ in iterator:
        pass
    return iterator


def berlin():
    return datetime.datetime(2020, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))


def held(lock):
    lock.acquire()
    return lock


def filled(made):
    for item in 3, 1, [2]:
        made.put((str(item), item))
    made.get()
    return made


def emptied(made):
    items = []
    while not made.empty():
        items.append(made.get())
    return type(made), items


def holes():
    table = {letter: [letter] for letter in "abcdef"}
    del table["a"], table["d"]
    return table


# ---- generators ------------------------------------------------------------

def talk(count):
    for i in range(count):
        got = yield i
        yield got, count


def tried(done):
    try:
        yield 1
        yield 2
    finally:
        done.append(1)
    yield done


def handling():
    try:
        raise KeyError("k")
    except KeyError as error:
        yield 1
        yield repr(error)
        try:
            raise
        except KeyError as again:
            yield again is error, again.__traceback__ is not None


class Manager:
    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        self.kind = kind
        return True


def within():
    with Manager() as manager:
        for item in {1: "a", 2: "b"}.items():
            yield item
        raise ValueError
    yield manager.kind


def passed_on():
    got = yield from tried([])
    yield got


async def adding(a):
    return a + await passing(a)


async def passing(a):
    return a


async def counting():
    for i in range(3):
        yield i


async def collecting(them):
    return [item async for item in them]


def to_the_end(coroutine):
    try:
        while True:
            coroutine.send(None)
    except StopIteration as end:
        return end.value


def groups():
    made = itertools.groupby("aabbc")
    key, group = next(made)
    return made, key, next(group), group


# ---- classes ---------------------------------------------------------------

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


def fields():
    """A class that only C code knows how to make."""
    return type("Point", (ctypes.Structure,), {"_fields_": [("x", ctypes.c_int),
                                                            ("y", ctypes.c_int)]})


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
LEAVES = {
    "slots": (Slots, lambda it: (it.a, hasattr(it, "b"))),
    "an instance": (Thing, vars), "a generic class": (Box[int], vars),
    "another": (Stack, vars), "a protocol": (Three, len),
    "a generic list": (lambda: Names([1, 2]), list),
    "a dataclass": (lambda: Data(1, [2]), repr),
    "a frozen one": (lambda: Frozen((1, [2])), repr),
    "a named tuple": (lambda: Pair(1, [2]), repr), "a typed one": (lambda: Typed(1), repr),
    "an enum": (lambda: Color.RED, lambda it: it is Color.RED),
    "a flag": (lambda: Bits.A | Bits.B, lambda it: it is Bits.A | Bits.B),
    "datetime": (lambda: datetime.datetime(2020, 1, 1, fold=1, tzinfo=datetime.timezone(
        datetime.timedelta(hours=3), "X")), repr),
    "isocalendar": (lambda: datetime.date(2020, 1, 1).isocalendar(), repr),
    "a zone that main has": (berlin, str),
    "Decimal": (lambda: decimal.Decimal("1.50"), repr),
    "Fraction": (lambda: fractions.Fraction(1, 3), repr),
    "a weak reference": (lambda: weakref.ref(Slots), lambda it: it()),
    "weak references": (weak, lambda it: (it[1]() is it[0], it[2].x, it[3]()(), it[4]["kept"] is it[0],
                                          set(it[5]) == {it[0]}, dict(it[6]) == {it[0]: 1})),
    "a path": (lambda: pathlib.Path("/a") / "b", repr), "UUID": (lambda: uuid.UUID(int=3), repr),
    "an address": (lambda: ipaddress.ip_network("10.0.0.0/8"), repr),
    "deque": (lambda: collections.deque([1, [2]], 5), repr),
    "defaultdict": (lambda: collections.defaultdict(list, a=[1]), repr),
    "OrderedDict": (lambda: collections.OrderedDict(b=1, a=2), repr),
    "Counter": (lambda: collections.Counter("aab"), repr),
    "ChainMap": (lambda: collections.ChainMap({"a": 1}, {"b": 2}), repr),
    "UserDict": (lambda: collections.UserDict(a=1), repr),
    "array": (lambda: array.array("d", [1, 2]), repr),
    "bytearray": (lambda: bytearray(b"abc"), repr),
    "range": (lambda: range(1, 10 ** 30, 3), repr), "slice": (lambda: slice(1, [2]), repr),
    "a lambda": (lambda: lambda x: x + 1, lambda it: it(1)),
    "a closure": (closure, lambda it: it(2)),
    "a bound method": (lambda: Thing().method, lambda it: it()),
    "a partial": (lambda: functools.partial(int, base=2), lambda it: it("11")),
    "itemgetter": (lambda: operator.itemgetter(0), lambda it: it("ab")),
    "two items": (lambda: operator.itemgetter(0, 2), lambda it: it("abc")),
    "attrgetter": (lambda: operator.attrgetter("real", "imag"), lambda it: it(3)),
    "an exception": (error, lambda it: (repr(it), it.b, it.__notes__, repr(it.__cause__))),
    "a group": (lambda: ExceptionGroup("g", [ValueError(1)]), repr),
    "a method that its object keeps": (its_own_method, lambda it: it.__self__.kept is it),
    "a partial that its object keeps": (its_own_partial, lambda it: it.func.__self__.kept is it),
    "a cycle": (cycle, lambda it: it[1] is it), "shared": (
        shared, lambda it: (it[0] is it[1], it[2]["k"] is it[0])),
    "nested": (lambda: deep(300), repr), "mappingproxy": (
        lambda: types.MappingProxyType({"a": [1]}), repr),
    "a namespace": (lambda: types.SimpleNamespace(a=[1]), repr),
    "list[int]": (lambda: dict[str, list[int]], repr),
    "*tuple[int]": (lambda: next(iter(tuple[int, list[T]])), repr),
    "int | str": (lambda: int | list[str] | None, repr),
    "a union of main's variable": (lambda: (list[T] | None)[int], repr),
    "typing": (lambda: typing.Optional[typing.Callable[[int], T]], repr),
    "a signature": (lambda: inspect.signature(lambda a, *, b=1: 0), str),
    "a tree of XML": (tree, ElementTree.tostring),
    "with its root": (lambda: ElementTree.ElementTree(tree()),
                      lambda it: ElementTree.tostring(it.getroot())),
    "a tree of Python": (lambda: ast.parse("def f(a): return a + 1"),
                         lambda it: (ast.dump(it), compile(it, "", "exec").co_names)),
    "rows": (row, lambda it: [dict(each) for each in it]),
    "a process that is over": (lambda: subprocess.run(["echo", "x"], capture_output=True), repr),
    "an entry of a directory": (entry, lambda it: (it.path, it.is_dir(), it.inode(), it.stat())),
    "a match": (lambda: re.match("(a)(?P<n>x)?", "ab"), lambda it: (
        it.groups(), it.groupdict(), it.span(), it.re.pattern, it.expand(r"<\\1>"), it.regs)),
    "a match of bytes": (lambda: re.search(b"[ab]+$", b"cab"), lambda it: (it[0], repr(it))),
    "a pattern": (lambda: re.compile(f"([a-f]+|x{{2,3}}?)+(?i:{os.getpid()})", re.VERBOSE),
                  lambda it: (it.pattern, it.flags, it.groups, it.findall(f"ab{os.getpid()} x"),
                              hash(it) == hash(re.compile(it.pattern, re.VERBOSE)))),
    "a structure": (lambda: struct.Struct("<ih"), lambda it: (it.format, it.pack(1, 2))),
    "bare ones": (lambda: [cls.__new__(cls) for cls in (io.BytesIO, struct.Struct)], len),
    "a generator of numbers": (lambda: random.Random(1), lambda it: (it.random(), it.gauss())),
    "bytes in memory": (lambda: at(io.BytesIO(b"abcd"), 2), lambda it: (
        it.tell(), it.read(), it.seek(1), it.write(b"x" * 9), it.getvalue())),
    "written": (lambda: written(io.BytesIO(), b"abc", b"d"), lambda it: (it.tell(), it.getvalue())),
    "text in memory": (lambda: at(io.StringIO("a\r\nb\u20ac\n"), 1), lambda it: (
        it.tell(), it.read(), it.getvalue())),
    "written text": (lambda: written(io.StringIO(), "a", "\u20ac\n"), lambda it: (
        it.tell(), it.getvalue(), it.write("c"), it.getvalue())),
    "newlines": (lambda: written(io.StringIO(newline="\r\n"), "a\n", "b\n"), lambda it: (
        it.getvalue(), it.seek(0), it.readlines())),
    "any newlines": (lambda: io.StringIO("a\rb\r\n", newline=None), lambda it: (
        it.readlines(), it.getvalue())),
    "nothing in it": (io.StringIO, lambda it: (it.getvalue(), it.write("a"), it.getvalue())),
    "closed": (lambda: [closed(io.BytesIO(b"a")), closed(io.StringIO("a"))],
               lambda it: [each.closed for each in it]),
    "a stream with more": (lambda: with_more(Stream("ab")), lambda it: (it.more, it.getvalue())),
    "a lock": (threading.Lock, lambda it: (it.acquire(), it.locked())),
    "one that can be taken twice": (threading.RLock, lambda it: (it.acquire(), it.acquire())),
    "a condition": (threading.Condition, lambda it: (held(it).wait(0), it.notify(), it.release())),
    "an event": (threading.Event, lambda it: (it.is_set(), it.set(), it.wait())),
    "a semaphore": (lambda: threading.Semaphore(2), lambda it: (
        it.acquire(), it.acquire(), it.acquire(False), it.release())),
    "a barrier": (lambda: threading.Barrier(1), lambda it: it.wait()),
    "queues": (lambda: [filled(make()) for make in (
        queue.Queue, queue.LifoQueue, queue.PriorityQueue, queue.SimpleQueue)],
        lambda it: [emptied(each) for each in it]),
    "a method in C": (lambda: [1].append, lambda it: (it(2), it.__self__)),
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
    "a cached function": (lambda: functools.lru_cache(5, typed=True)(closure()), lambda it: (
        it(2), it(2) is it(2), it.cache_info(), it.cache_parameters())),
    "code": (lambda: compile("[a + x for x in (1, 'b', (2, 3))]", "there", "eval"), lambda it: (
        it.co_code, it.co_consts, list(it.co_lines()), it.co_filename)),
    "groups": (groups, lambda it: (it[1:3], list(it[3]), [(k, list(g)) for k, g in it[0]])),
    "two of tee": (lambda: [*itertools.tee(over(iter("")))] + [*itertools.tee(iter("abc"))],
                   lambda it: [next(it[2])] + [list(each) for each in it]),
    "a view of bytes": (lambda: memoryview(b"abcdefgh")[6:1:-2], lambda it: (
        bytes(it), it.shape, it.strides, it.readonly, it.obj)),
    "a view of numbers": (lambda: memoryview(array.array("i", [1, 2, 3])), lambda it: (
        it.tolist(), it.format, it.itemsize)),
    "another view": (lambda: memoryview(bytearray(8)).cast("h")[1:].toreadonly(), lambda it: (
        it.tolist(), it.format, it.readonly, it.nbytes)),
    "a coroutine": (lambda: adding(3), to_the_end),
    "an asynchronous generator": (counting, lambda it: to_the_end(collecting(it))),
    "stat": (lambda: os.stat("/")[:3], repr), "time": (lambda: os.times()[4:], len),
}


def ordered():
    table = collections.OrderedDict(b=1, a=2)
    table.move_to_end("b")
    return table


# Views, and iterators, of which one item has been taken.
LAZY = {
    "keys": lambda: {1: 2, "b": [3]}.keys(), "values": lambda: {1: 2, "b": [3]}.values(),
    "items": lambda: {1: 2, "b": [3]}.items(), "keys of objects": lambda: {Typed(1): 2}.keys(),
    "in order": lambda: ordered().keys(), "their values": lambda: ordered().values(),
    "their items": lambda: ordered().items(), "a list": lambda: iter([1, [2], 3]),
    "a list, over": lambda: over(iter([1])), "backwards": lambda: reversed([1, 2, 3]),
    "a tuple": lambda: iter((1, [2])), "text": lambda: iter("a\u20acb"),
    "ASCII": lambda: iter("abc"), "bytes": lambda: iter(b"abc"),
    "a bytearray": lambda: iter(bytearray(b"abc")), "a range": lambda: iter(range(9, 1, -2)),
    "a long one": lambda: iter(range(10 ** 30, 10 ** 30 + 3)), "a sequence": lambda: iter(Letters()),
    "a sequence backwards": lambda: reversed(Letters()), "calls": lambda: iter(countdown(9), 3),
    "enumerate": lambda: enumerate("abc", 5), "far": lambda: enumerate("abc", 2 ** 64),
    "map": lambda: map(lambda x, y: x + y, [1, 2], [3, 4]), "filter": lambda: filter(None, [1, 0, 2]),
    "zip": lambda: zip("ab", [1, 2], strict=True), "none": lambda: zip(),
    "accumulate": lambda: itertools.accumulate([1, 2, 3], max, initial=2),
    "batched": lambda: itertools.batched("abcd", 2), "chain": lambda: itertools.chain("ab", "c"),
    "from iterable": lambda: itertools.chain.from_iterable(["ab", "c"]),
    "compress": lambda: itertools.compress("abc", [1, 1, 1]),
    "count": lambda: itertools.islice(itertools.count(5), 4),
    "steps": lambda: itertools.islice(itertools.count(0.5, 0.5), 4),
    "cycle": lambda: itertools.islice(itertools.cycle("ab"), 5),
    "dropwhile": lambda: itertools.dropwhile(str.isupper, "AbCd"),
    "filterfalse": lambda: itertools.filterfalse(None, [0, 1, 0]),
    "pairwise": lambda: itertools.pairwise("abc"), "repeat": lambda: itertools.repeat([1], 3),
    "starmap": lambda: itertools.starmap(pow, [(2, 3), (3, 2)]),
    "takewhile": lambda: itertools.takewhile(str.isupper, "ABc"),
    "zip_longest": lambda: itertools.zip_longest("ab", "c", fillvalue=[0]),
    "a dict": lambda: iter(holes()), "its values": lambda: iter(holes().values()),
    "its items": lambda: iter(holes().items()), "keys backwards": lambda: reversed(holes()),
    "values backwards": lambda: reversed(holes().values()),
    "items backwards": lambda: reversed(holes().items()), "a dict, over": lambda: over(iter({1: 2})),
    "attributes": lambda: iter(vars(Data(1, [2])).items()), "a set": lambda: iter({5}),
    "a set of numbers": lambda: iter({3, 1, 2}), "a set, over": lambda: over(iter({1})),
    "product": lambda: itertools.product("ab", [1, [2]]),
    "of itself": lambda: itertools.product("ab", repeat=2),
    "combinations": lambda: itertools.combinations("abcd", 2), "with replacement": lambda:
    itertools.combinations_with_replacement("abc", 2), "permutations": lambda:
    itertools.permutations("abc", 2), "tee": lambda: itertools.tee(iter("abcd"))[1],
    "a generator": lambda: (x + y for x in "ab" for y in "cd"), "its send": lambda: talk(3),
    "in try": lambda: tried([]), "in with": lambda: within(), "yield from": lambda: passed_on(),
    "in except": lambda: handling(), "of a method": lambda: Thing().numbers(),
    "one that is over": lambda: over(x for x in "a"),
}

# What to say of it, and what to return instead.
STAYS = {
    "'_thread.lock' object that is held": (lambda: held(threading.Lock()), lambda it: it.locked()),
    "'_thread.RLock' object that is held": (lambda: held(threading.RLock()), repr),
    "c_void_p": (lambda: ctypes.c_void_p(3), lambda it: it.value),
    "frame": (lambda: sys._getframe(), lambda it: it.f_lineno > 0),
}

MAINS = berlin()


class Returns(unittest.TestCase):
    maxDiff = None

    def tearDown(self):
        self.assertEqual(_parallel.find_strays(), [])

    def test_what_leaves(self):
        for name, (make, show) in LEAVES.items():
            with self.subTest(name):
                want, got = make(), in_context(make)
                self.assertIs(type(got), type(want))
                self.assertEqual(show(got), show(want))
                want = make()
                got, again = in_context(lambda: [thing := make(), {"again": thing}])
                self.assertIs(again["again"], got)
                self.assertEqual(show(got), show(want))

    def test_iterators_go_on_where_they_were(self):
        def begun(make):
            made = make()
            return made, next(made, None) if hasattr(made, "__next__") else list(made)
        for name, make in LAZY.items():
            with self.subTest(name):
                want, first = begun(make)
                got, taken = in_context(begun, make)
                self.assertEqual((type(got), taken), (type(want), first))
                self.assertEqual(list(got), list(want))

    def test_an_iterator_of_mains(self):
        """Of its list, too, a context has a place of its own."""
        mine = [1, [2], 3]
        got = in_context(lambda: [it := iter(mine), next(it)])[0]
        self.assertIs(next(got), mine[1])
        mine.append(4)
        self.assertEqual(list(got), [3, 4])

    def test_a_view_and_its_dict(self):
        table, keys = in_context(lambda: (table := {"a": 1}, table.keys()))
        table["b"] = 2
        self.assertEqual(list(keys), ["a", "b"])

    def test_as_arguments_of_calls(self):
        seen = []
        note = parallel.call_from_main_thread(lambda *args: seen.append(args[0]))
        for name, (make, show) in LEAVES.items():
            with self.subTest(name):
                in_context(lambda: note(make()))
                self.assertEqual(show(seen.pop()), show(make()))

    def test_what_stays_and_what_to_return_instead(self):
        for what, (make, instead) in STAYS.items():
            with self.subTest(what):
                with self.assertRaisesRegex(parallel.PersistenceError, what):
                    in_context(make)
                in_context(lambda: instead(make()))

    def test_a_running_generator(self):
        """Main is asked for something while it runs, with it as an argument."""
        put = parallel.call_from_main_thread_and_wait(list)

        def body():
            def run():
                yield put(it)
            it = run()
            return next(it)
        with self.assertRaisesRegex(parallel.PersistenceError, "running 'generator'"):
            in_context(body)

    def test_what_is_within_cannot_leave(self):
        def captive():
            return sys._getframe()
        for make in (lambda: types.MappingProxyType({"a": captive()}),
                     lambda: operator.itemgetter(captive()), lambda: list[captive()],
                     lambda: type("Made", (), {"x": captive()}), lambda: (x for x in [captive()])):
            with self.assertRaises(parallel.PersistenceError):
                in_context(make)

        def in_a_tree():
            root = tree()
            root[0].text = captive()
            return root
        with self.assertRaisesRegex(parallel.PersistenceError, "frame"):
            in_context(in_a_tree)

    def test_too_deep(self):
        with self.assertRaises(RecursionError):
            in_context(deep, 100_000)

    def test_the_copy_is_mains(self):
        root = in_context(tree)
        root.append(ElementTree.Element("new"))
        root[0].set("n", "2")
        self.assertIn(b'<new', ElementTree.tostring(root))
        node = in_context(ast.parse, "a")
        node.body.append(ast.Pass())
        self.assertEqual(ast.unparse(node), "a\npass")

    def test_memory(self):
        """A copy that is dropped is gone: each has a counted reference."""
        for name in "a tree of XML", "rows", "mappingproxy", "int | str", "a tree of Python":
            make, _ = LEAVES[name]
            growth = []
            for _ in range(4):  # each worker warms up
                before = sys.getallocatedblocks()
                for _ in range(50):
                    in_context(make)
                growth.append(sys.getallocatedblocks() - before)
            with self.subTest(name):
                self.assertLess(min(growth), 50, growth)


if __name__ == "__main__":
    unittest.main()
