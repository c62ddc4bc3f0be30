"""Hostile programs in contexts: they call whatever dir() shows, on main's objects.

Run by the patched interpreter:

    python tests/cpython/fuzz_methods.py --seconds 15           as many seeds as fit
    python tests/cpython/fuzz_methods.py --from 8045 --to 8046  one seed, again
    ... --steps 80 --contexts 2 --memory auto|counted|arena --limit MB
        --guard off|auto|full --verbose

A seed is one program for each of the contexts, which run at the same time: some
steps with random arguments, from a fresh set of main's objects (fuzz_objects.py),
from what earlier steps gave and from literals. Exceptions are what is expected.
Found is: a crash, a hang, a SystemError, an object of main's that differs
afterwards, a reference into a context that is left behind. Each is a line with its
seed; the last steps of a crash follow. The seeds run in child processes, ten in
each; what a seed does is the same each time but for what depends on the other
context's speed. Status: 0 nothing found, 1 something, 2 bad arguments.
"""
import argparse
import copy
import ctypes
import faulthandler
import gc
import importlib
import operator
import os
import pickle
import random
import runpy
import subprocess
import sys
import tempfile
import time
import types
import warnings

HERE = os.path.dirname(os.path.abspath(__file__))
CHUNK = 10        # seeds of a child
HANG_S = 60       # a child that says nothing for so long hangs
LOG = 900         # the descriptor that steps are written to: no program closes it

MODULES = """
    _abc _asyncio _collections _contextvars _csv _datetime _decimal _functools _io
    _json _operator _pickle _queue _random _sre _string _struct _symtable _thread
    _typing _weakref abc array ast asyncio base64 binascii bisect builtins calendar
    cmath codecs collections colorsys configparser contextlib contextvars copy
    copyreg csv dataclasses datetime decimal difflib dis email.utils enum
    fnmatch fractions functools gc gettext graphlib hashlib heapq html inspect io
    ipaddress itertools json keyword linecache locale logging marshal math numbers
    opcode operator pathlib pickle plistlib pprint queue quopri random re reprlib
    select shlex socket sqlite3 statistics string struct symtable sys textwrap
    threading time token tokenize traceback types typing unicodedata urllib.parse
    uuid warnings weakref xml.etree.ElementTree zlib zoneinfo
""".split()

# Never called: what waits, ends or starts something, reaches outside of the process,
# takes for ever, or crashes CPython as it is released, too.
NEVER_METHODS = set("""
    __enter__ __new__ _acquire_restore _bootstrap _bootstrap_inner _check_bytecode
    _release_save _rpath _run_once _wait_for_tstate_lock accept acquire acquire_lock
    chmod exception from_address from_buffer from_param fromfd glob hardlink_to
    in_dll interrupt join kill lchmod mkdir poll read_mime_types recv rename result
    rglob rmdir run run_forever run_until_complete select send_signal serve_forever
    set_trace shutdown_default_executor sleep start symlink_to terminate touch unlink
    wait wait_for walk write_bytes write_text
""".split())
NEVER_ON = {"code": ("replace", "__replace__", "_varname_from_oparg"),
            "Queue": ("get",), "SimpleQueue": ("get",)}
NEVER_FUNCTIONS = NEVER_METHODS | set("""
    CodeType FunctionType __import__ _after_at_fork_child_reinit_locks
    _clear_type_cache _debugmallocstats _exit _dump_traceback _exit_thread
    _run_exitfuncs _shutdown _unpickle abort activate_stack_trampoline breakpoint
    clock_settime clock_settime_ns close collect comb compile copyright
    create_connection create_server credits dup eval exec exit factorial fork freeze
    get_objects get_referrers getaddrinfo getfqdn gethostbyaddr gethostbyname
    gethostbyname_ex getnameinfo getpass help input interact interrupt_main license
    load loads main open open_code pause perm print pthread_getcpuclockid
    pthread_kill quit set_asyncgen_hooks set_debug set_threshold setdefaulttimeout
    sethostname setprofile setswitchinterval settrace shutdown stack_size
    start_joinable_thread start_new start_new_thread test unraisablehook
""".split())
# With any number these may take all memory and time there is.
SMALL = set("""
    __imul__ __ipow__ __ilshift__ __lshift__ __mul__ __pow__ __rlshift__ __rmul__
    __rpow__ center expandtabs ljust rjust zfill
""".split())

