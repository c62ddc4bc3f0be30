"""Ordinary Python code in contexts: it gives what it gives on the main side.

Run by the patched interpreter: python tests/cpython/test_contexts.py
"""
import asyncio
import collections
import dataclasses
import decimal
import json
import os
import random
import re
import struct
import tempfile
import time
import traceback
import unittest

import parallel
from parallel import _parallel
from support import in_context, run


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
        self.assertEqual(_parallel.find_strays(), [])

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
        self.assertEqual(_parallel.find_strays(), [])

    def test_a_running_loop_stays_behind(self):
        def leave_one():
            asyncio.events._set_running_loop([])
        for _ in range(8):  # on each worker
            self.assertIsNone(in_context(asyncio.events._get_running_loop))
            in_context(leave_one)

    def test_find_strays_looks(self):
        self.assertEqual(_parallel.find_strays(), [])
        with self.assertRaises(parallel.ParallelError):
            in_context(_parallel.find_strays)

    def test_owns(self):
        mine = []
        self.assertTrue(_parallel.owns(mine))
        self.assertEqual(
            in_context(lambda: [_parallel.owns(x) for x in (mine, [])]),
            [False, True])


# ---- print() -----------------------------------------------------------------------

class Print(unittest.TestCase):
    def test_print(self):
        out, errors = run("""
            import parallel, sys
            for i in range(100):
                parallel.submit_work(print, (i, "x" * 100, i))
            parallel.submit_work(lambda: print("y" * 2000, end="", flush=True))
            parallel.submit_work(lambda: print("z", file=sys.stderr))
            parallel.run()
        """)
        lines = out.replace("y" * 2000, "").splitlines()
        self.assertEqual(sorted(lines),
                         sorted(f"{i} {'x' * 100} {i}" for i in range(100)))
        self.assertEqual(errors, "z\n")

    def test_print_to_a_pipe_that_main_reads(self):
        """It is full most of the time, and main needs the GIL to empty it."""
        self.assertEqual(run("""
            import os, parallel, threading
            def talk():
                print("x" * 1_000_000)
            output = os.dup(1)
            reader, writer = os.pipe()
            os.dup2(writer, 1)
            os.close(writer)
            parallel.submit_work(talk)
            runner = threading.Thread(target=parallel.run)
            runner.start()
            count = 0
            while count < 1_000_001:
                count += len(os.read(reader, 1 << 16))
            runner.join()
            os.write(output, b"%d" % count)
        """), ("1000001", ""))

    def test_print_encodes_as_main_does(self):
        code = """
            import parallel, sys
            def talk():
                print("\\xe4\\u20ac")
                try:
                    print("\\udc80")
                except UnicodeEncodeError as error:
                    print(error.encoding)
                print("\\u20ac", file=sys.stderr)
            parallel.submit_work(talk)
            parallel.run()
            talk()
        """
        for encoding, text, error in (("ascii:replace", "??\n?\n", "\\u20ac\n"),
                                      ("utf-8", "ä€\nutf-8\n", "€\n")):
            self.assertEqual(run(code, PYTHONIOENCODING=encoding),
                             (text * 2, error * 2))


if __name__ == "__main__":
    unittest.main()
