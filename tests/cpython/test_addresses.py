"""Where the memory of contexts lies: below all that is the main thread's.

Run by the patched interpreter: python tests/cpython/test_addresses.py
"""
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import textwrap
import unittest

from support import COMPILER, INCLUDES, run

WRITE = """
    import parallel
    main = [[], {}, "text" * 1000, object(), int, parallel]
    def body():
        own = [object(), "%s %s" % (len(main), [])]
        try:
            main[0].append(own)
        except parallel.UnprotectedError:
            return [id(each) for each in own]
    def done(addresses):
        print(max(addresses) < min(map(id, main)))
    parallel.submit_work(body, callback=done)
    parallel.run()
"""

EMBED = r"""
#include <Python.h>

int
main(void)
{
    Py_Initialize();
    int status = PyRun_SimpleString(
        "import parallel\n"
        "try:\n"
        "    parallel.submit_work(len, ('seven',), callback=print)\n"
        "    parallel.run()\n"
        "except parallel.ParallelError as error:\n"
        "    print(error)\n");
    return status | Py_FinalizeEx();
}
"""


def library():
    """The interpreter as a library to link: where it was built, or installed."""
    folders = os.path.dirname(sys.executable), sysconfig.get_config_var("LIBPL")
    paths = [os.path.join(folder, sysconfig.get_config_var("LIBRARY"))
             for folder in folders]
    return next(filter(os.path.exists, paths))


def libraries():
    names = "LIBS", "SYSLIBS"
    return " ".join(map(sysconfig.get_config_var, names)).split()


class Allocators(unittest.TestCase):
    def test_contexts_lie_below(self):
        for name in "pymalloc", "malloc", "mimalloc", "pymalloc_debug":
            with self.subTest(name):
                out = run(WRITE, PYTHONMALLOC=name)
                self.assertEqual(out, ("True\n", ""))

    def test_with_the_guard(self):
        self.assertEqual(run(WRITE, PYTHONPARALLELGUARD="full"), ("True\n", ""))

    def test_with_few_addresses(self):
        limit = ("import resource\nresource.setrlimit("
                 "resource.RLIMIT_AS, (1 << 36, 1 << 36))\n")
        self.assertEqual(run(limit + textwrap.dedent(WRITE)), ("True\n", ""))

    @unittest.skipUnless(shutil.which("setarch"), "needs setarch")
    def test_with_other_layouts_of_addresses(self):
        for layout in "--addr-compat-layout", "--addr-no-randomize":
            with self.subTest(layout):
                out = subprocess.run(
                    ["setarch", "--verbose", layout, sys.executable, "-c",
                     textwrap.dedent(WRITE)], capture_output=True, text=True)
                self.assertIn("True\n", out.stdout)


@unittest.skipUnless(shutil.which(COMPILER[0]), "needs a compiler")
class Embedded(unittest.TestCase):
    """A host that links the interpreter."""

    def output(self, *options):
        with tempfile.TemporaryDirectory() as folder:
            source = os.path.join(folder, "host.c")
            with open(source, "w") as file:
                file.write(EMBED)
            host = os.path.join(folder, "host")
            subprocess.run(
                [*COMPILER, *options, *INCLUDES, source, library(), "-o", host,
                 "-Wl,-export-dynamic", *libraries()], check=True)
            return subprocess.run([host], capture_output=True, text=True,
                                  env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}).stdout

    def test_it_is_position_independent(self):
        self.assertEqual(self.output("-fPIE", "-pie"), "5\n")

    def test_it_is_not(self):
        self.assertIn("position-independent", self.output("-fno-pie", "-no-pie"))


if __name__ == "__main__":
    unittest.main()
