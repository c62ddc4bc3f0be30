"""Objects of main's, of as many kinds as there are: what fuzz_methods.py attacks.

Run anew for each seed. Every name of this module that does not begin with an
underscore, and is not a module, is a target.
"""
import abc as _abc
import argparse
import array as _array
import ast
import asyncio
import bz2
import codecs
import collections
import configparser
import contextlib
import contextvars
import csv
import ctypes
import dataclasses
import datetime as _datetime
import decimal
import email.message
import enum
import fractions
import functools
import hashlib
import inspect
import io
import itertools
import json
import logging
import lzma
import mmap as _mmap
import operator
import os
import pathlib
import pickle
import queue as _queue
import random as _random
import re
import select
import socket as _socket
import sqlite3
import ssl
import string
import struct as _struct
import sys
import tempfile
import threading
import types
import typing
import uuid as _uuid
import weakref
import xml.etree.ElementTree as ET
import xml.parsers.expat
import zlib

import _lsprof
import _multiprocessing
import _string
import _symtable
import _tokenize


# ---- classes, and instances of them --------------------------------------------

class Plain:
    attr = [1, 2]

    def __init__(self):
        self.x, self.items = 1, [1, 2]

    def method(self):
        return self.x

    @property
    def prop(self):
        return self.x

    @prop.setter
    def prop(self, value):
        self.__dict__["y"] = value

    @classmethod
    def of_class(cls):
        return cls

    @staticmethod
    def static():
        return 1

    @functools.cached_property
    def cached(self):
        return [1]


class Slots:
    __slots__ = ("a", "b", "__weakref__")


class SlotsAndDict(Slots):
    __slots__ = ("c", "__dict__")


class Meta(type):
    def __call__(cls, *args):
        return super().__call__()


class WithMeta(metaclass=Meta):
    z = {}


class Abstract(_abc.ABC):
    @_abc.abstractmethod
    def f(self): ...


class Descriptor:
    def __get__(self, instance, owner=None):
        return self

    def __set__(self, instance, value):
        instance.__dict__["z"] = value

    def __set_name__(self, owner, name):
        self.name = name


class WithDescriptor:
    d = Descriptor()


class Finalized:
    def __del__(self):
        pass


class Iterator:
    def __init__(self):
        self.n = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.n += 1
        return self.n


class Missing(dict):
    def __missing__(self, key):
        self[key] = 1
        return 1


class Subclassed:
    known = []

    def __init_subclass__(cls, **kwds):
        Subclassed.known.append(cls)


class Color(enum.Enum):
    RED, BLUE = 1, 2


class Flags(enum.Flag):
    A, B, C = 1, 2, 4


@dataclasses.dataclass
class Data:
    a: int = 1
    b: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    a: int = 1
    b: tuple = ()


class ListSub(list): pass
class StrSub(str): pass
class SetSub(set): pass
class ErrorSub(Exception): pass
class Point(typing.NamedTuple):
    a: int
    b: str = ""
class Keys(typing.TypedDict):
    a: int
@typing.runtime_checkable
class Proto(typing.Protocol):
    def f(self): ...
class Generic[T]: pass
type Alias[X] = list[X]
def generic[T: int](a: T) -> T: return a


plain, plain_dict = Plain(), vars(Plain())
slots, slots_dict, with_meta = Slots(), SlotsAndDict(), WithMeta()
slots.a, slots.b, slots_dict.c, slots_dict.d = 1, [1], 1, [1]
described, finalized, iterator = WithDescriptor(), Finalized(), Iterator()
missing, color, flags = Missing(a=1), Color.RED, Flags.A
data, frozen, list_sub, str_sub = Data(), Frozen(), ListSub([3, 1]), StrSub("xyz")
set_sub, point, instance = SetSub({1}), Point(1, [2]), Generic()
method, member, member_set = plain.method, Slots.__dict__["a"], plain.__setattr__
prop, cached = Plain.__dict__["prop"], Plain.__dict__["cached"]
of_class, static, the_super = classmethod(len), staticmethod(len), super(Plain, plain)
getset, wrapper = types.FunctionType.__dict__["__code__"], list.__dict__["__add__"]

# ---- builtins ------------------------------------------------------------------

