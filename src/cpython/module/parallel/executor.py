"""The interface of concurrent.futures, with contexts for workers.

A future is PENDING until its callback is over, also while that is stopped in
mid-flight; nobody sees it RUNNING. It can be cancelled until then, and a cancelled
one that has not begun never does.
"""
import os as _os
import threading as _threading
import time as _time
import weakref as _weakref
from concurrent import futures as _futures
from concurrent.futures import _base

import _parallel

_executors = _weakref.WeakSet()
_pendings = _weakref.WeakValueDictionary()  # of all, also of those that are gone
_LOOK = 1.0  # seconds between two looks
_UNDONE = _base.PENDING, _base.RUNNING
_awaited = {}  # {a future: what a call for its callback waits for}


def _work(future, fn, args, kwargs):
    """In a context: main's future can be read."""
    if future._state == _base.CANCELLED:
        return None
    return fn(*args, **kwargs)


class _Condition(_threading.Condition):
    """Of a future: a call for a callback must not wait for what cannot happen."""

    def wait(self, timeout=None):
        if not _parallel.is_serving():
            return super().wait(timeout)
        end = None if timeout is None else _time.monotonic() + timeout
        while True:
            rest = _LOOK if end is None else end - _time.monotonic()
            if super().wait(min(rest, _LOOK)):
                return True
            if rest <= 0:
                return False
            if _parallel.is_stuck():
                raise _parallel.ParallelError(
                    "no worker is left to do what this call for a callback waits "
                    "for: all wait for such calls")


class _Waiters(list):
    """Of a future. Who waits for several has one event for all."""

    def append(self, waiter):
        if not isinstance(waiter.event._cond, _Condition):
            waiter.event._cond = _Condition(_threading.Lock())
        super().append(waiter)


class _Pending(set):
    """The futures of an executor that are not done. Each keeps it."""


class _Future(_futures.Future):
    """Who waits for it runs callbacks meanwhile, if nobody else does: that saves the
    way to another thread and back. But no done callbacks, which may want a lock that
    the waiting thread holds."""

    def _attend(self, timeout):
        """What is left of the timeout."""
        if timeout is None:
            while (self._state in _UNDONE
                   and _parallel.run_meanwhile(None)):
                pass
            return None
        end = _time.monotonic() + timeout
        while (self._state in _UNDONE and timeout > 0
               and _parallel.run_meanwhile(timeout)):
            timeout = end - _time.monotonic()
        return max(timeout, 0)

    def _leads_to(self, end):
        """It is the end, or what a call for its callback waits for leads to it."""
        future = self
        while future is not None and future is not end:
            future = _awaited.get(future)
        return future is end

    def _await(self, ask, timeout):
        """What is asked for when it is done."""
        mine = _parallel.served()
        noted = timeout is None and isinstance(mine, _Future) and not self.done()
        outer = _awaited.get(mine) if noted else None
        try:
            if noted:
                _refuse_circle([self])
                _awaited[mine] = self
            return ask(self._attend(timeout))
        finally:
            if outer is not None:
                _awaited[mine] = outer
            elif noted:
                _awaited.pop(mine, None)
            # what is raised keeps this frame, and must not keep itself
            self = ask = mine = outer = None

    def _invoke_callbacks(self):
        if not (self._done_callbacks
                and _parallel.hand_over(lambda error, result: self._call_all())):
            self._call_all()

    def _unlock(self):
        """What strikes as a condition is left, a shortage of memory, leaves it locked."""
        lock = self._condition._lock
        while lock._is_owned():
            lock.release()

    def _notify_again(self):
        """Ctrl-C struck after it was done: tell those who have not been told."""
        add = ("add_cancelled" if self.cancelled() else
               "add_exception" if self._exception else "add_result")
        with self._condition:
            for waiter in self._waiters:
                if self not in waiter.finished_futures:
                    getattr(waiter, add)(self)
            self._condition.notify_all()
        self._invoke_callbacks()

    def _call_all(self):
        """Each once, though Ctrl-C may have this begin anew."""
        callbacks = self._done_callbacks
        while callbacks:
            try:
                _parallel.call_first(callbacks, self)
            except Exception:
                _base.LOGGER.exception("done callback of %r", self)

    def cancel(self):
        """Also when its callback is in flight: that goes to its end, and what it
        returns or raises is lost. False if it has a result or an exception."""
        return super().cancel()

    def result(self, timeout=None):
        try:
            return self._await(super().result, timeout)
        finally:
            self = None

    def exception(self, timeout=None):
        try:
            return self._await(super().exception, timeout)
        finally:
            self = None

    result.__doc__ = _futures.Future.result.__doc__
    exception.__doc__ = _futures.Future.exception.__doc__


