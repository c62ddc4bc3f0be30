"""CPython's own tests, each method run in a context.

    python tests/cpython/in_context.py [--warm] [--counted] [--guard MODE]
                                       [--json FILE] [--reasons N] [MODULE...]

By the patched interpreter; without a MODULE all of modules.txt. With --warm each
method runs on the main side first, as a program that uses contexts would have
been running for a while: what it imports is there, its code is specialised.
With --counted contexts count references from the beginning, so that objects go
as soon as nothing refers to them, which many of these tests are about. The guard, which
makes main's memory read-only, is on (auto) unless --guard or PYTHONPARALLELGUARD
says otherwise.

    parent    child of one module (a fresh process)      a context of the child
    ------    -------------------------------------      ----------------------
    starts    loads the module, runs setUpModule
    reads     runs setUpClass, submits the method    ->  makes the instance, runs
    reports                                              setUp, method, tearDown,
              writes one line a method               <-  doCleanups; returns text

The child imports the library's modules in C beforehand, as any program must.
The instance is made in the context, since what a method keeps in self would be
a change of a main-owned object; so setUp and tearDown, which do little else,
run there as well. What belongs to a class or to the module is main's.

A method is
    ok       passed
    trapped  stopped by a hook: the error, or one it was raised from, is an
             UnprotectedError or another ParallelError
    frozen   ended by the guard: a write to main's memory that no hook has stopped.
             In shares it counts as trapped. A new child goes on after it
    failed   anything else that went wrong; and it passes on the main side
    skipped  by itself; or made of a doctest; or it fails on the main side, too
    crashed  took the process along or never ended; the child says each method's
             name first, and a new one goes on after it. A suspect that does not
             crash alone is marked "after others".
    stray    passed, but left in an object of main's a reference into a context

Before the first method and after the last one the child runs methods of its own,
one of which changes a list of main's, and one bytes of main's behind all hooks.
Unless they are ok, failed, trapped and frozen, the run is void: it would have
counted what it did not test.
"""
import argparse
import collections
import importlib
import importlib.machinery
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import unittest

OUTCOMES = ("ok", "trapped", "frozen", "failed", "crashed", "stray", "skipped")
TESTING_IN_C = ["_testcapi", "_testinternalcapi"]
SILENCE_S = 120  # a method that takes longer is taken for hung
GUARD = {"PYTHONPARALLELGUARD": os.environ.get("PYTHONPARALLELGUARD", "auto")}
HERE = os.path.dirname(os.path.abspath(__file__))

# ---- in a context ------------------------------------------------------------


class Record:
    """What unittest tells about one method; the first problem counts."""

    shouldStop = failfast = tb_locals = buffer = False

    def __init__(self):
        self.problems, self.skipped = [], None

    def startTest(self, test, seconds=0):
        pass

    stopTest = addSuccess = addDuration = startTest

    def addSkip(self, test, reason):
        self.skipped = str(reason)

    def addError(self, test, error):
        self.problems.append(describe(error[1]))

    addFailure = addError

    def addExpectedFailure(self, test, error):
        self.skipped = "expected failure"

    def addUnexpectedSuccess(self, test):
        self.problems.append(("failed", "unexpected success", ""))

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.addError(test, error)


def is_trap(error, depth=0):
    """Whether the guard raised the error, or one that it comes of."""
    if error is None or depth > 20:
        return False
    if isinstance(error, parallel.ParallelError):
        return True
    if isinstance(error, BaseExceptionGroup):
        return any(is_trap(e, depth + 1) for e in error.exceptions)
    return is_trap(error.__cause__, depth + 1) or \
        is_trap(error.__context__, depth + 1)


def describe(error):
    """(outcome, message, where) as text that can leave the context."""
    at, where = error.__traceback__, ""
    while at is not None:
        code = at.tb_frame.f_code
        where = f"{os.path.basename(code.co_filename)}:{at.tb_lineno} {code.co_name}"
        at = at.tb_next
    try:
        message = str(error)[:300]
    except Exception:
        message = "?"
    return ("trapped" if is_trap(error) else "failed",
            f"{type(error).__name__}: {message}", where)


