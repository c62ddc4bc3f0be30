"""Random programs as in stress_stop.py, while main binds anew what they are in the
midst of: code, defaults, cells, dicts, classes and modules.

Run by the patched interpreter: python tests/cpython/stress_rebind.py
PX_STOP_SECONDS, PX_STOP_SEED: as for stress_stop.py.

A *pair* is two equal numbers, and stays so whoever holds it.
"""
import collections
import contextlib
import faulthandler
import gc
import hashlib
import io
import itertools
import os
import sys
import traceback
import types
import unittest
import weakref
import zlib

import stress_loops
import stress_stop
from stress_loops import check, pair


def tally(count, given=pair(1), *, named=pair(2)):
    total = 0
    for _ in range(count):
        total += 1
    return total, given, named


def other_tally(count, given=pair(1), *, named=pair(2)):
    return len([None for _ in range(count)]), given, named


CODES = [tally.__code__, other_tally.__code__]


def cell_of(value):
    def get():
        for _ in range(5):
            mine = value
        return mine
    return get


class Plain:
    fixed = pair(3)
    made = property(lambda self: self.pair)

    def __init__(self, n=1):
        self.pair = pair(n)

    def method(self):
        return self.pair

    @staticmethod
    def static():
        return pair(4)


class Like(Plain):
    def method(self):
        return [self.pair][0]


class Slotted:
    __slots__ = "pair", "__weakref__"

    def __init__(self, n=1):
        self.pair = pair(n)


class Phoenix:
    """Rises once."""

    def __init__(self, n):
        self.pair = pair(n)

    def __del__(self):
        if len(Held.phoenixes) < 9:
            Held.phoenixes.append(self)


SOURCE = """
one = {n}
def other():
    return float(one)
def both():
    first = one
    for _ in range(5):
        pass
    return first, float(first)
"""


def fail(n):
    local = pair(n)
    raise ValueError(local)


def error_of(n):
    try:
        fail(n)
    except ValueError as error:
        return error


def count_on(n):
    for i in itertools.count(n):
        yield pair(i)


def numbers(n):
    """A context may look at its frame only if somebody has done so before."""
    generator = count_on(n)
    return generator.gi_frame and generator


class Held:
    get = cell_of(pair(1))
    plain = Plain()
    slotted = Slotted()
    module = types.ModuleType("module")
    weak = weakref.WeakValueDictionary()
    phoenixes = []
    error = error_of(1)
    generator = numbers(1)
    last = pair(1)       # never changes, whatever it is
    block = bytes(9000)  # of one byte each
    buffer = bytearray(9000)
    word = "word"


exec(SOURCE.format(n=1), vars(Held.module))


# ---- in a context ----------------------------------------------------------

def call_tally(choose):
    function, count = Held.tally, choose.randrange(50)
    total, *pairs = function(count)
    yield
    check(*pairs, *function(count)[1:])
    assert total == function(count)[0] == count


def look_into_cells(choose):
    get = Held.get
    held = [get() for _ in range(5)]
    yield
    check(get(), Held.get(), *held, get.__closure__[0].cell_contents)


def look_at_plain(choose):
    plain, slotted = Held.plain, Held.slotted
    method, held = plain.method, vars(plain)
    yield
    check(method(), plain.method(), plain.made, plain.fixed, plain.static(),
          slotted.pair)
    for name, value in list(held.items()):
        assert name != "pair" or check(value) is None and value[0] == value[1]


def iterate_attributes(choose):
    try:
        for value in vars(Held.plain).values():
            yield
            check(value)
    except RuntimeError:
        pass


def call_module(choose):
    module = Held.module
    both = getattr(module, "both", None)
    yield
    try:
        check((both or module.both)(), module.both())
        module.other()
    except (AttributeError, NameError):
        pass


def look_at_frames(choose):
    generator, error = Held.generator, Held.error
    frame, trace = generator.gi_frame, error.__traceback__
    yield
    if frame:
        assert frame.f_code.co_name == "count_on" and frame.f_lineno
    lines = traceback.format_exception(error)
    assert not error.__traceback__ or "fail(n)" in "".join(lines), lines
    while trace and trace.tb_next:
        trace = trace.tb_next
    check(error.args[0], trace.tb_frame.f_locals["local"] if trace else (1, 1))


