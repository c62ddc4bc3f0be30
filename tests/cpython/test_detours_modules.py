"""Ways round the guards that are in single modules in C: what they note in main's
objects in passing, what they remember, what the process has once.

Run by the patched interpreter: python tests/cpython/test_detours_modules.py
"""
import _ctypes
import _pickle
import array
import cProfile
import collections
import copyreg
import datetime
import dbm
import fcntl
import gc
import io
import multiprocessing
import os
import pickle
import shutil
import socket
import struct
import tempfile
import termios
import time
import unittest
import zoneinfo

import parallel
from support import Case, in_context, run
from test_detours import database

try:
    import _curses_panel
except ImportError:
    _curses_panel = None

LOCALE = "/usr/lib/locale/C.utf8"


# ---- semaphores of the system --------------------------------------------------------

def in_contexts(func, *args):
    """What two that run at the same time return."""
    executor = parallel.Executor()
    return [future.result() for future in [executor.submit(func, *args) for _ in range(2)]]


class SemaphoresTest(Case):

    def test_counts(self):
        context = multiprocessing.get_context("fork")
        for lock, free in ((context.RLock(), 1), (context.Lock(), 1),
                           (context.Semaphore(8), 8)):
            system = lock._semlock

            def use():
                for _ in range(100_000):
                    self.assertTrue(system.acquire(True, 10))
                    system.release()
            with self.subTest(type(lock).__name__):
                self.assertEqual(in_contexts(use), [None, None])
                self.assertEqual((system._count(), system._get_value()), (0, free))

    def test_owners(self):
        lock = multiprocessing.RLock()._semlock

        def nest():
            with lock:
                with lock:
                    return lock._count(), lock._is_mine()
        self.assertEqual(in_context(nest), (2, True))
        self.assertEqual((lock._count(), lock._is_mine()), (0, False))
        self.assertEqual(nest(), (2, True))

        def release():
            lock.release()
        with lock, self.assertRaises(AssertionError):
            in_context(release)
        self.assertEqual(lock._count(), 0)

    def test_guarded(self):
        out, err = run("""
            import multiprocessing, parallel
            locks = multiprocessing.RLock(), multiprocessing.Semaphore(2)
            def use():
                for lock in locks:
                    with lock, lock:
                        pass
            with parallel.Executor() as executor:
                print(executor.submit(use).result())
            print([lock._semlock._count() for lock in locks])
            """, PYTHONPARALLELGUARD="auto")
        self.assertEqual((out, err), ("None\n[0, 0]\n", ""))


# ---- what modules remember -----------------------------------------------------------

class Zone(zoneinfo.ZoneInfo):
    pass


