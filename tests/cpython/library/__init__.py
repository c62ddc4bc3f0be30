"""Typical uses of the standard library, a function a use: what its module's
documentation begins with, in a form that gives the same each time.

../test_library.py runs each on the main side and in a context and compares. What
they use they import themselves, so that a context can be the first to import it.
"""
from .data import *
from .internet import *
from .python import *
from .system import *
