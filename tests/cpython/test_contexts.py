"""Python code in contexts: what works there, what is refused, what comes back.

Run by the patched interpreter: python tests/cpython/test_contexts.py
"""
import array
import asyncio
import atexit
import collections
import dataclasses
import decimal
import gc
import io
import json
import os
import random
import re
import signal
import struct
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import traceback
import unittest
import weakref

import _parallel
import parallel


# Whoever starts a test in the background has it ignore Ctrl-C, and so would the
# interpreters that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def in_context(func, *args):
    """What func(*args) returns or raises in a context."""
    seen = []
    _parallel.submit(func, args, None, None, None,
                     lambda error, result: seen.append((error, result)))
    while not seen:
        parallel._parallel.run_once()
    error, result = seen[0]
    if error is not None:
        raise error
    return result


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


# ---- ordinary code ---------------------------------------------------------

class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __add__(self, other):
        return Point(self.x + other.x, self.y + other.y)


def numbers():
    return [sum(i * i for i in range(1000)), 2 ** 200 % 97, 1.5 / 3, -7 // 2,
            fib(12), divmod(17, 5), complex(1, 2) * 2, repr(0.1 + 0.2)]


def strings():
    text = "the quick brown fox " * 3
    joined = "".join(word.title() for word in text.split())
    built = ""
    for i in range(100):
        built += str(i)
    return [joined, built, f"{3.14159:.2f} {255:#x}", "äöü".upper(),
            "äöü".encode(), b"abc".hex(), text.replace("fox", "dog").count("dog")]


def containers():
    counts = {}
    for word in "a b a c b a".split():
        counts[word] = counts.get(word, 0) + 1
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    grid = [[i * j for j in range(4)] for i in range(4)]
    seen = {i % 7 for i in range(100)}
    seen.discard(3)
    return [rows, grid, sorted(seen), tuple(reversed(range(3))),
            {**counts, "z": 0}, frozenset("abc") & set("bcd")]


def objects():
    class Local(Point):
        __slots__ = ("tag",)

        @property
        def norm(self):
            return self.x * self.x + self.y * self.y

    total = Point(0, 0)
    for i in range(10):
        total = total + Point(i, 1)
    local = Local(3, 4)
    local.tag, local.x = "t", 6
    return [total.x, total.y, local.norm, local.tag, isinstance(local, Point),
            vars(total), hasattr(local, "nothing")]


def flow():
    def walk(n):
        for i in range(n):
            try:
                if i % 3 == 0:
                    raise KeyError(i)
                yield i
            except KeyError as error:
                yield -error.args[0]
            finally:
                done.append(i)
    done = []
    found = list(walk(7))
    closed = (lambda x: lambda y: x + y)(3)(4)
    first, *rest = found
    match rest:
        case [int(a), *_] if a > 0:
            kind = "positive"
        case _:
            kind = "other"
    return [found, done, closed, first, kind]


def library():
    text = json.dumps({"a": [1, 2.5, None, True], "b": "ü"}, sort_keys=True)
    return [json.loads(text), text, re.findall(r"(\w)(\d)", "a1 b2 c3"),
            re.sub("a+", lambda m: m[0].upper(), "aab ab"), sorted("hello"),
            list(zip("ab", [1, 2])), [*map(str, range(3))], max([3, 9, 2])]


class OrdinaryCode(unittest.TestCase):
    """The same values as on the main side, cold and warm."""

    def test_same_values(self):
        for body in numbers, strings, containers, objects, flow, library:
            with self.subTest(body.__name__):
                cold = in_context(body)
                expected = body()
                self.assertEqual(cold, expected)
                for _ in range(20):
                    body()
                self.assertEqual(in_context(body), expected)

    def test_code_made_in_a_context(self):
        def body():
            names = {}
            exec("def twice(x):\n return 2 * x\nvalue = twice(21)", names)
            return names["value"], eval("[i for i in range(3)]")
        self.assertEqual(in_context(body), (42, [0, 1, 2]))

    def test_deep_recursion_raises(self):
        def dive(n):
            return dive(n + 1)
        with self.assertRaises(RecursionError):
            in_context(dive, 0)

    def test_it_is_a_context(self):
        self.assertFalse(parallel.is_parallel_thread())
        self.assertTrue(in_context(parallel.is_parallel_thread))
        self.assertGreater(in_context(parallel.thread_seq_id), 0)
        self.assertEqual(parallel.thread_seq_id(), 0)

    def test_blocking_calls(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)

        def body():
            os.write(writer, b"from a context")
            return os.read(reader, 100)
        self.assertEqual(in_context(body), b"from a context")