LITERALS = """
    0; 1; -1; 2; 7; 2**31; 2**63-1; 2**64; -2**63; ''; 'a'; 'x'; b''; b'abc'; 1.5;
    None; True; []; [1,2]; {}; {'a':9}; (); (1,2); {1}; int; list; str; type; dict;
    lambda *a: 1; lambda *a: a; bytearray(b'zz'); range(5); iter([1,2]); object();
    '__dict__'; 'append'; ValueError(1); ValueError; slice(None); slice(0,2); '%s';
    float('inf'); frozenset({1}); 'utf-8'; print
""".replace("\n", " ").split(";")
LITERALS = [(text.strip(), compile(text.strip(), "literal", "eval"))
            for text in LITERALS]


# ---- what a program does besides calls by name ---------------------------------

def make_subclass(target, *_):
    base = target if isinstance(target, type) else type(target)
    return type("Sub", (base,), {"z": 1})


USES = [
    operator.iadd, operator.imul, operator.ior, operator.isub, operator.getitem,
    operator.setitem, operator.delitem, copy.copy, copy.deepcopy, pickle.dumps,
    hash, repr, next, memoryview, bytes, make_subclass,
    lambda target, *args: target(*args),
    lambda target, *args: type(target)(*args),
    lambda target, *args: type(target).__init__(target, *args),
    lambda target, *args: type(target).__new__(type(target), *args),
    lambda target, *args: target.__reduce_ex__(4),
    lambda target, *args: [item for item, _ in zip(target, range(20))],
    lambda target, *args: vars(target).update(q=1),
    lambda target, *args: setattr(target, "__class__", make_subclass(target)),
    lambda target, *args: target.__setstate__(*args),
]


class Program:
    """One seed's steps in one context."""

    def __init__(self, seed, targets, functions, steps):
        self.random, self.seed, self.steps = random.Random(seed), seed, steps
        self.targets, self.functions = targets, functions
        self.names, self.own = sorted(targets), {}
        self.focus = self.random.sample(self.names, 8)

    def __call__(self):
        sys.setrecursionlimit(300)
        sys.stdout = sys.stderr = open(os.devnull, "w")
        for number in range(self.steps):
            try:
                self.own[f"r{number}"] = self.step(number)
            except BaseException as error:
                self.judge(error)
            while len(self.own) > 6:
                self.own.pop(self.random.choice(sorted(self.own)))

    def judge(self, error):
        if type(error).__name__ == "FrozenMemoryError":
            report(f"{self.seed} {self.text}: {error}")
            raise error
        if isinstance(error, SystemError) and "internal" not in str(error):
            report(f"{self.seed} {self.text}: SystemError: {error}")

    def say(self, number, text):
        self.text = text
        os.write(LOG, f"{self.seed} {number} {text}\n".encode("utf-8", "replace"))

    def value(self):
        """A text that says what it is, and the value."""
        kind = self.random.random()
        if kind < .55:
            names = self.focus if kind < .35 else self.names
            name = self.random.choice(names)
            return name, self.targets[name]
        if kind < .7 and self.own:
            name = self.random.choice(sorted(self.own))
            return name, self.own[name]
        text, code = self.random.choice(LITERALS)
        return text, eval(code)

    def step(self, number):
        pick = self.random.random()
        if pick < .62:
            return self.call_method(number)
        if pick < .68:
            return self.set_attribute(number)
        if pick < .80:
            return self.use(number)
        return self.call_function(number)

    def arguments(self, name=""):
        if name in SMALL:
            return "2", [2]
        pairs = [self.value() for _ in range(self.random.choice((0, 0, 1, 1, 2, 3)))]
        return ", ".join(text for text, _ in pairs), [value for _, value in pairs]

    def call_method(self, number):
        text, target = self.value()
        never = NEVER_METHODS.union(NEVER_ON.get(type(target).__name__, ()))
        name = self.random.choice(sorted(set(dir(target)) - never))
        given, args = self.arguments(name)
        self.say(number, f"{text}.{name}({given})")
        method = getattr(target, name)
        return method(*args) if callable(method) else method

    def set_attribute(self, number):
        text, target = self.value()
        name = self.random.choice([*dir(target), "new", "x"])
        given, args = self.arguments()
        self.say(number, f"{text}.{name} = {given or 'del'}")
        if not args:
            return delattr(target, name)
        return setattr(target, name, args[0])

    def use(self, number):
        text, target = self.value()
        use = self.random.randrange(len(USES))
        given, args = self.arguments("__imul__" if USES[use] is operator.imul else "")
        self.say(number, f"use {use} of {text} with ({given})")
        if isinstance(USES[use], types.BuiltinFunctionType):
            return USES[use](target, *args[:2])
        return USES[use](target, *args)

    def call_function(self, number):
        name, function = self.random.choice(self.functions)
        given, args = self.arguments()
        if any(word in name for word in ("pow", "shift", "mul", "concat", "repeat")):
            given, args = "2, 2", [2, 2]
        self.say(number, f"{name}({given})")
        return function(*args)


