"""What a context has of its own where main has one for all, and what it
imports: it is there in the context, and main has seen nothing of it.

Run by the patched interpreter: python tests/cpython/test_own.py
"""
import _sha2  # for random.seed("text"): contexts import nothing in C
import abc
import base64
import codecs
import collections.abc
import contextlib
import csv
import ctypes
import datetime
import enum
import functools
import importlib
import io
import ipaddress
import os
import pickle
import pkgutil
import random
import re
import struct
import subprocess
import sys
import tempfile
import traceback
import unittest
import warnings
import weakref
import zoneinfo

import parallel
from parallel import _parallel
from test_contexts import in_context


class Case(unittest.TestCase):

    def tearDown(self):
        self.assertEqual(_parallel.find_strays(), [])


# ---- sys -----------------------------------------------------------------------

class SysTest(Case):

    def test_stdout(self):
        def body():
            with contextlib.redirect_stdout(io.StringIO()) as out:
                print("caught")
                sys.stdout.write("too")
            return out.getvalue(), sys.stdout is sys.__stdout__
        mine = sys.stdout
        for _ in range(3):  # specialised code of main's sees it, too
            self.assertEqual(in_context(body), ("caught\ntoo", True))
        self.assertIs(sys.stdout, mine)

    def test_code_that_main_has_specialised(self):
        def read():
            return sys.stdout, sys.argv
        for _ in range(1000):
            read()

        def body():
            sys.stdout, sys.argv = io.StringIO(), ["own"]
            return read()[0] is not sys.__stdout__, read()[1]
        mine = read()
        self.assertEqual(in_context(body), (True, ["own"]))
        self.assertEqual(read(), mine)

    def test_others_do_not_see_it(self):
        def body():
            before, sys.argv = sys.argv, ["own"]
            return before
        for _ in range(3):
            self.assertEqual(in_context(body), sys.argv)

    def test_other_names_are_mains(self):
        for change in (lambda: setattr(sys, "maxsize", 1),
                       lambda: setattr(sys, "px_new", 1),
                       lambda: setattr(os, "stdout", 1),
                       lambda: setattr(warnings, "warn", print),
                       lambda: delattr(sys, "stdout"),
                       lambda: sys.path.append("")):
            with self.assertRaises(parallel.UnprotectedError):
                in_context(change)
        self.assertFalse(hasattr(sys, "px_new"))

    def test_modules(self):
        def body():
            sys.modules["px_new"] = sys
            del sys.modules["tempfile"]
            import px_new
            import tempfile as other
            return px_new is sys, other is tempfile
        self.assertEqual(in_context(body), (True, False))
        self.assertNotIn("px_new", sys.modules)
        self.assertIs(sys.modules["tempfile"], tempfile)

    def test_recursion_limit(self):
        def depth(n):
            try:
                return depth(n + 1)
            except RecursionError:
                return n

        def body(limit):
            sys.setrecursionlimit(limit)
            return depth(0), sys.getrecursionlimit()
        mine = sys.getrecursionlimit()
        reached, limit = in_context(body, 200)
        self.assertTrue(100 < reached < 200, reached)
        self.assertEqual(limit, 200)
        self.assertGreater(in_context(body, 5000)[0], 4000)
        self.assertEqual(in_context(sys.getrecursionlimit), mine)
        self.assertEqual(sys.getrecursionlimit(), mine)
        self.assertLess(in_context(depth, 0), mine)

    def test_digits_limit(self):
        def body():
            sys.set_int_max_str_digits(0)
            digits = len(str(10 ** 6000))
            sys.set_int_max_str_digits(640)
            with self.assertRaises(ValueError):
                str(10 ** 700)
            return digits, sys.get_int_max_str_digits()
        mine = sys.get_int_max_str_digits()
        self.assertEqual(in_context(body), (6001, 640))
        self.assertEqual(sys.get_int_max_str_digits(), mine)


# ---- the environment -------------------------------------------------------------

