"""A million callbacks: errors, nested ones, Ctrl-C, exit, threads of main's that
want the GIL, and one callback that takes long beside them all.

Run by the patched interpreter: python tests/cpython/stress_submit.py
PX_STRESS: how many callbacks (30000).
"""
import collections
import faulthandler
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
import unittest
import warnings

import _parallel
import parallel

COUNT = int(os.environ.get("PX_STRESS", "30000"))
LONG = 300  # seconds: nothing takes so long, unless it hangs

# Whoever starts this in the background has it ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)


def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() >> 20


def body(i):
    """One in ten fails, some return more than a number."""
    text = str(i) * (i % 30)
    if i % 10 == 3:
        raise ValueError(i, text)
    return i, text, [i] * (i % 20)


def is_right(i, future):
    error = future.exception(LONG)
    if i % 10 == 3:
        return type(error) is ValueError and error.args == (i, str(i) * (i % 30))
    return error is None and future.result() == (i, str(i) * (i % 30),
                                                 [i] * (i % 20))


class Case(unittest.TestCase):
    def setUp(self):
        self.executor = parallel.Executor()
        self.addCleanup(self.executor.shutdown)
        self.stop = threading.Event()
        self.threads = []
        self.addCleanup(self.end_threads)

    def start_thread(self, target):
        self.threads.append(threading.Thread(target=target, daemon=True))
        self.threads[-1].start()

    def end_threads(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def want_the_gil(self):
        while not self.stop.is_set():
            sum(range(1000))
        self.turns += 1

    def want_it_at_times(self):
        while not self.stop.wait(0.0002):
            sum(range(1000))
        self.turns += 1

    def start_threads(self):
        self.turns = 0
        self.start_thread(self.want_the_gil)
        self.start_thread(self.want_it_at_times)

    def tearDown(self):
        self.assertEqual(_parallel._gil_takes(), 0)
        self.assertEqual(_parallel.find_strays(), [])


class Many(Case):
    def test_errors_and_memory(self):
        """At most 2,000 at a time; memory after a fifth is that at the end."""
        self.start_threads()
        work, wrong, sizes = collections.deque(), 0, []
        began = time.monotonic()
        for i in range(COUNT):
            work.append((i, self.executor.submit(body, i)))
            if len(work) > 2000:
                wrong += not is_right(*work.popleft())
            if i % (COUNT // 5) == COUNT // 5 - 1:
                sizes.append(resident_mb())
        wrong += sum(not is_right(*pair) for pair in work)
        print("%d callbacks, %d /s, resident %s MB"
              % (COUNT, COUNT / (time.monotonic() - began), sizes),
              file=sys.stderr)
        self.assertEqual(wrong, 0)
        self.assertLess(sizes[-1] - sizes[0], 48, sizes)

    def test_nested(self):
        """Callbacks have main submit more of them, two generations deep."""
        self.start_threads()
        seen = collections.Counter()

        def count(generation, i):
            seen[generation] += 1

        note = parallel.call_from_main_thread(count)

        def submit(generation, i):
            parallel.submit_work(nested, (generation, i))

        submit_later = parallel.call_from_main_thread(submit)

        def nested(generation, i):
            note(generation, i)
            if generation < 2:
                submit_later(generation + 1, i)
            if i % 10 == 3:
                raise ValueError(i)

        each, errors = COUNT // 3, 0
        for i in range(each):
            parallel.submit_work(nested, (0, i))
        over = False
        while not over:
            try:
                parallel.run()
                over = True
            except ValueError as error:
                self.assertEqual(error.args[0] % 10, 3)
                errors += 1
        self.assertEqual(seen, {generation: each for generation in range(3)})
        self.assertEqual(errors, 3 * len(range(3, each, 10)))

    def test_from_done_callbacks(self):
        """Each that is over submits the next one."""
        self.start_threads()
        total, lock, done = COUNT // 10, threading.Lock(), threading.Event()
        submitted, over = 8, 0

        def next_one(future):
            nonlocal submitted, over
            with lock:
                over += 1
                more = submitted < total
                submitted += more
            if more:
                self.executor.submit(body, 1).add_done_callback(next_one)
            elif over == total:
                done.set()
        for _ in range(submitted):
            self.executor.submit(body, 1).add_done_callback(next_one)
        self.assertTrue(done.wait(LONG))


class CtrlC(Case):
    def interrupt(self):
        choose = random.Random(0)
        while not self.stop.wait(choose.random() * 0.02):
            with self.lock:
                if self.armed:
                    self.armed = False
                    self.sent += 1
                    os.kill(os.getpid(), signal.SIGINT)

    def disarm(self):
        """What was sent strikes here, or never."""
        with self.lock:
            self.armed = False
        for _ in range(1000):
            pass

    def submit_some(self, first, count):
        """What a Ctrl-C leaves of them: those that were submitted end."""
        work = []
        try:
            self.armed = True
            for i in range(first, first + count):
                work.append((i, self.executor.submit(body, i)))
            for pair in work:
                is_right(*pair)
            self.disarm()
        except KeyboardInterrupt:
            self.caught += 1
        return work

    def test_in_the_middle(self):
        self.armed, self.lock = False, threading.Lock()
        self.sent = self.caught = wrong = ended = 0
        self.start_thread(self.interrupt)
        self.start_threads()
        for first in range(0, COUNT // 2, 500):
            for pair in self.submit_some(first, 500):
                if isinstance(pair[1].exception(LONG), KeyboardInterrupt):
                    ended += 1
                else:
                    wrong += not is_right(*pair)
        self.assertEqual(wrong, 0)
        self.assertGreater(self.sent, 0)
        self.assertEqual(self.caught, self.sent)
        print("%d times Ctrl-C, which ended %d callbacks" % (self.sent, ended),
              file=sys.stderr)


class LongOne(Case):
    def test_beside_mains_work(self):
        """What main drops meanwhile is bounded, and main is told."""
        stop = []

        def long():
            turns = 0
            while not stop:
                turns += 1
            return turns

        def work():
            nonlocal things
            things = [[str(i)] for i in range(100_000)]
            time.sleep(0.0001)  # contexts run: they may see them
            sizes.append(resident_mb())
        future = self.executor.submit(long)
        things, sizes = [], []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            end = time.monotonic() + LONG
            while not caught and time.monotonic() < end:
                work()
            told_after = len(sizes)
            work(), work()
        self.assertEqual([w.category for w in caught][:1], [RuntimeWarning])
        stop.append(1)
        self.assertGreater(future.result(LONG), 0)
        self.assertEqual(self.executor.submit(divmod, 7, 2).result(LONG), (3, 1))
        self.assertEqual(_parallel._limbo(), 0)
        self.assertLess(told_after, 20)
        print("main was told after %d times 200,000 objects, %d MB"
              % (told_after, sizes[-1]), file=sys.stderr)


CHILD = """
import parallel, threading, time
def body(i):
    return [i] * (i %% 100) if i %% 10 else 1 / 0
def submit():
    try:
        for i in range(100_000):
            parallel.submit_work(body, i)
    except parallel.ParallelError:
        pass
threading.Thread(target=submit, daemon=True).start()
executor = parallel.Executor()
for i in range(1000):
    executor.submit(body, 1)
time.sleep(%f)
"""


class Exit(unittest.TestCase):
    def test_in_the_middle(self):
        choose = random.Random(1)
        for _ in range(max(3, COUNT // 10_000)):
            child = subprocess.run(
                [sys.executable, "-c", CHILD % (choose.random() * 0.1)],
                capture_output=True, text=True, timeout=LONG)
            self.assertEqual(child.returncode, 0, child.stderr)
            told = child.stderr.count("Exception ignored at the end")
            self.assertLessEqual(told, 10)
            self.assertEqual(child.stderr.count("ZeroDivisionError: "), told)


if __name__ == "__main__":
    faulthandler.enable()
    unittest.main()
