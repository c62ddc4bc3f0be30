"""Whether the patched source, with its hooks off, compiles to what stock does.

    sh src/cpython/tools/build.sh --stock --no-install
    sh src/cpython/tools/build.sh --hooks-off --no-install   # from nothing
    python3 tests/cpython/same_code.py [FILE.o ...]

Each C file of both is compiled once more, as the log of the second build says, but
with lines and file names that are all the same: code that reports its own line
would differ where nothing else does. Then the instructions of each function are
compared, with what they refer to but for the numbers of local labels. Functions
in EXCUSED may differ. The exit status is 1 when any other does, or when one that is
excused does not. With FILEs only these are compared. It takes 5 minutes.
"""
import collections
import concurrent.futures
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

BUILDS = pathlib.Path(__file__).resolve().parents[2] / "build/cpython-src"

# What a guard that is always passed leaves behind: the compiler has seen one more
# return, or one more bool, before it found that nobody gets there, and places or
# inlines the rest in another way.
PLACED = "a guard that is always passed"
REWRITTEN = "written so that the field is set once, at the end"
EARLY = "module state that is filled when the module is made, not at first use"
EXCUSED = {
    "Modules/_ctypes/_ctypes.o": {
        PLACED: "Array_ass_item PyCArrayType_init PyCData_set PyCFuncPtr_new "
                "PyCPointerType_init PyCSimpleType_init Pointer_ass_item "
                "_PyCData_set.isra.0",
        EARLY: "_ctypes_mod_exec"},
    "Modules/arraymodule.o": {EARLY: "array_modexec"},
    "Objects/call.o": {PLACED: "_Py_CheckFunctionResult"},
    "Objects/dictobject.o": {PLACED: "insert_to_emptydict"},
    "Objects/genericaliasobject.o": {REWRITTEN: "ga_getitem"},
    "Objects/memoryobject.o": {REWRITTEN: "memory_hash"},
    "Objects/weakrefobject.o": {
        PLACED: "PyWeakref_NewProxy PyWeakref_NewRef",
        REWRITTEN: "weakref_hash"},
    "Python/ceval.o": {PLACED: "_PyEval_EvalFrameDefault"},
    "Python/import.o": {
        PLACED: "_extensions_cache_set.constprop.0",
        "a method of _imp that answers False": "imp_begin_own"},
}

# These tell of the build's folders or flags on purpose.
BY_BUILD = {"Modules/getpath.o", "Modules/getbuildinfo.o", "Python/sysmodule.o",
            "Python/frozen.o", "Python/initconfig.o", "Python/dynload_shlib.o"}
ALIKE = ["-g0", "-w", "-D__LINE__=1", '-D__FILE__="file"']


def commands():
    """Object file -> how it is compiled."""
    with open(BUILDS / "build-hooks-off/px-log") as log:
        lines = [shlex.split(line) for line in log
                 if re.match(r"\S*gcc .*-c ", line)]
    known = {line[line.index("-o") + 1]: line for line in lines if "-o" in line}
    objects = BUILDS / "build-hooks-off/objects"
    made = {str(path.relative_to(objects)) for path in objects.rglob("*.o")}
    if not made - BY_BUILD <= known.keys():
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


def excused(file):
    return {name for names in EXCUSED.get(file, {}).values()
            for name in names.split()}


def main(wanted):
    known = commands()
    files = wanted or sorted(known.keys() - BY_BUILD)
    totals = collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda file: compare(known[file]), files)
        for file, (count, differ) in zip(files, results):
            for name in sorted(differ ^ excused(file)):
                print(file, name, "differs" if name in differ else
                      "is excused, and does not differ")
                totals["wrong"] += 1
            totals["functions"] += count
            totals["differ"] += len(differ)
    print(f"{len(files)} files, {totals['functions']} functions: "
          f"{totals['differ']} differ, {totals['wrong']} against expectation")
    return totals["wrong"] > 0 or not totals["functions"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