def run_method(case_class, name):
    """Run one method; (outcome, message, where)."""
    record = Record()
    case_class(name).run(record)
    if record.problems:
        worst = [p for p in record.problems if p[0] == "failed"]
        return (worst or record.problems)[0]
    return ("skipped", record.skipped, "") if record.skipped else ("ok", "", "")


def run_method_in_context(case_class, name):
    assert parallel.is_parallel_thread()
    return run_method(case_class, name)


# ---- the child ---------------------------------------------------------------


def in_context(func, *args):
    seen = []
    parallel._parallel.submit(func, args, None, None, None,
                              lambda error, result: seen.append((error, result)))
    while not seen:
        parallel._parallel.run_once()
    error, result = seen[0]
    if error is not None:
        raise error
    return result


def outcome_in_context(case_class, method):
    try:
        return in_context(run_method_in_context, case_class, method)
    except parallel.FrozenMemoryError as error:
        return ("frozen", str(error)[:300], "")
    except BaseException as error:
        return describe(error)


class Sentinel(unittest.TestCase):
    """What must come out as it is called."""

    mine = []
    still_mine = bytes(5000)

    def ok(self):
        self.assertTrue(parallel.is_parallel_thread())

    def failed(self):
        self.assertEqual(1, 2)

    def trapped(self):
        self.mine.append(1)

    def frozen(self):
        at = id(self.still_mine) + bytes.__basicsize__ - 1
        ctypes.c_char.from_address(at).value = b"x"  # not a call that may block


def check_sentinel():
    names = ["ok", "failed", "trapped"]
    if parallel.guard_stats()["mode"] in ("auto", "full"):
        names.append("frozen")
    return all(outcome_in_context(Sentinel, name)[0] == name for name in names) \
        and not Sentinel.mine and not any(Sentinel.still_mine)