# ---- what a context must not change ----------------------------------------

class Slotted:
    __slots__ = ("a",)


GLOBAL = 0


def set_global():
    global GLOBAL
    GLOBAL = 1


def make_counter():
    count = 0

    def step():
        nonlocal count
        count += 1
        return count
    return step


class Guard(unittest.TestCase):
    """Each change of main's objects raises, and changes nothing."""

    def refuse(self, *changes, state=lambda: None):
        before = state()
        for number, change in enumerate(changes):
            with self.subTest(number):
                with self.assertRaises(parallel.UnprotectedError):
                    in_context(change)
                self.assertEqual(state(), before)

    def test_list(self):
        x = [3, 1, 2]
        self.refuse(
            lambda: x.append(1), lambda: x.extend([1]), lambda: x.insert(0, 1),
            lambda: x.pop(), lambda: x.remove(1), lambda: x.clear(),
            lambda: x.sort(), lambda: x.reverse(), lambda: x.__init__(),
            lambda: x.__setitem__(0, 1), lambda: x.__delitem__(0),
            lambda: x.__setitem__(slice(1), []), lambda: x.__imul__(2),
            lambda: x.__setitem__(slice(0, 3, 2), [7, 8]),
            lambda: x.__imul__(0), lambda: x.__iadd__((1,)),
            lambda: x.extend(i for i in range(3)), state=x.copy)

    def test_dict(self):
        x = {"a": 1}
        self.refuse(
            lambda: x.__setitem__("a", 2), lambda: x.__setitem__("b", 2),
            lambda: x.__delitem__("a"), lambda: x.pop("a"), lambda: x.popitem(),
            lambda: x.clear(), lambda: x.update(b=1), lambda: x.update([(1, 2)]),
            lambda: x.setdefault("b", 1), lambda: x.__ior__({"b": 1}),
            state=x.copy)
        self.assertEqual(in_context(lambda: x.setdefault("a", 5)), 1)
        self.assertEqual(in_context(lambda: x.pop("none", 7)), 7)

    def test_empty_dict(self):
        x = {}
        self.refuse(lambda: x.__setitem__("a", 2), lambda: x.setdefault(1, 2),
                    lambda: x.update(a=1), state=x.copy)

    def test_set(self):
        x = {1, 2}
        self.refuse(
            lambda: x.add(3), lambda: x.discard(1), lambda: x.remove(1),
            lambda: x.pop(), lambda: x.clear(), lambda: x.update([3]),
            lambda: x.__ior__({3}), lambda: x.__iand__({1}),
            lambda: x.__isub__({1}), lambda: x.__ixor__({1}),
            lambda: x.intersection_update([1]),
            lambda: x.difference_update([1]),
            lambda: x.symmetric_difference_update([1]), state=x.copy)

    def test_bytearray(self):
        x = bytearray(b"abc")
        self.refuse(
            lambda: x.append(1), lambda: x.extend(b"1"), lambda: x.clear(),
            lambda: x.pop(), lambda: x.reverse(), lambda: x.__setitem__(0, 1),
            lambda: x.__setitem__(slice(2), b""), lambda: x.__iadd__(b"1"),
            lambda: memoryview(x).__setitem__(0, 1), state=lambda: bytes(x))
        self.assertEqual(in_context(lambda: bytes(memoryview(x))), b"abc")
        x.append(1)  # no export was left behind

    def test_attributes(self):
        point, slotted = Point(1, 2), Slotted()
        slotted.a = 1

        def by_opcode():
            point.x = 5

        def slot_by_opcode():
            slotted.a = 5

        def item_by_opcode():
            items[0] = 5
        items = [1]
        for _ in range(50):
            by_opcode(), slot_by_opcode(), item_by_opcode()
        point.x = slotted.a = items[0] = 1
        self.refuse(
            by_opcode, slot_by_opcode, item_by_opcode,
            lambda: setattr(point, "new", 1), lambda: delattr(point, "x"),
            lambda: vars(point).clear and setattr(Point, "new", 1),
            lambda: setattr(slotted, "a", 2), lambda: delattr(slotted, "a"),
            lambda: setattr(fib, "mark", 1),
            state=lambda: (dict(point.__dict__), slotted.a, items[:],
                           dir(Point), vars(fib).copy()))

    def test_a_copy_of_a_dict(self):
        point = Point(1, 2)

        def body():
            attributes = vars(point).copy()
            attributes["x"] = 10
            return attributes, point.x
        self.assertEqual(in_context(body), ({"x": 10, "y": 2}, 1))
        self.assertEqual(vars(point), {"x": 1, "y": 2})

    def test_globals_and_cells(self):
        step = make_counter()
        self.refuse(set_global, lambda: globals().update(GLOBAL=2), step,
                    state=lambda: GLOBAL)
        self.assertEqual(step(), 1)

    def test_iterators(self):
        def numbers():
            yield 1
            yield 2
        for make in (numbers, lambda: iter([1, 2]), lambda: iter((1, 2)),
                     lambda: zip((1, 2)), lambda: map(int, "12"),
                     lambda: enumerate("ab")):
            it = make()
            self.refuse(lambda: next(it), lambda: list(it),
                        lambda: [x for x in it], lambda: it.__next__())
            self.assertEqual(len(list(it)), 2)

    def test_deque(self):
        x = collections.deque([1, 2, 3])
        self.refuse(
            lambda: x.append(1), lambda: x.appendleft(1), lambda: x.pop(),
            lambda: x.popleft(), lambda: x.extend([1]), lambda: x.clear(),
            lambda: x.extendleft([1]), lambda: x.rotate(), lambda: x.reverse(),
            lambda: x.remove(2), lambda: x.insert(1, 5), lambda: x.__init__([1]),
            lambda: x.__setitem__(0, 1), lambda: x.__delitem__(0),
            lambda: x.__imul__(2), state=lambda: list(x))
        self.assertEqual(in_context(lambda: (x[1], len(x), list(x))),
                         (2, 3, [1, 2, 3]))

    def test_array(self):
        x = array.array("i", [3, 1, 2])
        self.refuse(
            lambda: x.append(1), lambda: x.extend([1]), lambda: x.pop(),
            lambda: x.insert(0, 1), lambda: x.reverse(), lambda: x.byteswap(),
            lambda: x.fromlist([1]), lambda: x.frombytes(b"abcd"),
            lambda: x.remove(1), lambda: x.__setitem__(0, 1),
            lambda: x.__delitem__(0), lambda: x.__imul__(2),
            lambda: x.__setitem__(slice(2), x[:1]), state=lambda: x.tobytes())

    def test_ordered_dict(self):
        x = collections.OrderedDict(a=1, b=2)
        self.refuse(
            lambda: x.__setitem__("a", 2), lambda: x.__setitem__("c", 2),
            lambda: x.__delitem__("a"), lambda: x.pop("a"), lambda: x.popitem(),
            lambda: x.clear(), lambda: x.move_to_end("a"),
            lambda: x.update(b=1), lambda: x.setdefault("c"),
            state=lambda: list(x.items()))

    def test_files(self):
        text, data = io.StringIO("a\nb"), io.BytesIO(b"a\nb")
        file = open(__file__)
        self.addCleanup(file.close)
        for each in text, data:
            self.refuse(each.read, each.readline, lambda: each.seek(1),
                        lambda: next(each), each.getvalue, each.close,
                        lambda: each.truncate(0),
                        state=lambda: (each.tell(), each.getvalue()))
        self.refuse(file.read, file.readline, lambda: next(file),
                    lambda: file.seek(1), lambda: file.buffer.read(1),
                    lambda: file.write("x"), file.detach, state=file.tell)

    def test_exceptions_of_main(self):
        error = ValueError("main's")
        self.refuse(lambda: error.add_note(""),
                    lambda: setattr(error, "args", ()),
                    lambda: setattr(error, "__cause__", error),
                    lambda: setattr(error, "__context__", error),
                    state=lambda: (error.args, error.__cause__))

        def body():
            try:
                try:
                    raise error
                finally:
                    raise KeyError from error
            except KeyError as other:
                return other.__cause__ is error
        self.assertTrue(in_context(body))
        self.assertIsNone(error.__traceback__)
        self.assertIsNone(error.__context__)

    def test_what_is_mains_business(self):
        for body in (lambda: sys.settrace(print), lambda: sys.setprofile(print),
                     lambda: os.fork(), lambda: os.forkpty(),
                     lambda: threading.Thread(target=print).start()):
            with self.assertRaises(parallel.ParallelError):
                in_context(body)

    def test_it_can_be_caught(self):
        x = []

        def body():
            try:
                x.append(1)
            except parallel.UnprotectedError as error:
                return str(error)
        self.assertIn("'list' object", in_context(body))

    def test_what_belongs_to_the_process(self):
        directory, limit = os.getcwd(), sys.getrecursionlimit()
        handler = signal.getsignal(signal.SIGUSR1)
        for change in (
                os.fork, lambda: os.chroot("/"),
                lambda: os.putenv("PX_TEST", "1"),
                lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN),
                lambda: signal.alarm(100), lambda: sys.settrace(print),
                lambda: sys.setprofile(print),
                lambda: threading.Thread(target=print).start(),
                lambda: atexit.register(print)):
            with self.assertRaises(parallel.ParallelError):
                in_context(change)
        self.assertEqual((os.getcwd(), sys.getrecursionlimit()),
                         (directory, limit))
        self.assertEqual(signal.getsignal(signal.SIGUSR1), handler)
        self.assertNotIn("PX_TEST", os.environ)

    def test_submitting_from_a_context(self):
        with self.assertRaises(parallel.ParallelError):
            in_context(lambda: parallel._parallel.run_once())


