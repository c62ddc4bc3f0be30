"""context_stats() and memory_stats() tell what is the case.

Run by the patched interpreter: python tests/cpython/test_stats.py
"""
import gc
import unittest

import parallel
from support import in_context


class Contexts(unittest.TestCase):
    def test_before_and_after(self):
        in_context(lambda: 1)
        before = parallel.context_stats()
        for _ in range(3):
            in_context(lambda: 1)
        self.assertRaises(ZeroDivisionError, in_context, lambda: 1 / 0)
        after = parallel.context_stats()
        self.assertEqual(after["callbacks"] - before["callbacks"], 4)
        self.assertEqual(after["failed"] - before["failed"], 1)
        self.assertGreaterEqual(after["slices"] - before["slices"], 4)
        self.assertGreater(after["workers"], 0)
        for name in ("active", "over", "in_flight", "running", "stopped",
                     "blocked", "asking"):
            self.assertEqual(after[name], 0, name)

    def test_from_within(self):
        inside = in_context(parallel.context_stats)
        self.assertEqual((inside["active"], inside["in_flight"],
                          inside["running"], inside["stopped"]), (1, 1, 1, 0))

    def test_stopped_and_blocked(self):
        seen = []
        look = parallel.call_from_main_thread_and_wait(
            lambda: seen.append(parallel.context_stats()))
        in_context(look)
        self.assertEqual((seen[0]["in_flight"], seen[0]["stopped"],
                          seen[0]["running"]), (1, 1, 0))
        self.assertEqual((seen[0]["blocked"], seen[0]["asking"]), (1, 0))


class Memory(unittest.TestCase):
    def test_of_a_context(self):
        young = in_context(parallel.memory_stats)
        self.assertEqual((young["counting"], young["collections"]), (0, 0))
        self.assertLess(young["used_bytes"], 1 << 16)

        def big():
            kept = bytearray(5 << 20)
            del kept
            made = [[] for _ in range(50_000)]
            for one in made:
                one.append(one)
            del one, made
            gc.collect()
            return parallel.memory_stats()
        stats = in_context(big)
        self.assertEqual(stats["counting"], 1)
        self.assertGreater(stats["collections"], 0)
        self.assertGreater(stats["peak_bytes"], 5 << 20)
        self.assertLessEqual(stats["used_bytes"], stats["peak_bytes"])
        self.assertLessEqual(stats["peak_bytes"], stats["committed_bytes"])
        self.assertLessEqual(stats["large_page_bytes"], stats["committed_bytes"])

    def test_of_all(self):
        before = parallel.memory_stats()
        in_context(lambda: bytearray(3 << 20) and None)
        in_context(lambda: 1)
        after = parallel.memory_stats()
        grown = after["used_bytes"] - before["used_bytes"]
        self.assertGreater(grown, 3 << 20)
        self.assertLess(grown, 4 << 20)
        self.assertGreater(after["peak_bytes"], 3 << 20)
        self.assertEqual(after["counting"] - before["counting"], 0)
        self.assertEqual((after["limbo_objects"], after["limbo_bytes"]), (0, 0))

    def test_limbo(self):
        seen = []
        things = {"x": tuple(range(1000, 2000))}

        def drop():
            del things["x"]
            seen.append(parallel.memory_stats())
        ask = parallel.call_from_main_thread_and_wait(drop)

        def body():
            mine = things["x"]
            ask()
            return len(mine)
        self.assertEqual(in_context(body), 1000)
        self.assertGreaterEqual(seen[0]["limbo_objects"], 1)
        self.assertGreaterEqual(seen[0]["limbo_bytes"], 8000)
        self.assertEqual(parallel.memory_stats()["limbo_objects"], 0)


if __name__ == "__main__":
    unittest.main()
