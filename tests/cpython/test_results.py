"""What leaves a context is main's own copy: instances, containers, functions.

Run by the patched interpreter: python tests/cpython/test_results.py
"""
import array
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import gc
import os
import pathlib
import resource
import subprocess
import sys
import textwrap
import threading
import time
import types
import unittest
import uuid
import weakref

import _parallel
import parallel
from test_contexts import in_context


@dataclasses.dataclass
class Point:
    x: int
    y: list


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    a: int
    b: object = None


class Base:
    __slots__ = ("s", "unset")


class Slots(Base):
    __slots__ = ("t", "__weakref__")


class SlotsAndDict(Slots):
    pass


class Strict:
    """Everything that a class can do to be in the way."""
    calls = []

    def __new__(cls, *args):
        return object.__new__(cls)

    def __init__(self, value):
        self.__dict__["value"] = value

    def __setattr__(self, name, value):
        raise AttributeError("read only")

    def __getattribute__(self, name):
        if not parallel.is_parallel_thread():
            Strict.calls.append(name)
        return object.__getattribute__(self, name)

    def __reduce_ex__(self, protocol):
        raise TypeError("not to be pickled")

    def __copy__(self):
        raise TypeError("not to be copied")

    __deepcopy__ = __copy__


class Key:
    """Hashed and compared by Python code."""

    def __init__(self, name):
        self.name = name

    def __hash__(self):
        return hash(self.name)

    def __eq__(self, other):
        return self.name == other.name


class BadKey(Key):
    def __hash__(self):
        if not parallel.is_parallel_thread():
            raise ZeroDivisionError("a hash")
        return 1


class Int(int):
    pass


class Str(str):
    pass


class Tuple(tuple):
    pass


class List(list):
    pass


class Dict(dict):
    def __setitem__(self, key, value):
        raise TypeError("no items")


class Deque(collections.deque):
    def __iter__(self):
        raise TypeError("no items")

    def append(self, item):
        raise TypeError("no items")


class Day(datetime.date):
    def __new__(cls, text):
        return super().__new__(cls, *map(int, text.split("-")))


class Zone(datetime.tzinfo):
    def utcoffset(self, when):
        return datetime.timedelta(minutes=self.minutes)


class Light(enum.Flag):
    RED = 1
    AMBER = 2
    GREEN = 4


Pair = collections.namedtuple("Pair", "left right")


def with_attribute(thing):
    thing.extra = [1]
    return thing


