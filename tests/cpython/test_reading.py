"""What only looks like reading: C code that changes an object, or keeps something
in it, when it is asked or called. It must not reach main's objects.

Run by the patched interpreter: python tests/cpython/test_reading.py
"""
import collections
import collections.abc
import ctypes
import heapq
import operator
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import unittest
import weakref

import parallel
from parallel import _parallel
from support import in_context
from test_hostile import Case

type Lazy = list[tuple[int]]


def generic[T: list[tuple[int]], *Ts = *tuple[int, ...], **P = [int]](x: T) -> T:
    return x


def one_of[T: (list[str], list[bytes])](x: T) -> T:
    return x


def run(program):
    """In a process of its own."""
    return subprocess.run([sys.executable, "-c", textwrap.dedent(program)],
                          capture_output=True, text=True, timeout=60)


# ---- containers ------------------------------------------------------------------

class ContainerTest(Case):

    def test_lists_that_are_empty(self):
        mine = []
        for more in (lambda: mine.extend(x for x in "abc"),
                     lambda: mine.extend(map(str, range(3))),
                     lambda: operator.iadd(mine, iter([1, 2]))):
            self.refuse(more)
            self.assertEqual(mine, [])

    def test_heaps(self):
        for size in 5, 3000:
            heap = list(range(size))
            for change in (lambda: heapq.heapreplace(heap, 7),
                           lambda: heapq.heappushpop(heap, 7),
                           lambda: heapq._heapreplace_max(heap, 7)):
                self.refuse(change)
                self.assertEqual(heap, list(range(size)))
            heap.reverse()
            self.refuse(heapq.heapify, heap)
            self.refuse(heapq._heapify_max, heap)
            self.assertEqual(heap, list(range(size))[::-1])

    def test_ordered_dicts_that_were_changed_as_dicts(self):
        """What tells of their order has a table, and makes it anew."""
        def body(fresh):
            more = dict.fromkeys(map(str, range(1000)))
            own = collections.OrderedDict((i, i) for i in fresh)
            dict.update(own, more)
            for key in more:
                dict.__delitem__(own, key)
            return own
        expected = collections.OrderedDict((i, i) for i in range(10))
        for _ in range(10):
            self.assertEqual(in_context(body, range(10)), expected)
        mine = body(range(10))
        self.refuse(lambda: list(mine))
        self.assertEqual(mine, expected)

    def test_views_of_views(self):
        mine = bytearray(b"abc")
        view = memoryview(mine)

        def body():
            for _ in range(3):
                memoryview(view).release()
                with view[1:] as part, view.cast("b") as other:
                    seen = part[0], other[0]
            return seen
        self.assertEqual(in_context(body), (98, 97))
        self.assertEqual(view[0], 97)
        with self.assertRaises(BufferError):
            mine.append(1)  # main's view is as it was
        view.release()
        mine.append(1)


# ---- files -----------------------------------------------------------------------

class FileTest(Case):
    TEXT = "one\ntwo\nthree\n"

    def setUp(self):
        with tempfile.NamedTemporaryFile("w", delete=False) as file:
            file.write(self.TEXT)
        self.addCleanup(os.unlink, file.name)
        self.name = file.name

    def check(self, file, reads, first, rest):
        self.assertEqual(file.readline(), first)  # all is in the buffer now
        for read in reads:
            self.refuse(read)
        self.assertEqual(file.read(), rest)

    def test_what_is_in_the_buffer(self):
        with open(self.name, "rb") as file:
            self.check(file, [lambda: file.read(2), file.readline, file.read1,
                              lambda: file.seek(6), lambda: file.peek(1),
                              file.tell, lambda: file.readinto(bytearray(2))],
                       b"one\n", b"two\nthree\n")
        with open(self.name, "rb+") as file:
            self.check(file, [lambda: file.read(2), file.tell],
                       b"one\n", b"two\nthree\n")

    def test_text_that_is_decoded(self):
        with open(self.name) as file:
            self.check(file, [lambda: file.read(2), file.readline, file.tell,
                              file.readlines, file.read],
                       "one\n", "two\nthree\n")

    def test_what_asks_for_nothing(self):
        with open(self.name) as file:
            def body():
                return (file.fileno(), file.readable(), file.closed, file.name,
                        file.buffer.fileno(), file.encoding)
            self.assertEqual(in_context(body), body())


# ---- generators ------------------------------------------------------------------

