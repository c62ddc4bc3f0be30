"""Ways round the guards: what C code would have done to main's objects when a
callback hands them to it by a detour.

Run by the patched interpreter: python tests/cpython/test_detours.py
"""
import array
import asyncio
import codecs
import collections
import contextlib
import ctypes
import datetime
import decimal
import gc
import io
import itertools
import operator
import pickle
import sqlite3
import struct
import sys
import types
import unittest
import warnings
import weakref
import xml.etree.ElementTree as ET

import parallel
from support import Case, in_context


class Thing:
    pass


def database():
    """It is closed by whoever leaves the with statement."""
    return contextlib.closing(sqlite3.connect(":memory:", check_same_thread=False))


def loop_for_main(case):
    loop = asyncio.new_event_loop()
    case.addCleanup(loop.close)
    return loop


# ---- __new__ returns main's object --------------------------------------------------

def alone(base, *args, **options):
    """A subclass of @base, and the object of main's that is all it ever makes."""
    def __new__(cls, *args, **options):
        return only[0]
    cls = type(base.__name__, (base,), {"__new__": __new__})
    if base.__new__ is object.__new__:
        one = object.__new__(cls)
    else:
        one = base.__new__(cls, *args, **options)
    base.__init__(one, *args, **options)
    only = [one]
    return cls, one


# class: what main gives it, what a callback does, what can be seen of the object
INITIALISED = {
    Exception: ((1,), lambda cls: cls([5]), lambda one: one.args),
    list: (([1, 2, 3],), lambda cls: cls([9]), list),
    set: (([1, 2, 3],), lambda cls: cls([9]), set.copy),
    dict: (({1: 2},), lambda cls: cls({3: 4}), dict.copy),
    collections.deque: (([1, 2, 3], 5), lambda cls: cls([9], 2),
                        lambda one: (list(one), one.maxlen)),
    collections.defaultdict: ((int, {1: 2}), lambda cls: cls(list, {3: 4}),
                              lambda one: (one.default_factory, dict(one))),
    io.BytesIO: ((b"abc",), lambda cls: cls(b"xy"), io.BytesIO.getvalue),
    io.StringIO: (("abc",), lambda cls: cls("xy"), io.StringIO.getvalue),
    io.FileIO: (("/dev/null",), lambda cls: cls("/dev/zero"),
                lambda one: (one.name, one.closed)),
    struct.Struct: (("i",), lambda cls: cls("q"), lambda one: (one.format, one.pack(1))),
    ET.Element: (("a", {"b": "c"}), lambda cls: cls("d", {"e": "f"}),
                 lambda one: (one.tag, one.attrib.copy())),
    property: ((len,), lambda cls: cls(abs), lambda one: one.fget),
    decimal.Context: ((5,), lambda cls: cls(7), repr),
    super: ((bool, True), lambda cls: cls(Thing, Thing()),
            lambda one: (one.__thisclass__, one.__self__)),
}


