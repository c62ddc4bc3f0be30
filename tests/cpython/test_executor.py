"""Who may run when: the coordinator, futures, forks, the end.

Run by the patched interpreter: python tests/cpython/test_executor.py
"""
import ast
import asyncio
import concurrent.futures as futures
import gc
import inspect
import os
import sys
import threading
import time
import traceback
import types
import unittest
import warnings

import _parallel
import parallel
from support import python


def spin(seconds):
    """Busy for so long, by this thread's own clock."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def divide(a, b=1):
    return a / b


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.001)
    return condition()


class Case(unittest.TestCase):
    def setUp(self):
        self.executor = parallel.Executor()
        self.addCleanup(self.executor.shutdown)

    def tearDown(self):
        self.assertEqual(_parallel._gil_takes(), 0)


# ---- contexts run whenever main waits --------------------------------------

class Coordinator(Case):
    def run_while(self, wait):
        """wait(future), which releases the GIL, lets a context run."""
        future = self.executor.submit(divide, 6, 2)
        wait(future)
        self.assertTrue(future.done())
        self.assertEqual(future.result(), 3)

    def test_in_result(self):
        self.run_while(lambda future: future.result(10))

    def test_in_sleep(self):
        self.run_while(lambda future: wait_for(future.done))  # by sleeping

    def test_in_select(self):
        def wait(future):
            reader, writer = os.pipe()
            future.add_done_callback(lambda f: os.write(writer, b"x"))
            self.assertEqual(os.read(reader, 1), b"x")
            os.close(reader), os.close(writer)
        self.run_while(wait)

    def test_in_lock(self):
        def wait(future):
            lock = threading.Lock()
            lock.acquire()
            future.add_done_callback(lambda f: lock.release())
            self.assertTrue(lock.acquire(timeout=10))
        self.run_while(wait)

    def test_while_main_computes(self):
        """Like any thread, the coordinator gets its turn."""
        future = self.executor.submit(divide, 1)
        end = time.monotonic() + 10
        while not future.done() and time.monotonic() < end:
            pass
        self.assertTrue(future.done())

    def test_main_gets_its_turn(self):
        """Between short callbacks main runs, however many wait."""
        work = [self.executor.submit(spin, 0.001) for _ in range(300)]
        turns = 0
        while not all(f.done() for f in work):
            turns += 1
            time.sleep(0)
        self.assertGreater(turns, 5)

    @unittest.skipIf(os.process_cpu_count() < 2, "one CPU, one worker")
    def test_callbacks_overlap(self):
        """Each waits for the other."""
        first, second = os.pipe(), os.pipe()

        def meet(send, receive):
            os.write(send, b"x")
            return os.read(receive, 1)
        work = [self.executor.submit(meet, first[1], second[0]),
                self.executor.submit(meet, second[1], first[0])]
        self.assertEqual([f.result(10) for f in work], [b"x", b"x"])
        for fd in first + second:
            os.close(fd)

    @unittest.skipIf(os.process_cpu_count() < 2, "one CPU, one worker")
    def test_what_is_done_beside_what_is_not(self):
        """It is told of, and what waits for a worker begins."""
        out, _ = python("""
            import parallel, threading
            go, told = [], threading.Event()
            def endless():
                while not go:
                    pass
                return "long"
            with parallel.Executor() as pool:
                long = pool.submit(endless)
                shorts = [pool.submit(int, i) for i in range(100)]
                print([each.result() for each in shorts] == list(range(100)))
                pool.submit(int).add_done_callback(lambda future: told.set())
                told.wait()
                go.append(1)
                print(long.result())
        """)
        self.assertEqual(out, "True\nlong\n")

    def test_run_in_other_threads(self):
        seen = []

        def body(n):
            for i in range(50):
                _parallel.submit(divide, (n * i,), None, None, None,
                                 lambda error, result: seen.append(result))
                if i % 5 == 0:
                    parallel.run()
            parallel.run()
        threads = [threading.Thread(target=body, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        parallel.run()
        self.assertEqual(sorted(seen),
                         sorted(n * i for n in range(4) for i in range(50)))

    def test_errors_reach_run(self):
        """Also when the coordinator was faster."""
        parallel.submit_work(divide, (1, 0))
        self.assertTrue(wait_for(lambda: not parallel.is_active()))
        with self.assertRaises(ZeroDivisionError):
            parallel.run()

    def test_run_once_tells_of_what_was_over_before(self):
        parallel.submit_work(divide, 1)
        self.assertTrue(wait_for(lambda: not parallel.is_active()))
        self.assertTrue(parallel.run_once())
        self.assertFalse(parallel.run_once())

    def test_run_in_a_done_callback(self):
        inner = []

        def callback(future):
            inner.append(self.executor.submit(divide, 8, 2))
            parallel.run()
        outer = self.executor.submit(divide, 4, 2)
        outer.add_done_callback(callback)
        self.assertTrue(wait_for(lambda: inner and inner[0].done()))
        self.assertEqual(inner[0].result(), 4)


# ---- futures ---------------------------------------------------------------

class Futures(Case):
    def test_map(self):
        self.assertEqual(list(self.executor.map(divide, range(50), [2] * 50)),
                         [i / 2 for i in range(50)])

    def test_keywords(self):
        self.assertEqual(self.executor.submit(divide, 6, b=3).result(), 2)

    def test_exception_with_traceback(self):
        error = self.executor.submit(divide, 1, 0).exception(10)
        self.assertIs(type(error), ZeroDivisionError)
        names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        self.assertEqual(names[-1], "divide")

    def test_errors_are_in_no_cycle(self):
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        for ask in (lambda: self.executor.submit(divide, 1, 0).result(),
                    lambda: list(self.executor.map(divide, [1], [0])),
                    lambda: self.executor.submit(divide, 1, 0).result(10)):
            with self.assertRaises(ZeroDivisionError):
                ask()
        self.assertEqual(gc.collect(), 0)

    def test_what_cannot_leave(self):
        with self.assertRaises(parallel.PersistenceError):
            self.executor.submit(sys._getframe).result(10)

    def test_submit_in_a_context(self):
        executor = self.executor
        with self.assertRaisesRegex(parallel.ParallelError, "submit_work"):
            executor.submit(lambda: executor.submit(int)).result()

    def test_none_in_a_context(self):
        with self.assertRaisesRegex(parallel.ParallelError, r"submit_work\(\)"):
            self.executor.submit(parallel.Executor).result(10)

    def test_as_completed_and_wait(self):
        work = {self.executor.submit(divide, i): i for i in range(100)}
        for future in futures.as_completed(work, timeout=20):
            self.assertEqual(future.result(), work.pop(future))
        self.assertEqual(work, {})
        work = [self.executor.submit(divide, i) for i in range(10)]
        done, rest = futures.wait(work, 10)
        self.assertEqual((len(done), len(rest)), (10, 0))

    def test_done_callback(self):
        seen = []
        future = self.executor.submit(divide, 1)
        future.add_done_callback(seen.append)
        self.assertTrue(wait_for(lambda: seen))
        self.assertEqual(seen, [future])

    def test_timeout(self):
        work = [self.executor.submit(time.sleep, 0.005) for _ in range(100)]
        with self.assertRaises(TimeoutError):
            work[-1].result(0.01)
        self.assertIsNone(work[-1].result(10))

    def test_cancel(self):
        reader, writer = os.pipe()
        future = self.executor.submit(os.write, writer, b"x")
        self.assertTrue(future.cancel())
        later = self.executor.submit(divide, 1)
        self.assertEqual(futures.wait([future, later], 10).not_done, set())
        self.assertTrue(future.cancelled())
        with self.assertRaises(futures.CancelledError):
            future.result()
        self.assertFalse(later.cancel())
        os.close(writer)
        self.assertEqual(os.read(reader, 1), b"")  # it has not begun
        os.close(reader)

    def test_shutdown(self):
        with parallel.Executor() as executor:
            work = [executor.submit(divide, i) for i in range(20)]
        self.assertTrue(all(f.done() for f in work))
        with self.assertRaises(RuntimeError):
            executor.submit(divide, 1)
        executor.shutdown()

    def test_shutdown_cancels(self):
        executor = parallel.Executor()
        work = [executor.submit(spin, 0.005) for _ in range(100)]
        executor.shutdown(cancel_futures=True)
        self.assertTrue(all(f.done() for f in work))
        self.assertTrue(work[-1].cancelled())

    def test_asyncio(self):
        async def main():
            loop = asyncio.get_running_loop()
            ticks = 0

            async def tick():
                nonlocal ticks
                while True:
                    ticks += 1
                    await asyncio.sleep(0.001)
            ticker = asyncio.create_task(tick())
            results = await asyncio.gather(
                *(loop.run_in_executor(self.executor, divide, i)
                  for i in range(200)))
            with self.assertRaises(ZeroDivisionError):
                await loop.run_in_executor(self.executor, divide, 1, 0)
            ticker.cancel()
            return results
        self.assertEqual(asyncio.run(main()), list(range(200)))


# ---- calls from contexts ---------------------------------------------------

class Calls(Case):
    def test_order_and_copies(self):
        seen = []
        put = parallel.call_from_main_thread(seen.append)

        def body():
            for i in range(3):
                put([i, "a" * i])
            return "result"
        future = self.executor.submit(body)
        future.add_done_callback(lambda f: seen.append(f.result()))
        self.assertTrue(wait_for(lambda: len(seen) == 4))
        self.assertEqual(seen, [[0, ""], [1, "a"], [2, "aa"], "result"])

    def test_methods_in_c_of_mains_objects(self):
        seen, table = [], {}

        def work():
            parallel.call_from_main_thread(seen.append)(1)
            parallel.call_from_main_thread(table.__setitem__)("key", [2])
            return seen.count, table.__len__
        count, length = self.executor.submit(work).result(10)
        self.assertEqual((seen, table), ([1], {"key": [2]}))
        self.assertEqual((count(1), length()), (1, 1))

    def test_methods_in_c_of_its_own_objects(self):
        """Main would tell a copy what the original is to hear."""
        for call in (parallel.call_from_main_thread,
                     parallel.call_from_main_thread_and_wait):
            with self.assertRaisesRegex(parallel.PersistenceError, "'append'.*a copy"):
                self.executor.submit(lambda: call([].append)(1)).result(10)
            with self.assertRaisesRegex(parallel.PersistenceError, "'__setitem__'.*a copy"):
                self.executor.submit(lambda: call({}.__setitem__)(1, 2)).result(10)

    def test_as_decorator(self):
        @parallel.call_from_main_thread
        def put(a, b):
            seen.append((a, b, parallel.is_parallel_thread()))
        seen = []
        put(1, b=2)
        self.executor.submit(lambda: put("x", b="y")).result(10)
        self.assertEqual(seen, [(1, 2, False), ("x", "y", False)])
        self.assertEqual(put.__name__, "put")

    def test_a_result_is_a_warning(self):
        call = parallel.call_from_main_thread(divide)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.executor.submit(lambda: call(1)).result(10)
        self.assertEqual([w.category for w in caught], [RuntimeWarning])

    def test_errors_reach_run(self):
        call = parallel.call_from_main_thread(divide)
        self.executor.submit(lambda: call(1, 0)).result(10)
        with self.assertRaises(ZeroDivisionError):
            parallel.run()
        self.executor.submit(lambda: call(sys._getframe())).result(10)
        with self.assertRaises(parallel.PersistenceError):
            parallel.run()

    def test_calls_of_a_callback_that_fails(self):
        seen = []
        put = parallel.call_from_main_thread(seen.append)

        def body():
            put("before")
            1 / 0
        self.assertIsInstance(self.executor.submit(body).exception(10),
                              ZeroDivisionError)
        self.assertEqual(seen, ["before"])


# ---- the module ------------------------------------------------------------

class Module(Case):
    def test_timeouts(self):
        parallel.run()  # what was over in other tests
        parallel.submit_work(divide, 1)
        self.assertTrue(parallel.run_once(float("inf")))
        for timeout in (0, -1, 1e300, 2**70):
            self.assertFalse(parallel.run_once(timeout))
        with self.assertRaises(ValueError):
            parallel.run_once(float("nan"))
        with self.assertRaises(TypeError):
            parallel.run_once("soon")

    def test_stubs(self):
        """They tell of all that there is, with the same parameters."""
        with open(parallel.__file__ + "i") as file:
            stubs = ast.parse(file.read())
        functions = {node.name: [arg.arg for arg in
                                 (*node.args.args, node.args.vararg,
                                  *node.args.kwonlyargs) if arg]
                     for node in stubs.body
                     if isinstance(node, ast.FunctionDef)}
        classes = {node.name for node in stubs.body
                   if isinstance(node, ast.ClassDef)}
        self.assertEqual(classes | set(functions) | {"Executor"},
                         set(parallel.__all__))
        for name, parameters in functions.items():
            function = getattr(parallel, name)
            if isinstance(function, types.FunctionType):
                self.assertEqual(list(inspect.signature(function).parameters),
                                 parameters, name)

    def test_documented(self):
        for name in parallel.__all__:
            self.assertTrue(getattr(parallel, name).__doc__, name)


# ---- forks, the end --------------------------------------------------------

class Ends(Case):
    def test_fork(self):
        self.executor.submit(divide, 1).result()
        late = self.executor.submit(divide, 1)
        out, _ = python("""
            import os, parallel
            executor = parallel.Executor()
            executor.submit(divmod, 7, 2).result()
            executor.submit(divmod, 7, 2)
            pid = os.fork()
            if not pid:
                for use in (lambda: executor.submit(divmod, 7, 2),
                            lambda: parallel.submit_work(print),
                            parallel.run):
                    try:
                        use()
                    except parallel.ParallelError as error:
                        print("fork" in str(error))
                raise SystemExit
            assert os.waitpid(pid, 0)[1] == 0
            print(executor.submit(divmod, 7, 2).result())
        """)
        self.assertEqual(out, "True\n" * 3 + "(3, 1)\n")
        self.assertEqual(late.result(), 1)

    def test_exit_waits_for_executors(self):
        out, _ = python("""
            import parallel, time
            executor = parallel.Executor()
            for i in range(100):
                executor.submit(time.sleep, 0.001).add_done_callback(
                    lambda f: print("done"))
        """)
        self.assertEqual(out, "done\n" * 100)

    def test_exit_with_work_under_way(self):
        for last in ("", "time.sleep(0.02)", "parallel.run_once()",
                     "sys.exit(0)", "_parallel._stop()", "os._exit(0)",
                     "threading.Thread(target=parallel.run, daemon=True).start()",
                     "threading.Thread(target=parallel.run).start()",
                     "atexit.register(parallel.submit_work, divmod, (1, 2))"):
            with self.subTest(last):
                python(f"""
                    import atexit, os, sys, threading, time
                    import _parallel, parallel
                    def body():
                        time.sleep(0.001)
                    for i in range(200):
                        parallel.submit_work(body)
                    {last}
                """)

    def test_submit_after_the_end(self):
        out, _ = python("""
            import atexit
            def late():
                import parallel
                try:
                    parallel.submit_work(divmod, (7, 2))
                except parallel.ParallelError as error:
                    print(error)
            atexit.register(late)
            import parallel
            parallel.submit_work(divmod, (7, 2))
        """)
        self.assertEqual(out, "the interpreter shuts down\n")


# ---- stress ----------------------------------------------------------------

class Stress(Case):
    def test_many_with_errors_while_threads_want_the_gil(self):
        count = int(os.environ.get("PX_STRESS", "100000"))
        stop = threading.Event()
        turns = [0, 0]

        def want(n):
            while not stop.is_set():
                sum(range(1000))
                turns[n] += 1
                if n:
                    time.sleep(0.0001)
        threads = [threading.Thread(target=want, args=(n,)) for n in range(2)]
        for thread in threads:
            thread.start()
        try:
            self.submit_many(count)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertGreater(min(turns), 0)

    def submit_many(self, count):
        work = [self.executor.submit(divide, i, i % 10) for i in range(count)]
        wrong = 0
        for i, future in enumerate(work):
            error = future.exception(60)
            if i % 10:
                wrong += error is not None or future.result() != i / (i % 10)
            else:
                wrong += type(error) is not ZeroDivisionError
        self.assertEqual(wrong, 0)

    def test_submit_from_many_threads(self):
        def body(n):
            for i in range(300):
                work[n].append(self.executor.submit(divide, i, n + 1))
                if i % 50 == 0:
                    work[n][-1].result(20)
        work = [[] for _ in range(6)]
        threads = [threading.Thread(target=body, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for n, mine in enumerate(work):
            self.assertEqual([f.result(20) for f in mine],
                             [i / (n + 1) for i in range(300)])

    def test_exit_in_the_middle(self):
        for delay in (0, 0.001, 0.005, 0.02):
            python(f"""
                import parallel, threading, time
                def body(i):
                    return [i] * (i % 100) if i % 10 else 1 / 0
                def submit():
                    try:
                        for i in range(100000):
                            parallel.submit_work(body, i)
                    except parallel.ParallelError:
                        pass
                threading.Thread(target=submit, daemon=True).start()
                time.sleep({delay})
            """)


if __name__ == "__main__":
    unittest.main()