def flatten(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flatten(test)
        else:
            yield test


def load(module):
    """The module's methods as (name, class, method); doctests have no class."""
    loader = unittest.TestLoader()
    for test in flatten(loader.loadTestsFromName("test." + module)):
        name = test.id().removeprefix("test." + module + ".")
        by_name = type(test).__module__.startswith("test.") and \
            hasattr(type(test), test._testMethodName)
        yield name, type(test) if by_name else None, test._testMethodName


class Child:
    """Runs methods of one module and writes a line about each."""

    def __init__(self, module, wanted, warm, report):
        self.module, self.wanted, self.report = module, wanted, report
        self.warm = warm

    def say(self, *words):
        self.report.write(json.dumps(words) + "\n")
        self.report.flush()

    def run(self):
        methods = list(load(self.module))
        self.say("methods", [name for name, _, _ in methods])
        self.say("sentinel", check_sentinel())
        by_class = {}
        for name, case_class, method in methods:
            if self.wanted is None or name in self.wanted:
                by_class.setdefault(case_class, []).append((name, method))
        self.run_modules(by_class)
        self.say("sentinel", check_sentinel())

    def run_modules(self, by_class):
        home = sys.modules["test." + self.module]
        getattr(home, "setUpModule", lambda: None)()
        for case_class, methods in by_class.items():
            self.run_class(case_class, methods)
        getattr(home, "tearDownModule", lambda: None)()
        unittest.case.doModuleCleanups()

    def run_class(self, case_class, methods):
        reason = "a doctest"
        if case_class is not None:
            reason = getattr(case_class, "__unittest_skip_why__", "skipped") \
                if getattr(case_class, "__unittest_skip__", False) \
                else self.set_up(case_class)
        if reason is not None:
            for name, _ in methods:
                self.say("end", name, "skipped", reason, "")
            return
        for name, method in methods:
            self.run_one(name, case_class, method)
        self.tear_down(case_class)

    def set_up(self, case_class):
        try:
            case_class.setUpClass()
        except Exception as error:
            return f"setUpClass: {error!r}"

    def tear_down(self, case_class):
        """What it raises is no method's fault: setUpClass ran on main."""
        try:
            case_class.tearDownClass()
        except Exception:
            traceback.print_exc()
        case_class.doClassCleanups()

    def run_one(self, name, case_class, method):
        if self.warm:
            outcome = self.try_on_main(case_class, method, ("ok", "", ""))
            if outcome[0] != "ok":
                return self.say("end", name, *outcome)
        self.say("begin", name)
        outcome = outcome_in_context(case_class, method)
        strays = parallel._parallel.find_strays()
        if strays:
            outcome = ("stray", ", ".join(sorted(set(strays))), "")
        if outcome[0] == "failed" and not self.warm:
            outcome = self.try_on_main(case_class, method, outcome)
        self.say("end", name, *outcome)
        if outcome[0] == "frozen":  # it has not torn down what it had set up
            self.say("sentinel", check_sentinel())
            os._exit(0)

    def try_on_main(self, case_class, method, outcome):
        try:
            here = run_method(case_class, method)
        except BaseException as error:
            here = describe(error)
        if here[0] == "ok":
            return outcome
        return ("skipped", "on the main side, too: " + here[1], here[2])


def prepare():
    """What a program does before it uses contexts: import what is in C. And
    what test.support keeps in a global once it was asked."""
    from test import support
    from test.support import script_helper
    for name in sorted(sys.stdlib_module_names) + TESTING_IN_C:
        spec = importlib.util.find_spec(name)
        if spec and isinstance(spec.loader, importlib.machinery.ExtensionFileLoader):
            importlib.import_module(name)
    script_helper.interpreter_requires_environment()
    support.use_resources = []
    return support


def child(module, report_path, wanted, warm, counted):
    global ctypes, parallel
    import ctypes
    import parallel
    support = prepare()
    if counted:
        parallel._parallel.set_young_bytes(0)
    support.verbose = False
    os.chdir(tempfile.mkdtemp())
    with open(report_path, "w") as report:
        Child(module, wanted, warm, report).run()
    os._exit(0)


# ---- the parent --------------------------------------------------------------


class Run:
    """One module: children until each of its methods has an outcome."""

    def __init__(self, module, *how):
        self.module, self.how = module, how
        self.outcomes = {}
        self.names = None
        self.trouble = None

    def run(self):
        while self.trouble is None and \
                (self.names is None or self.names - self.outcomes.keys()):
            left = None if self.names is None else \
                sorted(self.names - self.outcomes.keys())
            done = len(self.outcomes)
            suspect, end = self.start(left)
            if suspect is not None:
                self.outcomes[suspect] = self.confirm(suspect, end)
            elif end != "exit 0" or len(self.outcomes) == done:
                self.trouble = self.trouble or end
        return self

    def confirm(self, suspect, end):
        """Does it crash in a process of its own?"""
        again, _ = self.start([suspect])
        how = f"{end}" if again else f"{end}, after others"
        self.outcomes.pop(suspect, None)
        return ("crashed", how, "")

    def start(self, wanted):
        """Run a child; (the method that was under way, how the child ended)."""
        with tempfile.TemporaryDirectory() as folder:
            report = os.path.join(folder, "report")
            wish = os.path.join(folder, "wanted")
            with open(wish, "w") as file:
                json.dump([wanted, *self.how], file)
            with open(os.path.join(folder, "output"), "w+b") as output:
                process = subprocess.Popen(
                    [sys.executable, "-X", "faulthandler", __file__, "--child",
                     self.module, report, wish], cwd=folder, stdout=output,
                    stderr=output, stdin=subprocess.DEVNULL,
                    env={**os.environ, "TMPDIR": folder, **GUARD})
                end = self.await_end(process, report)
                output.seek(0)
                self.tail = output.read()[-2000:].decode(errors="replace")
            suspect = self.read(report)
            if suspect is None and end != "exit 0":
                end += ": " + self.tail[-400:]
            return suspect, end

    def await_end(self, process, report):
        last, since = -1, time.monotonic()
        while True:
            try:
                code = process.wait(0.2)
                return f"exit {code}" if code >= 0 else signal.Signals(-code).name
            except subprocess.TimeoutExpired:
                pass
            size = os.path.getsize(report) if os.path.exists(report) else 0
            if size != last:
                last, since = size, time.monotonic()
            elif time.monotonic() - since > SILENCE_S:
                process.kill()
                process.wait()
                return "hung"

    def read(self, report):
        """Take in a child's lines; the method that has begun and not ended."""
        under_way = None
        lines = open(report).readlines() if os.path.exists(report) else []
        for line in lines:
            try:
                kind, *rest = json.loads(line)
            except ValueError:  # cut off by a crash
                continue
            if kind == "methods":
                self.names = set(rest[0])
            elif kind == "sentinel" and not rest[0]:
                self.trouble = "void: the sentinel's methods came out wrong"
            elif kind == "begin":
                under_way = rest[0]
            elif kind == "end":
                under_way = None
                self.outcomes[rest[0]] = tuple(rest[1:])
        return under_way

    def counts(self):
        return collections.Counter(o[0] for o in self.outcomes.values())


def table_row(name, counts, note=""):
    cells = "".join(f"{counts.get(o, 0) or '.':>8}" for o in OUTCOMES)
    return f"{name:<28}{sum(counts.values()):>6}{cells}  {note}".rstrip()


def reasons(runs, most):
    """The commonest messages of each bad outcome, without addresses."""
    found = collections.Counter()
    for run in runs:
        for outcome, message, where in run.outcomes.values():
            if outcome not in ("ok", "skipped"):
                text = re.sub(r"0x[0-9a-f]+", "0x", message)[:110]
                found[outcome, text, where.partition(" ")[0]] += 1
    for (outcome, text, where), count in found.most_common(most):
        print(f"{count:>5} {outcome:<8} {where:<26} {text}")


def as_json(runs):
    return {run.module: {"trouble": run.trouble,
                         "methods": {name: list(outcome) for name, outcome
                                     in sorted(run.outcomes.items())}}
            for run in runs}


def share(counts, outcome):
    ran = sum(counts.values()) - counts["skipped"]
    return f"{outcome} {counts[outcome]} ({100 * counts[outcome] / max(ran, 1):.2f} %)"


def all_modules():
    with open(os.path.join(HERE, "modules.txt")) as file:
        lines = [line.strip() for line in file]
    return [line for line in lines if line and not line.startswith("#")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE")
    parser.add_argument("--warm", action="store_true",
                        help="run each method on the main side first")
    parser.add_argument("--counted", action="store_true",
                        help="let contexts count references at once")
    parser.add_argument("--guard", metavar="MODE", choices=("off", "auto", "full"),
                        help="what the guard is to do, if not auto")
    parser.add_argument("--json", metavar="FILE", help="write every outcome there")
    parser.add_argument("--reasons", type=int, default=15, metavar="N",
                        help="show the N commonest reasons")
    options = parser.parse_args()
    if options.guard:
        GUARD["PYTHONPARALLELGUARD"] = options.guard
    print(f"{'module':<28}{'all':>6}" + "".join(f"{o:>8}" for o in OUTCOMES))
    runs, total = [], collections.Counter()
    for module in options.modules or all_modules():
        run = Run(module, options.warm, options.counted).run()
        runs.append(run)
        total += run.counts()
        note = (run.trouble or "").strip().rpartition("\n")[2]
        print(table_row(module, run.counts(), note), flush=True)
        if options.json:
            with open(options.json, "w") as file:
                json.dump(as_json(runs), file, indent=1)
    print(table_row("total", total))
    total["trapped"] += total.pop("frozen", 0)
    print("of those that ran:", ", ".join(
        share(total, o) for o in OUTCOMES if o not in ("frozen", "skipped")))
    reasons(runs, options.reasons)
    return any(run.trouble for run in runs) or total["crashed"] > 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3], *json.load(open(sys.argv[4])))
    sys.exit(main())