class EnvironTest(Case):

    def test_it_can_be_changed(self):
        def body():
            os.environ["PX_OWN"] = "1"
            os.environb[b"PX_BYTES"] = b"2"
            os.environ.pop("HOME", None)
            return [os.getenv("PX_OWN"), os.environ["PX_BYTES"],
                    "HOME" in os.environ, "PX_OWN" in dict(os.environ)]
        before = dict(os.environ)
        self.assertEqual(in_context(body), ["1", "2", False, True])
        self.assertEqual(dict(os.environ), before)
        self.assertEqual(in_context(dict, os.environ), before)

    def test_a_child_process_sees_it(self):
        def body(**how):
            os.environ["PX_OWN"] = "own"
            return subprocess.run(["/bin/sh", "-c", "echo $PX_OWN"],
                                  stdout=subprocess.PIPE, **how).stdout
        self.assertEqual(in_context(body), b"own\n")
        self.assertEqual(in_context(lambda: body(env={})), b"\n")
        self.assertEqual(
            subprocess.run(["/bin/sh", "-c", "echo $PX_OWN"],
                           stdout=subprocess.PIPE).stdout, b"\n")

    def test_what_would_not_see_it_is_refused(self):
        def body():
            os.environ["PX_OWN"] = "1"
            os.system("true")
        self.assertEqual(in_context(os.system, "true"), 0)
        for each in (body, lambda: os.putenv("PX_OWN", "1"),
                     lambda: os.unsetenv("PATH"),
                     lambda: os.execv("/bin/true", ["true"])):
            with self.assertRaises(parallel.ParallelError):
                in_context(each)


# ---- directory and umask -----------------------------------------------------------

class PlaceTest(Case):

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.folder = os.path.realpath(self.folder)
        self.home = os.getcwd()
        self.addCleanup(os.chdir, self.home)

    def test_directory(self):
        def body(folder, path):
            with contextlib.chdir(folder):
                with open("px_here", "w") as file:
                    file.write("there")
                child = subprocess.run(["/bin/pwd"], stdout=subprocess.PIPE)
                inside = os.getcwd(), child.stdout.decode().strip()
            os.chdir(path)
            return inside, os.getcwd()
        self.assertEqual(in_context(body, self.folder, "/"),
                         ((self.folder, self.folder), "/"))
        self.assertEqual(os.getcwd(), self.home)
        self.assertEqual(os.listdir(self.folder), ["px_here"])

    def test_it_ends_with_the_callback(self):
        def go(folder):
            before = os.getcwd()
            os.chdir(folder)
            os.umask(0)
            return before
        for _ in range(20):  # the same workers, again and again
            self.assertEqual(in_context(go, self.folder), self.home)
            self.assertEqual(in_context(os.getcwd), self.home)

    def test_contexts_follow_main(self):
        def go(folder):
            os.chdir(folder)

        def look(path):
            with open(path, "w") as file:
                mode = os.stat(file.fileno()).st_mode & 0o777
            return os.getcwd(), mode
        for _ in range(20):
            in_context(go, "/")
        os.chdir(self.folder)
        mask = os.umask(0o027)
        try:
            for _ in range(10):
                self.assertEqual(in_context(look, "px_new"), (self.folder, 0o640))
                os.unlink("px_new")
        finally:
            os.umask(mask)
        os.chdir(self.home)
        for _ in range(10):
            self.assertEqual(in_context(os.getcwd), self.home)

    def test_each_of_many_has_its_own(self):
        def body(folder, n):
            path = os.path.join(folder, str(n))
            os.mkdir(path)
            os.chdir(path)
            os.umask(n)
            for _ in range(50):
                if (os.getcwd(), os.umask(n)) != (path, n):
                    return os.getcwd(), n
            return None
        with parallel.Executor() as executor:
            futures = [executor.submit(body, self.folder, n) for n in range(50)]
        self.assertEqual([future.result() for future in futures], [None] * 50)
        self.assertEqual(os.getcwd(), self.home)

    def test_umask(self):
        def body():
            return os.umask(0o077), os.umask(0o022)
        mask = os.umask(0o002)
        try:
            for _ in range(5):
                self.assertEqual(in_context(body), (0o002, 0o077))
            self.assertEqual(os.umask(0o002), 0o002)
        finally:
            os.umask(mask)

    def test_where_the_kernel_refuses(self):
        """As in a container whose seccomp profile knows no unshare()."""
        code = """if 1:
            import ctypes, os, struct, parallel
            NO_NEW_PRIVS, SET_SECCOMP, FILTER, UNSHARE = 38, 22, 2, 272
            rules = b"".join(struct.pack("HBBI", *rule) for rule in (
                (0x20, 0, 0, 0),                  # the call's number
                (0x15, 0, 1, UNSHARE),
                (0x06, 0, 0, 0x00050000 | 1),     # EPERM
                (0x06, 0, 0, 0x7fff0000)))
            buffer = ctypes.create_string_buffer(rules)
            program = struct.pack("HP", 4, ctypes.addressof(buffer))
            prctl = ctypes.CDLL(None).prctl
            assert prctl(NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            assert prctl(SET_SECCOMP, FILTER, program) == 0
            for _ in range(3):
                parallel.submit_work(os.chdir, "/")
                try:
                    parallel.run()
                except parallel.ParallelError as error:
                    print("os.chdir" in str(error))
            """
        done = subprocess.run([sys.executable, "-c", code], text=True,
                              stdout=subprocess.PIPE, check=True)
        self.assertEqual(done.stdout, "True\n" * 3)


