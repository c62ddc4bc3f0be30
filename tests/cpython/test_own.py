"""What a context has of its own where main has one for all: it is there in the
context, and main has seen nothing of it.

Run by the patched interpreter: python tests/cpython/test_own.py
"""
import codecs
import contextlib
import io
import os
import random
import subprocess
import sys
import tempfile
import threading
import unittest
import warnings

import parallel
from parallel import _parallel
from support import Case, in_context


# ---- sys -----------------------------------------------------------------------

class SysTest(Case):

    def test_stdout(self):
        def body():
            with contextlib.redirect_stdout(io.StringIO()) as out:
                print("caught")
                sys.stdout.write("too")
            return out.getvalue(), sys.stdout is sys.__stdout__
        mine = sys.stdout
        for _ in range(3):  # specialised code of main's sees it, too
            self.assertEqual(in_context(body), ("caught\ntoo", True))
        self.assertIs(sys.stdout, mine)

    def test_code_that_main_has_specialised(self):
        def read():
            return sys.stdout, sys.argv
        for _ in range(1000):
            read()

        def body():
            sys.stdout, sys.argv = io.StringIO(), ["own"]
            return read()[0] is not sys.__stdout__, read()[1]
        mine = read()
        self.assertEqual(in_context(body), (True, ["own"]))
        self.assertEqual(read(), mine)

    def test_others_do_not_see_it(self):
        def body():
            before, sys.argv = sys.argv, ["own"]
            return before
        for _ in range(3):
            self.assertEqual(in_context(body), sys.argv)

    def test_other_names_are_mains(self):
        for change in (lambda: setattr(sys, "maxsize", 1),
                       lambda: setattr(sys, "px_new", 1),
                       lambda: setattr(os, "stdout", 1),
                       lambda: setattr(warnings, "warn", print),
                       lambda: delattr(sys, "stdout"),
                       lambda: sys.meta_path.append("")):
            with self.assertRaises(parallel.UnprotectedError):
                in_context(change)
        self.assertFalse(hasattr(sys, "px_new"))

    def test_path(self):
        def body():
            sys.path.insert(0, "px")
            sys.argv[1:] = ["own"]
            return sys.path[0], sys.argv[1:]
        mine = sys.path[:], sys.argv[:]
        self.assertEqual(in_context(body), ("px", ["own"]))
        self.assertEqual((sys.path, sys.argv), mine)

    def test_modules(self):
        def body():
            sys.modules["px_new"] = sys
            del sys.modules["tempfile"]
            import px_new
            import tempfile as other
            return px_new is sys, other is tempfile
        self.assertEqual(in_context(body), (True, False))
        self.assertNotIn("px_new", sys.modules)
        self.assertIs(sys.modules["tempfile"], tempfile)

    def test_recursion_limit(self):
        def depth(n):
            try:
                return depth(n + 1)
            except RecursionError:
                return n

        def body(limit):
            sys.setrecursionlimit(limit)
            return depth(0), sys.getrecursionlimit()
        mine = sys.getrecursionlimit()
        reached, limit = in_context(body, 200)
        self.assertTrue(100 < reached < 200, reached)
        self.assertEqual(limit, 200)
        self.assertGreater(in_context(body, 5000)[0], 4000)
        self.assertEqual(in_context(sys.getrecursionlimit), mine)
        self.assertEqual(sys.getrecursionlimit(), mine)
        self.assertLess(in_context(depth, 0), mine)

    def test_digits_limit(self):
        def body():
            sys.set_int_max_str_digits(0)
            digits = len(str(10 ** 6000))
            sys.set_int_max_str_digits(640)
            with self.assertRaises(ValueError):
                str(10 ** 700)
            return digits, sys.get_int_max_str_digits()
        mine = sys.get_int_max_str_digits()
        self.assertEqual(in_context(body), (6001, 640))
        self.assertEqual(sys.get_int_max_str_digits(), mine)


# ---- the environment -------------------------------------------------------------

