"""Ways round the guards in the interpreter itself: the compiler, code objects, frames,
exceptions, buffers.

Run by the patched interpreter: python tests/cpython/test_detours_core.py
"""
import array
import ast
import asyncio
import contextlib
import ctypes
import importlib
import io
import mmap
import operator
import pickle
import pyexpat
import struct
import sys
import types
import unittest
import xml.etree.ElementTree as ET

import parallel
from support import Case, in_context, python, run


def raised(error):
    """The same with a traceback."""
    try:
        raise error
    except type(error):
        return error


def fresh(text):
    """An equal string that nobody has interned."""
    return "".join(list(text))


class CodeTest(Case):

    def test_constants_of_a_tree(self):
        """The compiler puts equal constants in one place, also in tuples that it finds."""
        def change():
            own = ast.parse("'x' ' y'", mode="eval").body
            call = ast.Expr(ast.Call(ast.Name("f", ast.Load()), [own], []))
            compile(ast.fix_missing_locations(ast.Module([call, *tree.body], [])), "x", "exec")
        tree = ast.parse("a = ('x y', 1), 'x y'", optimize=1)
        value = tree.body[0].value.value
        before = [id(each) for each in (*value, *value[0])]
        in_context(change)
        self.assertEqual([id(each) for each in (*value, *value[0])], before)
        self.assertEqual(value, (("x y", 1), "x y"))

    def test_names_and_constants_of_code(self):
        """It interns strings where they are."""
        def change():
            code.replace(co_consts=constants, co_names=names)
        interned = [sys.intern(fresh(each)) for each in ("name_q", "deep_q", "some_name")]
        constants = fresh("abcd"), frozenset([fresh("name_q")]), (fresh("deep_q"),)
        names = (fresh("some_name"),)
        code = compile("some_name", "x", "eval")
        state = lambda: [id(each) for each in (*constants, *constants[2], *names)]
        before = state()
        in_context(change)
        self.assertEqual(state(), before)
        self.assertEqual(constants, ("abcd", {interned[0]}, (interned[1],)))

    def test_cells_by_a_frame(self):
        def outer():
            x = 1

            def change():
                x
                sys._getframe().f_locals["x"] = [2]
            return change, lambda: x
        change, state = outer()
        self.refuse(change, state=state)

    def test_metaclasses_that_remember(self):
        """What makes a class does not change one that is there."""
        class Cached(type):
            made = {}

            def __new__(meta, name, bases=(), namespace={}):
                if name not in meta.made:
                    meta.made[name] = super().__new__(meta, name, bases, dict(namespace))
                return meta.made[name]
        Thing = Cached("Thing")
        self.assertTrue(in_context(lambda: Cached("Thing") is Thing))

    def test_cells_for_a_class(self):
        for name in "__classcell__", "__classdictcell__":
            with self.subTest(name):
                cell = types.CellType(1)
                self.refuse(lambda: type("X", (), {name: cell}),
                            state=lambda: cell.cell_contents)

    def test_arguments_of_a_call(self):
        """A bound method gets its self in the place before its arguments, in a tuple
        that others read."""
        class Thing:
            def seen(self, x):
                return args[0] == method
        method = Thing().seen
        args = method, 5
        self.assertTrue(in_context(lambda: operator.call(*args)))

    def test_trampolines(self):
        """Each of perf's is kept in main's code."""
        out, errors = run("""
            import parallel
            def first(x): return x + 1
            with parallel.Executor() as pool:
                print(pool.submit(first, 1).result(), parallel._parallel.find_strays())
                for _ in range(4):
                    pool.submit(lambda: [str(i) * 40 for i in range(5000)] and None).result()
                print(first(1), pool.submit(first, 2).result())
        """, "-X", "perf")
        self.assertEqual((out, errors), ("2 []\n2 3\n", ""))


