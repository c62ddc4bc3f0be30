"""Pointers and functions of ctypes that leave a context.

Run by the patched interpreter: python tests/cpython/test_pointers.py
"""
import ctypes
import gc
import sys
import unittest

import parallel
from parallel import _parallel
from support import crossing_without_memory, in_context

ENTRY = parallel.call_from_main_thread_and_wait
LIBRARY = ctypes.CDLL(None)
Int = ctypes.POINTER(ctypes.c_int)
IntInt = ctypes.POINTER(Int)
Three = ctypes.c_int * 3
Takes = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)
NUMBER = ctypes.c_int(7)


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_int)]


class Node(ctypes.Structure):
    pass


Node._fields_ = [("value", ctypes.c_int), ("next", ctypes.POINTER(Node))]


class Named(Point):
    _fields_ = [("name", ctypes.c_char_p), ("call", Takes), ("ends", ctypes.POINTER(Point) * 2),
                ("nodes", Node * 2)]


class Either(ctypes.Union):
    _fields_ = [("number", ctypes.c_size_t), ("at", Int)]


class Unseen(ctypes.Structure):
    """Main has no class of pointers to it."""
    _fields_ = [("x", ctypes.c_int)]


class AlsoUnseen(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int)]


class Text(ctypes.c_char_p):
    """A class derived from it, with a dict."""


def address(pointer):
    return ctypes.cast(pointer, ctypes.c_void_p).value


ABS = address(LIBRARY.abs)


def fill():
    """What the context has left is something else's by now."""
    for _ in range(3):
        in_context(lambda: [bytes(range(256)) * 4 for _ in range(1000)] and None)


class Case(unittest.TestCase):
    def tearDown(self):
        gc.collect()
        self.assertEqual(_parallel.find_strays(), [])


