"""The memory of contexts: when objects go, and how much there is.

Run by the patched interpreter: python tests/cpython/test_memory.py
"""
import asyncio
import contextlib
import ctypes
import os
import resource
import sys
import unittest
import warnings
import weakref

import parallel
from parallel import _parallel
from support import Case, in_context


def is_counting():
    """What is dropped gives its place to the next of its size."""
    return id(object()) == id(object())


def with_finalizer():
    seen = []

    class Dropped:
        def __del__(self):
            seen.append("gone")
    Dropped()
    return seen + [is_counting()]


def with_weak_values():
    class Value:
        pass
    values = weakref.WeakValueDictionary()
    for i in range(10):
        values[i] = Value()
    return len(values) < 10, is_counting()


def with_a_view():
    data = bytearray(4)
    view = memoryview(data)
    del view
    data.append(1)
    return len(data), is_counting()


def with_finally():
    seen = []

    def generate():
        try:
            yield 1
        finally:
            seen.append("closed")
    generator = generate()
    next(generator)
    del generator
    return seen + [is_counting()]


def with_a_plain_generator():
    sum(i for i in range(10))
    memoryview(b"abc")[1:]
    return is_counting()


def with_generators_that_leave_nothing():
    def delegates(items):
        yield from zip(items, items)
        yield [key for key in items]

    def tries():
        try:
            found = {}["x"]
        except KeyError as error:
            found = error.args
        finally:
            found = str(found)
        yield found

    async def waits():
        await asyncio.sleep(0)

    def drop(generator):
        next(generator)
    drop(delegates([1, 2]))
    drop(tries())
    waits().close()
    return is_counting()


def with_yield_from_in(kind):
    seen = []

    def tries():
        try:
            yield from [1]
        finally:
            seen.append("closed")

    def manages():
        with contextlib.closing(tries()) as inner:
            yield next(inner)

    def nests():
        for i in range(3):
            try:
                pass
            except ValueError:
                yield 0
            if i:
                yield from tries()
    generator = {"try": tries, "with": manages, "nested": nests}[kind]()
    next(generator)
    del generator
    return seen


def with_a_file():
    warnings.simplefilter("ignore", ResourceWarning)
    before = len(os.listdir("/proc/self/fd"))
    open(os.devnull)
    return len(os.listdir("/proc/self/fd")) - before


PAIRS = {key: key for key in range(50)}


def grown_by(loop):
    """Bytes that the heap has grown by; the first run learns."""
    loop()
    before = parallel.memory_stats()["used_bytes"]
    loop()
    return parallel.memory_stats()["used_bytes"] - before


def unpack_tuples():
    for _ in range(40):
        for _key, _value in PAIRS.items():
            pass
        for _at, _key in enumerate(PAIRS):
            pass
        for _one, _other, _third in zip(PAIRS, PAIRS, PAIRS):
            pass


def keep_tuples():
    """One that is unpacked while others refer to it stays as it is."""
    kept, whole, seen = [], [], []
    for pair in PAIRS.items():
        key, value = pair
        kept.append(pair)
        seen.append((key, value))
    items = iter(PAIRS.items())
    for whole_pair in items:
        whole.append(whole_pair)
        _key, _value = whole_pair
        _key, _value = whole_pair
        _key, _value = whole[-1]
        _key, _value = next(items)
    expected = list(PAIRS.items())
    return kept == expected and seen == expected and whole == expected[::2]


def much():
    for _ in range(100_000):
        [None] * 10
    return is_counting()