# ---- random ------------------------------------------------------------------------

class RandomTest(Case):

    def test_seed(self):
        def draw():
            random.seed(42)
            return ([random.random() for _ in range(5)], random.getrandbits(100),
                    [random.gauss(0, 1) for _ in range(5)],
                    random.sample(range(1000), 5), random.choices("abc", k=5))
        state = random.getstate()
        expected = draw()
        random.setstate(state)
        for _ in range(3):
            self.assertEqual(in_context(draw), expected)
        self.assertEqual(random.getstate(), state)

    def test_seed_of_every_kind(self):
        def draw(seed):
            random.seed(seed)
            return random.random()
        for seed in "text", b"bytes", 1.5, -1, 10 ** 50:
            self.assertEqual(in_context(draw, seed),
                             random.Random(seed).random(), seed)

    def test_state(self):
        def body():
            random.random()
            state = random.getstate()
            first = random.random(), random.gauss()
            random.setstate(state)
            return first == (random.random(), random.gauss()), state
        mine = random.getstate()
        again, state = in_context(body)
        self.assertTrue(again)
        self.assertNotEqual(state, mine)
        self.assertEqual(random.getstate(), mine)

    def test_mains_state_can_be_set(self):
        def body(state):
            random.setstate(state)
            return random.random()
        state = random.getstate()
        drawn = in_context(body, state)
        self.assertEqual(random.getstate(), state)
        self.assertEqual(random.random(), drawn)

    def test_a_seed_goes_with_its_context(self):
        def seed():
            random.seed(1)
            return random.random()
        for _ in range(5):
            in_context(seed)
        drawn = [in_context(random.random) for _ in range(20)]
        self.assertEqual(len(set(drawn)), 20)

    def test_one_that_main_has_made(self):
        mine = random.Random(5)

        def body(seed):
            mine.seed(seed)
            return mine.random(), random.Random(seed).random()
        drawn, expected = in_context(body, 7)
        self.assertEqual(drawn, expected)
        self.assertEqual(mine.random(), random.Random(5).random())


# ---- warnings --------------------------------------------------------------------

def warn(category=UserWarning):
    warnings.warn("px", category)


