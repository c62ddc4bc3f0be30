"""What ordinary programs stumble over in a context: where it cannot do what they
ask, it says so, by name, and where it can, it does.

Run by the patched interpreter: python tests/cpython/test_stumbles.py
"""
import _thread
import asyncio
import concurrent.futures
import copy
import dataclasses
import functools
import io
import logging
import logging.config
import multiprocessing
import multiprocessing.pool
import os
import pickle
import subprocess
import sys
import threading
import traceback
import typing
import unittest
import warnings

import parallel
from test_contexts import in_context
from test_own import Case


class Plain:
    def __init__(self):
        self.x = 1

    @functools.cached_property
    def parts(self):
        return [self.x]


class Slotted:
    __slots__ = ("x", "__dict__")


@dataclasses.dataclass
class Data:
    x: int = 1

    @functools.cached_property
    def parts(self):
        return [id(self)]


class Words(dict):
    pass


def untyped(x):
    return x


def typed(x: int) -> str:
    return str(x)


class Untyped:
    pass


# ---- the dict of main's object ------------------------------------------------------

def made():
    """An object whose dict somebody has asked for."""
    thing = Plain()
    assert thing.__dict__
    return thing


THINGS = {
    "inline values": Plain, "with a dict": made, "slots and dict": Slotted,
    "a dict": Words, "an exception": lambda: ValueError(1),
    "a partial": lambda: functools.partial(untyped),
    "a function": lambda: lambda: 1,
}


class ViewTest(Case):

    def refuse(self, change, what):
        try:
            in_context(change)
        except parallel.UnprotectedError as error:
            frames = traceback.extract_tb(error.__traceback__)
            self.assertIn("<lambda>", [frame.name for frame in frames])
            self.assertRegex(str(error), what)
        else:
            self.fail("not refused")

    def test_no_write_is_lost(self):
        for name, make in THINGS.items():
            thing = make()
            kind = f"'({type(thing).__module__}.)?{type(thing).__name__}'|'dict'"
            before = vars(make()).copy()
            for change in (lambda: vars(thing).__setitem__("new", 1),
                           lambda: thing.__dict__.update(new=1),
                           lambda: thing.__dict__.setdefault("new", 1),
                           lambda: thing.__dict__.__ior__({"new": 1}),
                           lambda: exec("d['new'] = 1", {"d": vars(thing)}),
                           lambda: dict.__init__(vars(thing), new=1)):
                with self.subTest(name):
                    self.refuse(change, kind)
            self.assertEqual(vars(thing), before)

    def test_nor_a_removal(self):
        for thing in Plain(), made():
            for change in (lambda: vars(thing).pop("x"),
                           lambda: vars(thing).clear(),
                           lambda: vars(thing).popitem(),
                           lambda: exec("del d['x']", {"d": vars(thing)}),
                           lambda: vars(thing).__setitem__("x", 2)):
                self.refuse(change, "'Plain'|'dict'")
            self.assertEqual(vars(thing), {"x": 1})

    def test_nor_an_annotation(self):
        for thing in untyped, typed, Untyped:
            before = thing.__annotations__.copy() if thing is typed else {}
            self.refuse(lambda: thing.__annotations__.update(new=int),
                        "'function'|'type'|'dict'")
            self.assertEqual(thing.__annotations__, before)

    def test_it_names_the_object(self):
        thing = Plain()
        self.refuse(lambda: vars(thing).update(x=2), f"'Plain' object at {id(thing):#x}")

    def test_reading(self):
        def read(thing):
            own = vars(thing).copy()
            own["new"] = dict(vars(thing)) | {**vars(thing)}
            again = copy.copy(thing)
            again.x = pickle.loads(pickle.dumps(vars(thing)))
            return own, vars(again), type(vars(thing)), vars(thing).get("no")
        for thing in Plain(), made():
            self.assertEqual(in_context(read, thing), read(thing))

    def test_a_view_leaves_as_a_dict(self):
        thing = Plain()
        got = in_context(lambda: vars(thing))
        got["new"] = 1
        self.assertEqual((got, vars(thing)), ({"x": 1, "new": 1}, {"x": 1}))

    def test_own_objects(self):
        def body():
            thing, words = Plain(), {}
            vars(thing)["new"] = words["x"] = 2
            untyped_here = lambda: 1
            untyped_here.__annotations__["x"] = int
            return vars(thing), words, len(untyped_here.__annotations__)
        self.assertEqual(in_context(body), ({"x": 1, "new": 2}, {"x": 2}, 1))

    def test_memory_of_views(self):
        def body(things):
            for _ in range(100):
                for thing in things:
                    vars(thing)
            return parallel.memory_stats()["used_bytes"]
        things = [Plain() for _ in range(1000)]
        with parallel.Executor(memory="counted") as executor:
            self.assertLess(executor.submit(body, things).result(), 1 << 20)

    def test_cached_properties(self):
        for make in Plain, made, Data:
            things = [make(), make()]

            def body():
                firsts = [thing.parts for thing in things]
                firsts[0].append("kept")
                return [thing.parts is first for thing, first in zip(things, firsts)], \
                    things[0].parts
            same, parts = in_context(body)
            self.assertEqual((same, parts[1:]), ([True, True], ["kept"]))
            self.assertEqual([vars(thing) for thing in things], [{"x": 1}] * 2)
        thing = Plain()
        self.assertIs(in_context(lambda: thing.parts is thing.parts), True)
        mine = thing.parts
        self.assertIs(in_context(lambda: thing.parts), mine)


