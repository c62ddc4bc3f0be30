"""What objects of main's keep of themselves when first used - hashes, lengths,
parts, texts - when that first use is in a context: the answer is right, nothing is
raised, and the guard sees no write.

Run by the patched interpreter: python tests/cpython/test_first_use.py
"""
import collections
import copy
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import inspect
import ipaddress
import operator
import os
import pathlib
import pickle
import re
import string
import struct
import subprocess
import sys
import types
import typing
import unittest
import uuid
import zoneinfo

import parallel
from parallel import _parallel
from test_contexts import in_context

HOUR = datetime.timedelta(hours=1)


class Zone(datetime.tzinfo):
    """One in Python, and asked for each date."""

    def utcoffset(self, when):
        return HOUR

    def dst(self, when):
        return None

    def tzname(self, when):
        return type(when).__name__


class Date(datetime.date):
    pass


class Moment(datetime.datetime):
    def __hash__(self):
        return super().__hash__()


class Triple(tuple):
    pass


class Text(str):
    pass


class Members(frozenset):
    pass


class Amount(decimal.Decimal):
    pass


class Named(typing.NamedTuple):
    when: datetime.date
    what: str


@dataclasses.dataclass(frozen=True)
class Frozen:
    when: datetime.date
    worth: decimal.Decimal


class Color(enum.Enum):
    RED = datetime.date(2020, 1, 1)


class Bits(enum.Flag):
    A, B, C = 1, 2, 4


class Thing:
    @functools.cached_property
    def parts(self):
        return ["part"]


def function(a: int, b=1, *, c=None) -> "str":
    """Documented."""
    return lambda: a


def new_text():
    """A str that nobody has hashed."""
    return "".join(["n", "é", "w", str(len(os.environ))])


