"""Iterators, views and locks that a context has made, on the main side.

Run by the patched interpreter: python tests/cpython/test_made.py
See test_made_classes.py and test_made_generators.py for these.
"""
import itertools
import operator
import threading
import unittest

import parallel
from support import Case, in_context, run


class Places(Case):
    """Iterators, and what is changed beside them."""

    def test_a_dict_that_has_changed(self):
        def make(change):
            table = dict.fromkeys("abc")
            it = iter(table)
            next(it)
            change(table)
            return it, table
        it, table = in_context(make, lambda table: table.update(d=1))
        self.assertRaises(RuntimeError, next, it)
        it, table = in_context(make, len)
        table["d"] = 1
        self.assertRaises(RuntimeError, next, it)
        mains = dict.fromkeys("abc")
        it = in_context(lambda: [it := iter(mains), next(it)][0])
        self.assertEqual(list(it), ["b", "c"])

    def test_sets(self):
        class Key:
            pass

        def make(members):
            made = set(members)
            it = iter(made)
            return made, it, [next(it) for _ in range(2)]
        for members in ("abcdef", range(100), [Key() for _ in range(9)]):
            made, it, first = in_context(make, members)
            self.assertEqual(operator.length_hint(it), len(made) - 2)
            rest = list(it)
            self.assertEqual((len(rest), {*rest, *first}), (len(made) - 2, made))
        made, it, first = in_context(make, [Key, "a", 2, 3])
        mains = frozenset("abc")
        it = in_context(lambda: [it := iter(mains), next(it)][0])
        self.assertEqual(len(list(it)), 2)

    def test_groups_that_are_over(self):
        def make():
            groups = itertools.groupby("aab")
            _, old = next(groups)
            _, new = next(groups)
            return groups, old, new
        groups, old, new = in_context(make)
        self.assertEqual((list(old), list(new), list(groups)), ([], ["b"], []))

    def test_memory_that_is_viewed(self):
        def make():
            data = bytearray(b"abcdef")
            return data, memoryview(data)[2:4]
        data, view = in_context(make)
        view[0] = ord("x")
        self.assertEqual(data, b"abxdef")
        self.assertRaises(BufferError, data.append, 1)
        view.release()
        data.append(1)


class Locks(Case):
    def test_in_an_instance(self):
        class Counter:
            def __init__(self):
                self.lock, self.count = threading.Lock(), 0

            def add(self):
                with self.lock:
                    self.count += 1
                return self.count
        got, lock = in_context(lambda: [made := Counter(), made.lock])
        self.assertEqual(got.add(), 1)
        self.assertIs(got.lock, lock)
        with lock:
            done = threading.Thread(target=got.add)
            done.start()
            self.assertEqual(got.count, 1)
        done.join()
        self.assertEqual(got.count, 2)

    def test_one_that_a_generator_holds(self):
        def make():
            def generator():
                with threading.Lock():
                    yield
            made = generator()
            next(made)
            return made
        with self.assertRaisesRegex(parallel.PersistenceError, "held"):
            in_context(make)

    def test_the_end_of_a_process(self):
        """Copies of classes live as long as those of main's."""
        self.assertEqual(run("""
            import parallel, threading
            def make():
                class Made:
                    lock = threading.Lock()
                    def __del__(self):
                        print("del", self.get())
                    def get(self):
                        return __class__.__name__
                return Made()
            with parallel.Executor() as executor:
                kept = executor.submit(make).result()
                forever = executor.submit(lambda: (i for i in iter(int, 1))).result()
            next(forever)
        """), ("del Made\n", ""))


if __name__ == "__main__":
    unittest.main()
