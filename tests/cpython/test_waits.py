"""Code of main's that waits for callbacks: in calls for them, in done callbacks.

Run by the patched interpreter: python tests/cpython/test_waits.py
"""
import asyncio
import concurrent.futures as futures
import os
import select
import subprocess
import threading
import time
import unittest

from support import run
import _parallel
import parallel
from parallel import executor

WORKERS = os.process_cpu_count()
SECONDS = 20  # more than all of it takes


class Case(unittest.TestCase):
    def setUp(self):
        self.executor = parallel.Executor()
        self.submit = self.executor.submit

    def tearDown(self):
        """What hangs is not waited for."""
        self.executor.shutdown(wait=False)
        self.assertEqual(_parallel._gil_takes(), 0)

    def all_of(self, work):
        """What they return: nobody waits for ever."""
        self.assertEqual(len(futures.wait(work, SECONDS).not_done), 0)
        return [future.result() for future in work]

    def wait_for(self, condition):
        end = time.monotonic() + SECONDS
        while not condition() and time.monotonic() < end:
            time.sleep(0.001)
        self.assertTrue(condition())


# ---- calls -----------------------------------------------------------------

@unittest.skipIf(WORKERS < 2, "one CPU, one worker")
class Calls(Case):
    def ask(self, wait):
        """What a callback gets that has main call wait(future of another)."""
        call = parallel.call_from_main_thread_and_wait(
            lambda: wait(self.submit(divmod, 7, 2)))
        return self.all_of([self.submit(call)])[0]

    def test_every_way_to_wait(self):
        def by_polling(future):
            while not future.done():
                time.sleep(0.001)
            return future.result()

        def by_event(future):
            event = threading.Event()
            future.add_done_callback(lambda future: event.set())
            event.wait()
            return future.result()

        def by_a_thread(future):
            seen = []
            thread = threading.Thread(target=lambda: seen.append(future.result()))
            thread.start()
            thread.join()
            return seen[0]
        ways = [lambda future: future.result(),
                lambda future: futures.wait([future]).done.pop().result(),
                lambda future: next(futures.as_completed([future])).result(),
                by_polling, by_event, by_a_thread]
        for number, wait in enumerate(ways):
            with self.subTest(number):
                self.assertEqual(self.ask(wait), (3, 1))

    def test_one_after_the_other(self):
        def call():
            return [self.submit(abs, -i).result() for i in range(20)]
        ask = parallel.call_from_main_thread_and_wait(call)
        self.assertEqual(self.all_of([self.submit(ask)]), [list(range(20))])

    def test_in_run(self):
        """Main serves the call itself."""
        seen = []
        ask = parallel.call_from_main_thread_and_wait(
            lambda: seen.append(self.submit(abs, -1).result(SECONDS)))
        parallel.submit_work(lambda: ask() and None)
        parallel.run()
        self.assertEqual(seen, [1])

    def test_run_does_not_hold_up_what_another_serves(self):
        """run_once() waits for what is in flight, which waits for what is not."""
        for _ in range(20):
            began = threading.Event()

            def call():
                began.set()
                return [self.submit(abs, i).result() for i in range(5)]
            ask = parallel.call_from_main_thread_and_wait(call)
            future = self.submit(ask)
            began.wait(SECONDS)
            parallel.submit_work(abs, (1,))
            while parallel.run_once(SECONDS):
                pass
            self.assertEqual(future.result(SECONDS), list(range(5)))

    def test_one_that_answers_while_another_waits(self):
        """A callback asks main, which waits for a callback that asks main."""
        inner = parallel.call_from_main_thread_and_wait(lambda: "inner")
        self.assertEqual(self.ask(lambda _: self.submit(inner).result()),
                         "inner")

    def test_later_calls(self):
        seen = []

        @parallel.call_from_main_thread
        def call(i):
            seen.append(self.submit(abs, -i).result())
        self.all_of([self.submit(call, i) for i in range(50)])
        self.assertEqual(sorted(seen), list(range(50)))

    def test_others_serve_one_at_a_time(self):
        """Calls that do not wait do not overlap."""
        inside, most = [0], [0]

        def call():
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            os.stat("/")  # lets the GIL go
            sum(range(100_000))
            inside[0] -= 1
        ask = parallel.call_from_main_thread_and_wait(call)
        self.all_of([self.submit(ask) for _ in range(50)])
        self.assertEqual(most, [1])

    def test_deeper_than_there_are_workers(self):
        """Somebody is told so, and the others go on."""
        @parallel.call_from_main_thread_and_wait
        def call(depth):
            return self.submit(call, depth - 1).result() if depth else "deep"
        error = self.submit(call, WORKERS + 2).exception(SECONDS)
        self.assertIsInstance(error, parallel.ParallelError)
        self.assertRegex(str(error), "no worker is left")
        self.assertEqual(self.all_of([self.submit(call, WORKERS - 2)]), ["deep"])

    def test_as_many_as_there_are_workers(self):
        @parallel.call_from_main_thread_and_wait
        def call():
            return self.submit(abs, -1).result()
        work = [self.submit(call) for _ in range(2 * WORKERS)]
        self.assertEqual(len(futures.wait(work, SECONDS).not_done), 0)
        self.assertTrue(all(isinstance(f.exception(), parallel.ParallelError)
                            or f.result() == 1 for f in work))


    def test_several_when_no_worker_is_left(self):
        for wait in futures.wait, lambda work: list(futures.as_completed(work)):
            @parallel.call_from_main_thread_and_wait
            def call(depth):
                try:
                    if depth:
                        wait([self.submit(call, depth - 1), self.submit(abs, -1)])
                except parallel.ParallelError as error:
                    told.append(str(error))
            told = []  # any of those who wait, which ends the others' waiting
            self.assertIsNone(self.submit(call, WORKERS + 2).exception(SECONDS))
            self.assertRegex(told[0], "no worker is left")

    def test_its_own_future(self):
        known = []

        @parallel.call_from_main_thread_and_wait
        def call(ask):
            if ask == "wait":
                return len(futures.wait(known[-1:], 0.01).not_done)
            try:
                return getattr(known[-1], ask)(0.01)
            except TimeoutError:
                pass
            return getattr(known[-1], ask)()
        for ask in "result", "exception":
            known.append(self.submit(call, ask))
            with self.assertRaisesRegex(parallel.ParallelError, "for that callback"):
                known[-1].result(SECONDS)
        known.append(self.submit(call, "wait"))
        self.assertEqual(known[-1].result(SECONDS), 1)
        self.assertEqual(executor._awaited, {})

    def test_in_a_circle(self):
        """One is told so, and the others go on."""
        work = []

        @parallel.call_from_main_thread_and_wait
        def call(i):
            return work[(i + 1) % WORKERS].result()

        def body(i):
            try:
                call(i)
            except parallel.ParallelError as error:
                return str(error)
        work += [self.submit(body, i) for i in range(WORKERS)]
        said = [one for one in self.all_of(work) if one]
        self.assertEqual(len(said), 1)
        self.assertRegex(said[0], "no worker is left|waits for that callback")

