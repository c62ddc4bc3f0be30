"""Compressors of bz2 and lzma that leave a context, and files of them.

Run by the patched interpreter: python tests/cpython/test_codecs.py
"""
import bz2
import gc
import gzip
import io
import lzma
import os
import resource
import sys
import tarfile
import tempfile
import tracemalloc
import unittest
import warnings
import zipfile

import parallel
from parallel import _parallel
from support import crossing_without_memory, in_context
from test_guard import run as run_guarded

ENTRY = parallel.call_from_main_thread_and_wait
LATER = parallel.call_from_main_thread
TEXT = b"".join(b"%d, " % (n * n * 7 % 1000) for n in range(20000))
DELTA = [{"id": lzma.FILTER_DELTA, "dist": 3}, {"id": lzma.FILTER_LZMA2, "preset": 2}]
ARM = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "dict_size": 1 << 16}]
FAST = {"preset": 1}

COMPRESSORS = {
    "bz2": (bz2.BZ2Compressor, bz2.decompress),
    "bz2, small": (lambda: bz2.BZ2Compressor(1), bz2.decompress),
    "xz": (lambda: lzma.LZMACompressor(**FAST), lzma.decompress),
    "xz, checked": (lambda: lzma.LZMACompressor(check=lzma.CHECK_SHA256, **FAST), lzma.decompress),
    "xz, filters": (lambda: lzma.LZMACompressor(filters=DELTA), lzma.decompress),
    "alone": (lambda: lzma.LZMACompressor(lzma.FORMAT_ALONE, **FAST), lzma.decompress),
    "raw": (lambda: lzma.LZMACompressor(lzma.FORMAT_RAW, filters=ARM),
            lambda it: lzma.decompress(it, lzma.FORMAT_RAW, filters=ARM)),
}

DECOMPRESSORS = {
    "bz2": (bz2.BZ2Decompressor, bz2.compress(TEXT)),
    "bz2, small": (bz2.BZ2Decompressor, bz2.compress(TEXT, 1)),
    "xz": (lzma.LZMADecompressor, lzma.compress(TEXT, **FAST)),
    "xz, filters": (lzma.LZMADecompressor, lzma.compress(TEXT, filters=DELTA)),
    "limited": (lambda: lzma.LZMADecompressor(memlimit=1 << 26), lzma.compress(TEXT, **FAST)),
    "alone": (lzma.LZMADecompressor, lzma.compress(TEXT, lzma.FORMAT_ALONE, **FAST)),
    "raw": (lambda: lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=ARM),
            lzma.compress(TEXT, lzma.FORMAT_RAW, filters=ARM)),
}

MODULES = {"bz2": (bz2.open, {}), "xz": (lzma.open, FAST), "gzip": (gzip.open, {})}


def fed(make, *pieces):
    made = make()
    return b"".join(map(made.compress, pieces)), made


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "file")

    def tearDown(self):
        self.assertEqual(_parallel.find_strays(), [])


class Compressors(Case):
    def test_they_go_on_where_they_were(self):
        for name, (make, undo) in COMPRESSORS.items():
            for pieces in (), (b"",), (TEXT[:1000],), (TEXT, TEXT[:5]):
                with self.subTest(name, pieces=len(pieces)):
                    begin, got = in_context(fed, make, *pieces)
                    self.assertIs(type(got), type(make()))
                    whole = begin + got.compress(b"more") + got.flush()
                    self.assertEqual(undo(whole), b"".join(pieces) + b"more")
                    self.assertRaises(ValueError, got.flush)

    def test_one_that_was_flushed(self):
        for name, (make, _) in COMPRESSORS.items():
            with self.subTest(name):
                got = in_context(lambda: [it := make(), it.flush()][0])
                self.assertRaises(ValueError, got.compress, b"x")
                self.assertRaises(ValueError, got.flush)

    def test_one_that_is_main_s(self):
        mine = bz2.BZ2Compressor()
        self.assertIs(in_context(lambda: mine), mine)

    def test_twice_in_one_result(self):
        for name, (make, undo) in COMPRESSORS.items():
            with self.subTest(name):
                got, again = in_context(lambda: [it := make(), {"again": it}])
                self.assertIs(again["again"], got)
                self.assertEqual(undo(got.compress(b"x") + got.flush()), b"x")

    def test_many(self):
        for name, (make, undo) in COMPRESSORS.items():
            with self.subTest(name):
                for begin, got in in_context(lambda: [fed(make, TEXT) for _ in range(4)]):
                    self.assertEqual(undo(begin + got.flush()), TEXT)

    def test_in_an_exception(self):
        def body():
            raise ValueError(bz2.BZ2Compressor())
        with self.assertRaises(ValueError) as caught:
            in_context(body)
        got = caught.exception.args[0]
        self.assertEqual(bz2.decompress(got.compress(b"x") + got.flush()), b"x")


