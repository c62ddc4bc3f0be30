"""Modules in C and contexts: what their methods may change, who imports them,
and those that were not built for this interpreter.

Run by the patched interpreter: python tests/cpython/test_extensions.py
"""
import array
import asyncio
import bz2
import contextvars
import csv
import ctypes
import decimal
import hashlib
import importlib
import io
import itertools
import lzma
import mmap
import os
import pickle
import queue
import random
import re
import select
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import sysconfig
import tempfile
import textwrap
import unicodedata
import unittest
import xml.etree.ElementTree as ElementTree
import zlib
import zoneinfo

import parallel
from parallel import _parallel
from test_contexts import in_context


class Case(unittest.TestCase):

    def tearDown(self):
        self.assertEqual(_parallel.find_strays(), [])

    def refuse(self, *actions, state=lambda: None):
        """Each action is refused in a context, again when main has had its code
        specialised, and changes nothing."""
        before = state()
        for action in actions:
            for _ in range(2):
                with self.assertRaises(parallel.UnprotectedError):
                    in_context(action)
        self.assertEqual(state(), before)

    def agree(self, *actions):
        """Each gives in a context what it gives on the main side."""
        for action in actions:
            self.assertEqual(in_context(action), action())


# ---- methods of main's objects ---------------------------------------------------

