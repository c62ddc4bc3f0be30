"""Files and sockets that leave a context.

Run by the patched interpreter: python tests/cpython/test_files.py
"""
import contextlib
import errno
import fcntl
import gc
import hashlib
import io
import os
import resource
import select
import selectors
import socket
import subprocess
import sys
import tempfile
import unittest
import warnings
import zipfile

import parallel
from support import DescriptorCase, descriptors, fill_memory, in_context

ENTRY = parallel.call_from_main_thread_and_wait
LATER = parallel.call_from_main_thread


class Shout(io.TextIOWrapper):
    """A class derived from a file's, with an attribute, a method and a slot."""
    __slots__ = ("mark",)

    def write(self, text):
        return super().write(text.upper())


class Bytes(io.RawIOBase):
    """A raw stream in Python."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def readable(self):
        return True

    def readinto(self, room):
        part = self.data[self.at:self.at + len(room)]
        room[:len(part)] = part
        self.at += len(part)
        return len(part)


class Loop(io.BufferedReader):
    """Says that it can read whatever it reads from."""

    def readable(self):
        return True

    def tell(self):
        return 0


class Case(DescriptorCase):
    CONTENT = b"first\nsecond\nthird\n"

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="px-files")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.path = os.path.join(folder.name, "file")
        with open(self.path, "wb") as file:
            file.write(self.CONTENT)
        super().setUp()

    def content(self):
        with open(self.path, "rb") as file:
            return file.read()


class Files(Case):
    def test_each_kind(self):
        for mode, buffering in (("r", -1), ("rb", -1), ("rb", 0), ("r+b", -1), ("w", -1),
                                ("wb", -1), ("ab", 0), ("w+", 1), ("r", 16)):
            with self.subTest(mode, buffering=buffering):
                want = open(self.path, mode, buffering)
                want.close()
                with in_context(open, self.path, mode, buffering) as got:
                    self.assertIs(type(got), type(want))
                    self.assertEqual(got.name, self.path)
                    self.assertEqual(got.mode, want.mode)
                    self.assertFalse(got.closed)
                self.assertTrue(got.closed)

    def test_the_descriptor_is_the_same(self):
        def body():
            file = open(self.path)
            return file.fileno(), file
        number, file = in_context(body)
        with file:
            self.assertEqual(file.fileno(), number)
            self.assertFalse(os.get_inheritable(number))

    def test_reading_goes_on_where_it_was(self):
        for mode, size in (("r", -1), ("rb", -1), ("rb", 0), ("r", 8), ("r+", -1)):
            def body():
                file = open(self.path, mode, size)
                return file.read(3), file
            with self.subTest(mode, size=size):
                begin, file = in_context(body)
                with file:
                    self.assertEqual(len(begin), 3)
                    self.assertEqual(file.tell(), 3)
                    self.assertEqual(len(file.read()), 16)
                    file.seek(6)
                    self.assertIn(file.readline(), ("second\n", b"second\n"))

    def test_iteration_goes_on(self):
        def body():
            file = open(self.path)
            next(file)
            return file
        with in_context(body) as file:
            self.assertEqual(list(file), ["second\n", "third\n"])

    def test_what_is_to_be_written(self):
        """Once, by main."""
        for mode, data in (("w", "text"), ("wb", b"text"), ("w+b", b"text")):
            def body():
                file = open(self.path, mode)
                file.write(data)
                return file, os.path.getsize(self.path)
            with self.subTest(mode):
                file, size = in_context(body)
                self.assertEqual(size, 0)
                file.write(data)
                file.close()
                self.assertEqual(self.content(), b"texttext")

    def test_newlines_and_codecs(self):
        def body(**options):
            file = open(self.path, "w", **options)
            file.write("\u00e4\n")
            return file
        for options in ({"newline": "\r\n"}, {"encoding": "utf-16"}, {"encoding": "latin-1"},
                        {"encoding": "utf-8", "newline": "\r"}, {"encoding": "cp1252"}):
            with self.subTest(**options):
                with in_context(lambda: body(**options)) as file:
                    file.write("\u00f6\n")
                    self.assertEqual(file.encoding, options.get("encoding", file.encoding))
                with open(self.path, **{**options, "newline": ""}) as file:
                    line = options.get("newline", "\n")
                    self.assertEqual(file.read(), f"\u00e4{line}\u00f6{line}")

    def test_a_decoder_in_the_midst(self):
        with open(self.path, "wb") as file:
            file.write("a\r\n\u00e4\r\n".encode() * 100)

        def body():
            file = open(self.path, encoding="utf-8", buffering=7)
            return file.read(50), file
        begin, file = in_context(body)
        with file:
            self.assertEqual(begin + file.read(), "a\n\u00e4\n" * 100)
            self.assertEqual(file.newlines, "\r\n")

    def test_a_closed_one(self):
        def body():
            with open(self.path) as file:
                return file
        file = in_context(body)
        self.assertTrue(file.closed)
        self.assertRaises(ValueError, file.read)

    def test_detached(self):
        def body():
            file = open(self.path)
            return file, file.detach()
        text, buffer = in_context(body)
        with buffer:
            self.assertEqual(buffer.read(5), b"first")
            self.assertRaises(ValueError, text.read)

    def test_a_descriptor_of_somebody_else(self):
        number = os.open(self.path, os.O_RDONLY)
        file = in_context(lambda: open(number, closefd=False))
        self.assertEqual(file.readline(), "first\n")
        file.close()
        os.close(number)

    def test_inherited_or_not(self):
        def body(inherit):
            file = open(self.path)
            os.set_inheritable(file.fileno(), inherit)
            ENTRY(lambda other: seen.append(os.get_inheritable(other.fileno())))(file)
            return file
        seen = []
        for inherit in True, False:
            with in_context(body, inherit) as file:
                self.assertEqual(os.get_inheritable(file.fileno()), inherit)
        self.assertEqual(seen, [True, False])

    def test_derived_classes(self):
        def body():
            file = Shout(open(self.path, "wb"), "utf-8")
            file.write("a")
            file.mark = [file, 1]
            file.other = 2
            return file
        with in_context(body) as file:
            file.write("b")
            self.assertIs(type(file), Shout)
            self.assertIs(file.mark[0], file)
            self.assertEqual(file.other, 2)
        self.assertEqual(self.content(), b"AB")
        del file.mark

    def test_streams_in_python(self):
        raw, = in_context(lambda: [Bytes(b"abc")])
        self.assertEqual(raw.read(), b"abc")
        buffer = in_context(lambda: [it := io.BufferedReader(Bytes(b"abc")), it.peek(1)])[0]
        self.assertEqual(buffer.read(), b"abc")
        pair = in_context(lambda: io.BufferedRWPair(Bytes(b"abc"), open(self.path, "ab", 0)))
        with pair:
            self.assertEqual(pair.read(2), b"ab")
            pair.write(b"x")
        self.assertTrue(self.content().endswith(b"x"))

    def test_a_buffer_that_is_its_own_stream(self):
        def body():
            buffer = Loop(Bytes(b"abc"))
            buffer.__init__(buffer)
            return [buffer]
        buffer = in_context(body).pop()
        self.assertIs(buffer.raw, buffer)
        buffer.__init__(Bytes(b""))

    def test_a_generator_that_reads(self):
        def body():
            def lines():
                with open(self.path) as file:
                    yield from file
            it = lines()
            next(it)
            return it
        self.assertEqual(list(in_context(body)), ["second\n", "third\n"])

    def test_over_memory(self):
        def body():
            file = io.TextIOWrapper(io.BytesIO(b"a\nb\n"), "ascii")
            file.readline()
            return file
        self.assertEqual(in_context(body).read(), "b\n")

    def test_locks_of_files_stay(self):
        """They go when any descriptor of the file is closed."""
        def body():
            file = open(self.path, "r+")
            fcntl.lockf(file, fcntl.LOCK_EX)
            return file
        with in_context(body):
            asks = subprocess.run([sys.executable, "-c", """if 1:
                import fcntl, sys
                try:
                    fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    print('held')""", self.path], capture_output=True, text=True)
        self.assertEqual(asks.stdout, "held\n")

    def test_temporary_files(self):
        def body():
            file = tempfile.NamedTemporaryFile("w+")
            file.write("text")
            return file
        file = in_context(body)
        name = file.name
        file.seek(0)
        self.assertEqual(file.read(), "text")
        file.close()
        self.assertFalse(os.path.exists(name))

    def test_archives(self):
        def body():
            archive = zipfile.ZipFile(self.path, "w")
            archive.writestr("a", "1")
            return archive
        with in_context(body) as archive:
            archive.writestr("b", "2")
        with zipfile.ZipFile(self.path) as archive:
            self.assertEqual(archive.namelist(), ["a", "b"])
            self.assertEqual(archive.read("b"), b"2")

    def test_a_process(self):
        def body():
            return subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process = in_context(body)
        self.assertEqual(process.communicate(b"text")[0], b"text")
        self.assertEqual(process.wait(), 0)

    def test_many(self):
        files = in_context(lambda: [open(self.path) for _ in range(100)])
        self.assertEqual(len({file.fileno() for file in files}), 100)
        for file in files:
            self.assertEqual(file.readline(), "first\n")
            file.close()

    def test_by_an_executor(self):
        with parallel.Executor() as executor:
            for file in executor.map(open, [self.path] * 20):
                with file:
                    self.assertEqual(file.readline(), "first\n")

    def test_memory(self):
        def use():
            with in_context(lambda: [it := open(self.path), it.readline()])[0]:
                pass
        for _ in range(300):
            use()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        blocks = sys.getallocatedblocks()
        for _ in range(300):
            use()
        self.assertLess(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, 4 << 10)
        self.assertLess(sys.getallocatedblocks() - blocks, 100)


class Sockets(Case):
    def test_a_pair(self):
        one, other = in_context(socket.socketpair)
        with one, other:
            one.sendall(b"text")
            self.assertEqual(other.recv(9), b"text")
            self.assertEqual(one.family, socket.AF_UNIX)

    def test_what_has_been_set(self):
        def body():
            made = socket.socket()
            made.settimeout(1.5)
            made.bind(("127.0.0.1", 0))
            made.listen()
            return made, made.getsockname()
        made, name = in_context(body)
        with made, socket.create_connection(name) as client:
            self.assertEqual(made.gettimeout(), 1.5)
            peer, _ = made.accept()
            with peer:
                client.sendall(b"x")
                self.assertEqual(peer.recv(1), b"x")

    def test_a_connection_made_in_a_context(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            with in_context(socket.create_connection, server.getsockname()) as client:
                peer, _ = server.accept()
                with peer:
                    client.sendall(b"x")
                    self.assertEqual(peer.recv(1), b"x")

    def test_makefile(self):
        def body():
            one, other = socket.socketpair()
            file = one.makefile("rw")
            file.write("to be ")
            return one, other, file
        one, other, file = in_context(body)
        with one, other, file:
            file.write("sent\n")
            file.flush()
            self.assertEqual(other.recv(99), b"to be sent\n")

    def test_selectors(self):
        def body():
            one, other = socket.socketpair()
            selector = selectors.EpollSelector()
            selector.register(other, selectors.EVENT_READ, "data")
            return one, other, selector
        one, other, selector = in_context(body)
        with one, other, selector:
            one.send(b"x")
            (key, mask), = selector.select(5)
            self.assertIs(key.fileobj, other)
            self.assertEqual((key.data, mask), ("data", selectors.EVENT_READ))

    def test_epoll(self):
        self.assertFalse(in_context(select.epoll).closed)


class Twice(Case):
    """What is an argument of a call has a copy for each."""

    def test_a_callback_that_goes_on(self):
        def body():
            file = open(self.path)
            file.readline()
            line = ENTRY(lambda mine: [mine.readline(), mine.close()][0])(file)
            return line, file.readline(), file
        *lines, file = in_context(body)
        with file:
            self.assertEqual(lines, ["second\n", "second\n"])
            self.assertEqual(file.readline(), "third\n")

    def test_sockets_of_a_callback_that_goes_on(self):
        def body():
            one, other = socket.socketpair()
            ENTRY(lambda mine: [mine.send(b"x"), mine.close()] and None)(one)
            one.send(b"y")
            one.close()
            return b"".join(iter(lambda: other.recv(1), b""))
        self.assertEqual(in_context(body), b"xy")

    def test_outcome_and_calls(self):
        seen = []

        def body():
            file = open(self.path)
            LATER(seen.append)(file)
            LATER(seen.append)([file])
            return file
        file = in_context(body)
        parallel.run()
        files = [file, seen[0], seen[1][0]]
        self.assertEqual(len({one.fileno() for one in files}), 3)
        for one in files:
            one.close()

    def test_a_call_alone(self):
        seen = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            in_context(lambda: LATER(seen.append)(open(self.path)))
            parallel.run()
            gc.collect()
        self.assertEqual(caught, [])
        with seen.pop() as file:
            self.assertEqual(file.readline(), "first\n")

    def test_what_is_to_be_written(self):
        """Not by both: it has to be flushed."""
        def body(flush):
            file = open(self.path, "w")
            file.write("text")
            if flush:
                file.flush()
            ENTRY(lambda mine: mine.write("main\n") and mine.close())(file)
            file.close()
        with self.assertRaisesRegex(parallel.PersistenceError, "flush"):
            in_context(body, False)
        self.assertEqual(self.content(), b"text")
        in_context(body, True)
        self.assertEqual(self.content(), b"textmain\n")

    def test_what_a_buffer_is_to_write(self):
        def body():
            file = open(self.path, "wb")
            file.write(b"text")
            with file:
                ENTRY(print)(file)
        with self.assertRaisesRegex(parallel.PersistenceError, "flush"):
            in_context(body)
        self.assertEqual(self.content(), b"text")

    def test_without_descriptors(self):
        """To give main another one fails, and nothing is lost."""
        def body():
            one, other = socket.socketpair()
            limit(3)
            try:
                ENTRY(print)(one)
            except OSError as error:
                return error.errno
            finally:
                limit(soft)
                one.close()
                other.close()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        limit = ENTRY(lambda count: resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard)))
        self.assertEqual(in_context(body), errno.EMFILE)

    def test_without_memory(self):
        """At the limit, too, a file leaves, or is closed."""
        def leave():
            return [file := open(self.path), file.readline(), fill_memory()][:2]

        def fail():
            file = open(self.path)
            file.kept = fill_memory(), file
            raise ValueError
        self.addCleanup(parallel.set_memory_limit, None)
        parallel.set_memory_limit(8 << 20)
        for _ in range(20):
            file, line = in_context(leave)
            file.close()
            self.assertEqual(line, "first\n")
            self.assertRaises((ValueError, MemoryError), in_context, fail)


class NotLeft(Case):
    """The outcome fails to leave, its files are closed as what is dropped is."""

    def fails(self, body):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with self.assertRaises(parallel.PersistenceError):
                in_context(body)
            gc.collect()
        return [str(one.message) for one in caught if one.category is ResourceWarning]

    def test_is_written_and_closed(self):
        for order in 1, -1:
            def body():
                file = open(self.path, "w")
                file.write("text")
                return [file, sys._getframe()][::order]
            warned, = self.fails(body)
            self.assertIn("unclosed file", warned)
            self.assertEqual(self.content(), b"text")
            self.assertEqual(descriptors(), self.before)

    def test_sockets(self):
        for order in 1, -1:
            warned = self.fails(lambda: [*socket.socketpair(), sys._getframe()][::order])
            self.assertEqual(len(warned), 2, warned)
            self.assertEqual(descriptors(), self.before)

    def test_what_cannot_leave_on_the_way(self):
        def body():
            file = Shout(open(self.path, "wb"), "utf-8")
            file.frame = sys._getframe()
            return file
        self.fails(body)
        self.assertEqual(descriptors(), self.before)

    def test_what_is_part_of_it(self):
        """Is there as long as the file is: that of OpenSSL, too."""
        class Summed(io.FileIO):
            def __del__(self):
                seen.append(self.sum.digest())
                self.close()

        def body():
            file = Summed(self.path)
            file.sum = hashlib.sha256(b"text")
            return [file, sys._getframe()]
        seen = []
        with self.assertRaises(parallel.PersistenceError):
            in_context(body)
        self.assertEqual(seen, [hashlib.sha256(b"text").digest()])

    def test_attributes_of_exceptions(self):
        """One is left out, others leave."""
        class Lost(Exception):
            pass

        def body():
            error = ValueError("text")
            error.file = [open(self.path), sys._getframe()]
            error.other = open(self.path)
            raise error
        with self.assertRaises(ValueError) as caught:
            with warnings.catch_warnings(record=True):
                in_context(body)
        with caught.exception.other as file:
            self.assertEqual(file.readline(), "first\n")

    def test_arguments_of_exceptions(self):
        def body():
            raise ValueError(open(self.path))
        with self.assertRaises(ValueError) as caught:
            in_context(body)
        with caught.exception.args[0] as file:
            self.assertEqual(file.readline(), "first\n")

    def test_too_deep(self):
        def body():
            chain = [open(self.path)]
            for _ in range(100_000):
                chain = [chain]
            return chain
        with contextlib.suppress(RecursionError), warnings.catch_warnings(record=True):
            in_context(body)
        gc.collect()
        self.assertEqual(descriptors(), self.before)


if __name__ == "__main__":
    unittest.main()
