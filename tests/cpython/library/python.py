"""Python's own tools: code, tests, types, imports."""


def use_ast():
    import ast
    tree = ast.parse("x = [i + 1 for i in range(3)]")
    names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return names, ast.unparse(tree), ast.literal_eval("{1: (2, 'x')}"), ast.dump(tree)


def use_cmd():
    import cmd
    import io

    class Shell(cmd.Cmd):
        use_rawinput = False
        prompt = "> "

        def do_add(self, line):
            print(sum(map(int, line.split())), file=self.stdout)

        def do_quit(self, line):
            return True
    out = io.StringIO()
    Shell(stdin=io.StringIO("add 1 2\nhelp\nquit\n"), stdout=out).cmdloop()
    return out.getvalue()


def use_code():
    import code
    import codeop
    names = {}
    code.InteractiveInterpreter(names).runsource("x = 6 * 7")
    return names["x"], codeop.compile_command("if 1:") is None


def use_collections():
    import collections
    import dataclasses
    import enum
    Point = collections.namedtuple("Point", "x y", defaults=[0])

    @dataclasses.dataclass(order=True, frozen=True)
    class Item:
        name: str
        tags: list = dataclasses.field(default_factory=list)
    Colour = enum.Enum("Colour", "RED GREEN")
    Flags = enum.Flag("Flags", "A B")
    chain = collections.ChainMap({"a": 1}, {"b": 2})
    return (tuple(Point(1)._replace(y=3)), repr(Item("x")), Item("a") < Item("b"),
            dataclasses.asdict(Item("x", [1])), [c.name for c in Colour],
            str(Flags.A | Flags.B), dict(chain), Point._fields,
            collections.Counter("abca").most_common(1))


def use_contextlib():
    import contextlib
    import io
    seen = []

    @contextlib.contextmanager
    def noted(name):
        seen.append(name)
        yield name
        seen.append(name.upper())
    with contextlib.ExitStack() as stack:
        stack.enter_context(noted("a"))
        stack.callback(seen.append, "c")
        with contextlib.suppress(KeyError), noted("b"):
            {}[1]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        print("px")
    return seen, out.getvalue()


def use_contextvars():
    import contextvars
    var = contextvars.ContextVar("px", default=1)
    token = var.set(2)
    context = contextvars.copy_context()
    var.reset(token)
    return var.get(), context.run(var.get), context[var]


def use_copy():
    import copy
    import pickle

    data = {"a": [1, (2, 3)], "b": {4}}
    data["self"] = data
    again = copy.deepcopy(data)
    loaded = pickle.loads(pickle.dumps(data))
    return again["self"] is again, loaded["a"], copy.copy([1]), loaded["b"]


def use_copyreg():
    import copy
    import copyreg
    import json
    import pickle

    class Own:
        pass
    copyreg.pickle(Own, lambda own: (str, ("own",)))
    results = [pickle.loads(pickle.dumps(Own())), pickle.loads(pickle._dumps(Own())),
               copy.copy(Own()), copy.deepcopy(Own())]
    copyreg.add_extension("json", "loads", 250)
    texts = pickle.dumps(json.loads, 2), pickle._dumps(json.loads, 2)
    loaded = [load(text) is json.loads for text in texts
              for load in (pickle.loads, pickle._loads)]
    copyreg.remove_extension("json", "loads", 250)
    copyreg.clear_extension_cache()
    return results, texts, loaded, pickle.dumps(json.loads, 2)


def use_ctypes():
    import ctypes

    class Point(ctypes.Structure):
        _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]
    libc = ctypes.CDLL(None)
    libc.strtol.restype = ctypes.c_long
    array = (ctypes.c_int * 3)(3, 1, 2)
    return (libc.strtol(b"42", None, 10), Point(1, 2).y, ctypes.sizeof(Point),
            list(array), ctypes.string_at(b"px"))


def use_dis():
    import dis
    return dis.code_info("x = 1"), [i.opname for i in dis.get_instructions("x = y")]


def use_doctest():
    import doctest
    import io

    def double(x):
        """
        >>> double(2)
        4
        >>> double("x")
        'x'
        """
        return x * 2
    out = io.StringIO()
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(verbose=False)
    test = parser.get_doctest(double.__doc__, {"double": double}, "px", "px", 0)
    return runner.run(test, out=out.write)[:], out.getvalue()


def use_doctest_globals():
    import doctest
    import types
    module = types.ModuleType("px", ">>> 1 + 1\n2\n>>> 3  # doctest: +PX\n3\n")
    flag = doctest.register_optionflag("PX")
    again = doctest.register_optionflag("PX")
    old = doctest.set_unittest_reportflags(doctest.REPORT_NDIFF)
    return ([tuple(doctest.testmod(module)) for _ in range(2)], flag == again,
            old, doctest.set_unittest_reportflags(old) == doctest.REPORT_NDIFF,
            doctest.master.summarize().attempted > 1)