class ClosedTest(Case):

    def test_hashes(self):
        for make in hashlib.sha256, hashlib.blake2b, hashlib.sha3_256:
            h = make(b"main")
            self.refuse(lambda: h.update(b"own"), state=h.hexdigest)
            self.agree(h.digest, h.hexdigest, lambda: h.copy().hexdigest())

    def test_compressors(self):
        for make in zlib.compressobj, bz2.BZ2Compressor, lzma.LZMACompressor:
            c = make()
            self.refuse(lambda: c.compress(b"own" * 100), c.flush)
            data = c.compress(b"main") + c.flush()
            self.assertIn(b"main", (zlib if make is zlib.compressobj else
                                    bz2 if make is bz2.BZ2Compressor else
                                    lzma).decompress(data))
        for make in zlib.decompressobj, bz2.BZ2Decompressor, lzma.LZMADecompressor:
            d = make()
            self.refuse(lambda: d.decompress(b""))

    def test_files_and_tables(self):
        out = io.StringIO()
        writer = csv.writer(out)
        self.refuse(lambda: writer.writerow([1]), lambda: writer.writerows([[1]]),
                    state=out.getvalue)
        reader = csv.reader(["a,b"])
        self.refuse(lambda: next(reader), lambda: list(reader))
        self.assertEqual(list(reader), [["a", "b"]])

    def test_iterators(self):
        tee, = itertools.tee("abc", 1)
        numbers = iter([1, 2])
        chain = itertools.chain("ab")
        self.refuse(tee.__copy__, lambda: next(tee), lambda: itertools.tee(tee),
                    lambda: numbers.__setstate__(1), lambda: next(chain))
        self.assertEqual((list(tee), list(numbers)), (["a", "b", "c"], [1, 2]))

    def test_decimals(self):
        context = decimal.Context(prec=5)
        self.refuse(lambda: context.divide(1, 3), context.clear_flags,
                    lambda: context.create_decimal("1.23456789"),
                    lambda: context.flags.__setitem__(decimal.Inexact, True),
                    state=lambda: context.flags[decimal.Inexact])

        def set_flag():
            context.flags[decimal.Inexact] = True
        self.refuse(set_flag, lambda: setattr(context, "prec", 9),
                    lambda: setattr(context, "traps", {}),
                    state=lambda: (context.flags[decimal.Inexact], context.prec,
                                   dict(context.traps)))
        self.agree(lambda: str(context.copy().divide(1, 3)),
                   lambda: str(decimal.Decimal(2).sqrt()), context.Etiny)

    def test_contextvars(self):
        var = contextvars.ContextVar("var", default=0)
        context = contextvars.copy_context()
        self.refuse(lambda: context.run(var.set, []))
        self.assertEqual(context.run(var.get), 0)
        self.agree(lambda: context.copy().run(var.get))

    def test_elements(self):
        tree = ElementTree.fromstring("<a x='1'><b/>text</a>")
        text = lambda: ElementTree.tostring(tree)
        other = ElementTree.Element("c")

        def set_item():
            tree[0] = ElementTree.Element("own")

        def del_item():
            del tree[0]

        def set_attribute():
            tree[0].attrib["y"] = "own"
        self.refuse(lambda: tree.append(ElementTree.Element("own")), tree.clear,
                    lambda: tree.set("y", "own"), lambda: tree.insert(0, other),
                    lambda: tree.remove(tree[0]), set_item, del_item,
                    set_attribute, lambda: tree.__setitem__(0, other),
                    lambda: tree.__init__("own"),
                    lambda: tree.__setstate__({"tag": "own"}), state=text)
        self.agree(lambda: tree.get("x"), lambda: len(tree.findall("b")),
                   lambda: [e.tag for e in tree.iter()], lambda: tree[0].tag,
                   lambda: (tree.attrib, tree[0].attrib), text)

    def test_memory_maps(self):
        with mmap.mmap(-1, 100) as memory:
            def set_item():
                memory[0] = 1
            self.refuse(lambda: memory.write(b"own"), lambda: memory.seek(5),
                        lambda: memory.read(1), set_item, memory.close,
                        state=lambda: (memory.tell(), memory[0]))
            self.agree(lambda: memory.find(b"x"), lambda: memory[:3])

    def test_ctypes(self):
        objects = (ctypes.py_object * 2)(1, 2)
        numbers = (ctypes.c_int * 2)(1, 2)

        def set_object():
            objects[0] = []

        def set_number():
            numbers[0] = 3
        self.refuse(set_object, set_number, lambda: numbers.__init__(5, 6),
                    state=lambda: (list(numbers), objects[0]))
        self.agree(lambda: list(numbers), lambda: ctypes.c_int(5).value)

    def test_queues_futures_pollers(self):
        q, poll = queue.SimpleQueue(), select.poll()
        self.refuse(lambda: q.put([]), lambda: poll.register(0), state=q.qsize)
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)
        future = loop.create_future()
        self.refuse(lambda: future.set_result([]), future.cancel,
                    state=future.done)

    def test_pickles_and_codecs(self):
        out = io.BytesIO()
        pickler = pickle.Pickler(out)
        self.refuse(lambda: pickler.dump([]), pickler.clear_memo)
        decoder = io.IncrementalNewlineDecoder(None, True)
        self.refuse(lambda: decoder.decode("\r"), state=decoder.getstate)

    def test_system(self):
        with os.scandir(os.path.dirname(__file__)) as entries:
            entry = next(entries)
        self.refuse(entry.stat)
        here, there = socket.socketpair()
        with here, there, open(__file__, "rb", buffering=0) as raw:
            self.refuse(here.close, lambda: here.settimeout(1), raw.close,
                        lambda: raw.read(1), state=raw.tell)
            self.assertEqual(in_context(lambda: here.send(b"x")), 1)
            self.assertEqual(there.recv(9), b"x")
            self.agree(raw.fileno, here.fileno)

    def test_bound_by_main(self):
        h = hashlib.sha256()
        c = zlib.compressobj()
        bound = [h.update, c.compress]
        unbound = [type(h).update, type(c).compress]
        self.refuse(*(lambda f=f: f(b"own") for f in bound),
                    *(lambda f=f, o=o: f(o, b"own")
                      for f, o in zip(unbound, (h, c))), state=h.hexdigest)

    def test_code_that_main_has_specialised(self):
        def feed(h, data):
            h.update(data)
        h = hashlib.sha256()
        for _ in range(1000):
            feed(hashlib.sha256(), b"main")
        self.refuse(lambda: feed(h, b"own"), state=h.hexdigest)

        def body():
            own = hashlib.sha256()
            feed(own, b"own")
            return own.hexdigest()
        self.agree(body)

    def test_what_is_raised(self):
        h = hashlib.sha256()
        with self.assertRaises(parallel.UnprotectedError) as caught:
            in_context(h.update, b"")
        for word in "update()", "HASH", "context", "main thread", "allow_methods":
            self.assertIn(word, str(caught.exception))

    def test_subclasses_in_python(self):
        class Dialect(csv.excel):
            delimiter = ";"

        class Buffer(array.array):
            def add(self, value):
                self.append(value)
        buffer = Buffer("i")
        self.refuse(lambda: buffer.add(1), lambda: buffer.byteswap(),
                    state=buffer.tolist)

        def body():
            out, own = io.StringIO(), Buffer("i", [1])
            csv.writer(out, Dialect).writerow([1, 2])
            own.add(2)
            own.byteswap()
            return out.getvalue(), own.tolist()
        self.agree(body)


