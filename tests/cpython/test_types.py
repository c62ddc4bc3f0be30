"""Main changes the bases, flags and metaclasses of its classes while callbacks are
stopped that have derived some of their own from them.

Run by the patched interpreter: python tests/cpython/test_types.py
What a scene is, is said in scenes.py; of methods see test_special_methods.py.
"""
import abc
import collections.abc
import unittest

import parallel
from scenes import Case, outcome
from support import in_context, run


class Orders(Case):
    def test_bases(self):
        def scene():
            class Old:
                def method(self): return "old"
                def __len__(self): return 1

            class New:
                def method(self): return "new"
                def __iter__(self): return iter("new")

            class Base(Old):
                pass

            def look():
                class Mine(Base):
                    def method(self): return super().method()

                class Yours(Mine):
                    pass
                yield
                yield [([c.__name__ for c in cls.__mro__], cls().method(),
                        outcome(len, cls()), outcome(tuple, cls()),
                        issubclass(cls, Old), issubclass(cls, New))
                       for cls in (Mine, Yours)]

            def change():
                Base.__bases__ = New,
            return look, change
        right = self.across(scene)
        self.assertEqual(right[1], (["Yours", "Mine", "Base", "New", "object"],
                                    "new", "TypeError", ("n", "e", "w"),
                                    False, True))

    def test_diamonds(self):
        """A class comes after its bases, and keeps the order of several."""
        def scene():
            class Root:
                pass

            class New(Root):
                pass

            class A(Root):
                pass

            class B(Root):
                pass

            def look():
                class Left(A):
                    pass

                class Right(B):
                    pass

                class Both(Left, Right):
                    pass

                class Mixed(Both, A, B):
                    pass
                yield
                yield [[c.__name__ for c in cls.__mro__]
                       for cls in (Left, Right, Both, Mixed)]

            def change():
                B.__bases__ = New,
                A.__bases__ = New,
            return look, change
        self.across(scene)

    def test_no_order_is_left(self):
        """The class keeps what it has, and somebody is told."""
        out, err = run("""
            import parallel
            class X: pass
            class Y: pass
            class A(type('Z', (), {})): pass
            class B(X, Y): pass
            def change():
                A.__bases__ = Y, X
                A.__len__ = lambda self: 8
            change = parallel.call_from_main_thread_and_wait(change)
            def body():
                class Mine(A, B): pass
                before = Mine.__mro__
                change()
                print(before == Mine.__mro__, len(Mine()))
            parallel.submit_work(body)
            parallel.run()
            """)
        self.assertEqual(out, "True 8\n")
        self.assertIn("keeps its old order", err)
        self.assertIn("TypeError: Cannot create a consistent", err)

    def test_a_metaclass_that_says_the_order(self):
        """mro() of a metaclass is called once for each stop, however much main has
        changed, and only if that were bases."""
        class Meta(type):
            def mro(cls):
                calls = getattr(cls, "calls", None)
                if calls is not None:
                    calls.append(1)
                return super().mro()

        class Old:
            pass

        class New:
            pass

        class Base(Old, metaclass=Meta):
            pass

        def methods():
            for i in range(100):
                Base.__len__ = lambda self, i=i: i

        def bases():
            for i in range(100):
                Base.__bases__ = (Old, New)[i % 2],

        def body(*stops):
            class Mine(Base):
                calls = []
            seen = [len(Mine.calls)]
            for stop in stops:
                stop()
                seen.append(len(Mine.calls))
            return seen, len(Mine()), Mine.__mro__[2].__name__
        stops = map(parallel.call_from_main_thread_and_wait, (methods, bases))
        self.assertEqual(self.submit(body, *stops).result(20),
                         ([0, 0, 1], 99, "New"))

    def test_a_metaclass_that_is_stopped_for_it(self):
        """Main changes bases once more while their order is asked for."""
        names = "First", "Second", "Third", "Fourth"
        bases = [type(name, (), {}) for name in names]
        rest = bases[1:]

        @parallel.call_from_main_thread_and_wait
        def change():
            if rest:
                Base.__bases__ = rest.pop(0),

        class Meta(type):
            def mro(cls):
                if "changes" in vars(cls):
                    change()
                return super().mro()

        class Base(bases[0], metaclass=Meta):
            pass

        def body():
            class Mine(Base):
                pass
            before = Mine.__mro__[2].__name__
            Mine.changes = True
            change()
            return before, Mine.__mro__[2].__name__
        self.assertEqual(self.submit(body).result(20), ("First", "Fourth"))

    def test_own_classes_get_mains_as_base(self):
        def scene():
            class Base:
                pass

            def look():
                class Mine:
                    pass

                class Yours(Mine):
                    pass

                class Third(Yours):
                    pass
                Yours.__bases__ = Base,
                yield
                yield len(Yours()), len(Third()), outcome(lambda: len(Mine()))
            return look, lambda: setattr(Base, "__len__", lambda self: 4)
        self.assertEqual(self.across(scene), (4, 4, "TypeError"))


