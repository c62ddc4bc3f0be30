"""Mappings of memory and listings of directories that leave a context.

Run by the patched interpreter: python tests/cpython/test_held.py
"""
import ctypes
import datetime
import gc
import mmap
import os
import re
import struct
import sys
import unittest
import warnings
import zlib

import parallel
from support import crossing_without_memory, descriptors, in_context
from test_files import Case as FilesCase

ENTRY = parallel.call_from_main_thread_and_wait
LATER = parallel.call_from_main_thread
PAGE = mmap.PAGESIZE
PRIVATE = {"flags": mmap.MAP_PRIVATE}


class Map(mmap.mmap):
    """With an attribute and a method."""

    def first(self):
        return self[:self.mark]


class Slotted(mmap.mmap):
    __slots__ = ("mark",)


def anonymous(text=b"text", size=3 * PAGE, cls=mmap.mmap, **options):
    made = cls(-1, size, **options)
    made.write(text)
    return made


def mappings():
    """How many parts of memory are mapped in such a way as only mmaps here are."""
    with open("/proc/self/maps") as file:
        return sum("/dev/zero" in line or "px-files" in line for line in file)


class Case(FilesCase):
    CONTENT = b"first\nsecond\n" + bytes(3 * PAGE)

    def setUp(self):
        super().setUp()
        self.mapped = mappings()

    def tearDown(self):
        super().tearDown()
        self.assertEqual(mappings(), self.mapped)

    def of_file(self, cls=mmap.mmap, size=0, **options):
        with open(self.path, "r+b") as file:
            return cls(file.fileno(), size, **options)

    def captive(self, make):
        """make() and what cannot leave, in both orders, do not."""
        for order in 1, -1:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                with self.assertRaisesRegex(parallel.PersistenceError, "frame"):
                    in_context(lambda: [make(), sys._getframe()][::order])
                gc.collect()
            self.assertEqual(descriptors(), self.before)
            self.assertEqual(mappings(), self.mapped)
        return [str(one.message) for one in caught if one.category is ResourceWarning]

    def without_memory(self, make, show, least):
        """It leaves, or is released, whichever allocation fails."""
        got = []
        for count in 1, 1000:
            for first in range(1, 60):
                seen = crossing_without_memory(make, first, count)
                if not isinstance(seen[0], type):
                    got.append(show(seen.pop(0)))
                self.assertLessEqual({one for one in seen if one is not None}, {MemoryError})
                del seen
                gc.collect()
                self.assertEqual(descriptors(), self.before)
                self.assertEqual(mappings(), self.mapped)
        self.assertEqual(len(set(got)), 1)
        self.assertGreater(len(got), least)