a_list, numbers, nested = [3, 1, 2, "a", 5], [5, 3, 4, 1], [[1], [2, [3]], {"a": [1]}]
cyclic = [1]
cyclic.append(cyclic)
a_dict, keyed, a_set = {"a": 1, "b": [2]}, {1: 2, "x": 3, (1, 2): 4}, {1, 2, "a"}
a_tuple, a_frozenset, some_range = (1, "a", [2]), frozenset({1, 2}), range(3, 20, 4)
a_bytearray, some_bytes, text = bytearray(b"hello world"), b"hello \xff", "Hello \xe9"
big, a_float, a_slice = 12345678901234567890, 1.5, slice(1, [2], 3)
view = memoryview(bytearray(b"abcdef"))
list_iterator, tuple_iterator, dict_iterator = iter(a_list), iter((1, 2)), iter(a_dict)
set_iterator, str_iterator, bytearray_iterator = iter(a_set), iter("abc"), iter(a_bytearray)
range_iterator, long_range, call_iterator = iter(range(9)), iter(range(2**70)), iter(int, 1)
reversed_list, reversed_items = reversed(a_list), reversed(a_dict.items())
keys, items, values, proxy = (
    a_dict.keys(), a_dict.items(), a_dict.values(), types.MappingProxyType(a_dict))
enumerated, zipped, mapped = enumerate(a_list), zip([1], [3]), map(str, [1, 2])
filtered, namespace, module = (
    filter(None, [0, 1]), types.SimpleNamespace(a=1, b=[2]), types.ModuleType("mine"))
append, sort, set_item = a_list.append, numbers.sort, a_dict.__setitem__
union, alias, new_type = int | str, list[int], typing.NewType("N", int)
type_var, type_vars, param_spec = (
    generic.__type_params__[0], typing.TypeVarTuple("Ts"), typing.ParamSpec("P"))


# ---- functions, frames, generators ---------------------------------------------

def function(a, b: int = [1], *args, c: str = {}, **kwds) -> list:
    return a, b, c


def _closure():
    n, cell = 0, [1]

    def inner():
        nonlocal n
        n += 1
        cell.append(n)
        return n
    return inner


def _count(n=3):
    try:
        yield from range(n)
    finally:
        pass


async def _coroutine():
    await asyncio.sleep(0)


async def _agen():
    try:
        yield 1
    finally:
        pass


def _frame(a=1):
    b = [2]
    return sys._getframe()


function.attr = [1]
code, inner = function.__code__, _closure()
cell = inner.__closure__[0]
frame = _frame()
frame_locals, lines = frame.f_locals, code.co_lines()
generator, started, expression = _count(), _count(), (i for i in a_list)
next(started)
coroutine, agen, awaitable = _coroutine(), _agen(), _coroutine().__await__()
asend, athrow, anext_ = _agen().asend(None), _agen().athrow(ValueError), agen.__anext__()
partial, cache = functools.partial(function, 1, c=2), functools.lru_cache(maxsize=2)(_closure)
single, key = functools.singledispatch(function), functools.cmp_to_key(lambda a, b: 0)(1)
caller, getter = operator.methodcaller("append", 5), operator.itemgetter(1)
manager, stack = contextlib.contextmanager(_count)(), contextlib.ExitStack()

# ---- errors --------------------------------------------------------------------

try:
    raise ErrorSub("x", [1])
except ErrorSub as _error:
    error, traceback = _error, _error.__traceback__
os_error, unicode_error = OSError(2, "x", "f"), UnicodeDecodeError("utf8", b"x", 0, 1, "r")
group, stop = ExceptionGroup("g", [ValueError(1)]), StopIteration(5)

# ---- collections and itertools -------------------------------------------------

array, deque = _array.array("i", [1, 2, 3]), collections.deque([1, 2, 3], 5)
ordered, counter = collections.OrderedDict(a=1, b=2), collections.Counter("hello")
default, chain_map = collections.defaultdict(list, a=[1]), collections.ChainMap({"a": 1})
deque_iterator, ordered_iterator = iter(deque), iter(ordered.items())
count, cycle, repeat = itertools.count(), itertools.cycle([1, 2]), itertools.repeat(1, 5)
accumulate, chain, islice = (
    itertools.accumulate([1, 2]), itertools.chain([1], [2]), itertools.islice([1, 2], 2))
product, permutations = itertools.product([1, 2], repeat=2), itertools.permutations([1, 2])
pairwise, longest = itertools.pairwise([1, 2]), itertools.zip_longest([1], [2, 3])
batched, by = itertools.batched([1, 2, 3], 2), itertools.groupby([1, 1, 2])
members = next(by)[1]
tee, _ = itertools.tee([1, 2, 3])
for _each in cycle, accumulate, product, permutations, pairwise, longest, tee:
    next(_each)

# ---- weak references, threads, contexts ----------------------------------------

reference, weak_proxy = weakref.ref(plain), weakref.proxy(plain)
called_back, weak_set = weakref.ref(plain, print), weakref.WeakSet([plain])
weak_keys, weak_values = (
    weakref.WeakKeyDictionary({plain: [1]}), weakref.WeakValueDictionary({"a": plain}))
