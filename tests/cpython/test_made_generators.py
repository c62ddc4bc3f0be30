"""Generators and coroutines that a context has made, on the main side.

Run by the patched interpreter: python tests/cpython/test_made_generators.py
"""
import types
import unittest
import warnings

import parallel
from support import CALLS, Case, in_context, note


class Generators(Case):
    def setUp(self):
        CALLS.clear()

    def test_finally_is_for_the_copy(self):
        def make():
            def generator():
                try:
                    yield 1
                finally:
                    parallel.is_parallel_thread() and print("in the context")
                    note("finally")
            made = generator()
            next(made)
            return made
        got = in_context(make)
        self.assertEqual(CALLS, [])
        del got
        self.assertEqual(CALLS, ["finally"])
        in_context(make).close()
        self.assertEqual(CALLS, ["finally"] * 2)

    def test_thrown_into(self):
        def generator():
            while True:
                try:
                    got = yield
                except ValueError as error:
                    got = yield error.args[0]
                CALLS.append(got)
        made = in_context(lambda: [made := generator(), next(made)][0])
        self.assertEqual(made.throw(ValueError(3)), 3)
        made.send("sent")
        self.assertEqual(CALLS, ["sent"])
        made.close()
        self.assertIsNone(made.gi_frame)

    def test_itself(self):
        def make():
            def generator():
                kept = [it]
                yield kept
                yield it
            it = generator()
            return it, next(it)
        it, kept = in_context(make)
        self.assertIs(kept[0], it)
        self.assertIs(next(it), it)

    def test_what_it_goes_over_is_shared(self):
        def make():
            items = [1, 2, 3]
            it = (x for x in items)
            next(it)
            return items, it
        items, it = in_context(make)
        items.append(4)
        self.assertEqual(list(it), [2, 3, 4])

    def test_its_frame(self):
        def generator(first):
            second = first + 1
            yield second
        got = in_context(lambda: [it := generator(1), next(it)][0])
        self.assertEqual(got.gi_frame.f_locals, {"first": 1, "second": 2})
        self.assertIs(got.gi_code, generator.__code__)
        self.assertEqual(got.gi_frame.f_lineno, generator.__code__.co_firstlineno + 2)

    def test_in_code_of_the_contexts(self):
        def make():
            names = {}
            exec("def generator(a):\n for b in range(3):\n  yield a, b, ones\nones = [1]", names)
            it = names["generator"](5)
            next(it)
            return it, names
        it, names = in_context(make)
        self.assertEqual(list(it), [(5, 1, [1]), (5, 2, [1])])
        self.assertIs(it.gi_frame, None)
        self.assertEqual(list(names["generator"](1))[0], (1, 0, [1]))

    def test_specialised_or_not(self):
        """Main has warmed the code, or has not: a place in it is the same."""
        def generator(items):
            for item in items:
                yield item + 1
                yield -item
        for warm in range(3):
            for _ in range(warm * 100):
                list(generator([1, 2]))
            got = in_context(lambda: [it := generator([1, 2, 3]), next(it)][0])
            self.assertEqual(list(got), [-1, 3, -2, 4, -3])

    def test_one_that_has_not_begun(self):
        def generator(a, *rest, b=2, **more):
            cell = a
            yield lambda: (cell, rest, b, more)
        got = in_context(lambda: generator([1], 3, c=4))
        self.assertEqual(next(got)(), ([1], (3,), 2, {"c": 4}))

    def test_coroutines(self):
        @types.coroutine
        def wait(for_what):
            return (yield for_what)

        async def body():
            async with Manager():
                return [await wait(1), await wait(2)]

        class Manager:
            async def __aenter__(self):
                await wait("enter")

            async def __aexit__(self, *args):
                CALLS.append(args)
        got, first, second = in_context(lambda: [it := body(), it.send(None), it.send(None)])
        self.assertEqual((first, second), ("enter", 1))
        self.assertEqual(got.send("one"), 2)
        with self.assertRaises(StopIteration) as ended:
            got.send("two")
        self.assertEqual(ended.exception.value, ["one", "two"])
        self.assertEqual(CALLS, [(None, None, None)])

    def test_a_coroutine_that_nobody_awaits(self):
        async def body():
            pass
        got = in_context(body)
        with self.assertWarnsRegex(RuntimeWarning, "never awaited"):
            del got


if __name__ == "__main__":
    warnings.simplefilter("default")
    unittest.main()