class OpenTest(Case):
    """What only reads, and what a context has made."""

    def test_reading(self):
        pattern, match = re.compile("(a)(b)?"), re.match("(a)(b)?", "a")
        number, layout = decimal.Decimal("1.5"), struct.Struct("<i")
        zone, numbers = zoneinfo.ZoneInfo("UTC"), array.array("i", [3, 1])
        tls = ssl.create_default_context()
        self.agree(
            lambda: pattern.findall("ab a"), lambda: match.groups(),
            lambda: str(number), lambda: str(number.quantize(number)),
            lambda: layout.pack(5), lambda: layout.unpack(b"\1\0\0\0"),
            lambda: zone.key, numbers.tolist, lambda: numbers.index(1),
            lambda: unicodedata.ucd_3_2_0.name("a"),
            lambda: len(tls.get_ciphers()),
            lambda: iter([1, 2]).__length_hint__(), lambda: layout.__sizeof__())

    def test_own_objects(self):
        def body():
            h, c, d = hashlib.sha256(), zlib.compressobj(), decimal.Context(5)
            tree = ElementTree.fromstring("<a/>")
            h.update(b"x")
            tree.append(ElementTree.Element("b"))
            tree[0] = ElementTree.Element("c")
            generator = random.Random(1)
            generator.seed(2)
            one, two = itertools.tee("ab")
            return (h.hexdigest(), zlib.decompress(c.compress(b"x") + c.flush()),
                    str(d.divide(1, 3)), ElementTree.tostring(tree),
                    generator.random(), list(one) + list(two),
                    contextvars.Context().run(lambda: 1),
                    next(csv.reader(["a,b"])))
        self.agree(body)

    def test_allow_methods(self):
        code = """
            import parallel, mmap
            memory = mmap.mmap(-1, 10)
            def body():
                memory[0] = 7
                return memory.read_byte()
            def refused():
                memory.write(b"own")
            with parallel.Executor() as executor:
                for _ in range(2):
                    for work in body, refused:
                        future = executor.submit(work)
                        print(type(future.exception()).__name__)
                    parallel.allow_methods(mmap.mmap, "__setitem__", "read_byte")
                print(future and memory[0], memory.tell())
        """
        refused = "UnprotectedError\n"
        self.assertEqual(run(code), (
            refused + refused + "NoneType\n" + refused + "7 1\n", ""))

    def test_allow_methods_with_bad_arguments(self):
        for arguments in (int, "bit_length", 5), (5, "x"), (int, "nothing"), \
                (type(self), "refuse"), (select.poll, "poll"):
            with self.assertRaises(TypeError):
                parallel.allow_methods(*arguments)
        with self.assertRaises(parallel.ParallelError):
            in_context(parallel.allow_methods, mmap.mmap, "write")


# ---- imports that main makes -------------------------------------------------------