class RememberedTest(Case):

    def test_zones(self):
        def same(*classes):
            zones = [cls(f"Etc/GMT+{hours}") for _ in range(2) for cls in classes
                     for hours in range(1, 12)]
            half = len(zones) // 2
            return (all(map(lambda a, b: a is b, zones[:half], zones[half:])),
                    len(set(map(id, zones))))
        self.assertEqual(in_context(same, zoneinfo.ZoneInfo, Zone), (True, 22))
        zoneinfo.ZoneInfo.clear_cache()
        mains = [zoneinfo.ZoneInfo("Etc/GMT+3"), Zone("Etc/GMT+4")]
        self.assertEqual(in_context(same, zoneinfo.ZoneInfo, Zone), (True, 22))
        self.assertTrue(in_context(lambda: [
            zoneinfo.ZoneInfo("Etc/GMT+3") is mains[0], Zone("Etc/GMT+4") is mains[1]]))
        self.assertEqual(same(Zone), (True, 11))

    def test_zones_in_arithmetic(self):
        def ask():
            first, second = [datetime.datetime(2020, 3, 29, hour, tzinfo=zoneinfo.ZoneInfo(
                "Europe/Berlin")) for hour in (0, 12)]
            return second - first, first.tzinfo == second.tzinfo
        zoneinfo.ZoneInfo.clear_cache()
        self.assertEqual(in_context(ask), (datetime.timedelta(hours=12), True))
        self.agree(ask)

    def test_zones_of_nobody(self):
        def ask():
            one = zoneinfo.ZoneInfo.no_cache("Etc/GMT+5")
            return (one is zoneinfo.ZoneInfo.no_cache("Etc/GMT+5"),
                    one is zoneinfo.ZoneInfo("Etc/GMT+5"),
                    pickle.loads(pickle.dumps(zoneinfo.ZoneInfo("Etc/GMT+5")))
                    is zoneinfo.ZoneInfo("Etc/GMT+5"))

        def fail(key):
            with self.assertRaises(Exception) as caught:
                zoneinfo.ZoneInfo(key)
            return type(caught.exception)
        zoneinfo.ZoneInfo.clear_cache()
        self.assertEqual(in_context(ask), (False, False, True))
        for key in [], "no/such", None:
            self.agree(lambda: fail(key))

    def test_formats(self):
        def made_for(layout):
            iterator = struct.iter_unpack(layout, b"12345678" * 2)
            return next(part for part in gc.get_referents(iterator)
                        if isinstance(part, struct.Struct))

        def same(layout):
            return made_for(layout) is made_for(layout)
        struct._clearcache()
        self.assertTrue(in_context(same, "<HHi"))
        mains = made_for("<iHH")
        self.assertTrue(in_context(lambda: made_for("<iHH") is mains))
        self.assertTrue(in_context(lambda: [same(f"{n}x") for n in (2, 4, 8)] == [True] * 3))
        self.assertEqual(in_context(lambda: [struct.calcsize(f"{n}s") for n in range(300)]),
                         list(range(300)))

    def test_extension_codes(self):
        copyreg.add_extension("collections", "OrderedDict", 0x7b42)
        self.addCleanup(copyreg.remove_extension, "collections", "OrderedDict", 0x7b42)
        data = pickle.dumps(collections.OrderedDict(a=1), 2)
        for _ in range(2):
            self.assertEqual(in_context(_pickle.loads, data), {"a": 1})
        self.assertNotIn(0x7b42, copyreg._extension_cache)
        self.assertEqual(pickle.loads(data), {"a": 1})
        self.assertEqual(in_context(_pickle.loads, data), {"a": 1})

    def test_hashes_guarded(self):
        out, err = run("""
            import _blake2, _md5, hashlib, parallel
            mains = hashlib.sha256(), _md5.md5(), _blake2.blake2b()
            for one in mains:
                one.update(b"x" * 5000)
            with parallel.Executor() as executor:
                for one in mains:
                    print(executor.submit(one.hexdigest).result() == one.hexdigest())
            """, PYTHONPARALLELGUARD="auto")
        self.assertEqual((out, err), ("True\n" * 3, ""))


# ---- databases -----------------------------------------------------------------------

class DatabasesTest(Case):

    def test_cursor_of_another_connection(self):
        with database() as mains:
            mains.execute("create table t (a)")

            def change():
                with database() as own:
                    cursor = own.cursor()
                    with self.assertRaises(parallel.UnprotectedError):
                        cursor.__init__(mains)
                    cursor.executescript("create table u (b)")
                    return cursor.connection is own
            self.assertTrue(in_context(change))
            self.assertEqual(mains.execute("select name from sqlite_master").fetchall(),
                             [("t",)])

    def test_keys_and_values(self):
        for kind in "gnu", "ndbm":
            with self.subTest(kind), tempfile.TemporaryDirectory() as folder:
                try:
                    module = __import__(f"dbm.{kind}", fromlist=["open"])
                except ImportError:
                    continue

                def own():
                    with module.open(folder + "/own", "c") as one:
                        one[b"a"] = b"b"
                        return one[b"a"], b"a" in one, len(one), bool(one), one.keys()
                with module.open(folder + "/mains", "c") as mains:
                    mains[b"a"] = b"b"
                    self.refuse(lambda: mains[b"a"], lambda: b"a" in mains,
                                lambda: len(mains), lambda: bool(mains), mains.keys,
                                lambda: mains.get(b"a"), state=lambda: mains[b"a"])
                self.agree(own)


# ---- what the process has once -------------------------------------------------------

def with_separator(folder):
    """Two locales: the first parts thousands by a letter that is not ASCII."""
    for name in "xx.utf8", "yy.utf8":
        shutil.copytree(LOCALE, f"{folder}/{name}")
    texts = [b",\0", "\N{NARROW NO-BREAK SPACE}\0".encode(), b"\3\0"]
    places, data = [], b""
    for text in texts:
        places.append(32 + len(data))
        data += text
    data += bytes(-len(data) % 4)
    for text in struct.pack("I", ord(",")), struct.pack("I", 0x202f), b"UTF-8\0":
        places.append(32 + len(data))
        data += text
    with open(f"{folder}/xx.utf8/LC_NUMERIC", "wb") as file:
        file.write(struct.pack("8I", 0x20031114, 6, *places) + data)


