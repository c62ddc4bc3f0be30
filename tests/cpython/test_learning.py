"""What main's code and classes learn from contexts: instructions for what they
have, names of attributes, where names are found; and that results stay right.

Run by the patched interpreter: python tests/cpython/test_learning.py
"""
import dis
import sys
import textwrap
import unittest

import _testcapi
import parallel
from support import Case, in_context, run

ROUNDS = 400


def make(source):
    """What the source defines, never run before."""
    space = {"__name__": "made"}
    exec(compile(textwrap.dedent(source), "made", "exec"), space)
    return space


def names_of(function):
    """Its instructions as they are now, those with caches."""
    return {i.opname for i in dis.get_instructions(function, adaptive=True)}


ALL_KINDS = """
    class Point:
        def __init__(self, x):
            self.x = x
        def double(self):
            return self.x * 2
        @property
        def half(self):
            return self.x // 2
        def __getitem__(self, i):
            return self.x + i

    STEP = 1

    def count(n):
        seen, table, text = [], {}, ""
        total = 0
        for i in range(n):
            point = Point(i)
            total += point.double() + point.half + point[1] + STEP
            seen.append(i)
            table[i] = seen[i]
            text += "x"
            pair = i, i
            low, high = pair
            if i in table and low == high and text:
                total += len(seen)
        for value in (k for k in seen):
            total -= value
        return total + int(sum(f * 0.5 for f in (1.0, 3.0)))
"""


class Instructions(Case):

    def test_kinds(self):
        count = make(ALL_KINDS)["count"]
        expected = make(ALL_KINDS)["count"](ROUNDS)
        for _ in range(8):
            self.assertEqual(in_context(count, ROUNDS), expected)
        missing = {
            "LOAD_GLOBAL_MODULE", "CALL_ALLOC_AND_ENTER_INIT",
            "LOAD_ATTR_METHOD_WITH_VALUES", "LOAD_ATTR_PROPERTY",
            "BINARY_SUBSCR_GETITEM", "BINARY_SUBSCR_LIST_INT",
            "CALL_LIST_APPEND", "STORE_SUBSCR_DICT", "FOR_ITER_RANGE",
            "FOR_ITER_GEN", "COMPARE_OP_INT", "TO_BOOL_STR",
            "CONTAINS_OP_DICT", "BINARY_OP_ADD_INT", "CALL_LEN",
            "BINARY_OP_INPLACE_ADD_UNICODE", "UNPACK_SEQUENCE_TWO_TUPLE",
        } - names_of(count)
        self.assertEqual(missing, set())

    def test_other_operands_than_before(self):
        """What is special for one kind is right for all, and changes at last."""
        add = make("""
            def add(a, n):
                for _ in range(n):
                    a = a + a
                    a = a // 2 if isinstance(a, int) else a[:1]
                return a
            """)["add"]
        for _ in range(3):
            self.assertEqual(in_context(add, 7, ROUNDS), 7)
        self.assertIn("BINARY_OP_ADD_INT", names_of(add))
        for _ in range(60):
            self.assertEqual(in_context(add, "y", ROUNDS), "y")
            self.assertEqual(in_context(add, [1], 2), [1])
        self.assertIn("BINARY_OP_INPLACE_ADD_UNICODE", names_of(add))
        self.assertEqual(in_context(add, 7, 3), 7)

    def test_what_main_changes_is_seen(self):
        space = make(ALL_KINDS)
        count, point = space["count"], space["Point"]
        for _ in range(8):
            before = in_context(count, ROUNDS)
        space["STEP"] = 2
        self.assertEqual(in_context(count, ROUNDS), before + ROUNDS)
        point.double = lambda self: self.x * 2 + 1
        self.assertEqual(in_context(count, ROUNDS), before + 2 * ROUNDS)
        point.__getitem__ = lambda self, i: self.x + i + 1
        self.assertEqual(in_context(count, ROUNDS), before + 3 * ROUNDS)
        init = point.__init__
        point.__init__ = lambda self, x: init(self, x + 1)
        self.assertEqual(in_context(count, ROUNDS), count(ROUNDS))

    def test_many_at_once(self):
        """Workers write to the same fresh code, with operands of all kinds."""
        source = """
            class A:
                def __init__(self, v):
                    self.v = v
                def get(self):
                    return self.v
            class B(A):
                def __init__(self, v):
                    self.w = 0
                    self.v = v
                def get(self):
                    return super().get()
            def mix(kind, n):
                total = kind(0) if kind is not str else ""
                for i in range(n):
                    a = (A if i % 3 else B)(kind(i))
                    total = total + a.get()
                return total
            """
        expected = {kind: make(source)["mix"](kind, 60)
                    for kind in (int, float, str)}
        with parallel.Executor() as pool:
            for _ in range(40):
                mix = make(source)["mix"]
                kinds = [int, float, str, int, str, float] * 3
                self.assertEqual(list(pool.map(mix, kinds, [60] * 18)),
                                 [expected[kind] for kind in kinds])

    def test_refused_as_before(self):
        space = make("""
            class Target:
                pass
            target = Target()
            target.x = 0
            items = [0]
            def change(other, n):
                for i in range(n):
                    other.x = i
            def store(other, n):
                for i in range(n):
                    other[0] = i
            """)

        def own(n):
            change, store = space["change"], space["store"]
            change(space["Target"](), n)
            store([0], n)

        def foreign(what):
            own(ROUNDS)
            space[what[0]](space[what[1]], ROUNDS)

        for _ in range(6):
            in_context(own, ROUNDS)
        self.assertIn("STORE_SUBSCR_LIST_INT", names_of(space["store"]))
        for what in ("change", "target"), ("store", "items"):
            with self.assertRaises(parallel.UnprotectedError):
                in_context(foreign, what)
        self.assertEqual((space["target"].x, space["items"]), (0, [0]))

    def test_classes_of_a_context_leave_nothing(self):
        """Nor numbers: those of main's are few."""
        work = make("""
            def work(n):
                class Mine:
                    def get(self):
                        return self.v
                total = 0
                for i in range(n):
                    mine = Mine()
                    mine.v = i
                    total += mine.get()
                return total
            """)["work"]
        in_context(work, ROUNDS)

        def newest():
            class Main:
                pass
            _testcapi.type_assign_version(Main)
            return _testcapi.type_get_version(Main)
        first = newest()
        for _ in range(50):
            self.assertEqual(in_context(work, ROUNDS), sum(range(ROUNDS)))
        self.assertLess(newest() - first, 20)

    def test_not_with_a_guard(self):
        program = """
            import dis, parallel
            def add(n):
                total = 0
                for i in range(n):
                    total += i
                return total
            with parallel.Executor() as pool:
                for _ in range(5):
                    assert pool.submit(add, 500).result() == 124750
            print(*{"BINARY_OP_ADD_INT", "BINARY_OP"} &
                  {i.opname for i in dis.get_instructions(add, adaptive=True)})
            """
        for mode, name in ("auto", "BINARY_OP"), ("off", "BINARY_OP_ADD_INT"):
            with self.subTest(mode):
                self.assertEqual(run(program, PYTHONPARALLELGUARD=mode),
                                 (name + "\n", ""))