def raise_anew(choose):
    error = Held.error
    try:
        raise error
    except ValueError as caught:
        yield
        check(caught.args[0])


def some_steps():
    try:
        yield 1
        yield 2
    except LookupError:
        yield 3


def throw(choose):
    """Into code that main may be tracing since."""
    steps, others = some_steps(), some_steps()
    next(steps), next(others)
    yield
    assert steps.throw(LookupError) == 3
    others.close()


def look_through_weak_dict(choose):
    held = [Held.weak.get(n) for n in range(5)]
    yield
    check(*(thing.pair for thing in held if thing))


def hold_what_does_not_change(choose):
    held, word = Held.last, Held.word
    texts = repr(held), word * 2
    block, buffer = Held.block, memoryview(Held.buffer)
    digest = hashlib.sha256(block).digest()
    crc = zlib.crc32(block)
    hashlib.sha256(buffer)
    zlib.compress(buffer, 1)
    yield
    assert texts == (repr(held), word * 2)
    assert digest == hashlib.sha256(block).digest() and crc == zlib.crc32(block)
    assert sys.intern(word + "!") == word + "!" and len(set(block)) == 1


def hold_a_phoenix(choose):
    held = Held.phoenixes[:]
    yield
    check(*(thing.pair for thing in held))


LOOKS = [call_tally, look_into_cells, look_at_plain, iterate_attributes,
         call_module, look_at_frames, raise_anew, throw, look_through_weak_dict,
         hold_what_does_not_change, hold_a_phoenix]


# ---- meanwhile on the main side --------------------------------------------

def new_pair(choose):
    return pair(choose.randrange(10**6))


def change_function(choose):
    function = Held.tally
    kind = choose.randrange(5)
    if kind == 0:
        function.__defaults__ = new_pair(choose),
    elif kind == 1:
        function.__kwdefaults__ = {"named": new_pair(choose)}
    elif kind == 2:
        function.__kwdefaults__["named"] = new_pair(choose)
    elif kind == 3:
        function.__code__ = choose.choice(CODES).replace(co_name="tally")
    else:
        function = types.FunctionType(choose.choice(CODES), globals(), "tally",
                                      (new_pair(choose),))
        function.__kwdefaults__ = {"named": new_pair(choose)}
        Held.tally = function


def change_cell(choose):
    Held.get.__closure__[0].cell_contents = new_pair(choose)
    if choose.random() < 0.2:
        Held.get = cell_of(new_pair(choose))


def change_plain(choose):
    plain = Held.plain
    kind = choose.randrange(8)
    if kind == 0:
        plain.__dict__ = {"pair": new_pair(choose)}
    elif kind == 1:
        plain.__class__ = choose.choice((Plain, Like))
    elif kind == 2:
        plain.pair = new_pair(choose)
        Held.slotted.pair = new_pair(choose)
    elif kind == 3:
        for i in range(choose.randrange(20)):
            setattr(plain, "a%d" % i, new_pair(choose))
    elif kind == 4:
        for name in list(vars(plain))[1:]:
            if name != "pair":
                delattr(plain, name)
    elif kind == 5:
        Held.plain, Held.slotted = Like(choose.randrange(99)), Slotted(5)
    else:
        fixed = new_pair(choose)
        Plain.fixed = choose.choice((fixed, property(lambda self: fixed)))
        Plain.made = choose.choice((fixed, property(lambda self: fixed)))
        Plain.static = staticmethod(lambda: fixed)


def change_module(choose):
    module = Held.module
    kind = choose.randrange(4)
    if kind == 0:
        vars(module).clear()
    elif kind == 1:
        Held.module = module = types.ModuleType("module")
    exec(SOURCE.format(n=choose.randrange(10**6)), vars(module))


def drop_weakly(choose):
    things = [Slotted(choose.randrange(99)) for _ in range(5)]
    Held.weak.update(enumerate(things))
    heard = []
    Held.refs = [weakref.ref(thing, heard.append) for thing in things]
    Held.things = things
    Held.phoenixes = Held.phoenixes[3:]
    Phoenix(choose.randrange(99))
    Held.knot = knot = [Phoenix(3)]
    knot.append(knot)