# ---- events of main's --------------------------------------------------------

class Events(Case):
    def test_until_it_is_set(self):
        def body():
            began()
            return flag.wait(), flag.wait(0), flag.is_set()
        flag = threading.Event()
        began = parallel.call_from_main_thread_and_wait(flag.set)
        work = self.submit(flag.wait)
        self.assertEqual(self.all_of([self.submit(body), work]), [(True, True, True), True])

    def test_for_a_time(self):
        flag = threading.Event()
        body = lambda: [flag.wait(timeout) for timeout in (0, -1, .01)]
        self.assertEqual(self.all_of([self.submit(body)]), [[False] * 3])

    def test_a_flag_to_stop(self):
        def body():
            rounds = 0
            while not flag.wait(.001):
                rounds += 1
                begun()
            return rounds
        flag, seen = threading.Event(), threading.Event()
        begun = parallel.call_from_main_thread_and_wait(seen.set)
        work = self.submit(body)
        seen.wait(SECONDS)
        flag.set()
        self.assertGreater(self.all_of([work])[0], 0)


# ---- in the system ----------------------------------------------------------

class Blocked(Case):
    """Main's code waits in a call that does not say for what."""

    def setUp(self):
        super().setUp()
        (self.ready, self.say_ready), (self.answer, self.say) = os.pipe(), os.pipe()
        for fd in (self.ready, self.say_ready, self.answer, self.say):
            self.addCleanup(os.close, fd)

    def answers(self):
        """A callback that goes on when main waits for it already."""
        ready, say = self.ready, self.say

        def work():
            os.read(ready, 1)
            return os.write(say, b"answer")
        return self.submit(work)

    def wait_by(self, read):
        os.write(self.say_ready, b"!")
        return read(self.answer)

    def by_select(self, fd):
        return os.read(select.select([fd], [], [])[0][0], 100)

    def by_asyncio(self, fd):
        async def wait():
            loop = asyncio.get_running_loop()
            seen = loop.create_future()
            loop.add_reader(fd, lambda: seen.set_result(os.read(fd, 100)))
            return await seen
        return asyncio.run(wait())

    def by_a_process(self, fd):
        return subprocess.run(["head", "-c6"], stdin=fd, capture_output=True).stdout

    def ways(self):
        return (lambda fd: os.read(fd, 100), self.by_select, self.by_asyncio,
                self.by_a_process)

    @unittest.skipIf(WORKERS < 2, "one CPU, one worker")
    def test_in_calls(self):
        for read in self.ways():
            with self.subTest(read=read):
                call = parallel.call_from_main_thread_and_wait(
                    lambda: self.wait_by(read))
                work = [self.submit(call), self.answers()]
                self.assertEqual(self.all_of(work), [b"answer", 6])

    def test_in_done_callbacks(self):
        for read in self.ways():
            with self.subTest(read=read):
                seen = futures.Future()
                self.submit(int).add_done_callback(
                    lambda _: seen.set_result(self.wait_by(read)))
                work = [seen, self.answers()]
                self.assertEqual(self.all_of(work), [b"answer", 6])

    @unittest.skipIf(WORKERS < 2, "one CPU, one worker")
    def test_for_one_that_makes_calls(self):
        """Served by somebody else, meanwhile."""
        answer = parallel.call_from_main_thread_and_wait(
            lambda: os.write(self.say, b"answer"))
        ready = self.ready

        def work():
            os.read(ready, 1)
            return answer()
        wait = parallel.call_from_main_thread_and_wait(
            lambda: self.wait_by(lambda fd: os.read(fd, 100)))
        self.assertEqual(self.all_of([self.submit(wait), self.submit(work)]),
                         [b"answer", 6])

    def test_in_run(self):
        said = []
        parallel.submit_work(parallel.call_from_main_thread(
            lambda: said.append(self.wait_by(lambda fd: os.read(fd, 100)))))
        later = self.answers()
        parallel.run()
        self.assertEqual((said, self.all_of([later])), ([b"answer"], [6]))

    def test_short_ones_are_let_be(self):
        """Done callbacks that are not long without the GIL do not overlap."""
        under_way, most = [], []

        def done(_):
            under_way.append(1)
            os.stat(__file__)
            most.append(len(under_way))
            under_way.pop()
        work = [self.submit(abs, i) for i in range(300)]
        for future in work:
            future.add_done_callback(done)
        self.all_of(work)
        self.wait_for(lambda: len(most) == len(work))
        self.assertEqual(max(most), 1)