class Copies(unittest.TestCase):
    def tearDown(self):
        self.assertEqual(_parallel.find_strays(), [])

    def same(self, make, *args):
        """What make() returns in a context equals what it returns here."""
        got, expected = in_context(make, *args), make(*args)
        self.assertIs(type(got), type(expected))
        self.assertEqual(got, expected)
        return got

    def test_instances(self):
        point = self.same(lambda: Point(1, [2, "three"]))
        point.y.append(4)
        point.z = 5
        self.assertEqual(vars(point), {"x": 1, "y": [2, "three", 4], "z": 5})
        self.same(lambda: Frozen(1, Frozen(2, Point(3, []))))
        self.same(lambda: [Point(i, []) for i in range(1000)])

    def test_slots(self):
        def make():
            thing = SlotsAndDict()
            thing.s, thing.t, thing.d = [1], "two", (3,)
            return thing
        got = in_context(make)
        self.assertEqual((got.s, got.t, got.d), ([1], "two", (3,)))
        self.assertFalse(hasattr(got, "unset"))
        self.assertIs(weakref.ref(got)(), got)

    def test_no_method_is_called(self):
        Strict.calls.clear()
        got = in_context(lambda: Strict([1]))
        self.assertEqual(Strict.calls, [])
        self.assertEqual(vars(got), {"value": [1]})

    def test_the_dict_of_an_instance(self):
        def make():
            one, two = Point(1, []), Point(2, [])
            two.__dict__ = one.__dict__
            return one, two, one.__dict__
        one, two, names = in_context(make)
        self.assertIs(vars(one), names)
        self.assertIs(vars(two), names)
        two.x = 7
        self.assertEqual(one.x, 7)

    def test_names_that_the_class_does_not_know(self):
        class New:
            pass

        def make():
            new = New()
            setattr(new, "".join(["a", "b"]), 1)
            new.c = 2
            return new
        got = in_context(make)
        self.assertEqual((got.ab, got.c), (1, 2))
        self.assertEqual(list(vars(got)), ["ab", "c"])

    def test_order_of_attributes(self):
        def make():
            point = Point.__new__(Point)
            point.y, point.x = [], 1
            return point
        self.assertEqual(list(vars(in_context(make))), ["y", "x"])

    def test_shared_parts_and_cycles(self):
        def make():
            one, two = Point(0, []), Point(1, [])
            one.other, two.other = two, one
            one.y = two.y
            loop = List([one])
            loop.append(loop)
            loop.me = loop
            return loop
        loop = in_context(make)
        one = loop[0]
        self.assertIs(one.other.other, one)
        self.assertIs(one.y, one.other.y)
        self.assertIs(loop[1], loop)
        self.assertIs(loop.me, loop)

    def test_classes_derived_from_values(self):
        for make in (lambda: Int(2 ** 70), lambda: Str("ä" * 3),
                     lambda: Tuple([1, [2]]), lambda: List([1, [2]]),
                     lambda: Pair(1, [2]), lambda: Day("2020-01-02")):
            self.same(make)
            self.assertEqual(in_context(lambda: with_attribute(make())).extra
                             if make() .__class__ is not Pair else [1], [1])
        got = in_context(lambda: with_attribute(Dict(a=[1])))
        self.assertEqual((type(got), dict(got), got.extra), (Dict, {"a": [1]}, [1]))
        got = in_context(lambda: with_attribute(Deque([1, [2]], 5)))
        self.assertEqual((type(got), got.maxlen, got.extra), (Deque, 5, [1]))
        self.assertEqual([got[0], got[1]], [1, [2]])

    def test_library(self):
        zone = datetime.timezone(datetime.timedelta(hours=1), "x")
        for make in (
                lambda: datetime.datetime(2020, 1, 2, 3, 4, 5, 6, fold=1),
                lambda: datetime.datetime(2020, 1, 2, tzinfo=zone),
                lambda: datetime.datetime(2020, 1, 2, tzinfo=datetime.timezone(
                    datetime.timedelta(minutes=int("61")))),
                lambda: datetime.time(1, 2, tzinfo=datetime.timezone.utc),
                lambda: datetime.timedelta(-3, 4, 5),
                lambda: decimal.Decimal("-1.500"),
                lambda: decimal.Decimal("sNaN7").is_snan(),
                lambda: fractions.Fraction(3, 10 ** 30),
                lambda: range(int("3"), 10 ** 20, 7),
                lambda: slice(int("300"), [1], None),
                lambda: collections.deque([1, [2]], maxlen=2),
                lambda: collections.Counter("hello"),
                lambda: collections.ChainMap({"a": [1]}, {}),
                lambda: collections.UserDict(a=1),
                lambda: array.array("d", [1, 2.5]),
                lambda: array.array("w", "äb"),
                lambda: types.SimpleNamespace(a=[1], b=Point(1, [])),
                lambda: pathlib.PurePosixPath("/a") / "b",
                lambda: uuid.UUID(int=int("7")),
                lambda: os.stat("/")[:3],
                lambda: os.stat(os.devnull).st_mode,
                lambda: time.gmtime(0),
                lambda: bytearray(b"abc"), lambda: complex(1, 2)):
            self.same(make)
        got = in_context(lambda: os.stat(os.devnull))
        self.assertEqual(got.st_mtime_ns, os.stat(os.devnull).st_mtime_ns)
        for make in (lambda: datetime.datetime(2020, 1, 2, 3, fold=1),
                     lambda: datetime.time(1, fold=1)):
            self.assertEqual(in_context(make).fold, 1)
        got = in_context(Zone)
        got.minutes = 5
        self.assertEqual(datetime.datetime(2020, 1, 1, tzinfo=got).utcoffset(),
                         datetime.timedelta(minutes=5))

    def test_ordered_dict(self):
        def make(key):
            ordered = collections.OrderedDict((key(k), [k]) for k in "abc")
            ordered.move_to_end(key("a"))
            return ordered
        got = self.same(make, str)
        got.move_to_end("c")
        self.assertEqual(list(got), ["b", "a", "c"])
        got = in_context(make, Key)
        self.assertEqual([key.name for key in got], ["b", "c", "a"])
        self.assertEqual(got[Key("c")], ["c"])

    def test_a_spoilt_ordered_dict(self):
        """It is told of without the key, which must not leave either."""
        def make():
            ordered = collections.OrderedDict({"".join("ab"): 1})
            dict.__delitem__(ordered, "ab")
            return ordered
        with self.assertRaisesRegex(RuntimeError, "as if it were a dict"):
            in_context(make)

    def test_defaultdict(self):
        def make():
            made = []

            def factory():
                made.append(len(made))
                return made[-1]
            counts = collections.defaultdict(factory)
            counts["x"]
            return counts
        got = in_context(make)
        self.assertEqual((got["x"], got["y"], got["z"]), (0, 1, 2))

    def test_members_of_enums(self):
        self.assertIs(in_context(lambda: Light.RED), Light.RED)
        got = in_context(lambda: [Light.RED | Light.GREEN] * 2)
        self.assertIs(got[0], Light.RED | Light.GREEN)
        self.assertIs(got[1], got[0])
        self.assertIs(in_context(lambda: Light(3)), in_context(lambda: Light(3)))

    def test_functions(self):
        def make():
            def factorial(n, *, one=int("1")):
                return n * factorial(n - 1) if n else one
            factorial.note = [1]
            return factorial
        got = in_context(make)
        self.assertEqual((got(5), got.note, got.__name__), (120, [1], "factorial"))
        self.assertEqual(got.__module__, __name__)
        got = in_context(lambda: functools.partial(make(), one=int("2")))
        self.assertEqual(got(0), 2)
        got = in_context(lambda: Point(1, [3]).y.__class__)
        self.assertIs(got, list)
        got = in_context(lambda: Frozen(1, Key("k")).b.__hash__)
        self.assertEqual(got(), hash("k"))

    def test_what_is_mains_stays_itself(self):
        mine = Point(1, [])
        got = in_context(lambda: Point(2, [mine, mine.y]))
        self.assertIs(got.y[0], mine)
        self.assertIs(got.y[1], mine.y)
        alive = weakref.ref(mine)
        del mine
        gc.collect()
        self.assertIs(alive(), got.y[0])
        del got
        gc.collect()
        self.assertIsNone(alive())