class InitTest(Case):

    def refuse(self, change, state):
        super().refuse(change, state=state)

    def test_of_a_class_of_c(self):
        for base, (args, change, state) in INITIALISED.items():
            with self.subTest(base):
                cls, one = alone(base, *args)
                self.refuse(lambda: change(cls), lambda: state(one))
                if base is io.FileIO:
                    self.assertEqual(one.read(1), b"")
                    one.close()

    def test_of_a_text_file(self):
        buffer = io.BytesIO(b"abc")
        cls, one = alone(io.TextIOWrapper, buffer, "utf-8")
        self.refuse(lambda: cls(io.BytesIO(), "latin-1"),
                    lambda: (one.buffer is buffer, one.encoding))
        self.assertEqual(one.read(), "abc")

    def test_of_a_connection(self):
        cls, one = alone(sqlite3.Connection, ":memory:", check_same_thread=False)
        with contextlib.closing(one):
            one.execute("create table t(a)")
            self.refuse(lambda: cls(":memory:"),
                        lambda: one.execute("select name from sqlite_master").fetchall())

    def test_of_a_cursor(self):
        def change():
            with database() as own:
                cls(own)
        with database() as mains:
            cls, one = alone(sqlite3.Cursor, mains)
            self.refuse(change, lambda: one.connection is mains)
            self.assertEqual(one.execute("select 1").fetchall(), [(1,)])

    def test_of_a_pickler(self):
        file = io.BytesIO()
        cls, one = alone(pickle.Pickler, file)
        one.dump([[1], [2]])
        self.refuse(lambda: cls(io.BytesIO(), 0), lambda: (one.bin, len(one.memo.copy())))
        size = len(file.getvalue())
        one.dump(3)
        self.assertGreater(len(file.getvalue()), size)

    def test_of_an_unpickler(self):
        file = io.BytesIO(pickle.dumps([[1], [2]]) + pickle.dumps(3))
        cls, one = alone(pickle.Unpickler, file)
        one.load()
        self.refuse(lambda: cls(io.BytesIO()), lambda: len(one.memo.copy()))
        self.assertEqual(one.load(), 3)

    def test_of_a_future(self):
        loop = loop_for_main(self)
        cls, one = alone(asyncio.Future, loop=loop)
        one.set_result(1)
        self.refuse(lambda: cls(loop=types.SimpleNamespace(get_debug=bool)),
                    lambda: (one.done() and one.result(), one.get_loop() is loop))

    def test_what_a_deque_makes(self):
        deque = collections.deque
        cls, one = alone(deque, [1, 2, 3])
        for source in one, deque.__new__(cls):
            for change in deque.copy, lambda x: x + deque([9]), lambda x: x * 2:
                self.refuse(lambda: change(source), lambda: list(one))

    def test_what_a_deque_makes_without_init(self):
        """Its copy is main's, and nothing has been done to it yet."""
        deque = collections.deque
        cls, one = alone(deque, [1, 2, 3])
        cls.__init__ = lambda self, *args: None
        for source in one, deque.__new__(cls):
            for change in lambda x: x + deque([9]), lambda x: x * 2:
                self.refuse(lambda: change(source), lambda: list(one))

    def test_singletons(self):
        class Bare:
            def __new__(cls, *args):
                return only[0]

        class Quiet(Bare):
            def __init__(self, *args):
                self.seen = getattr(self, "seen", args) if not vars(self) else None

        class Calm(Bare):
            def __init__(self, *args):
                len(args)
        for cls in Bare, Calm:
            only = [object.__new__(cls)]
            self.assertTrue(in_context(lambda: cls() is cls(1) is only[0]))
        only = [object.__new__(Quiet)]
        self.refuse(lambda: Quiet(1), lambda: vars(only[0]).copy())

    def test_weak_references(self):
        thing = Thing()
        for _ in range(2):
            self.assertTrue(in_context(
                lambda: weakref.ref(thing)() is weakref.ref(thing)() is thing))
            first = weakref.ref(thing)
            self.assertIs(first(), thing)


