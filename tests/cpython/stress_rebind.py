"""Random programs as in stress_stop.py, while main binds anew what they are in the
midst of: code, defaults, cells, dicts, classes and modules.

Run by the patched interpreter: python tests/cpython/stress_rebind.py
PX_STOP_SECONDS, PX_STOP_SEED: as for stress_stop.py.

A *pair* is two equal numbers, and stays so whoever holds it. Keys have Python code
in their comparisons, so that loops in C over main's containers are stopped in their
midst.
"""
import collections
import contextlib
import faulthandler
import gc
import hashlib
import io
import itertools
import json
import marshal
import os
import pickle
import sys
import traceback
import types
import unittest
import weakref
import zlib

import stress_stop


def pair(n):
    return n, float(n)


def check(*pairs):
    for one, other in pairs:
        assert one == other, (one, other)


class Key:
    """Slow to compare."""

    def __init__(self, n):
        self.n = n
        self.pair = pair(n)

    def __hash__(self):
        return self.n % 5

    def __eq__(self, other):
        for _ in range(3):
            pass
        return type(other) is Key and self.n == other.n

    def __lt__(self, other):
        for _ in range(3):
            pass
        return self.n < other.n

    def __add__(self, other):
        return self

    __radd__ = __add__

    def __repr__(self):
        return "%d=%d" % self.pair

    def __reduce__(self):
        return Key, (self.n,)


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
    keys = {Key(n): pair(n) for n in range(9)}
    keyset = {Key(n) for n in range(9)}
    keylist = [Key(n) for n in range(9)]
    queue = collections.deque(pair(n) for n in range(9))
    ordered = collections.OrderedDict((n, pair(n)) for n in range(9))
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


ITERATIONS = [lambda: Held.keys.values(), lambda: reversed(Held.keys.values()),
              lambda: (k.pair for k in Held.keys), lambda: Held.queue,
              lambda: (value for key, value in Held.keys.items()),
              lambda: (k.pair for k in Held.keyset),
              lambda: (k.pair for k in Held.keylist),
              lambda: (k.pair for k in reversed(Held.keylist)),
              lambda: Held.ordered.values(), lambda: reversed(Held.queue),
              lambda: (v for k, v in reversed(Held.ordered.items()))]


def iterate(choose):
    try:
        for value in choose.choice(ITERATIONS)():
            if choose.random() < 0.3:
                yield
            check(value)
    except RuntimeError:
        pass


LOOPS = [lambda own: {Key(n): 0 for n in range(9)}.update(Held.keys),
         lambda own: dict(Held.keys) == Held.keys,
         lambda own: own | Held.keyset, lambda own: Held.keyset | own,
         lambda own: Held.keyset & own, lambda own: own - Held.keyset,
         lambda own: Held.keyset - own, lambda own: own ^ Held.keyset,
         lambda own: own.issubset(Held.keyset), lambda own: own == Held.keyset,
         lambda own: own.update(Held.keys), lambda own: own.update(Held.keylist),
         lambda own: Held.keylist.index(Key(10**7)),
         lambda own: Held.keylist.count(Key(3)), lambda own: Key(-1) in Held.keylist,
         lambda own: sorted(Held.keylist), lambda own: min(Held.keylist),
         lambda own: max(Held.keys), lambda own: sum(Held.keylist, Key(0)),
         lambda own: Held.keylist == Held.keylist + own_keys(own),
         lambda own: tuple(Held.keylist) < tuple(own_keys(own)),
         lambda own: repr(Held.keylist), lambda own: repr(Held.keys),
         lambda own: repr(Held.keyset), lambda own: "%s" % (Held.keys,),
         lambda own: dict.fromkeys(Held.keyset, 1), lambda own: set(Held.keylist),
         lambda own: frozenset(Held.keys), lambda own: list(map(hash, Held.keylist)),
         lambda own: Held.keys.keys() & own, lambda own: Held.keys.keys() == own,
         lambda own: Held.keys.items() ^ {1: 2}.items(),
         lambda own: pickle.dumps(Held.keys), lambda own: pickle.dumps(Held.keyset),
         lambda own: pickle.dumps(Held.keylist),
         lambda own: json.dumps(Held.keylist, default=repr),
         lambda own: json.dumps(dict(Held.ordered)),
         lambda own: marshal.dumps(list(Held.queue)),
         lambda own: pickle.dumps(Held.ordered), lambda own: pickle.dumps(Held.queue),
         lambda own: Held.ordered == Held.ordered.copy(),
         lambda own: Held.queue == collections.deque(Held.queue),
         lambda own: collections.Counter(Held.keylist), lambda own: Key(2) in Held.keys,
         lambda own: [].extend(Held.keys), lambda own: {**Held.keys}, lambda own:
         [*Held.keyset], lambda own: [*zip(Held.keylist, Held.keys, Held.keyset)],
         lambda own: list(itertools.groupby(Held.keylist)),
         lambda own: Held.keys | {Key(4): 1}, lambda own: {Key(4): 1} | Held.keys]