def all_functions():
    """What the modules can be asked for, each once, in a fixed order."""
    seen, found = set(), []
    for module in map(importlib.import_module, MODULES):
        for name in sorted(set(vars(module)) - NEVER_FUNCTIONS):
            function = vars(module)[name]
            if callable(function) and id(function) not in seen:
                seen.add(id(function))
                found.append((f"{module.__name__}.{name}", function))
    return found


# ---- whether main's objects are as they were -----------------------------------

def reachable(targets):
    """What the targets lead to: {id: object}; not into modules, and not into
    classes and functions of the library."""
    seen, todo = {}, list(targets.values())
    while todo:
        target = todo.pop()
        if id(target) in seen or type(target) in (types.ModuleType, types.FrameType):
            continue
        library = getattr(target, "__module__", None) != "fuzz_objects"
        seen[id(target)] = target
        if not (library and isinstance(target, (type, types.FunctionType))):
            todo.extend(gc.get_referents(target))
    return seen


# What is stored by whoever asks first, and what is shared by design: HAZARDS.md.
CACHES = ("str", "bytes", "type", "function", "code", "date", "datetime", "time",
          "timedelta", "Decimal", "FileIO", "lock", "RLock", "SemLock", "_Environ",
          "PyCStructType", "PyCSimpleType", "PyCArrayType", "socket")


def look(target):
    """Its bytes but for the reference count, and what it refers to."""
    kind = type(target)
    raw = b""
    if kind.__name__ not in CACHES and not isinstance(target, type):
        raw = ctypes.string_at(id(target), kind.__basicsize__)[8:]
    if isinstance(target, bytearray):
        raw += bytes(target)
    return raw, tuple(map(id, gc.get_referents(target)))


def name_of(target, targets):
    names = [name for name, value in targets.items() if value is target]
    return f"{type(target).__name__} {' '.join(names)}"


def compare(before, objects, targets):
    for place, target in objects.items():
        now = look(target)
        if now != before[place]:
            words = [at + 8 for at in range(0, len(now[0]), 8)
                     if now[0][at:at + 8] != before[place][0][at:at + 8]]
            yield f"changed: {name_of(target, targets)}, words at {words}"


# ---- the child: seeds ----------------------------------------------------------

def report(text):
    os.write(LOG, f"FOUND {text}\n".encode("utf-8", "replace"))


def run_program(*args):
    """In a context, which thereby owns the program."""
    Program(*args)()


