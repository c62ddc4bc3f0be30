"""Trees of XML that are begun in a context and ended by main; parsers stay.

Run by the patched interpreter: python tests/cpython/test_trees.py
"""
import io
import sys
import unittest
import xml.etree.ElementTree as ElementTree
import xml.parsers.expat as expat

import parallel
from parallel import _parallel
from support import crossing_without_memory, in_context

ENTRY = parallel.call_from_main_thread_and_wait
WHOLE = b'<a k="v">te<b />tail<!--c--></a>'


class Builder(ElementTree.TreeBuilder):
    """What it tells its base of, it notes."""
    begun = ()

    def start(self, name, attributes):
        self.begun += (name,)
        return super().start(name, attributes)


def begun(cls=ElementTree.TreeBuilder):
    made = cls(insert_comments=True)
    made.start("a", {"k": "v"})
    made.data("te")
    made.start("b", {})
    made.end("b")
    made.data("ta")
    return made


def ended(made):
    made.data("il")
    made.comment("c")
    made.end("a")
    return ElementTree.tostring(made.close())


class Trees(unittest.TestCase):
    def tearDown(self):
        self.assertEqual(_parallel.find_strays(), [])

    def test_a_tree_begun(self):
        for cls in ElementTree.TreeBuilder, Builder:
            with self.subTest(cls):
                got = in_context(begun, cls)
                self.assertIs(type(got), cls)
                self.assertEqual(ended(got), WHOLE)
                self.assertEqual(getattr(got, "begun", ("a", "b")), ("a", "b"))

    def test_nothing_begun(self):
        got = in_context(ElementTree.TreeBuilder)
        got.start("a", {})
        got.end("a")
        self.assertEqual(ElementTree.tostring(got.close()), b"<a />")

    def test_by_a_factory(self):
        def body():
            made = ElementTree.TreeBuilder(lambda name, attributes: ElementTree.Element(
                name.upper(), attributes))
            made.start("a", {})
            return made
        got = in_context(body)
        got.start("b", {})
        got.end("b")
        got.end("a")
        self.assertEqual(ElementTree.tostring(got.close()), b"<A><B /></A>")

    def test_while_the_callback_goes_on(self):
        def body():
            made = begun()
            return ENTRY(ended)(made), ended(made)
        self.assertEqual(in_context(body), (WHOLE, WHOLE))

    def test_with_what_cannot_leave(self):
        def body():
            made = begun(Builder)
            made.frame = sys._getframe()
            return made
        with self.assertRaisesRegex(parallel.PersistenceError, "frame"):
            in_context(body)

    def test_without_memory(self):
        for first in range(1, 60):
            seen = crossing_without_memory(begun, first, 1)
            if not isinstance(seen[0], type):
                self.assertEqual(ended(seen.pop(0)), WHOLE)
            self.assertLessEqual({one for one in seen if one is not None}, {MemoryError})

    def test_parsers_stay(self):
        """What expat has lies in the context's heap, and there is no copy of it."""
        def pull():
            made = ElementTree.XMLPullParser()
            made.feed("<a><b/>")
            return made
        for make in (expat.ParserCreate, ElementTree.XMLParser, pull,
                     lambda: ElementTree.iterparse(io.BytesIO(WHOLE))):
            with self.assertRaisesRegex(parallel.PersistenceError, "(?i)xmlparser"):
                in_context(make)


if __name__ == "__main__":
    unittest.main()
