"""What the library computes when first asked: main's is used as it is, and what is
missing is kept in the context.

Run by the patched interpreter: python tests/cpython/test_caches.py
"""
import _sha2  # for random.seed("text"): contexts import nothing in C
import abc
import base64
import collections.abc
import csv
import ctypes
import datetime
import doctest
import enum
import functools
import http.cookiejar
import ipaddress
import numbers
import os
import pathlib
import pickle
import pkgutil
import random
import re
import struct
import subprocess
import sys
import tempfile
import time
import types
import unittest
import unittest.mock
import urllib.request
import weakref
import xml.dom
import zoneinfo

import parallel
from parallel import _parallel
from support import Case, in_context


@functools.lru_cache(None)
def sum_below(n):
    calls.append(n) if _parallel.owns(calls) else None
    return n + sum_below(n - 1) if n else 0


@functools.lru_cache(4)
def count_paths(n):
    return 1 if n < 2 else count_paths(n - 1) + count_paths(n - 2)


calls = []


class Side(enum.Flag):
    UP = enum.auto()
    DOWN = enum.auto()
    LEFT = enum.auto()


class Base:
    pass


class Other:
    pass


class Child(Base):
    pass


Base.Child = Child


# What keeps in a global what it computes when first asked.
LAZY = """if 1:
    import _sha2, base64, mimetypes, os, pkgutil, platform, random, urllib.parse
    import urllib.request, uuid, parallel

    def body():
        assert base64.b85decode(base64.b85encode(bytes(40))) == bytes(40)
        assert base64.a85decode(base64.a85encode(bytes(40))) == bytes(40)
        assert pkgutil.resolve_name("os:path.join") is os.path.join
        assert urllib.parse.unquote("%41%C3%A4") == "A\xe4"
        assert os.path.expandvars("${HOME}$HOME") == os.environ["HOME"] * 2
        assert os.path.expandvars(b"$HOME") == os.environb[b"HOME"]
        assert mimetypes.guess_type("x.html")[0] == "text/html"
        assert mimetypes.inited and "html" in mimetypes._db.types_map[1][".html"]
        assert platform.uname() is platform.uname()
        assert uuid.getnode() == uuid.getnode()
        opener = urllib.request.build_opener()
        urllib.request.install_opener(opener)
        assert urllib.request._opener is opener
        assert urllib.request.urlopen("data:,px").read() == b"px"
        random.seed("text")

    for i in range(3):
        parallel.submit_work(body)
        parallel.run()
    names = [base64._b85dec, base64._a85chars, mimetypes._db, random._sha512,
             pkgutil._NAME_PATTERN, platform._uname_cache, uuid._node,
             urllib.parse._hextobyte, urllib.request._opener, os.path._varprog]
    assert names == [None] * len(names), names
    body()
    for i in range(100):
        urllib.parse.unquote("%41")
    parallel.submit_work(body)
    parallel.run()
"""

