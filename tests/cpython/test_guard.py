"""The guard: writes of contexts to main's memory that no hook has stopped.

Run by the patched interpreter: python tests/cpython/test_guard.py

ctypes is such a write: it asks nobody. Each program runs in a process of its
own, since the guard is chosen when a process starts.
"""
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import trace_writes

PRELUDE = """
import ctypes, os, signal, socket, sys, threading, time
import parallel

victim = bytes(5000)
HEAD = bytes.__basicsize__ - 1

memset = ctypes.PyDLL(None).memset  # unlike ctypes.memset it blocks nobody
memset.argtypes = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t

def strike(address, value=1):
    memset(address, value, 1)

def outcome(func, *args):
    seen = []
    parallel._parallel.submit(func, args, None, None, None,
                              lambda error, result: seen.append((error, result)))
    while not seen:
        parallel.run_once() if parallel.is_active() else None
    return seen[0]

parallel.submit_work(len, "")
parallel.run()
"""


def run(mode, program, timeout=60, **more):
    env = {**os.environ, **more}
    env.pop("PYTHONPARALLELGUARD", None)
    if mode is not None:
        env["PYTHONPARALLELGUARD"] = mode
    return subprocess.run(
        [sys.executable, "-W", "ignore::ResourceWarning", "-c", PRELUDE + textwrap.dedent(program)], env=env,
        capture_output=True, text=True, timeout=timeout)


class GuardTest(unittest.TestCase):
    maxDiff = None

    def check(self, mode, program, **more):
        done = run(mode, program, **more)
        self.assertEqual((done.returncode, done.stderr), (0, ""), mode)
        return done.stdout


class Stops(GuardTest):
    def test_at_the_end_of_a_callback(self):
        """What was to leave goes with it: nothing of such a context can be trusted."""
        said = self.check("auto", """
            import weakref
            class Striking:
                def __del__(self):
                    strike(id(victim) + HEAD)
            class Thing: pass
            def body():
                loop, thing = Striking(), Thing()
                loop.itself = loop
                weakref.finalize(thing, print, "called")
                return thing
            for _ in range(20):
                error, _ = outcome(body)
                assert isinstance(error, parallel.FrozenMemoryError), error
        """)
        self.assertEqual(said, "")

    def test_without_it_the_write_happens(self):
        for mode in None, "off":
            self.check(mode, """
                error, _ = outcome(strike, id(victim) + HEAD + 7)
                assert error is None, error
                assert victim[7] == 1
            """)

    def test_a_write_ends_its_callback_and_changes_nothing(self):
        for mode in "auto", "full":
            self.check(mode, """
                error, _ = outcome(strike, id(victim) + HEAD + 7)
                assert type(error) is parallel.FrozenMemoryError, error
                assert isinstance(error, parallel.ParallelError)
                assert victim == bytes(5000)
                assert outcome(sum, range(100))[1] == 4950
                assert parallel.guard_stats()["frozen"] == 1
            """)

    def test_a_write_in_a_call_that_may_block(self):
        for mode in "auto", "full":
            self.check(mode, """
                error, _ = outcome(ctypes.memset, id(victim) + HEAD, 1, 1)
                assert type(error) is parallel.FrozenMemoryError, error
                assert victim == bytes(5000)
                assert outcome(sum, range(100))[1] == 4950
            """)

    def test_large_blocks_are_covered(self):
        self.check("auto", """
            big = bytes(200_000_000)
            error, _ = outcome(strike, id(big) + HEAD + 150_000_000)
            assert type(error) is parallel.FrozenMemoryError, error
            assert big.count(1) == 0
        """)

    def test_tables_of_dicts_and_lists_are_covered(self):
        self.check("auto", """
            items = list(range(100_000))
            table = ctypes.c_void_p.from_address(id(items) + 24).value
            error, _ = outcome(strike, table + 4096)
            assert type(error) is parallel.FrozenMemoryError, error
            assert items == list(range(100_000))
        """)

    def test_static_data_is_covered_in_full(self):
        program = """
            import zlib  # has a type of its own
            slot = id(int) + 24  # tp_name
            error, _ = outcome(strike, slot, ctypes.c_ubyte.from_address(slot).value)
            print(type(error).__name__)
        """
        self.assertEqual(self.check("full", program), "FrozenMemoryError\n")
        self.assertEqual(self.check("auto", program), "NoneType\n")

    def test_a_thousand_of_them_deep_down(self):
        self.check("auto", """
            def deep(n, address):
                if n == 0:
                    strike(address)
                try:
                    return deep(n - 1, address)
                finally:
                    str(n)
            for i in range(1000):
                parallel.submit_work(deep, (i % 300, id(victim) + HEAD + i))
            failed = 0
            while parallel.is_active():
                try:
                    parallel.run()
                except parallel.FrozenMemoryError:
                    failed += 1
            while True:
                try:
                    parallel.run()
                    break
                except parallel.FrozenMemoryError:
                    failed += 1
            assert failed == 1000, failed
            assert victim == bytes(5000)
            assert outcome(sum, range(100))[1] == 4950
        """)

    def test_an_errback_of_it_is_not_called(self):
        """The callback is over; so says the module's documentation."""
        self.check("auto", """
            def swallow(error):
                os._exit(3)
            parallel.submit_work(strike, id(victim) + HEAD, errback=swallow)
            try:
                parallel.run()
            except parallel.FrozenMemoryError:
                pass
            else:
                raise SystemExit("no error")
        """)

    def test_hooks_come_first(self):
        self.check("full", """
            mine = []
            error, _ = outcome(mine.append, 1)
            assert type(error) is parallel.UnprotectedError, error
            assert mine == []
        """)

    def test_an_executor_sees_it(self):
        self.check("auto", """
            # The heap stays writable if the coordinator is faster than main is
            # to wait for the result.
            with parallel.Executor() as executor:
                error = None
                while not error:
                    error = executor.submit(strike, id(victim) + HEAD).exception()
                assert type(error) is parallel.FrozenMemoryError, error
                assert executor.submit(pow, 2, 10).result() == 1024
        """)


