"""What the main side does when a callback imports what it has not imported."""
import contextlib
import importlib
import importlib._bootstrap as _bootstrap
import sys
import threading
import time

from _parallel import ParallelError, allow_method, set_importers

PATIENCE_S = 1.0


def _busy_elsewhere():
    """The name of a module that another thread is importing, or None.

    That thread may be waiting for the callback that asks, and we would wait for
    that thread: for ever.
    """
    me = threading.get_ident()
    for name, reference in list(_bootstrap._module_locks.items()):
        lock = reference()
        if lock is not None and lock.owner not in (None, me):
            return name
    return None


def _await_others():
    """None, or what another thread is still importing when patience is at its end."""
    until = time.monotonic() + PATIENCE_S
    while (busy := _busy_elsewhere()) is not None and time.monotonic() < until:
        time.sleep(0.001)
    return busy


def import_for_c(name):
    """The module, imported on the main side."""
    if (busy := _await_others()) is not None:
        raise ParallelError(
            f"a context cannot import {name!r} while the main side is "
            f"importing {busy!r}: let the main thread import it before")
    return importlib.import_module(name)


def import_library(name):
    """What is in sys.modules after importing it on the main side.

    None, or without it, has the context try for itself and see what is wrong.
    """
    if _await_others() is not None:
        return None
    with contextlib.suppress(Exception):
        importlib.import_module(name)
    return dict(sys.modules)


def allow_methods(cls, *names):
    """Let contexts call these methods of a class written in C on main's objects.

    For methods, and slots like __setitem__, that do not change the object, or
    that take care of threads themselves. Whether they do is not checked.
    """
    for name in names:
        allow_method(cls, name)


set_importers(import_for_c, import_library)
