"""Typical uses of the library's modules, each in a context of a fresh process, with
the guard off and on: it gives what it gives on the main side.

    python tests/cpython/test_library.py [-k use_json]

By the patched interpreter. Each use of library/ runs in a process of its own,
since what one leaves in its modules' caches would hide what the next one misses:
first in a context, when nobody has used the module before, then on the main
side, twice in a context when it is warm, and in one that counts references.

    guard    modules of the use
    off      imported by main before
    auto     imported when the context asks
"""
import dis
import json
import os
import subprocess
import sys
import unittest

import library

WAYS = ("off", "imported"), ("auto", "fresh")


def imports_of(use):
    """What main imports for a use, if it does. px_... are made by it."""
    return {i.argval for i in dis.get_instructions(use)
            if i.opname == "IMPORT_NAME" and not i.argval.startswith("px_")}


def in_context(use, memory):
    import parallel
    with parallel.Executor(memory=memory) as executor:
        return executor.submit(use).result()


def on_main(use):
    return use()


def try_use(how, *args):
    try:
        return how(*args)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"


def child(name, variant):
    """Write what the use gives in a context, on the main side, and again."""
    from parallel import _parallel
    use = getattr(library, name)
    for module in imports_of(use) if variant == "imported" else ():
        __import__(module)
    results = [try_use(in_context, use, "auto"), try_use(on_main, use),
               try_use(in_context, use, "auto"), try_use(in_context, use, "counted")]
    print(json.dumps([*map(repr, results), _parallel.find_strays()]), flush=True)
    os._exit(0)


class LibraryTest(unittest.TestCase):
    maxDiff = 2000

    def check(self, name):
        for mode, variant in WAYS:
            with self.subTest(guard=mode, modules=variant):
                self.check_one(name, mode, variant)

    def check_one(self, name, mode, variant):
        done = subprocess.run(
            [sys.executable, __file__, "--child", name, variant], text=True,
            capture_output=True, env={**os.environ, "PYTHONPARALLELGUARD": mode},
            timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        first, mine, *others, strays = json.loads(done.stdout.splitlines()[-1])
        for theirs in (first, *others):
            self.assertEqual(theirs, mine)
        self.assertEqual(strays, [])


def test_of(name):
    return lambda self: self.check(name)


for _name in dir(library):
    if _name.startswith("use_"):
        setattr(LibraryTest, "test_" + _name, test_of(_name))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    unittest.main()
