"""What becomes of a record that a callback logs to a handler of main's."""
import copy
import logging
import sys

from _parallel import call_later, owns


def _writes_lines(handler):
    """Whether it does no more than write a line to where print() of contexts goes."""
    stream = getattr(handler, "stream", None)
    return type(handler).emit is logging.StreamHandler.emit and \
        (stream in (sys.__stdout__, sys.__stderr__) or owns(stream))


def _emit(handler, record):
    with handler.lock:
        handler.emit(record)


def _prepare(handler, record):
    """A copy without what has its place in the context: arguments, frames."""
    record = copy.copy(record)
    record.msg, record.args = record.getMessage(), None
    if record.exc_info and not record.exc_text:
        formatter = handler.formatter or logging._defaultFormatter
        record.exc_text = formatter.formatException(record.exc_info)
    record.exc_info = None
    return record


def emit(handler, record):
    """In a context, with a handler of main's that lets the record pass.

    At once if that writes a line to stdout or stderr; else the main side does it
    when the callback is over, as with call_from_main_thread().
    """
    if _writes_lines(handler):
        _emit(handler, record)
    else:
        call_later(_emit, (handler, _prepare(handler, record)), {})
