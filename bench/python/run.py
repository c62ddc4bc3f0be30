"""Measure Python programs in contexts against their peers, in one run.

    python3 bench/python/run.py [--rounds N] [--starts N] [--quick]
                                [--json FILE] [--readme] [--realtime]
                                [--patched PYTHON] [--stock PYTHON]
                                [--free-threaded PYTHON] [PROGRAM...]

It is run by any Python and starts interpreters, by default those that
src/cpython/tools/build.sh has left in build/ (patched, --stock and
--free-threaded, with --no-install). One that is missing is a failed row.
Results go to the screen as Markdown; --readme puts them between the markers of
bench/README.md.

Each subject is a process (subject.py) that waits for requests, so that rounds
of all of them follow each other closely, each time in another order: what else
the machine does hits all alike. Small runs are asked for in slices of some
milliseconds, in turn, since a CPU's speed may change by half from one tenth of a
second to the next. What runs on one thread is compared on one CPU, each round on
another, for one may have a busier neighbour than the other. --starts processes
of each kind are measured one after the other, since where a process has its
memory makes a difference of some percent to it. --realtime puts them before
everything else that runs on the machine, which needs root. Samples of two runs at
once are taken again, some times, if CPUs have shared a core (cores.py).

The status is 1 if a subject failed, gave a wrong result, or kept memory that it
must not keep. Other goals that are missed are results.
"""
import argparse
import collections
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

import report
from cores import Cores
from rows import Rows

HERE = pathlib.Path(__file__).resolve().parent
BUILDS = HERE.parents[1] / "build" / "cpython-src"
README = HERE.parent / "README.md"
PYTHONS = {
    "patched": BUILDS / "build" / "objects" / "python",
    "stock": BUILDS / "build-stock" / "objects" / "python",
    "free-threaded": BUILDS / "build-free-threaded" / "objects" / "python",
}
PROGRAMS = sorted(path.stem for path in (HERE / "programs").glob("[a-z]*.py"))
TIMEOUT = 120

# A subject: which interpreter, what it is asked. Each has a process of its own,
# so that what one warms does not help another.
SUBJECTS = {
    "stock": "stock",
    "main": "patched",
    "context": "patched",
    "cold": "patched",
    "own": "patched",
    "contexts": "patched",
    "processes": "stock",
    "free-threaded": "free-threaded",
}
POOLS_OF_PROGRAMS = "contexts", "processes", "threads"
REALTIME = "chrt", "--rr", "1"
CPUS = sorted(os.sched_getaffinity(0))
TRIES = 10  # for a sample on whole cores
SLICES = 2  # of a sample of small runs
BEFORE = 2  # runs before each slice that are not measured


class Failed(Exception):
    pass


def turned(items, turn):
    first = turn % max(1, len(items))
    return items[first:] + items[:first]


class Subject:
    """A process of subject.py."""

    def __init__(self, python, realtime=False):
        command = [str(python), "-B", str(HERE / "subject.py")]
        if realtime:
            command[:0] = REALTIME
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONHASHSEED": "0"})

    def ask(self, way, **request):
        try:
            print(json.dumps({"way": way, **request}), file=self.process.stdin,
                  flush=True)
            answer = json.loads(self.process.stdout.readline() or "null")
        except BrokenPipeError:
            answer = None
        if answer is None:
            raise Failed(f"ended with {self.process.wait(TIMEOUT)}")
        if "error" in answer:
            print(answer["error"], file=sys.stderr)
            raise Failed(answer["error"].splitlines()[-1])
        return answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(TIMEOUT)