class Classes(Case):

    source = """
        class Node:
            def __init__(self, key):
                self.key = key
                self.left = self.right = None
            def get(self):
                return self.key
        def build(n):
            return [Node(i) for i in range(n)]
        def use(n):
            return sum(node.get() for node in build(n))
        """

    def test_names_of_attributes_are_shared(self):
        space = make(self.source)
        for _ in range(12):
            self.assertEqual(in_context(space["use"], ROUNDS),
                             sum(range(ROUNDS)))
        learnt, known = space["Node"](1), make(self.source)
        known["build"](ROUNDS)
        main = known["Node"](1)
        self.assertEqual(list(vars(learnt)), ["key", "left", "right"])
        self.assertEqual(sys.getsizeof(vars(learnt)),
                         sys.getsizeof(vars(main)))

    def test_more_names_than_there_is_room(self):
        space = make("""
            class Wide:
                pass
            def fill(n):
                wide = Wide()
                for i in range(n):
                    setattr(wide, NAMES[i % len(NAMES)], i)
                return vars(wide)
            """)
        names = space["NAMES"] = [sys.intern(f"a{i}") for i in range(70)]
        for _ in range(8):
            self.assertEqual(in_context(space["fill"], 2000),
                             {name: 1960 + i if i < 40 else 1890 + i
                              for i, name in enumerate(names)})
        wide = space["Wide"]()
        for i, name in enumerate(reversed(names)):
            setattr(wide, name, i)
        self.assertEqual(list(vars(wide)), names[::-1])

    def test_order_is_that_of_each_instance(self):
        space = make("""
            class Pair:
                pass
            def pair(n, first, second):
                for i in range(n):
                    pair = Pair()
                    setattr(pair, first, 1)
                    setattr(pair, second, 2)
                return list(vars(pair))
            """)
        names = [sys.intern("one"), sys.intern("two")]
        for _ in range(8):
            self.assertEqual(in_context(space["pair"], 100, *names), names)
            self.assertEqual(in_context(space["pair"], 100, *names[::-1]),
                             names[::-1])

    def test_what_a_class_has_is_found_when_it_has_changed(self):
        space = make("""
            class Base:
                def name(self):
                    return "base"
            class Derived(Base):
                pass
            def ask(n):
                derived = Derived()
                return {getattr(derived, "name")() for _ in range(n)}
            """)
        for _ in range(6):
            self.assertEqual(in_context(space["ask"], ROUNDS), {"base"})
        space["Derived"].name = lambda self: "derived"
        self.assertEqual(in_context(space["ask"], ROUNDS), {"derived"})
        del space["Derived"].name
        self.assertEqual(in_context(space["ask"], ROUNDS), {"base"})


if __name__ == "__main__":
    unittest.main()