class Hashes(unittest.TestCase):
    """Python code that hashes runs when all copies are made."""

    def test_keys_and_members(self):
        def make():
            return ({Key("a"): [1], "b": 2, Key("c"): Key("d")},
                    {Key("a"), 3}, frozenset([Key("a"), (Key("b"), 1)]))
        items, members, frozen = in_context(make)
        self.assertEqual([type(key) for key in items], [Key, str, Key])
        self.assertEqual(items[Key("a")], [1])
        self.assertIn(Key("a"), members)
        self.assertIn((Key("b"), 1), frozen)
        self.assertEqual((len(items), len(members), len(frozen)), (3, 2, 2))

    def test_by_identity(self):
        class Plain:
            pass

        def make():
            one, two = Plain(), Plain()
            return one, {one: 1, two: 2}, {one, two}
        one, items, members = in_context(make)
        self.assertEqual((items[one], len(items)), (1, 2))
        self.assertIn(one, members)
        self.assertEqual(set(items), members)

    def test_what_is_inside_comes_first(self):
        def make():
            inner = frozenset([Key("a"), Key("b")])
            return {(inner, 1): {inner: "x"}, frozenset([inner]): 2}, inner
        items, inner = in_context(make)
        again = frozenset([Key("b"), Key("a")])
        self.assertEqual(inner, again)
        self.assertEqual(items[again, 1][again], "x")
        self.assertEqual(items[frozenset([again])], 2)

    def test_a_frozen_set_that_contains_itself(self):
        def make():
            key = Key("a")
            key.within = frozenset([key])
            return key
        key = in_context(make)
        self.assertIs(list(key.within)[0], key)

    def test_not_before_all_outcomes_are_safe(self):
        """The hash of one outcome drops what another refers to."""
        class Dropper(Key):
            def __hash__(self):
                if not parallel.is_parallel_thread():
                    kept.clear()
                return 1

        class Big:
            pass
        together = 0
        for _ in range(200):
            kept = [Big()]
            results = []
            for body in (lambda: {Dropper("x"): 1}, lambda: [kept[0]]):
                _parallel.submit(body, (), None, None, None,
                                 lambda error, result: results.append(result))
            parallel.run()
            self.assertEqual(kept, [])
            for result in results:
                if type(result) is list:
                    self.assertIs(type(result[0]), Big)
                    together += 1
        self.assertGreater(together, 0)

    def test_a_hash_that_fails(self):
        with self.assertRaisesRegex(ZeroDivisionError, "a hash"):
            in_context(lambda: {BadKey("x"): 1})
        seen = []
        put = parallel.call_from_main_thread(seen.append)
        parallel.submit_work(lambda: [put({BadKey("x"): 1}), put(1)][0])
        with self.assertRaises(ZeroDivisionError):
            parallel.run()
        parallel.run()
        self.assertEqual(seen, [1])