# ---- what the library keeps ---------------------------------------------------

def bytes_too_many():
    try:
        return bytes(1 << 62)
    except MemoryError as error:
        return error


@dataclasses.dataclass
class Record:
    items: list


Generic = list[int]


class Library(unittest.TestCase):
    """What modules remember: a context reads it and adds nothing."""

    def test_it_works_and_nothing_stays(self):
        def text():
            try:
                1 / 0
            except ZeroDivisionError:
                return traceback.format_exc().splitlines()[-1]
        bodies = {
            "struct": lambda: struct.pack("<hhq", 1, 2, 3),
            "traceback": text,
            "decimal": lambda: str(decimal.Decimal(1) / 3),
            "memory": lambda: repr(bytes_too_many()),
        }
        for name, body in bodies.items():
            with self.subTest(name):
                self.assertEqual(in_context(body), body())
        self.assertEqual(parallel._parallel.find_strays(), [])

    def test_strings_whose_hash_main_has_not_computed(self):
        """They are as good as any others as keys."""
        class Mine:
            pass

        def body(words, same):
            counts = {}
            for word in words + same:
                counts[word] = counts.get(word, 0) + 1
            word, other = words[0], same[0]
            object = Mine()
            setattr(object, word, 1)
            plain = Mine()
            plain.__dict__.update({word: 2})
            known = {"a": 1}
            known[word] = 2
            default = {}
            default.setdefault(word, 3)
            default.setdefault("a", 4)
            default.setdefault(words[1], 5)
            return [counts, getattr(object, other), getattr(plain, other),
                    other in {word}, known[other], default[other],
                    default[same[1]], {word: 6}[other], dict([(word, 7)])[other],
                    dict.fromkeys(words)[other] is None, {**{word: 8}}[other],
                    (lambda **names: names[other])(**{word: 9}),
                    collections.Counter(words + same)[other],
                    collections.OrderedDict([(word, 10)])[other],
                    type("New", (), {word: 11}).__dict__[other]]

        def make(n):
            return ["".join(["-px", str(n), str(i)]) for i in range(30)]
        for n in range(3):
            counts, *rest = in_context(body, make(n), make(n))
            self.assertEqual(counts, dict.fromkeys(make(n), 2))
            self.assertEqual(len(counts), 30)
            self.assertEqual(rest, [1, 2, True, 2, 3, 5, 6, 7, True, 8, 9, 2, 10, 11])

    def test_random(self):
        random.seed(1)
        before = random.getstate()
        drawn = [in_context(lambda: [random.random() for _ in range(1000)])
                 for _ in range(2)]
        self.assertEqual(random.getstate(), before)
        self.assertEqual(len(set(drawn[0] + drawn[1])), 2000)
        self.assertTrue(all(0 <= x < 1 for x in drawn[0]))
        self.assertEqual(in_context(lambda: random.Random(1).random()),
                         random.Random(1).random())

    def test_print(self):
        code = textwrap.dedent("""
            import parallel, sys
            for i in range(100):
                parallel.submit_work(print, (i, "x" * 100, i))
            parallel.submit_work(lambda: print("y" * 2000, end="", flush=True))
            parallel.submit_work(lambda: print("z", file=sys.stderr))
            parallel.run()
        """)
        child = subprocess.run([sys.executable, "-c", code],
                               capture_output=True, text=True, timeout=60)
        lines = child.stdout.replace("y" * 2000, "").splitlines()
        self.assertEqual(sorted(lines),
                         sorted(f"{i} {'x' * 100} {i}" for i in range(100)))
        self.assertEqual(child.stderr, "z\n")

    def test_classes_of_the_library(self):
        def recursive():
            record = Record([1])
            record.items.append(record)
            return repr(record)

        def name_of_file():
            with tempfile.TemporaryFile() as file:
                return file.write(b"x")
        for body in (recursive, name_of_file,
                     lambda: re.compile("^a$", re.M | re.S | re.A).flags,
                     lambda: Generic.__parameters__ == (),
                     lambda: str.join.__qualname__,
                     lambda: (fib.__code__.co_code, fib.__code__.co_varnames,
                              fib.__code__.co_freevars, fib.__code__.co_cellvars),
                     lambda: time.strptime("12 1999", "%m %Y").tm_year,
                     lambda: fib.__annotations__,
                     lambda: Record.__eq__.__annotations__):
            expected = body()
            self.assertEqual(in_context(body), expected)
        self.assertEqual(parallel._parallel.find_strays(), [])

    def test_a_running_loop_stays_behind(self):
        def leave_one():
            asyncio.events._set_running_loop([])
        for _ in range(8):  # on each worker
            self.assertIsNone(in_context(asyncio.events._get_running_loop))
            in_context(leave_one)

    def test_find_strays_looks(self):
        self.assertEqual(parallel._parallel.find_strays(), [])
        with self.assertRaises(parallel.ParallelError):
            in_context(parallel._parallel.find_strays)

    def test_owns(self):
        mine = []
        self.assertTrue(parallel._parallel.owns(mine))
        self.assertEqual(
            in_context(lambda: [parallel._parallel.owns(x) for x in (mine, [])]),
            [False, True])