class WarningsTest(Case):

    def test_catching(self):
        def body():
            with warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter("always")
                warn()
                warn()
            return [str(each.message) for each in seen]
        mine = warnings.filters
        self.assertEqual(in_context(body), ["px", "px"])
        self.assertIs(warnings.filters, mine)

    def test_filters(self):
        def body():
            warnings.simplefilter("error")
            with self.assertRaises(UserWarning):
                warn()
            warnings.resetwarnings()
            warnings.filterwarnings("ignore", "p.")
            warn()
            return len(warnings.filters)
        mine = list(warnings.filters)
        self.assertEqual(in_context(body), 1)
        self.assertEqual(warnings.filters, mine)

    def test_asserting(self):
        def body():
            with self.assertWarns(UserWarning):
                warn()
                with self.assertWarnsRegex(RuntimeWarning, "px"):
                    warn(RuntimeWarning)
                warn()
        for _ in range(3):
            in_context(body)

    def test_once(self):
        def body(action):
            said = []
            warnings.showwarning = lambda *args: said.append(args[1].__name__)
            warnings.simplefilter(action)
            for _ in range(3):
                warn()
                warn(RuntimeWarning)
            return said
        once = ["UserWarning", "RuntimeWarning"]
        for _ in range(2):  # the second context has seen none of it
            self.assertEqual(in_context(body, "default"), once)
            self.assertEqual(in_context(body, "module"), once)
            self.assertEqual(in_context(body, "once"), once)
            self.assertEqual(in_context(body, "always"), once * 3)
        self.assertNotIn("__warningregistry__", globals())

    def test_printing(self):
        code = """if 1:
            import parallel, warnings
            def body():
                for i in range(3):
                    warnings.warn("said once")
            parallel.submit_work(body)
            parallel.run()
            """
        done = subprocess.run([sys.executable, "-c", code], text=True,
                              stderr=subprocess.PIPE, check=True)
        self.assertEqual(done.stderr.count("UserWarning: said once"), 1)


# ---- codecs ------------------------------------------------------------------------

class CodecsTest(Case):

    def test_one_that_main_has_not_used(self):
        self.assertNotIn("encodings.cp1253", sys.modules)
        self.assertEqual(in_context("Ω".encode, "cp1253"), b"\xd9")
        self.assertNotIn("encodings.cp1253", sys.modules)
        self.assertRaises(LookupError, in_context, "".encode, "px-none")

    def test_registering(self):
        def body():
            codecs.register(lambda name: codecs.lookup("ascii")
                            if name == "px" else None)
            codecs.register_error("px", codecs.replace_errors)
            return "aß".encode("px", "px")
        self.assertEqual(in_context(body), b"a?")
        self.assertRaises(LookupError, codecs.lookup, "px")
        self.assertRaises(LookupError, codecs.lookup_error, "px")
        self.assertRaises(LookupError, in_context, codecs.lookup, "px")


# ---- caches ---------------------------------------------------------------------

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

    def test_interpreters(self):
        import _interpreters
        with self.assertRaises(_interpreters.InterpreterError):
            in_context(_interpreters.create)


# ---- imports -----------------------------------------------------------------------

FILES = {
    "px_one.py": "import px_two\ncount = 0\n"
                 "def add():\n    global count\n    count += 1\n    return count\n"
                 "class Class:\n    pass\n",
    "px_two.py": "import px_one\nfrom px_package import inner\n",
    "px_package/__init__.py": "def get():\n    import px_package.late\n"
                              "    return px_package.late.name\n",
    "px_package/inner.py": "from . import other\nvalue = other.value + 1\n",
    "px_package/other.py": "value = 1\n",
    "px_package/late.py": "name = __name__\n",
    "px_mains/__init__.py": "taken = 1\n",
    "px_mains/sub.py": "import px_mains\nvalue = px_mains.taken\n",
    "px_mains/taken.py": "",
    "px_bad.py": "def fail():\n    1 / 0\n\nfail()\n",
    "px_writes.py": "import os\nos.px_new = 1\n",
}


