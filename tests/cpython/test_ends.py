"""The end of a callback: files are closed, finalizers run, in their order.

Run by the patched interpreter: python tests/cpython/test_ends.py
"""
import contextlib
import gc
import hashlib
import mmap
import os
import resource
import select
import shutil
import socket
import sqlite3
import sys
import tempfile
import types
import unittest
import warnings
import weakref

import _md5
import _parallel
import parallel
from support import descriptors, fill_memory, in_context, run

SOURCE = __file__


# What their modules remember of the first one is main's.
socket.socket().close()
hashlib.sha256()


class Tell:
    """Says where and when it is finalized, in a pipe."""

    def __init__(self, to, text):
        self.to, self.text = to, text

    def __del__(self):
        place = "context" if parallel.is_parallel_thread() else "main"
        os.write(self.to, f"{self.text} {place}\n".encode())


class EndsTest(unittest.TestCase):
    def setUp(self):
        self.ends = os.pipe()
        in_context(lambda: 1)  # the workers' own descriptors
        self.before = descriptors()

    def tearDown(self):
        self.assertEqual(descriptors(), self.before)
        self.assertEqual(_parallel.find_strays(), [])
        for end in self.ends:
            os.close(end)

    def told(self):
        os.write(self.ends[1], b"end\n")
        text = b""
        while not text.endswith(b"end\n"):
            text += os.read(self.ends[0], 4096)
        return text.decode().split("\n")[:-2]


class Files(EndsTest):
    def left_open(self, make):
        """What make() makes is in a cycle when its callback ends."""
        def body():
            kept = [make()]
            kept.append(kept)
            return len(descriptors())
        self.assertGreater(in_context(body), len(self.before))
        self.assertEqual(descriptors(), self.before)

    def test_each_kind(self):
        self.left_open(lambda: open(SOURCE))
        self.left_open(lambda: open(SOURCE, "rb"))
        self.left_open(lambda: open(SOURCE, "rb", 0))
        self.left_open(socket.socket)
        self.left_open(socket.socketpair)
        self.left_open(lambda: os.scandir("."))
        self.left_open(select.epoll)
        self.left_open(lambda: tempfile.TemporaryFile())

        def map_file():
            with open(SOURCE, "rb") as file:
                return mmap.mmap(file.fileno(), 10, prot=mmap.PROT_READ)
        self.left_open(map_file)

    def test_a_database(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "x")

            def make():
                base = sqlite3.connect(path)
                base.execute("create table if not exists t(a)")
                return base
            self.left_open(make)

    def test_closed_at_once_when_dropped(self):
        """The context counts references from the first file on."""
        def body():
            counts = []
            for _ in range(3):
                open(SOURCE)
                counts.append(len(descriptors()))
            return counts
        self.assertEqual(len(set(in_context(body))), 1)
        self.assertEqual(in_context(body)[0], len(self.before))

    def test_buffered_text_is_written(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "x")

            def body():
                file = open(path, "w")
                loop = [file]
                loop.append(loop)
                file.write("text")
            in_context(body)
            with open(path) as file:
                self.assertEqual(file.read(), "text")

    def test_warning(self):
        def body():
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                open(SOURCE)
            return [(one.category, str(one.message)) for one in caught]
        (category, text), = in_context(body)
        self.assertIs(category, ResourceWarning)
        self.assertIn("unclosed file", text)

    def test_when_it_raises(self):
        def body():
            file = open(SOURCE)
            raise ValueError(file)
        with self.assertRaisesRegex(ValueError, "TextIOWrapper"):
            in_context(body)
        gc.collect()
        self.assertEqual(descriptors(), self.before)

    def test_what_cannot_leave(self):
        def body():
            return {"x": [open(SOURCE), sqlite3.connect(":memory:")]}
        with self.assertRaisesRegex(parallel.PersistenceError, "cannot leave"):
            in_context(body)
        self.assertEqual(descriptors(), self.before)

    def test_results_that_nobody_takes(self):
        parallel.submit_work(lambda: open(SOURCE))
        parallel.run()
        self.assertEqual(descriptors(), self.before)

    def test_many(self):
        def body():
            kept = [open(SOURCE) for _ in range(100)]
            kept.append(kept)
        for _ in range(50):
            in_context(body)

    def test_memory_of_digests(self):
        """It is malloc's, which knows nothing of contexts."""
        for make in hashlib.sha256, hashlib.shake_128, _md5.md5:
            def body():
                kept = [make(b"x") for _ in range(1000)]
                kept.append(kept)
            for _ in range(100):
                in_context(body)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            for _ in range(400):
                in_context(body)
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            self.assertLess(after - before, 40 << 10, make)
        self.assertEqual(in_context(lambda: hashlib.blake2b() and
                                    _parallel.memory_stats()["counting"]), 0)

    def test_a_class_derived_from_one_in_c(self):
        """What frees its instances is CPython's for all. Limbo may have mapped 1 << 40."""
        class Map(mmap.mmap):
            pass

        def body():
            loop = [Map(-1, 16 << 20)]
            loop.append(loop)

        def pages():
            with open("/proc/self/statm") as file:
                return int(file.read().split()[0])
        for _ in range(20):
            in_context(body)
        before = pages()
        for _ in range(100):
            in_context(body)
        self.assertLess((pages() - before) * mmap.PAGESIZE % (1 << 40), 800 << 20)


