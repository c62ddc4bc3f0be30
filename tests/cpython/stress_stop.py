"""Random programs in contexts, stopped wherever they look, while main changes
what they use.

Run by the patched interpreter: python tests/cpython/stress_stop.py
PX_STOP_SECONDS: how long (10); PX_STOP_SEED: which programs and changes.

A *look* takes hold of something of main's, lets other looks have their turn and
checks what it has. A *program* has some looks under way and goes on with one or
the other. Main makes *changes* meanwhile, of which each is atomic for whoever is
stopped: what Shared names is consistent at any time, and what a look has got
hold of stays so, whatever becomes of the name.
"""
import array
import copy
import faulthandler
import gc
import importlib
import itertools
import operator
import os
import pickle
import random
import re
import resource
import sys
import textwrap
import threading
import time
import unittest
import weakref

import _parallel
import parallel

LONG = 600  # seconds: nothing takes so long, unless it hangs


class Record:
    """Consistent if and only if nobody has spoilt it."""

    def __init__(self, n):
        self.n = n
        self.text = str(n) * (n % 7 + 1)
        self.parts = (n, n * 2, n * 0.5, b"%d" % n)
        self.more = {"n": n, n: [n] * (n % 5)}


def check(record):
    n = record.n
    assert record.text == str(n) * (n % 7 + 1), record.text
    assert record.parts == (n, n * 2, n * 0.5, b"%d" % n), record.parts
    assert record.more["n"] == n and record.more[n] == [n] * (n % 5)


Root = type("Root", (), {})
Other = type("Other", (Root,), {})
serials = itertools.count(1)


class Scale(Root):
    def scale(self, n):
        return n

    step = property(lambda self: 1)
    serial = 0  # of what main has made of it; None: main is at it
    given = {}  # its special methods, and what they return


class Shared:
    records = [Record(n) for n in range(10)]
    table = {n: Record(n) for n in range(10)}
    texts = ["aaa"]        # of one letter each
    data = b"xxx"          # of one letter
    numbers = [1, 2, 3]    # without a gap
    names = {"n1", "n2"}
    buffer = bytearray(b"zz")  # of one letter
    array = array.array("q", [5, 5])  # of one number
    thing = Scale()        # scale(n) is n or -n, step is 1 or -1
    functions = []         # f(n) generates 0 ... n-1
    pattern = re.compile("n[0-9]+")
    weak = weakref.ref(records[0])
    error = ValueError


# Names of special methods, and what asks for them.
SPECIAL = {"__len__": len, "__call__": lambda thing: thing(),
           "__neg__": operator.neg, "__abs__": abs, "__index__": operator.index,
           "__getitem__": lambda thing: thing[0],
           "__next__": next, "__getattr__": lambda thing: thing.missing,
           "__pow__": lambda thing: thing ** 2, "__add__": lambda thing: thing + 1}
PARAGRAPH = "what main drops, resizes, appends to, binds anew and collects"
FILLED = textwrap.fill(PARAGRAPH, 20)


def is_one_letter(text):
    return not text or text == text[:1] * len(text)


# ---- in a context ----------------------------------------------------------

def look_at_records(choose):
    held = Shared.records[-5:]
    held += Shared.records[:choose.randrange(3)]
    yield
    for record in held:
        check(record)


def look_into_table(choose):
    held = {}
    try:
        for n, record in Shared.table.items():
            held[n] = record
            if choose.random() < 0.1:
                yield
    except RuntimeError:
        pass  # main has changed its size
    for n, record in held.items():
        assert n == record.n
        check(record)


def look_at_texts(choose):
    held = Shared.texts[:]
    longer = [text + text[:1] for text in Shared.texts]
    yield
    assert all(map(is_one_letter, held + longer)), (held, longer)


def look_at_data(choose):
    held = Shared.data
    view = memoryview(held)
    yield
    assert is_one_letter(held + held[:1]) and is_one_letter(bytes(view))


def look_at_numbers(choose):
    numbers = Shared.numbers
    held = [list(numbers), tuple(numbers), numbers[1:], numbers + [],
            sorted(numbers, key=lambda n: n), [*numbers], [n for n in numbers[:]]]
    yield
    total = sum(1 for n in numbers if type(n) is int)
    assert total >= 0
    for sequence in held:
        first = sequence[0] if sequence else 0
        assert list(sequence) == list(range(first, first + len(sequence)))