class Kinds(Case):
    def test_patterns(self):
        def kind(x):
            match x:
                case [*_]: return "sequence"
                case {}: return "mapping"
            return "neither"

        def scene():
            class Base:
                def __len__(self): return 0
                def __getitem__(self, i): raise IndexError

            def look():
                class Mine(Base):
                    pass

                class Yours(Mine):
                    pass
                before = kind(Mine()), kind(Yours())
                yield
                yield before, kind(Mine()), kind(Yours()), isinstance(
                    Yours(), collections.abc.Sequence)
            return look, lambda: collections.abc.Sequence.register(Base)
        self.assertEqual(self.across(scene),
                         (("neither",) * 2, "sequence", "sequence", True))

    def test_abstract_methods(self):
        def scene():
            class Base(abc.ABC):
                @abc.abstractmethod
                def first(self): pass

                @abc.abstractmethod
                def second(self): pass

            def look():
                class Mine(Base):
                    def first(self): pass
                before = outcome(Mine)
                yield

                class Yours(Base):
                    def first(self): pass
                abc.update_abstractmethods(Mine)
                yield before, outcome(Mine), outcome(Yours)

            def change():
                Base.second = lambda self: None
                abc.update_abstractmethods(Base)
            return look, change
        self.across(scene)

    def test_metaclasses(self):
        def scene():
            class Meta(type):
                pass

            class Base(metaclass=Meta):
                pass

            def look():
                class Mine(Base):
                    pass

                class MyMeta(Meta):
                    pass

                class Yours(Base, metaclass=MyMeta):
                    pass

                class Plain(metaclass=MyMeta):
                    pass
                classes = Mine, Yours, Plain
                uses = (len, lambda cls: cls.missing, lambda cls: cls(), tuple,
                        lambda cls: isinstance(1, cls), lambda cls: cls[1],
                        lambda cls: cls | 3)
                yield
                yield [[outcome(use, cls) for use in uses] for cls in classes]

            def change():
                Meta.__len__ = lambda cls: 7
                Meta.__getattr__ = lambda cls, name: name
                Meta.__call__ = lambda cls: "called"
                Meta.__iter__ = lambda cls: iter((1, 2))
                Meta.__instancecheck__ = lambda cls, x: True
                Meta.__getitem__ = lambda cls, i: i
                Meta.__or__ = lambda cls, x: x
            return look, change
        right = self.across(scene)
        self.assertEqual(right, [[7, "missing", "called", (1, 2), True, 1, 3]] * 3)

    def test_metaclasses_whose_classes_have_no_hash(self):
        class Meta(type):
            def __eq__(cls, other):
                return True

        class Base(metaclass=Meta):
            pass

        class Other(metaclass=Meta):
            pass

        def body():
            class Mine(Base):
                pass

            class Yours(Other):
                pass
            return [c.__name__ for c in Base.__subclasses__()], [
                c.__name__ for c in Other.__subclasses__()]
        self.assertEqual(in_context(body), (["Mine"], ["Yours"]))


if __name__ == "__main__":
    unittest.main()
