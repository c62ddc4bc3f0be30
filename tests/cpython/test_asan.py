"""The address sanitizer sees what is gone: contexts' memory, and main's.

Run by an interpreter of `build.sh --asan`; others have nothing to test here:
    build/cpython-src/build-debug-asan/objects/python tests/cpython/test_asan.py

That one is for the programs whose silence means something, for instance
stress_stop.py, with

    PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1

The interpreter leaves objects to the system at its end; some tests ask for more
memory than there is. With an allocator of its own the sanitizer would see arenas,
not objects; so the guard, whose heap is mimalloc's, is not for this build.
"""
import os
import subprocess
import sys
import sysconfig
import textwrap
import unittest

OPTIONS = "detect_leaks=0:allocator_may_return_null=1"


def run(program):
    env = {**os.environ, "PYTHONMALLOC": "malloc", "ASAN_OPTIONS": OPTIONS}
    return subprocess.run([sys.executable, "-c", textwrap.dedent(program)],
                          env=env, capture_output=True, text=True, timeout=120)


@unittest.skipUnless("address-sanitizer" in sysconfig.get_config_var("CONFIG_ARGS"),
                     "built without the sanitizer")
class Gone(unittest.TestCase):
    def test_memory_of_a_context_that_has_ended(self):
        done = run("""
            import ctypes, _parallel, parallel
            with parallel.Executor() as executor:
                address = executor.submit(lambda: id([1])).result()
            _parallel._stop()
            ctypes.string_at(address, 8)
        """)
        self.assertIn("AddressSanitizer: use-after-poison", done.stderr)

    def test_memory_that_a_context_has_freed(self):
        done = run("""
            import ctypes, _parallel, parallel
            _parallel.set_young_bytes(0)
            def body():
                address = id(bytes(1000))
                ctypes.string_at(address + 500, 8)
            with parallel.Executor() as executor:
                executor.submit(body).result()
        """)
        self.assertIn("AddressSanitizer: use-after-poison", done.stderr)

    def test_what_main_has_dropped(self):
        done = run("""
            import ctypes, _parallel, parallel
            things = [bytes(1000)]
            address = id(things[0])
            def body():
                return ctypes.string_at(address, 8)
            with parallel.Executor() as executor:
                assert len(executor.submit(body).result()) == 8
                things.clear()
                executor.submit(body).result()
        """)
        self.assertIn("AddressSanitizer: heap-use-after-free", done.stderr)


if __name__ == "__main__":
    unittest.main()
