"""What main registers, traces and the like while callbacks are stopped.

Run by the patched interpreter: python tests/cpython/test_meanwhile.py
"""
import dis
import functools
import sys
import unittest

from scenes import Case


class Dispatch(Case):
    def test_registered_meanwhile(self):
        """What the context has looked up before is looked up anew."""
        def scene():
            class Base:
                pass

            class Derived(Base):
                pass

            @functools.singledispatch
            def ask(x):
                return "any"

            def look():
                class Mine(Derived):
                    pass
                before = ask(Derived()), ask(Mine()), ask(1)
                yield
                yield before, ask(Derived()), ask(Mine()), ask(1)

            def change():
                ask.register(Base, lambda x: "base")
                ask.register(int, lambda x: "int")
            return look, change
        self.assertEqual(self.across(scene),
                         (("any",) * 3, "base", "base", "int"))

    def test_replaced_meanwhile(self):
        def scene():
            ask = functools.singledispatch(repr)
            ask.register(int, lambda x: "old")

            def look():
                before = ask(1)
                yield
                yield before, ask(1)
            return look, lambda: ask.register(int, lambda x: "new")
        self.assertEqual(self.across(scene), ("old", "new"))


def is_instrumented(function):
    return any(i.opname.startswith("INSTRUMENTED")
               for i in dis.get_instructions(function, adaptive=True))


class Tracing(Case):
    def instructions_stay(self, use):
        """Main's code is made ready for tracing when main runs it the next time, and
        not by a context that throws something into a generator of it."""
        def steps():
            try:
                yield 1
            except KeyError:
                yield 2
        steps.__code__ = steps.__code__.replace()  # of this test alone

        def body(stop):
            generator = steps()
            next(generator)
            stop()
            return use(generator)
        self.addCleanup(sys.settrace, sys.gettrace())
        result = self.stopped_in_a_call(
            body, lambda: sys.settrace(lambda *arguments: None))
        self.assertFalse(is_instrumented(steps))
        list(steps())
        self.assertTrue(is_instrumented(steps))
        return result

    def test_throw(self):
        self.assertEqual(self.instructions_stay(
            lambda generator: generator.throw(KeyError)), 2)

    def test_close(self):
        self.assertIsNone(self.instructions_stay(
            lambda generator: generator.close()))


if __name__ == "__main__":
    unittest.main()