class GeneratorTest(Case):

    def test_close_and_throw(self):
        def inner():
            yield 1
            yield 2

        def outer():
            yield from inner()
        for new in inner(), outer():
            self.refuse(new.close)
            self.refuse(new.throw, ValueError)
            self.assertEqual(list(new), [1, 2])
        for begun in inner(), outer():
            next(begun)
            self.refuse(begun.close)
            self.refuse(begun.throw, ValueError)
            self.assertEqual(list(begun), [2])

    def test_coroutines(self):
        class Once:
            def __await__(self):
                yield 1

        async def work():
            await Once()
            return 7
        for steps in 0, 1:
            coro = work()
            for _ in range(steps):
                coro.send(None)
            self.refuse(coro.close)
            self.refuse(lambda: coro.__await__().close())
            with self.assertRaises(StopIteration) as seen:
                for _ in range(2):
                    coro.send(None)
            self.assertEqual(seen.exception.value, 7)

    def test_asynchronous_generators(self):
        async def count():
            yield 1
            yield 2

        async def take(from_there):
            return [x async for x in from_there]

        def end(coro):
            try:
                coro.send(None)
            except StopIteration as stop:
                return stop.value

        def body(there):
            sys.set_asyncgen_hooks(firstiter=lambda gen: None,
                                   finalizer=lambda gen: None)
            return end(take(there))
        there = count()
        self.refuse(body, there)
        self.refuse(there.asend, None)
        self.refuse(there.aclose)
        self.assertEqual(end(take(there)), [1, 2])

        async def wait(for_that):
            return await for_that
        first, last = count().__anext__(), count().aclose()
        for that in first, last:
            for use in (lambda: that.send(None), that.close,
                        lambda: that.throw(ValueError), lambda: end(wait(that))):
                self.refuse(use)
        self.assertEqual((end(wait(first)), end(wait(last))), (1, None))

    def test_frames(self):
        def work():
            x = 1
            yield x
            yield x
        there = work()
        next(there)
        self.refuse(lambda: there.gi_frame)
        frame = there.gi_frame
        self.assertTrue(in_context(lambda: there.gi_running is False))

        def body():
            return frame.f_locals["x"], frame.f_lineno
        self.assertEqual(in_context(body), (1, frame.f_lineno))
        self.refuse(lambda: frame.f_locals.__setitem__("x", [2]))
        self.refuse(lambda: frame.f_locals.__setitem__("new", [2]))
        self.assertEqual(next(there), 1)


# ---- what is computed when first asked ---------------------------------------------

class LazyTest(Case):

    def test_type_parameters(self):
        T, Ts, P = generic.__type_params__
        C, = one_of.__type_params__
        for ask in (lambda: str(T.__bound__), lambda: str(C.__constraints__),
                    lambda: str(Ts.__default__), lambda: str(P.__default__),
                    lambda: str(Lazy.__value__), lambda: str(T.__default__)):
            self.assertEqual(in_context(ask), ask())
        self.tearDown()
        self.assertEqual(T.__bound__, list[tuple[int]])

    def test_unions(self):
        T, *_ = generic.__type_params__
        union = list[T] | None
        self.assertEqual(in_context(lambda: union.__parameters__), (T,))
        self.assertEqual(in_context(lambda: str(union[int])), str(union[int]))

    def test_aliases(self):
        T, *_ = generic.__type_params__
        alias = dict[str, list[T]]
        starred = next(iter(tuple[T, ...]))
        for ask in (lambda: alias[int], lambda: starred[int],
                    lambda: alias.__parameters__):
            self.assertEqual(repr(in_context(ask)), repr(ask()))
        plain = list[int]
        with self.assertRaisesRegex(TypeError, "not a generic class"):
            in_context(lambda: plain[str])

    def test_hashes(self):
        thing = Thing()
        view = memoryview(b"abcdef")
        for each in view, view[::2], weakref.ref(thing):
            self.assertEqual(in_context(hash, each), hash(each))

    def test_annotations_of_modules(self):
        self.assertEqual(in_context(lambda: heapq.__annotations__), {})
        self.assertNotIn("__annotations__", vars(heapq))

    def test_groups_of_a_match(self):
        match = re.match("(a)(b)", "ab")
        self.assertEqual(in_context(lambda: match.regs), ((0, 2), (0, 1), (1, 2)))
        self.tearDown()
        self.assertEqual(match.regs, ((0, 2), (0, 1), (1, 2)))

    def test_names_of_properties(self):
        shared = property(lambda self: 1)

        def body():
            class Here:
                x = shared
            return Here().x
        self.assertEqual(in_context(body), 1)
        self.tearDown()
        self.assertEqual(shared.__name__, "<lambda>")


