"""What a context has of its own where main has one for all, and what it
imports: it is there in the context, and main has seen nothing of it.

Run by the patched interpreter: python tests/cpython/test_own.py
"""
import base64
import codecs
import contextlib
import ctypes
import datetime
import importlib
import io
import ipaddress
import os
import pickle
import pkgutil
import random
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


# ---- caches of modules in C -----------------------------------------------------

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
        for name in "colorsys", "xml.etree.ElementPath":
            self.assertNotIn(name, sys.modules)
        self.assertEqual(in_context(body), (1, "xml.etree.ElementPath"))
        for name in "colorsys", "xml", "xml.etree", "xml.etree.ElementPath":
            self.assertIn(name, sys.modules)  # by main, for all
        self.setUp()

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
        def body():
            import _testmultiphase
            return _testmultiphase.foo(1, 2), _parallel.owns(_testmultiphase)
        self.assertNotIn("_testmultiphase", sys.modules)
        self.assertEqual(in_context(body), (3, False))
        self.assertIn("_testmultiphase", sys.modules)
        self.setUp()

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