class Finalizers(EndsTest):
    def test_from_the_newest_on(self):
        def body(to):
            loop = [Tell(to, n) for n in range(3)]
            loop.append(loop)
            return 1
        self.assertEqual(in_context(body, self.ends[1]), 1)
        self.assertEqual(self.told(), ["2 context", "1 context", "0 context"])

    def test_before_what_it_refers_to(self):
        def body(to):
            old = Tell(to, "old")
            old.parts = [{"k": Tell(to, "its part")}, Tell(to, "another")]
            new = Tell(to, "new")
            new.parts = [old.parts[1]]
            old.loop, new.loop = old, new
            return 1
        self.assertEqual(in_context(body, self.ends[1]), 1)
        *others, last = (line.split(" context")[0] for line in self.told())
        self.assertEqual(others + [last], ["new", "old", "another", "its part"])

    def test_cycles_of_them(self):
        def body(to):
            ring = [Tell(to, n) for n in range(20)]
            for one, next_one in zip(ring, ring[1:] + ring[:1]):
                one.next = next_one
        in_context(body, self.ends[1])
        self.assertEqual(sorted(self.told()), sorted(f"{n} context" for n in range(20)))

    def test_what_its_finalizer_uses_is_there(self):
        path = self.enterContext(tempfile.TemporaryDirectory()) + "/log"

        class Log:
            def __init__(self):
                self.file, self.loop = open(path, "w"), self

            def __del__(self):
                self.file.write("last words")
        self.assertIsNone(in_context(lambda: Log() and None))
        with open(path) as file:
            self.assertEqual(file.read(), "last words")

    def test_event_loops(self):
        self.assertEqual(run("""
            import asyncio, os, parallel

            async def serve():
                return len((await asyncio.start_server(print, "127.0.0.1", 0)).sockets)

            def leave(known):
                loop = asyncio.new_event_loop()
                if known:
                    asyncio.set_event_loop(loop)
                return loop.run_until_complete(serve())

            with parallel.Executor() as executor:
                executor.submit(len, "").result()
                before = len(os.listdir("/proc/self/fd"))
                for known in [True, False] * 3:
                    assert executor.submit(leave, known).result() == 1
                assert len(os.listdir("/proc/self/fd")) == before
            """), ("", ""))

    def test_at_once_when_dropped(self):
        def body(to):
            Tell(to, "dropped")
            loop = [Tell(to, "left")]
            loop.append(loop)
            os.write(to, b"over\n")
        in_context(body, self.ends[1])
        self.assertEqual(self.told(), ["dropped context", "over", "left context"])

    def test_what_leaves_is_not_finalized(self):
        def body(to):
            stays, leaves = Tell(to, "stays"), Tell(to, "leaves")
            stays.loop = stays
            leaves.within = [{"k": Tell(to, "deep")}]
            return [leaves]
        got = in_context(body, self.ends[1])
        self.assertEqual(self.told(), ["stays context"])
        del got
        self.assertEqual(self.told(), ["leaves main", "deep main"])

    def test_an_exception_as_a_result(self):
        class Error(Exception):
            def __del__(self):
                pass
        self.assertIs(type(in_context(lambda: [Error(1)])[0]), Error)

    def test_variables_of_an_exception(self):
        def body(to):
            tell = Tell(to, "variable")
            tell.loop = tell
            raise ValueError(Tell(to, "argument"))
        error = None
        try:
            in_context(body, self.ends[1])
        except ValueError as caught:
            error = caught
        self.assertEqual(self.told(), ["variable context"])
        del error
        gc.collect()
        self.assertEqual(self.told(), ["argument main"])

    def test_arguments_of_calls(self):
        seen = []
        put = parallel.call_from_main_thread(seen.append)

        def body(to):
            put(Tell(to, "argument"))
        in_context(body, self.ends[1])
        self.assertEqual(self.told(), [])
        seen.clear()
        self.assertEqual(self.told(), ["argument main"])

    def test_an_object_that_finalizes_others(self):
        class Closes:
            def __init__(self, tell):
                self.tell = tell

            def __del__(self):
                self.tell = None

        def body(to):
            closes = Closes(Tell(to, "held"))
            closes.loop = closes
        in_context(body, self.ends[1])
        self.assertEqual(self.told(), ["held context"])

    def test_one_that_makes_more(self):
        class Again:
            def __init__(self, to, left):
                self.to, self.left, self.loop = to, left, self

            def __del__(self):
                os.write(self.to, f"{self.left}\n".encode())
                if self.left:
                    Again(self.to, self.left - 1)

        class Forever:
            def __init__(self):
                self.loop = self

            def __del__(self):
                Forever()
        in_context(lambda to: Again(to, 3) and None, self.ends[1])
        self.assertEqual(self.told(), ["3", "2", "1", "0"])
        in_context(lambda: Forever() and None)

    def test_one_that_raises(self):
        class Raises:
            def __init__(self):
                self.loop = self

            def __del__(self):
                raise ValueError("in a finalizer")

        def body():
            seen = []
            sys.unraisablehook = lambda error: None
            Raises()
            return 7
        self.assertEqual(in_context(body), 7)

    def test_of_weakref(self):
        def body(to):
            class Thing:
                pass
            thing = Thing()
            for n in range(2):
                weakref.finalize(thing, os.write, to, f"final {n}\n".encode())
            off = weakref.finalize(thing, os.write, to, b"never\n")
            off.detach()
        in_context(body, self.ends[1])
        self.assertEqual(self.told(), ["final 1", "final 0"])

    def test_a_temporary_folder(self):
        path = in_context(lambda: tempfile.mkdtemp())
        self.assertTrue(os.path.isdir(path))
        shutil.rmtree(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = in_context(lambda: tempfile.TemporaryDirectory().name)
        self.assertFalse(os.path.exists(path))
        path = in_context(lambda: tempfile.NamedTemporaryFile().name)
        self.assertFalse(os.path.exists(path))

    def test_many(self):
        def body():
            class Ends:
                ended = []

                def __del__(self):
                    self.ended.append(1)
            kept = [Ends() for _ in range(20_000)]
            del kept[::2]
            return len(Ends.ended)
        self.assertEqual(in_context(body), 10_000)


class Generators(EndsTest):
    """`finally` of those that wait when their callback ends."""

    def waiting(self, to, text, *holds):
        def generator():
            try:
                yield holds
                yield
            finally:
                os.write(to, f"{text}\n".encode())
        made = generator()
        next(made)
        return made

    def test_when_it_raises(self):
        def body(to):
            kept = self.waiting(to, "finally")
            raise ValueError(1)
        for memory in "auto", "counted", "arena":
            with self.assertRaises(ValueError) as raised:
                in_context(body, self.ends[1], memory=memory)
            self.assertEqual(raised.exception.args, (1,))
            self.assertIsNone(raised.exception.__context__)
            self.assertEqual(self.told(), ["finally"])

    def test_a_lock_is_taken_away(self):
        path = self.enterContext(tempfile.TemporaryDirectory()) + "/lock"

        @contextlib.contextmanager
        def lock():
            open(path, "x").close()
            try:
                yield
            finally:
                os.unlink(path)

        def body():
            held = lock()
            held.__enter__()
            raise ValueError
        for _ in range(2):
            self.assertRaises(ValueError, in_context, body)
            self.assertFalse(os.path.exists(path))

    def test_where_they_are(self):
        def cycle(to):
            loop = [self.waiting(to, "cycle")]
            loop.append(loop)

        def itself(to):
            def generator():
                me = yield
                try:
                    yield
                finally:
                    os.write(to, b"itself\n")
            me = generator()
            next(me)
            me.send(me)

        def module(to):
            sys.modules["px_ends"] = made = type(sys)("px_ends")
            made.generator = self.waiting(to, "module")
        for body in cycle, itself, module:
            self.assertIsNone(in_context(body, self.ends[1]))
            self.assertEqual(self.told(), [body.__name__])

    def test_coroutines(self):
        @types.coroutine
        def wait():
            yield

        def body(to):
            async def coroutine():
                try:
                    await wait()
                finally:
                    os.write(to, b"coroutine\n")

            async def generator():
                try:
                    yield
                finally:
                    os.write(to, b"generator\n")
            first, second = coroutine(), generator()
            first.send(None)
            with contextlib.suppress(StopIteration):
                second.asend(None).send(None)
            raise ValueError
        self.assertRaises(ValueError, in_context, body, self.ends[1])
        self.assertEqual(sorted(self.told()), ["coroutine", "generator"])

    def test_before_what_it_refers_to(self):
        def body(to):
            inner = self.waiting(to, "inner", Tell(to, "its part"))
            outer = self.waiting(to, "outer", inner)
            loop = [inner, outer]
            loop.append(loop)
            return 1
        self.assertEqual(in_context(body, self.ends[1]), 1)
        self.assertEqual(self.told(), ["outer", "inner", "its part context"])

    def test_what_leaves_is_not_finalized(self):
        def body(to):
            stays = self.waiting(to, "stays")
            leaves = self.waiting(to, "leaves")
            loop = [stays, leaves]
            loop.append(loop)
            return {"k": leaves}
        got = in_context(body, self.ends[1])
        self.assertEqual(self.told(), ["stays"])
        del got
        self.assertEqual(self.told(), ["leaves"])

    def test_arguments_of_calls(self):
        seen = []
        put = parallel.call_from_main_thread(seen.append)

        def body(to):
            loop = [self.waiting(to, "stays")]
            loop.append(loop)
            put(self.waiting(to, "call"))
        in_context(body, self.ends[1])
        self.assertEqual(self.told(), ["stays"])
        seen.clear()
        self.assertEqual(self.told(), ["call"])

    def test_those_that_fail(self):
        def body(to):
            def raises():
                try:
                    yield
                finally:
                    raise OSError("in a finally")

            def goes_on():
                while True:
                    try:
                        yield
                    except GeneratorExit:
                        os.write(to, b"told\n")
            names = []
            sys.unraisablehook = lambda it: os.write(
                to, f"{it.exc_type.__name__}\n".encode())
            kept = [raises(), goes_on()]
            for it in kept:
                next(it)
            kept.append(kept)
            raise ValueError(7)
        with self.assertRaisesRegex(ValueError, "7"):
            in_context(body, self.ends[1])
        self.assertEqual(sorted(self.told()), ["OSError", "RuntimeError", "told"])

    def test_one_that_a_finalizer_makes(self):
        def body(to):
            class Makes:
                def __del__(self):
                    loop = [generators.waiting(to, "made late")]
                    loop.append(loop)
            generators = self
            list(self.waiting(to, "over"))
            kept = Makes()
            kept.loop = kept
        in_context(body, self.ends[1])
        self.assertEqual(self.told(), ["over", "made late"])

    def test_without_memory(self):
        def body(to):
            kept = self.waiting(to, "finally")
            fill_memory()
            raise ValueError
        self.addCleanup(parallel.set_memory_limit, None)
        parallel.set_memory_limit(8 << 20)
        self.assertRaises(ValueError, in_context, body, self.ends[1])
        self.assertEqual(self.told(), ["finally"])

    def test_many(self):
        """Each once: those that go at once, those that are over, those left."""
        def body(to):
            def generator(end):
                try:
                    yield
                finally:
                    ends.append(end)
                    if len(ends) == 3 * count:
                        os.write(to, f"{len(set(ends))}\n".encode())
            ends, kept, count = [], [], 2000
            for number in range(count):
                next(generator(number))
                list(generator(count + number))
                kept.append(generator(2 * count + number))
                next(kept[-1])
            kept.append(kept)
            return len(ends)
        self.assertEqual(in_context(body, self.ends[1]), 4000)
        self.assertEqual(self.told(), ["6000"])


if __name__ == "__main__":
    warnings.simplefilter("ignore", ResourceWarning)
    unittest.main(warnings="ignore")