MAKE = {
    "date": lambda: datetime.date(2020, 1, 2),
    "a class of dates": lambda: Date(2020, 1, 2),
    "datetime": lambda: datetime.datetime(2020, 1, 2, 3, 4, 5, 6),
    "datetime with a zone": lambda: datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC),
    "datetime in a fold": lambda: datetime.datetime(2020, 1, 2, 3, fold=1, tzinfo=Zone()),
    "datetime with a zone in Python": lambda: datetime.datetime(2020, 1, 2, tzinfo=Zone()),
    "datetime in Berlin": lambda: datetime.datetime(
        2020, 1, 2, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
    "a class of datetimes": lambda: Moment(2020, 1, 2, tzinfo=Zone()),
    "time": lambda: datetime.time(1, 2, 3),
    "time with a zone": lambda: datetime.time(1, 2, 3, fold=1, tzinfo=datetime.timezone(HOUR)),
    "timedelta": lambda: datetime.timedelta(1, 2, 3),
    "timezone": lambda: datetime.timezone(datetime.timedelta(hours=2)),
    "Decimal": lambda: decimal.Decimal("1.250"),
    "a long Decimal": lambda: decimal.Decimal(10) ** 27 / 7,
    "infinity": lambda: decimal.Decimal("-inf"),
    "a class of Decimals": lambda: Amount("1.5"),
    "Fraction": lambda: fractions.Fraction(2, 6),
    "tuple": lambda: (1, new_text(), datetime.date(2020, 1, 2)),
    "a class of tuples": lambda: Triple((1, new_text())),
    "a named tuple": lambda: Named(datetime.date(2020, 1, 2), "x"),
    "frozenset": lambda: frozenset([1, new_text(), frozenset([2])]),
    "a class of frozensets": lambda: Members([1, datetime.time(1)]),
    "str": new_text,
    "a class of str": lambda: Text(new_text()),
    "a surrogate": lambda: "\ud800" + new_text(),
    "bytes": lambda: bytes([1, 2, len(os.environ) % 256]),
    "int": lambda: 10 ** 40, "float": lambda: 1.5, "complex": lambda: 1j,
    "range": lambda: range(10 ** 20), "slice": lambda: slice(1, 2),
    "partial": lambda: functools.partial(function, 1, c=2),
    "code": lambda: compile("lambda x: x + 1", "made", "eval"),
    "function": lambda: types.FunctionType(function.__code__, globals()),
    "method": lambda: Thing().__repr__, "class": lambda: type("Made", (Thing,), {}),
    "pattern": lambda: re.compile(f"(?P<x>a)|{new_text()}"),
    "match": lambda: re.match("(?P<x>a)(b)?", "ab"),
    "UUID": lambda: uuid.UUID(int=5),
    "IPv4Address": lambda: ipaddress.ip_address("10.1.2.3"),
    "IPv6Address": lambda: ipaddress.ip_address("fe80::1%2"),
    "network": lambda: ipaddress.ip_network("10.0.0.0/8"),
    "interface": lambda: ipaddress.ip_interface("10.0.0.1/8"),
    "Path": lambda: pathlib.Path("/a/b.c"),
    "PureWindowsPath": lambda: pathlib.PureWindowsPath("C:/A/b"),
    "list[int]": lambda: list[int], "int | str": lambda: int | str,
    "List[T]": lambda: typing.List[typing.TypeVar("T")],
    "list[T] | None": lambda: list[typing.TypeVar("T")] | None,
    "Callable": lambda: typing.Callable[[int], str],
    "Literal": lambda: typing.Literal[1, "a"],
    "Frozen": lambda: Frozen(datetime.date(2020, 1, 2), decimal.Decimal(5)),
    "Enum": lambda: Color.RED, "Flag": lambda: Bits.A | Bits.C,
    "mappingproxy": lambda: types.MappingProxyType({"a": 1}),
    "SimpleNamespace": lambda: types.SimpleNamespace(a=1),
    "memoryview": lambda: memoryview(b"abcdefgh").cast("i"),
    "itemgetter": lambda: operator.itemgetter(1, 2),
    "attrgetter": lambda: operator.attrgetter("a.b"),
    "methodcaller": lambda: operator.methodcaller("upper"),
    "Struct": lambda: struct.Struct("<ih"),
    "Signature": lambda: inspect.signature(function),
    "Template": lambda: string.Template("$a $b"),
    "an exception": lambda: OSError(2, "text", "file"),
    "a module": lambda: types.ModuleType("made", "doc"),
    "an instance": Thing,
    "OrderedDict": lambda: collections.OrderedDict(a=1),
    "Counter": lambda: collections.Counter("aab"),
    "deque": lambda: collections.deque([1, 2], 3),
    "ChainMap": lambda: collections.ChainMap({"a": 1}),
}


def attributes(thing):
    return {name: type(getattr(thing, name, None)).__name__ for name in dir(thing)
            if name not in ("co_lnotab", "__abstractmethods__")}


USE = {
    "hash": hash, "str": str, "repr": repr, "len": len, "bool": bool, "int": int,
    "format": lambda thing: f"{thing} {thing!r:>30}",
    "list": lambda thing: len([*zip(thing, range(9))]),
    "equal": lambda thing: (thing == copy.copy(thing), thing != 1),
    "less": lambda thing: thing < thing, "key": lambda thing: {thing: 1}[thing],
    "member": lambda thing: thing in {thing}, "copy": lambda thing: repr(copy.copy(thing)),
    "deepcopy": lambda thing: type(copy.deepcopy(thing)),
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)) == thing,
    "reduce": lambda thing: len(thing.__reduce_ex__(4)), "attributes": attributes,
    "vars": lambda thing: sorted(vars(thing)), "item": lambda thing: thing[0],
    "subscript": lambda thing: str(thing[int]), "encode": lambda thing: thing.encode(),
    "attribute": lambda thing: getattr(Thing, thing, None), "name": lambda thing: thing.__name__,
    "keyword": lambda thing: dict(**{thing: 1}), "intern": lambda thing: sys.intern(thing),
    "search": lambda thing: thing.search("ba").regs, "regs": lambda thing: thing.regs,
    "isoformat": lambda thing: (thing.isoformat(), thing.tzname()),
    "network": lambda thing: (thing.broadcast_address, thing.num_addresses, thing.is_private),
    "path": lambda thing: (thing.parts, thing.suffix, thing.parent, thing.as_uri()),
    "hints": lambda thing: str(typing.get_type_hints(thing)),
    "signature": lambda thing: str(inspect.signature(thing)), "code": lambda thing: thing.co_code,
    "parts": lambda thing: thing.parts, "fs": os.fspath, "value": lambda thing: thing.value,
    "quantize": lambda thing: thing.quantize(decimal.Decimal("0.1")),
    "call": lambda thing: thing.pack(1, 2), "sizeof": sys.getsizeof,
}