# ---- what comes back -------------------------------------------------------

class MainError(Exception):
    def __init__(self, code, text):
        super().__init__(code, text)
        self.code = code


class Crossing(unittest.TestCase):
    def test_values(self):
        def body():
            shared = [1]
            cycle = [shared, shared]
            cycle.append(cycle)
            return cycle, {"k": (1.5, b"x", "ü" * 3, 10 ** 40, None, 1j)}, \
                bytearray(b"ab"), {1, 2}, frozenset([3]), True, ""
        cycle, items, *rest = in_context(body)
        self.assertIs(cycle[0], cycle[1])
        self.assertIs(cycle[2], cycle)
        self.assertEqual(items, {"k": (1.5, b"x", "üüü", 10 ** 40, None, 1j)})
        self.assertEqual(rest, [bytearray(b"ab"), {1, 2}, frozenset([3]), True, ""])

    def test_main_owned_objects_are_themselves(self):
        mine = object()
        self.assertIs(in_context(lambda: [mine])[0], mine)

    def test_what_cannot_leave(self):
        with self.assertRaisesRegex(parallel.PersistenceError, "generator"):
            in_context(lambda: (i for i in "ab"))

    def test_exception_classes(self):
        def fail(make):
            raise make()
        error = None
        with self.assertRaises(OSError) as caught:
            in_context(open, "/nowhere/at/all")
        self.assertEqual((caught.exception.errno, caught.exception.filename),
                         (2, "/nowhere/at/all"))
        with self.assertRaises(UnicodeDecodeError) as caught:
            in_context(lambda: b"\xff".decode())
        self.assertEqual(caught.exception.start, 0)
        with self.assertRaises(MainError) as caught:
            in_context(fail, lambda: MainError(7, "seven"))
        self.assertEqual((caught.exception.code, caught.exception.args),
                         (7, (7, "seven")))
        with self.assertRaises(ExceptionGroup) as caught:
            in_context(fail, lambda: ExceptionGroup("g", [ValueError(1)]))
        self.assertEqual(caught.exception.exceptions[0].args, (1,))

    def test_a_class_made_in_a_context(self):
        def body():
            class Local(LookupError):
                pass
            raise Local("gone")
        with self.assertRaises(LookupError) as caught:
            in_context(body)
        self.assertIs(type(caught.exception), LookupError)
        self.assertIn("Local", caught.exception.__notes__[0])

    def test_chain_and_traceback(self):
        def inner():
            raise KeyError("inner")

        def outer():
            try:
                inner()
            except KeyError as error:
                raise ValueError("outer", iter([])) from error
        with self.assertRaises(ValueError) as caught:
            in_context(outer)
        error = caught.exception
        self.assertEqual(error.args, ("outer", "<list_iterator object of a context>"))
        self.assertEqual(error.__cause__.args, ("inner",))
        names = []
        at = error.__cause__.__traceback__
        while at:
            names.append((at.tb_frame.f_code.co_name,
                          at.tb_lineno - outer.__code__.co_firstlineno))
            at = at.tb_next
        self.assertEqual(names, [("outer", 2), ("inner", -2)])


