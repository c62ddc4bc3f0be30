"""Run Python code in parallel contexts, on every core, without the GIL.

A context reads everything of the main thread and writes nothing of it; what
it allocates goes in one sweep when its callback is over.

    import parallel

    def count(text):
        return len(text.split())

    parallel.submit_work(count, "to be or not to be", callback=print)
    parallel.run()
"""
import atexit as _atexit

try:
    import _parallel
except ImportError as error:
    raise ImportError(
        "parallel needs a CPython built with the patches of libpxrt"
    ) from error

from _parallel import (
    ParallelError,
    PersistenceError,
    UnprotectedError,
    active_count,
    is_parallel_thread,
    memory_stats,
    thread_seq_id,
)

__all__ = [
    "ParallelError",
    "PersistenceError",
    "UnprotectedError",
    "NoEventsError",
    "active_count",
    "is_active",
    "is_parallel_thread",
    "memory_stats",
    "run",
    "run_once",
    "submit_work",
    "thread_seq_id",
]

_atexit.register(_parallel._stop)
_submitted = False


class NoEventsError(ParallelError):
    """Nothing was ever submitted, so there is nothing to run."""


def _as_arguments(args):
    if args is None:
        return ()
    return args if type(args) is tuple else (args,)


def submit_work(func, args=None, kwds=None, callback=None, errback=None):
    """Call func in a context: with args if that is a tuple, else func(args).

    When it returns, callback(result) is called in the same context; when it
    or callback raises, errback((type, value, traceback)). Both must return
    None. An exception that no errback deals with is raised by run_once().
    """
    global _submitted
    _parallel.submit(func, _as_arguments(args), kwds, callback, errback, None)
    _submitted = True


def run_once(timeout=None):
    """Let contexts run until one is over; True if one was.

    Raises the first exception that was not raised yet. timeout is in
    seconds; None waits for as long as there is something to do.
    """
    if not _submitted:
        raise NoEventsError("run_once() before anything was submitted")
    return _parallel.run_once(-1 if timeout is None else int(timeout * 1000))


def run():
    """Let contexts run until nothing is left to do."""
    while is_active():
        run_once()


def is_active():
    """Whether anything that was submitted is not over yet."""
    return active_count() > 0