TEXTS = re.compile(r"0x[0-9a-f]+|line \d+")  # addresses differ


def outcome(use, thing):
    """As text, since not all of it can leave."""
    try:
        return TEXTS.sub("", repr(use(thing)))
    except parallel.ParallelError:
        raise
    except Exception as error:
        return type(error).__name__


def use_all(things):
    """All in one callback, each of an object that nobody has used."""
    results = {}
    for (made, used), thing in things.items():
        try:
            results[made, used] = outcome(USE[used], thing)
        except parallel.ParallelError as error:
            results[made, used] = str(error)
    return results


class FirstUse(unittest.TestCase):
    maxDiff = None

    def test_of_everything(self):
        if "PYTHONPARALLELGUARD" in os.environ:  # these end their callback
            for name, make in MAKE.items():
                for use in "hash", "str", "key", "attributes", "pickle", "equal":
                    with self.subTest(name, use=use):
                        in_context(outcome, USE[use], make())
        all_of_them = [(made, used) for made in MAKE for used in USE]
        things = {which: MAKE[which[0]]() for which in all_of_them}
        results = in_context(use_all, things)
        expected = use_all({which: MAKE[which[0]]() for which in all_of_them})
        for which, text in expected.items():
            if which[1] not in ("hash", "sizeof", "attributes"):
                with self.subTest(which):
                    self.assertEqual(results[which], text)
        self.assertEqual(_parallel.find_strays(), [])

    def test_hashes_are_the_same(self):
        things = [(name, make()) for name, make in MAKE.items()]
        def hashes():
            return [outcome(hash, thing) for _, thing in things]
        first, again = in_context(hashes), in_context(hashes)
        for (name, thing), one, two in zip(things, first, again):
            with self.subTest(name):
                self.assertEqual((one, two), (outcome(hash, thing),) * 2)

    def test_a_zone_sees_a_datetime(self):
        class Asking(Zone):
            def utcoffset(self, when):
                assert when.year == 2020 and isinstance(when, datetime.datetime)
                return HOUR * when.month
        moment = Moment(2020, 3, 2, tzinfo=Asking())
        self.assertEqual(in_context(hash, moment), hash(moment))

    def test_a_zone_that_raises(self):
        class Raising(Zone):
            def utcoffset(self, when):
                raise LookupError("no zone")
        with self.assertRaisesRegex(LookupError, "no zone"):
            in_context(hash, datetime.datetime(2020, 1, 1, tzinfo=Raising()))


class UnderTheGuard(unittest.TestCase):
    def test_modes(self):
        if "PYTHONPARALLELGUARD" in os.environ:
            self.skipTest("this is one of them")
        for mode in "auto", "full":
            done = subprocess.run(
                [sys.executable, __file__, "FirstUse"], capture_output=True, text=True,
                env={**os.environ, "PYTHONPARALLELGUARD": mode}, timeout=300)
            self.assertEqual(done.returncode, 0, f"{mode}: {done.stderr[-6000:]}")


if __name__ == "__main__":
    unittest.main()
