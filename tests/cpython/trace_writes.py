"""What contexts write to memory that is main's: run programs, list the sites.

    python3 tests/cpython/trace_writes.py [--python FILE] [--all] [WHAT...]

WHAT is a line of corpus.txt: "module test_json" (in_context.py runs it),
"script examples/python/x.py", or a trace file that is there already; without one,
all of corpus.txt. The interpreter runs with PYTHONPARALLELGUARD=trace (see
pxguard.c), its C code is compiled with -g; addr2line and nm name what wrote what.

A site is the function that wrote, with its callers. Those that known.txt names are
counted and not shown, but with --all. The exit status is 1 when there are others,
or when what wrote nothing at all shows that the tracer is blind.

      count  kind  what it wrote         C functions, the writer first
     python  file:line:function
"""
import argparse
import bisect
import collections
import glob
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PYTHON = os.path.join(ROOT, "build/cpython-src/build/objects/python")
SHOWN = 9  # C functions a site

# ---- running -----------------------------------------------------------------


def lines_of(path):
    """The lines that say something, without comments."""
    with open(path) as file:
        lines = [line.partition("#")[0].strip() for line in file]
    return [line for line in lines if line]


def command_of(kind, name, *arguments):
    if kind == "module":
        return [os.path.join(HERE, "in_context.py"), "--reasons", "0", name]
    return [os.path.join(ROOT, name), *arguments]


def run(python, what, folder):
    """Run it with the tracer; the trace files. Its own failures are not ours."""
    command = command_of(*what.split())
    prefix = os.path.join(folder, "trace")
    env = {**os.environ, "PYTHONPARALLELGUARD": "trace",
           "PYTHONPARALLELTRACE": prefix, "LD_BIND_NOW": "1"}
    subprocess.run([python, *command], env=env, cwd=ROOT,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    return glob.glob(glob.escape(prefix) + ".*")


def read(path):
    """The sites of a trace file: (count, kind, place, python, places)."""
    with open(path, "rb") as file:
        text = file.read().partition(b"\0")[0].decode(errors="replace")
    for line in text.splitlines():
        count, kind, place, python, places = line.split("\t")
        yield int(count), kind, place.strip(), python, tuple(places.split())


def call_before(place):
    file, _, offset = place.rpartition("+")
    return f"{file}+{int(offset, 16) - 1:#x}"


# ---- names -------------------------------------------------------------------


class Names:
    """C functions and data by place, which is FILE+0xOFFSET."""

    def __init__(self):
        self.functions, self.data = {}, {}

    def resolve(self, places):
        by_file = collections.defaultdict(set)
        for place in places:
            file, _, offset = place.rpartition("+")
            if os.path.exists(file) and place not in self.functions:
                by_file[file].add(offset)
        for file, offsets in by_file.items():
            self.resolve_in(file, sorted(offsets))

    def resolve_in(self, file, offsets):
        out = subprocess.run(["addr2line", "-a", "-f", "-i", "-e", file],
                             input="\n".join(offsets), text=True,
                             capture_output=True).stdout
        frames = re.split(r"^0x[0-9a-f]+\n", out, flags=re.M)[1:]
        for offset, frame in zip(offsets, frames):
            lines = frame.splitlines()
            self.functions[f"{file}+{offset}"] = [
                f"{name} {os.path.basename(where.split()[0])}"
                for name, where in zip(lines[::2], lines[1::2])]

    def function(self, place):
        """Inlined functions first, as a list of "name file:line"."""
        return self.functions.get(place, [place])

    def symbol(self, place):
        file, _, offset = place.rpartition("+")
        if not os.path.exists(file):
            return place
        if file not in self.data:
            out = subprocess.run(["nm", "-n", file], text=True,
                                 capture_output=True).stdout
            rows = [row.split() for row in out.splitlines()]
            self.data[file] = [(int(row[0], 16), row[2]) for row in rows
                               if len(row) == 3 and row[1] in "bBdD"
                               and not row[2].startswith("__")]
        table = self.data[file]
        at = bisect.bisect_right(table, (int(offset, 16), "~")) - 1
        if at < 0:
            return place
        return f"{table[at][1]}+{int(offset, 16) - table[at][0]}"


# ---- sites -------------------------------------------------------------------


class Site:
    def __init__(self, kind, target, functions):
        self.kind, self.target, self.functions = kind, target, functions
        self.count, self.pythons = 0, collections.Counter()

    def text(self):
        names = "\n".join(f"             {name}" for name in self.functions)
        python = "".join(f"\n      python {python}" for python, _ in
                         self.pythons.most_common(3))
        return f"{self.count:>8}  {self.kind}  {self.target}\n{names}{python}\n"

    def bare(self):
        """Function names alone, the writer first."""
        return [name.split()[0] for name in self.functions]


def sites_of(files):
    rows = [row for file in files for row in read(file)]
    # a caller's place is where it goes on: the call is one byte before
    rows = [(*row[:4], row[4][:1] + tuple(map(call_before, row[4][1:])))
            for row in rows]
    names, sites = Names(), {}
    names.resolve({place for row in rows for place in row[4]})
    for count, kind, place, python, places in rows:
        functions = [name for p in places for name in names.function(p)][:SHOWN]
        target = names.symbol(place) if kind == "data" else ""
        key = kind, target.partition("+")[0], tuple(functions)
        site = sites.setdefault(key, Site(kind, target, functions))
        site.count += count
        site.pythons[python] += count
    return sorted(sites.values(), key=lambda site: -site.count)


def is_known(site, known):
    """A line of known.txt: function names that come in this order, or data:SYMBOL
    first; then, after a colon, why."""
    for line in known:
        wanted = line.partition(": ")[0].split()
        there = iter([f"data:{site.target.partition('+')[0]}"] + site.bare())
        if all(any(w == t for t in there) for w in wanted):
            return True
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--python", default=PYTHON)
    parser.add_argument("--all", action="store_true", help="show the known, too")
    parser.add_argument("what", nargs="*", metavar="WHAT")
    options = parser.parse_args()
    known = lines_of(os.path.join(HERE, "known.txt"))
    bad = 0
    for what in options.what or lines_of(os.path.join(HERE, "corpus.txt")):
        with tempfile.TemporaryDirectory() as folder:
            files = [what] if os.path.exists(what) else \
                run(options.python, what, folder)
            sites = sites_of(files)
        new = [site for site in sites if not is_known(site, known)]
        bad += len(new)
        print(f"{what}: {len(new)} sites, {len(sites) - len(new)} known, in "
              f"{len(files)} processes", flush=True)
        for site in sites if options.all else new:
            print(site.text(), flush=True)
        if not files:
            print("no trace was written")
            bad += 1
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