class Refused(unittest.TestCase):
    def refuses(self, make, what):
        with self.assertRaisesRegex(parallel.PersistenceError, what):
            in_context(make)
        with self.assertRaisesRegex(parallel.PersistenceError, what):
            in_context(lambda: Point(1, [make()]))

    def test_what_is_tied_to_its_context(self):
        def held():
            lock = threading.Lock()
            lock.acquire()
            return lock
        self.refuses(held, "lock.*held")
        self.refuses(lambda: sys._getframe(), "frame")
        self.assertEqual(_parallel.find_strays(), [])

    def test_too_deep(self):
        def make():
            chain = None
            for _ in range(200_000):
                chain = Point(chain, [])
            return chain
        with self.assertRaises(RecursionError):
            in_context(make)

    def test_memory_of_what_is_refused(self):
        def make():
            return [Point(i, ["x" * 100]) for i in range(100)] + [sys._getframe()]
        for _ in range(50):
            self.assertRaises(parallel.PersistenceError, in_context, make)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(500):
            self.assertRaises(parallel.PersistenceError, in_context, make)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.assertLess(after - before, 8 << 10)


class Use(unittest.TestCase):
    """What has left a context is used as everything else."""

    def test_many(self):
        def make(i):
            return Point(i, [Frozen(i, str(i)), {"k": (i,)}])

        def rounds(count):
            with parallel.Executor() as executor:
                points = list(executor.map(make, range(count)))
            self.assertEqual(points[-1].y[0].b, str(count - 1))
        rounds(20_000)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(4):
            rounds(20_000)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.assertLess(after - before, 16 << 10)

    def test_collected(self):
        def make():
            point = Point(1, [])
            point.y.append(point)
            return point
        got = in_context(make)
        gone = weakref.ref(got)
        got.y.append([object(), got])
        gc.collect()
        self.assertEqual(len(got.y), 2)
        del got
        gc.collect()
        self.assertIsNone(gone())

    def test_back_as_arguments(self):
        got = in_context(lambda: Point(1, [2]))
        self.assertEqual(in_context(lambda point: point.y[0] + point.x, got), 3)
        with self.assertRaises(parallel.UnprotectedError):
            in_context(setattr, got, "x", 2)
        self.assertIs(in_context(lambda: [got])[0], got)

    def test_finalizers_run_once_on_main(self):
        ends = []

        class Ends:
            def __del__(self):
                ends.append(parallel.is_parallel_thread())
        got = in_context(lambda: [Ends()])
        self.assertEqual(ends, [])
        del got
        self.assertEqual(ends, [False])

    def test_arguments_of_exceptions(self):
        def fail():
            raise ValueError(Point(1, [2]), Light.RED | Light.AMBER)
        with self.assertRaises(ValueError) as caught:
            in_context(fail)
        self.assertEqual(caught.exception.args, (Point(1, [2]), Light(3)))

    def test_a_property_of_an_exception(self):
        class Odd(Exception):
            @property
            def name(self):
                return 1

        def fail():
            error = Odd()
            error.__dict__["name"] = [2]
            raise error
        with self.assertRaises(Odd) as caught:
            in_context(fail)
        self.assertEqual(vars(caught.exception)["name"], [2])

    def test_calls_of_main(self):
        seen = []
        put = parallel.call_from_main_thread(seen.append)
        ask = parallel.call_from_main_thread_and_wait(
            lambda point: (seen.append(point), Point(point.x + 1, []))[1])

        def body():
            put({Key("k"): Point(1, [])})
            return ask(Point(2, [])).x
        self.assertEqual(in_context(body), 3)
        self.assertEqual([type(thing) for thing in seen], [Point, dict])
        self.assertEqual(seen[1], {Key("k"): Point(1, [])})

    def test_fork_and_exit(self):
        script = textwrap.dedent("""
            import os, parallel, sys
            class Point:
                def __init__(self, x):
                    self.x = x
                def __del__(self):
                    print("del", self.x, flush=True)
            with parallel.Executor() as executor:
                kept = executor.submit(lambda: Point([1])).result()
            child = os.fork()
            kept.x.append(2 if child else 3)
            if child:
                os.waitpid(child, 0)
        """)
        done = subprocess.run([sys.executable, "-Wignore", "-c", script], text=True,
                              capture_output=True, timeout=60)
        self.assertEqual((done.stdout.split("\n"), done.stderr, done.returncode),
                         (["del [1, 3]", "del [1, 2]", ""], "", 0))


if __name__ == "__main__":
    unittest.main()