class Mappings(Case):
    def test_anonymous(self):
        for options in {}, PRIVATE:
            with self.subTest(**options):
                with in_context(lambda: anonymous(**options)) as got:
                    self.assertIs(type(got), mmap.mmap)
                    self.assertEqual((got[:4], got.tell(), len(got)), (b"text", 4, 3 * PAGE))
                    got.write(b"more")
                    got.resize(5 * PAGE) if options else None
                    self.assertEqual(got[:9], b"textmore\0")

    def test_of_a_file(self):
        for options in ({}, {"access": mmap.ACCESS_READ}, {"access": mmap.ACCESS_COPY}, PRIVATE,
                        {"offset": PAGE}, {"trackfd": False}, {"size": 100}):
            with self.subTest(**options):
                want, got = self.of_file(**options), in_context(lambda: self.of_file(**options))
                with want, got:
                    self.assertEqual(len(got), len(want))
                    self.assertEqual(got[:30], want[:30])
                    self.assertEqual(repr(got), repr(want))
                    if options.get("access") == mmap.ACCESS_READ:
                        self.assertRaises(TypeError, got.write, b"x")
                    if "trackfd" not in options and "size" not in options:
                        self.assertEqual(got.size(), os.path.getsize(self.path))

    def test_what_is_written_is_in_the_file(self):
        def body():
            made = self.of_file()
            made.write(b"FIRST")
            return made
        with in_context(body) as got:
            got.write(b"!")
            got.flush()
            got.resize(5)
        self.assertEqual(self.content(), b"FIRST")

    def test_it_is_handed_over(self):
        """The same pages: they have the same address."""
        def body():
            made = anonymous()
            return made, ctypes.addressof(ctypes.c_char.from_buffer(made))
        got, address = in_context(body)
        self.assertEqual(ctypes.addressof(ctypes.c_char.from_buffer(got)), address)

    def test_closed(self):
        def body():
            with anonymous() as made:
                return made
        got = in_context(body)
        self.assertTrue(got.closed)
        self.assertRaises(ValueError, got.read)

    def test_derived_classes(self):
        class Local(Map):
            pass
        for cls in Map, Slotted, Local:
            def body():
                made = anonymous(cls=cls)
                made.mark = 2
                return made
            with in_context(body) as got:
                self.assertEqual((type(got), got.mark, got[:2]), (cls, 2, b"te"))

        def made_there():
            class There(Map):
                pass
            return body_of(There)

        def body_of(cls):
            made = self.of_file(cls)
            made.mark = 5
            made.self = made
            return made
        got = in_context(made_there)
        self.assertEqual(got.first(), b"first")
        self.assertIs(got.self, got)
        self.assertIs(type(got).__base__, Map)
        del got.self

    def test_views_of_it(self):
        def body():
            made = self.of_file(size=100)
            return made, memoryview(made)[6:12], [memoryview(made).cast("H")]
        got, view, (numbers,) = in_context(body)
        self.assertIs(view.obj, got)
        self.assertRaises(BufferError, got.close)
        self.assertEqual(bytes(view), b"second")
        view[:3] = b"SEC"
        self.assertEqual(struct.pack("H", numbers[3]), b"SE")
        view.release()
        numbers.release()
        got.close()
        self.assertEqual(self.content()[:13], b"first\nSECond\n")

    def test_a_view_alone(self):
        view = in_context(lambda: memoryview(self.of_file(access=mmap.ACCESS_READ))[:5])
        self.assertEqual((bytes(view), view.readonly), (b"first", True))

    def test_what_has_looked_into_it(self):
        def body():
            made = self.of_file()
            return re.search(b"s(.c)", made), struct.iter_unpack("2s", memoryview(made)[:6])
        match, pairs = in_context(body)
        self.assertEqual((match[1], list(pairs)), (b"ec", [(b"fi",), (b"rs",), (b"t\n",)]))

    def test_what_looks_into_it(self):
        """And tells no walk over the objects."""
        def body():
            found = re.finditer(b"[a-z]+", self.of_file())
            next(found)
            return found
        self.assertEqual([match[0] for match in in_context(body)], [b"second"])
        reader = in_context(lambda: zlib.decompressobj(zdict=anonymous()))
        self.assertEqual(reader.decompress(zlib.compress(b"text")), b"text")

    def test_in_an_exception(self):
        def body():
            raise ValueError(anonymous())
        with self.assertRaises(ValueError) as caught:
            in_context(body)
        self.assertEqual(caught.exception.args[0][:4], b"text")
        with self.assertRaises(ValueError) as caught:
            in_context(lambda: self.fail_with(sys._getframe()))
        del caught

    def fail_with(self, frame):
        error = ValueError("text")
        error.parts = [anonymous(), frame]
        raise error

    def test_many(self):
        for got in in_context(lambda: [anonymous(b"%d" % i) for i in range(100)]):
            got.close()

    def test_that_nobody_takes(self):
        parallel.submit_work(anonymous)
        parallel.submit_work(lambda: [self.of_file()])
        parallel.run()

    def test_what_cannot_leave(self):
        for make in anonymous, self.of_file, lambda: memoryview(self.of_file()):
            self.assertEqual(self.captive(make), [])

        def with_frame():
            made = anonymous(cls=Map)
            made.frame = sys._getframe()
            return made
        self.captive(with_frame)

    def test_a_class_that_cannot_leave(self):
        def make():
            class Here(mmap.mmap):
                frame = sys._getframe()
            return self.of_file(Here)
        self.captive(make)

    def test_without_memory(self):
        self.without_memory(lambda: [anonymous(b"text"), self.of_file()],
                            lambda got: got[0][:4] + got[1][:4], 2)
        self.without_memory(lambda: memoryview(anonymous(cls=Map)), lambda got: bytes(got[:4]), 2)

    def test_in_what_a_date_has(self):
        """What no walk over the objects comes to."""
        class Zone(datetime.tzinfo):
            pass

        def body():
            zone = Zone()
            zone.memory = anonymous()
            return datetime.datetime(2020, 1, 1, tzinfo=zone)
        self.assertEqual(in_context(body).tzinfo.memory[:4], b"text")


