"""What may be returned from a context, kind by kind: the table of CODE.md.

Run by the patched interpreter: python tests/cpython/test_returns.py
"""
import array
import ast
import collections
import contextlib
import contextvars
import ctypes
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
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
}

# What to say of it, and what to return instead.
STAYS = {
    "generator": (lambda: (x for x in "ab"), list),
    "dict_itemiterator": (lambda: iter({1: 2}.items()), list),
    "set_iterator": (lambda: iter({1}), list), "memoryview": (lambda: memoryview(b"ab"), bytes),
    "groupby": (lambda: itertools.groupby("aab"), lambda it: [key for key, _ in it]),
    "product": (lambda: itertools.product("ab", "c"), list),
    "SRE_Scanner": (lambda: re.compile("a").scanner("a"), lambda it: it.match()),
    "builtin_function_or_method": (lambda: [].append, lambda it: it.__self__),
    "'type'": (lambda: type("Made", (), {}), lambda it: it.__name__),
    "class was made there": (lambda: type("Made", (), {})(), vars),
    "code": (lambda: compile("1", "", "eval"), lambda it: it.co_consts),
    "module": (lambda: types.ModuleType("m"), lambda it: it.__name__),
    "lock": (threading.Lock, lambda it: it.locked()),
    "_thread.lock": (queue.Queue, lambda it: it.qsize()),
    "TextIOWrapper": (lambda: open(os.devnull), lambda it: it.name),
    "HASH": (lambda: hashlib.sha256(b"a"), lambda it: it.hexdigest()),
    "c_int": (lambda: ctypes.c_int(3), lambda it: it.value),
    "Reference": (lambda: weakref.ref(Thing()), lambda it: 1),
    "TypeVar": (lambda: typing.TypeVar("S"), lambda it: it.__name__),
    "ContextVar": (lambda: contextvars.ContextVar("v"), lambda it: it.name),
    "ZoneInfo": (lambda: zoneinfo.ZoneInfo("Asia/Tokyo"), lambda it: it.key),
    "methodcaller": (lambda: operator.methodcaller("upper"), lambda it: it("a")),
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

    def test_what_is_within_cannot_leave(self):
        for make in (lambda: types.MappingProxyType({"a": iter({})}),
                     lambda: operator.itemgetter(iter({})), lambda: list[(x for x in "")]):
            with self.assertRaises(parallel.PersistenceError):
                in_context(make)

        def with_iterator():
            root = tree()
            root[0].text = iter({})
            return root
        with self.assertRaisesRegex(parallel.PersistenceError, "dict_keyiterator"):
            in_context(with_iterator)

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