class ImportTest(Case):
    """In fresh processes, where main has not imported it yet."""

    def test_a_module_in_c(self):
        code = """
            import parallel, sys
            def body():
                import zlib
                import _bisect as alias
                from zlib import crc32
                assert parallel.is_parallel_thread()
                return (crc32(b"x"), zlib is sys.modules["zlib"], id(zlib),
                        parallel._parallel.owns(zlib), alias.__spec__.name)
            assert "zlib" not in sys.modules and "_bisect" not in sys.modules
            with parallel.Executor() as executor:
                seen = {executor.submit(body).result() for _ in range(4)}
            assert "alias" not in globals()
            import zlib
            print(seen == {(zlib.crc32(b"x"), True, id(zlib), False, "_bisect")})
        """
        self.assertEqual(run(code), ("True\n", ""))

    def test_modules_that_need_them(self):
        code = """
            import parallel, sys
            def body():
                import csv, decimal, lzma, sqlite3
                import xml.etree.ElementTree as tree
                with sqlite3.connect(":memory:") as db:
                    one = db.execute("select 1 + 1").fetchone()
                return (next(csv.reader(["a,b"])), str(decimal.Decimal(1) / 8),
                        len(lzma.compress(b"x" * 1000)) > 50, one,
                        tree.fromstring("<a><b/></a>")[0].tag)
            parallel.submit_work(body, callback=print)
            parallel.run()
            for name in "csv", "_csv", "xml", "xml.etree.ElementTree":
                assert name in sys.modules, name
        """
        self.assertEqual(run(code), (
            "(['a', 'b'], '0.125', True, (2,), 'b')\n", ""))

    def test_the_library(self):
        code = """
            import parallel, sys
            def body():
                import ast, random, dataclasses, tomllib.nothing
            def again():
                import ast, random, dataclasses
                return [parallel._parallel.owns(m)
                        for m in (ast, random, dataclasses)]
            def own():
                del sys.modules["ast"]
                import ast
                sys.modules["colorsys"] = None
                try:
                    import colorsys
                except ImportError:
                    import netrc
                    return [parallel._parallel.owns(m) for m in (ast, netrc)]
            def late():  # main has it, but this context has never had it
                sys.modules
                parallel.call_from_main_thread_and_wait(importing)("poplib")
                import poplib
                return parallel._parallel.owns(poplib)
            def importing(name):
                __import__(name)
            with parallel.Executor() as executor:
                print(executor.submit(body).exception())
                print(executor.submit(again).result())
                print(executor.submit(own).result())
                print(executor.submit(late).result())
            print("tomllib" in sys.modules, "netrc" in sys.modules)
        """
        self.assertEqual(run(code), (
            "No module named 'tomllib.nothing'\n[False, False, False]\n"
            "[True, True]\nFalse\nTrue False\n", ""))

    def test_many_at_once(self):
        code = """
            import importlib, parallel, random, sys
            NAMES = ["_bisect", "_bz2", "_csv", "_datetime", "_decimal", "_heapq",
                     "_json", "_lzma", "_pickle", "_queue", "_random", "_socket",
                     "_struct", "_zoneinfo", "array", "binascii", "cmath", "fcntl",
                     "grp", "math", "mmap", "pyexpat", "resource", "select",
                     "syslog", "termios", "zlib"]
            def body(number):
                names = NAMES[number:] + NAMES[:number]
                return {name: id(importlib.import_module(name)) for name in names}
            with parallel.Executor() as executor:
                results = list(executor.map(body, range(len(NAMES))))
            mine = {name: id(importlib.import_module(name)) for name in NAMES}
            print(all(result == mine for result in results))
        """
        self.assertEqual(run(code), ("True\n", ""))

    def test_by_code_in_c(self):
        code = """
            import parallel, sys, time
            def body():
                return time.strptime("2026", "%Y").tm_year
            assert "_strptime" not in sys.modules
            parallel.submit_work(body, callback=print)
            parallel.run()
            print("_strptime" in sys.modules)
        """
        self.assertEqual(run(code), ("2026\nTrue\n", ""))

    def test_what_is_not_there(self):
        def body():
            try:
                import _px_nothing
            except ModuleNotFoundError as error:
                return error.name
        self.assertEqual(in_context(body), "_px_nothing")

    def test_from_elsewhere(self):
        code = """
            import importlib.util, parallel
            def body(path):
                spec = importlib.util.spec_from_file_location("zlib", path)
                return importlib.util.module_from_spec(spec)
            with parallel.Executor() as executor:
                print(executor.submit(body, "elsewhere.so").exception())
        """
        out, errors = run(code)
        self.assertIn("'zlib'", out)
        self.assertIn("main thread", out)
        self.assertEqual(errors, "")

    def test_asyncio(self):
        code = """
            import asyncio, parallel
            def body():
                import _bz2
                return _bz2.__name__
            async def main():
                loop = asyncio.get_running_loop()
                with parallel.Executor() as executor:
                    return await loop.run_in_executor(executor, body)
            print(asyncio.run(main()))
        """
        self.assertEqual(run(code), ("_bz2\n", ""))