def look_at_names(choose):
    names = Shared.names
    held = [set(names), names | {"n0"}, names & {"n1"}, frozenset(names)]
    yield
    for some in held:
        for name in some:
            assert re.fullmatch("n[0-9]+", name), name


def look_into_buffer(choose):
    view = memoryview(Shared.buffer)
    other = memoryview(Shared.array)
    yield
    assert is_one_letter(bytes(view))
    assert len(set(other)) == 1
    assert is_one_letter(bytes(view[1:]))


def look_at_class(choose):
    thing = Shared.thing
    method = thing.scale
    yield
    assert method(3) in (3, -3) and thing.scale(4) in (4, -4)
    assert thing.step in (1, -1)


def derive(choose):
    class Mine(type(Shared.thing)):
        def scale(self, n):
            return super().scale(n) * 2
    mine = Mine()
    yield
    assert mine.scale(3) in (6, -6) and mine.step in (1, -1)
    assert isinstance(mine, Mine.__bases__[0])


def asked(use, thing):
    """What it says, or None if there is nobody to ask."""
    try:
        return use(thing)
    except (TypeError, AttributeError):
        return None


def is_as_main_says(thing):
    """The slots and the order of its class are those of now."""
    serial, root = Scale.serial, Scale.__bases__
    given = {name: Scale.given.get(name) for name in SPECIAL}
    found = {name: asked(use, thing) for name, use in SPECIAL.items()}
    order = type(thing).__mro__
    if serial is not None and serial == Scale.serial:
        assert found == given, (found, given)
        at = order.index(Scale)
        assert order[at:at + 2] == (Scale, *root), (order, root)


def derive_what_changes(choose):
    class Mine(type(Shared.thing)):
        pass

    class Yours(Mine):
        pass
    while choose.random() < 0.8:
        for thing in Mine(), Yours():
            is_as_main_says(thing)
        yield


def look_into_module(choose):
    fill = textwrap.fill
    wrapper = textwrap.TextWrapper(20)
    yield
    assert fill(PARAGRAPH, 20) == FILLED == textwrap.fill(PARAGRAPH, 20)
    assert wrapper.fill(PARAGRAPH) == FILLED


def use_functions(choose):
    steps = [function(20) for function in Shared.functions[-3:]]
    heads = [next(step) for step in steps]
    yield
    for head, step in zip(heads, steps):
        assert [head, *step] == list(range(20))


def look_for_pattern(choose):
    pattern = Shared.pattern
    yield
    assert pattern.findall("a n1 b n22") == ["n1", "n22"]


def look_through_weak_reference(choose):
    held = Shared.weak()
    yield
    if held is not None:
        check(held)


def catch(choose):
    record = Shared.records[-1]
    try:
        raise Shared.error(record)
    except Exception as error:
        yield
        check(error.args[0])
        assert error.__traceback__.tb_frame.f_code.co_name == "catch"


def tie_knots(choose):
    for _ in range(choose.randrange(1, 50)):
        knot = [Shared.records[-1], {}]
        knot[1]["knot"] = knot
    if choose.random() < 0.1:
        gc.collect()
        check(knot[0])
    yield


def wait(choose):
    held = Shared.records[0]
    time.sleep(choose.choice((0, 0.0002)))
    yield
    check(held)


def answer(n):
    return {"n": [n] * 3}


def ignore(text):
    assert is_one_letter(text)


ask_main = parallel.call_from_main_thread_and_wait(answer)
tell_main = parallel.call_from_main_thread(ignore)


def ask(choose):
    n = choose.randrange(1000)
    held = ask_main(n)
    tell_main(Shared.texts[-1])
    yield
    assert held == {"n": [n] * 3}


def recurse(choose):
    def deeper(n):
        record = Shared.records[-1]
        below = deeper(n - 1) if n else 0
        check(record)
        return below + 1
    depth = choose.randrange(150)
    assert deeper(depth) == depth + 1
    yield


def import_module(choose):
    import colorsys
    yield
    assert colorsys.rgb_to_hsv(1, 1, 1) == (0.0, 0.0, 1)


LOOKS = [look_at_records, look_into_table, look_at_texts, look_at_data,
         look_at_numbers, look_at_names, look_into_buffer, look_at_class, derive,
         derive_what_changes, look_into_module, use_functions, look_for_pattern,
         look_through_weak_reference, catch, tie_knots, wait, ask, recurse,
         import_module]