class ProcessTest(Case):

    @unittest.skipUnless(os.path.isdir(LOCALE), "no such locale")
    def test_locale(self):
        code = """
            import locale, parallel
            for ctype in "C", "yy.utf8":
                locale.setlocale(locale.LC_CTYPE, ctype)
                locale.setlocale(locale.LC_NUMERIC, "xx.utf8")
                want, conv = format(1234567, "n"), locale.localeconv()
                def ask():
                    return sum((format(1234567, "n"), locale.localeconv()) != (want, conv)
                               for _ in range(3000))
                with parallel.Executor() as executor:
                    wrong = [executor.submit(ask) for _ in range(2)]
                    wrong = [future.result() for future in wrong]
                print(ascii(want), wrong, locale.setlocale(locale.LC_CTYPE))
            """
        with tempfile.TemporaryDirectory() as folder:
            with_separator(folder)
            out, err = run(code, LOCPATH=folder)
        self.assertEqual((out.splitlines(), err), (
            [rf"'1\u202f234\u202f567' [0, 0] {name}" for name in ("C", "yy.utf8")], ""))

    def test_functions(self):
        """None gets as far as to be content with its arguments."""
        panels = _curses_panel and (
            lambda: _curses_panel.new_panel(None), _curses_panel.update_panels,
            _curses_panel.top_panel, _curses_panel.bottom_panel)
        for call in (lambda: _ctypes.dlclose(None), lambda: time.clock_settime(0, None),
                     lambda: time.clock_settime_ns(0, None), *(panels or ())):
            with self.assertRaisesRegex(parallel.ParallelError, "let the main thread do it"):
                in_context(call)

    def test_profiles(self):
        with self.assertRaisesRegex(parallel.ParallelError, "monitoring"):
            in_context(lambda: cProfile.Profile().enable())
        profile = cProfile.Profile()
        profile.enable()
        profile.disable()


# ---- buffers and files in memory -----------------------------------------------------

class BuffersTest(Case):

    def test_ioctl(self):
        outer, inner = os.openpty()
        self.addCleanup(os.close, outer)
        self.addCleanup(os.close, inner)
        mains = array.array("H", [7] * 4)

        def ask(sizes, *flags):
            return fcntl.ioctl(inner, termios.TIOCGWINSZ, sizes, *flags), list(sizes)
        self.refuse(lambda: ask(mains), state=mains.tolist)
        self.agree(lambda: ask(mains, False), lambda: ask(array.array("H", [7] * 4)),
                   lambda: ask(bytes(8)), lambda: ask(memoryview(b"12345678")),
                   lambda: ask(b"12345678"))

    def test_received(self):
        here, there = socket.socketpair()
        mains = bytearray(b"abcd")
        with here, there:
            there.send(b"12345678")
            self.refuse(lambda: here.recv_into(mains), lambda: here.recvfrom_into(mains),
                        lambda: here.recvmsg_into([mains]), state=lambda: bytes(mains))
            for one in b"abcd", memoryview(b"abcd"), 5:
                with self.assertRaisesRegex(TypeError, "read-write bytes-like"):
                    in_context(here.recv_into, one)
            self.assertEqual(here.recv(100), b"12345678")

    def test_files_in_memory(self):
        for file in io.BytesIO(b"ab\ncd"), io.StringIO("ab\r\ncd", newline=None):
            file.readline()
            with self.subTest(type(file).__name__):
                self.agree(file.tell, file.seekable, file.readable, file.writable,
                           file.isatty, lambda: file.closed)
                self.refuse(file.readline, lambda: file.seek(0), lambda: file.truncate(1),
                            state=file.tell)
        self.agree(lambda: file.newlines, lambda: file.line_buffering)
        self.assertEqual(file.newlines, "\r\n")

    def test_closed_files_in_memory(self):
        for file in io.BytesIO(b"ab"), io.StringIO("ab"):
            file.close()
            for method in file.tell, file.seekable, file.read:
                with self.assertRaisesRegex(ValueError, "closed file"):
                    in_context(method)


if __name__ == "__main__":
    unittest.main()
