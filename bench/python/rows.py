"""The rows of a run: which samples are compared with which."""
import report


def ms(ns):
    return ns / 1e6


def mb(kb):
    return kb / 1024


def per_second(wall):
    return 1e9 / wall


class Rows:
    def __init__(self, run):
        self.run = run
        self.rows = []

    # ---- what rows are made of -----------------------------------------------

    def values(self, key, field):
        return [sample[field] for sample in self.run.of[key]]

    def reason(self, *keys):
        """Why there is no row: a failure, or nobody was asked."""
        for key in keys:
            failure = self.run.failures.get(key)
            if failure:
                return f"{key[1]}: {failure}"
        missing = [key[1] for key in keys if not self.run.of[key]]
        return f"{missing[0]} is not built" if missing else None

    def pairs(self, mine, theirs, field, programs=None):
        """Program -> the values of two subjects, or why there are none."""
        result = {}
        for program in programs or self.run.options.programs:
            keys = (*mine, program), (*theirs, program)
            result[program] = (self.reason(*keys) or
                               [self.values(key, field) for key in keys])
        return result

    def compare(self, bench, subject, other, pairs, unit, scale):
        """A row a program, and one of their geomean."""
        ratios = []
        for program, pair in pairs.items():
            name = f"{bench}.{program}"
            if isinstance(pair, str):
                self.rows.append(report.failed(name, subject, pair,
                                               other))
                continue
            mine, theirs = (list(map(scale, values)) for values in pair)
            self.rows.append(report.row_of(name, subject, unit, mine, other,
                                           theirs))
            ratios.append([a / b for a, b in zip(mine, theirs)])
        if len(ratios) == len(pairs):
            self.rows.append(report.geomean_row(bench, subject, other, ratios))
        else:
            self.rows.append(report.failed(f"{bench}.geomean", subject,
                                           "a program failed", other))

    def one(self, bench, key, unit, scale, field, other=None):
        """A row of one sample's key, beside another subject's."""
        theirs = (key[0], other, key[2])
        reason = self.reason(key, *([theirs] if other else []))
        if reason:
            self.rows.append(report.failed(bench, key[1], reason,
                                           other or ""))
            return
        others = self.values(theirs, field) if other else []
        self.rows.append(report.row_of(
            bench, key[1], unit, list(map(scale, self.values(key, field))),
            other, list(map(scale, others))))

    # ---- the rows ------------------------------------------------------------

    def one_thread(self):
        self.compare("main", "patched", "stock",
                     self.pairs(("large", "main"), ("large", "stock"), "cpu"),
                     "ms CPU", ms)
        for size in "small", "large":
            for subject, who in (("warm", "context"), ("cold", "cold"),
                                 ("own", "own")):
                pairs = self.pairs((size, who), (size, "main"), "cpu")
                self.compare(f"context.{size}", subject, "main", pairs,
                             "ms CPU", ms)

    def heaps(self):
        """How large the contexts' heaps were: what small and large mean."""
        for size in "small", "large":
            for program in self.run.options.programs:
                self.one(f"heap.{size}.{program}", (size, "context", program),
                         "MB", lambda count: count / (1 << 20), "heap")

    def speed(self, bench, subject, other, mine, theirs, runs):
        """Runs a second; `mine` was the time of so many at once."""
        pairs = self.pairs(mine, theirs, "wall")
        for pair in pairs.values():
            if not isinstance(pair, str):
                pair[0] = [wall / runs for wall in pair[0]]
        self.compare(bench, subject, other, pairs, "1/s", per_second)

    def at_once(self):
        stock = ("large", "stock")
        for who in "contexts", "processes", "free-threaded":
            one, two = ("at-once-1", who), ("at-once-2", who)
            self.speed("two", who, "one", two, one, 2)
            self.speed("net", who, "stock", two, stock, 2)
            self.speed("net-one", who, "stock", one, stock, 1)
        for peer in "processes", "free-threaded":
            self.speed("pair", "contexts", peer, ("at-once-2", "contexts"),
                       ("at-once-2", peer), 1)

    def memory(self):
        for subject, who in (("patched", "main"), ("context", "context"),
                             ("contexts", "contexts"),
                             ("processes", "processes"),
                             ("free-threaded", "free-threaded")):
            self.compare("memory", subject, "stock",
                         self.pairs(("peak", who), ("peak", "stock"), "kb",
                                    self.run.options.weighed),
                         "MB", mb)

    def bounded(self):
        for name in self.run.BOUNDED:
            for where in "main", "context":
                self.one(f"bounded.{name}", ("bounded", where, name), "KB",
                         float, "kb")

    def micro(self):
        for name, count in self.run.MICRO.items():
            for who in self.run.POOLS:
                for clock in "wall", "cpu":
                    self.one(f"micro.{name}.{clock}", (name, who, ""), "us",
                             lambda ns, count=count: ns / count / 1e3, clock,
                             "threads" if who != "threads" else None)
        for clock in "wall", "cpu":
            self.one(f"micro.submit_work.{clock}",
                     ("submit_work", "contexts", ""), "us",
                     lambda ns: ns / self.run.BATCH / 1e3, clock)
        for where in "main", "context":
            self.one("micro.exception", ("exceptions", where, ""), "ns",
                     lambda ns: ns / self.run.RAISED, "cpu",
                     "main" if where == "context" else None)

    def all(self):
        for part in (self.one_thread, self.heaps, self.at_once, self.memory,
                     self.bounded, self.micro):
            part()
        return self.rows