def program(seed, length):
    """A callback. Its result is made of what main may drop at any time."""
    choose = random.Random(seed)
    looks = []
    for _ in range(length):
        if not looks or choose.random() < 0.4:
            looks.append(choose.choice(LOOKS)(choose))
        look = choose.choice(looks)
        if next(look, "over") == "over":
            looks.remove(look)
    for look in looks:
        list(look)
    texts = Shared.texts[-3:], Shared.data
    if choose.random() < 0.1:
        raise LookupError(*texts)
    return texts


# ---- meanwhile on the main side --------------------------------------------

def change_records(choose):
    Shared.records.append(Record(choose.randrange(10**6)))
    if len(Shared.records) > 50:
        del Shared.records[choose.randrange(10):40]


def rebind(choose):
    Shared.records = [Record(choose.randrange(1000)) for _ in range(9)]
    Shared.table = {n: Record(n) for n in range(choose.randrange(40))}


def change_table(choose):
    n = choose.randrange(1000)
    Shared.table[n] = Record(n)
    Shared.table.pop(next(iter(Shared.table)))
    if len(Shared.table) > 40:
        Shared.table.clear()
    Shared.table[n] = Record(n)


def lengthen_text(choose):
    letter = choose.choice("abcä€")
    text = letter
    for _ in range(choose.randrange(30)):
        text += letter
    Shared.texts = Shared.texts[-5:] + [text]
    text += letter


def lengthen_data(choose):
    data = choose.choice((b"x", b"y"))
    for _ in range(choose.randrange(30)):
        data += data[:1]
    Shared.data = data


def change_numbers(choose):
    numbers = Shared.numbers
    last = numbers[-1]
    kind = choose.randrange(5)
    if kind == 0 or len(numbers) < 9:
        numbers.append(last + 1)
    elif kind == 1:
        numbers += range(last + 1, last + choose.randrange(2, 99))
    elif kind == 2:
        del numbers[:choose.randrange(len(numbers))]
    elif kind == 3:
        numbers[:] = range(last, last + choose.randrange(1, 99))
    else:
        Shared.numbers = numbers + [last + 1]


def change_names(choose):
    Shared.names.add(sys.intern("n%d" % choose.randrange(10**6)))
    if len(Shared.names) > 30:
        choose.choice((Shared.names.clear, Shared.names.pop))()


def change_buffer(choose):
    letter = choose.choice((b"z", b"w"))
    size = choose.randrange(1, 2000)
    try:
        Shared.buffer[:] = letter * size
    except BufferError:
        Shared.buffer[:] = letter * len(Shared.buffer)
    if choose.random() < 0.2:
        Shared.buffer = bytearray(letter * size)


def change_array(choose):
    n = choose.randrange(9)
    try:
        Shared.array.extend(Shared.array)
    except BufferError:
        Shared.array[:] = array.array("q", [n] * len(Shared.array))
    if len(Shared.array) > 999:
        Shared.array = array.array("q", [n] * choose.randrange(1, 9))


def change_class(choose):
    sign = choose.choice((1, -1))
    Scale.scale = lambda self, n: sign * n
    Scale.step = property(lambda self: sign)
    Record.extra = sign
    if choose.random() < 0.3:
        del Record.extra


def change_special_methods(choose):
    Scale.serial, serial = None, next(serials)
    for name in choose.sample(sorted(SPECIAL), choose.randrange(1, 4)):
        if name in Scale.given and choose.random() < 0.5:
            delattr(Scale, name)
            del Scale.given[name]
        else:
            setattr(Scale, name, lambda self, *args: serial)
            Scale.given[name] = serial
    if choose.random() < 0.3:
        Scale.__bases__ = choose.choice((Root, Other)),
    Scale.serial = serial


def make_class(choose):
    class Other(Scale):
        def __init__(self):
            self.mine = [1]
    Shared.thing = Other()
    Shared.error = type("Error", (choose.choice((ValueError, OSError)),), {})


def make_function(choose):
    space = {}
    exec("def f(n):\n    for i in range(n):\n        x = i + %d\n"
         "        yield x - %d\n" % ((choose.randrange(10**9),) * 2), space)
    Shared.functions = Shared.functions[-3:] + [space["f"]]


def compile_pattern(choose):
    re.purge()
    Shared.pattern = re.compile("n[0-9]{1,%d}" % choose.randrange(2, 99))


