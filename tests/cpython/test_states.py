"""What leaves a context with a state of C code's: digests, compressors, iterators
in the middle, context variables, data of ctypes, time zones.

Run by the patched interpreter: python tests/cpython/test_states.py
The kinds are in kinds_of_states.py.
"""
import collections
import contextvars
import ctypes
import decimal
import functools
import operator
import re
import sys
import threading
import unittest
import warnings
import zoneinfo

import parallel
from kinds_of_states import (Handle, ITERATORS, Own, Point, STATES, Zone, begun,
                             digests, more_of, ordered, over, shown, told,
                             whole)
from parallel import _parallel
from support import in_context


class States(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        """That an awaitable was never awaited is what is meant."""
        self.enterContext(warnings.catch_warnings(action="ignore", category=RuntimeWarning))

    def tearDown(self):
        self.assertEqual(_parallel.find_strays(), [])

    def test_what_leaves(self):
        for name, (make, show) in STATES.items():
            with self.subTest(name):
                want, got = make(), in_context(make)
                self.assertIs(type(got), type(want))
                self.assertEqual(show(got), show(want))

    def test_twice_in_one_result(self):
        for name, (make, show) in STATES.items():
            with self.subTest(name):
                got, again = in_context(lambda: [thing := make(), {"again": thing}])
                self.assertIs(again["again"], got)
                self.assertEqual(show(got), show(make()))

    def test_as_arguments_of_calls(self):
        seen = []
        note = parallel.call_from_main_thread(lambda *args: seen.append(args[0]))
        for name, (make, show) in STATES.items():
            with self.subTest(name):
                in_context(lambda: note(make()))
                self.assertEqual(show(seen.pop()), show(make()))

    def test_while_the_callback_waits(self):
        """Main gets a copy, and the original goes on."""
        ask = parallel.call_from_main_thread_and_wait(lambda it: more_of(it))

        def body():
            made = digests()
            return ask(made), more_of(made)
        theirs, own = in_context(body)
        self.assertEqual(theirs, own)

    def test_iterators_go_on_where_they_were(self):
        for name, make in ITERATORS.items():
            for count in 0, 1, 2:
                with self.subTest(name, count=count):
                    want, got = begun(make(), count), in_context(lambda: begun(make(), count))
                    self.assertIs(type(got), type(want))
                    self.assertEqual(list(map(shown, got)), list(map(shown, want)))
            with self.subTest(name, over=True):
                self.assertEqual(list(in_context(lambda: over(make()))), [])

    def test_iterators_with_what_they_go_over(self):
        """A change of it is a change for the iterator, there and here."""
        for make in ordered, lambda: collections.deque("abcd"):
            with self.subTest(type(make())):
                whole, it = in_context(lambda: [whole := make(), begun(iter(whole))])
                self.assertEqual(list(it), list(whole)[1:])
                whole, it = in_context(lambda: [whole := make(), begun(iter(whole))])
                whole.clear()
                self.assertRaises(RuntimeError, next, it)

                def changed():
                    whole = make()
                    it = begun(iter(whole))
                    whole.clear()
                    return it
                with self.assertRaises(RuntimeError) as want:
                    next(changed())
                with self.assertRaisesRegex(RuntimeError, str(want.exception)):
                    next(in_context(changed))

    def test_an_iterator_within_what_it_goes_over(self):
        def within():
            made = ordered()
            made["it"] = begun(iter(made))
            return made
        def after():
            made = ordered()
            made["it"] = None
            it = iter(made)
            dict.__setitem__(made, "it", begun(it))
            return made
        got = in_context(after)
        self.assertEqual(list(got["it"]), list(got)[1:])
        self.assertRaises(RuntimeError, next, in_context(within)["it"])

        def deque():
            made = collections.deque("abc")
            made[2] = iter(made)
            return made
        with self.assertRaisesRegex(parallel.PersistenceError, "deque_iterator"):
            in_context(deque)

    def test_ordered_by_python_code(self):
        """The dict is filled when all copies are made, the iterator before."""
        class Key:
            def __init__(self, name):
                self.name = name

            def __hash__(self):
                return hash(self.name)

            def __eq__(self, other):
                return self.name == other.name

        def make():
            return begun(iter(collections.OrderedDict((Key(n), n) for n in "abc").items()))
        self.assertEqual([value for _, value in in_context(make)], ["b", "c"])

    def test_matches(self):
        for pattern, text in (("a*", "aabca"), (b"b", b"abcb"), ("\u20ac", "x\u20ac\u20ac")):
            for count in 0, 1, 2:
                def make():
                    return begun(re.compile(pattern).finditer(text), count)
                with self.subTest(pattern, count=count):
                    self.assertEqual([it.span() for it in in_context(make)],
                                     [it.span() for it in make()])

        def scanner():
            made = re.compile("(.)b").scanner(bytearray(b"abcbdb").decode(), 1, 5)
            return made, made.search()
        scan, match = in_context(scanner)
        self.assertEqual((match[1], scan.search(), scan.search()), ("c", None, None))
        self.assertEqual(scan.pattern.pattern, "(.)b")

    def test_methods_that_main_is_to_call(self):
        for call in parallel.call_from_main_thread, parallel.call_from_main_thread_and_wait:
            def body():
                call([1].__setitem__)(0, 2)
            with self.assertRaisesRegex(parallel.PersistenceError, "'__setitem__'.*a copy"):
                in_context(body)
        mine = [1]
        in_context(lambda: parallel.call_from_main_thread(mine.__setitem__)(0, 2))
        self.assertEqual(mine, [2])

    def test_a_local_is_new_for_each_thread(self):
        def make():
            made = Own(3)
            made.count, made.more = 4, 5
            return made
        got = in_context(make)
        self.assertEqual((got.count, hasattr(got, "more")), (3, False))
        got.count = 7
        seen = []
        thread = threading.Thread(target=lambda: seen.append(got.count))
        thread.start()
        thread.join()
        self.assertEqual((seen, got.count), ([3], 7))
        plain = in_context(lambda: [it := threading.local(), setattr(it, "x", 1)][0])
        self.assertFalse(hasattr(plain, "x"))
        plain.x = 2
        self.assertEqual(plain.x, 2)

    def test_a_thread_that_main_starts(self):
        seen = []
        thread = in_context(lambda: threading.Thread(target=lambda: None, name="made there"))
        thread.run = told(seen)
        thread.start()
        thread.join()
        self.assertEqual((seen, thread.is_alive()), (["made there"], False))

    def test_variables_of_mains(self):
        mine = contextvars.ContextVar("mine", default=0)

        def make():
            mine.set([1])
            return contextvars.copy_context()
        got = in_context(make)
        self.assertEqual((got[mine], mine.get()), ([1], 0))
        self.assertEqual(got.run(mine.get), [1])

    def test_a_variable_that_its_default_contains(self):
        def make():
            default = []
            default.append(contextvars.ContextVar("x", default=default))
            return default[0]
        got = in_context(make)
        self.assertIs(got.get()[0], got)

    def test_mains_zones(self):
        """One for each key, wherever it was made."""
        for key in "Asia/Karachi", "Asia/Dhaka":
            got, again = in_context(lambda: [zoneinfo.ZoneInfo(key), zoneinfo.ZoneInfo(key)])
            self.assertIs(got, again)
            self.assertIs(zoneinfo.ZoneInfo(key), got)
            self.assertIs(in_context(zoneinfo.ZoneInfo, key), got)
        kept = Zone("Asia/Manila")
        self.assertIs(in_context(Zone, "Asia/Manila"), kept)
        self.assertIsNot(in_context(zoneinfo.ZoneInfo, "Asia/Manila"), kept)
        got = in_context(Zone, "Asia/Jakarta")
        self.assertIs(Zone("Asia/Jakarta"), got)
        zoneinfo.ZoneInfo.clear_cache()
        in_context(zoneinfo.ZoneInfo, "Asia/Kabul")  # and goes
        self.assertEqual(str(zoneinfo.ZoneInfo("Asia/Kabul")), "Asia/Kabul")

    def test_what_ctypes_points_to_stays(self):
        text = ctypes.create_string_buffer(b"abc")
        for make in (Handle, lambda: type("Text", (ctypes.c_char_p,), {})(b"x"),
                     lambda: ctypes.c_char.from_buffer(bytearray(b"abc")),
                     lambda: Point.from_address(ctypes.addressof(Point(1, 2)))):
            with self.assertRaisesRegex(parallel.PersistenceError, "cannot leave"):
                in_context(make)
        self.assertIs(in_context(lambda: text), text)

    def test_what_is_within_cannot_leave(self):
        def captive():
            return sys._getframe()
        for make in (lambda: operator.methodcaller("x", captive()),
                     lambda: contextvars.ContextVar("x", default=captive()),
                     lambda: [captive()].__len__, lambda: iter(collections.deque([captive()])),
                     lambda: iter(collections.OrderedDict(a=captive())),
                     lambda: Own(captive()), lambda: functools.cmp_to_key(captive())(1)):
            with self.assertRaisesRegex(parallel.PersistenceError, "frame"):
                in_context(make)

        def within():
            made = contextvars.Context()
            made.run(contextvars.ContextVar("x").set, captive())
            return made
        with self.assertRaisesRegex(parallel.PersistenceError, "frame"):
            in_context(within)

    def test_classes_made_there(self):
        """A twin of such a class would be of the context's."""
        def make():
            class Settings(decimal.Context):
                pass
            return Settings(prec=3)
        with self.assertRaisesRegex(parallel.PersistenceError, "Settings"):
            in_context(make)

        def local():
            class Here(threading.local):
                def __init__(self, x):
                    self.x = x
            return Here([1])
        self.assertEqual(in_context(local).x, [1])

    def test_memory(self):
        """A copy that is dropped is gone: each has a counted reference."""
        def grows(make):
            for _ in range(50):  # workers warm up
                before = sys.getallocatedblocks()
                for _ in range(20):
                    in_context(make)
                if sys.getallocatedblocks() - before < 20:
                    return False
            return True
        for name, (make, _) in STATES.items():
            with self.subTest(name):
                self.assertFalse(grows(make))
        for name, make in ITERATORS.items():
            with self.subTest(name):
                self.assertFalse(grows(lambda: begun(make())))


if __name__ == "__main__":
    unittest.main()
