"""Methods of classes in C: which of them a context may call on main's objects;
functions in C that it may not call at all.

Run by the patched interpreter: python tests/cpython/test_methods.py
"""
import array
import asyncio
import bz2
import contextvars
import csv
import ctypes
import decimal
import hashlib
import importlib.util
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
import socket
import ssl
import struct
import types
import unicodedata
import unittest
import xml.etree.ElementTree as ElementTree
import zlib
import zoneinfo

import parallel
from support import Case, in_context, run


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

    def functions(self):
        """Of the second table: (module, names), of those that are built."""
        for name, functions in self.rows("functions"):
            if importlib.util.find_spec(name):
                module = importlib.import_module(name)
                yield module, functions or [
                    each for each, value in vars(module).items()
                    if isinstance(value, types.BuiltinFunctionType)]

    def test_functions_that_are_closed(self):
        names = [name for name, _ in self.rows("functions")]
        self.assertGreater(len(names), 12)
        self.assertEqual(names, sorted(names))  # it is searched

        def call(function):
            for args in (), (None,):
                try:
                    return function(*args)
                except TypeError:
                    pass
        for module, functions in self.functions():
            for name in functions:
                with self.subTest(function=f"{module.__name__}.{name}"):
                    with self.assertRaises(parallel.ParallelError) as caught:
                        in_context(call, getattr(module, name))
                    self.assertIs(type(caught.exception), parallel.ParallelError)
                    self.assertIn(f"{name}() is not possible in a context",
                                  str(caught.exception))

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


if __name__ == "__main__":
    unittest.main()