def refer_weakly(choose):
    Shared.weak = weakref.ref(choose.choice(Shared.records))
    Shared.records = [r for r in Shared.records if choose.random() < 0.9]
    Shared.records.append(Record(3))


def make_cycle(choose):
    record = Record(choose.randrange(100))
    record.more["me"] = record
    Shared.table[record.n] = record


def collect(choose):
    gc.collect(choose.randrange(3))


def reload_a_module(choose):
    importlib.reload(textwrap)


def import_or_not(choose):
    if not sys.modules.pop("colorsys", None):
        import colorsys


def tracer(frame, event, arg):
    return tracer


def trace(choose):
    sys.settrace(None if sys.gettrace() else tracer)


def profile(choose):
    sys.setprofile(None if sys.getprofile() else lambda *arguments: None)


def copy_all(choose):
    for record in copy.deepcopy(Shared.records):
        check(record)
    for record in pickle.loads(pickle.dumps(Shared.table)).values():
        check(record)


def compute(choose):
    x, pairs = 0.5, []
    for pair in zip(range(200), map(str, range(200))):
        x = x * 1.5 % 7.0 + pair[0]
        pairs.append(pair)
    assert pairs[-1] == (199, "199")


def run_one_here(choose):
    """The code that callbacks are in the midst of is warmed, or traced."""
    try:
        program(choose.random(), 5)
    except LookupError:
        pass


def run_a_thread(choose):
    thread = threading.Thread(target=compute, args=(choose,))
    thread.start()
    thread.join()


def count_sooner_or_later(choose):
    _parallel.set_young_bytes(choose.choice((0, 100_000, 1 << 20)))


OFTEN = [change_records, change_table, lengthen_text, lengthen_data,
         change_numbers, change_names, change_buffer, change_array, change_class,
         change_special_methods, make_class, make_function, refer_weakly,
         make_cycle, rebind, compute]
SELDOM = [collect, reload_a_module, import_or_not, trace, profile, copy_all,
          compile_pattern, run_one_here, run_a_thread, count_sooner_or_later]


class RandomPrograms(unittest.TestCase):
    def setUp(self):
        self.executor = parallel.Executor()
        self.addCleanup(self.executor.shutdown)
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        self.addCleanup(sys.settrace, None)
        self.addCleanup(sys.setprofile, None)
        self.addCleanup(_parallel.set_stop_after, 0.02)
        self.addCleanup(_parallel.set_young_bytes, 1 << 20)
        sys.setswitchinterval(1e-5)
        _parallel.set_stop_after(0)
        self.turns = self.kept = self.over = self.raised = 0

    def settle(self, future):
        self.over += 1
        try:
            texts, data = future.result(LONG)
        except LookupError as error:
            self.raised += 1
            texts, data = error.args
        self.assertTrue(all(map(is_one_letter, [*texts, data])))

    def take_turns(self, choose, seconds):
        end = time.monotonic() + seconds
        work = []
        while time.monotonic() < end:
            self.turns += 1
            while len(work) < 4:
                work.append(self.executor.submit(program, choose.random(), 60))
            for _ in range(choose.randrange(40)):
                often = choose.random() < 0.9
                choose.choice(OFTEN if often else SELDOM)(choose)
            self.kept += _parallel._limbo() > 0
            for future in [f for f in work if f.done()]:
                work.remove(future)
                self.settle(future)
        for future in work:
            self.settle(future)

    def test_random_programs(self):
        seconds = float(os.environ.get("PX_STOP_SECONDS", "10"))
        seed = int(os.environ.get("PX_STOP_SEED", time.time_ns() % 10**6))
        try:
            self.take_turns(random.Random(seed), seconds)
        finally:
            megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
            print("seed %d: %d programs, of which %d raised; %d turns of main's, "
                  "after %d of them something was kept for callbacks; at most "
                  "%d MB" % (seed, self.over, self.raised, self.turns, self.kept,
                             megabytes), file=sys.stderr)
        self.assertGreater(self.over, 10)
        self.assertGreater(self.kept, 10)
        end = time.monotonic() + LONG
        while _parallel._limbo() and time.monotonic() < end:
            self.executor.submit(len, "").result(LONG)
        self.assertEqual(_parallel._limbo(), 0)
        self.assertEqual(_parallel._gil_takes(), 0)
        self.assertEqual(_parallel.find_strays(), [])


if __name__ == "__main__":
    faulthandler.enable()
    unittest.main()