def use_functools():
    import functools

    class Thing:
        @functools.cached_property
        def value(self):
            return []

        @functools.singledispatchmethod
        def kind(self, x):
            return "?"

        @kind.register
        def _(self, x: int):
            return "int"

    @functools.total_ordering
    class Number:
        def __init__(self, n):
            self.n = n

        def __eq__(self, other):
            return self.n == other.n

        def __lt__(self, other):
            return self.n < other.n
    thing = Thing()
    return (thing.value is thing.value, thing.kind(1), thing.kind(""),
            Number(1) >= Number(0), functools.reduce(lambda a, b: a * b, [2, 3]),
            sorted("bca", key=functools.cmp_to_key(lambda a, b: (a > b) - (a < b))))


def use_importlib():
    import importlib
    import importlib.metadata
    import importlib.resources
    import importlib.util
    spec = importlib.util.find_spec("json.decoder")
    module = importlib.import_module("json.decoder")
    source = importlib.resources.files("json").joinpath("tool.py").read_text()
    with importlib.resources.as_file(importlib.resources.files("json")) as path:
        name = path.name
    try:
        importlib.metadata.version("px-none")
    except importlib.metadata.PackageNotFoundError as error:
        missing = str(error)
    return (spec.name, module.__name__, "json" in source, name, missing,
            len(list(importlib.metadata.distributions(path=[]))))


def use_inspect():
    import inspect
    import json

    def function(a, /, b: int = 1, *args, c, **kwds) -> str:
        """What it does."""
    signature = inspect.signature(function)
    return (str(signature), signature.bind(1, c=2).arguments,
            inspect.getdoc(function), inspect.getsource(json.dumps)[:9],
            [name for name, _ in inspect.getmembers(json, inspect.isfunction)],
            inspect.currentframe().f_code.co_name, inspect.stack()[0].function,
            inspect.isgeneratorfunction(function), str(inspect.signature(json.loads)),
            inspect.getmodule(json.dumps).__name__)


def use_pickletools():
    import pickle
    import pickletools
    import io
    pickletools.dis(pickle.dumps([1]), out := io.StringIO())
    return out.getvalue()


def use_pkgutil():
    import json
    import pkgutil
    return (sorted(m.name for m in pkgutil.iter_modules(json.__path__)),
            len(pkgutil.get_data("json", "__init__.py")) > 100,
            pkgutil.resolve_name("json:dumps").__name__)


def use_platform():
    import platform
    import sysconfig
    return (platform.system(), platform.python_version(), platform.machine(),
            platform.platform() != "", sysconfig.get_path("stdlib"),
            sysconfig.get_config_var("EXT_SUFFIX"), platform.libc_ver()[0])


def use_profile():
    import cProfile
    import io
    import pstats
    import timeit
    return timeit.timeit("1 + 1", number=10) > 0, pstats.Stats is not None


def use_pydoc():
    import pydoc
    import json
    return (pydoc.render_doc(json.dumps, renderer=pydoc.plaintext)[:40],
            pydoc.locate("json.dumps").__name__)


def use_pyclbr():
    import pyclbr
    found = pyclbr.readmodule_ex("json.encoder")
    return sorted(found), found is pyclbr.readmodule_ex("json.encoder")


def use_pydoc_pager():
    import contextlib
    import io
    import json
    import pydoc
    with contextlib.redirect_stdout(io.StringIO()) as out:
        help(json.dumps)
        pydoc.pager("px")
    return out.getvalue()


def use_reload():
    import importlib
    import os
    import sys
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "px_reloaded.py"), "w") as file:
            file.write("count = globals().get('count', 0) + 1\n")
        sys.path = [folder, *sys.path]
        module = importlib.import_module("px_reloaded")
        again = importlib.reload(module)
        del sys.modules["px_reloaded"]
        return again is module, module.count


def use_symtable():
    import symtable
    import tabnanny
    return [s.get_name() for s in
            symtable.symtable("def f(a): b = a", "px", "exec").get_children()]


def use_tokenize():
    import io
    import keyword
    import tokenize
    tokens = tokenize.generate_tokens(io.StringIO("x = 1 # px\n").readline)
    return ([t.string for t in tokens], keyword.iskeyword("def"),
            tokenize.untokenize([(1, "x"), (54, "="), (2, "1")]),
            tokenize.detect_encoding(io.BytesIO(b"# -*- coding: latin-1 -*-\n").readline))