# ---- calls -----------------------------------------------------------------------

class Method:
    def give(self, value):
        return self, value


GIVE = operator.methodcaller("give", 7)


class Thing:
    pass


class EvalTest(Case):
    """Globals of main's need no __builtins__ stored in them."""

    def test_what_an_object_has(self):
        fresh, known = Thing(), Thing()
        fresh.x = known.x = 5
        for space in (lambda: vars(fresh)), (lambda known=vars(known): known):
            def define():
                exec("def f(): return [x, len('abc')]", space(), own := {})
                return own["f"]()

            def store():
                exec("x = 6", space())

            def store_global():
                exec("global x; x = 6", space(), {})
            for text in "x + len([x])", compile("x + len([x])", "", "eval"):
                self.assertEqual(in_context(eval, text, known.__dict__), 6)
                self.assertEqual(in_context(lambda: eval(text, space())), 6)
            self.assertEqual(in_context(define), [5, 3])
            for change in store, store_global:
                with self.assertRaises(parallel.UnprotectedError):
                    in_context(change)
        self.assertEqual((vars(fresh), vars(known)), ({"x": 5}, {"x": 5}))

    def test_its_own(self):
        def body():
            exec("x = 1", own := {})
            return sorted(own)
        self.assertEqual(in_context(body), ["__builtins__", "x"])


class CallTest(Case):

    def test_methodcaller(self):
        """Callbacks on all workers call the same one, which has one array."""
        def body():
            for _ in range(3000):
                it = Method()
                if GIVE(it) != (it, 7):
                    return False
            return True
        with parallel.Executor() as executor:
            each = [executor.submit(body) for _ in range(8)]
            self.assertEqual([future.result() for future in each], [True] * 8)
        self.assertIsInstance(GIVE(Method())[0], Method)
        self.assertEqual(GIVE.__reduce__()[1], ("give", 7))

    def test_registering_a_class_of_mains(self):
        """It would match sequences from then on, for all."""
        def body():
            class Sequence(collections.abc.Sequence):
                pass
            Sequence.register(Method)
            return issubclass(Method, Sequence)
        flags = Method.__flags__
        self.assertEqual(in_context(body), True)
        self.assertEqual(Method.__flags__, flags)

    def test_syslog(self):
        import syslog
        for forbidden in (lambda: syslog.openlog("own"), syslog.closelog,
                          lambda: syslog.setlogmask(1)):
            with self.assertRaises(parallel.ParallelError):
                in_context(forbidden)

    def test_limits(self):
        import resource
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        with self.assertRaises(parallel.ParallelError):
            in_context(resource.setrlimit, resource.RLIMIT_NOFILE, before)


# ---- ctypes ----------------------------------------------------------------------

class Inner(ctypes.Structure):
    _fields_ = [("n", ctypes.c_int), ("at", ctypes.POINTER(ctypes.c_int))]


class Outer(ctypes.Structure):
    _fields_ = [("inner", Inner), ("many", ctypes.c_int * 3)]


COMPARE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int),
                           ctypes.POINTER(ctypes.c_int))
LIBC = ctypes.CDLL(None)
LIBC.qsort


class CtypesTest(Case):

    def test_fields(self):
        mine = Outer()
        for change in (lambda: setattr(mine.inner, "n", 1),
                       lambda: setattr(mine, "inner", Inner(1)),
                       lambda: mine.many.__setitem__(0, 1),
                       lambda: operator.setitem(mine.many, 0, 1)):
            self.refuse(change)
        self.assertEqual((mine.inner.n, mine.many[0]), (0, 0))

        def body():
            own = Outer()
            own.inner.n, own.many[1] = 5, 6
            own.inner = Inner(7)
            return own.inner.n, own.many[1]
        self.assertEqual(in_context(body), (7, 6))

    def test_what_mains_objects_keep(self):
        array = (ctypes.c_int * 3)(1, 2, 3)
        number = ctypes.c_int(4)

        def body():
            own = Inner()
            own.at = array
            cast = ctypes.cast(array, ctypes.POINTER(ctypes.c_int))
            other = ctypes.cast(ctypes.pointer(number), ctypes.c_void_p)
            return own.at[1], cast[2], bool(other)
        ctypes.POINTER(ctypes.c_int)
        self.assertEqual(in_context(body), (2, 3, True))
        self.assertIsNone(array._objects)

    def test_python_code_in_a_call_that_blocks(self):
        """It has let go of the world, so it must come back for a callback."""
        def body():
            seen = []

            def compare(a, b):
                seen.append(_parallel.context_stats())
                return a[0] - b[0]
            numbers = (ctypes.c_int * 3)(3, 1, 2)
            LIBC.qsort(numbers, 3, ctypes.sizeof(ctypes.c_int), COMPARE(compare))
            return list(numbers), [(s["running"], s["blocked"]) for s in seen]
        numbers, seen = in_context(body)
        self.assertEqual(numbers, [1, 2, 3])
        self.assertEqual(set(seen), {(1, 0)})


