"""While main copies outcomes no Python code runs: no method of main's classes, no hook
(C3 of pxcross.c). What a copy keeps: identities, fields, bases.

Run by the patched interpreter: python tests/cpython/test_quiet_crossing.py
"""
import array
import ctypes
import enum
import gc
import io
import re
import struct
import types
import unittest
import warnings

import parallel
from support import CALLS, Case, in_context, note


class Noisy(Exception):
    def add_note(self, text):
        note("add_note")
        super().add_note(text)


class Field(OSError):
    pass


class Key:
    def __hash__(self):
        note("hash")
        return 10 ** 6

    def __eq__(self, other):
        note("eq")
        return self is other


class Looking:
    def __hash__(self):
        if not parallel.is_parallel_thread():
            note(["z" in it.__dict__ for it in gc.get_objects() if type(it) is Field])
        return 1


class Wrapped(array.array):
    def __buffer__(self, flags):
        note("buffer")
        return super().__buffer__(flags)


class Released(bytearray):
    def __release_buffer__(self, view):
        note("release")


class Bytes:
    def __buffer__(self, flags):
        note("buffer")
        return memoryview(b"a a a")


class Odd(enum.Enum):
    A = Key()

    @classmethod
    def _missing_(cls, value):
        member = object.__new__(cls)
        member._value_, member._name_ = value, "X"
        return member


class Meta(type):
    pass


class LikeEnum(metaclass=Meta):
    _value2member_map_ = {}

    @property
    def _value_(self):
        note("value")
        return 1


class Hashed(type(ctypes.Structure)):
    def __hash__(cls):
        note("hash")
        return 1

    def __mul__(cls, count):
        note("mul")
        return cls


class Point(ctypes.Structure, metaclass=Hashed):
    _fields_ = [("x", ctypes.c_int)]


def raised(body):
    try:
        in_context(body)
    except Exception as error:
        return error
    raise AssertionError("nothing raised")


