"""What cannot leave a context, and is part of what a callback raises, returns or hands
to main, goes with the context: files are closed, databases free.

Run by the patched interpreter: python tests/cpython/test_captives.py
"""
import os
import sqlite3
import tempfile
import unittest
import warnings

import parallel
from support import DescriptorCase, in_context

try:
    import dbm.gnu as gnu
except ImportError:
    gnu = None


class Holder:
    def __init__(self, held):
        self.held = held


class Case(DescriptorCase):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "db")
        self.enterContext(warnings.catch_warnings())
        warnings.simplefilter("ignore", ResourceWarning)  # that nobody has closed it

    def raise_all(self, make):
        """What a callback's exceptions may refer to it by."""
        def as_argument():
            raise ValueError(make())

        def as_key():
            return {}[make()]

        def as_object():
            make().no_such_name

        def in_a_group():
            raise ExceptionGroup("two", [ValueError(1), KeyError(make())])

        def in_an_instance():
            raise ValueError(Holder(make()))

        def as_attribute():
            error = ValueError(1)
            error.held = make()
            raise error

        def as_cause():
            raise ValueError(1) from ValueError([make()])
        for body in (as_argument, as_key, as_object, in_a_group, in_an_instance,
                     as_attribute, as_cause):
            for memory in "auto", "counted":
                with self.subTest(body.__name__, memory=memory):
                    with self.assertRaises(Exception):
                        in_context(body, memory=memory)
                    self.check_free()

    def hand_over_all(self, make):
        """What reaches main otherwise."""
        later = parallel.call_from_main_thread(lambda _: None)
        now = parallel.call_from_main_thread_and_wait(lambda _: None)
        for body in make, lambda: later(make()), lambda: now(make()), lambda: [Holder(make())]:
            for memory in "auto", "counted":
                with self.subTest(memory=memory):
                    with self.assertRaises(parallel.PersistenceError):
                        in_context(body, memory=memory)
                    self.check_free()


class Databases(Case):
    def setUp(self):
        super().setUp()
        with sqlite3.connect(self.path) as made:
            made.execute("create table t(a)")
        made.close()

    def connection(self):
        made = sqlite3.connect(self.path)
        made.execute("insert into t values (1)")  # it holds a lock from here on
        return made

    def cursor(self):
        made = self.connection().cursor()
        made.execute("select * from t")
        return made

    def check_free(self):
        other = sqlite3.connect(self.path, timeout=0)
        with other:
            other.execute("insert into t values (2)")
        self.assertEqual(other.execute("select count(*) from t where a = 1").fetchone(), (0,))
        other.close()

    def test_raised(self):
        for make in self.connection, self.cursor:
            self.raise_all(make)

    def test_handed_over(self):
        for make in self.connection, self.cursor:
            self.hand_over_all(make)

    def test_the_nearest_is_named(self):
        with self.assertRaisesRegex(parallel.PersistenceError, "'sqlite3.Connection'"):
            in_context(lambda: [self.connection()])


@unittest.skipUnless(gnu, "no gdbm")
class Tables(Case):
    def table(self):
        made = gnu.open(self.path, "cf")
        made["a"] = "1"
        return made

    def check_free(self):
        gnu.open(self.path, "cf").close()

    def test_raised(self):
        self.raise_all(self.table)

    def test_handed_over(self):
        self.hand_over_all(self.table)


if __name__ == "__main__":
    unittest.main()