class Shared(Case):
    """Arguments of calls, whose original goes on: the same pages once more."""

    def test_a_callback_that_goes_on(self):
        for make in anonymous, self.of_file, lambda: anonymous(cls=Slotted):
            def answer(mine):
                seen.append(mine[:5])
                mine[:5] = b"main "
                return mine.tell()

            def body():
                made = make()
                made[:5] = b"there"
                at = ENTRY(answer)(made)
                return made[:5], at == made.tell(), made
            seen = []
            text, same_place, got = in_context(body)
            with got:
                self.assertEqual((seen, text, same_place), ([b"there"], b"main ", True))
                self.assertEqual(got[:5], b"main ")

    def test_views(self):
        def body():
            made = anonymous()
            view = memoryview(made)[1:3]
            ENTRY(lambda mine: mine.__setitem__(0, 120))(view)
            return bytes(view)
        self.assertEqual(in_context(body), b"xx")

    def test_outcome_and_calls(self):
        seen = []

        def body():
            made = self.of_file()
            LATER(seen.append)(made)
            LATER(seen.append)([made])
            return made
        got = in_context(body)
        parallel.run()
        others = [seen[0], seen[1][0]]
        got[:3] = b"abc"
        self.assertEqual([one[:3] for one in others], [b"abc"] * 2)
        for one in others + [got]:
            self.assertEqual(one.size(), os.path.getsize(self.path))
            one.close()

    def test_private_memory(self):
        for options in PRIVATE, {"access": mmap.ACCESS_COPY}:
            def body():
                made = self.of_file(**options)
                made[:5] = b"there"
                try:
                    ENTRY(print)(made)
                except parallel.PersistenceError as error:
                    return str(error), made
            text, got = in_context(body)
            self.assertIn("private memory", text)
            with got:
                self.assertEqual(got[:5], b"there")
        with self.assertRaisesRegex(parallel.PersistenceError, "private"):
            in_context(lambda: ENTRY(print)(anonymous(**PRIVATE)))

    def test_private_memory_twice(self):
        seen = []

        def body():
            made = anonymous(**PRIVATE)
            LATER(seen.append)(made)
            LATER(seen.append)([made])
        with self.assertRaisesRegex(parallel.PersistenceError, "private"):
            in_context(body)
        got, = seen
        self.assertEqual(got[:4], b"text")

    def test_an_argument_beside_what_cannot_leave(self):
        def body():
            made = anonymous()
            for order in 1, -1:
                try:
                    ENTRY(print)([made, sys._getframe()][::order])
                except parallel.PersistenceError:
                    made[:2] = b"TE"
            return made
        with in_context(body) as got:
            self.assertEqual(got[:4], b"TExt")


class Listings(Case):
    def setUp(self):
        super().setUp()
        self.names = sorted(["file"] + [f"n{i}" for i in range(500)])
        for name in self.names[1:]:
            open(os.path.join(self.folder, name), "w").close()

    def begun(self, path=None):
        entries = os.scandir(path or self.folder)
        return next(entries), entries

    def test_it_goes_on_where_it_was(self):
        for path in self.folder, os.fsencode(self.folder):
            first, entries = in_context(self.begun, path)
            with entries:
                names = [first.name] + [entry.name for entry in entries]
            self.assertEqual(sorted(map(os.fsdecode, names)), self.names)
            self.assertIs(type(first.name), type(path))
            self.assertEqual(os.path.dirname(first.path), path)
            self.assertTrue(first.is_file())

    def test_the_current_directory(self):
        with in_context(os.scandir) as entries:
            self.assertEqual({entry.path for entry in entries},
                             {entry.path for entry in os.scandir()})

    def test_of_a_path_of_the_contexts(self):
        with in_context(lambda: os.scandir(b"/".join([os.fsencode(self.folder), b""]))) as it:
            self.assertEqual(len(list(it)), len(self.names))
        with in_context(lambda: os.scandir(self.folder + "/")) as it:
            self.assertEqual(os.path.split(next(it).path)[0], self.folder)

    def test_of_a_descriptor(self):
        number = os.open(self.folder, os.O_RDONLY)
        with in_context(os.scandir, number) as entries:
            entry = next(entries)
            self.assertIn(entry.name, self.names)
            self.assertTrue(entry.is_file())
        os.close(number)

    def test_over_or_closed(self):
        def body():
            over, closed = os.scandir(self.folder), os.scandir(self.folder)
            list(over)
            closed.close()
            return over, closed
        for entries in in_context(body):
            self.assertEqual(list(entries), [])

    def test_twice(self):
        """It goes on where it was, so there is one."""
        def body():
            entries = os.scandir(self.folder)
            try:
                ENTRY(print)(entries)
            except parallel.PersistenceError as error:
                return str(error), len(list(entries))
        text, count = in_context(body)
        self.assertIn("a list", text)
        self.assertEqual(count, len(self.names))

        def calls():
            entries = os.scandir(self.folder)
            LATER(seen.append)(entries)
            LATER(seen.append)([entries])
        seen = []
        with self.assertRaisesRegex(parallel.PersistenceError, "a list"):
            in_context(calls)
        entries, = seen
        self.assertEqual(len(list(entries)), len(self.names))

    def test_what_cannot_leave(self):
        warned, = self.captive(lambda: os.scandir(self.folder))
        self.assertIn("unclosed scandir iterator", warned)

    def test_that_nobody_takes(self):
        with warnings.catch_warnings(record=True):
            parallel.submit_work(lambda: os.scandir(self.folder))
            parallel.run()

    def test_generators_over_it(self):
        walk = in_context(lambda: [it := os.walk(os.path.dirname(self.folder)), next(it)][0])
        walk.close()
        glob = in_context(lambda: (entry.name for entry in os.scandir(self.folder)))
        self.assertEqual(sorted(glob), self.names)

    def test_without_memory(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.without_memory(lambda: os.scandir(self.folder), lambda it: len(list(it)), 2)


if __name__ == "__main__":
    unittest.main()
