"""One interpreter that is measured; run.py starts it and says what to do.

A request is a line of JSON, {"way": ..., and the way's arguments}; so is the
answer. Whatever a program returns is compared with what it should: a wrong
result is an answer {"error": ...}, not a time.

Before a request's runs garbage is collected, which takes what programs use from
the caches. Small runs are measured when others `before` them, which are not, have
brought it back.

A request that names an `on` is done on that CPU alone.

Two clocks: `cpu`, the CPU time of the thread that runs the program, and
`wall`. Both in nanoseconds, for all `times` runs together.
"""
import concurrent.futures as futures
import gc
import importlib
import json
import os
import pathlib
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

try:
    import parallel
except ImportError:
    parallel = None  # stock

WORKERS = 2
OFTEN = 20


# ---- programs ---------------------------------------------------------------

def program(name):
    return importlib.import_module("programs." + name)


def fresh(name):
    """The module anew: its code has never run and is not specialised."""
    path = pathlib.Path(__file__).parent / "programs" / (name + ".py")
    space = {"__name__": "fresh_" + name}
    exec(compile(path.read_text(), str(path), "exec"), space)
    return space["run"]


def run_checked(run, n, expected):
    """(cpu, wall) of one run, in whatever thread or context this is."""
    cpu, wall = time.thread_time_ns(), time.perf_counter_ns()
    result = run(n)
    wall = time.perf_counter_ns() - wall
    cpu = time.thread_time_ns() - cpu
    if result != expected:
        raise AssertionError(f"{run.__module__}({n}) is {result!r}")
    return cpu, wall


def run_by_name(name, size):
    """What a process of a pool can be sent."""
    module = program(name)
    return run_checked(module.run, *module.SIZES[size])


def run_measured(run, n, expected):
    """In a context: also the bytes that its heap has grown to."""
    cpu, wall = run_checked(run, n, expected)
    return cpu, wall, parallel.memory_stats()["used_bytes"]


# ---- executors --------------------------------------------------------------

class Pools:
    """Executors by name, made when they are first asked for."""

    makers = {
        "contexts": lambda: parallel.Executor(),
        "threads": lambda: futures.ThreadPoolExecutor(WORKERS),
        "processes": lambda: futures.ProcessPoolExecutor(WORKERS),
    }

    def __init__(self):
        self.made = {}

    def __getitem__(self, name):
        if name not in self.made:
            self.made[name] = self.makers[name]()
        return self.made[name]


pools = Pools()


# ---- ways to run a program --------------------------------------------------

def way_main(name, size, times, before=0):
    """On the main thread."""
    module = program(name)
    samples = [run_checked(module.run, *module.SIZES[size])
               for _ in range(before + times)]
    cpu, wall = map(sum, zip(*samples[before:]))
    return {"cpu": cpu, "wall": wall}


def in_contexts(runs, n, expected, before=0):
    """One after the other, each in a context of its own."""
    pool = pools["contexts"]
    samples = [pool.submit(run_measured, run, n, expected).result()
               for run in runs]
    cpu, wall, heap = zip(*samples[before:])
    return {"cpu": sum(cpu), "wall": sum(wall), "heap": max(heap)}


def way_context(name, size, times, before=0):
    """In contexts, with code that main has run before (see warm)."""
    module = program(name)
    return in_contexts([module.run] * (before + times), *module.SIZES[size],
                       before)


def way_cold(name, size, times):
    """In contexts, with code that has never run anywhere."""
    runs = [fresh(name) for _ in range(times)]
    return in_contexts(runs, *program(name).SIZES[size])


learnt = {}  # {(name, size): code that only contexts have run, and often}


def way_own(name, size, times, before=0):
    """In contexts, with code that main has never run."""
    n, expected = program(name).SIZES[size]
    if (name, size) not in learnt:
        learnt[name, size] = fresh(name)
        in_contexts([learnt[name, size]] * OFTEN, n, expected)
    return in_contexts([learnt[name, size]] * (before + times), n, expected,
                       before)


def way_together(pool, count, name, size):
    """`count` runs at once; the time until the last is over."""
    program(name)  # a context imports nothing
    began = time.perf_counter_ns()
    waiting = [pools[pool].submit(run_by_name, name, size)
               for _ in range(count)]
    cpu = sum(future.result()[0] for future in waiting)
    return {"cpu": cpu, "wall": time.perf_counter_ns() - began}


def way_warm(name, size, times=3):
    """Let main specialise the code."""
    way_main(name, size, times)
    return {}


# ---- micro ------------------------------------------------------------------

def nothing():
    pass


def fail():
    raise ValueError("no")


def raise_and_catch(count):
    for _ in range(count):
        try:
            fail()
        except ValueError:
            pass


def empty_loop(count):
    for _ in range(count):
        try:
            nothing()
        except ValueError:
            pass


def exceptions_cost(count):
    """What `count` raised and caught exceptions cost beyond `count` calls."""
    times = []
    for run in raise_and_catch, empty_loop:
        began = time.thread_time_ns()
        run(count)
        times.append(time.thread_time_ns() - began)
    return times[0] - times[1]


def micro_roundtrip(pool, count):
    submit = pools[pool].submit
    for _ in range(count):
        submit(nothing).result()


def micro_failure(pool, count):
    submit = pools[pool].submit
    for _ in range(count):
        if not isinstance(submit(fail).exception(), ValueError):
            raise AssertionError("no ValueError")


def micro_batch(pool, count):
    submit = pools[pool].submit
    for future in [submit(nothing) for _ in range(count)]:
        future.result()


def micro_submit_work(pool, count):
    """Without futures: a context made, entered, left, dropped."""
    submit = parallel.submit_work
    for _ in range(count):
        submit(nothing)
    parallel.run()


def way_micro(name, pool, count):
    run = globals()["micro_" + name]
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    run(pool, count)
    return {"wall": time.perf_counter_ns() - wall,
            "cpu": time.process_time_ns() - cpu}


def way_exceptions(where, count, warm=8):
    def measure():
        if where == "main":
            return exceptions_cost(count)
        return pools["contexts"].submit(exceptions_cost, count).result()
    for _ in range(warm):  # every worker's memory, too
        measure()
    return {"cpu": measure()}


# ---- memory -----------------------------------------------------------------

def peak_kb(pid="self"):
    """The most memory that a process has had resident, in KB; 0: it is gone."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return 0
    return int(status.partition("VmHWM:")[2].split()[0])


def way_peak():
    """Of this process and its children; pages that they share count in each."""
    children = pathlib.Path("/proc/self/task").glob("*/children")
    pids = [pid for path in children for pid in path.read_text().split()]
    return {"kb": peak_kb() + sum(map(peak_kb, pids))}


def way_bounded(name, where, count):
    """How much the peak grows by a run that must not keep what it drops."""
    run = getattr(importlib.import_module("bounded"), name)
    if where == "main":
        run(10)
        before = peak_kb()
        result = run(count)
    else:
        submit = pools["contexts"].submit
        submit(run, 10).result()
        before = peak_kb()
        result = submit(run, count).result()
    if result != count:
        raise AssertionError(f"{name}({count}) is {result!r}")
    return {"kb": peak_kb() - before}


# ---- at work ----------------------------------------------------------------

def stay_on(cpu):
    """With all threads, and those that they start."""
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), {cpu})


def answer(request):
    gc.collect()
    try:
        if "on" in request:
            stay_on(request.pop("on"))
        return globals()["way_" + request.pop("way")](**request)
    except Exception:
        return {"error": traceback.format_exc()}


def main():
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
