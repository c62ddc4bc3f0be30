"""Kinds of what has a state of C code's and may be returned from a context: digests,
compressors, iterators in the middle, context variables, data of ctypes, zones. See
test_states.py.
"""
import array
import codecs
import collections
import contextvars
import csv
import ctypes
import datetime
import decimal
import functools
import hashlib
import hmac
import io
import json
import logging
import operator
import pickle
import struct
import sys
import threading
import traceback
import xml.etree.ElementTree as ElementTree
import zlib
import zoneinfo
from zoneinfo._tzpath import find_tzfile

import _blake2
import _md5
import _sha1
import _sha2
import _sha3

codecs.lookup("shift_jis")  # so that no callback has main import it


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]


class Line(ctypes.BigEndianStructure):
    _fields_ = [("width", ctypes.c_uint16, 3), ("color", ctypes.c_uint16, 13)]


class Shape(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char * 20), ("ends", Point * 2), ("flags", ctypes.c_bool)]


class Either(ctypes.Union):
    _fields_ = [("i", ctypes.c_uint32), ("b", ctypes.c_uint8 * 4)]


class Handle(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("at", ctypes.c_void_p)]


Shorts = ctypes.c_short * 4


class Mark(ctypes.c_int):
    pass


class Own(threading.local):
    """What each thread has of its own."""
    made = 0

    def __init__(self, start=0, *, step=1):
        self.count, self.step = start, step


class Zone(zoneinfo.ZoneInfo):
    pass


class Base:
    def name(self):
        return "base"


class Derived(Base):
    def name(self):
        return "derived " + super().name()

    def above(self):
        return super()


def fed(digest, *pieces):
    for piece in pieces:
        digest.update(piece)
    return digest


def begun(iterator, count=1):
    for _ in range(count):
        next(iterator)
    return iterator


def shown(item):
    return ElementTree.tostring(item) if isinstance(item, ElementTree.Element) else item


def over(iterator):
    for _ in iterator:
        pass
    return iterator


def digests():
    made = [fed(hashlib.new(name), b"a" * 300, b"b") for name in
            ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256", "sha3_512",
             "shake_128", "blake2b", "blake2s")]
    made += [fed(cls(), b"a" * 300, b"b") for cls in
             (_md5.md5, _sha1.sha1, _sha2.sha224, _sha2.sha256, _sha2.sha384, _sha2.sha512,
              _sha3.sha3_224, _sha3.sha3_384, _sha3.shake_256)]
    made.append(fed(_blake2.blake2b(key=b"k", digest_size=20), b"a" * 300))
    made.append(fed(_blake2.blake2s(salt=b"s", last_node=True), b"a" * 300))
    made += [fed(hmac.new(b"key", digestmod=name), b"a" * 300) for name in ("md5", "sha512")]
    return made


def more_of(digests):
    """Twice, as what has been read may go on."""
    def read(it):
        return it.hexdigest(20) if "shake" in it.name else it.hexdigest()
    return [(it.name, it.digest_size, it.block_size, read(it), read(fed(it, b"c" * 70)))
            for it in digests]


def half(bytes, compressor):
    return [compressor.compress(bytes * 100), compressor]


def whole(parts):
    bytes, compressor = parts
    return zlib.decompress(bytes + compressor.compress(b"xyz") + compressor.flush(), wbits=47)


def half_read():
    reader = zlib.decompressobj()
    packed = zlib.compress(b"abcdef" * 1000)
    return [reader.decompress(packed[:20], 50), reader, packed[20:]]


def read_on(parts):
    first, reader, rest = parts
    return (first, reader.unconsumed_tail, reader.decompress(reader.unconsumed_tail + rest + b"more"),
            reader.unused_data, reader.eof)


def with_dictionary():
    packer = zlib.compressobj(zdict=b"abcdef")
    reader = zlib.decompressobj(zdict=b"abcdef")
    return [packer.compress(b"abcdef" * 2) + packer.flush(), reader]


def rows():
    reader = csv.reader(["a;'b", "c';d", "e;f"], delimiter=";", quotechar="'")
    return begun(reader)


