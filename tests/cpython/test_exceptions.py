"""Exceptions that leave a context: how long they may be, and what is told by fields.

Run by the patched interpreter: python tests/cpython/test_exceptions.py
"""
import os
import sys
import unittest

from support import Case, in_context


class Thing:
    pass


class ExceptionTest(Case):

    def raised(self, body):
        try:
            in_context(body)
        except Exception as error:
            return error
        self.fail("nothing raised")

    def test_long_tracebacks(self):
        def body():
            sys.setrecursionlimit(300_000)

            def fall(n):
                if n == 0:
                    raise ValueError("deep")
                fall(n - 1)
            fall(200_000)
        error = self.raised(body)
        at, depth = error.__traceback__, 0
        while at is not None:
            at, depth = at.tb_next, depth + 1
        self.assertEqual(str(error), "deep")
        self.assertGreater(depth, 200_000)

    def test_long_chains(self):
        def body():
            error = None
            for i in range(200_000):
                newer = ValueError(i)
                newer.__context__ = error
                error = newer
            raise error
        error, depth = self.raised(body), 0
        while error is not None:
            error, depth = error.__context__, depth + 1
        self.assertGreater(depth, 100)

    def test_fields_that_are_no_arguments(self):
        error = self.raised(lambda: __import__("px_no_such_module"))
        self.assertEqual((type(error), error.name),
                         (ModuleNotFoundError, "px_no_such_module"))
        error = self.raised(lambda: open("/px/no/such/file"))
        self.assertEqual((error.errno, error.filename, error.filename2),
                         (2, "/px/no/such/file", None))
        self.assertEqual(error.args, (2, "No such file or directory"))
        error = self.raised(lambda: os.rename("/px/no", "/px/other"))
        self.assertEqual((error.filename, error.filename2),
                         ("/px/no", "/px/other"))
        error = self.raised(lambda: px_no_such_name)
        self.assertEqual(error.name, "px_no_such_name")
        error = self.raised(lambda: Thing().no_such)
        self.assertEqual((error.name, error.obj), ("no_such", None))


if __name__ == "__main__":
    unittest.main()