class EnvironTest(Case):

    def test_it_can_be_changed(self):
        def body():
            os.environ["PX_OWN"] = "1"
            os.environb[b"PX_BYTES"] = b"2"
            os.environ.pop("HOME", None)
            return [os.getenv("PX_OWN"), os.environ["PX_BYTES"],
                    "HOME" in os.environ, "PX_OWN" in dict(os.environ)]
        before = dict(os.environ)
        self.assertEqual(in_context(body), ["1", "2", False, True])
        self.assertEqual(dict(os.environ), before)
        self.assertEqual(in_context(dict, os.environ), before)

    def test_a_child_process_sees_it(self):
        def body(**how):
            os.environ["PX_OWN"] = "own"
            return subprocess.run(["/bin/sh", "-c", "echo $PX_OWN"],
                                  stdout=subprocess.PIPE, **how).stdout
        self.assertEqual(in_context(body), b"own\n")
        self.assertEqual(in_context(lambda: body(env={})), b"\n")
        self.assertEqual(
            subprocess.run(["/bin/sh", "-c", "echo $PX_OWN"],
                           stdout=subprocess.PIPE).stdout, b"\n")

    def test_what_would_not_see_it_is_refused(self):
        def body():
            os.environ["PX_OWN"] = "1"
            os.system("true")
        self.assertEqual(in_context(os.system, "true"), 0)
        for each in (body, lambda: os.putenv("PX_OWN", "1"),
                     lambda: os.unsetenv("PATH"),
                     lambda: os.execv("/bin/true", ["true"])):
            with self.assertRaises(parallel.ParallelError):
                in_context(each)


# ---- directory and umask -----------------------------------------------------------

class PlaceTest(Case):

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.folder = os.path.realpath(self.folder)
        self.home = os.getcwd()
        self.addCleanup(os.chdir, self.home)

    def test_directory(self):
        def body(folder, path):
            with contextlib.chdir(folder):
                with open("px_here", "w") as file:
                    file.write("there")
                child = subprocess.run(["/bin/pwd"], stdout=subprocess.PIPE)
                inside = os.getcwd(), child.stdout.decode().strip()
            os.chdir(path)
            return inside, os.getcwd()
        self.assertEqual(in_context(body, self.folder, "/"),
                         ((self.folder, self.folder), "/"))
        self.assertEqual(os.getcwd(), self.home)
        self.assertEqual(os.listdir(self.folder), ["px_here"])

    def test_it_ends_with_the_callback(self):
        def go(folder):
            before = os.getcwd()
            os.chdir(folder)
            os.umask(0)
            return before
        for _ in range(20):  # the same workers, again and again
            self.assertEqual(in_context(go, self.folder), self.home)
            self.assertEqual(in_context(os.getcwd), self.home)

    def test_contexts_follow_main(self):
        def go(folder):
            os.chdir(folder)

        def look(path):
            with open(path, "w") as file:
                mode = os.stat(file.fileno()).st_mode & 0o777
            return os.getcwd(), mode
        for _ in range(20):
            in_context(go, "/")
        os.chdir(self.folder)
        mask = os.umask(0o027)
        try:
            for _ in range(10):
                self.assertEqual(in_context(look, "px_new"), (self.folder, 0o640))
                os.unlink("px_new")
        finally:
            os.umask(mask)
        os.chdir(self.home)
        for _ in range(10):
            self.assertEqual(in_context(os.getcwd), self.home)

    def test_each_of_many_has_its_own(self):
        def body(folder, n):
            path = os.path.join(folder, str(n))
            os.mkdir(path)
            os.chdir(path)
            os.umask(n)
            for _ in range(50):
                if (os.getcwd(), os.umask(n)) != (path, n):
                    return os.getcwd(), n
            return None
        with parallel.Executor() as executor:
            futures = [executor.submit(body, self.folder, n) for n in range(50)]
        self.assertEqual([future.result() for future in futures], [None] * 50)
        self.assertEqual(os.getcwd(), self.home)

    def test_umask(self):
        def body():
            return os.umask(0o077), os.umask(0o022)
        mask = os.umask(0o002)
        try:
            for _ in range(5):
                self.assertEqual(in_context(body), (0o002, 0o077))
            self.assertEqual(os.umask(0o002), 0o002)
        finally:
            os.umask(mask)

    def test_where_the_kernel_refuses(self):
        """As in a container whose seccomp profile knows no unshare()."""
        code = """if 1:
            import ctypes, os, struct, parallel
            NO_NEW_PRIVS, SET_SECCOMP, FILTER, UNSHARE = 38, 22, 2, 272
            rules = b"".join(struct.pack("HBBI", *rule) for rule in (
                (0x20, 0, 0, 0),                  # the call's number
                (0x15, 0, 1, UNSHARE),
                (0x06, 0, 0, 0x00050000 | 1),     # EPERM
                (0x06, 0, 0, 0x7fff0000)))
            buffer = ctypes.create_string_buffer(rules)
            program = struct.pack("HP", 4, ctypes.addressof(buffer))
            prctl = ctypes.CDLL(None).prctl
            assert prctl(NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            assert prctl(SET_SECCOMP, FILTER, program) == 0
            for _ in range(3):
                parallel.submit_work(os.chdir, "/")
                try:
                    parallel.run()
                except parallel.ParallelError as error:
                    print("os.chdir" in str(error))
            """
        done = subprocess.run([sys.executable, "-c", code], text=True,
                              stdout=subprocess.PIPE, check=True)
        self.assertEqual(done.stdout, "True\n" * 3)