class Run:
    """All samples: of[what, subject, program] is a list, one item a round."""

    def __init__(self, options):
        self.options = options
        self.of = collections.defaultdict(list)
        self.failures = {}
        self.cores = Cores(2, REALTIME if options.realtime else ())
        self.repeated = self.shared = 0

    def start(self, kind):
        return Subject(self.options.pythons[kind], self.options.realtime)

    def has(self, kind):
        return self.options.pythons[kind].exists()

    def note(self, key, subject, way, **request):
        """One sample; a failure is kept for the report."""
        if key in self.failures:
            return None
        try:
            answer = subject.ask(way, **request)
        except Failed as error:
            self.failures[key] = str(error)
            return None
        self.of[key].append(answer)
        return answer

    def note_on_whole_cores(self, key, subject, **request):
        """The same; before and after it, no CPU shares a core."""
        before = self.cores.are_whole()
        for _ in range(TRIES):
            answer = self.note(key, subject, **request)
            after = self.cores.are_whole()
            if not answer or (before and after):
                return
            self.of[key].pop()
            self.repeated += 1
            before = after
        self.of[key].append(answer)
        self.shared += 1

    # ---- programs, round by round --------------------------------------------

    def times_of(self, program):
        """How many small runs make a sample."""
        with self.start("patched") as subject:
            subject.ask("main", name=program, size="small", times=3)
            three = subject.ask("main", name=program, size="small", times=3)
        return max(SLICES, min(200, self.options.enough * 3 // three["cpu"]))

    def small(self, program, times, cpu):
        """What a round asks of whom: (key, subject, request)."""
        for who in "main", "context", "cold", "own":
            yield (("small", who, program), who,
                   {"way": who, "name": program, "size": self.options.small,
                    "times": times // SLICES, "on": cpu,
                    **({} if who == "cold" else {"before": BEFORE})})

    def large(self, program, cpu):
        """The same; what is compared with stock is asked for next to it."""
        run = {"name": program, "size": self.options.large}
        for who in "own", "cold", "context", "main", "stock":
            way = "main" if who == "stock" else who
            yield (("large", who, program), who,
                   {"way": way, "times": 1, "on": cpu, **run})
        for who, pool in (("contexts", "contexts"), ("processes", "processes"),
                          ("free-threaded", "threads")):
            for count in 1, 2:
                yield ((f"at-once-{count}", who, program), who,
                       {"way": "together", "pool": pool, "count": count,
                        **run})

    def round(self, subjects, programs, turn):
        cpu = CPUS[turn % len(CPUS)]
        for program, times in programs.items():
            small, large = ([sample for sample in samples
                             if sample[1] in subjects]
                            for samples in (self.small(program, times, cpu),
                                            self.large(program, cpu)))
            self.note_slices(subjects, small, turn)
            for key, who, request in turned(large, turn):
                note = (self.note_on_whole_cores
                        if request.get("count", 1) > 1 else self.note)
                note(key, subjects[who], **request)

    def note_slices(self, subjects, samples, turn):
        """A sample of each, a slice of every one at a time."""
        for part in range(SLICES):
            for key, who, request in turned(samples, turn + part):
                if self.note(key, subjects[who], **request) and part:
                    self.join_last(key)

    def join_last(self, key):
        """Two samples are one of both their runs."""
        *self.of[key], first, second = self.of[key]
        joined = {field: first[field] + second[field] for field in first}
        if "heap" in joined:
            joined["heap"] = max(first["heap"], second["heap"])
        self.of[key].append(joined)

    def warm(self, subjects, programs):
        """Main specialises code; contexts get windows whose pages are there."""
        for who, subject in subjects.items():
            unwarmed = who in ("cold", "own")
            for program in programs if not unwarmed else ():
                for size in self.options.small, self.options.large:
                    self.note(("warm", who, program), subject, "warm",
                              name=program, size=size)
            pool = {"context": "contexts", "cold": "contexts",
                    "own": "contexts", "free-threaded": "threads"}.get(who, who)
            for program in programs if pool in POOLS_OF_PROGRAMS else ():
                self.note(("warm", who, program), subject, "together",
                          pool=pool, count=4,
                          name="floats" if unwarmed else program,
                          size=self.options.small)

    def programs(self):
        programs = {name: self.times_of(name) for name in self.options.programs}
        for start in range(self.options.starts):
            subjects = {who: self.start(kind) for who, kind in SUBJECTS.items()
                        if self.has(kind)}
            self.warm(subjects, programs)
            for turn in range(self.options.rounds):
                print(f"start {start + 1}, round {turn + 1}", file=sys.stderr)
                self.round(subjects, programs, turn)
            for subject in subjects.values():
                subject.__exit__()

    # ---- memory --------------------------------------------------------------

    def memory(self):
        """Fresh processes, one large run each."""
        size = self.options.large
        ways = {
            "stock": ("main", {"times": 1}), "main": ("main", {"times": 1}),
            "context": ("context", {"times": 1}),
            "contexts": ("together", {"pool": "contexts", "count": 2}),
            "processes": ("together", {"pool": "processes", "count": 2}),
            "free-threaded": ("together", {"pool": "threads", "count": 2}),
        }
        for program in self.options.weighed:
            for who, (way, request) in ways.items():
                kind, key = SUBJECTS[who], ("peak", who, program)
                if not self.has(kind):
                    continue
                with self.start(kind) as subject:
                    if self.note(("once", who, program), subject, way,
                                 name=program, size=size, **request):
                        self.note(key, subject, "peak")

    BOUNDED = {"append": 200_000, "numbers": 3_000_000, "cycles": 200_000,
               "chained": 100_000}  # how often

    def bounded(self):
        for name, count in self.BOUNDED.items():
            for where in "main", "context":
                with self.start("patched") as subject:
                    self.note(("bounded", where, name), subject, "bounded",
                              name=name, where=where,
                              count=count // self.options.part)

    # ---- small things --------------------------------------------------------

    BATCH, RAISED = 1000, 5000
    MICRO = {"roundtrip": 200, "failure": 200, "batch": BATCH}  # how many
    POOLS = {
        "contexts": ("contexts", "patched"),
        "threads": ("threads", "stock"),
        "free-threads": ("threads", "free-threaded"),
        "processes": ("processes", "stock"),
    }

    def micro_round(self, subjects):
        for name, count in self.MICRO.items():
            for who, (pool, _) in self.POOLS.items():
                if who in subjects:
                    self.note((name, who, ""), subjects[who], "micro",
                              name=name, pool=pool, count=count)
        self.note(("submit_work", "contexts", ""), subjects["contexts"],
                  "micro", name="submit_work", pool="contexts", count=self.BATCH)
        for where in "main", "context":
            self.note(("exceptions", where, ""), subjects["contexts"],
                      "exceptions", where=where, count=self.RAISED)

    def micro(self):
        subjects = {who: self.start(kind)
                    for who, (_, kind) in self.POOLS.items()
                    if self.has(kind)}
        for _ in range(min(4, self.options.rounds)):  # to warm
            self.micro_round(subjects)
        for key in [key for key in self.of if key[2] == ""]:
            del self.of[key]
        for _ in range(self.options.rounds * self.options.starts):
            self.micro_round(subjects)
        for subject in subjects.values():
            subject.__exit__()


# ---- output -----------------------------------------------------------------

def about(options, load, run):
    """What was run, where, in how many rounds."""
    return (f"{platform.system()}, {os.cpu_count()} CPUs, load {load:.1f} before"
            f" the run, {options.starts} starts of {options.rounds} rounds"
            f"{', real-time priority' if options.realtime else ''}; "
            f"{run.repeated} samples repeated and {run.shared} kept though CPUs "
            f"shared a core; {time.strftime('%Y-%m-%d', time.gmtime())}.")


def put_into_readme(text):
    begin, end = "<!-- python results -->\n", "<!-- end of python results -->"
    before, _, rest = README.read_text().partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        sys.exit(f"no markers in {README}")
    README.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--readme", action="store_true")
    parser.add_argument("--realtime", action="store_true")
    parser.add_argument("--quick", action="store_true",
                        help="does it run: tiny programs, one round")
    for kind, path in PYTHONS.items():
        parser.add_argument("--" + kind, type=pathlib.Path, default=path,
                            metavar="PYTHON")
    parser.add_argument("programs", nargs="*", choices=[*PROGRAMS, []])
    options = parser.parse_args()
    options.programs = options.programs or PROGRAMS
    options.pythons = {kind: getattr(options, kind.replace("-", "_"))
                       for kind in PYTHONS}
    set_sizes(options)
    return options


def set_sizes(options):
    """Of programs; nanoseconds that a sample should take, if it can be chosen;
    what part of other numbers; whose memory is measured."""
    options.weighed = options.programs
    if options.quick:
        options.weighed = options.programs[:2]
        options.small = options.large = "tiny"
        options.enough, options.part = 1, 100
        options.rounds = options.starts = 1
    else:
        options.small, options.large = "small", "large"
        options.enough, options.part = 80_000_000, 1


def broken(row):
    return (row["status"] != "ok" or
            row["bench"].startswith("bounded.") and row["met"] is False)


def main():
    options = parse()
    load = os.getloadavg()[0]
    run = Run(options)
    run.bounded()
    run.programs()
    run.memory()
    run.micro()
    run.cores.close()
    rows = Rows(run).all()
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(rows, indent=1) + "\n")
    text = report.markdown(rows, about(options, load, run))
    print(text)
    if options.readme:
        put_into_readme(text)
    return any(map(broken, rows))


if __name__ == "__main__":
    sys.exit(main())
