"""Imports of callbacks: into the context, or by main for it.

Run by the patched interpreter: python tests/cpython/test_imports.py
"""
import importlib
import logging
import os
import pickle
import subprocess
import sys
import tempfile
import textwrap
import time
import traceback
import unittest

import parallel
from parallel import _parallel
from support import Case, in_context, run


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
    "px_held.py": "import sys\nsys.px_hold()\nlate = 1\n",
    "px_typical.py": """if 1:
        import dataclasses, enum, functools, logging, re, threading
        log = logging.getLogger(__name__)
        pattern = re.compile("a+px")
        lock = threading.Lock()
        class Kind(enum.Enum):
            A = 1
        @functools.lru_cache(maxsize=None)
        def twice(x):
            return x * 2
        @dataclasses.dataclass
        class Item:
            name: str
            kind: Kind = Kind.A
            def show(self):
                log.debug("show %s", self.name)
                with lock:
                    return twice(len(self.name)), pattern.match(self.name)[0], self.kind.name
        """,
    "px_writes.py": "import os\nos.px_new = 1\n",
}


class ImportTest(Case):
    def test_times_are_mains(self):
        out, err = run("""
            import parallel
            def body():
                import colorsys
                return colorsys.__name__
            with parallel.Executor() as executor:
                print(executor.submit(body).result())
        """, "-X", "importtime", PYTHONPARALLELGUARD="full")
        self.assertEqual((out, "Error" in err), ("colorsys\n", False))
        self.assertRegex(err, "parallel")


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

    def test_objects_of_its_classes(self):
        """They bring a class of their own, and that its module: no part of main's."""
        def body():
            one = __import__("px_one")
            one.add()
            return one.Class(), one.Class, one.add, one
        thing, cls, add, one = in_context(body)
        self.assertIs(type(thing), cls)
        self.assertEqual((cls.__module__, cls.__qualname__), ("px_one", "Class"))
        self.assertEqual((add(), one.count, one.px_two.px_one), (2, 2, one))
        self.assertNotIn("px_one", sys.modules)
        self.assertIsNot(in_context(body)[1], cls)

    def test_an_object_of_a_typical_module(self):
        """With a logger, a lock, a pattern, an enum, a cache."""
        def body():
            item = __import__("px_typical").Item("aapx")
            return item, item.show()
        item, shown = in_context(body)
        self.assertEqual((item.show(), shown), ((8, "aapx", "A"),) * 2)
        self.assertIs(item.show.__globals__["log"].parent, logging.root)
        self.assertEqual(repr(item), "Item(name='aapx', kind=<Kind.A: 1>)")

    def test_what_main_is_importing(self):
        here, there = os.pipe()

        def by_statement():
            os.write(there, b"x")
            import px_held
            return px_held.late

        def by_function():
            os.write(there, b"x")
            return importlib.import_module("px_held").late

        def hold():
            futures.append(executor.submit(body))
            os.read(here, 1)
            for _ in range(20):  # contexts run meanwhile
                time.sleep(0.001)
        sys.px_hold = hold
        for body in by_statement, by_function:
            futures = []
            with self.subTest(body.__name__), parallel.Executor() as executor:
                importlib.import_module("px_held")
                self.assertEqual(futures[0].result(), 1)
            del sys.modules["px_held"]
        del sys.px_hold
        os.close(here), os.close(there)

    def test_anew_what_main_has_in_a_package(self):
        """The context's own is in sys.modules; the package's attribute stays."""
        import json.decoder

        def body():
            del sys.modules["json.decoder"]
            import json.decoder
            own = sys.modules["json.decoder"]
            return (_parallel.owns(own), _parallel.owns(json.decoder),
                    own.JSONDecoder().decode("[1]"))
        self.assertEqual(in_context(body), (True, False, [1]))

    def test_in_many_at_once(self):
        with parallel.Executor() as executor:
            futures = [executor.submit(lambda: __import__("px_one").add())
                       for _ in range(50)]
        self.assertEqual([future.result() for future in futures], [1] * 50)


# ---- imports that main makes -------------------------------------------------------

