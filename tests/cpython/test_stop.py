"""Callbacks that are stopped in mid-flight, and what main does meanwhile.

Run by the patched interpreter: python tests/cpython/test_stop.py
stress_stop.py has random programs.
"""
import array
import gc
import os
import sys
import threading
import time
import unittest
import warnings
import weakref

import _parallel
import parallel


class Meeting:
    """A callback is held in mid-flight while main does something.

    In a context: met() waits until main has been. On the main side the block of
    `with meeting` runs while the callback waits in met().
    """

    def __init__(self):
        self.here, self._here = os.pipe()
        self.there, self._there = os.pipe()

    def begin(self):
        os.write(self._here, b"x")

    def met(self):
        self.begin()
        os.read(self.there, 1)

    def await_begin(self):
        os.read(self.here, 1)

    def __enter__(self):
        self.await_begin()

    def end(self):
        os.write(self._there, b"x")

    def __exit__(self, *_):
        self.end()

    def close(self):
        for fd in self.here, self._here, self.there, self._there:
            os.close(fd)


class Case(unittest.TestCase):
    def setUp(self):
        self.executor = parallel.Executor()
        self.addCleanup(self.executor.shutdown)
        self.meeting = Meeting()
        self.addCleanup(self.meeting.close)
        self.submit = self.executor.submit

    def tearDown(self):
        self.assertEqual(_parallel._gil_takes(), 0)
        self.assertEqual(_parallel.find_strays(), [])


class Thing:
    def __init__(self, value):
        self.value = value


# ---- main calls ------------------------------------------------------------

class MainCalls(Case):
    def test_result_and_order(self):
        seen = []

        @parallel.call_from_main_thread_and_wait
        def note(a, b=0):
            seen.append((a, b, parallel.is_parallel_thread()))
            return {"sum": [a + b]}

        def body():
            return [note(i, b=i)["sum"][0] for i in range(5)]
        self.assertEqual(self.submit(body).result(10), [0, 2, 4, 6, 8])
        self.assertEqual(seen, [(i, i, False) for i in range(5)])
        self.assertEqual(note(1), {"sum": [1]})
        self.assertEqual(note.__name__, "note")

    def test_exception(self):
        @parallel.call_from_main_thread_and_wait
        def fail(key):
            raise KeyError(key)

        def body():
            try:
                fail("x")
            except KeyError as error:
                error.add_note("mine now")
                return error.args, error.__notes__
        self.assertEqual(self.submit(body).result(10), (("x",), ["mine now"]))
        error = self.submit(fail, "y").exception(10)
        self.assertEqual((type(error), error.args), (KeyError, ("y",)))

    def test_results_are_mains(self):
        things = parallel.call_from_main_thread_and_wait(lambda: [[1], [2]])

        def body():
            got = things()
            things()
            try:
                got.append(3)
            except parallel.UnprotectedError:
                return [x[0] for x in got]
        self.assertEqual(self.submit(body).result(10), [1, 2])

    def test_arguments_that_cannot_leave(self):
        call = parallel.call_from_main_thread_and_wait(repr)

        def body():
            try:
                call(sys._getframe())
            except parallel.PersistenceError:
                return "refused"
        self.assertEqual(self.submit(body).result(10), "refused")

    def test_others_stop_for_it(self):
        """A long callback does not hold main's answers up."""
        stop = []
        finish = parallel.call_from_main_thread_and_wait(lambda: stop.append(1))

        def long():
            while not stop:
                pass
            return "done"
        first = self.submit(long)
        self.submit(finish).result(20)
        self.assertEqual(first.result(20), "done")

    def test_from_many(self):
        total = [0]

        def add(i):
            total[0] += i
            return total[0]
        call = parallel.call_from_main_thread_and_wait(add)
        work = [self.submit(call, i) for i in range(500)]
        for future in work:
            self.assertLessEqual(future.result(20), sum(range(500)))
        self.assertEqual(total[0], sum(range(500)))

    def test_in_run(self):
        seen = []
        call = parallel.call_from_main_thread_and_wait(seen.append)
        for i in range(20):
            parallel.submit_work(call, i)
        parallel.run()
        self.assertEqual(sorted(seen), list(range(20)))

    def test_no_loop_inside(self):
        @parallel.call_from_main_thread_and_wait
        def nested():
            parallel.run()
        self.assertIsInstance(self.submit(nested).exception(10),
                              parallel.ParallelError)

    def test_main_only_when_there_is_a_context(self):
        with self.assertRaises(parallel.ParallelError):
            _parallel.call_now(len, ((),), {})