class Quiet(Case):
    """The calls are those of main's, until a result has arrived."""

    def setUp(self):
        gc.collect()
        CALLS.clear()

    def check(self, *calls):
        self.assertEqual(CALLS, list(calls))

    def refused(self, body):
        with self.assertRaises(parallel.PersistenceError):
            in_context(body)
        self.check()

    def test_notes(self):
        def body(*notes):
            class Own(Noisy):
                pass
            error = Own("x")
            if notes:
                error.__notes__ = list(notes)
            raise error
        text = "raised as Own, a class made in a context"
        error = raised(body)
        self.assertEqual((type(error), error.__notes__), (Noisy, [text]))
        error = raised(lambda: body("first"))
        self.assertEqual(error.__notes__, ["first", text])
        self.check()

    def test_notes_that_are_no_list_or_mains(self):
        mains = ["m"]

        def body(notes):
            class Own(ValueError):
                pass
            error = Own("the real one")
            error.__notes__ = notes
            raise error
        for notes in "x", ("y",), mains:
            error = raised(lambda: body(notes))
            self.assertEqual((repr(error), error.__notes__),
                             ("ValueError('the real one')", notes))
        self.assertEqual(mains, ["m"])

    def test_notes_that_are_being_copied(self):
        def body():
            class Own(ValueError):
                pass
            notes = [Own("x"), *"abcd"]
            notes[0].__notes__ = notes
            return notes
        notes = in_context(body)
        self.assertIs(notes[0].__notes__, notes)
        self.assertEqual(notes[1:5] + [len(notes)], [*"abcd", 6])

    def test_names_of_attributes_that_are_no_text(self):
        """They are put in when all is copied."""
        def body():
            error = Field("x")
            error.__dict__[Looking()] = 1
            error.__dict__[7] = 2
            error.z = 3
            raise error
        error = raised(body)
        self.assertEqual(sorted(error.__dict__.values()), [1, 2, 3])
        self.check([True])

    def test_arrays(self):
        result = in_context(lambda: Wrapped("i", [1, 2]))
        self.assertEqual((type(result), result.tolist()), (Wrapped, [1, 2]))
        self.check()
        for code in "bBhHiIlLqQfd":
            result = in_context(array.array, code, [1, 2, 3])
            self.assertEqual(result, array.array(code, [1, 2, 3]))
            result.append(4)
            self.assertEqual(result, array.array(code, [1, 2, 3, 4]))
            self.assertEqual(in_context(array.array, code), array.array(code))

    def test_arrays_of_text(self):
        """Their constructor warns."""
        def body():
            warnings.simplefilter("ignore")
            return array.array("u", "ab\U0001f600")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            self.assertEqual(in_context(body).tounicode(), "ab\U0001f600")

    def test_members_of_enums(self):
        self.assertEqual(in_context(Odd, 10 ** 6)._value_, 10 ** 6)
        self.check()
        in_context(LikeEnum)
        self.check()

    def test_members_of_flags(self):
        class Flags(enum.IntFlag):
            A, B, C = 1, 2, 4
        first = in_context(Flags, 3)
        self.assertIs(first, Flags(3))
        self.assertIs(in_context(Flags, 3), first)

    def test_buffers(self):
        def scan():
            found = re.compile(b"a").finditer(Bytes())
            next(found)
            return found
        self.refused(scan)
        self.refused(lambda: memoryview(Released(b"ab")))
        self.refused(lambda: struct.iter_unpack("b", Released(b"ab")))

    def test_buffers_of_c_code(self):
        for data in bytearray(b"a b"), memoryview(b"a b"), array.array("b", b"a b"):
            found = in_context(lambda: re.compile(b"[ab]").finditer(data[:]))
            self.assertEqual([match[0] for match in found], [b"a", b"b"])
            found = in_context(lambda: struct.iter_unpack("B", data[:]))
            self.assertEqual([*found], [(97,), (32,), (98,)])

    def test_classes_of_ctypes(self):
        self.refused(lambda: type("P", (ctypes._Pointer,), {"_type_": Point}))
        self.refused(lambda: type("A", (ctypes.Array,), {"_type_": Point, "_length_": 3}))

    def test_globals_with_keys_that_are_no_text(self):
        class Name(Key):
            def __hash__(self):
                return hash("__name__")
        space = types.FunctionType((lambda: 1).__code__, {Name(): 1, "__name__": "n"})
        space = space.__globals__
        CALLS.clear()
        made = in_context(lambda: types.FunctionType((lambda: 5).__code__, space))
        self.check()
        self.assertEqual((made(), made.__globals__ is space), (5, True))


class Kept(Case):

    def test_identity_of_numbers(self):
        def body():
            large, nan, pair = 1 << 8000, float("nan"), complex(0, float("nan"))
            return [large] * 3, [nan], {nan: 1}, nan, [pair], pair
        larges, nans, table, nan, pairs, pair = in_context(body)
        self.assertIs(larges[0], larges[2])
        self.assertTrue(nan in nans and nan in table and pair in pairs)
        self.assertEqual(in_context(lambda: [5.5, 1 << 70, 2j, True]),
                         [5.5, 1 << 70, 2j, True])

    def test_newlines_seen(self):
        def body():
            text = io.StringIO("a\r\nb\nc", newline=None)
            text.readline()
            return text
        result = in_context(body)
        self.assertEqual(result.newlines, ("\n", "\r\n"))
        self.assertEqual(result.read(), "b\nc")

    def test_arguments_of_exceptions(self):
        def body():
            raise Field(*range(40))
        self.assertEqual(raised(body).args, tuple(range(40)))

    def test_exceptions_with_several_bases(self):
        def body(*bases):
            raise type("Own", bases, {})("real")
        for bases in (Noisy, TimeoutError), (TimeoutError, Noisy):
            error = raised(lambda: body(*bases))
            self.assertEqual((type(error), error.args), (Noisy, ("real",)))
            self.assertEqual(error.__notes__, [
                "raised as Own, a class made in a context and derived from "
                "TimeoutError, OSError"])
        error = raised(lambda: body(Field))
        self.assertEqual((type(error), error.__notes__),
                         (Field, ["raised as Own, a class made in a context"]))


if __name__ == "__main__":
    unittest.main()
