"""Signals while callbacks run: who takes them, and Ctrl-C in every wait.

Run by the patched interpreter: python tests/cpython/test_signals.py
"""
import os
import re
import signal
import subprocess
import threading
import time
import unittest

import parallel
from support import in_context, python


class CtrlC(unittest.TestCase):
    def test_between_callbacks(self):
        out, _ = python("""
            import parallel, time
            def body(): time.sleep(0.02)
            for i in range(10000): parallel.submit_work(body)
            try:
                print("go", flush=True)
                parallel.run()
            except KeyboardInterrupt:
                print("interrupted", parallel.active_count() > 0)
        """, send=signal.SIGINT)
        self.assertEqual(out, "go\ninterrupted True\n")

    def check(self, wait):
        out, _ = python(f"""
            import os, parallel, time
            def body():
                os.write(1, b"go\\n")  # Ctrl-C comes while it runs
                while True: pass
            executor = parallel.Executor()
            def begin():
                return executor.submit(body)
            try:
                {wait}
            except KeyboardInterrupt:
                print("interrupted")
        """, send=signal.SIGINT)
        self.assertEqual(out, "go\ninterrupted\n")

    def test_ends_an_endless_callback(self):
        self.check("begin(); parallel.run()")

    def test_in_result(self):
        self.check("begin().result()")

    def test_in_sleep(self):
        self.check("begin(); time.sleep(100)")

    def test_once_for_each(self):
        """Who catches it puts things in order before it ends."""
        out, _ = python("""
            import parallel, threading, time
            def careful():
                held.acquire()
                try:
                    print("go", flush=True)
                    while True:
                        pass
                finally:
                    end = time.thread_time() + .3
                    while time.thread_time() < end:
                        pass
                    held.release()
            held = threading.Lock()
            pool = parallel.Executor()
            future = pool.submit(careful)
            try:
                future.result()
            except KeyboardInterrupt:
                print("interrupted", isinstance(future.exception(), KeyboardInterrupt))
            print(held.acquire(timeout=10))
        """, send=signal.SIGINT)
        self.assertEqual(out, "go\ninterrupted True\nTrue\n")

    def test_what_comes_of_it(self):
        """Main knows of the KeyboardInterrupt, but not of what a callback makes of it."""
        out, errors = python("""
            import parallel
            def body():
                try:
                    print("go", flush=True)
                    while True:
                        pass
                finally:
                    1 / 0
            parallel.submit_work(body)
            seen = []
            for _ in range(3):
                try:
                    parallel.run()
                except (KeyboardInterrupt, ZeroDivisionError) as error:
                    seen.append(type(error).__name__)
            print(*seen)
        """, send=signal.SIGINT)
        self.assertEqual(out, "go\nKeyboardInterrupt ZeroDivisionError\n")

    def test_while_callbacks_are_stopped(self):
        """By a thread of main's, for which they have been stopped."""
        out, _ = python("""
            import os, parallel, signal, threading
            def endless():
                began()
                while True:
                    pass
            def strike():
                may.wait()
                os.kill(os.getpid(), signal.SIGINT)
            may = threading.Event()
            began = parallel.call_from_main_thread_and_wait(may.set)
            threading.Thread(target=strike).start()
            try:
                with parallel.Executor() as pool:
                    pool.submit(endless).result()
            except KeyboardInterrupt:
                print("interrupted")
        """)
        self.assertEqual(out, "interrupted\n")

    def test_in_submit(self):
        """Nobody waits for what was not submitted."""
        class Struck(set):
            def add(self, future):
                super().add(future)
                raise KeyboardInterrupt
        executor = parallel.Executor()
        executor._pending = Struck()
        with self.assertRaises(KeyboardInterrupt):
            executor.submit(divmod, 7, 2)
        self.assertEqual(len(executor._pending), 0)