class Decompressors(Case):
    def test_they_go_on_where_they_were(self):
        for name, (make, data) in DECOMPRESSORS.items():
            for count in 0, 1, 15, len(data) // 2, len(data) - 1:
                with self.subTest(name, count=count):
                    begin, got = in_context(lambda: [it := make(), it.decompress(data[:count])][::-1])
                    self.assertIs(type(got), type(make()))
                    self.assertFalse(got.eof)
                    self.assertEqual(begin + got.decompress(data[count:]), TEXT)
                    self.assertEqual(got.unused_data, b"")

    def test_with_input_that_waits(self):
        for name, (make, data) in DECOMPRESSORS.items():
            def body():
                made = make()
                return made.decompress(data[:30], 0), made.decompress(data[30:-20], 50), made
            with self.subTest(name):
                first, second, got = in_context(body)
                self.assertEqual(got.needs_input, body()[2].needs_input)
                if "bz2" not in name:
                    self.assertFalse(got.needs_input)
                text = first + second + got.decompress(b"", 1000)
                self.assertEqual(text + got.decompress(data[-20:]), TEXT)

    def test_at_the_end(self):
        for name in "bz2", "xz":
            make, data = DECOMPRESSORS[name]
            with self.subTest(name):
                text, got = in_context(lambda: [it := make(), it.decompress(data + b"rest")][::-1])
                self.assertEqual((text, got.eof, got.unused_data), (TEXT, True, b"rest"))
                self.assertEqual(getattr(got, "check", None), getattr(make(), "check", None)
                                 and lzma.CHECK_CRC64)
                self.assertRaises(EOFError, got.decompress, b"x")

    def test_after_an_error(self):
        for name, (make, _) in DECOMPRESSORS.items():
            def body():
                made = make()
                try:
                    made.decompress(b"\xff" * 500)
                except Exception as error:
                    return type(error).__name__, made
                return None, made
            with self.subTest(name):
                error, got = in_context(body)
                with self.subTest(error):
                    try:
                        got.decompress(b"x")
                    except (OSError, lzma.LZMAError, ValueError, EOFError, RuntimeError):
                        pass