class ExceptionTest(Case):

    def same(self, raises):
        """What is main's passes through as it is."""
        before = mains.__traceback__, mains.__context__, mains.__cause__

        def passes():
            try:
                raises()
            except type(mains) as error:
                return error is mains
        self.assertTrue(in_context(passes))
        self.assertEqual((mains.__traceback__, mains.__context__, mains.__cause__), before)

    def test_context_managers(self):
        @contextlib.contextmanager
        def manager():
            yield

        def managed():
            with manager():
                raise mains

        def stacked():
            def cleanup(*_):
                raise mains
            with contextlib.ExitStack() as stack:
                stack.push(cleanup)
                raise KeyError
        self.same(managed)
        self.same(stacked)

    def test_what_it_has_already(self):
        def again():
            mains.__traceback__ = mains.__traceback__
            mains.__context__ = mains.__context__
            raise mains.with_traceback(mains.__traceback__)
        self.same(again)
        self.refuse(lambda: setattr(mains, "__traceback__", None),
                    lambda: setattr(mains, "__context__", KeyError()),
                    lambda: setattr(mains, "__cause__", None),
                    lambda: mains.with_traceback(None),
                    state=lambda: (mains.__traceback__, mains.__context__,
                                   mains.__cause__, mains.__suppress_context__))

    def test_names_and_notes(self):
        class Lazy:
            def __getattr__(self, name):
                raise attribute

        class Descriptor:
            def __set_name__(self, owner, name):
                raise mains

        def look():
            try:
                Lazy().x
            except AttributeError as error:
                return error is attribute

        def define():
            class Thing:
                x = Descriptor()
        attribute = AttributeError("no such thing")
        self.assertTrue(in_context(look))
        self.assertIsNone(attribute.name)
        self.same(define)
        self.assertFalse(hasattr(mains, "__notes__"))

    def test_frames_of_imports(self):
        """They are cut out of tracebacks."""
        class Finder:
            @staticmethod
            def find_spec(name, path=None, target=None):
                if name == "broken_one":
                    raise saved or ImportError("broken")

        def frames():
            traceback, names = saved.__traceback__, []
            while traceback:
                names.append(traceback.tb_frame.f_code.co_name)
                traceback = traceback.tb_next
            return names

        def body():
            try:
                import broken_one
            except ImportError as error:
                return error is saved
        saved = None
        sys.meta_path.insert(0, Finder)
        self.addCleanup(sys.meta_path.remove, Finder)
        try:
            importlib.import_module("broken_one")
        except ImportError as error:
            saved = error
        before = frames()
        self.assertTrue(in_context(body))
        self.assertEqual(frames(), before)

    def test_ctrl_c(self):
        """A callback that makes one by itself does not end the process by it."""
        out, errors = python("""
            import parallel, sys
            def body():
                try:
                    exec("raise KeyboardInterrupt")
                except KeyboardInterrupt as error:
                    sys.excepthook(type(error), error, None)
            with parallel.Executor() as pool:
                pool.submit(body).result()
            print("ends well")
        """)
        self.assertEqual(out, "ends well\n")
        self.assertEqual(errors.splitlines()[-1], "KeyboardInterrupt")


class BufferTest(Case):

    def test_views_of_views(self):
        mains = bytearray(b"abcd")
        view = memoryview(mains)

        def seen(mains):
            return memoryview(pickle.PickleBuffer(mains))

        def set_first(view):
            view[0] = 65
        self.refuse(lambda: set_first(seen(memoryview(mains))),
                    lambda: set_first(seen(view)),
                    lambda: set_first(memoryview(seen(seen(view)))),
                    lambda: set_first(pickle.PickleBuffer(memoryview(mains)).raw()),
                    lambda: ctypes.c_int.from_buffer(pickle.PickleBuffer(view)),
                    state=lambda: bytes(mains))
        with self.assertRaises((TypeError, parallel.UnprotectedError)):
            in_context(lambda: struct.pack_into("b", seen(view), 0, 65))
        self.assertEqual(mains, b"abcd")
        self.assertEqual(in_context(lambda: bytes(seen(view))), b"abcd")

    def test_buffers_that_main_changes(self):
        """Who has one by its special method, too, keeps main from freeing it."""
        def change(mains):
            try:
                if isinstance(mains, mmap.mmap):
                    mains.close()
                else:
                    mains.extend(b"b" * 10_000_000)
            except BufferError:
                return "refused"

        def body(mains):
            view = mains.__buffer__(0)
            return on_main(mains), set(view[:100_000:997])
        on_main = parallel.call_from_main_thread_and_wait(change)
        mapping = mmap.mmap(-1, 100_000)
        self.addCleanup(mapping.close)
        mapping[:] = b"a" * 100_000
        for mains in bytearray(mapping), array.array("b", mapping[:]), mapping:
            with self.subTest(type(mains)):
                self.assertEqual(in_context(body, mains), ("refused", {97}))
        self.refuse(lambda: bytearray.__buffer__(mains_bytes, 1),
                    lambda: io.BytesIO(b"xy").readinto(mains_bytes),
                    state=lambda: bytes(mains_bytes))

    def test_looking_often(self):
        """Main is told once of each, not each time."""
        def look():
            for _ in range(200_000):
                for each in seen:
                    bytes(each)
        seen = bytearray(b"a"), bytearray(b"b"), memoryview(bytearray(b"c"))
        self.addCleanup(parallel.set_memory_limit, None)
        parallel.set_memory_limit(4 << 20)
        in_context(look, memory="counted")