class BusyTest(Case):
    """Main is doing something else: nothing may hang."""

    def import_busy(self, body):
        """Run this in the body of a module that main imports."""
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "busy.py"), "w") as file:
                file.write(textwrap.dedent(body))
            return run("import busy", PYTHONPATH=folder)

    def test_main_imports_and_waits_for_the_callback(self):
        out, errors = self.import_busy("""
            import parallel
            def body():
                import zlib
            with parallel.Executor() as executor:
                print(executor.submit(body).exception())
        """)
        self.assertIn("'zlib'", out)
        self.assertIn("importing 'busy'", out)
        self.assertEqual(errors, "")

    def test_main_imports_and_runs_the_callback(self):
        self.assertEqual(self.import_busy("""
            import parallel
            def body():
                import zlib
                return zlib.crc32(b"")
            parallel.submit_work(body, callback=print)
            parallel.run()
        """), ("0\n", ""))

    def test_another_thread_imports(self):
        out, errors = self.import_busy("""
            import sys, threading, time, parallel, types
            from importlib._bootstrap import _get_module_lock
            def import_slowly():
                lock = _get_module_lock("slow")
                lock.acquire()
                began.set()
                time.sleep(0.2)
                lock.release()
            def body():
                import zlib
                return "imported"
            began = threading.Event()
            thread = threading.Thread(target=import_slowly)
            thread.start()
            began.wait()
            parallel.submit_work(body, callback=print)
            parallel.run()
            thread.join()
        """)
        self.assertEqual((out, errors), ("imported\n", ""))

    def test_exit(self):
        code = """
            import parallel
            def body():
                import zlib, _bz2, _lzma, _decimal
            for _ in range(20):
                parallel.submit_work(body)
            parallel.run_once(0)
        """
        for _ in range(5):
            self.assertEqual(run(code), ("", ""))

    def test_the_child_of_a_fork(self):
        code = """
            import os, parallel, warnings
            warnings.simplefilter("ignore")
            def body():
                import zlib
                return "parent"
            parallel.submit_work(abs, 1)
            parallel.run()
            child = os.fork()
            if not child:
                import zlib, _bz2
                os._exit(7)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            print(code, flush=True)
            parallel.submit_work(body, callback=print)
            parallel.run()
        """
        self.assertEqual(run(code), ("7\nparent\n", ""))


# ---- modules that were not built for this interpreter -------------------------------

SOURCE = r"""
#include <Python.h>

static PyObject *
hold(PyObject *module, PyObject *object)
{
    Py_INCREF(object);
    Py_DECREF(object);
    return PyLong_FromLong(42);
}

static PyObject *
box_get(PyObject *self, PyObject *unused)
{
    return PyLong_FromLong(43);
}

static PyObject *
box_new(PyTypeObject *type, PyObject *args, PyObject *kwds)
{
    return PyType_GenericAlloc(type, 0);
}

static PyMethodDef box_methods[] = {{"get", box_get, METH_NOARGS}, {NULL}};
static PyType_Slot box_slots[] = {
    {Py_tp_methods, box_methods}, {Py_tp_new, box_new}, {0}};
static PyType_Spec box_spec = {
    "NAME.Box", sizeof(PyObject), 0, Py_TPFLAGS_DEFAULT, box_slots};

static int
add_box(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&box_spec);
    return type ? PyModule_AddObject(module, "Box", type) : -1;
}

static PyMethodDef methods[] = {{"hold", hold, METH_O}, {NULL}};
static PyModuleDef_Slot slots[] = {{Py_mod_exec, add_box}, {0}};
static struct PyModuleDef def = {
    PyModuleDef_HEAD_INIT, "NAME", NULL, 0, methods, slots};

PyMODINIT_FUNC
PyInit_NAME(void)
{
    return PyModuleDef_Init(&def);
}
"""