class LeavesInPeace(GuardTest):
    """Ordinary threads: their reads succeed, their signals come."""

    def test_a_blocking_read_of_another_thread(self):
        for mode in "auto", "full":
            out = self.check(mode, """
                ends = os.pipe(), socket.socketpair()
                got, buffer = [], bytearray(4)
                def read():
                    got.append(os.read(ends[0][0], 4000))
                def receive():
                    got.append(ends[1][0].recv_into(buffer))
                threads = [threading.Thread(target=f) for f in (read, receive)]
                for thread in threads: thread.start()
                while parallel.guard_stats()["threads_in_calls"] < 2:
                    time.sleep(0.001)
                before = parallel.guard_stats()["heap_protected"]
                assert outcome(len, "abc") == (None, 3)
                print(parallel.guard_stats()["heap_protected"] - before)
                def write(ends_of_others):
                    os.write(ends_of_others[0], b"abcd")
                    os.write(ends_of_others[1], b"efgh")
                    time.sleep(0.05)  # they are served while the world is open
                error, _ = outcome(write, (ends[0][1], ends[1][1].fileno()))
                assert error is None, error
                for thread in threads: thread.join()
                assert sorted(map(str, got)) == ["4", "b'abcd'"], got
                assert bytes(buffer) == b"efgh"
            """)
            self.assertEqual(out, "0\n")

    def test_still_threads_do_not_matter(self):
        self.check("auto", """
            done = threading.Lock(); done.acquire()
            for wait in done.acquire, lambda: time.sleep(1000):
                threading.Thread(target=wait, daemon=True).start()
            error = None
            while not error:  # they may be on their way
                error, _ = outcome(strike, id(victim) + HEAD)
            assert type(error) is parallel.FrozenMemoryError, error
        """)

    @unittest.skipIf(os.process_cpu_count() < 2, "two callbacks at a time")
    def test_locks_of_the_interpreter_are_waited_for(self):
        """Who waits for one is noted in a table, and its owner hands it over."""
        self.check("full", """
            import _thread
            def body():
                for _ in range(20000):
                    _thread._make_thread_handle(1)  # goes with the lock held
                return "done"
            with parallel.Executor(memory="counted") as executor:
                work = [executor.submit(body) for _ in range(4)]
                assert {future.result() for future in work} == {"done"}
            """)

    def test_signals_come_while_the_world_is_open(self):
        for mode in "auto", "full":
            self.check(mode, """
                rang = []
                signal.signal(signal.SIGALRM, lambda *_: rang.append(1))
                def spin(seconds):
                    end = time.monotonic() + seconds
                    while time.monotonic() < end: pass
                signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
                while len(rang) < 10:
                    for _ in range(4):
                        parallel.submit_work(spin, 0.02)
                    parallel.run()
                signal.setitimer(signal.ITIMER_REAL, 0)
            """)

    def test_threads_that_compete_for_the_gil(self):
        for mode in "auto", "full":
            self.check(mode, """
                stop = []
                def count():
                    while not stop: [object() for _ in range(100)]
                threads = [threading.Thread(target=count) for _ in range(2)]
                for thread in threads: thread.start()
                with parallel.Executor() as executor:
                    assert sum(executor.map(abs, range(200))) == 19900
                stop.append(1)
                for thread in threads: thread.join()
            """)

    def test_what_a_step_calls_is_bound_before(self):
        """Else the linker's write would need a step, and that the linker's write."""
        with tempfile.TemporaryDirectory() as folder:
            self.check("full", """
                def body(): strike(id(victim) + HEAD)
                while not isinstance(outcome(body)[0], parallel.FrozenMemoryError):
                    pass  # the memory is not read-only each time
                outcome(os.getloadavg)
            """, LD_DEBUG="bindings", LD_DEBUG_OUTPUT=os.path.join(folder, "linker"))
            said = "".join(pathlib.Path(folder, name).read_text()
                           for name in os.listdir(folder))
        # a line is written in two pieces: what two threads say may stand in one
        bound = re.findall(r"binding file \S*python\S* .*?symbol `(\w+)'", said)
        self.assertIn("sched_yield", bound[:bound.index("getloadavg")])

    def test_a_process_that_a_context_starts(self):
        self.check("full", """
            import subprocess
            def call():
                return subprocess.run(["/bin/echo", "x"], capture_output=True).stdout
            call()
            error, result = outcome(call)
            assert error is None and result == b"x\\n", error
        """)