# ---- what is a context's own --------------------------------------------------------

class OwnTest(Case):

    def setUp(self):
        self.stream = io.StringIO()
        self.handler = logging.StreamHandler(self.stream)
        logging.root.addHandler(self.handler)
        self.addCleanup(logging.root.removeHandler, self.handler)

    def check_logging(self, configure):
        before = logging.root.handlers[:], logging.root.level
        def body():
            own = io.StringIO()
            configure(own)
            logging.info("hello")
            return own.getvalue(), len(logging.root.handlers)
        self.assertEqual(in_context(body), ("hello\n", 1))
        self.assertEqual((logging.root.handlers, logging.root.level), before)
        logging.warning("main's")
        self.assertEqual(self.stream.getvalue(), "main's\n")
        self.assertIs(getattr(self.handler, "_closed", False), False)

    def test_basic_config(self):
        self.check_logging(lambda own: logging.basicConfig(
            stream=own, force=True, level=logging.INFO, format="%(message)s"))

    def test_dict_config(self):
        self.check_logging(lambda own: logging.config.dictConfig({
            "version": 1, "root": {"level": "INFO", "handlers": ["own"]},
            "handlers": {"own": {"class": "logging.StreamHandler", "stream": own}}}))

    def test_file_config(self):
        text = ("[loggers]\nkeys=root\n[handlers]\nkeys=h\n[formatters]\nkeys=\n"
                "[logger_root]\nlevel=INFO\nhandlers=h\n"
                "[handler_h]\nclass=StreamHandler\nargs=()\n")

        def configure(own):
            logging.config.fileConfig(io.StringIO(text))
            logging.root.handlers[0].stream = own
        self.check_logging(configure)

    def test_unions(self):
        T, S = typing.TypeVar("T"), typing.TypeVar("S")
        for union in list[T] | None, dict[T, S] | int | T, typing.List[T] | int, \
                typing.Optional[T], typing.Callable[[T], S]:
            for _ in range(2):  # the second time main has subscripted it
                item = int if len(union.__parameters__) == 1 else (int, str)
                self.assertEqual(in_context(lambda: str(union[item])), str(union[item]))
        with self.assertRaises(TypeError):
            in_context(lambda: (int | str)[int])


class Sized(typing.Protocol):
    def __len__(self) -> int: ...


class Base:
    def __init__(self, count=3):
        self.count = count


class Three(Sized, Base):
    """A class that is made an instance of for the first time in a context."""

    def __len__(self):
        return self.count


class ProtocolTest(Case):

    def test_the_first_instance(self):
        for _ in range(2):
            self.assertEqual(in_context(lambda: (len(Three()), len(Three(count=4)))), (3, 4))
            self.assertNotIn("__init__", vars(Three))
        with self.assertRaises(TypeError):
            in_context(Sized)
        self.assertEqual((len(Three(2)), len(in_context(Three))), (2, 3))


# ---- threads and processes ----------------------------------------------------------

async def call(name):
    loop = asyncio.get_running_loop()
    if name == "to_thread":
        return await asyncio.to_thread(len, "")
    if name == "run_in_executor":
        return await loop.run_in_executor(None, len, "")
    return await loop.getaddrinfo("localhost", 80)


