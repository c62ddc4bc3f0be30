"""What the library asks where it keeps something: may it, here?

Functions of _parallel in the main interpreter; where there are no contexts -
in others, or without the module - what they are outside of one.
"""
try:
    from _parallel import environ_here, here, is_parallel_thread, local, owns
except ImportError:
    def owns(object):
        return True

    def is_parallel_thread():
        return False

    def here(object, make=None):
        return object

    def environ_here(data, change):
        return data

    local = None  # for what somebody else owns


def attributes(object):
    """Where what an object computes once is looked for, and kept."""
    if owns(object):
        return object.__dict__
    key = "attributes", id(object)  # main's: nobody gets its place meanwhile
    return local().get(key) or local().setdefault(key, object.__dict__.copy())