def own_keys(own):
    return list(own)


def loop_in_c(choose):
    own = {Key(choose.randrange(30)) for _ in range(9)}
    try:
        choose.choice(LOOPS)(own)
    except (RuntimeError, ValueError, IndexError, KeyError) as error:
        assert not isinstance(error, stress_stop.parallel.ParallelError), error
    yield
    check(*(key.pair for key in own))


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
         call_module, iterate, iterate, loop_in_c, loop_in_c, loop_in_c,
         look_at_frames, raise_anew, look_through_weak_dict,
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


def change_keys(choose):
    n = choose.randrange(1000)
    keys, kind = Held.keys, choose.randrange(7)
    if kind == 0:
        Held.keys = {Key(i): pair(i) for i in range(n % 30)}
    elif kind == 1:
        keys.clear()
    elif kind == 2 and keys:
        keys.popitem()
    elif kind == 3 and keys:
        del keys[next(iter(keys))]
    elif kind == 4:
        keys.update({Key(i): pair(i) for i in range(n, n + 9)})
    else:
        keys[Key(n)] = pair(n)
    if len(keys) > 30:
        keys.clear()


def change_keyset(choose):
    n = choose.randrange(1000)
    keyset, kind = Held.keyset, choose.randrange(5)
    if kind == 0:
        Held.keyset = {Key(i) for i in range(n % 30)}
    elif kind == 1:
        keyset.clear()
    elif kind == 2 and keyset:
        keyset.pop()
    else:
        keyset.update(map(Key, range(n, n + 5)))
    if len(keyset) > 30:
        keyset -= set(itertools.islice(keyset, 20))


def change_keylist(choose):
    n = choose.randrange(1000)
    keylist, kind = Held.keylist, choose.randrange(6)
    if kind == 0:
        Held.keylist = [Key(i) for i in range(n % 30)]
    elif kind == 1:
        keylist.clear()
    elif kind == 2:
        keylist.sort()
    elif kind == 3:
        del keylist[n % 20:]
    else:
        keylist.insert(0, Key(n))
        keylist.extend(map(Key, range(n % 9)))
    if len(keylist) > 30:
        del keylist[:]


def change_queues(choose):
    value = new_pair(choose)
    Held.queue.append(value)
    Held.ordered[value[0] % 20] = value
    kind = choose.randrange(6)
    if kind == 0:
        Held.queue.clear()
        Held.ordered.clear()
    elif kind == 1:
        Held.queue.rotate(3)
        Held.ordered.popitem(last=False)
    elif kind == 2:
        Held.queue = collections.deque([value], 70)
        Held.ordered.move_to_end(value[0] % 20, last=False)


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
        for code in *CODES, check.__code__, Key.__eq__.__code__:
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
        Held.keys.clear()
        del Held.keylist[:]
        gc.collect()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


OFTEN = [change_function, change_cell, change_plain, change_module, change_keys,
         change_keys, change_keyset, change_keylist, change_queues, drop_weakly,
         go_on, use_tuples_again, use_tuples_again, write_in_place]
SELDOM = [monitor, monitor, restart_events, freeze]


class Rebinding(stress_stop.RandomPrograms):
    @classmethod
    def setUpClass(cls):
        Held.tally = tally
        stress_stop.LOOKS += LOOKS * 2
        stress_stop.OFTEN += OFTEN * 2
        stress_stop.SELDOM += SELDOM * 2




if __name__ == "__main__":
    faulthandler.enable()
    unittest.main()