COMPILER = (sysconfig.get_config_var("CC") or "cc").split()
STOCK_TAG = ".cpython-%d%d-x86_64-linux-gnu.so" % sys.version_info[:2]
ABI3 = "-DPy_LIMITED_API=0x03080000"


@unittest.skipUnless(shutil.which(COMPILER[0]), "needs a compiler")
class ForeignTest(Case):

    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.stock = os.path.join(cls.folder, "stock")
        os.mkdir(cls.stock)
        with open(sysconfig.get_config_h_filename()) as file:
            config = re.sub("#define Py_PARALLEL .*", "", file.read())
        with open(os.path.join(cls.stock, "pyconfig.h"), "w") as file:
            file.write(config)  # with it our headers are stock's
        cls.build("px_ours", sysconfig.get_config_var("EXT_SUFFIX"))
        cls.build("px_plain", ".so")
        cls.build("px_ours3", ".abi3.so", ABI3)
        cls.build("px_wheel", STOCK_TAG, stock=True)
        cls.build("px_wheel3", ".abi3.so", ABI3, stock=True)
        cls.build("px_untagged", ".so", stock=True)

    @classmethod
    def build(cls, name, suffix, *options, stock=False):
        source = os.path.join(cls.folder, name + ".c")
        with open(source, "w") as file:
            file.write(SOURCE.replace("NAME", name))
        paths = [sysconfig.get_path("include"), sysconfig.get_path("platinclude"),
                 os.path.dirname(sysconfig.get_config_h_filename())]
        includes = ["-I" + path for path in [cls.stock] * stock + paths]
        subprocess.run(
            [*COMPILER, "-shared", "-fPIC", "-O2", "-fvisibility=hidden",
             *options, *includes, source,
             "-o", os.path.join(cls.folder, name + suffix)], check=True)

    def run_code(self, code, **environ):
        return run(code, PYTHONPATH=self.folder, **environ)

    def test_ours(self):
        for name in "px_ours", "px_plain", "px_ours3":
            out = self.run_code(f"""
                import {name}, parallel
                main = object()
                def body():
                    return {name}.hold(main), {name}.Box().get()
                parallel.submit_work(body, callback=print)
                parallel.run()
                print({name}.hold(main), {name}.Box().get())
            """)
            self.assertEqual(out, ("(42, 43)\n42 43\n", ""), name)

    def test_ours_imported_by_a_context(self):
        with open(os.path.join(self.folder, "px_needs.py"), "w") as file:
            file.write("import px_ours")
        out = self.run_code("""
            import parallel, sys
            def body():
                import px_needs, px_ours
                return (px_ours.hold(None), px_ours is px_needs.px_ours,
                        parallel._parallel.owns(px_ours),
                        parallel._parallel.owns(px_needs))
            for _ in range(2):
                parallel.submit_work(body, callback=print)
                parallel.run()
            print("px_ours" in sys.modules, "px_needs" in sys.modules)
        """)
        row = "(42, True, False, True)\n"
        self.assertEqual(out, (row + row + "True False\n", ""))

    def test_ours_and_methods_of_mains_objects(self):
        out = self.run_code("""
            import parallel, px_ours
            box = px_ours.Box()
            with parallel.Executor() as executor:
                print(type(executor.submit(box.get).exception()).__name__)
                parallel.allow_methods(px_ours.Box, "get")
                print(executor.submit(lambda: box.get()).result())
        """)
        self.assertEqual(out, ("UnprotectedError\n43\n", ""))

    def test_foreign_are_refused_by_name(self):
        for name in "px_wheel", "px_wheel3", "px_untagged":
            out, errors = self.run_code(f"""
                try:
                    import {name}
                except ImportError as error:
                    print(error.name, type(error) is ImportError, error)
            """)
            self.assertEqual(errors, "")
            self.assertTrue(out.startswith(f"{name} True"), out)
            for word in name, "not built for this", "PYTHONPARALLEL_ALLOW_ABI3":
                self.assertIn(word, out)

    def test_foreign_that_a_context_imports(self):
        out, errors = self.run_code("""
            import parallel
            def body():
                import px_wheel
            with parallel.Executor() as executor:
                print(repr(executor.submit(body).exception()))
        """)
        self.assertIn("ImportError", out)
        self.assertIn("px_wheel", out)

    def test_foreign_on_the_main_side(self):
        for name in "px_wheel", "px_wheel3", "px_untagged":
            out = self.run_code(f"""
                import {name}, parallel
                box, hold = {name}.Box(), {name}.hold
                def call(what, *args):
                    return what(*args)
                for _ in range(1000):
                    call(hold, None), call(box.get), call({name}.Box)
                with parallel.Executor() as executor:
                    for args in (hold, None), (box.get,), ({name}.Box,), \\
                            ({name}.Box.get, box), (lambda: {name}.hold(1),):
                        error = executor.submit(call, *args).exception()
                        print(type(error).__name__, "'{name}'" in str(error))
                print(hold(1), box.get())
            """, PYTHONPARALLEL_ALLOW_ABI3="1")
            self.assertEqual(out, ("ParallelError True\n" * 5 + "42 43\n", ""))

    def test_the_permission_is_the_environments(self):
        out, errors = run(f"import sys; sys.path.append({self.folder!r});"
                          "import px_wheel", "-E", PYTHONPARALLEL_ALLOW_ABI3="1")
        self.assertIn("ImportError", errors)