class Others(unittest.TestCase):
    """Each is handled, once, while a callback waits for that."""

    def handle(self, send, run, rounds=20):
        """send() is called in a context, which sees it handled before its end."""
        seen = []
        old = signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
        self.addCleanup(signal.signal, signal.SIGUSR1, old)

        def body(number):
            end = time.monotonic() + 10
            send()
            while len(seen) < number:
                assert time.monotonic() < end, "nobody handles the signal"
        for number in range(1, rounds + 1):
            run(body, number)
            self.assertEqual(len(seen), number)

    @staticmethod
    def wait(*work):
        with parallel.Executor() as executor:
            executor.submit(*work).result()

    @staticmethod
    def kill():
        pid = os.getpid()
        return lambda: os.kill(pid, signal.SIGUSR1)

    def test_to_its_own_thread(self):
        """That takes none, so it is refused."""
        with self.assertRaisesRegex(parallel.ParallelError, "raise_signal"):
            in_context(signal.raise_signal, signal.SIGUSR1)

    def test_of_a_context(self):
        self.handle(self.kill(), self.wait)

    def test_while_main_runs_the_loop(self):
        self.handle(self.kill(), in_context)

    def test_while_main_sleeps(self):
        def sleep(*work):
            with parallel.Executor() as executor:
                future = executor.submit(*work)
                while not future.done():
                    time.sleep(0.1)
        self.handle(self.kill(), sleep)

    @staticmethod
    def send():
        """To a thread that is not main's, while that may sleep."""
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

    def test_that_do_not_wake_main(self):
        """As those that come just before it sleeps do not: another thread's."""
        @parallel.call_from_main_thread_and_wait
        def ask_thread():
            threading.Thread(target=self.send).start()
        self.handle(ask_thread, self.wait)

    def test_that_write_to_a_descriptor(self):
        """A byte for each, and main is not sent any once more, which would write
        another: it sleeps until the callback has ended, and handles it then."""
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        self.addCleanup(os.close, write)
        os.set_blocking(write, False)
        self.addCleanup(signal.set_wakeup_fd, signal.set_wakeup_fd(write))
        seen = []
        old = signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
        self.addCleanup(signal.signal, signal.SIGUSR1, old)
        go = threading.Event()
        sender = threading.Thread(target=lambda: (go.wait(), self.send()))
        sender.start()
        with parallel.Executor() as executor:
            future = executor.submit(lambda: sum(range(3_000_000)))
            go.set()
            future.result()
        sender.join()
        self.assertEqual((seen, os.read(read, 100)),
                         ([1], bytes([signal.SIGUSR1])))


def blocked(task="thread-self"):
    """The mask of signals that it blocks."""
    with open(f"/proc/{task}/status") as file:
        return re.search(r"SigBlk:\s*(\w+)", file.read())[1]


class Deliveries(unittest.TestCase):
    """They strike while run() tells futures what came of them."""

    def setUp(self):
        self.executor = parallel.Executor()
        self.addCleanup(self.executor.shutdown)
        self.addCleanup(signal.signal, signal.SIGALRM,
                        signal.signal(signal.SIGALRM, self.strike))
        self.armed, self.struck = False, 0

    def strike(self, *_):
        if self.armed:
            self.armed = False
            self.struck += 1
            raise self.error

    def run_until_it_ends(self):
        raised = 0
        while parallel.is_active():
            try:
                self.armed = True
                parallel.run()
                self.armed = False
            except self.error:
                raised += 1
        return raised

    def test_in_the_midst_of_a_step(self):
        """No handler runs before it is whole."""
        for self.error in KeyboardInterrupt, TimeoutError:
            told = []

            class Waiter:
                event, finished_futures = threading.Event(), []

                def add_result(self, future):
                    told.append(future)
                    signal.raise_signal(signal.SIGALRM)
                    told.append(future._condition._is_owned())
            future = self.executor.submit(int)
            future._waiters.append(Waiter())
            self.assertEqual(self.run_until_it_ends(), 1)
            self.assertEqual(told, [future, True])
            self.assertFalse(future._condition._is_owned())

    def test_done_callbacks(self):
        """Each is called once, and what a handler raises is not theirs."""
        self.addCleanup(signal.setitimer, signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_REAL, 0.0011, 0.0011)
        for self.error in KeyboardInterrupt, TimeoutError:
            called, added, raised, self.struck = [], 0, 0, 0
            while self.struck < 300:
                for future in [self.executor.submit(int) for _ in range(50)]:
                    for _ in range(20):
                        future.add_done_callback(called.append)
                        added += 1
                raised += self.run_until_it_ends()
            self.assertEqual((len(called), raised), (added, self.struck))


