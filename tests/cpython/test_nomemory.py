"""Where there is no memory: nothing is lost, and whoever asks is told.

Run by the patched interpreter: python tests/cpython/test_nomemory.py
"""
import unittest

from support import run

# Each allocation of main's in turn is the one from which on there is no memory, for
# as long as it takes to harvest a callback.
HARVEST = """
    import _testcapi, _parallel, parallel

    seen = []
    put = parallel.call_from_main_thread(seen.append)

    def body():
        for i in range(3):
            put(i)
        {last}

    def harvest(first, count):
        "How many calls were made; the errors."
        del seen[:]
        errors = []
        parallel.submit_work(body)
        _testcapi.set_nomemory(first, first + count)
        try:
            _parallel.run_once(-1, True)
        except BaseException as error:
            _testcapi.remove_mem_hooks()
            errors.append(type(error).__name__)
        _testcapi.remove_mem_hooks()
        while True:
            try:
                parallel.run()
                return len(seen), errors
            except BaseException as error:
                errors.append(type(error).__name__)

    for count in 1, 2, 5, 1000:
        for first in range(1, 60):
            made, errors = harvest(first, count)
            if made + len(errors) < 3 and "MemoryError" not in errors:
                print("lost", first, count, made, errors)
            if {fails} and not errors:
                print("no error", first, count, made)
"""


class Harvest(unittest.TestCase):
    def check(self, last, fails):
        out, err = run(HARVEST.format(last=last, fails=fails))
        self.assertEqual(out, "")
        self.assertNotIn("Fatal", err)

    def test_calls_for_later(self):
        self.check("pass", False)

    def test_errors(self):
        self.check("1 / 0", True)


if __name__ == "__main__":
    unittest.main()