# ---- random ------------------------------------------------------------------------

class RandomTest(Case):

    def test_seed(self):
        def draw():
            random.seed(42)
            return ([random.random() for _ in range(5)], random.getrandbits(100),
                    [random.gauss(0, 1) for _ in range(5)],
                    random.sample(range(1000), 5), random.choices("abc", k=5))
        state = random.getstate()
        expected = draw()
        random.setstate(state)
        for _ in range(3):
            self.assertEqual(in_context(draw), expected)
        self.assertEqual(random.getstate(), state)

    def test_seed_of_every_kind(self):
        def draw(seed):
            random.seed(seed)
            return random.random()
        for seed in "text", b"bytes", 1.5, -1, 10 ** 50:
            self.assertEqual(in_context(draw, seed),
                             random.Random(seed).random(), seed)

    def test_state(self):
        def body():
            random.random()
            state = random.getstate()
            first = random.random(), random.gauss()
            random.setstate(state)
            return first == (random.random(), random.gauss()), state
        mine = random.getstate()
        again, state = in_context(body)
        self.assertTrue(again)
        self.assertNotEqual(state, mine)
        self.assertEqual(random.getstate(), mine)

    def test_mains_state_can_be_set(self):
        def body(state):
            random.setstate(state)
            return random.random()
        state = random.getstate()
        drawn = in_context(body, state)
        self.assertEqual(random.getstate(), state)
        self.assertEqual(random.random(), drawn)

    def test_a_seed_goes_with_its_context(self):
        def seed():
            random.seed(1)
            return random.random()
        for _ in range(5):
            in_context(seed)
        drawn = [in_context(random.random) for _ in range(20)]
        self.assertEqual(len(set(drawn)), 20)

    def test_one_that_main_has_made(self):
        mine = random.Random(5)

        def body(seed):
            mine.seed(seed)
            return mine.random(), random.Random(seed).random()
        drawn, expected = in_context(body, 7)
        self.assertEqual(drawn, expected)
        self.assertEqual(mine.random(), random.Random(5).random())


# ---- warnings --------------------------------------------------------------------

def warn(category=UserWarning):
    warnings.warn("px", category)


class WarningsTest(Case):

    def test_that_main_records(self):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            self.assertEqual(in_context(lambda: warn() or 1), 1)
            in_context(lambda: open(os.devnull) and None)  # nobody closes it
            parallel.run()
        self.assertEqual([each.category for each in seen], [UserWarning, ResourceWarning])
        self.assertEqual(str(seen[0].message), "px")

    def test_catching(self):
        def body():
            with warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter("always")
                warn()
                warn()
            return [str(each.message) for each in seen]
        mine = warnings.filters
        self.assertEqual(in_context(body), ["px", "px"])
        self.assertIs(warnings.filters, mine)

    def test_filters(self):
        def body():
            warnings.simplefilter("error")
            with self.assertRaises(UserWarning):
                warn()
            warnings.resetwarnings()
            warnings.filterwarnings("ignore", "p.")
            warn()
            return len(warnings.filters)
        mine = list(warnings.filters)
        self.assertEqual(in_context(body), 1)
        self.assertEqual(warnings.filters, mine)

    def test_asserting(self):
        def body():
            with self.assertWarns(UserWarning):
                warn()
                with self.assertWarnsRegex(RuntimeWarning, "px"):
                    warn(RuntimeWarning)
                warn()
        for _ in range(3):
            in_context(body)

    def test_once(self):
        def body(action):
            said = []
            warnings.showwarning = lambda *args: said.append(args[1].__name__)
            warnings.simplefilter(action)
            for _ in range(3):
                warn()
                warn(RuntimeWarning)
            return said
        once = ["UserWarning", "RuntimeWarning"]
        for _ in range(2):  # the second context has seen none of it
            self.assertEqual(in_context(body, "default"), once)
            self.assertEqual(in_context(body, "module"), once)
            self.assertEqual(in_context(body, "once"), once)
            self.assertEqual(in_context(body, "always"), once * 3)
        self.assertNotIn("__warningregistry__", globals())

    def test_printing(self):
        code = """if 1:
            import parallel, warnings
            def body():
                for i in range(3):
                    warnings.warn("said once")
            parallel.submit_work(body)
            parallel.run()
            """
        done = subprocess.run([sys.executable, "-c", code], text=True,
                              stderr=subprocess.PIPE, check=True)
        self.assertEqual(done.stderr.count("UserWarning: said once"), 1)