finalize, dead = weakref.finalize(set_sub, int), weakref.ref(Plain())
lock, rlock, event = threading.Lock(), threading.RLock(), threading.Event()
condition, semaphore, local = (
    threading.Condition(), threading.Semaphore(), threading.local())
local.x = [1]
queue, simple_queue, thread = _queue.Queue(), _queue.SimpleQueue(), threading.current_thread()
system_semaphore = _multiprocessing.SemLock(1, 1, 5, f"/fuzz-{os.getpid()}", True)
variable, copied = contextvars.ContextVar("v", default=[1]), contextvars.copy_context()
token, context_keys = variable.set(1), iter(copied.keys())
loop = asyncio.new_event_loop()
future, task = loop.create_future(), asyncio.Task(_coroutine(), loop=loop)

# ---- files and streams ---------------------------------------------------------

bytes_io, string_io = io.BytesIO(b"hello\nworld"), io.StringIO("hello\nworld")
reader, writer = io.BufferedReader(io.BytesIO(b"a\nb")), io.BufferedWriter(io.BytesIO())
text_io, exported = io.TextIOWrapper(io.BytesIO(b"a\nb\n")), io.BytesIO(b"xyz").getbuffer()
newlines = io.IncrementalNewlineDecoder(None, True)
file, spooled = tempfile.TemporaryFile(buffering=0), tempfile.SpooledTemporaryFile()
mmap, socket, poll = _mmap.mmap(-1, 100), _socket.socket(), select.poll()
path, scan = pathlib.Path("x"), os.scandir(os.path.dirname(__file__))
entry, stat = next(scan), os.stat(os.path.dirname(__file__))

# ---- what has its state in C ---------------------------------------------------

pattern = re.compile(r"(?P<a>\w)(\d)?")
match, scanner, found = pattern.match("a1"), pattern.scanner("ab"), pattern.finditer("ab")
struct, unpacked = _struct.Struct("ii"), _struct.iter_unpack("B", b"abc")
number, decimal_context = decimal.Decimal("1.5"), decimal.Context(prec=5)
date, moment, zone = (_datetime.date(2020, 1, 1), _datetime.datetime(2020, 1, 1),
                      _datetime.timezone(_datetime.timedelta(hours=1)))
random, uuid, fraction = _random.Random(1), _uuid.UUID(int=5), fractions.Fraction(1, 3)
compressor, decompressor = zlib.compressobj(), zlib.decompressobj()
bz, xz, digest = bz2.BZ2Compressor(), lzma.LZMACompressor(), hashlib.sha256(b"1")
blake, shake = hashlib.blake2b(b"1"), hashlib.shake_128(b"1")
database = sqlite3.connect(":memory:", check_same_thread=False)
cursor = database.execute("select 1 union select 2")
ssl_context, memory_bio = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.MemoryBIO()
element = ET.fromstring("<a x='1'><b>t</b><c/></a>")
element_iterator, builder, parser = element.iter(), ET.TreeBuilder(), ET.XMLParser()
expat, csv_reader = xml.parsers.expat.ParserCreate(), csv.reader(["a,b", "c,d"])
csv_writer, dialect = csv.writer(io.StringIO()), csv.get_dialect("excel")
pickler, unpickler = pickle.Pickler(io.BytesIO()), pickle.Unpickler(io.BytesIO(b"N."))
memo, buffer = pickler.memo, pickle.PickleBuffer(b"abc")
encoder, json_scanner = json.JSONEncoder(), json.JSONDecoder().scan_once
decoder, multibyte = (codecs.getincrementaldecoder("utf8")(),
                      codecs.getincrementalencoder("euc_jp")())
profiler, symbols = _lsprof.Profiler(), _symtable.symtable("a = 1", "x", "exec")
tokens = _tokenize.TokenizerIter(iter(["a\n"]).__next__, extra_tokens=True)
format_iterator = _string.formatter_parser("a{b!r}c")


class Structure(ctypes.Structure):
    _fields_ = [("a", ctypes.c_int), ("p", ctypes.py_object)]


structure, c_int, c_array = Structure(1), ctypes.c_int(5), (ctypes.c_int * 3)(1, 2, 3)
c_buffer, field = ctypes.create_string_buffer(b"ab", 5), Structure.a

# ---- the library in Python -----------------------------------------------------

tree, signature = ast.parse("a + 1"), inspect.signature(function)
logger, config = logging.getLogger("fuzz"), configparser.ConfigParser()
message, arguments = email.message.EmailMessage(), argparse.ArgumentParser()
template = string.Template("$a")
