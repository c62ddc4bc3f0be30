"""From samples to rows, and rows to JSON and Markdown.

A row is what pxbench's rows are: bench, subject, unit, median, p10, p90,
ratio_to, ratio, status, goal, met. A ratio is the median of the ratios within
a round, so that a machine that slows down half way through does not move it.
"""
import collections
import math
from statistics import median

# bench, subject: what was promised, and which way is better. They are those of
# the design notes, and are not moved when they are missed.
GOALS = {
    ("main.geomean", "patched"): ("<=", 1.01),
    ("context.small.geomean", "warm"): ("<=", 0.95),
    ("context.large.geomean", "warm"): ("<=", 1.06),
    ("two.geomean", "contexts"): (">=", 1.9),
    ("net.geomean", "contexts"): (">=", 2.0),
    ("bounded.append", "context"): ("<=", 8192),
    ("bounded.numbers", "context"): ("<=", 8192),
    ("bounded.cycles", "context"): ("<=", 8192),
    ("bounded.chained", "context"): ("<=", 8192),
}


def quantile(values, part):
    """Linear between neighbours."""
    values = sorted(values)
    at = part * (len(values) - 1)
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (at - low)


def geomean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


# ---- rows -------------------------------------------------------------------

def judge(row):
    goal = GOALS.get((row["bench"], row["subject"]))
    row["goal"], row["met"] = "", None
    if goal:
        sign, limit = goal
        value = row["ratio"] if row["ratio_to"] else row["median"]
        row["goal"] = f"{sign} {limit:g}" + (
            f"x {row['ratio_to']}" if row["ratio_to"] else " " + row["unit"])
        if row["status"] == "ok":
            row["met"] = value <= limit if sign == "<=" else value >= limit
    return row


def failed(bench, subject, reason, other=""):
    return judge({"bench": bench, "subject": subject, "unit": "",
                  "median": None, "p10": None, "p90": None,
                  "ratio_to": other, "ratio": None,
                  "status": "failed: " + reason})


def row_of(bench, subject, unit, values, other=None, others=None):
    """Of the values of all rounds, and of those of another subject."""
    row = {"bench": bench, "subject": subject, "unit": unit,
           "median": median(values), "p10": quantile(values, 0.1),
           "p90": quantile(values, 0.9), "ratio_to": "", "ratio": None,
           "status": "ok"}
    if others:
        row["ratio_to"] = other
        row["ratio"] = median(a / b for a, b in zip(values, others))
    return judge(row)


def geomean_row(bench, subject, other, ratios_by_program):
    """The median, p10 and p90 of the rounds' geomeans; `ratio`, which the goal
    is about, is the geomean of the programs' medians."""
    rounds = [geomean(ratios) for ratios in zip(*ratios_by_program)]
    row = row_of(bench + ".geomean", subject, "x", rounds)
    row["ratio_to"] = other
    row["ratio"] = geomean([median(ratios) for ratios in ratios_by_program])
    return judge(row)


# ---- Markdown ---------------------------------------------------------------

def number(value):
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def spread(row):
    if row["status"] != "ok":
        return ""
    return f"{number(row['p10'])} - {number(row['p90'])}"


def verdict(row):
    return {None: row["status"], True: "met", False: "missed"}[row["met"]]


def table(head, lines):
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(line) + " |"
                     for line in [head, rule, *lines]) + "\n"


def cell(row):
    """A failed row has a dash here and its reason below."""
    ok = row and row["status"] == "ok"
    return f"{row['ratio']:.3f}" if ok else "-"


def by_program(rows, columns):
    """One line a program, its ratios in columns; the geomeans last."""
    cells, names = {}, {}
    for row in rows:
        kind, _, name = row["bench"].rpartition(".")
        column = kind, row["subject"], row["ratio_to"]
        if column in columns:
            cells[column, name] = row
            names[name] = None
    lines = [[f"**{name}**" if name == "geomean" else name,
              *(cell(cells.get((column, name))) for column in columns)]
             for name in sorted(names, key="geomean".__eq__)]
    return table(["program", *columns.values()], lines)


def failures(rows):
    """Each reason once, with how many rows it has cost."""
    reasons = collections.Counter(
        row["status"] for row in rows if row["status"] != "ok"
        and not row["bench"].endswith(".geomean"))
    lines = [[reason, str(count)] for reason, count in reasons.items()]
    return table(["rows that failed", "how many"], lines) if lines else ""


# bench, subject, ratio to: what the column is called
COLUMNS = {
    ("main", "patched", "stock"): "main / stock",
    ("context.small", "warm", "main"): "small: context / main",
    ("context.small", "own", "main"): "own",
    ("context.small", "cold", "main"): "cold",
    ("context.large", "warm", "main"): "large: context / main",
    ("context.large", "own", "main"): "own",
    ("context.large", "cold", "main"): "cold",
}

SPEEDS = {
    ("two", "contexts", "one"): "2 contexts / 1",
    ("net", "contexts", "stock"): "/ stock",
    ("pair", "contexts", "processes"): "/ 2 processes",
    ("pair", "contexts", "free-threaded"): "/ 2 free threads",
    ("net", "processes", "stock"): "2 processes / stock",
    ("net-one", "free-threaded", "stock"): "1 free thread / stock",
}

MEMORY = {
    ("memory", "patched", "stock"): "main",
    ("memory", "context", "stock"): "1 context",
    ("memory", "contexts", "stock"): "2 contexts",
    ("memory", "processes", "stock"): "2 processes",
    ("memory", "free-threaded", "stock"): "2 free threads",
}


def plain_rows(rows, kinds):
    lines = []
    for row in rows:
        if (row["bench"].partition(".")[0] in kinds
                and row["status"] == "ok"):
            ratio = (f"{number(row['ratio'])}x {row['ratio_to']}"
                     if row["ratio_to"] else "")
            value = f"{number(row['median'])} {row['unit']}"
            lines.append([row["bench"], row["subject"], value, spread(row),
                          ratio])
    return table(["row", "subject", "median", "p10 - p90", "ratio"], lines)


def goals(rows):
    lines = [[row["bench"], row["subject"], row["goal"],
              number(row["ratio"] if row["ratio_to"] else row["median"]),
              spread(row), verdict(row)] for row in rows if row["goal"]]
    return table(["row", "subject", "goal", "measured", "p10 - p90 of rounds",
                  ""], lines)


def markdown(rows, about):
    return "\n".join([
        about, "",
        "CPU time of the thread, ratios; below 1 is quicker than main:", "",
        by_program(rows, COLUMNS),
        "Work done in the same time, ratios; above 1 is quicker:", "",
        by_program(rows, SPEEDS),
        "Peak memory of all processes, ratios to stock's main thread:", "",
        by_program(rows, MEMORY),
        "Small things; time for one:", "", plain_rows(rows, {"micro"}),
        "What a run that drops what it makes adds to the peak:", "",
        plain_rows(rows, {"bounded"}),
        failures(rows), "**Goals**", "", goals(rows)])