class CacheTest(Case):

    def test_time_zones(self):
        def body():
            at = datetime.datetime(2020, 7, 1, 12)
            return [str(at.replace(tzinfo=zoneinfo.ZoneInfo(name)).utcoffset())
                    for name in ("Asia/Tokyo", "Europe/Paris", "Asia/Tokyo")]
        try:
            zoneinfo.ZoneInfo("Asia/Tokyo")
        except zoneinfo.ZoneInfoNotFoundError as error:
            self.skipTest(str(error))
        for _ in range(3):
            self.assertEqual(in_context(body), ["9:00:00", "2:00:00", "9:00:00"])
        with self.assertRaises(parallel.ParallelError):
            in_context(zoneinfo.ZoneInfo.clear_cache)

    def test_results(self):
        def body():
            return count_paths(90), count_paths.cache_info().misses
        misses = count_paths.cache_info().misses
        for _ in range(3):  # without a cache it would take years
            self.assertEqual(in_context(body), (4660046610375530309, misses))
        self.assertEqual(count_paths(9), 55)
        self.assertEqual(in_context(sum_below, 100), 5050)
        self.assertEqual(calls, [])
        sum_below(10)
        self.assertEqual(calls, list(range(10, -1, -1)))

    def test_what_main_has_computed_is_used(self):
        found = []

        @functools.lru_cache
        def find():
            found.append(1)
            return len(found)
        self.assertEqual(find(), 1)
        self.assertEqual(in_context(find), 1)

    def test_patterns(self):
        def body():
            pattern = "px+" + "y" * 3
            return (re.compile(pattern) is re.compile(pattern),
                    re.sub(pattern, r"<\g<0>>", "pxyyy"))
        for _ in range(2):
            self.assertEqual(in_context(body), (True, "<pxyyy>"))
        known = re.compile("px+known")
        self.assertTrue(in_context(lambda: re.compile("px+known") is known))

    def test_many_patterns(self):
        def body():
            found = [re.match(f"a{n}(.*)", f"a{n}b")[1] for n in range(2000)]
            return found, len(_parallel.local()[re._compile])
        self.assertEqual(in_context(body), (["b"] * 2000, re._MAXCACHE))

    def test_combined_flags(self):
        def body():
            both = Side.UP | Side.DOWN
            return (both is Side.UP | Side.DOWN, Side(3) is both, ~both is Side.LEFT,
                    repr(both), pickle.loads(pickle.dumps(both)) is both)
        for _ in range(2):
            self.assertEqual(in_context(body),
                             (True, True, True, "<Side.UP|DOWN: 3>", True))
        mine = Side.UP | Side.DOWN
        self.assertTrue(in_context(lambda: Side.UP | Side.DOWN is mine))

    def test_subclasses(self):
        def body():
            before = Base.__subclasses__()
            class First(Base):
                pass
            class Second(Base):
                pass
            with_both = Base.__subclasses__()
            Second.__bases__ = (Other,)
            return (before == [Base.Child],
                    with_both == [Base.Child, First, Second],
                    Base.__subclasses__() == [Base.Child, First],
                    Other.__subclasses__() == [Second])
        for _ in range(2):
            self.assertEqual(in_context(body), (True,) * 4)
        self.assertEqual(Base.__subclasses__(), [Base.Child])

    def test_virtual_subclasses(self):
        def body():
            class Mine(collections.abc.Mapping):
                pass
            class Virtual:
                pass
            before = issubclass(Virtual, collections.abc.Mapping)
            Mine.register(Virtual)
            return before, issubclass(Virtual, collections.abc.Mapping)
        self.assertEqual(in_context(body), (False, True))

    def test_virtual_subclasses_of_mains(self):
        """They are the context's alone: main and other contexts know nothing of them."""
        class Known(list):
            pass
        def body():
            class Virtual:
                pass
            class Under(Virtual):
                pass
            class Mine(collections.abc.Sequence):
                pass
            before = isinstance(Under(), collections.abc.Sequence)
            registered = [collections.abc.Sequence.register(each) is each
                          for each in (Virtual, struct.Struct)]
            match Under():
                case [*_]:
                    matched = True
                case _:
                    matched = False
            return (before, registered, matched,
                    isinstance(Under(), collections.abc.Sequence),
                    issubclass(Under, collections.abc.Reversible),
                    issubclass(Virtual, Mine), issubclass(Mine, collections.abc.Sequence),
                    issubclass(Known, collections.abc.Sequence),
                    issubclass(struct.Struct, collections.abc.Sequence))
        for _ in range(3):
            self.assertEqual(in_context(body), (False, [True, True], True, True, True,
                                                False, True, True, True))
            self.assertFalse(in_context(issubclass, struct.Struct, collections.abc.Sequence))
            self.assertFalse(issubclass(struct.Struct, collections.abc.Sequence))

    def test_virtual_subclasses_that_main_registers_meanwhile(self):
        class Late:
            pass
        register = parallel.call_from_main_thread_and_wait(
            lambda: numbers.Number.register(Late) and None)

        def body():
            before = [issubclass(each, numbers.Number) for each in (str, Late)]
            register()
            return before, [issubclass(each, numbers.Number) for each in (str, Late)]
        self.assertEqual(in_context(body), ([False, False], [False, True]))

    def test_no_virtual_subclass_of_mains(self):
        def body():
            class Mine(collections.abc.Sequence):
                pass
            with self.assertRaisesRegex(RuntimeError, "cycle"):
                Mine.register(collections.abc.Sequence)
            with self.assertRaisesRegex(TypeError, "only register classes"):
                collections.abc.Sequence.register([])
            return issubclass(Mine, collections.abc.Mapping)
        self.assertFalse(in_context(body))

    def test_many_abstract_classes(self):
        """Finding what the context has of one does not take longer the more there are."""
        classes = [abc.ABCMeta(f"Abstract{n}", (), {}) for n in range(2000)]

        def each(count):
            class Own:
                pass
            own, best = Own(), 1e9
            for _ in range(5):
                begin = time.thread_time()
                for cls in classes[:count]:
                    isinstance(own, cls)
                best = min(best, (time.thread_time() - begin) / count)
            return best
        self.assertLess(in_context(each, 2000), 6 * in_context(each, 50))

    def test_what_main_has_found_out_of_classes(self):
        """That int is no Mapping is in a cache of main's."""
        def body():
            class Mine(collections.abc.Mapping):
                pass
            token = abc.get_cache_token()
            Mine.register(int)
            return (issubclass(int, collections.abc.Mapping),
                    abc.get_cache_token() > token)
        for _ in range(5):
            self.assertFalse(issubclass(int, collections.abc.Mapping))
            self.assertFalse(in_context(issubclass, int, collections.abc.Mapping))
            self.assertEqual(in_context(body), (True, True))

    def test_immortals(self):
        for each in None, 5, "", ():
            self.assertEqual(in_context(sys.getrefcount, each),
                             sys.getrefcount(each))

    def test_total_ordering(self):
        code = """if 1:
            import functools, parallel
            def body():
                @functools.total_ordering
                class Mine:
                    def __init__(self, n):
                        self.n = n
                    def __lt__(self, other):
                        return self.n < other.n
                assert Mine(1) <= Mine(2) and Mine(3) > Mine(2) and Mine(1) >= Mine(0)
                assert Mine.__gt__.__name__ == "__gt__"
            parallel.submit_work(body)
            parallel.run()
            """
        done = subprocess.run([sys.executable, "-c", code])
        self.assertEqual(done.returncode, 0)

    def test_interned_strings(self):
        mine = sys.intern("px_interned" + str(len(calls)))

        def body():
            text = "".join(["px_", "new"])
            return (sys.intern(text) is sys.intern("".join(["px_", "new"])),
                    sys.intern("px_interned" + str(0)) is mine)
        self.assertEqual(in_context(body), (True, True))

    def test_globals(self):
        done = subprocess.run([sys.executable, "-c", LAZY])
        self.assertEqual(done.returncode, 0)

    def test_tables(self):
        def body():
            text = bytes(range(40))
            return [base64.b85decode(base64.b85encode(text)) == text,
                    base64.a85decode(base64.a85encode(text)) == text,
                    base64.b32decode(base64.b32encode(text)) == text,
                    pkgutil.resolve_name("os:path.join") is os.path.join]
        self.assertEqual(in_context(body), [True] * 4)

    def test_networks(self):
        def body():
            return str(ipaddress.ip_network("10.0.0.0/23").netmask)
        self.assertEqual(in_context(body), "255.255.254.0")

    def test_finalizers(self):
        def body():
            with tempfile.TemporaryDirectory() as folder:
                there = os.path.isdir(folder)
            done = []
            finalizer = weakref.finalize(sys, done.append, 1)
            alive = finalizer.alive
            finalizer()
            return there, os.path.exists(folder), alive, finalizer.alive, done
        for _ in range(2):
            self.assertEqual(in_context(body), (True, False, True, False, [1]))

    def test_what_has_a_finalizer_later(self):
        """What is known of a class is not, once it has __del__."""
        def body(to):
            class Tells:
                pass
            Tells()
            Tells.__del__ = lambda self: os.write(to, b"told") and None
            tells = Tells()
            tells.loop = tells
        ends = os.pipe()
        self.addCleanup(os.close, ends[0])
        in_context(body, ends[1])
        os.close(ends[1])
        self.assertEqual(os.read(ends[0], 9), b"told")

    def test_gauss(self):
        mine = random.getstate()
        self.assertEqual(len({in_context(random.gauss, 0, 1)
                              for _ in range(10)}), 10)
        self.assertEqual(random.getstate(), mine)

    def test_field_size_limit(self):
        limit = csv.field_size_limit()
        self.assertEqual(in_context(csv.field_size_limit), limit)
        with self.assertRaises(parallel.ParallelError):
            in_context(csv.field_size_limit, 10)
        self.assertEqual(csv.field_size_limit(), limit)

    def test_ctypes(self):
        def body():
            array = (ctypes.c_short * 3)(1, 2, 3)
            return sum(array), ctypes.sizeof(ctypes.c_long.__ctype_be__)
        for _ in range(3):
            self.assertEqual(in_context(body), (6, struct.calcsize("l")))

    def test_functions_of_libraries(self):
        """What is set of one is kept, in the context and as long."""
        libc, loader = ctypes.CDLL(None), ctypes.LibraryLoader(ctypes.CDLL)
        libc.abs  # main's

        def body():
            libc.getenv.restype = ctypes.c_char_p
            with self.assertRaises(parallel.UnprotectedError):
                libc.abs.restype = None
            math = getattr(loader, "libm.so.6")
            math.fabs.argtypes, math.fabs.restype = [ctypes.c_double], ctypes.c_double
            ctypes.pythonapi.Py_GetVersion.restype = ctypes.c_char_p
            return (libc.abs(-3), libc.getenv(b"PATH"), loader["libm.so.6"].fabs(-2.5),
                    ctypes.pythonapi.Py_GetVersion(), hasattr(libc, "px_none"))
        for _ in range(3):
            self.assertEqual(in_context(body), (3, os.environb[b"PATH"], 2.5,
                                                sys.version.encode(), False))
        self.assertEqual(libc.getenv.restype, ctypes.c_int)
        self.assertEqual(list(vars(loader)), ["_dlltype"])

    def test_registries(self):
        """A context sees what main has registered, and cleans up its own alone."""
        done = []
        path = urllib.request.urlretrieve("data:,px")[0]
        self.addCleanup(urllib.request.urlcleanup)
        unittest.addModuleCleanup(done.append, "main")
        xml.dom.registerDOMImplementation("px", list)
        tests = types.ModuleType("px", ">>> 1\n1\n")
        doctest.testmod(tests)
        tries = doctest.master.summarize().attempted

        def body():
            urllib.request.urlcleanup()
            unittest.case.doModuleCleanups()
            xml.dom.registerDOMImplementation("px here", dict)
            doctest.testmod(tests)
            return (os.path.exists(path), xml.dom.getDOMImplementation("px"),
                    doctest.master.summarize().attempted - tries,
                    unittest.mock.sentinel.here.name)
        for _ in range(2):
            self.assertEqual(in_context(body), (True, [], 1, "here"))
            self.assertEqual((done, doctest.master.summarize().attempted), ([], tries))
            self.assertNotIn("px here", xml.dom.domreg.registered)
        unittest.case.doModuleCleanups()
        self.assertEqual(done, ["main"])

    def test_log_of_cookies(self):
        with unittest.mock.patch.multiple(http.cookiejar, debug=True, logger=None):
            request = types.SimpleNamespace(host="px:no number")
            self.assertIsNone(in_context(http.cookiejar.request_port, request))
            self.assertIsNone(http.cookiejar.logger)

    def test_interpreters(self):
        import _interpreters
        with self.assertRaises(parallel.ParallelError):
            in_context(_interpreters.create)


class Area:
    def __init__(self, side):
        self.side = side

    @functools.cached_property
    def square(self):
        return self.side ** 2


class PathsTest(Case):
    """What an object keeps of itself, when it is main's and has not been asked."""

    def test_paths(self):
        def ask(path, other):
            return [str(path), repr(path), path.parts, path.name, path.suffix,
                    str(path.parent), path.anchor, hash(path) == hash(other),
                    path == other, path < other / "x", str(path / "d"),
                    str(path.with_suffix(".q")), path.as_uri(),
                    [str(parent) for parent in path.parents]]
        for kind in pathlib.PurePosixPath, pathlib.PureWindowsPath, pathlib.Path:
            name = "/a/b.c/d.e" if kind is not pathlib.PureWindowsPath else "c:/a/B.e"
            path, other = kind(name), kind(name)
            seen = in_context(ask, path, other)
            self.assertFalse(hasattr(path, "_str"))
            self.assertEqual(seen, ask(kind(name), kind(name)))

    def test_cached_properties(self):
        area = Area(3)
        self.assertEqual(in_context(lambda: area.square), 9)
        self.assertEqual(vars(area), {"side": 3})


if __name__ == "__main__":
    unittest.main()