class Forks(unittest.TestCase):
    """Main's code forks in the midst of run(): the child has no workers."""

    def check(self, begin):
        out, _ = python(f"""
            import os, parallel, signal, sys, warnings
            warnings.simplefilter("ignore")
            children = []
            def fork(*_):
                children.append(os.fork())
            executor = parallel.Executor()
            {begin}
            for _ in range(4):
                executor.submit(sum, range(100000))
            try:
                parallel.run()
                result = "done"
            except parallel.ParallelError as error:
                result = str(error)
            if children == [0]:
                print(result, flush=True)
                os._exit(0)
            os.waitpid(children[0], 0)
            print(result)
        """)
        self.assertEqual(out, "the child of a fork has no workers: start processes "
                              "with exec or 'spawn'\ndone\n")

    def test_in_a_call(self):
        self.check("executor.submit(parallel.call_from_main_thread(fork))")

    def test_in_a_call_that_is_waited_for(self):
        self.check("executor.submit(parallel.call_from_main_thread_and_wait(fork))")

    def test_in_a_done_callback(self):
        self.check("executor.submit(int).add_done_callback(fork)")

    def test_in_a_handler(self):
        self.check("signal.signal(signal.SIGUSR1, fork); executor.submit(os.kill, "
                   "os.getpid(), signal.SIGUSR1)")


class Children(unittest.TestCase):
    """What starts anywhere takes the signals that main takes."""

    def starts(self):
        """Ways to start a process that says what it blocks."""
        words = ["grep", "SigBlk", "/proc/self/status"]

        def spawn():
            read, write = os.pipe()
            pid = os.posix_spawnp(words[0], words, os.environ, file_actions=[
                (os.POSIX_SPAWN_DUP2, write, 1)])
            os.close(write)
            os.waitpid(pid, 0)
            with open(read) as file:
                return file.read().split()[1]
        return (lambda: subprocess.check_output(words, text=True).split()[1],
                spawn,
                lambda: os.system("exec grep -q 'SigBlk:.0*$' /proc/self/status"))

    def test_of_contexts(self):
        for start in self.starts():
            self.assertEqual(in_context(start), start())

    def test_of_calls(self):
        with parallel.Executor() as executor:
            for start in self.starts():
                call = parallel.call_from_main_thread_and_wait(start)
                self.assertEqual(executor.submit(call).result(), start())

    def test_they_can_be_ended(self):
        def end():
            with subprocess.Popen(["sleep", "60"]) as process:
                process.terminate()
            return process.returncode
        self.assertEqual(in_context(end), -signal.SIGTERM)

    def test_threads_of_calls(self):
        seen = []

        def begin():
            thread = threading.Thread(target=lambda: seen.append(blocked()))
            thread.start()
            thread.join()
        call = parallel.call_from_main_thread_and_wait(begin)
        with parallel.Executor() as executor:
            executor.submit(call).result()
        self.assertEqual(seen, [blocked()])

    def test_workers_take_none_afterwards(self):
        def start():
            before = blocked()
            subprocess.run(["true"])
            return before, blocked()
        for _ in range(20):
            before, after = in_context(start)
            self.assertNotEqual(before, blocked())
            self.assertEqual(after, blocked())


if __name__ == "__main__":
    unittest.main()