def table():
    stream = io.StringIO()
    writer = csv.DictWriter(stream, ["a", "b"], dialect="unix")
    writer.writeheader()
    return [writer, stream]


def write_more(them):
    writer, stream = them
    writer.writerow({"a": 1, "b": "x\"y"})
    return stream.getvalue()


def decoder():
    made = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")(), True)
    return [made.decode(b"a\r\n\xe2\x82"), made]


def context():
    number, names = contextvars.ContextVar("number", default=[1]), contextvars.ContextVar("names")
    made = contextvars.copy_context()
    made.run(number.set, 5)
    token = made.run(names.set, {"a": [1]})
    return [made, number, names, token]


def about_context(them):
    made, number, names, token = them
    seen = [made[number], made[names], number.get(),
            token.var is names, token.old_value is contextvars.Token.MISSING, made.run(number.get)]
    made.run(names.reset, token)
    return seen, names in made, made.run(number.set, 1).old_value


def settings():
    made = decimal.Context(prec=5, rounding=decimal.ROUND_UP, traps=[decimal.Inexact])
    made.flags[decimal.Rounded] = True
    return made


def shape():
    made = Shape(b"a line", (Point * 2)((1, 2.5), (3, 4.5)), True)
    made.ends[1] = Point(5, 6)
    return made


def ordered():
    made = collections.OrderedDict((letter, [letter]) for letter in "abcdef")
    del made["c"]
    made.move_to_end("a")
    return made


def view_of(thing, *shape):
    return memoryview(thing).cast(*shape)


with open(find_tzfile("Europe/Oslo"), "rb") as file:
    OSLO = file.read()


def tokyo():
    return zoneinfo.ZoneInfo("Asia/Tokyo")


SUMMER = datetime.datetime(2020, 7, 1, 12)
FAR = datetime.datetime(2090, 1, 1, 12)


def about_zone(zone):
    return [(str(when.replace(tzinfo=zone)), when.replace(tzinfo=zone).tzname(),
             when.replace(tzinfo=zone).dst(), str(zone.fromutc(when.replace(tzinfo=zone))))
            for when in (SUMMER, FAR, datetime.datetime(1900, 1, 1))]


class Raw(io.RawIOBase):
    """A stream in Python."""
    def __init__(self, bytes):
        self.left = bytearray(bytes)

    def readable(self):
        return True

    def readinto(self, buffer):
        count = min(len(buffer), len(self.left))
        buffer[:count] = self.left[:count]
        del self.left[:count]
        return count


def caught():
    try:
        fail()
    except KeyError:
        return sys.exc_info()


def fail():
    raise KeyError("k")


def about_caught(it):
    kind, error, trace = it
    return kind, error.args, error.__traceback__ is trace, [
        frame.name for frame in traceback.extract_tb(trace)]


def record():
    try:
        fail()
    except KeyError:
        return logging.LogRecord("name", logging.INFO, "file", 1, "%s %d", ("a", 2), sys.exc_info())


def about_record(it):
    return it.getMessage(), it.exc_info[1].args, "fail" in logging.Formatter().format(it)


def root():
    return ElementTree.fromstring("<a>1<b>2<c/>3</b>4<b>5</b>6</a>")


def shift_jis(make):
    codec = make("shift_jis")()
    return [codec.decode("\u3042\u3044".encode("shift_jis")[:3]), codec]


def told(seen):
    def tell():
        seen.append(threading.current_thread().name)
    return tell


async def three():
    for i in range(3):
        yield i


def run(awaitable):
    try:
        awaitable.send(None)
    except StopIteration as end:
        return end.value