class MadeTest(Case):
    """C makes an object by calling a class, or a function, that returns main's."""

    def test_fromkeys(self):
        class Meta(type):
            def __call__(cls):
                return mains

        class Made(dict, metaclass=Meta):
            pass
        for mains in {}, {1: 2}:
            for kind in dict.fromkeys, set, list:
                with self.subTest(kind=kind, mains=mains):
                    self.refuse(lambda: Made.fromkeys(kind(range(100))),
                                state=lambda: (sys.getsizeof(mains), mains.copy()))

    def test_astimezone(self):
        class When(datetime.datetime):
            def __new__(cls, *args, **options):
                return mains
        zones = [datetime.timezone(datetime.timedelta(hours=n)) for n in (1, 2, 3)]
        make = datetime.datetime.__new__
        mains = make(When, 2020, 1, 1, tzinfo=zones[0])
        self.refuse(lambda: make(When, 2020, 1, 2, tzinfo=zones[1]).astimezone(zones[2]),
                    state=lambda: (mains.tzinfo, mains.isoformat()))

    def test_cursor(self):
        def change():
            with database() as own:
                own.row_factory = sqlite3.Row
                own.cursor(factory=lambda connection: cursor)
        with database() as mains:
            cursor = mains.cursor()
            self.refuse(change, state=lambda: cursor.row_factory)
            self.assertEqual(cursor.execute("select 1").fetchall(), [(1,)])

    def test_property(self):
        class Meta(type):
            def __call__(cls, *args):
                return mains

        class Made(property, metaclass=Meta):
            pass

        def make(name):
            made = type.__call__(Made, len)
            made.__set_name__(Thing, name)
            return made
        mains = make("mains")
        self.refuse(lambda: make("own").getter(len), state=lambda: mains.__name__)

    def test_tree_builder(self):
        def change():
            builder = ET.TreeBuilder(element_factory=lambda *args: mains)
            builder.start("x", {})
            builder.data("text")
            builder.end("x")
        mains = ET.Element("e")
        self.refuse(change, state=lambda: ET.tostring(mains))

    def test_decoder(self):
        def search(name):
            if name == "detours":
                return codecs.CodecInfo(
                    codecs.latin_1_encode, codecs.latin_1_decode, name=name,
                    incrementalencoder=codecs.getincrementalencoder("latin-1"),
                    incrementaldecoder=lambda errors: mains)
        codecs.register(search)
        self.addCleanup(codecs.unregister, search)
        codecs.lookup("detours")
        mains = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("latin-1")(), True)
        self.refuse(
            lambda: io.TextIOWrapper(io.BytesIO(b"a\r\nb\r"), "detours", newline="\n").read(),
            state=lambda: (mains.newlines, mains.getstate()))
        self.assertEqual(mains.decode(b"a\r\n"), "a\n")


# ---- iterators ----------------------------------------------------------------------

class Awaitable:
    def __init__(self, iterator):
        self.iterator = iterator

    def __await__(self):
        return self.iterator


class Next:
    def __init__(self, iterator):
        self.iterator = iterator

    def __anext__(self):
        return Awaitable(self.iterator)


class Reduced:
    def __init__(self, *how):
        self.how = how

    def __reduce__(self):
        return self.how


def chained(it):
    chain = itertools.chain()
    chain.__setstate__((iter([]), it))
    return next(chain)


def teed(it):
    tee = itertools.tee(())[0]
    tee.__setstate__((itertools._tee_dataobject(it, [], None), 0))
    return next(tee)


def drained(coroutine):
    values = []
    try:
        while True:
            values.append(coroutine.send(None))
    except StopIteration:
        return values


def awaited(it):
    async def wait():
        await Awaitable(it)
    return drained(wait())


def awaited_next(it):
    async def wait():
        await anext(Next(it))
    return drained(wait())


def awaited_next_or(it):
    async def wait():
        await anext(Next(it), None)
    return drained(wait())


def inserted(it):
    with database() as own:
        own.execute("create table t(a, b)")
        own.executemany("insert into t values(?, ?)", it)
        return own.execute("select * from t").fetchall()


def pickled_items(it, protocol=None):
    return pickle.loads(pickle.dumps(Reduced(list, (), None, it), protocol))


def pickled_table(it, protocol=None):
    return pickle.loads(pickle.dumps(Reduced(dict, (), None, None, it), protocol))


ADVANCING = [chained, teed, awaited, awaited_next, awaited_next_or, inserted,
             pickled_items, lambda it: pickled_items(it, 0),
             pickled_table, lambda it: pickled_table(it, 0)]
PAIRS = [(1, 2), (3, 4), (5, 6)]


