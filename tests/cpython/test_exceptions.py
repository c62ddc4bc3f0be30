"""Exceptions that leave a context: how long they may be, and what is told by fields.

Run by the patched interpreter: python tests/cpython/test_exceptions.py
"""
import itertools
import os
import sys
import unittest

from support import Case, crossing_without_memory, in_context


class Thing:
    pass


class Slotted(OSError):
    __slots__ = "place", "obj", "unset"


class Several(ExceptionGroup):
    pass


def group_in_contexts():
    """Each of its exceptions was raised while it was handled."""
    group = Several("g", [ValueError(1), KeyError(2)])
    for part in group.exceptions:
        part.__context__ = part.whole = group
    group.exceptions[0].__cause__ = group
    return group


def changed_fields():
    """Exceptions with fields that are not what the arguments say, and which."""
    def change(error, **fields):
        for name, value in fields.items():
            setattr(error, name, value)
        return error, fields
    place = ("f", 1, 2, "t", 3, 4)
    return [
        change(SyntaxError("m", place), msg="n", filename="g", lineno=55, offset=6,
               text=None, end_lineno=7, end_offset=8, print_file_and_line=9),
        change(SystemExit(3), code=7),
        change(StopIteration(3), value=[7]),
        change(OSError(2, "x", "f"), errno=7, strerror="y", filename=None, filename2="g"),
        change(OSError(2, "x"), args=(5, "y", "f")),
        change(BlockingIOError(11, "x", 5), characters_written=7),
        change(UnicodeDecodeError("utf8", b"abc", 0, 1, "r"), encoding="ascii",
               object=b"abcd", start=2, end=3, reason="s"),
        change(UnicodeEncodeError("utf8", "abc", 0, 1, "r"), start=1, end=3, args=()),
        change(ImportError("x", name="n"), msg="y", name=None, path="p", name_from="z"),
        change(NameError("x", name="n"), name="m"),
        change(Slotted(2, "x"), place=[5], obj=6, errno=7),
        change(ExceptionGroup("g", [ValueError(1)]), args=("h", [])),
    ]


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

    def test_fields_that_were_changed(self):
        for error, fields in in_context(changed_fields):
            with self.subTest(type(error)):
                self.assertEqual({name: getattr(error, name) for name in fields}, fields)
                self.assertNotIn("object of a context", str(error))
        self.assertFalse(hasattr(in_context(Slotted, 2), "unset"))

    def test_fields_that_were_deleted(self):
        def body():
            error, missing = OSError(2, "x", "f"), BlockingIOError(11, "x", 5)
            del error.strerror, error.filename, missing.characters_written
            return error, missing
        error, missing = in_context(body)
        self.assertEqual((error.errno, error.strerror, error.filename), (2, None, None))
        self.assertFalse(hasattr(missing, "characters_written"))

    def check_group(self, group):
        self.assertIs(type(group), Several)
        self.assertEqual(repr(group), "Several('g', [ValueError(1), KeyError(2)])")
        for part in group.exceptions:
            self.assertIs(part.__context__, group)
            self.assertIs(part.whole, group)
        self.assertIs(group.exceptions[0].__cause__, group)
        self.assertEqual(group.split(KeyError)[0].exceptions, group.exceptions[1:])

    def test_groups_that_are_contexts_of_their_exceptions(self):
        def body():
            raise group_in_contexts()
        self.check_group(self.raised(body))
        self.check_group(in_context(group_in_contexts))
        self.check_group(in_context(lambda: {1: [group_in_contexts()]})[1][0])
        part, _ = in_context(lambda: group_in_contexts().exceptions)
        self.check_group(part.__context__)

    def test_chains_of_exceptions_in_groups(self):
        """Of one among the arguments of another, and longer than recursion is deep."""
        def body():
            group = ExceptionGroup("g", [ValueError(ValueError("inner"))])
            first = error = group.exceptions[0].args[0]
            for i in range(10_000):
                error.__context__ = OSError(i, [KeyError(i)])
                error.__context__.args[1][0].__cause__ = group
                error = error.__context__
            error.__context__ = first
            raise group
        group = self.raised(body)
        error = first = group.exceptions[0].args[0]
        for i in range(10_000):
            error = error.__context__
            self.assertEqual(error.errno, i)
            self.assertIs(error.args[1][0].__cause__, group)
        self.assertIs(error.__context__, first)

    def test_groups_in_groups(self):
        def body():
            group = ValueError("innermost")
            for _ in range(30_000):
                group = ExceptionGroup("g", [group])
            raise group
        error, depth = self.raised(body), 0
        while isinstance(error, ExceptionGroup):
            (error,), depth = error.exceptions, depth + 1
        self.assertEqual((repr(error), depth), ("ValueError('innermost')", 30_000))

    def test_arguments_that_lack_parts_as_yet(self):
        """The tuple comes before what is in it, and leads to the error by that."""
        def body():
            error = SyntaxError("m")
            place = "f", 1, error, "t"
            error.args = "m", place
            return place
        place = in_context(body)
        self.assertIs(place[2].args[1], place)
        self.assertEqual(place[0::3], ("f", "t"))

    def test_files_whose_names_cannot_be_encoded(self):
        error = self.raised(lambda: exec(compile("1 / 0", "\udcff.py", "exec"), {}))
        self.assertIs(type(error), ZeroDivisionError)

    def test_no_memory(self):
        """A whole copy, or MemoryError."""
        def changed():
            return [error for error, _ in changed_fields()]
        for make, count in itertools.product((group_in_contexts, changed), (1, 1000)):
            for first in range(1, 80):
                with self.subTest(make.__name__, first=first, count=count):
                    seen, = crossing_without_memory(make, first, count)
                    if seen is not MemoryError and make is changed:
                        self.assertEqual(list(map(repr, seen)), list(map(repr, make())))
                    elif seen is not MemoryError:
                        self.check_group(seen)


if __name__ == "__main__":
    unittest.main()