def note_end(error):
    """Of a program that has not come to its end: for lack of memory it may."""
    if not issubclass(error[0], MemoryError):
        report(f"a program ended with {error[0].__name__}: {error[1]}")


def run_programs(seeds, targets, functions, options):
    import parallel
    for seed in seeds:
        parallel.submit_work(run_program, (seed, targets, functions, options.steps),
                             errback=note_end, memory=options.memory)
    parallel.run()


def attack(seed, functions, options):
    import parallel
    targets = runpy.run_path(os.path.join(HERE, "fuzz_objects.py"),
                             run_name="fuzz_objects")
    targets = {name: value for name, value in targets.items() if name[0] != "_"
               and not isinstance(value, types.ModuleType)}
    objects = reachable(targets)
    before = {place: look(target) for place, target in objects.items()}
    run_programs(range(seed, seed + options.contexts * 1_000_000, 1_000_000),
                 targets, functions, options)
    for change in compare(before, objects, targets):
        report(f"{seed} {change}")
    for stray in parallel._parallel.find_strays():
        report(f"{seed} refers to what is gone: {stray}")


def child(options):
    import parallel
    warnings.simplefilter("ignore")
    faulthandler.enable()
    os.dup2(os.open(options.log, os.O_WRONLY | os.O_APPEND), LOG)
    parallel.set_memory_limit(options.limit << 20)
    functions = all_functions()
    for seed in range(options.first, options.to):
        os.write(LOG, f"seed {seed}\n".encode())
        attack(seed, functions, options)
        gc.collect()
    os.write(LOG, b"over\n")
    sys.stdout.flush()


# ---- the parent: children ------------------------------------------------------

def run_child(first, to, options, log):
    """Its status, or "hang"; what it said on stderr."""
    command = [sys.executable, "-W", "ignore", __file__, "--child", "--log", log,
               "--from", str(first), "--to", str(to), "--steps", str(options.steps),
               "--contexts", str(options.contexts), "--memory", options.memory,
               "--limit", str(options.limit)]
    env = {**os.environ, "PYTHONHASHSEED": "0"}
    if options.guard:
        env["PYTHONPARALLELGUARD"] = options.guard
    with tempfile.TemporaryDirectory() as place:
        try:
            done = subprocess.run(command, env=env, cwd=place, timeout=HANG_S,
                                  stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, errors="replace")
        except subprocess.TimeoutExpired as late:
            return "hang", (late.stderr or b"").decode("utf-8", "replace")
    return done.returncode, done.stderr


def judge_child(status, errors, lines, options):
    """How many finds; says them."""
    found = [line for line in lines if line.startswith("FOUND")]
    if status != 0 or "over" not in lines:
        seeds = [line for line in lines if line.startswith("seed")]
        found.append(f"FOUND {seeds[-1:]}: status {status}")
        found += [f"    {line[:200]}" for line in lines[-2 * options.contexts:]]
        found.append(errors[-1500:])
    for line in lines if options.verbose else found:
        print(line, flush=True)
    return len(found)


def hunt(options):
    end, found, seed = time.monotonic() + options.seconds, 0, options.first
    while seed < options.to and time.monotonic() < end:
        last = min(seed + CHUNK, options.to)
        with tempfile.NamedTemporaryFile("r", errors="replace") as log:
            status, errors = run_child(seed, last, options, log.name)
            found += judge_child(status, errors, log.read().splitlines(), options)
        seed = last
    print(f"seeds {options.first} to {seed - 1}: {found or 'nothing'} found")
    return found


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="first", type=int, default=0)
    parser.add_argument("--to", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--contexts", type=int, default=2)
    parser.add_argument("--memory", default="auto")
    parser.add_argument("--limit", type=int, default=128, help="memory, in MB")
    parser.add_argument("--guard", default="")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--log", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    options = parse()
    if options.child:
        child(options)
    else:
        sys.exit(1 if hunt(options) else 0)