class Files(Case):
    def test_to_be_written(self):
        for name, (start, options) in MODULES.items():
            for mode, text in ("w", TEXT), ("wt", TEXT.decode()):
                def body():
                    file = start(self.path, mode, **options)
                    file.write(text[:70000])
                    return file
                with self.subTest(name, mode=mode):
                    with in_context(body) as file:
                        file.write(text[70000:])
                    with start(self.path, mode.replace("w", "r")) as file:
                        self.assertEqual(file.read(), text)

    def test_to_be_read(self):
        for name, (start, options) in MODULES.items():
            with start(self.path, "w", **options) as file:
                file.write(TEXT)
            for mode in "r", "rt":
                def body():
                    file = start(self.path, mode)
                    return file.read(10), file
                with self.subTest(name, mode=mode):
                    begin, file = in_context(body)
                    with file:
                        whole = begin + file.read()
                        self.assertEqual(whole if mode == "r" else whole.encode(), TEXT)

    def test_archives(self):
        for kind in "bz2", "xz", "gz", "":
            def body():
                archive = tarfile.open(self.path, "w:" + kind)
                add(archive, "a")
                return archive

            def add(archive, name):
                info = tarfile.TarInfo(name)
                info.size = len(TEXT)
                archive.addfile(info, io.BytesIO(TEXT))

            def read():
                archive = tarfile.open(self.path)
                return archive.next().name, archive
            with self.subTest(kind):
                with in_context(body) as archive:
                    add(archive, "b")
                name, archive = in_context(read)
                with archive:
                    self.assertEqual((name, archive.getnames()), ("a", ["a", "b"]))
                    self.assertEqual(archive.extractfile("b").read(), TEXT)

    def test_members_of_a_zip(self):
        for method in zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA:
            def body():
                archive = zipfile.ZipFile(self.path, "w", method)
                member = archive.open("a", "w")
                member.write(TEXT[:5000])
                return archive, member

            def read():
                archive = zipfile.ZipFile(self.path)
                member = archive.open("a")
                return archive, member, member.read(10)
            with self.subTest(method):
                archive, member = in_context(body)
                with archive:
                    with member:
                        member.write(TEXT[5000:])
                archive, member, begin = in_context(read)
                with archive, member:
                    self.assertEqual(begin + member.read(), TEXT)


class Stay(Case):
    """A state is one, and goes once."""

    def test_arguments_of_a_callback_that_goes_on(self):
        for name, (make, undo) in COMPRESSORS.items():
            def body():
                begin, made = fed(make, TEXT)
                for order in 1, -1:
                    try:
                        ENTRY(print)([made, [1]][::order])
                    except parallel.PersistenceError as error:
                        told = str(error)
                return told, begin + made.flush(), made
            with self.subTest(name):
                told, whole, got = in_context(body)
                self.assertIn("leaves its context once", told)
                self.assertEqual(undo(whole), TEXT)
                self.assertRaises(ValueError, got.flush)

    def test_outcome_and_calls(self):
        for make in bz2.BZ2Compressor, lzma.LZMADecompressor:
            def body():
                made = make()
                LATER(seen.append)(made)
                LATER(seen.append)([made])
            seen = []
            with self.assertRaisesRegex(parallel.PersistenceError, "once"):
                in_context(body)
            self.assertEqual([type(one) for one in seen], [make])

    def test_beside_what_cannot_leave(self):
        for name, (make, undo) in COMPRESSORS.items():
            def body(*order):
                begin, made = fed(make, TEXT)
                LATER(seen.append)([begin, made])
                return [made, sys._getframe()][::order[0]]
            for order in 1, -1:
                with self.subTest(name, order=order):
                    seen = []
                    with self.assertRaisesRegex(parallel.PersistenceError, "frame"):
                        in_context(body, order)
                    begin, got = seen.pop()
                    self.assertEqual(undo(begin + got.flush()), TEXT)

    def test_files_beside_what_cannot_leave(self):
        for start, options in MODULES.values():
            with start(self.path, "w", **options) as file:
                file.write(TEXT)
            with warnings.catch_warnings(record=True):
                for order in 1, -1:
                    with self.assertRaisesRegex(parallel.PersistenceError, "frame"):
                        in_context(lambda: [it := start(self.path), it.read(9), sys._getframe()]
                                   [::order])
                gc.collect()

    def test_an_attribute_that_an_exception_leaves_behind(self):
        def body():
            error = ValueError("text")
            error.parts = [made := bz2.BZ2Compressor(), sys._getframe()]
            error.other = made
            raise error
        with self.assertRaises(ValueError) as caught:
            in_context(body)
        got = caught.exception.other
        self.assertEqual(bz2.decompress(got.compress(b"x") + got.flush()), b"x")

    def test_while_memory_is_traced(self):
        tracemalloc.start()
        try:
            with self.assertRaisesRegex(parallel.PersistenceError, "BZ2Compressor"):
                in_context(bz2.BZ2Compressor)
        finally:
            tracemalloc.stop()
        in_context(bz2.BZ2Compressor)

    def test_bad_arguments(self):
        for make in (lambda: bz2.BZ2Compressor(10), lambda: lzma.LZMACompressor(filters=[{}]),
                     lambda: lzma.LZMADecompressor(lzma.FORMAT_RAW)):
            with self.assertRaises((ValueError, lzma.LZMAError)):
                in_context(make)

    def test_without_memory(self):
        """It leaves, or is released, whichever allocation fails."""
        def make():
            return [fed(bz2.BZ2Compressor, TEXT), fed(lambda: lzma.LZMACompressor(**FAST), TEXT)]

        def read():
            made = lzma.LZMADecompressor()
            return made.decompress(DECOMPRESSORS["xz"][1][:-9], 1000), made
        for body, show in ((make, lambda it: [undo(begin + got.flush()) for (begin, got), undo in
                                              zip(it, (bz2.decompress, lzma.decompress))]),
                           (read, lambda it: it[0] + it[1].decompress(DECOMPRESSORS["xz"][1][-9:]))):
            whole = 0
            for count in 1, 1000:
                for first in range(1, 60):
                    seen = crossing_without_memory(body, first, count)
                    if not isinstance(seen[0], type):
                        self.assertEqual(show(seen.pop(0)), [TEXT, TEXT] if body is make else TEXT)
                        whole += 1
                    self.assertLessEqual({one for one in seen if one is not None}, {MemoryError})
            self.assertGreater(whole, 2)


