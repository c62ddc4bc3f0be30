"""What may be returned from a context, kind by kind: the table of CODE.md.

Run by the patched interpreter: python tests/cpython/test_returns.py
The kinds are in kinds_of_objects.py, kinds_of_classes.py, kinds_of_iterators.py.
"""
import ast
import ctypes
import operator
import sys
import threading
import types
import unittest
import xml.etree.ElementTree as ElementTree

import parallel
from kinds_of_classes import CLASSES
from kinds_of_iterators import LAZY, OTHERS
from kinds_of_objects import OBJECTS, Thing, deep, held, tree
from parallel import _parallel
from support import in_context

LEAVES = {**OBJECTS, **CLASSES, **OTHERS}

# What to say of it, and what to return instead.
STAYS = {
    "'_thread.lock' object that is held": (lambda: held(threading.Lock()), lambda it: it.locked()),
    "'_thread.RLock' object that is held": (lambda: held(threading.RLock()), repr),
    "c_wchar_p": (lambda: ctypes.c_wchar_p("text"), lambda it: it.value),
    "frame": (lambda: sys._getframe(), lambda it: it.f_lineno > 0),
}


class Returns(unittest.TestCase):
    maxDiff = None

    def tearDown(self):
        self.assertEqual(_parallel.find_strays(), [])

    def test_what_leaves(self):
        for name, (make, show) in LEAVES.items():
            with self.subTest(name):
                want, got = make(), in_context(make)
                self.assertIs(type(got), type(want))
                self.assertEqual(show(got), show(want))
                want = make()
                got, again = in_context(lambda: [thing := make(), {"again": thing}])
                self.assertIs(again["again"], got)
                self.assertEqual(show(got), show(want))

    def test_iterators_go_on_where_they_were(self):
        def begun(make):
            made = make()
            return made, next(made, None) if hasattr(made, "__next__") else list(made)
        for name, make in LAZY.items():
            with self.subTest(name):
                want, first = begun(make)
                got, taken = in_context(begun, make)
                self.assertEqual((type(got), taken), (type(want), first))
                self.assertEqual(list(got), list(want))

    def test_an_iterator_of_mains(self):
        """Of its list, too, a context has a place of its own."""
        mine = [1, [2], 3]
        got = in_context(lambda: [it := iter(mine), next(it)])[0]
        self.assertIs(next(got), mine[1])
        mine.append(4)
        self.assertEqual(list(got), [3, 4])

    def test_a_view_and_its_dict(self):
        table, keys = in_context(lambda: (table := {"a": 1}, table.keys()))
        table["b"] = 2
        self.assertEqual(list(keys), ["a", "b"])

    def test_as_arguments_of_calls(self):
        seen = []
        note = parallel.call_from_main_thread(lambda *args: seen.append(args[0]))
        for name, (make, show) in LEAVES.items():
            with self.subTest(name):
                in_context(lambda: note(make()))
                self.assertEqual(show(seen.pop()), show(make()))

    def test_what_stays_and_what_to_return_instead(self):
        for what, (make, instead) in STAYS.items():
            with self.subTest(what):
                with self.assertRaisesRegex(parallel.PersistenceError, what):
                    in_context(make)
                in_context(lambda: instead(make()))

    def test_a_running_generator(self):
        """Main is asked for something while it runs, with it as an argument."""
        put = parallel.call_from_main_thread_and_wait(list)

        def body():
            def run():
                yield put(it)
            it = run()
            return next(it)
        with self.assertRaisesRegex(parallel.PersistenceError, "running 'generator'"):
            in_context(body)

    def test_what_is_within_cannot_leave(self):
        def captive():
            return sys._getframe()
        for make in (lambda: types.MappingProxyType({"a": captive()}),
                     lambda: operator.itemgetter(captive()), lambda: list[captive()],
                     lambda: type("Made", (), {"x": captive()}), lambda: (x for x in [captive()])):
            with self.assertRaises(parallel.PersistenceError):
                in_context(make)

        def in_a_tree():
            root = tree()
            root[0].text = captive()
            return root
        with self.assertRaisesRegex(parallel.PersistenceError, "frame"):
            in_context(in_a_tree)

    def test_too_deep(self):
        with self.assertRaises(RecursionError):
            in_context(deep, 100_000)

    def test_the_copy_is_mains(self):
        root = in_context(tree)
        root.append(ElementTree.Element("new"))
        root[0].set("n", "2")
        self.assertIn(b'<new', ElementTree.tostring(root))
        node = in_context(ast.parse, "a")
        node.body.append(ast.Pass())
        self.assertEqual(ast.unparse(node), "a\npass")

    def test_instances_without_their_dict(self):
        class Bare:
            pass

        def bared(cls):
            it = cls()
            it.x = 1
            del it.__dict__
            return it

        def named_anew():
            it = bared(Thing)
            it.y = 2
            return it
        Thing()  # main knows its attributes' names
        for cls in Bare, Thing:
            self.assertEqual(vars(in_context(bared, cls)), {})
        self.assertEqual(vars(in_context(named_anew)), {"y": 2})

    def test_memory(self):
        """A copy that is dropped is gone: each has a counted reference."""
        for name in "a tree of XML", "rows", "mappingproxy", "int | str", "a tree of Python":
            make, _ = LEAVES[name]
            growth = []
            for _ in range(4):  # each worker warms up
                before = sys.getallocatedblocks()
                for _ in range(50):
                    in_context(make)
                growth.append(sys.getallocatedblocks() - before)
            with self.subTest(name):
                self.assertLess(min(growth), 50, growth)


if __name__ == "__main__":
    unittest.main()
