"""What only looks like reading: C code that changes an object, or keeps something
in it, when it is asked or called. It must not reach main's objects.

Run by the patched interpreter: python tests/cpython/test_reading.py
For ctypes see test_ctypes.py.
"""
import collections
import collections.abc
import copy
import gc
import heapq
import io
import logging
import operator
import os
import pickle
import re
import sys
import tempfile
import traceback
import unittest
import weakref

import parallel
from support import in_context
from test_hostile import Case

type Lazy = list[tuple[int]]


def generic[T: list[tuple[int]], *Ts = *tuple[int, ...], **P = [int]](x: T) -> T:
    return x


def one_of[T: (list[str], list[bytes])](x: T) -> T:
    return x


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

    def test_a_stack_to_its_top(self):
        """Nobody has called the last frame."""
        top = sys._getframe()
        while top.f_back:
            top = top.f_back
        self.assertEqual(
            in_context(lambda: (top.f_back, len(traceback.format_stack(top)))), (None, 1))

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

class MemoryFileTest(Case):

    def test_what_is_in_it(self):
        """Main goes on to write where the answer came from."""
        for kind, some, more in (io.BytesIO, b"a", b"bc"), (io.StringIO, "a", "\u20acc"):
            for begin in kind(), kind(some), kind(some * 3000):
                with self.subTest(kind.__name__):
                    for change in (lambda it: it.write(more), lambda it: it.seek(1),
                                   lambda it: it.read(2), lambda it: it.truncate(2),
                                   lambda it: it.write(more * 5000)):
                        self.assertEqual(in_context(begin.getvalue), begin.getvalue())
                        change(begin)
                    self.assertEqual(in_context(begin.getvalue), begin.getvalue())


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


class LibraryTest(Case):
    """What the library writes when it is only asked."""

    def test_finalizers_of_mains(self):
        class Thing:
            pass
        thing = Thing()
        finalizer = weakref.finalize(thing, print)
        read = lambda: (finalizer.alive, finalizer.atexit, finalizer.peek()[0] is thing,
                        "dead" in repr(finalizer))
        self.agree(read)
        before = read()
        for change in (finalizer, finalizer.detach,
                       lambda: setattr(finalizer, "atexit", False)):
            self.refuse(change)
            self.assertEqual(read(), before)
        self.assertTrue(finalizer.detach())

    def test_loggers_in_copies(self):
        logger = logging.getLogger("px.reading")
        self.assertTrue(in_context(lambda: pickle.loads(pickle.dumps(logger)).name
                                   == copy.deepcopy([logger])[0].name == "px.reading"))
        self.assertIs(pickle.loads(pickle.dumps(logger)), logger)

    def test_copies_of_dicts(self):
        class Dict(collections.UserDict):
            pass
        mains = Dict(a=1)
        mains.extra = [2]
        self.agree(lambda: (mains.copy(), mains.copy().extra, type(mains.copy()).__name__))
        self.assertEqual(mains, {"a": 1})

    def test_weak_values_that_main_looks_through(self):
        class Value:
            pass
        values = [Value(), Value()]
        mains = weakref.WeakValueDictionary(enumerate(values))
        for _ in mains.values():
            del _, values[1:]
            gc.collect()
            self.assertEqual(in_context(lambda: (len(mains), sorted(mains), 1 in mains,
                                                 mains.get(1), len(mains.copy()))),
                             (1, [0], False, None, 1))
        self.assertEqual((len(mains), len(mains.data)), (1, 1))


if __name__ == "__main__":
    unittest.main()
