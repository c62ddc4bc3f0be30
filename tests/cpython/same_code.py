"""Whether the patched source, with its hooks off, compiles to what stock does.

    sh src/cpython/tools/build.sh --stock --no-install
    sh src/cpython/tools/build.sh --hooks-off --no-install   # from nothing
    python3 tests/cpython/same_code.py [FILE.o ...]

Each C file of both is compiled once more, as the log of the second build says, but
with lines and file names that are all the same: code that reports its own line
would differ where nothing else does. Then the instructions of each function are
compared, with what they refer to but for the numbers of local labels. The exit
status is 1 when any function differs. With FILEs only these are compared. It takes
5 minutes.
"""
import concurrent.futures
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

BUILDS = pathlib.Path(__file__).resolve().parents[2] / "build/cpython-src"

# Its one function returns what the build was called with.
BY_BUILD = {"Modules/getbuildinfo.o"}
ALIKE = ["-g0", "-w", "-D__LINE__=1", '-D__FILE__="file"']


def commands():
    """Object file -> how it is compiled."""
    log = (BUILDS / "build-hooks-off/px-log").read_text().replace("\\\n", " ")
    lines = [shlex.split(line) for line in log.splitlines()
             if re.match(r"\S*gcc .*-c ", line)]
    known = {line[line.index("-o") + 1]: line for line in lines if "-o" in line}
    objects = BUILDS / "build-hooks-off/objects"
    made = {str(path.relative_to(objects)) for path in objects.rglob("*.o")}
    if not made <= known.keys():
        sys.exit("this needs the log of a build from nothing: remove %s and "
                 "build again" % objects.parent)
    return known


def functions(text):
    """Name -> instructions, without addresses."""
    found, at = {}, []
    for line in text.splitlines():
        name = re.match(r"[0-9a-f]* ?<(.*)>:$", line)
        if name:
            at = found[name[1]] = []
            continue
        line = re.sub(r"<([^>+]*)(\+0x[0-9a-f]+)?>", r"\1", line)
        line = re.sub(r"\.LC\d+", ".LC", line)
        at.append(re.sub(r"(\.[a-z]\w*(\.\w+)*)[+-]0x[0-9a-f]+", r"\1", line))
    return found


def compiled(build, command):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "code.o")
        subprocess.run([*command, *ALIKE, "-o", out], check=True,
                       cwd=BUILDS / build / "objects")
        return functions(subprocess.run(
            ["objdump", "-dr", "--no-addresses", "--no-show-raw-insn", out],
            check=True, capture_output=True, text=True).stdout)


def compare(command):
    """How many functions, and which differ."""
    stock = [word.replace("/source/", "/source-stock/") for word in command]
    ours = compiled("build-hooks-off", command)
    theirs = compiled("build-stock", stock)
    return len(ours), {name for name in ours.keys() | theirs.keys()
                       if ours.get(name) != theirs.get(name)}


def main(wanted):
    known = commands()
    files = wanted or sorted(known.keys() - BY_BUILD)
    all_of_them = others = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda file: compare(known[file]), files)
        for file, (count, differ) in zip(files, results):
            for name in sorted(differ):
                print(file, name, "differs")
            all_of_them += count
            others += len(differ)
    print(f"{len(files)} files, {all_of_them} functions: {others} differ")
    return others > 0 or not all_of_them


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