def use_traceback():
    import io
    import sys
    import traceback

    def fail():
        raise ValueError("px")
    try:
        fail()
    except ValueError as error:
        try:
            raise KeyError("x") from error
        except KeyError:
            text = traceback.format_exc()
        error.add_note("note")
        frames = traceback.extract_tb(error.__traceback__)
        traceback.print_exception(error, file=(out := io.StringIO()))
    group = ExceptionGroup("g", [ValueError(1), TypeError(2)])
    return (text, [f.name for f in frames], out.getvalue(),
            "".join(traceback.format_exception(group)), frames[-1].line,
            traceback.format_stack(limit=1)[0].count("use_traceback"))


def use_types():
    import types
    import weakref

    class Key:
        pass
    key = Key()
    weak = weakref.WeakKeyDictionary({key: 1})
    values = weakref.WeakValueDictionary(a=key)
    name = types.SimpleNamespace(a=1)
    Made = types.new_class("Made", (), {}, lambda ns: ns.update(x=1))
    return (len(weak), weakref.ref(key)() is key, name.a, Made.x, "a" in values,
            types.MappingProxyType({1: 2})[1], isinstance(len, types.BuiltinFunctionType))


def use_typing():
    import collections.abc
    import typing
    T = typing.TypeVar("T")

    class Box(typing.Generic[T]):
        def get(self) -> typing.Optional["Box[int]"]:
            pass

    class Sized(typing.Protocol):
        def __len__(self) -> int: ...

    @typing.runtime_checkable
    class Closes(typing.Protocol):
        def close(self): ...

    class Row(typing.NamedTuple):
        a: int
        b: str = "x"

    class Movie(typing.TypedDict, total=False):
        name: str

    @typing.overload
    def f(x: int) -> int: ...
    @typing.overload
    def f(x: str) -> str: ...
    def f(x): return x
    return (str(Box[int]), str(typing.Dict[str, typing.List[float]]),
            str(typing.Union[int, None, str]), tuple(Row(1)), Movie(name="x"),
            typing.get_args(typing.Callable[[int], str]), isinstance(open, Closes),
            str(typing.get_type_hints(Box.get, localns=locals())["return"])[:12],
            str(typing.Annotated[int, "x"]), len(typing.get_overloads(f)),
            str(typing.Literal["a", 1]), str(list[T][int]), typing.get_origin(Box[str]) is Box,
            isinstance([], collections.abc.Sequence), str(int | str))


def use_unittest():
    import io
    import unittest
    import unittest.mock

    class Test(unittest.TestCase):
        def setUp(self):
            self.x = unittest.mock.Mock(return_value=3)

        def test_good(self):
            self.assertEqual(self.x(1, a=2), 3)
            self.x.assert_called_once_with(1, a=2)
            with self.assertRaises(ZeroDivisionError), self.subTest(i=1):
                1 / 0

        def test_bad(self):
            self.assertEqual({"a": 1}, {"a": 2})

        def test_logs(self):
            import logging
            with self.assertLogs("px.ut") as seen:
                logging.getLogger("px.ut").error("x")
            self.assertEqual(seen.output, ["ERROR:px.ut:x"])
    out = io.StringIO()
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Test)
    result = unittest.TextTestRunner(out, verbosity=2).run(suite)
    magic = unittest.mock.MagicMock()
    magic.__len__.return_value = 5
    thing = type("Thing", (), {"x": 1})
    with unittest.mock.patch.object(thing, "x", 2):
        patched = thing.x
    return (result.testsRun, len(result.failures), len(result.errors), len(magic),
            patched, thing.x, [str(e[1]) for e in result.errors])


def use_unittest_globals():
    import asyncio
    import unittest
    import unittest.mock as mock
    done = []

    class Test(unittest.IsolatedAsyncioTestCase):
        async def test(self):
            done.append(await asyncio.sleep(0, "slept"))
    result = unittest.TestResult()
    Test("test").run(result)
    unittest.addModuleCleanup(done.append, "cleaned")
    unittest.case.doModuleCleanups()
    text = mock.mock_open(read_data="px")("name").read()
    return (result.testsRun, result.errors, done, text, repr(mock.sentinel.px),
            mock.sentinel.px is mock.sentinel.px,
            mock.sentinel.DEFAULT is mock.DEFAULT)


def use_warnings():
    import warnings
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        warnings.warn("px", DeprecationWarning)

        @warnings.deprecated("old")
        def old():
            return 1
        old()
    return [str(w.message) for w in seen]


def use_zipimport():
    import os
    import runpy
    import sys
    import tempfile
    import zipfile
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "px.zip")
        with zipfile.ZipFile(path, "w") as target:
            target.writestr("px_zipped.py", "x = 42\n")
        script = os.path.join(folder, "px_script.py")
        with open(script, "w") as file:
            file.write("y = __name__\n")
        sys.path = [path, *sys.path]
        import px_zipped
        return px_zipped.x, runpy.run_path(script)["y"]