class Memory(Case):
    def grows(self, *bodies, times=60):
        """By more than a state or two."""
        for body in bodies:
            for _ in range(10):
                body()
            gc.collect()
            before = resident()
            for _ in range(times):
                body()
            gc.collect()
            with self.subTest(body):
                self.assertLess(resident() - before, 24 << 20)

    def test_that_leaves(self):
        self.grows(lambda: in_context(fed, bz2.BZ2Compressor, TEXT)[1].flush(),
                   lambda: in_context(fed, lambda: lzma.LZMACompressor(**FAST), TEXT)[1].flush(),
                   lambda: in_context(lambda: [it := bz2.BZ2Decompressor(),
                                               it.decompress(DECOMPRESSORS["bz2"][1][:-5])]))

    def test_that_does_not_leave(self):
        def dropped():
            for _ in range(3):
                fed(bz2.BZ2Compressor, TEXT)
                bz2.decompress(bz2.compress(TEXT))

        def kept():
            made = [fed(bz2.BZ2Compressor, TEXT)]
            made.append(made)

        def failed():
            fed(bz2.BZ2Compressor, TEXT)
            return bz2.BZ2Compressor(), sys._getframe()

        def fails():
            with self.assertRaises(parallel.PersistenceError):
                in_context(failed)

        def nobody():
            parallel.submit_work(bz2.BZ2Compressor)
            parallel.run()
        self.grows(lambda: in_context(dropped), lambda: in_context(kept), fails, nobody)

    def test_of_a_callback_that_the_guard_has_ended(self):
        for mode in "auto", "full":
            self.end_by_guard(mode)

    def end_by_guard(self, mode):
        ended = run_guarded(mode, """
            import bz2
            def body():
                made = bz2.BZ2Compressor()
                made.compress(b"x" * 1000)
                strike(id(victim) + HEAD + 100)
            def pages():
                with open("/proc/self/statm") as file:
                    return int(file.read().split()[1]) * 4096
            for turn in range(60):
                error, _ = outcome(body)
                assert type(error) is parallel.FrozenMemoryError, error
                if turn == 20: before = pages()
            assert pages() - before < 40 << 20, pages() - before
            """)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))

    def test_the_limit(self):
        """What it has outside counts, too."""
        self.addCleanup(parallel.set_memory_limit, None)
        parallel.set_memory_limit(16 << 20)

        def body():
            kept = []
            try:
                while True:
                    kept.append(bz2.BZ2Compressor())
            except MemoryError:
                return len(kept)
        self.assertLessEqual(in_context(body), 4)

        def freed():
            for _ in range(20):
                bz2.BZ2Compressor()
            return True
        self.assertTrue(in_context(freed))


if __name__ == "__main__":
    unittest.main()
