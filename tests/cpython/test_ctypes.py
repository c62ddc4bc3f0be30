"""ctypes in contexts: data of main's stay as they are, and C code calls back.

Run by the patched interpreter: python tests/cpython/test_ctypes.py
"""
import ctypes
import operator
import unittest

from parallel import _parallel
from support import in_context
from test_hostile import Case


class Inner(ctypes.Structure):
    _fields_ = [("n", ctypes.c_int), ("at", ctypes.POINTER(ctypes.c_int))]


class Outer(ctypes.Structure):
    _fields_ = [("inner", Inner), ("many", ctypes.c_int * 3)]


COMPARE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int),
                           ctypes.POINTER(ctypes.c_int))
LIBC = ctypes.CDLL(None)
LIBC.qsort


class CtypesTest(Case):

    def test_fields(self):
        mine = Outer()
        for change in (lambda: setattr(mine.inner, "n", 1),
                       lambda: setattr(mine, "inner", Inner(1)),
                       lambda: mine.many.__setitem__(0, 1),
                       lambda: operator.setitem(mine.many, 0, 1)):
            self.refuse(change)
        self.assertEqual((mine.inner.n, mine.many[0]), (0, 0))

        def body():
            own = Outer()
            own.inner.n, own.many[1] = 5, 6
            own.inner = Inner(7)
            return own.inner.n, own.many[1]
        self.assertEqual(in_context(body), (7, 6))

    def test_what_mains_objects_keep(self):
        array = (ctypes.c_int * 3)(1, 2, 3)
        number = ctypes.c_int(4)

        def body():
            own = Inner()
            own.at = array
            cast = ctypes.cast(array, ctypes.POINTER(ctypes.c_int))
            other = ctypes.cast(ctypes.pointer(number), ctypes.c_void_p)
            return own.at[1], cast[2], bool(other)
        ctypes.POINTER(ctypes.c_int)
        self.assertEqual(in_context(body), (2, 3, True))
        self.assertIsNone(array._objects)

    def test_python_code_in_a_call_that_blocks(self):
        """It has let go of the world, so it must come back for a callback."""
        def body():
            seen = []

            def compare(a, b):
                seen.append(_parallel.context_stats())
                return a[0] - b[0]
            numbers = (ctypes.c_int * 3)(3, 1, 2)
            LIBC.qsort(numbers, 3, ctypes.sizeof(ctypes.c_int), COMPARE(compare))
            return list(numbers), [(s["running"], s["blocked"]) for s in seen]
        numbers, seen = in_context(body)
        self.assertEqual(numbers, [1, 2, 3])
        self.assertEqual(set(seen), {(1, 0)})


if __name__ == "__main__":
    unittest.main()