def _refuse_circle(futures):
    """A call for a callback must not wait for these if one waits for that callback."""
    mine = _parallel.served()
    if isinstance(mine, _Future) and any(one._leads_to(mine) for one in futures):
        raise _parallel.ParallelError(
            "this call for a callback waits for a future that waits for that "
            "callback")


def _refuse_in_context():
    if _parallel.is_parallel_thread():
        raise _parallel.ParallelError(
            "an executor is not possible in a context: submit_work() there, or let "
            "the main thread submit")


class Executor(_futures.Executor):
    """Runs callables in contexts, on every core: one for all the workers.

    It takes no max_workers: as many run at a time as there are CPUs, and none
    gives way to the next. On the main side, any thread; in a context:
    ParallelError.

    What a callable returns or raises is copied when it leaves the context, see
    PersistenceError. Contexts run whenever the main side waits: in
    future.result(), time.sleep(), select(), and in parallel.run().

    memory, the only argument, is that of parallel.submit_work(), for all that is
    submitted here.

    A done callback runs on whichever thread sees its future done, and holds
    up the others, but while it waits for a lock or another future.
    """

    def __init__(self, *, memory="auto"):
        _refuse_in_context()
        self._memory = _parallel.memory_named(memory)
        self._pending = _Pending()
        self._closed = False
        _executors.add(self)
        _pendings[id(self._pending)] = self._pending

    def submit(self, fn, /, *args, **kwargs):
        _refuse_in_context()
        if self._closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future = _Future()
        future._condition = _Condition()
        future._waiters = _Waiters()

        def notify(error, result):
            try:
                tell(error, result)
            except BaseException:
                future._unlock()
                raise

        def tell(error, result):
            pending.discard(future)
            if future._state not in _UNDONE:
                if future._state == _base.CANCELLED:
                    future.set_running_or_notify_cancel()
                else:
                    future._notify_again()
                return
            if (future._state == _base.PENDING
                    and not future.set_running_or_notify_cancel()):
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)
        pending = self._pending
        try:  # Ctrl-C may strike after each call
            pending.add(future)
            _parallel.submit(_work, (future, fn, args, kwargs), None, None,
                             None, notify, self._memory)
        except BaseException:
            pending.discard(future)
            raise
        return future

    submit.__doc__ = _futures.Executor.submit.__doc__

    def shutdown(self, wait=True, *, cancel_futures=False):
        """Take nothing more; with wait, return when all that was submitted is over.

        With cancel_futures what is not over is cancelled: what has not begun never
        does, the result of what is in flight is lost. That is waited for all the
        same. May be called again.
        """
        self._closed = True
        pending = list(self._pending)
        if cancel_futures:
            for future in pending:
                future.cancel()
        if wait:
            _refuse_circle(pending)
            _futures.wait(pending)


def _at_exit():
    """Like the executors of the standard library: what was submitted is done."""
    for executor in list(_executors):
        executor.shutdown(wait=False)
    for pending in list(_pendings.values()):
        _futures.wait(list(pending))


def _after_fork():
    """Nobody is there to do what was submitted before."""
    for pending in list(_pendings.values()):
        pending.clear()


_threading._register_atexit(_at_exit)
_os.register_at_fork(after_in_child=_after_fork)
