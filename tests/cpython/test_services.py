"""Logging, asyncio and threads in a context: what main has set up serves contexts,
too, and what they set up is theirs.

Run by the patched interpreter: python tests/cpython/test_services.py
"""
import asyncio
import logging
import os
import subprocess
import sys
import tempfile
import threading
import unittest

import parallel
from support import Case, in_context


class Collecting(logging.Handler):
    """Of main's, with a list of main's: a context must not touch it."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(self.format(record))


log = logging.getLogger("px.services")


class LoggingTest(Case):

    def setUp(self):
        self.handler = Collecting()
        self.handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        log.addHandler(self.handler)
        self.addCleanup(log.removeHandler, self.handler)
        log.setLevel(logging.INFO)
        log.propagate = False

    def test_handlers_of_mains_get_the_record_when_it_is_over(self):
        def body():
            log.info("first %s", (n for n in "ab"))  # no argument can leave
            log.debug("not enabled")
            try:
                1 / 0
            except ZeroDivisionError:
                log.exception("oh")
            logging.getLogger("px.services.new").warning("last")
            return len(self.handler.lines)
        self.assertEqual(in_context(body), 0)
        first, oh, last = self.handler.lines
        self.assertTrue(first.startswith("INFO first <generator"))
        self.assertTrue(oh.startswith("ERROR oh\nTraceback"))
        self.assertTrue(oh.endswith("ZeroDivisionError: division by zero"))
        self.assertEqual(last, "WARNING last")
        self.assertNotIn("px.services.new", logging.Logger.manager.loggerDict)

    def test_one_that_fails_has_logged(self):
        def body():
            log.info("before")
            raise KeyError("px")
        self.assertRaises(KeyError, in_context, body)
        self.assertEqual(self.handler.lines, ["INFO before"])

    def test_files(self):
        with tempfile.NamedTemporaryFile("r") as file:
            handler = logging.FileHandler(file.name)
            log.addHandler(handler)
            in_context(log.warning, "to a file")
            log.removeHandler(handler)
            handler.close()
            self.assertEqual(file.read(), "to a file\n")

    def test_changes_are_the_contexts(self):
        def body():
            log.setLevel(logging.ERROR)
            mine = logging.getLogger("px.services")
            mine.propagate, mine.disabled = True, False
            mine.addHandler(logging.NullHandler())
            mine.removeHandler(self.handler)
            log.info("not enabled")
            logging.disable(logging.ERROR)
            return (log.getEffectiveLevel(), log.isEnabledFor(logging.ERROR),
                    log.isEnabledFor(logging.CRITICAL))
        log.isEnabledFor(logging.ERROR)  # main remembers that
        before = vars(log).copy(), log.handlers[:]
        self.assertEqual(in_context(body), (logging.ERROR, False, True))
        self.assertEqual((vars(log), log.handlers), before)
        self.assertEqual(logging.root.manager.disable, 0)
        self.assertEqual(in_context(log.getEffectiveLevel), logging.INFO)

    def test_a_logger_leaves_as_mains(self):
        def body():
            mine = logging.getLogger("px.services")
            mine.setLevel(1)
            return [mine, logging.getLogger()], log
        (mine, root), same = in_context(body)
        self.assertIs(mine, log)
        self.assertIs(same, log)
        self.assertIs(root, logging.getLogger())
        self.assertEqual(log.level, logging.INFO)

    def test_main_holds_the_lock(self):
        def body():
            for n in range(20):
                log.info(n)
        stream = logging.StreamHandler(sys.__stderr__)
        stream.setFormatter(logging.Formatter(""))
        stream.terminator = ""
        log.addHandler(stream)
        with parallel.Executor() as executor:
            futures = [executor.submit(body) for _ in range(4)]
            for _ in range(20):
                with stream.lock, self.handler.lock, logging._lock:
                    executor.submit(len, "").done()
            for future in futures:
                future.result()
        log.removeHandler(stream)
        self.assertEqual(len(self.handler.lines), 80)

    def test_lines_to_stderr_and_nothing_configured(self):
        code = """if 1:
            import logging, parallel
            log = logging.getLogger("main's")
            def body(n):
                log.warning("last resort %d", n)
                logging.warning("root %d", n)
            for n in range(3):
                parallel.submit_work(body, n)
            parallel.run()
            assert not logging.root.handlers
            """
        for mode in "off", "auto":
            done = subprocess.run([sys.executable, "-c", code], text=True,
                                  stderr=subprocess.PIPE, check=True,
                                  env={**os.environ, "PYTHONPARALLELGUARD": mode})
            lines = [f"{line} {n}" for n in range(3)
                     for line in ("last resort", "WARNING:root:root")]
            self.assertEqual(sorted(done.stderr.splitlines()), sorted(lines))


class AsyncioTest(Case):

    def test_beside_a_loop_of_mains(self):
        def body():
            return asyncio.run(asyncio.sleep(0.001, "theirs"))

        async def main():
            with parallel.Executor() as executor:
                future = executor.submit(body)
                while not future.done():
                    await asyncio.sleep(0.001)
            return future.result(), len(asyncio.all_tasks())
        self.assertEqual(asyncio.run(main()), ("theirs", 1))

    def test_nothing_is_left(self):
        async def work():
            server = await asyncio.start_server(print, "127.0.0.1", 0)
            task = asyncio.create_task(asyncio.sleep(100))
            await asyncio.sleep(0)
            return len(server.sockets), task.done()

        def body():
            return asyncio.run(work())
        policy = asyncio.events._event_loop_policy
        in_context(body)
        before = os.listdir("/proc/self/fd")
        for _ in range(5):
            self.assertEqual(in_context(body), (1, False))
        self.assertEqual(os.listdir("/proc/self/fd"), before)
        self.assertIs(asyncio.events._event_loop_policy, policy)

    def test_subprocess(self):
        async def work():
            process = await asyncio.create_subprocess_exec(
                "echo", "px", stdout=asyncio.subprocess.PIPE)
            return (await process.communicate())[0], process.returncode
        self.assertEqual(in_context(lambda: asyncio.run(work())), (b"px\n", 0))

    def test_threads_are_refused(self):
        async def work():
            return await asyncio.to_thread(len, "")
        with self.assertRaisesRegex(parallel.ParallelError, "thread"):
            in_context(lambda: asyncio.run(work()))


class ThreadTest(Case):

    def test_each_context_is_one(self):
        def body():
            me = threading.current_thread()
            other = threading.Thread(target=len)
            return (me is threading.current_thread(), me.is_alive(), other.name,
                    me in threading.enumerate(), threading.main_thread() is me)
        known = threading.enumerate()
        for _ in range(200):
            same, alive, _, listed, main = in_context(body)
            self.assertEqual((same, alive, listed, main), (True, True, True, False))
        self.assertEqual(threading.enumerate(), known)
        thread = threading.Thread(target=len, args=("",))
        thread.start()
        thread.join()

    def test_locks_of_mains_between_contexts(self):
        lock, again = threading.Lock(), threading.RLock()

        def body():
            with lock, again, again:
                return lock.locked(), lock.acquire(blocking=False)
        for _ in range(20):
            self.assertEqual(in_context(body), (True, False))
        self.assertFalse(lock.locked())
        with again:
            pass


if __name__ == "__main__":
    unittest.main()