# ---- memory ----------------------------------------------------------------------

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


# ---- exceptions ------------------------------------------------------------------

class ExceptionTest(Case):

    def raised(self, body):
        try:
            in_context(body)
        except Exception as error:
            return error
        self.fail("nothing raised")

    def test_long_tracebacks(self):
        def body():
            sys.setrecursionlimit(300_000)

            def fall(n):
                if n == 0:
                    raise ValueError("deep")
                fall(n - 1)
            fall(200_000)
        error = self.raised(body)
        at, depth = error.__traceback__, 0
        while at is not None:
            at, depth = at.tb_next, depth + 1
        self.assertEqual(str(error), "deep")
        self.assertGreater(depth, 200_000)

    def test_long_chains(self):
        def body():
            error = None
            for i in range(200_000):
                newer = ValueError(i)
                newer.__context__ = error
                error = newer
            raise error
        error, depth = self.raised(body), 0
        while error is not None:
            error, depth = error.__context__, depth + 1
        self.assertGreater(depth, 100)

    def test_fields_that_are_no_arguments(self):
        error = self.raised(lambda: __import__("px_no_such_module"))
        self.assertEqual((type(error), error.name),
                         (ModuleNotFoundError, "px_no_such_module"))
        error = self.raised(lambda: open("/px/no/such/file"))
        self.assertEqual((error.errno, error.filename, error.filename2),
                         (2, "/px/no/such/file", None))
        self.assertEqual(error.args, (2, "No such file or directory"))
        error = self.raised(lambda: os.rename("/px/no", "/px/other"))
        self.assertEqual((error.filename, error.filename2),
                         ("/px/no", "/px/other"))
        error = self.raised(lambda: px_no_such_name)
        self.assertEqual(error.name, "px_no_such_name")
        error = self.raised(lambda: Method().no_such)
        self.assertEqual((error.name, error.obj), ("no_such", None))

    def test_instances_without_their_dict(self):
        def body():
            it = Method()
            it.x = 1
            del it.__dict__
            return it
        self.assertEqual(vars(in_context(body)), {})


# ---- other interpreters ------------------------------------------------------------

class InterpreterTest(unittest.TestCase):

    def test_contexts_are_the_main_interpreters(self):
        done = run("""
            import parallel
            parallel.submit_work(sum, (range(10),))
            parallel.run()
            import _interpreters
            for config in "legacy", "isolated":
                other = _interpreters.create(config)
                failed = _interpreters.exec(other, '''if True:
                    try:
                        import parallel
                    except ImportError as error:
                        assert "interpreter" in str(error), error
                    else:
                        raise AssertionError("imported")
                    import re, random, weakref
                    assert re.sub("a+", "b", "caat") == "cbt"
                ''')
                assert not failed, failed
                _interpreters.destroy(other)
            seen = []
            parallel._parallel.submit(sum, (range(10),), None, None, None,
                                      lambda *it: seen.append(it))
            parallel.run()
            assert seen == [(None, 45)], seen
        """)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_they_keep_away_from_limbo(self):
        """Theirs is another GIL: what they drop beside a stopped callback goes."""
        done = run("""
            import threading, time
            import parallel
            import _interpreters
            go_on = threading.Event()
            parallel._parallel.submit(time.sleep, (2,), None, None, None,
                                      lambda *it: None)
            other = _interpreters.create("isolated")
            thread = threading.Thread(target=_interpreters.exec, args=(other, '''if True:
                for i in range(300_000):
                    [[str(i)], {"a": i}]
            '''))
            thread.start()
            while thread.is_alive():
                time.sleep(0.01)
                {"kept": [[]]}
            thread.join()
            print(parallel._parallel._limbo() < 1000)
            parallel.run()
            _interpreters.destroy(other)
        """)
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (0, "True\n", ""))


if __name__ == "__main__":
    unittest.main()