class Modes(unittest.TestCase):
    def test_young_contexts_free_nothing(self):
        self.assertIs(in_context(is_counting), False)
        self.assertIs(in_context(with_a_plain_generator), False)
        self.assertIs(in_context(with_generators_that_leave_nothing), False)

    def test_young_contexts_use_tuples_anew_that_are_unpacked(self):
        unpack_tuples()  # main learns, too, where contexts do not
        self.assertLess(in_context(grown_by, unpack_tuples), 100_000)
        self.assertIs(in_context(is_counting), False)
        for memory in "auto", "counted", "arena":
            self.assertIs(in_context(keep_tuples, memory=memory), True)

    def test_auto_counts_where_one_could_tell(self):
        self.assertEqual(in_context(with_finalizer), ["gone", True])
        self.assertEqual(in_context(with_weak_values), (True, True))
        self.assertEqual(in_context(with_a_view), (5, True))
        self.assertEqual(in_context(with_finally), ["closed", True])
        self.assertEqual(in_context(with_a_file), 0)
        for kind in "try", "with", "nested":
            self.assertEqual(in_context(with_yield_from_in, kind), ["closed"])

    def test_auto_counts_when_it_has_grown(self):
        self.assertIs(in_context(much), True)

    def test_counted_is_as_on_the_main_side(self):
        self.assertIs(in_context(is_counting, memory="counted"), True)
        for work in with_finalizer, with_weak_values, with_a_view, with_finally:
            with self.subTest(work=work.__name__):
                self.assertEqual(in_context(work, memory="counted"), work())

    def test_an_arena_never_counts(self):
        self.assertEqual(in_context(with_finalizer, memory="arena"), [False])
        self.assertEqual(in_context(with_finally, memory="arena"), [False])
        self.assertIs(in_context(much, memory="arena"), False)

    def test_each_callback_has_its_own(self):
        seen = []
        keep = parallel.call_from_main_thread(seen.append)
        for memory in "counted", "auto", "arena", "counted", "auto":
            parallel.submit_work(lambda: keep(is_counting()), memory=memory)
            parallel.run()
        self.assertEqual(seen, [True, False, False, True, False])

    def test_bad_names(self):
        for name in "", "Auto", "counting", 0, None, b"auto", ("auto",):
            with self.assertRaisesRegex(ValueError, "memory must be"):
                parallel.submit_work(len, "", memory=name)
            with self.assertRaisesRegex(ValueError, "memory must be"):
                parallel.Executor(memory=name)
        with self.assertRaises(TypeError):
            parallel.submit_work(len, "", None, None, None, "auto")


class Bounds(unittest.TestCase):
    def test_memory_is_flat(self):
        def churn():
            return len([str(i) for i in range(1000)])

        def resident_after(count):
            for _ in range(count):
                parallel.submit_work(churn)
            parallel.run()
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * resource.getpagesize()
        sizes = [resident_after(1000) for _ in range(6)]
        # 4,000 contexts of at least 60 KB since; some tens of MB are windows
        # that are kept warm, more of them when the machine is busy
        self.assertLess(sizes[-1] - sizes[1], 48 << 20, sizes)

    def test_a_long_callback_in_bounded_memory(self):
        def grow_a_string():
            text = ""
            for _ in range(30_000):
                text += "x"
            return len(text), parallel.memory_stats()["used_bytes"]

        def count():
            total = 0.0
            for i in range(300_000):
                total += i * 0.5
            return total, parallel.memory_stats()["used_bytes"]

        def tie_knots():
            for _ in range(50_000):
                a, b = [], []
                a.append(b), b.append(a)
            return None, parallel.memory_stats()["used_bytes"]
        for body in grow_a_string, count, tie_knots:
            with self.subTest(body.__name__):
                _, used_bytes = in_context(body)
                self.assertLess(used_bytes, 6 << 20)

    def test_young_bytes(self):
        self.addCleanup(parallel._parallel.set_young_bytes, 1 << 20)
        parallel._parallel.set_young_bytes(0)
        self.assertIs(in_context(is_counting), True)
        with self.assertRaises(ValueError):
            parallel._parallel.set_young_bytes(-1)

    def test_memory_limit(self):
        def greedy():
            chunks = []
            try:
                while True:
                    chunks.append("x" * 100 + str(len(chunks)))
            except MemoryError:
                count = len(chunks)
                del chunks
                return count, parallel.memory_stats()["used_bytes"]
        def modest():
            return len([str(i) for i in range(1000)])
        self.addCleanup(parallel.set_memory_limit, None)
        parallel.set_memory_limit(8 << 20)
        count, used_bytes = in_context(greedy)
        self.assertGreater(count, 8 << 11)
        self.assertLess(used_bytes, 9 << 20)
        self.assertEqual(in_context(modest), 1000)
        parallel.submit_work(lambda: bytes(9 << 20))
        with self.assertRaises(MemoryError):
            parallel.run()
        parallel.set_memory_limit(None)
        self.assertEqual(in_context(lambda: len(bytes(9 << 20))), 9 << 20)
        with self.assertRaises(ValueError):
            parallel.set_memory_limit(-1)
        with self.assertRaises(TypeError):
            parallel.set_memory_limit("much")


