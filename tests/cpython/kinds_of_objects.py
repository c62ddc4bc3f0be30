"""Kinds of objects that may be returned from a context: instances of main's classes,
those of built-in types and of the library's. See test_returns.py.
"""
import array
import ast
import collections
import contextlib
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import inspect
import io
import ipaddress
import operator
import os
import pathlib
import queue
import random
import re
import sqlite3
import struct
import subprocess
import threading
import types
import typing
import uuid
import weakref
import xml.etree.ElementTree as ElementTree
import zoneinfo

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


def berlin():
    return datetime.datetime(2020, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))


MAINS = berlin()  # the zone is there


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


# How to make it, and what shows that the copy is right.
OBJECTS = {
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
    "a cached function": (lambda: functools.lru_cache(5, typed=True)(closure()), lambda it: (
        it(2), it(2) is it(2), it.cache_info(), it.cache_parameters())),
    "code": (lambda: compile("[a + x for x in (1, 'b', (2, 3))]", "there", "eval"), lambda it: (
        it.co_code, it.co_consts, list(it.co_lines()), it.co_filename)),
    "a view of bytes": (lambda: memoryview(b"abcdefgh")[6:1:-2], lambda it: (
        bytes(it), it.shape, it.strides, it.readonly, it.obj)),
    "a view of numbers": (lambda: memoryview(array.array("i", [1, 2, 3])), lambda it: (
        it.tolist(), it.format, it.itemsize)),
    "another view": (lambda: memoryview(bytearray(8)).cast("h")[1:].toreadonly(), lambda it: (
        it.tolist(), it.format, it.readonly, it.nbytes)),
    "stat": (lambda: os.stat("/")[:3], repr), "time": (lambda: os.times()[4:], len),
}