# ---- codecs ------------------------------------------------------------------------

class CodecsTest(Case):

    def test_one_that_main_has_not_used(self):
        self.assertNotIn("encodings.cp1253", sys.modules)
        self.assertEqual(in_context("Ω".encode, "cp1253"), b"\xd9")
        self.assertRaises(LookupError, in_context, "".encode, "px-none")

    def test_registering(self):
        def body():
            codecs.register(lambda name: codecs.lookup("ascii")
                            if name == "px" else None)
            codecs.register_error("px", codecs.replace_errors)
            return "aß".encode("px", "px")
        self.assertEqual(in_context(body), b"a?")
        self.assertRaises(LookupError, codecs.lookup, "px")
        self.assertRaises(LookupError, codecs.lookup_error, "px")
        self.assertRaises(LookupError, in_context, codecs.lookup, "px")


# ---- threading.local ---------------------------------------------------------------

class Numbered(threading.local):
    def __init__(self, first):
        if first < 0:
            raise ValueError(first)
        self.number = first


class LocalTest(Case):
    """A context is a thread to main's threading.local."""

    def test_names(self):
        local = threading.local()
        local.x = "main"

        def use():
            before = hasattr(local, "x"), vars(local).copy()
            local.x, local.y = "mine", [1]
            del local.y
            return before, local.x, vars(local)
        for _ in range(3):  # none sees another's
            self.assertEqual(in_context(use),
                             ((False, {}), "mine", {"x": "mine"}))
        self.assertEqual(vars(local), {"x": "main"})

    def test_init(self):
        local = Numbered(7)
        local.number = 8

        def use():
            local.number += 10
            return local.number
        self.assertEqual(in_context(use), 17)
        self.assertEqual(local.number, 8)

    def test_init_that_fails(self):
        local = Numbered(1)

        def use():
            tries = []
            for _ in range(2):
                try:
                    local.number
                except ValueError as error:
                    tries.append(str(error))
            return tries
        init = Numbered.__init__
        self.addCleanup(setattr, Numbered, "__init__", init)
        Numbered.__init__ = lambda self, first: init(self, -first)
        self.assertEqual(in_context(use), ["-1", "-1"])

    def test_one_that_a_context_makes(self):
        def use():
            local = threading.local()
            local.x = 1
            return vars(local)
        self.assertEqual(in_context(use), {"x": 1})


# ---- in the place of main's objects ------------------------------------------------

class Holder:
    pass


class InsteadTest(Case):

    def test_an_instance(self):
        main = Holder()
        main.numbers, main.names = [1], {"a": {"b": [2]}}

        def body():
            own = _parallel.here(main, None)
            own.numbers.append(2)
            own.names["a"]["b"].append(3)
            return _parallel.here(main) is own, own.numbers, own.names
        self.assertEqual(in_context(body), (True, [1, 2], {"a": {"b": [2, 3]}}))
        self.assertEqual(vars(main), {"numbers": [1], "names": {"a": {"b": [2]}}})

    def test_one_that_contains_itself(self):
        main = Holder()
        main.names = {}
        main.names["again"] = main.names
        with self.assertRaisesRegex(RecursionError, "for a context"):
            in_context(_parallel.here, main, None)


if __name__ == "__main__":
    unittest.main()