def mix_numbers(count):
    """Ints of one to many digits, floats, and what is dropped of them, in turns."""
    kept, total = [], 0
    for i in range(count):
        kept.append(i * 1001 + 257)
        kept.append(i * 0.5 + 0.25)
        kept.append((i + 1) << (i % 100 * 7))
        kept.append(-i - 300)
        if i % 50 == 49:
            total += sum(map(int, kept[::3])) + hash(tuple(kept))
            kept[:] = kept[i % 5::2]
    return total, kept[-50:]


class Numbers(unittest.TestCase):
    """Those of a young context have no blocks of their own."""

    def setUp(self):
        self.addCleanup(parallel._parallel.set_young_bytes, 1 << 20)

    def test_whenever_it_begins_to_count(self):
        count = 2000
        expected = mix_numbers(count)
        for young_bytes in (0, *(1 << bits for bits in range(10, 21))):
            parallel._parallel.set_young_bytes(young_bytes)
            for memory in "auto", "arena", "counted":
                self.assertEqual(in_context(mix_numbers, count, memory=memory),
                                 expected)

    def test_dropped_when_it_counts(self):
        def body():
            young = [i * 0.5 for i in range(5000)]
            young += [i * 1000 for i in range(5000)]
            with_finalizer()  # it counts from here on
            del young[::2]
            more = [x + 1 for x in young]
            del young
            return is_counting(), sum(more), sum(x * 2 for x in more)
        counting, *sums = in_context(body)
        self.assertTrue(counting)
        self.assertEqual(sums, list(body()[1:]))


class Thing:
    def __init__(self):
        self.first, self.second = 1, [2]


class Scarce(unittest.TestCase):
    def test_wherever_it_ends_it_is_a_memory_error(self):
        """Another limit each time, so that it is met in another place."""
        thing = Thing()

        def look():
            attributes = vars(thing)
            return [attributes[name] for name in sorted(attributes)]
        self.addCleanup(parallel.set_memory_limit, None)
        ended = 0
        for limit in range(0, 4000, 8):
            parallel.set_memory_limit(limit)
            try:
                self.assertEqual(in_context(look), [1, [2]])
            except MemoryError:
                ended += 1
        self.assertGreater(ended, 10)


LIBC = ctypes.CDLL(None)
PARTS = ["ä" * 5000 + str(i) for i in range(2)]


class MemoryTest(Case):
    def test_text_of_mains_for_c_code(self):
        """Its UTF-8 form is the context's, and there once."""
        def use(rounds):
            import ctypes
            before = _parallel.memory_stats()["used_bytes"]
            for _ in range(rounds):
                for text in PARTS:
                    assert not hasattr(LIBC, text)
            return _parallel.memory_stats()["used_bytes"] - before
        seen = []
        _parallel.submit(use, (300,), None, None, None,
                         lambda error, result: seen.append(error or result), 2)
        while not seen:
            _parallel.run_once()
        self.assertLess(seen[0], 1_000_000)

    def test_more_than_there_can_be(self):
        """It does not take from the reserve for a MemoryError."""
        def body():
            for _ in range(3):
                try:
                    bytearray(sys.maxsize - 64) * 1
                except MemoryError:
                    pass
                else:
                    return "no error"
            return len([0] * 100_000)
        self.assertEqual(in_context(body), 100_000)


class Nested(unittest.TestCase):
    """Work that callbacks submit."""

    def test_it_runs_with_copies_of_the_arguments(self):
        seen = []
        keep = parallel.call_from_main_thread(seen.append)

        def work(depth, path):
            keep(path)
            if depth:
                for i in range(2):
                    parallel.submit_work(work, (depth - 1, [*path, i]))
        parallel.submit_work(work, (4, []))
        parallel.run()
        self.assertEqual(len(seen), 31)
        self.assertEqual(len(set(map(tuple, seen))), 31)

    def test_its_errors_are_run_once_s(self):
        def fail(what):
            raise LookupError(what)

        def work():
            parallel.submit_work(fail, "nested")
        parallel.submit_work(work)
        with self.assertRaisesRegex(LookupError, "nested"):
            parallel.run()
        parallel.run()

    def test_bad_arguments(self):
        def work():
            try:
                parallel.submit_work(len, "", memory="?")
            except ValueError:
                parallel.submit_work(7)  # found out on the main side
        parallel.submit_work(work)
        with self.assertRaisesRegex(TypeError, "callable"):
            parallel.run()
        parallel.run()


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