class HiddenWrites(GuardTest):
    """What the tracer has found and hooks stop now, without any guard."""

    def test_attributes_that_c_code_sets(self):
        self.check(None, """
            import decimal, functools
            def rename(): functools.wraps.__name__ = "x" * 100
            def requalify(): functools.wraps.__qualname__ = "x" * 100
            def default(): functools.wraps.__defaults__ = ((), ())
            def precision(context): context.prec = 5
            context = decimal.Context(prec=7)
            for func, args in ((rename, ()), (requalify, ()), (default, ()),
                               (precision, (context,))):
                error, _ = outcome(func, *args)
                assert type(error) is parallel.UnprotectedError, (func, error)
            assert functools.wraps.__name__ == "wraps"
            assert context.prec == 7
        """)

    def test_tables_of_int_are_there(self):
        self.check("full", """
            error, result = outcome(int, "z" * 50, 36)
            assert result == 36 ** 50 - 1, error
        """)

    def test_caches_of_main_are_left_alone(self):
        self.check("auto", """
            import abc, functools
            nested = functools.partial(dict, a=1)
            view = memoryview(b"abc")
            class Plain:
                def __getattr__(self, name): raise AttributeError(name)
            plain = Plain()
            del Plain.__getattr__
            def use():
                class Local(abc.ABC): pass
                Local.register(int)
                assert isinstance(1, Local) and not isinstance("", Local)
                assert nested(b=2) == {"a": 1, "b": 2}
                assert hash(view) == hash(b"abc")
                assert not hasattr(plain, "name")
            error, _ = outcome(use)
            assert error is None, error
        """)