class Pointers(Case):
    def test_to_what_the_context_has_made(self):
        number, pointer, other = in_context(lambda: [
            it := ctypes.c_int(5), ctypes.pointer(it), Int(it)])
        fill()
        self.assertIs(type(pointer), Int)
        self.assertEqual(pointer[0], 5)
        pointer[0] = 6
        self.assertEqual(number.value, 6)
        self.assertEqual(other.contents.value, 6)

    def test_keep_alive(self):
        pointer = in_context(lambda: ctypes.pointer(ctypes.c_int(5)))
        fill()
        gc.collect()
        self.assertEqual(pointer.contents.value, 5)
        pointer.contents = NUMBER
        self.assertEqual(pointer[0], 7)

    def test_to_what_is_main_s(self):
        pointer = in_context(lambda: Int(NUMBER))
        self.assertEqual(address(pointer), ctypes.addressof(NUMBER))
        self.assertIn(NUMBER, pointer._objects.values())

    def test_to_nothing(self):
        self.assertFalse(in_context(Int))
        self.assertIsNone(in_context(lambda: ctypes.c_char_p(None)).value)

    def test_to_memory_of_malloc(self):
        LIBRARY.malloc.restype = ctypes.c_void_p
        LIBRARY.free.argtypes = [ctypes.c_void_p]

        def body():
            it = ctypes.cast(LIBRARY.malloc(100), Int)
            it[5] = 3
            return it
        pointer = in_context(body)
        fill()
        self.assertEqual(pointer[5], 3)
        LIBRARY.free(pointer)

    def test_to_parts(self):
        array, pointer = in_context(lambda: [
            it := (Point * 3)((1, 2), (3, 4)), ctypes.pointer(it[1])])
        fill()
        pointer.contents.y = 9
        self.assertEqual(array[1].y, 9)
        part = in_context(lambda: ctypes.pointer((Point * 3)((1, 2), (3, 4))).contents[1])
        self.assertEqual((part.x, part.y), (3, 4))

    def test_cast(self):
        array, pointer, plain = in_context(lambda: [
            it := Three(1, 2, 3), ctypes.cast(it, Int), ctypes.cast(it, ctypes.c_void_p)])
        fill()
        self.assertEqual(pointer[:3], [1, 2, 3])
        self.assertEqual(plain.value, ctypes.addressof(array))
        pointer[1] = 9
        self.assertEqual(array[1], 9)

    def test_into_the_midst(self):
        def body():
            array = Three(1, 2, 3)
            pointer = ctypes.cast(array, Int)
            ctypes.c_void_p.from_buffer(pointer).value += 4
            return pointer
        pointer = in_context(body)
        fill()
        self.assertEqual((pointer[-1], pointer[0], pointer[1]), (1, 2, 3))

    def test_to_pointers(self):
        pointer = in_context(lambda: ctypes.pointer(ctypes.pointer(ctypes.c_int(5))))
        fill()
        self.assertIs(type(pointer), IntInt)
        self.assertEqual(pointer[0][0], 5)
        inner = in_context(lambda: ctypes.pointer(ctypes.pointer(ctypes.c_int(5))).contents)
        fill()
        self.assertEqual(inner[0], 5)

    def test_text(self):
        for make in (lambda: ctypes.c_char_p(b"some text"), lambda: Text(b"some text")):
            text = in_context(make)
            fill()
            self.assertEqual(text.value, b"some text")
        text = in_context(lambda: [it := Text(b"x" * 500), setattr(it, "mark", [it])][0])
        self.assertIs(text.mark[0], text)
        self.assertEqual(text.value, b"x" * 500)
        del text.mark
        text = in_context(lambda: ctypes.cast(ctypes.create_string_buffer(b"text"),
                                              ctypes.c_char_p))
        fill()
        self.assertEqual(text.value, b"text")

    def test_objects(self):
        for make in (lambda: [1, 2], lambda: 10 ** 30, lambda: 2.5, lambda: NUMBER,
                     lambda: b"some text", lambda: "some text", lambda: {"a": [1]}):
            it = in_context(lambda: ctypes.py_object(make()))
            fill()
            self.assertEqual(it.value, make())
        it = in_context(lambda: ctypes.py_object(ctypes.c_int(5)))
        self.assertEqual(it.value.value, 5)
        it = in_context(lambda: [here := [], here.append(ctypes.py_object(here)), here][0])
        self.assertIs(it[0].value, it)
        it.clear()

    def test_an_argument(self):
        def body():
            pointer = ctypes.pointer(ctypes.c_int(5))
            seen = ENTRY(lambda it: [it[0], it.__setitem__(0, 6)][0])(pointer)
            return seen, pointer[0]
        self.assertEqual(in_context(body), (5, 5))

    def test_memory(self):
        def use():
            in_context(lambda: [ctypes.pointer((ctypes.c_char * 100)()),
                                ctypes.c_char_p(b"x" * 100), Takes(5)])
        for _ in range(50):
            use()
        before = sys.getallocatedblocks()
        for _ in range(300):
            use()
        self.assertLess(sys.getallocatedblocks() - before, 100)

    def test_without_memory(self):
        def make():
            array = Three(1, 2, 3)
            return [array, ctypes.cast(array, Int), ctypes.pointer(ctypes.pointer(array)),
                    ctypes.c_char_p(b"text"), Takes(ABS),
                    Named(1, 2, b"name", nodes=(Node * 2)((1, ctypes.pointer(Node(2)))))]
        for count in 1, 1000:
            for first in range(1, 120):
                for seen in crossing_without_memory(make, first, count):
                    self.assertTrue(isinstance(seen, list) or issubclass(seen, MemoryError))
                    if isinstance(seen, list):
                        self.assertEqual(seen[1][:3], [1, 2, 3])
                        self.assertEqual(seen[2][0][0][:], [1, 2, 3])
                        self.assertEqual(seen[3].value, b"text")
                        self.assertEqual(seen[4](-3), 3)
                        self.assertEqual(seen[5].nodes[0].next[0].value, 2)


class Among(Case):
    """Addresses among other data."""

    def test_a_chain(self):
        def body():
            first, second = Node(1), Node(2)
            first.next = ctypes.pointer(second)
            second.next.contents = Node(3)
            return first
        first = in_context(body)
        fill()
        self.assertEqual(first.value, 1)
        self.assertEqual(first.next.contents.value, 2)
        self.assertEqual(first.next[0].next[0].value, 3)
        self.assertFalse(first.next[0].next[0].next)
        third = in_context(lambda: body().next.contents.next.contents)
        fill()
        self.assertEqual(third.value, 3)

    def test_a_ring(self):
        def body():
            first, second = Node(1), Node(2)
            first.next = ctypes.pointer(second)
            second.next = ctypes.pointer(first)
            return first, second
        first, second = in_context(body)
        fill()
        self.assertEqual(first.next[0].next[0].next[0].value, 2)
        second.value = 5
        self.assertEqual(first.next[0].value, 5)

    def test_of_each_kind(self):
        def body():
            point = Point(3, 4)
            it = Named(1, 2, b"some name", Takes(ABS))
            it.ends[1] = ctypes.pointer(point)
            it.nodes[1].next = ctypes.pointer(Node(7))
            return it, point
        it, point = in_context(body)
        fill()
        self.assertEqual((it.x, it.y, it.name, it.call(-3)), (1, 2, b"some name", 3))
        self.assertFalse(it.ends[0])
        it.ends[1][0].x = 9
        self.assertEqual(point.x, 9)
        self.assertEqual(it.nodes[1].next[0].value, 7)

    def test_arrays(self):
        texts = in_context(lambda: (ctypes.c_char_p * 3)(b"one text", None, b"another"))
        fill()
        self.assertEqual(texts[:], [b"one text", None, b"another"])
        objects = in_context(lambda: (ctypes.py_object * 2)([1], {"a": NUMBER}))
        fill()
        self.assertEqual(objects[:], [[1], {"a": NUMBER}])