# ---- who runs when ---------------------------------------------------------

class Turns(Case):
    def test_a_long_callback_does_not_hold_main_up(self):
        flag = []

        def body(meeting):
            meeting.begin()
            turns = 0
            while not flag:
                turns += 1
            return turns
        future = self.submit(body, self.meeting)
        self.meeting.await_begin()
        for _ in range(100000):
            pass
        flag.append(1)
        self.assertGreater(future.result(20), 0)

    def test_a_callback_that_waits_does_not_hold_main_up(self):
        future = self.submit(self.meeting.met)
        with self.meeting:
            self.assertFalse(future.done())
            for other in [self.submit(divmod, 7, 2) for _ in range(3)]:
                if os.process_cpu_count() > 1:
                    self.assertEqual(other.result(20), (3, 1))
        self.assertIsNone(future.result(20))

    def test_run_once_lands_callbacks(self):
        """What is in flight when one is over is over, too."""
        def slow():
            end = time.thread_time() + 0.05
            while time.thread_time() < end:
                pass
        for _ in range(4):
            parallel.submit_work(slow)
            parallel.submit_work(divmod, (7, 2))
        while parallel.run_once():
            self.assertEqual(_parallel._limbo(), 0)

    def test_the_time_of_run_once_is_over(self):
        flag = []

        def body():
            while not flag:
                pass
        parallel.submit_work(body)
        self.assertFalse(parallel.run_once(0.05))
        flag.append(1)
        parallel.run()

    def test_frames_of_callbacks_are_not_shown(self):
        future = self.submit(self.meeting.met)
        with self.meeting:
            names = [frame.f_code.co_name
                     for frame in sys._current_frames().values()]
        future.result(20)
        self.assertNotIn("met", names)


# ---- what main drops -------------------------------------------------------

