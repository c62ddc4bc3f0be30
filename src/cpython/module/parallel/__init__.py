"""Run Python code in parallel contexts, on every core, without the GIL.

A context reads everything of the main thread and writes nothing of it; what
it allocates goes in one sweep when its callback is over.

Any thread of the main side may call what is here. In a context run(),
run_once(), Executor, allow_methods(), guard_stats() and what sets something
raise ParallelError.

    import parallel

    def count(text):
        return len(text.split())

    parallel.submit_work(count, "to be or not to be", callback=print)
    parallel.run()
"""
import atexit as _atexit
import functools as _functools
import importlib as _importlib
import re as _re
import sys as _sys

try:
    import _parallel
except ModuleNotFoundError as error:
    raise ImportError(
        "parallel needs a CPython built with the patches of libpxrt"
    ) from error

from _parallel import (
    FrozenMemoryError,
    ParallelError,
    PersistenceError,
    UnprotectedError,
    active_count,
    context_stats,
    guard_stats,
    is_parallel_thread,
    memory_stats,
    set_guard,
    set_memory_limit,
    set_stop_after,
    thread_seq_id,
)

from . import logs as _logs  # here and not in a context, which would import it
from .executor import Executor
from .imports import allow_methods

__all__ = [
    "Executor",
    "FrozenMemoryError",
    "ParallelError",
    "PersistenceError",
    "UnprotectedError",
    "NoEventsError",
    "active_count",
    "allow_methods",
    "call_from_main_thread",
    "call_from_main_thread_and_wait",
    "context_stats",
    "guard_stats",
    "is_active",
    "is_parallel_thread",
    "memory_stats",
    "run",
    "run_once",
    "set_guard",
    "set_memory_limit",
    "set_stop_after",
    "submit_work",
    "thread_seq_id",
]

# A context has the main side import a module in C, which stops it. Those that
# are part of the interpreter cost 0.1 ms each; \N{...} in a string needs
# unicodedata. What formats a traceback imports ast.
for _name in (*_sys.builtin_module_names, "unicodedata", "ast"):
    _importlib.import_module(_name)

_atexit.register(_parallel._stop)
_re.sub("", r"\g<0>", "")  # its code in C remembers what it needs for this


class NoEventsError(ParallelError):
    """Nothing was ever submitted, so there is nothing to run."""


def _as_arguments(args):
    if args is None:
        return ()
    return args if type(args) is tuple else (args,)


def _milliseconds(timeout):
    if timeout is None:
        return -1
    return int(min(max(timeout * 1000, 0), 2**62))


def submit_work(func, args=None, kwds=None, callback=None, errback=None, *,
                memory="auto"):
    """Call func in a context: func(*args, **kwds).

    args is a tuple. Anything else, a named tuple, too, is the only argument,
    and None is none.

    When func returns, callback(result) is called in the same context; when it
    or callback raises, errback((type, value, traceback)), there, too. Both
    must return None. An exception that no errback deals with is raised by
    run_once(), or written to stderr when the process ends.

    memory says when objects of the context go: "counted", when nothing refers
    to them, as on the main side; "arena", all at once when it is over; "auto",
    so until there is 1 MB of them or code could tell the difference (finalizers,
    weak references, views of what can be resized, generators with `finally`).

    In a context, the work is submitted when the callback is over, with copies
    of the arguments.
    """
    number = _parallel.memory_named(memory)
    for call in (callback, errback):
        if call is not None:
            _need_callable(call)
    if is_parallel_thread():
        _need_callable(func)
        call_from_main_thread(submit_work)(func, args, kwds, callback, errback,
                                           memory=memory)
        return
    _parallel.submit(func, _as_arguments(args), kwds, callback, errback, None,
                     number)


def run_once(timeout=None):
    """Let contexts run until one is over; True if one was.

    Raises the first exception that was not raised yet; NoEventsError if nothing
    was ever submitted. timeout is in seconds; None waits for as long as there
    is something to do. Callbacks in flight end before it returns, unless the
    time is over. On the main side, any thread; in a context: ParallelError.
    """
    some = _parallel.run_once(_milliseconds(timeout))
    if not some and not context_stats()["workers"]:
        raise NoEventsError("run_once() before anything was submitted")
    return some


def run():
    """Let contexts run until nothing is left to do.

    Raises the first exception that was not raised yet; what else is to be done
    goes on then, whenever the main thread waits, and in the next run(). If
    nothing was ever submitted it returns. On the main side, any thread; in a
    context: ParallelError.
    """
    while _parallel.run_once(-1, True):
        pass


def _need_callable(func):
    if not callable(func):
        raise TypeError(f"a {type(func).__name__!r} object is not callable")


def call_from_main_thread(func):
    """A function that has the main thread call func, as a decorator or inline.

    Called in a context it returns None at once; when the callback is over, on
    the main side func is called with copies of the arguments, in the order of
    these calls. What func returns goes nowhere: anything but None is a
    RuntimeWarning. What it raises is raised by run_once(). On the main side it
    is func. Others are called meanwhile if it waits for a lock, or a future of
    an Executor - but not for the one of this callback.
    """
    _need_callable(func)

    @_functools.wraps(func)
    def call(*args, **kwargs):
        if not is_parallel_thread():
            return func(*args, **kwargs)
        return _parallel.call_later(func, args, kwargs)
    return call


def call_from_main_thread_and_wait(func):
    """The same, but the context waits for what func returns or raises.

    The callback stops in mid-flight until the main side has called func with
    copies of the arguments. What func returns is main's, to be read; what it
    raises is raised in the context. In func the loop cannot be run, but it may
    wait for futures of an Executor: ParallelError if no worker is left to do
    them, as all have called functions that wait so.
    """
    _need_callable(func)

    @_functools.wraps(func)
    def call(*args, **kwargs):
        if not is_parallel_thread():
            return func(*args, **kwargs)
        return _parallel.call_now(func, args, kwargs)
    return call


def is_active():
    """Whether anything that was submitted is not over yet."""
    return active_count() > 0