# ---- done callbacks --------------------------------------------------------

class DoneCallbacks(Case):
    def test_another_future(self):
        seen = []
        self.submit(abs, -1).add_done_callback(
            lambda future: seen.append(self.submit(abs, -2).result()))
        self.wait_for(lambda: seen)
        self.assertEqual(seen, [2])

    def test_those_that_are_over_as_well(self):
        """Of one harvest, the first waits for the last."""
        seen = []
        for _ in range(50):
            work = [self.submit(abs, -i) for i in range(20)]
            work[0].add_done_callback(
                lambda future: seen.append(work[-1].result()))
            self.all_of(work)
        self.wait_for(lambda: len(seen) == 50)

    def test_each_in_the_other(self):
        depths = []

        def submit(depth):
            future = self.submit(abs, depth)
            future.add_done_callback(
                lambda future: (depth and submit(depth - 1).result(),
                                depths.append(depth)))
            return future
        submit(10)
        self.wait_for(lambda: len(depths) == 11)

    def test_run_in_several(self):
        """Each runs the loop until nothing is left but the others."""
        seen = []

        def callback(future):
            time.sleep(0.001)
            self.submit(abs, -1)
            parallel.run()
            seen.append(future)
        for _ in range(20):
            self.submit(abs, -1).add_done_callback(callback)
        self.wait_for(lambda: len(seen) == 20)

    def test_from_several_threads(self):
        def body():
            for i in range(30):
                future = self.submit(abs, -i)
                future.add_done_callback(
                    lambda future: seen.append(self.submit(abs, -1).result()))
                future.result(SECONDS)
        seen = []
        threads = [threading.Thread(target=body) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
        self.wait_for(lambda: len(seen) == 120)

    def test_shutdown(self):
        with parallel.Executor() as executor:
            work = [executor.submit(abs, -i) for i in range(20)]
            work[0].add_done_callback(lambda future: executor.shutdown())
        self.assertTrue(all(future.done() for future in work))


# ---- ends ------------------------------------------------------------------

class Ends(unittest.TestCase):
    def test_ctrl_c(self):
        """It strikes in the call, which main serves in run()."""
        out, _ = run("""
            import parallel, signal, threading
            main = threading.get_ident()
            executor = parallel.Executor()
            @parallel.call_from_main_thread_and_wait
            def call():
                threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGINT)).start()
                threading.Event().wait(10)
            def body():
                try:
                    call()
                except KeyboardInterrupt:
                    pass
            parallel.submit_work(body)
            try:
                parallel.run()
            except KeyboardInterrupt:
                print("interrupted")
            parallel.run()
            print(executor.submit(abs, -1).result())
        """)
        self.assertEqual(out, "interrupted\n1\n")

    def test_exit_in_the_middle(self):
        for last in "", "time.sleep(0.01)", "_parallel._stop()":
            with self.subTest(last):
                out, err = run(f"""
                    import _parallel, parallel, time
                    executor = parallel.Executor()
                    @parallel.call_from_main_thread_and_wait
                    def call():
                        return sum(executor.submit(abs, i).result()
                                   for i in range(10))
                    for _ in range(3):
                        future = executor.submit(abs, -1)
                        future.add_done_callback(
                            lambda future: executor.submit(abs, -2).result())
                    executor.submit(call).add_done_callback(
                        lambda future: print(future.exception() or 45))
                    {last}
                """)
                self.assertNotIn("Fatal", err)


if __name__ == "__main__":
    unittest.main()