class Functions(Case):
    def test_at_an_address(self):
        function = in_context(lambda: Takes(ABS))
        self.assertIs(type(function), Takes)
        self.assertEqual(function(-3), 3)
        self.assertEqual(address(function), ABS)

    def test_of_a_library_of_main_s(self):
        def body():
            it = LIBRARY["abs"]
            it.argtypes = [ctypes.c_int]
            it.restype = ctypes.c_long
            it.errcheck = check
            return it

        def check(result, function, arguments):
            return result, arguments
        function = in_context(body)
        self.assertEqual(function(-3), (3, (-3,)))
        self.assertEqual(function.argtypes, [ctypes.c_int])
        self.assertIs(function.restype, ctypes.c_long)
        self.assertRaises(ctypes.ArgumentError, function, "text")


class Classes(Case):
    """Of pointers, which ctypes makes when first asked."""

    def test_are_the_context_s(self):
        def body():
            made = ctypes.POINTER(Unseen)
            pointer = ctypes.pointer(Unseen(5))
            return (ctypes.POINTER(Unseen) is made, type(pointer) is made,
                    isinstance(pointer, made), pointer.contents.x, pointer[0].x)
        for _ in range(2):
            self.assertEqual(in_context(body), (True, True, True, 5, 5))
        self.assertNotIn(Unseen, ctypes._pointer_type_cache)

    def test_leave_as_main_s(self):
        def body():
            return ctypes.POINTER(AlsoUnseen), ctypes.pointer(AlsoUnseen(5))
        for _ in range(2):
            made, pointer = in_context(body)
            fill()
            self.assertIs(made, ctypes.POINTER(AlsoUnseen))
            self.assertIs(type(pointer), made)
            self.assertEqual(pointer.contents.x, 5)

    def test_of_functions(self):
        def body():
            made = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int)
            return (ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int) is made,
                    made(lambda one, other: one * other)(3, 4))
        known = list(ctypes._c_functype_cache)
        self.assertEqual(in_context(body), (True, 12))
        self.assertEqual(list(ctypes._c_functype_cache), known)

    def test_of_main_s_are_seen(self):
        self.assertIs(in_context(lambda: ctypes.POINTER(ctypes.c_int)), Int)
        late = ctypes.POINTER(ctypes.c_longlong)
        self.assertIs(in_context(lambda: ctypes.POINTER(ctypes.c_longlong)), late)


class NotLeft(Case):
    def test_what_nothing_keeps(self):
        """An address of the context's that is of nothing which the pointer keeps."""
        def loose():
            it = Named(1, 2)
            it.ends[1] = ctypes.cast(ctypes.addressof(Point(1, 2)), ctypes.POINTER(Point))
            return it

        def beyond():
            pointer = ctypes.cast(Three(1, 2, 3), Int)
            ctypes.c_void_p.from_buffer(pointer).value += 12
            return pointer
        for make in (lambda: ctypes.cast(ctypes.addressof(ctypes.c_int(5)), Int), beyond, loose,
                     lambda: ctypes.c_void_p(ctypes.addressof(ctypes.c_int(5))),
                     lambda: ctypes.c_wchar_p("text"), lambda: Takes(lambda it: it),
                     lambda: Int.from_buffer(bytearray(8)), lambda: Either(5),
                     lambda: type("Own", (Int,), {"_type_": ctypes.c_int})(),
                     lambda: ctypes.CFUNCTYPE(ctypes.c_int, Int)(ABS),
                     lambda: [Int(ctypes.c_int(5)), sys._getframe()]):
            with self.assertRaisesRegex(parallel.PersistenceError, "cannot leave"):
                in_context(make)


if __name__ == "__main__":
    unittest.main()