class ModuleTest(Case):

    def test_text_in_pieces(self):
        """An XML parser gives text with entities so, and who reads it joins it."""
        root = ET.fromstring("<a>x&amp;y<b/>t&lt;u</a>")
        read = lambda: (root.text, root[0].tail, "".join(root.itertext()),
                        ET.tostring(root), root.text is root.text)
        self.assertEqual(in_context(read), read())
        root = ET.fromstring("<a>x&amp;y<b/>t&lt;u</a>")
        self.assertEqual(in_context(lambda: [root.text for _ in range(1000)][-1]), "x&y")
        self.assertEqual((root.text, root[0].tail), ("x&y", "t<u"))

    def test_parts_of_structures(self):
        class Int(ctypes.c_int):
            pass

        class Pair(ctypes.Structure):
            _fields_ = [("a", ctypes.c_int), ("b", ctypes.c_int)]

        class Both(ctypes.Structure):
            _fields_ = [("x", Int), ("pair", Pair)]
        both, names, texts = Both(), (ctypes.c_char * 8 * 2)(), (ctypes.c_wchar * 8 * 2)()
        pointers = (ctypes.POINTER(ctypes.c_int) * 3)()
        pointer = ctypes.pointer(ctypes.c_int(3))
        self.refuse(lambda: setattr(both.x, "value", 7),
                    lambda: both.x.__init__(9),
                    lambda: both.pair.__setstate__({}, b"ABCDEFGH"),
                    lambda: setattr(names[0], "raw", b"ABCDEFGH"),
                    lambda: setattr(names[1], "value", b"xyz"),
                    lambda: setattr(texts[1], "value", "xyz"),
                    lambda: setattr(pointers[0], "contents", ctypes.c_int(1234)),
                    lambda: setattr(pointer.contents, "value", 5),
                    state=lambda: (bytes(both), bytes(names), bytes(texts), bytes(pointers),
                                   pointer.contents.value))

    def test_where_a_parser_is(self):
        """Expat counts the lines up to there."""
        parser = pyexpat.ParserCreate()
        parser.Parse("<a>" + "\n" * 1000, False)
        self.refuse(lambda: parser.CurrentLineNumber, lambda: parser.CurrentColumnNumber,
                    lambda: parser.ErrorLineNumber, lambda: parser.ErrorColumnNumber)
        self.assertEqual(parser.CurrentLineNumber, 1001)

    def test_types_of_arrays(self):
        """They are the same each time."""
        def assign():
            class Has(ctypes.Structure):
                _fields_ = [("a", ctypes.c_int * 7)]
            has = Has()
            has.a = (ctypes.c_int * 7)(*range(7))
            return list(has.a)
        self.assertTrue(in_context(lambda: ctypes.c_int * 13 is ctypes.c_int * 13))
        self.assertEqual(in_context(assign), list(range(7)))
        known = ctypes.c_int * 17
        self.assertTrue(in_context(lambda: ctypes.c_int * 17 is known))

    def test_futures(self):
        class Loop:
            def get_debug(self):
                return False

            def is_running(self):
                return True

            def call_soon(self, *args, **options):
                pass

            def call_exception_handler(self, what):
                pass

        class Other:
            _asyncio_future_blocking = True

            def get_loop(self):
                return loop

        class Awaitable:
            def __init__(self, what):
                self.what = what

            def __await__(self):
                yield self.what

        async def work(what):
            with contextlib.suppress(ValueError):
                await Awaitable(what)

        def begin():
            asyncio.Task(work(future), loop=loop, eager_start=True)

        def wake():
            wakeups, other = [], Other()
            other.add_done_callback = lambda wakeup, context=None: wakeups.append(wakeup)
            asyncio.Task(work(other), loop=loop, eager_start=True)
            wakeups[0](failed)
        loop = Loop()
        future, failed = asyncio.Future(loop=loop), asyncio.Future(loop=loop)
        future._asyncio_future_blocking = True
        failed.set_exception(ValueError(1))
        in_context(begin)  # main's future belongs to another loop
        self.assertTrue(future._asyncio_future_blocking)
        self.refuse(wake, state=lambda: failed._log_traceback)
        failed.exception()


class FrameTest(Case):
    def test_locals_of_a_cleared_one(self):
        """Of a module or a class they are a dict, that is made anew."""
        try:
            exec("1 / 0", {})
        except ZeroDivisionError as error:
            frame = error.__traceback__.tb_next.tb_frame
        frame.clear()
        self.assertEqual(in_context(lambda: dict(frame.f_locals)), {})
        self.assertEqual(parallel._parallel.find_strays(), [])
        self.assertEqual(frame.f_locals, {})

    def test_call_tracing(self):
        """It has nothing to trace: main's code stays as it is, without tools."""
        out, err = run("""
            import parallel, sys
            tools, seen = sys.monitoring, []
            def twice(n):
                return n + n
            tools.use_tool_id(2, "t")
            tools.register_callback(2, tools.events.LINE, lambda *a: seen.append(a))
            tools.set_events(2, tools.events.LINE)
            def body():
                return sys.call_tracing(twice, (4,))
            with parallel.Executor() as executor:
                print([executor.submit(body).result() for _ in range(3)])
            print(any(code is twice.__code__ for code, _ in seen), twice(2))
            print(any(code is twice.__code__ for code, _ in seen))
        """, PYTHONPARALLELGUARD="auto")
        self.assertEqual((out, err), ("[8, 8, 8]\nFalse 4\nTrue\n", ""))


mains = raised(ValueError("main's"))
mains_bytes = bytearray(b"abcd")

if __name__ == "__main__":
    unittest.main()
