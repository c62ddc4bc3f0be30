"""What the tests of contexts share."""
import gc
import os
import signal
import subprocess
import sys
import sysconfig
import textwrap
import unittest

import parallel
from parallel import _parallel

COMPILER = (sysconfig.get_config_var("CC") or "cc").split()
INCLUDES = ["-I" + path for path in (
    sysconfig.get_path("include"), sysconfig.get_path("platinclude"),
    os.path.dirname(sysconfig.get_config_h_filename()))]

# Whoever starts a test in the background has it ignore Ctrl-C, and so would the
# interpreters that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def in_context(func, *args, memory="auto"):
    """What func(*args) returns or raises in a context."""
    seen = []
    _parallel.submit(func, args, None, None, None,
                     lambda error, result: seen.append((error, result)),
                     _parallel.memory_named(memory))
    while not seen:
        _parallel.run_once()
    error, result = seen[0]
    if error is not None:
        raise error
    return result


def fill_memory():
    """But for what small objects find."""
    kept = None
    for size in 1 << 16, 1 << 13:
        try:
            while True:
                kept = kept, bytes(size)
        except MemoryError:
            pass
    return kept


def crossing_without_memory(make, first, count):
    """What main got of make() of a callback, or the class of the error, when so many
    allocations fail, beginning with this one of the harvest."""
    import _testcapi
    seen = []
    put = parallel.call_from_main_thread(seen.append)
    parallel.submit_work(lambda: put(make()))
    _testcapi.set_nomemory(first, first + count)
    try:
        _parallel.run_once(-1, True)
    except Exception as error:
        _testcapi.remove_mem_hooks()
        seen.append(type(error))
    _testcapi.remove_mem_hooks()
    while parallel.active_count():
        try:
            parallel.run()
        except Exception as error:
            seen.append(type(error))
    return seen


def run(code, *options, **environ):
    """What a fresh interpreter prints: (output, errors). A debug build would warn
    of more."""
    child = subprocess.run(
        [sys.executable, "-W", "ignore::ResourceWarning", *options, "-c",
         textwrap.dedent(code)], text=True,
        capture_output=True, env={**os.environ, **environ}, timeout=60)
    return child.stdout, child.stderr


def python(code, *, expect=0, send=None):
    """What a new interpreter prints. send: a signal, when the first line is there."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        first = ""
        if send is not None:
            first = process.stdout.readline()
            process.send_signal(send)
        out, err = process.communicate(timeout=50)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError("it hangs: %s" % (process.communicate(),))
    if process.returncode != expect:
        raise AssertionError(f"exit {process.returncode}\n{first}{out}\n{err}")
    return first + out, err


class Case(unittest.TestCase):

    def tearDown(self):
        self.assertEqual(_parallel.find_strays(), [])
        self.assertEqual(_parallel._strays_freed(), 0)

    def refuse(self, *changes, state=lambda: None):
        """Each is refused in a context, again when main has had its code
        specialised, and changes nothing."""
        before = state()
        for number, change in enumerate(changes):
            with self.subTest(number):
                for _ in range(2):
                    with self.assertRaises(parallel.UnprotectedError):
                        in_context(change)
                    self.assertEqual(state(), before)

    def agree(self, *questions):
        """Each gives in a context what it gives on the main side."""
        for ask in questions:
            self.assertEqual(in_context(ask), ask())


def descriptors():
    return sorted(os.listdir("/proc/self/fd"))


class DescriptorCase(Case):
    """What a test opens it closes, whichever side that is."""

    @classmethod
    def setUpClass(cls):
        in_context(int)  # what makes descriptors of its own

    def setUp(self):
        gc.collect()
        self.before = descriptors()

    def tearDown(self):
        gc.collect()
        self.assertEqual(descriptors(), self.before)
        super().tearDown()


CALLS = []  # what main has noted


def note(what):
    """On the main side only: a context says it by what it returns."""
    if not parallel.is_parallel_thread():
        CALLS.append(what)