def go_on(choose):
    kind = choose.randrange(4)
    if kind == 0:
        Held.generator = numbers(choose.randrange(99))
    elif kind == 1:
        Held.generator.close()
    else:
        next(Held.generator, None)
    Held.error = error_of(choose.randrange(10**6))
    if choose.random() < 0.3:
        Held.error.__traceback__ = None
        Held.error = error_of(3)


SOURCES = [lambda: zip(range(99), range(99)), lambda: enumerate(range(99)),
           lambda: itertools.combinations(range(9), 3),
           lambda: itertools.product(range(9), range(9)),
           lambda: itertools.permutations(range(9), 2),
           lambda: itertools.combinations_with_replacement(range(9), 2),
           lambda: itertools.pairwise(range(99)),
           lambda: itertools.zip_longest(range(99), range(50)),
           lambda: iter({i: i for i in range(99)}.items()),
           lambda: reversed({i: i for i in range(99)}.items()),
           lambda: itertools.batched(range(99), 2),
           lambda: iter(collections.OrderedDict.fromkeys(range(99)).items()),
           lambda: (i * 1.5 for i in range(99)),
           lambda: itertools.accumulate(float(i) for i in range(99)),
           lambda: itertools.accumulate("ab%d" % i for i in range(99)),
           lambda: itertools.accumulate((i,) for i in range(99)),
           lambda: itertools.accumulate(10**30 * i for i in range(1, 99)),
           lambda: map(frozenset, itertools.combinations(range(9), 2))]
source = iter(())


def use_tuples_again(choose):
    global source
    Held.last = None
    for _ in range(choose.randrange(1, 5)):
        Held.last = next(source, None)
    if Held.last is None or choose.random() < 0.1:
        source = choose.choice(SOURCES)()
    letter = choose.choice(b"xyz")
    Held.block = bytes([letter]) * choose.randrange(1, 20000)
    Held.word = sys.intern("w%d" % choose.randrange(10**6))
    with contextlib.suppress(BufferError):
        Held.buffer.extend(Held.block)
    if len(Held.buffer) > 50000:
        Held.buffer = bytearray(b"a" * 9000)


def write_in_place(choose):
    stream = io.BytesIO(Held.block)
    text = io.StringIO()
    for _ in range(3):
        stream.seek(0)
        stream.write(b"y" * 10)
        text.write(Held.word)
    stream.getvalue(), text.getvalue()


EVENTS = sys.monitoring.events
TOOL = 3


def hear(*arguments):
    return sys.monitoring.DISABLE if len(arguments) == 2 else None


def monitor(choose):
    if sys.monitoring.get_tool(TOOL):
        sys.monitoring.free_tool_id(TOOL)
        return
    sys.monitoring.use_tool_id(TOOL, "stress")
    events = choose.sample((EVENTS.LINE, EVENTS.PY_START, EVENTS.PY_RETURN,
                            EVENTS.CALL, EVENTS.JUMP, EVENTS.PY_YIELD,
                            EVENTS.BRANCH, EVENTS.INSTRUCTION), 3)
    for event in events:
        sys.monitoring.register_callback(TOOL, event, hear)
    wanted = events[0] | events[1] | events[2]
    if choose.random() < 0.5:
        for code in *CODES, check.__code__, stress_loops.Key.__eq__.__code__:
            sys.monitoring.set_local_events(TOOL, code, wanted)
    else:
        sys.monitoring.set_events(TOOL, wanted)


def restart_events(choose):
    sys.monitoring.restart_events()


def freeze(choose):
    gc.freeze()
    gc.get_objects()
    gc.unfreeze()
    gc.collect()


def fork(choose):
    child = os.fork()
    if child == 0:
        vars(Held.module).clear()
        gc.collect()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


OFTEN = [change_function, change_cell, change_plain, change_module, drop_weakly,
         go_on, use_tuples_again, use_tuples_again, write_in_place]
SELDOM = [monitor, monitor, restart_events, freeze, fork]


class Rebinding(stress_stop.RandomPrograms):
    @classmethod
    def setUpClass(cls):
        Held.tally = tally
        stress_stop.LOOKS += (LOOKS + stress_loops.LOOKS) * 2
        stress_stop.OFTEN += (OFTEN + stress_loops.OFTEN) * 2
        stress_stop.SELDOM += SELDOM * 2




if __name__ == "__main__":
    faulthandler.enable()
    unittest.main()