async def fall_back():
    try:
        return await asyncio.to_thread(len, "")
    except parallel.ParallelError:
        return "here"


def pool_map(make):
    with make() as pool:
        return list(pool.map(len, ["a"]))


class Pool(concurrent.futures.ThreadPoolExecutor):
    pass


MAINS = concurrent.futures.ThreadPoolExecutor(1)

REFUSED = {
    "threading.Thread": [lambda: threading.Thread(target=len).start(),
                         lambda: threading.Timer(0, len).start()],
    "_thread.start_new_thread": [lambda: _thread.start_new_thread(len, ("",))],
    "concurrent.futures.ThreadPoolExecutor": [
        concurrent.futures.ThreadPoolExecutor, Pool,
        lambda: pool_map(concurrent.futures.ThreadPoolExecutor),
        lambda: MAINS.submit(len, "")],
    "concurrent.futures.ProcessPoolExecutor": [
        lambda: pool_map(concurrent.futures.ProcessPoolExecutor)],
    "multiprocessing": [
        lambda: multiprocessing.Process(target=len).start(),
        lambda: multiprocessing.get_context("spawn").Process(target=len).start(),
        lambda: pool_map(multiprocessing.Pool),
        lambda: pool_map(multiprocessing.pool.ThreadPool),
        multiprocessing.Manager, multiprocessing.Queue],
    "os.fork": [os.fork],
    r"os.spawnv\(\)": [lambda: os.spawnv(os.P_WAIT, "/bin/true", ["true"])],
    r"asyncio.to_thread\(\)": [lambda: asyncio.run(call("to_thread"))],
    r"run_in_executor\(\)": [lambda: asyncio.run(call("run_in_executor"))],
    r"getaddrinfo\(\)": [lambda: asyncio.run(call("getaddrinfo"))],
}


def name_of(task):
    with open(f"/proc/self/task/{task}/comm") as file:
        return file.read()


def descriptors_and_threads():
    """Ours are as many as are needed."""
    return os.listdir("/proc/self/fd"), [
        task for task in os.listdir("/proc/self/task")
        if not name_of(task).startswith("px-")]


class ThreadsTest(Case):

    def test_they_are_refused_by_name(self):
        threads = threading.enumerate()
        in_context(len, "")
        before = descriptors_and_threads()
        for name, ways in REFUSED.items():
            for way in ways:
                with self.subTest(name), self.assertRaisesRegex(
                        parallel.ParallelError,
                        f"^{name}.* is not possible in a context: .*"
                        "(parallel.submit_work|addresses)") as caught:
                    in_context(way)
                self.assertNotIsInstance(caught.exception, parallel.UnprotectedError)
        self.assertEqual(descriptors_and_threads(), before)
        self.assertEqual(threading.enumerate(), threads)
        self.assertEqual(multiprocessing.active_children(), [])

    def test_a_coroutine_may_do_without(self):
        self.assertEqual(in_context(lambda: asyncio.run(fall_back())), "here")

    def test_main_has_them_still(self):
        with self.assertRaises(parallel.ParallelError):
            in_context(concurrent.futures.ThreadPoolExecutor)
        self.assertEqual(pool_map(concurrent.futures.ThreadPoolExecutor), [1])
        self.assertEqual(MAINS.submit(len, "ab").result(), 2)

    def test_others_keep_their_error(self):
        items = []
        with self.assertRaises(parallel.UnprotectedError):
            in_context(lambda: asyncio.run(append(items)))

    def test_a_child_that_is_left_running(self):
        def body(stdin, told):
            warnings.simplefilter("ignore")
            sys.unraisablehook = lambda what: os.write(told, str(what).encode())
            return subprocess.Popen(["cat"], stdin=stdin).pid
        stdin, keeps_it, reader, told = *os.pipe(), *os.pipe()
        pid = in_context(body, stdin, told)
        self.assertEqual(subprocess._active, [])
        os.close(keeps_it)
        self.assertEqual(os.waitpid(pid, 0), (pid, 0))
        os.close(told)
        self.assertEqual(os.read(reader, 1000), b"")
        os.close(stdin), os.close(reader)


async def append(items):
    items.append(1)


if __name__ == "__main__":
    unittest.main()