class IteratorTest(Case):

    def setUp(self):
        caught = warnings.catch_warnings()
        caught.__enter__()
        self.addCleanup(caught.__exit__, None, None, None)
        warnings.simplefilter("ignore", DeprecationWarning)  # what itertools pickles

    def test_mains(self):
        for advance in ADVANCING:
            with self.subTest(advance):
                it = iter(PAIRS)
                self.refuse(lambda: advance(it), state=lambda: operator.length_hint(it))
                self.assertEqual(list(it), PAIRS)

    def test_own(self):
        for advance in ADVANCING:
            with self.subTest(advance):
                self.agree(lambda: advance(iter(PAIRS)))

    def test_mains_tee(self):
        def advance():
            make, args, state = tee.__reduce__()
            return take(make, args, state)

        def take(make, args, state):
            own = make(*args)
            own.__setstate__(state)
            return list(own)
        it = iter(range(100))
        tee, other = itertools.tee(it)
        reduced = tee.__reduce__()
        self.refuse(advance, lambda: take(*reduced), state=lambda: operator.length_hint(it))
        self.assertEqual((list(other), list(tee)), (list(range(100)),) * 2)

    def test_own_tee(self):
        def advance():
            tee, other = itertools.tee(iter(range(100)))
            make, args, state = tee.__reduce__()
            own = make(*args)
            own.__setstate__(state)
            return list(own), list(other)
        self.agree(advance)

    def test_proxies(self):
        class Mapped(map):
            pass

        def advance():
            own = Mapped(str, [1, 2])
            return next(weakref.proxy(own)), next(own)
        source = iter([1, 2, 3])
        it = Mapped(str, source)
        self.refuse(lambda: next(weakref.proxy(it)),
                    state=lambda: operator.length_hint(source))
        self.assertEqual(list(it), ["1", "2", "3"])
        self.agree(advance)


# ---- buffers ------------------------------------------------------------------------

class Numbers(ctypes.Structure):
    _fields_ = [("arr", ctypes.c_int * 2)]


class BufferTest(Case):

    def fail_all(self, state, *changes):
        """They raise something, whatever it is, and change nothing."""
        before = state()
        for number, change in enumerate(changes):
            with self.subTest(number):
                with self.assertRaises(Exception):
                    in_context(change)
                self.assertEqual(state(), before)

    def test_from_buffer(self):
        def change():
            ctypes.c_int.from_buffer(mains).value = 0x41414141
        for mains in bytearray(b"abcdefgh"), array.array("b", b"abcdefgh"):
            with self.subTest(type(mains)):
                self.fail_all(lambda: bytes(mains), change)
                mains.append(1)
                self.assertEqual(bytes(mains), b"abcdefgh\1")

    def test_part_of_a_structure(self):
        def own_from_mains():
            ctypes.c_int.from_buffer(mains.arr).value = 7
        mains = Numbers((1, 2))
        self.fail_all(
            lambda: bytes(mains), own_from_mains,
            lambda: operator.setitem(memoryview(mains.arr).cast("B"), 0, 7),
            lambda: io.BytesIO(b"abcd").readinto(mains.arr),
            lambda: struct.pack_into("i", mains.arr, 0, 7))
        self.agree(lambda: bytes(mains.arr), lambda: memoryview(mains.arr).tobytes(),
                   lambda: memoryview(mains.arr).cast("B")[0])
        mains.arr[0] = 3
        self.assertEqual(list(mains.arr), [3, 2])

    def test_given_by_python(self):
        class Given:
            def __buffer__(self, flags):
                return memoryview(mains)
        mains = bytearray(b"abcd")
        self.fail_all(lambda: bytes(mains),
                      lambda: operator.setitem(memoryview(Given()), 0, 65),
                      lambda: io.BytesIO(b"xy").readinto(Given()),
                      lambda: struct.pack_into("i", Given(), 0, 7))
        self.agree(lambda: bytes(memoryview(Given())), lambda: memoryview(Given())[0])
        mains.append(1)
        self.assertEqual(mains, b"abcd\1")

    def test_of_a_file(self):
        file = io.BytesIO(b"xyz")
        view = file.getbuffer()
        held = view.obj

        def read_and_keep():
            kept = [memoryview(held)]
            kept.append(kept)
            return bytes(kept[0])
        for read in lambda: bytes(memoryview(held)), lambda: bytes(held), read_and_keep:
            try:
                self.assertEqual(in_context(read), b"xyz")
            except (parallel.ParallelError, BufferError, TypeError):
                pass
        self.fail_all(lambda: bytes(view),
                      lambda: operator.setitem(memoryview(held), 0, 65))
        view.release()
        del view, held
        gc.collect()
        self.assertEqual(file.write(b"q" * 900), 900)
        self.assertEqual(file.getvalue(), b"q" * 900)


if __name__ == "__main__":
    unittest.main()
