"""Threads that wait for a future run callbacks themselves, if nobody else does."""
import signal
import sys
import threading
import time
import unittest
from concurrent import futures

import _parallel
import parallel

SOON = 30  # seconds, for what must not hang


def square(x):
    return x * x


def busy(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return seconds


class Case(unittest.TestCase):
    def setUp(self):
        self.executor = parallel.Executor()
        self.addCleanup(self.executor.shutdown)

    def in_thread(self, function, *args):
        """A future of what a thread of the main side does."""
        pool = futures.ThreadPoolExecutor(1)
        self.addCleanup(pool.shutdown)
        return pool.submit(function, *args)


class WaitTest(Case):
    def test_who_waits_delivers(self):
        ran = 0
        for x in range(50):
            future = self.executor.submit(square, x)
            ran += _parallel.run_meanwhile(None)
            self.assertEqual(future.result(SOON), x * x)
        self.assertGreater(ran, 0)

    def test_nothing_to_run(self):
        self.assertFalse(_parallel.run_meanwhile(None))
        self.assertFalse(_parallel.run_meanwhile(0))
        self.assertFalse(_parallel.hand_over(print))
        with self.assertRaises(TypeError):
            _parallel.run_meanwhile("soon")

    def test_exception(self):
        for x in range(20):
            error = self.executor.submit(int, "no").exception(SOON)
            self.assertIsInstance(error, ValueError)
            self.assertIsNone(self.executor.submit(square, x).exception(SOON))

    def test_of_many(self):
        waiting = [self.executor.submit(square, x) for x in range(300)]
        self.assertEqual([future.result(SOON) for future in waiting],
                         [x * x for x in range(300)])

    def test_last_first(self):
        waiting = [self.executor.submit(square, x) for x in range(300)]
        self.assertEqual([future.result(SOON) for future in reversed(waiting)],
                         [x * x for x in reversed(range(300))])

    def test_timeout(self):
        future = self.executor.submit(busy, 1)
        began = time.monotonic()
        for timeout in 0, -1, 0.05:
            with self.assertRaises(TimeoutError):
                future.result(timeout)
            with self.assertRaises(TimeoutError):
                future.exception(timeout)
        self.assertLess(time.monotonic() - began, 0.9)
        self.assertEqual(future.result(SOON), 1)

    def test_bad_timeout(self):
        future = self.executor.submit(square, 3)
        with self.assertRaises(TypeError):
            future.result("soon")
        self.assertEqual(future.result(1e9), 9)

    def test_nobody_waits(self):
        """Then a coordinator has an alarm."""
        future = self.executor.submit(square, 3)
        end = time.monotonic() + SOON
        while not future.done() and time.monotonic() < end:
            pass
        self.assertTrue(future.done())


class ThreadsTest(Case):
    def test_others_compute(self):
        future = self.executor.submit(busy, 0.3)
        waiting = self.in_thread(future.result)
        turns = 0
        while not waiting.done():
            turns += 1
        self.assertEqual(waiting.result(), 0.3)
        self.assertGreater(turns, 1000)

    def test_two_wait(self):
        for _ in range(20):
            one, other = (self.executor.submit(busy, seconds)
                          for seconds in (0.002, 0.02))
            waiting = self.in_thread(other.result)
            self.assertEqual(one.result(SOON), 0.002)
            self.assertEqual(waiting.result(SOON), 0.02)

    def test_many_wait_for_one(self):
        future = self.executor.submit(busy, 0.05)
        waiting = [self.in_thread(future.result) for _ in range(5)]
        self.assertEqual([one.result(SOON) for one in waiting], [0.05] * 5)

    def test_submit_and_wait_everywhere(self):
        def work(first):
            return [self.executor.submit(square, x).result(SOON)
                    for x in range(first, first + 100)]
        waiting = [self.in_thread(work, first) for first in range(4)]
        for first, one in enumerate(waiting):
            self.assertEqual(one.result(SOON),
                             [x * x for x in range(first, first + 100)])

    def test_cancelled_while_waited_for(self):
        held = [self.executor.submit(busy, 0.5)
                for _ in range(2 * parallel.context_stats()["workers"])]
        last = self.executor.submit(square, 3)
        cancelled = self.in_thread(last.cancel)
        with self.assertRaises(futures.CancelledError):
            last.result(SOON)
        self.assertTrue(cancelled.result(SOON))
        self.assertEqual([one.result(SOON) for one in held], [0.5] * len(held))


class MainTest(Case):
    def test_answers_calls(self):
        @parallel.call_from_main_thread_and_wait
        def answer():
            return 42
        for _ in range(20):
            self.assertEqual(self.executor.submit(answer).result(SOON), 42)

    def test_holds_a_lock_of_a_done_callback(self):
        lock, seen = threading.Lock(), []

        def on_done(future):
            with lock:
                seen.append(future.result())
        for x in range(20):
            with lock:
                one, other = (self.executor.submit(square, x)
                              for _ in range(2))
                one.add_done_callback(on_done)
                self.assertEqual(other.result(SOON), x * x)
                self.assertEqual(one.result(SOON), x * x)
        end = time.monotonic() + SOON
        while len(seen) < 20 and time.monotonic() < end:
            time.sleep(0.001)
        self.assertEqual(sorted(seen), [x * x for x in range(20)])

    def test_holds_a_lock_of_a_call(self):
        lock, seen = threading.Lock(), []

        @parallel.call_from_main_thread
        def note(x):
            with lock:
                seen.append(x)

        def body(x):
            note(x)
            return x
        for x in range(20):
            with lock:
                one, other = (self.executor.submit(function, x)
                              for function in (body, square))
                self.assertEqual(other.result(SOON), x * x)
            self.assertEqual(one.result(SOON), x)
        self.assertEqual(sorted(seen), list(range(20)))

    def test_in_a_done_callback(self):
        inner = []

        def on_done(future):
            inner.append(self.executor.submit(square, 4).result(SOON))
        future = self.executor.submit(square, 3)
        future.add_done_callback(on_done)
        self.assertEqual(future.result(SOON), 9)
        end = time.monotonic() + SOON
        while not inner and time.monotonic() < end:
            time.sleep(0.001)
        self.assertEqual(inner, [16])

    def test_one_call_at_a_time(self):
        """Whoever makes it, until it waits: they need no lock among themselves."""
        old = sys.getswitchinterval()
        self.addCleanup(sys.setswitchinterval, old)
        sys.setswitchinterval(1e-5)
        inside = most = made = 0

        @parallel.call_from_main_thread
        def note():
            nonlocal inside, most, made
            inside += 1
            most = max(most, inside)
            made += sum(1 for _ in range(1000)) // 1000
            inside -= 1
        for _ in range(20):
            for _ in range(100):
                parallel.submit_work(note)
            while not inside and parallel.is_active():
                pass  # a coordinator is in the midst of one
            parallel.run()
        self.assertEqual((most, made), (1, 2000))

    def test_run_afterwards(self):
        out = []
        tell = parallel.call_from_main_thread(out.append)
        parallel.submit_work(square, 5, callback=tell)
        self.assertEqual(self.executor.submit(square, 3).result(SOON), 9)
        parallel.run()
        self.assertEqual(out, [25])

    def test_errors_reach_run_once(self):
        parallel.submit_work(int, "no")
        self.assertEqual(self.executor.submit(square, 3).result(SOON), 9)
        with self.assertRaises(ValueError):
            parallel.run()


class CtrlCTest(Case):
    """It strikes while the main thread delivers: no outcome is lost, and who waits
    or runs the loop gets it, once."""

    def setUp(self):
        super().setUp()
        old = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, old)

    def submit(self, *done_callbacks):
        """Strikes when those who wait are notified."""
        future = self.executor.submit(square, 3)
        notify_all = future._condition.notify_all

        def strike():
            future._condition.notify_all = notify_all
            signal.raise_signal(signal.SIGINT)
        future._condition.notify_all = strike
        for function in done_callbacks:
            future.add_done_callback(function)
        return future

    def test_in_result(self):
        for _ in range(20):
            future = self.submit()
            with self.assertRaises(KeyboardInterrupt):
                future.result(SOON)
            self.assertEqual(future.result(SOON), 9)
            parallel.run()

    def test_in_run(self):
        seen = []
        future = self.submit(seen.append, seen.append)
        with self.assertRaises(KeyboardInterrupt):
            parallel.run()
        self.assertEqual(seen, [future, future])
        self.assertEqual(future.result(SOON), 9)

    def test_others_that_wait(self):
        """It strikes before they are told."""
        class Waiters(list):
            struck = False

            def __iter__(self):
                if self and not self.struck:
                    self.struck = True
                    signal.raise_signal(signal.SIGINT)
                return super().__iter__()
        for function, argument in (square, 3), (int, "no"):
            future = self.executor.submit(function, argument)
            waiter = futures._base._AsCompletedWaiter()
            future._waiters = Waiters([waiter])
            with self.assertRaises(KeyboardInterrupt):
                parallel.run()
            self.assertTrue(future._waiters.struck)
            self.assertEqual(waiter.finished_futures, [future])
            self.assertTrue(waiter.event.is_set())

    def test_in_a_done_callback(self):
        """It ends that one, and the others are called once."""
        seen = []

        def strike(future):
            seen.append(1)
            signal.raise_signal(signal.SIGINT)
            seen.append(2)
        future = self.executor.submit(square, 3)
        for function in (seen.append, strike, seen.append):
            future.add_done_callback(function)
        with self.assertRaises(KeyboardInterrupt):
            parallel.run()
        self.assertEqual(seen, [future, 1, future])
        parallel.run()


if __name__ == "__main__":
    unittest.main()