# How to make it, and what shows that the copy is right.
STATES = {
    "digests": (digests, more_of),
    "one of no bytes": (lambda: hashlib.sha256(), lambda it: it.hexdigest()),
    "a MAC": (lambda: fed(hmac.HMAC(b"k", digestmod=_sha2.sha256), b"x"), lambda it: it.digest()),
    "compressor": (lambda: half(b"abc", zlib.compressobj(9)), whole),
    "for gzip": (lambda: half(b"abc", zlib.compressobj(wbits=31)), whole),
    "decompressor": (half_read, read_on),
    "with a dictionary": (with_dictionary, lambda it: it[1].decompress(it[0])),
    "decimal context": (settings, repr),
    "methodcaller": (lambda: operator.methodcaller("split", ",", maxsplit=1), lambda it: (
        it("a,b,c"), repr(it), it("d,e,f"))),
    "one that has been used": (lambda: [it := operator.methodcaller("upper"), it("a")],
                               lambda it: it[0]("b")),
    "cmp_to_key": (lambda: [functools.cmp_to_key(lambda a, b: b - a)(n) for n in (1, 3, 2)],
                   lambda it: [each.obj for each in sorted(it)]),
    "super": (lambda: Derived().above(), lambda it: (it.name(), it.__thisclass__)),
    "method of a list": (lambda: [1, 2].__getitem__, lambda it: (it(1), it.__self__)),
    "its operator": (lambda: [[it := [1], it.__add__], it.__setitem__], lambda it: (
        it[1](0, 5), it[0][0], it[0][1]([6]))),
    "JSON": (lambda: json.JSONDecoder(object_hook=sorted, parse_float=str), lambda it: it.decode(
        '{"b": 1, "a": 1.5}')),
    "JSON there": (lambda: json.JSONEncoder(indent=2, sort_keys=True), lambda it: it.encode(
        {"b": [1], "a": None})),
    "its parts": (lambda: [json.JSONDecoder().scan_once, json.encoder.c_make_encoder(
        {}, str, json.encoder.encode_basestring, None, ": ", ", ", True, True, False)],
        lambda it: (it[0]("[1, true]", 0), it[1]({"b": 1, "a": 2}, 0))),
    "dialect": (lambda: csv.writer(io.StringIO(), "excel", delimiter=";").dialect, lambda it: (
        it.delimiter, it.lineterminator, it.quoting, it.doublequote)),
    "rows": (rows, lambda it: (it.line_num, list(it), it.dialect.delimiter)),
    "rows over": (lambda: over(csv.reader(["a"])), list),
    "rows by name": (lambda: begun(csv.DictReader(["a,b", "1,2", "3,4"])), list),
    "a table": (table, write_more),
    "newline decoder": (decoder, lambda it: (it[0], it[1].decode(b"\xac\r"), it[1].newlines,
                                             it[1].decode(b"\n", True))),
    "context variable": (lambda: contextvars.ContextVar("name", default=[1]), lambda it: (
        it.name, it.get(), it.set(2).old_value is contextvars.Token.MISSING, it.get())),
    "context": (context, about_context),
    "local": (lambda: threading.local(), vars),
    "a class of it": (lambda: Own(5, step=[2]), lambda it: (it.count, it.step, vars(it))),
    "number of C": (lambda: ctypes.c_int(-3), repr), "long double": (
        lambda: ctypes.c_longdouble(1.5), repr),
    "a class of such": (lambda: Mark(3), lambda it: it.value),
    "structure": (lambda: Point(1, 2.5), lambda it: (it.x, it.y)),
    "bits": (lambda: Line(5, 300), lambda it: (it.width, it.color, bytes(it))),
    "structures in it": (shape, lambda it: (
        it.name, [(end.x, end.y) for end in it.ends], it.flags, len(bytes(it)))),
    "union": (lambda: Either(0x01020304), lambda it: (bytes(it.b), it.i)),
    "array of C": (lambda: (ctypes.c_short * 100)(*range(100)), list),
    "text of C": (lambda: ctypes.create_string_buffer(b"abc", 30), lambda it: (it.value, len(it))),
    "with attributes": (lambda: [it := Point(1, 2), setattr(it, "more", [it.x])][0],
                        lambda it: it.more),
    "part and whole": (lambda: [it := shape(), it.ends[1]], lambda it: (
        setattr(it[1], "x", 9), it[0].ends[1].x)),
    "part only": (lambda: shape().ends[0], lambda it: (it.x, it.y)),
    "zone": (tokyo, lambda it: (repr(it), about_zone(it), pickle.dumps(it))),
    "of its own class": (lambda: Zone("Australia/Sydney"), about_zone),
    "with rules": (lambda: zoneinfo.ZoneInfo("America/Havana"), about_zone),
    "fixed": (lambda: zoneinfo.ZoneInfo("Etc/GMT+5"), about_zone),
    "from a file": (lambda: zoneinfo.ZoneInfo.from_file(io.BytesIO(OSLO), "there"), lambda it: (
        it.key, about_zone(it))),
    "date": (lambda: datetime.datetime(2020, 1, 1, tzinfo=zoneinfo.ZoneInfo("Asia/Seoul")), repr),
    "not from the cache": (lambda: zoneinfo.ZoneInfo.no_cache("Asia/Tokyo"), lambda it: (
        it is zoneinfo.ZoneInfo("Asia/Tokyo"), pickle.dumps(it), about_zone(it))),
    "what was caught": (caught, about_caught), "record": (record, about_record),
    "part of a traceback": (lambda: caught()[2].tb_next, lambda it: (it.tb_next, it.tb_lineno)),
    "an alias in parts": (lambda: iter(tuple[int]), list),
    "awaitable": (lambda: three().asend(None), run), "with a default": (
        lambda: anext(three(), 5), run),
    "to throw": (lambda: three().athrow(StopAsyncIteration), lambda it: it is not None),
    "local context": (lambda: decimal.localcontext(decimal.Context(prec=3)), lambda it: (
        it.__enter__().prec, it.__exit__(None, None, None))),
    "hooks": (sys.get_asyncgen_hooks, repr),
    "raw stream": (lambda: [it := Raw(b"abcd"), it.read(2)], lambda it: (
        it[1], it[0].read(), it[0].closed, it[0].close(), it[0].closed)),
    "Asian text": (lambda: shift_jis(codecs.getincrementaldecoder), lambda it: (
        it[0], it[1].decode("\u3044".encode("shift_jis")[1:], True), it[1].errors)),
    "2 dimensions": (lambda: view_of(bytearray(range(12)), "B", (3, 4)), lambda it: (
        it.tolist(), it.shape, it.strides, it[1, 2], it.c_contiguous)),
    "3": (lambda: view_of(array.array("B", range(16)), "H", (2, 2, 2)), lambda it: (
        it.tolist(), it.format, it.readonly)),
    "of ctypes": (lambda: memoryview(Shorts(1, 2, 3, 4))[1:3], lambda it: (
        bytes(it), it.format, it.shape, list(it.obj))),
    "none": (lambda: view_of(b"abcd", "I", ()), lambda it: (it.tolist(), it.ndim, it.readonly)),
    "rows of them": (lambda: view_of(b"abcdefgh", "B", (4, 2))[::2].toreadonly(), lambda it: (
        it.tolist(), it.strides, it.tobytes())),
    "released": (lambda: [it := memoryview(b"a"), it.release()][0], lambda it: repr(it)[:25]),
    "of a stream": (lambda: [it := io.BytesIO(b"abcd"), it.getbuffer()[1:3]], lambda it: (
        it[1].tolist(), it[1].__setitem__(0, 120), it[1].release(), it[0].getvalue())),
}

# Iterators, of which two items have been taken.
ITERATORS = {
    "ordered": lambda: iter(ordered()), "values": lambda: iter(ordered().values()),
    "items": lambda: iter(ordered().items()), "backwards": lambda: reversed(ordered()),
    "items backwards": lambda: reversed(ordered().items()), "all": lambda: iter(
        collections.OrderedDict(a=1, b=2)),
    "deque": lambda: iter(collections.deque("abcd")),
    "deque backwards": lambda: reversed(collections.deque(map(str, range(200)))),
    "deque, all": lambda: iter(collections.deque("ab")),
    "array": lambda: iter(array.array("d", [1, 2, 3])),
    "view": lambda: iter(memoryview(array.array("i", [1, 2, 3]))),
    "view, all": lambda: iter(memoryview(b"ab")),
    "elements": lambda: root().iter(), "by name": lambda: root().iter("b"),
    "text": lambda: root().itertext(),
    "structs": lambda: struct.iter_unpack("<hb", bytes(range(12))),
    "structs of a view": lambda: struct.Struct("h").iter_unpack(memoryview(bytes(range(12)))[2:]),
    "structs, all": lambda: struct.iter_unpack("B", b"ab"),
}
