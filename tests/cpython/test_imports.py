"""Imports of callbacks: into the context, or by main for it.

Run by the patched interpreter: python tests/cpython/test_imports.py
"""
import importlib
import os
import pickle
import subprocess
import sys
import tempfile
import time
import traceback
import unittest

import parallel
from parallel import _parallel
from test_contexts import in_context
from test_own import Case


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

    def test_in_many_at_once(self):
        with parallel.Executor() as executor:
            futures = [executor.submit(lambda: __import__("px_one").add())
                       for _ in range(50)]
        self.assertEqual([future.result() for future in futures], [1] * 50)


if __name__ == "__main__":
    unittest.main()