class Limbo(Case):
    def while_stopped(self, look, change):
        """look() yields once, and main calls change() meanwhile."""
        def body(meeting):
            steps = look()
            next(steps)
            meeting.met()
            for result in steps:
                return result
        future = self.submit(body, self.meeting)
        with self.meeting:
            change()
            self.churn()
        return future.result(20)

    def churn(self):
        """Re-use memory that was freed too early."""
        for _ in range(3):
            junk = [[i, str(i), (i, i), float(i), {i: i}] for i in range(20000)]
            junk.clear()

    def test_object(self):
        things = [Thing([1, 2, 3]) for _ in range(100)]
        alive = weakref.ref(things[7])

        def look():
            mine = things[7]
            values = [thing.value for thing in things]
            yield
            yield mine.value, values
        result = self.while_stopped(look, things.clear)
        self.assertEqual(result, ([1, 2, 3], [[1, 2, 3]] * 100))
        self.submit(divmod, 1, 1).result(20)
        self.assertIsNone(alive())
        self.assertEqual(_parallel._limbo(), 0)

    def test_every_kind(self):
        kinds = [lambda: 10**30, lambda: 1.5 * 2, lambda: "x" * 100,
                 lambda: b"y" * 100, lambda: (1, [2]), lambda: [3, [4]],
                 lambda: {5: [6]}, lambda: {7, 8}, lambda: Thing(9).value,
                 lambda: bytearray(b"z" * 50), lambda: 1j * 2,
                 lambda: frozenset([10]), lambda: range(10**6, 10**6 + 9)]
        for kind in kinds:
            with self.subTest(repr(kind())):
                holder = [kind()]

                def look():
                    mine = holder[0]
                    yield
                    yield repr(mine)
                expected = repr(holder[0])
                self.assertEqual(self.while_stopped(look, holder.clear),
                                 expected)

    def test_class_and_function(self):
        space = {}
        exec("class C:\n    def f(self): return self.x + [1]\n", space)
        space["c"] = space["C"]()
        space["c"].x = [0]

        def look():
            c, f = space["c"], space["c"].f
            yield
            yield f(), c.f(), type(c).__name__

        def change():
            space["c"].x = [5]
            space["C"].f = lambda self: "other"
            space.clear()
        self.assertEqual(self.while_stopped(look, change),
                         ([5, 1], "other", "C"))

    def test_strings_in_place(self):
        holder = Thing("ab" * 20)
        def look():
            mine = holder.value
            yield
            yield mine

        def change():
            text = holder.value
            holder.value = None
            for i in range(100):
                text += "c"  # in place, were it not for the context
            holder.value = text
        self.assertEqual(self.while_stopped(look, change), "ab" * 20)
        self.assertEqual(holder.value, "ab" * 20 + "c" * 100)

    def test_tuples_in_place(self):
        def pairs():
            source = zip(range(1000), range(1000))
            holder.append(next(source))
            yield
            holder.clear()
            for pair in source:  # zip uses its tuple again
                pass
        holder = []
        steps = pairs()
        next(steps)

        def look():
            mine = holder[0]
            yield
            yield mine
        self.assertEqual(self.while_stopped(look, lambda: list(steps)), (0, 0))

    def test_floats_in_place(self):
        holder = [2.5 * len(sys.argv[:1])]

        def look():
            mine = holder[0]
            yield
            yield mine

        def change():
            x = holder.pop()
            for _ in range(1000):
                x = x + 1.0
            return x
        self.assertEqual(self.while_stopped(look, change), 2.5)

    @unittest.skipUnless(sys.getallocatedblocks(), "needs pymalloc")
    def test_floats_that_arithmetic_drops(self):
        holder = [float(i) for i in range(10_000)]

        def look():
            mine = holder[0]
            yield
            yield mine

        def change():
            while len(holder) > 1:
                holder.pop() + 1.0
            return holder.pop() + 1.0
        before = sys.getallocatedblocks()
        self.assertEqual(self.while_stopped(look, change), 0.0)
        self.assertLess(sys.getallocatedblocks(), before - 9_000)

    def test_cycles_wait(self):
        thing = Thing(None)
        thing.value = [thing, "kept"]
        holder, alive = [thing], weakref.ref(thing)
        del thing

        def look():
            mine = holder[0]
            yield
            yield mine.value[1]

        def change():
            holder.clear()
            gc.collect()
            self.assertIsNotNone(alive())
        self.assertEqual(self.while_stopped(look, change), "kept")
        gc.collect()
        self.assertIsNone(alive())

    def test_finalizers_come_later(self):
        seen = []

        class Final:
            def __del__(self):
                seen.append(1)
        holder = [Final()]

        def look():
            mine = holder[0]
            yield
            yield type(mine).__name__

        def change():
            holder.clear()
            self.assertEqual(seen, [])
            Final()  # nobody has seen this one
            self.assertEqual(seen, [1])
        self.assertEqual(self.while_stopped(look, change), "Final")
        self.submit(divmod, 1, 1).result(20)
        self.assertEqual(seen, [1, 1])

    @unittest.skipIf(os.process_cpu_count() < 2, "two callbacks at a time")
    def test_found_after_it_was_dropped(self):
        """By a callback that is younger than the one it is kept for."""
        word = "-".join(("found", "again"))
        for holder, find in (
                ([Thing("value")], lambda: weak()),
                ([sys.intern(word + "!")], lambda: sys.intern(word + "!"))):
            younger = Meeting()
            self.addCleanup(younger.close)
            self.addCleanup(younger.end)
            weak = weakref.ref(holder[0]) if type(holder[0]) is Thing else None

            def look():
                mine = find()
                younger.met()
                return getattr(mine, "value", mine)
            first = self.submit(self.meeting.met)
            with self.meeting:
                self.churn()
                holder.clear()
                second = self.submit(look)
                younger.await_begin()
            first.result(20)
            self.churn()
            younger.end()
            self.assertIn(second.result(20), ("value", word + "!"))
            if weak:
                self.submit(divmod, 1, 1).result(20)
                self.assertIsNone(weak())

    def test_a_finalizer_that_lets_callbacks_in(self):
        """What is dropped meanwhile is not dropped with what is finalized."""
        inner, holder, found = Meeting(), [Thing([1, 2, 3])], []
        self.addCleanup(inner.close)
        self.addCleanup(inner.end)

        def look():
            mine = holder[0]
            inner.met()
            return mine.value

        class Final:
            def __del__(final):
                found.append(self.submit(look))
                runner = threading.Thread(target=parallel.run)
                found.append(runner)
                runner.start()
                inner.await_begin()
                holder.clear()
        finals = [Final()]
        outer = self.submit(self.meeting.met)
        with self.meeting:
            finals.clear()
        outer.result(20)
        while holder:
            time.sleep(0.001)
        self.churn()
        inner.end()
        self.assertEqual(found[0].result(20), [1, 2, 3])
        found[1].join()

    def test_buffers(self):
        for make, grow in ((lambda: bytearray(b"abcd" * 10),
                            lambda b: b.extend(b"x" * 10000)),
                           (lambda: array.array("b", b"abcd" * 10),
                            lambda b: b.extend([1] * 10000))):
            buffer = make()

            def look():
                view = memoryview(buffer)
                yield
                yield bytes(view)

            def change():
                with self.assertRaises(BufferError):
                    grow(buffer)
                with self.assertRaises(BufferError):
                    del buffer[3:]
                buffer[0] = 122
            self.assertEqual(self.while_stopped(look, change),
                             b"zbcd" + b"abcd" * 9)
            grow(buffer)

    def test_views_that_main_releases(self):
        buffer = bytearray(b"abcd")
        view = memoryview(buffer)

        def look():
            mine = view[1:]
            yield
            yield bytes(mine)

        def change():
            try:
                view.release()
            except BufferError:
                return
            with self.assertRaises(BufferError):
                buffer.extend(b"x" * 1000)
        with self.assertRaises(ValueError):  # "released", as it would be here
            self.while_stopped(look, change)

    def test_iteration_over_what_changes(self):
        things = {i: str(i) for i in range(100)}

        def look():
            steps = iter(things.items())
            mine = [next(steps)]
            yield
            try:
                mine.extend(steps)
            except RuntimeError:
                yield mine[0]
        self.assertEqual(self.while_stopped(look, things.clear), (0, "0"))

    def test_memory_is_bounded(self):
        """Main's own objects do not wait."""
        def change():
            for i in range(300000):
                Thing([i, str(i)])
            self.assertLess(_parallel._limbo(), 10000)
        self.while_stopped(lambda: iter([0, 1]), change)


    def test_a_full_limbo_is_reported(self):
        things = [str(i) for i in range(1100000)]
        flag = []

        def body(meeting):
            meeting.begin()
            while not flag:
                pass
            return "done"
        future = self.submit(body, self.meeting)
        self.meeting.await_begin()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            things.clear()
            other = self.submit(divmod, 7, 2)
            end = time.monotonic() + 20
            while not caught and time.monotonic() < end:
                time.sleep(0.01)
        self.assertEqual(caught[0].category, RuntimeWarning)
        self.assertFalse(other.done())  # none begins
        flag.append(1)
        self.assertEqual(future.result(20), "done")
        self.assertEqual(other.result(20), (3, 1))
        self.assertEqual(_parallel._limbo(), 0)


# ---- who waits ---------------------------------------------------------------

class Patience(unittest.TestCase):
    def test_none_at_all_costs_no_cpu(self):
        """Who runs the loop sleeps while a long callback ends, however soon it
        would stop it if somebody asked."""
        parallel.set_stop_after(0)
        self.addCleanup(parallel.set_stop_after, 0.02)

        def compute():
            until = time.monotonic() + 1
            while time.monotonic() < until:
                pass
        parallel.submit_work(compute)
        parallel.submit_work(len, "")
        began = time.thread_time()
        parallel.run()
        self.assertLess(time.thread_time() - began, 0.1)


if __name__ == "__main__":
    unittest.main()