class Work(unittest.TestCase):
    def test_nothing_submitted(self):
        code = "import parallel\nparallel.run_once()"
        child = subprocess.run([sys.executable, "-c", code],
                               capture_output=True, text=True)
        self.assertIn("NoEventsError", child.stderr)

    def test_callback_and_errback_run_in_the_context(self):
        def check(value):
            assert parallel.is_parallel_thread()
            if value != 42:
                raise ValueError(value)

        def fail():
            raise KeyError("k")

        def errback(error):
            kind, value, traceback = error
            assert kind is KeyError and isinstance(value, KeyError)
            assert traceback is not None
        parallel.submit_work(lambda x: x + 1, 41, callback=check)
        parallel.submit_work(lambda: 42, (), None, check)
        parallel.submit_work(lambda x, y: x - y, (44,), {"y": 2}, check)
        parallel.submit_work(fail, errback=errback)
        parallel.run()

    def test_each_error_is_raised_once(self):
        def fail(number):
            raise ValueError(number)
        for number in range(10):
            parallel.submit_work(fail, number)
        seen = set()
        for _ in range(10):
            with self.assertRaises(ValueError) as caught:
                while True:
                    parallel.run_once()
            seen.add(caught.exception.args[0])
        self.assertEqual(seen, set(range(10)))
        self.assertFalse(parallel.run_once(0))

    def test_callbacks_return_none(self):
        parallel.submit_work(lambda: 1, callback=lambda value: value)
        with self.assertRaisesRegex(TypeError, "callback"):
            parallel.run()

    def test_bad_arguments(self):
        for arguments in ((None,), (print, (), 5)):
            with self.assertRaises(TypeError):
                parallel.submit_work(*arguments)

    def test_setters_of_classes_in_c(self):
        def function():
            pass
        place = decimal.Context(prec=5)

        def rename():
            function.__name__ = "spoilt"

        def widen():
            place.prec = 6
        for body in rename, widen:
            parallel.submit_work(body)
            with self.assertRaises(parallel.UnprotectedError):
                parallel.run()
        self.assertEqual((function.__name__, place.prec), ("function", 5))

    def test_main_lives_on(self):
        data = {str(i): [i] for i in range(1000)}
        for _ in range(20):
            parallel.submit_work(
                lambda: sum(len(k) + v[0] for k, v in data.items()))
        parallel.run()
        counts = [sys.getrefcount(v) for v in data.values()]
        self.assertEqual(set(counts), {counts[0]})
        gc.collect()
        self.assertEqual(data["7"], [7])

    def test_two_callbacks_at_once(self):
        """Each waits for the other: only possible without the GIL."""
        first, second = os.pipe(), os.pipe()

        def meet(send, receive):
            os.write(send, b"x")
            return os.read(receive, 1)
        if os.process_cpu_count() < 2:
            self.skipTest("one CPU, one worker")
        parallel.submit_work(meet, (first[1], second[0]))
        parallel.submit_work(meet, (second[1], first[0]))
        parallel.run()
        for fd in first + second:
            os.close(fd)

    def test_interrupt(self):
        code = textwrap.dedent("""
            import os, parallel, signal, threading
            reader, writer = os.pipe()
            def interrupt():
                os.read(reader, 1)
                os.kill(os.getpid(), signal.SIGINT)
                os.write(back_writer, b"x")
            back_reader, back_writer = os.pipe()
            threading.Thread(target=interrupt, daemon=True).start()
            def body():
                os.write(writer, b"x")
                return os.read(back_reader, 1)
            try:
                for _ in range(1000):
                    parallel.submit_work(lambda: None)
                os.write(writer, b"x")
                while True:
                    parallel.submit_work(lambda: None)
                    parallel.run_once()
            except KeyboardInterrupt:
                print("interrupted")
        """)
        child = subprocess.run([sys.executable, "-c", code],
                               capture_output=True, text=True, timeout=60)
        self.assertEqual(child.stdout, "interrupted\n", child.stderr)

    def test_exit_with_work_left(self):
        code = ("import parallel\n"
                "for i in range(100): parallel.submit_work(sum, (range(10**5),))\n"
                "parallel.run_once()")
        child = subprocess.run([sys.executable, "-c", code],
                               capture_output=True, text=True, timeout=60)
        self.assertEqual((child.returncode, child.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