def run(code, *options, **environ):
    """What a fresh interpreter prints: (output, errors)."""
    child = subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(code)], text=True,
        capture_output=True, env={**os.environ, **environ}, timeout=60)
    return child.stdout, child.stderr


# ---- the table -----------------------------------------------------------------

class TableTest(unittest.TestCase):
    """A name that is wrong there closes a method, or opens one, without a word."""
    SOURCE = os.path.join(os.path.dirname(__file__), "..", "..", "src", "cpython",
                          "hooks", "pxmethods.c")

    def rows(self, table="rows"):
        with open(self.SOURCE) as file:
            text = file.read()
        words = {name: "".join(re.findall(r'"(.*?)"', value)) for name, value in
                 re.findall(r'#define (\w+)\s+(?:\\\n\s*)?((?:"[^"]*"\s*)+)', text)}
        table = text[text.index(f" {table}[] = {{"):]
        table = table[:table.index("};")]
        for name, value in re.findall(r'\{"([^"]+)",\s*((?:"[^"]*"\s*|\w+)+)\}',
                                      table):
            if value not in words:
                words[value] = "".join(re.findall(r'"(.*?)"', value))
            yield name, words[value].lstrip("-").split()

    def names(self):
        """Of all methods and the like, by the name of their class."""
        found, seen, todo = {}, set(), [object]
        while todo:
            cls = todo.pop()
            if cls in seen:
                continue
            seen.add(cls)
            todo += type.__subclasses__(cls)
            name = cls.__name__ if cls.__module__ == "builtins" else \
                f"{cls.__module__}.{cls.__name__}"
            for base in cls.__mro__:
                found.setdefault(name, set()).update(vars(base))
        return found

    def test_every_name_is_one(self):
        for module in ("_multibytecodec", "_multiprocessing", "_hashlib", "_blake2",
                       "_md5", "_sha1", "_sha2", "_sha3", "sqlite3", "typing"):
            __import__(module)
        known, rows = self.names(), list(self.rows())
        self.assertGreater(len(rows), 70)
        self.assertEqual([name for name, _ in rows],
                         sorted(name for name, _ in rows))  # it is searched
        for name, methods in rows:  # some share a list
            with self.subTest(name):
                self.assertIn(name, known)
                alike = [known[other] for other, same in rows if same == methods]
                self.assertLessEqual(set(methods), set().union(*alike))

    def test_every_function_is_one(self):
        rows = list(self.rows("functions"))
        self.assertGreater(len(rows), 8)
        self.assertEqual([name for name, _ in rows],
                         sorted(name for name, _ in rows))
        for name, functions in rows:
            with self.subTest(name):
                known = vars(importlib.import_module(name))
                self.assertLessEqual(set(functions), set(known))


if __name__ == "__main__":
    unittest.main()