class FreshTest(Case):
    """In fresh processes, where main has not imported it yet."""

    def test_a_module_in_c(self):
        code = """
            import parallel, sys
            def body():
                import zlib
                import _bisect as alias
                from zlib import crc32
                assert parallel.is_parallel_thread()
                return (crc32(b"x"), zlib is sys.modules["zlib"], id(zlib),
                        parallel._parallel.owns(zlib), alias.__spec__.name)
            assert "zlib" not in sys.modules and "_bisect" not in sys.modules
            with parallel.Executor() as executor:
                seen = {executor.submit(body).result() for _ in range(4)}
            assert "alias" not in globals()
            import zlib
            print(seen == {(zlib.crc32(b"x"), True, id(zlib), False, "_bisect")})
        """
        self.assertEqual(run(code), ("True\n", ""))

    def test_modules_that_need_them(self):
        code = """
            import parallel, sys
            def body():
                import csv, decimal, lzma, sqlite3
                import xml.etree.ElementTree as tree
                with sqlite3.connect(":memory:") as db:
                    one = db.execute("select 1 + 1").fetchone()
                return (next(csv.reader(["a,b"])), str(decimal.Decimal(1) / 8),
                        len(lzma.compress(b"x" * 1000)) > 50, one,
                        tree.fromstring("<a><b/></a>")[0].tag)
            parallel.submit_work(body, callback=print)
            parallel.run()
            for name in "csv", "_csv", "xml", "xml.etree.ElementTree":
                assert name in sys.modules, name
        """
        self.assertEqual(run(code), (
            "(['a', 'b'], '0.125', True, (2,), 'b')\n", ""))

    def test_the_library(self):
        code = """
            import parallel, sys
            def body():
                import ast, random, dataclasses, tomllib.nothing
            def again():
                import ast, random, dataclasses
                return [parallel._parallel.owns(m)
                        for m in (ast, random, dataclasses)]
            def own():
                del sys.modules["ast"]
                import ast
                sys.modules["colorsys"] = None
                try:
                    import colorsys
                except ImportError:
                    import netrc
                    return [parallel._parallel.owns(m) for m in (ast, netrc)]
            def late():  # main has it, but this context has never had it
                sys.modules
                parallel.call_from_main_thread_and_wait(importing)("poplib")
                import poplib
                return parallel._parallel.owns(poplib)
            def importing(name):
                __import__(name)
            with parallel.Executor() as executor:
                print(executor.submit(body).exception())
                print(executor.submit(again).result())
                print(executor.submit(own).result())
                print(executor.submit(late).result())
            print("tomllib" in sys.modules, "netrc" in sys.modules)
        """
        self.assertEqual(run(code), (
            "No module named 'tomllib.nothing'\n[False, False, False]\n"
            "[True, True]\nFalse\nTrue False\n", ""))

    def test_many_at_once(self):
        code = """
            import importlib, parallel, random, sys
            NAMES = ["_bisect", "_bz2", "_csv", "_datetime", "_decimal", "_heapq",
                     "_json", "_lzma", "_pickle", "_queue", "_random", "_socket",
                     "_struct", "_zoneinfo", "array", "binascii", "cmath", "fcntl",
                     "grp", "math", "mmap", "pyexpat", "resource", "select",
                     "syslog", "termios", "zlib"]
            def body(number):
                names = NAMES[number:] + NAMES[:number]
                return {name: id(importlib.import_module(name)) for name in names}
            with parallel.Executor() as executor:
                results = list(executor.map(body, range(len(NAMES))))
            mine = {name: id(importlib.import_module(name)) for name in NAMES}
            print(all(result == mine for result in results))
        """
        self.assertEqual(run(code), ("True\n", ""))

    def test_by_code_in_c(self):
        code = """
            import parallel, sys, time
            def body():
                return time.strptime("2026", "%Y").tm_year
            assert "_strptime" not in sys.modules
            parallel.submit_work(body, callback=print)
            parallel.run()
            print("_strptime" in sys.modules)
        """
        self.assertEqual(run(code), ("2026\nTrue\n", ""))

    def test_what_is_not_there(self):
        def body():
            try:
                import _px_nothing
            except ModuleNotFoundError as error:
                return error.name
        self.assertEqual(in_context(body), "_px_nothing")

    def test_from_elsewhere(self):
        code = """
            import importlib.util, parallel
            def body(path):
                spec = importlib.util.spec_from_file_location("zlib", path)
                return importlib.util.module_from_spec(spec)
            with parallel.Executor() as executor:
                print(executor.submit(body, "elsewhere.so").exception())
        """
        out, errors = run(code)
        self.assertIn("'zlib'", out)
        self.assertIn("main thread", out)
        self.assertEqual(errors, "")

    def test_asyncio(self):
        code = """
            import asyncio, parallel
            def body():
                import _bz2
                return _bz2.__name__
            async def main():
                loop = asyncio.get_running_loop()
                with parallel.Executor() as executor:
                    return await loop.run_in_executor(executor, body)
            print(asyncio.run(main()))
        """
        self.assertEqual(run(code), ("_bz2\n", ""))