class Modes(GuardTest):
    def test_a_name_that_is_none(self):
        done = run("ful", "")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("PYTHONPARALLELGUARD", done.stderr)

    def test_set_guard(self):
        self.check("off", """
            def hit(at):
                error, _ = outcome(strike, id(victim) + HEAD + at)
                return type(error).__name__
            assert hit(0) == "NoneType"
            parallel.set_guard("auto")
            assert hit(1) == "FrozenMemoryError"
            assert parallel.guard_stats()["mode"] == "auto"
            parallel.set_guard("full")
            assert hit(2) == "FrozenMemoryError"
            parallel.set_guard("off")
            assert hit(3) == "NoneType"
            assert victim[:5] == b"\\1\\0\\0\\1\\0"
            try:
                parallel.set_guard("on")
            except ValueError:
                pass
            else:
                raise SystemExit("no error")
        """)

    def test_an_unprepared_process_says_so(self):
        self.check(None, """
            parallel.set_guard("off")
            try:
                parallel.set_guard("auto")
            except parallel.ParallelError:
                pass
            else:
                raise SystemExit("no error")
            assert parallel.guard_stats()["mode"] == "off"
        """)

    def test_other_faults_are_passed_on(self):
        done = run("full", """
            import faulthandler
            faulthandler.enable()
            outcome(sum, range(10))
            ctypes.memset(8, 1, 1)
        """)
        self.assertEqual(done.returncode, -11)
        self.assertEqual(done.stderr.count("Fatal Python error: Segm"), 1)


    def test_traps_of_others_are_passed_on(self):
        self.check("auto", """
            got = []
            signal.signal(signal.SIGTRAP, lambda *it: got.append(it[0]))
            outcome(len, "")
            signal.raise_signal(signal.SIGTRAP)
            assert got == [signal.SIGTRAP], got
            signal.signal(signal.SIGTRAP, signal.SIG_IGN)
            outcome(len, "")
            signal.raise_signal(signal.SIGTRAP)
        """)
        done = run("auto", "signal.raise_signal(signal.SIGTRAP)")
        self.assertEqual(done.returncode, -signal.SIGTRAP)

    def test_an_interpreter_with_a_gil_of_its_own(self):
        """It runs beside contexts: hooks alone protect main's memory from them."""
        self.check("auto", """
            import _interpreters
            outcome(len, "")
            before = parallel.guard_stats()["heap_protected"]
            other = _interpreters.create("isolated")
            outcome(len, "")
            assert parallel.guard_stats()["heap_protected"] == before
            _interpreters.destroy(other)
            outcome(len, "")
            assert parallel.guard_stats()["heap_protected"] > before
        """)


class Traces(GuardTest):
    def trace(self, program):
        with tempfile.TemporaryDirectory() as folder:
            prefix = os.path.join(folder, "trace")
            self.check("trace", program, PYTHONPARALLELTRACE=prefix)
            files = [os.path.join(folder, name) for name in os.listdir(folder)]
            return trace_writes.sites_of(files)

    def test_a_site_with_its_count_and_callers(self):
        sites = self.trace("""
            def planted(address):
                for i in range(10):
                    strike(address + i)
            times = 0
            while times == 0:  # not while a thread of ours is on its way to sleep
                before = parallel.guard_stats()["heap_protected"]
                outcome(planted, id(victim) + HEAD)
                times = parallel.guard_stats()["heap_protected"] - before
            assert victim[:12] == bytes([1] * 10) + bytes(2)
        """)
        planted = [site for site in sites
                   if any(p.endswith(":strike") for p in site.pythons)]
        self.assertEqual(len(planted), 1, [site.text() for site in sites])
        self.assertEqual((planted[0].kind, planted[0].count), ("heap", 10))
        self.assertIn("ffi_call", planted[0].bare())

    def test_a_write_to_static_data_is_named(self):
        sites = self.trace("""
            slot = id(int) + 24
            outcome(strike, slot, ctypes.c_ubyte.from_address(slot).value)
        """)
        self.assertIn(("data", "PyLong_Type"),
                      [(s.kind, s.target.partition("+")[0]) for s in sites])


if __name__ == "__main__":
    unittest.main()