class ImportTest(Case):

    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        for name, text in FILES.items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(text)
        sys.path.insert(0, folder)
        cls.addClassCleanup(sys.path.remove, folder)
        importlib.invalidate_caches()

    def setUp(self):
        self.modules = set(sys.modules)
        self.finders = dict(sys.path_importer_cache)

    def tearDown(self):
        super().tearDown()
        self.assertEqual(set(sys.modules), self.modules)
        self.assertEqual(sys.path_importer_cache, self.finders)

    def test_modules_and_packages(self):
        def body():
            import px_one
            import px_package.inner as inner
            from px_package import other
            return [px_one.add(), px_one.add(), inner.value, other.value,
                    sys.modules["px_one"] is px_one, px_one.px_two.px_one is px_one]
        for _ in range(2):  # each has its own
            self.assertEqual(in_context(body), [1, 2, 2, 1, True, True])

    def test_late(self):
        def body():
            import px_package
            return px_package.get()
        self.assertEqual(in_context(body), "px_package.late")

    def test_submodule_of_mains_package(self):
        import px_mains
        self.addCleanup(sys.modules.pop, "px_mains")
        self.setUp()

        def body():
            import px_mains.sub
            from px_mains import sub
            return sub.value, px_mains.sub is sub
        self.assertEqual(in_context(body), (1, True))
        self.assertFalse(hasattr(px_mains, "sub"))
        with self.assertRaises(parallel.UnprotectedError):
            in_context(importlib.import_module, "px_mains.taken")
        self.assertEqual(px_mains.taken, 1)

    def test_by_function(self):
        def body():
            one = importlib.import_module("px_one")
            return one.add(), __import__("px_one") is one
        self.assertEqual(in_context(body), (1, True))

    def test_library(self):
        def body():
            import colorsys
            import xml.etree.ElementPath
            return (colorsys.rgb_to_hsv(0, 0, 1)[2],
                    xml.etree.ElementPath.__name__)
        self.assertEqual(in_context(body), (1, "xml.etree.ElementPath"))

    def test_pickling(self):
        def body():
            import px_one
            text = pickle.dumps((px_one.Class(), px_one.add))
            instance, function = pickle.loads(text)
            return type(instance) is px_one.Class, function is px_one.add
        self.assertEqual(in_context(body), (True, True))

    def test_errors(self):
        with self.assertRaises(ModuleNotFoundError):
            in_context(__import__, "px_none")
        with self.assertRaises(parallel.UnprotectedError):
            in_context(__import__, "px_writes")
        try:
            in_context(__import__, "px_bad")
        except ZeroDivisionError as error:
            text = "".join(traceback.format_exception(error))
        self.assertIn("in fail", text)

    def test_what_is_written_in_c(self):
        self.assertNotIn("_testmultiphase", sys.modules)
        with self.assertRaisesRegex(parallel.ParallelError, "_testmultiphase"):
            in_context(__import__, "_testmultiphase")

    def test_formatting_a_traceback(self):
        code = """if 1:
            import parallel, traceback
            def body():
                try:
                    bytes(10 ** 18)
                except MemoryError:
                    return traceback.format_exc()
            def keep(text):
                assert "in body" in text and "bytes(10 ** 18)" in text, text
            parallel.submit_work(body, callback=keep)
            parallel.run()
            """
        done = subprocess.run([sys.executable, "-c", code])
        self.assertEqual(done.returncode, 0)

    def test_objects_of_its_classes_stay(self):
        with self.assertRaises(parallel.PersistenceError):
            in_context(lambda: __import__("px_one").Class())

    def test_in_many_at_once(self):
        with parallel.Executor() as executor:
            futures = [executor.submit(lambda: __import__("px_one").add())
                       for _ in range(50)]
        self.assertEqual([future.result() for future in futures], [1] * 50)


if __name__ == "__main__":
    unittest.main()