class BusyTest(Case):
    """Main is doing something else: nothing may hang."""

    def import_busy(self, body):
        """Run this in the body of a module that main imports."""
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "busy.py"), "w") as file:
                file.write(textwrap.dedent(body))
            return run("import busy", PYTHONPATH=folder)

    def test_main_imports_and_waits_for_the_callback(self):
        out, errors = self.import_busy("""
            import parallel
            def body():
                import zlib
            with parallel.Executor() as executor:
                print(executor.submit(body).exception())
        """)
        self.assertIn("'zlib'", out)
        self.assertIn("importing 'busy'", out)
        self.assertEqual(errors, "")

    def test_main_imports_and_runs_the_callback(self):
        self.assertEqual(self.import_busy("""
            import parallel
            def body():
                import zlib
                return zlib.crc32(b"")
            parallel.submit_work(body, callback=print)
            parallel.run()
        """), ("0\n", ""))

    def test_another_thread_imports(self):
        out, errors = self.import_busy("""
            import sys, threading, time, parallel, types
            from importlib._bootstrap import _get_module_lock
            def import_slowly():
                lock = _get_module_lock("slow")
                lock.acquire()
                began.set()
                time.sleep(0.2)
                lock.release()
            def body():
                import zlib
                return "imported"
            began = threading.Event()
            thread = threading.Thread(target=import_slowly)
            thread.start()
            began.wait()
            parallel.submit_work(body, callback=print)
            parallel.run()
            thread.join()
        """)
        self.assertEqual((out, errors), ("imported\n", ""))

    def test_main_imports_other_modules(self):
        """Callbacks get theirs whole, though main is in the midst of its own."""
        code = """
            import importlib, parallel
            def body(name):
                importlib.import_module(name)
            pool = parallel.Executor()
            theirs = [pool.submit(body, name) for name in (
                "asyncio", "ctypes", "unittest.mock", "_strptime", "decimal",
                "email.mime.text", "xml.etree.ElementTree")]
            for name in ("mailbox", "pydoc", "xmlrpc.client", "smtplib", "tarfile",
                         "logging.config", "optparse", "http.server"):
                importlib.import_module(name)
            for one in theirs:
                one.result()
        """
        self.assertEqual(run(code), ("", ""))

    def test_exit(self):
        code = """
            import parallel
            def body():
                import zlib, _bz2, _lzma, _decimal
            for _ in range(20):
                parallel.submit_work(body)
            parallel.run_once(0)
        """
        for _ in range(5):
            self.assertEqual(run(code), ("", ""))

    def test_the_child_of_a_fork(self):
        code = """
            import os, parallel, warnings
            warnings.simplefilter("ignore")
            def body():
                import zlib
                return "parent"
            parallel.submit_work(abs, 1)
            parallel.run()
            child = os.fork()
            if not child:
                import zlib, _bz2
                os._exit(7)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            print(code, flush=True)
            parallel.submit_work(body, callback=print)
            parallel.run()
        """
        self.assertEqual(run(code), ("7\nparent\n", ""))


if __name__ == "__main__":
    unittest.main()
