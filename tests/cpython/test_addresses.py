"""Where the memory of contexts lies: below all that is the main thread's.

Run by the patched interpreter: python tests/cpython/test_addresses.py
"""
import shutil
import subprocess
import sys
import textwrap
import unittest

from support import run

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


if __name__ == "__main__":
    unittest.main()
