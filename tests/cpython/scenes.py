"""Scenes: main changes its classes while callbacks are stopped that use them.

A *scene* makes classes of main's, and returns look() and change(). look() yields
once; change() is called meanwhile; what look() yields then must be the same on the
main side and in a context, however that is stopped.
"""
import parallel
import test_stop


def outcome(use, *args):
    """What can leave a context."""
    try:
        value = use(*args)
    except Exception as error:
        return type(error).__name__
    plain = type(value) in (int, str, float, bool, bytes, tuple, type(None))
    return value if plain else type(value).__name__


class Case(test_stop.Case):
    def stopped_in_a_call(self, body, change):
        future = self.submit(body, self.meeting.met)
        with self.meeting:
            change()
        return future.result(20)

    def stopped_at_a_look(self, body, change):
        flag, meeting = [], self.meeting

        def stop():
            meeting.begin()
            while not flag:
                pass
        future = self.submit(body, stop)
        self.meeting.await_begin()
        change()
        flag.append(1)
        return future.result(20)

    def stopped_to_ask(self, body, change):
        stop = parallel.call_from_main_thread_and_wait(lambda: change() and None)
        return self.submit(body, stop).result(20)

    def across(self, scene, *ways):
        """All ways to stop agree with what happens on the main side."""
        def expected():
            look, change = scene()
            steps = look()
            next(steps)
            change()
            return next(steps)
        right = expected()
        for way in ways or (self.stopped_in_a_call, self.stopped_at_a_look,
                            self.stopped_to_ask):
            look, change = scene()

            def body(stop):
                steps = look()
                next(steps)
                stop()
                return next(steps)
            with self.subTest(way=way.__name__):
                self.assertEqual(way(body, change), right)
        return right
