"""The system: files, processes, threads, logs, loops."""


def use_argparse():
    import argparse
    parser = argparse.ArgumentParser("px")
    parser.add_argument("--n", type=int, default=1)
    sub = parser.add_subparsers(dest="command")
    sub.add_parser("go").add_argument("where", nargs="+")
    return (vars(parser.parse_args(["--n", "3", "go", "a", "b"])),
            parser.format_help())


def use_asyncio():
    import asyncio

    async def square(n):
        await asyncio.sleep(0.001)
        return n * n

    async def produce(queue):
        for n in range(5):
            await queue.put(n)
        await queue.put(None)

    async def consume(queue):
        seen = []
        while (n := await queue.get()) is not None:
            seen.append(n)
        return seen

    async def main():
        queue = asyncio.Queue(2)
        async with asyncio.TaskGroup() as group:
            group.create_task(produce(queue))
            consumer = group.create_task(consume(queue))
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 0.001)
        except TimeoutError:
            late = True
        return (await asyncio.gather(*map(square, range(4))), consumer.result(),
                late, len(asyncio.all_tasks()))
    return asyncio.run(main()), asyncio.run(square(3), debug=True)


def use_asyncio_eager():
    import asyncio

    async def answer():
        return 42

    async def main():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        lock = asyncio.Lock()
        async with lock, asyncio.timeout(10):
            return await asyncio.create_task(answer(), name="px")
    with asyncio.Runner() as runner:
        return runner.run(main()), runner.run(answer())


def use_asyncio_streams():
    import asyncio

    async def serve(reader, writer):
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    async def main():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"px\n")
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
        return answer
    return asyncio.run(main())


def use_filecmp():
    import filecmp
    import os
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        for name in "a", "b", "c":
            with open(os.path.join(folder, name), "w") as file:
                file.write("px" if name != "c" else "xp")
        a, b, c = (os.path.join(folder, name) for name in "abc")
        return (filecmp.cmp(a, b, shallow=False), filecmp.cmp(a, c, shallow=False),
                filecmp.cmpfiles(folder, folder, ["a", "none"]), filecmp.clear_cache())


def use_fileinput():
    import fileinput
    import os
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "f")
        with open(path, "w") as file:
            file.write("a\nb\n")
        with fileinput.input([path]) as lines:
            seen = [(fileinput.lineno(), line) for line in lines]
        return seen


def use_fnmatch():
    import fnmatch
    import glob
    import os
    import pathlib
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a.py", "b.txt", "sub/c.py"):
            path = pathlib.Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_text("px")
        found = glob.glob("**/*.py", root_dir=folder, recursive=True)
        walked = [sorted(files) for _, _, files in os.walk(folder)]
        paths = sorted(p.relative_to(folder).as_posix()
                       for p in pathlib.Path(folder).rglob("*.py"))
    return (fnmatch.filter(["a.py", "b"], "*.py"), fnmatch.translate("a?[!b]*"),
            sorted(found), walked, paths, pathlib.PurePath("/a/b.tar.gz").suffixes,
            pathlib.Path("/a").joinpath("b", "..").as_posix())


def use_getopt():
    import getopt
    import optparse
    parser = optparse.OptionParser("px")
    parser.add_option("-n", type="int", dest="n")
    options, rest = parser.parse_args(["-n", "3", "x"])
    return (options.n, rest, parser.format_help(),
            getopt.getopt(["-a", "--b=c", "d"], "a", ["b="]))


def use_getpass():
    import getpass
    import os
    os.environ["LOGNAME"] = "px"
    return getpass.getuser()


def use_gettext():
    import gettext
    import locale
    return (gettext.gettext("px"), gettext.ngettext("a", "b", 2),
            gettext.translation("px", fallback=True).gettext("x"),
            gettext.find("px"), locale.localeconv()["decimal_point"],
            locale.getlocale() is not None, locale.format_string("%.2f", 1234.5),
            locale.normalize("de_DE"), locale.getpreferredencoding(False) != "",
            locale.getpreferredencoding())


def use_gettext_domains():
    import gettext
    import io
    import os
    import struct
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "px", "LC_MESSAGES")
        os.makedirs(path)
        with open(os.path.join(path, "px.mo"), "wb") as file:
            file.write(struct.pack("<7I", 0x950412de, 0, 1, 28, 36, 0, 0) +
                       struct.pack("<4I", 2, 44, 2, 47) + b"px\0xp\0")
        bound = gettext.bindtextdomain("px", folder) == folder
        domains = gettext.textdomain("px"), gettext.textdomain()
        texts = [gettext.translation("px", folder, ["px"]).gettext("px")
                 for _ in range(2)]
        return bound, domains, texts, gettext.gettext("none")


def use_io():
    import io
    import mmap
    import os
    import tempfile
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n") as file:
        file.write("ä\nb\n")
        file.seek(0)
        lines = file.readlines()
    with tempfile.TemporaryFile() as file:
        file.write(b"abc")
        file.flush()
        with mmap.mmap(file.fileno(), 3, access=mmap.ACCESS_READ) as view:
            found = view.find(b"c")
    with io.BufferedReader(io.BytesIO(b"abc")) as reader:
        peeked = reader.peek(1)[:1]
    read, write = os.pipe()
    with open(read, "rb") as source, open(write, "wb") as target:
        target.write(b"px")
        target.close()
        piped = source.read()
    return lines, found, peeked, piped


def use_logging():
    import io
    import logging
    out = io.StringIO()
    logger = logging.getLogger("px.a.b")
    logger.setLevel(logging.DEBUG)
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
    logger.addHandler(handler)
    logger.propagate = False
    logger.info("x %d", 1)
    logger.debug("y")
    child = logger.getChild("c")
    child.warning("z")
    try:
        1 / 0
    except ZeroDivisionError:
        logger.exception("oh")
    logger.removeHandler(handler)
    handler.close()
    logging.getLogger("px.other").info("nobody hears it")
    return (out.getvalue().count("ZeroDivisionError"), out.getvalue()[:40],
            child.isEnabledFor(10), logger.getEffectiveLevel(), child.parent.name,
            logging.getLogger("px.a").name, logging.getLevelName(30))


def use_logging_config():
    import logging
    import logging.config
    import logging.handlers
    import queue
    logging.config.dictConfig({
        "version": 1, "disable_existing_loggers": False,
        "formatters": {"f": {"format": "%(message)s"}},
        "handlers": {"h": {"class": "logging.handlers.MemoryHandler", "capacity": 9,
                           "formatter": "f"}},
        "loggers": {"px.conf": {"handlers": ["h"], "level": "INFO",
                                "propagate": False}}})
    logger = logging.getLogger("px.conf")
    logger.info("one")
    records = queue.Queue()
    logging.handlers.QueueHandler(records).handle(logger.makeRecord(
        "n", 20, "f", 1, "two %s", ("x",), None))
    return ([r.getMessage() for r in logger.handlers[0].buffer],
            records.get().getMessage())


def use_logging_root():
    import io
    import logging
    import warnings
    root, out = logging.getLogger(), io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.basicConfig()  # does nothing: there is a handler
    logging.info("one")
    logging.getLogger("px.root").warning("two")
    logging.captureWarnings(True)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn_explicit("three", UserWarning, "px.py", 1)
    logging.captureWarnings(False)
    logging.disable(logging.WARNING)
    logging.warning("four")
    logging.disable(logging.NOTSET)
    logging.addLevelName(35, "PX")
    logging.log(35, "five")
    root.removeHandler(handler)
    return out.getvalue(), root.level, logging.root is root


def use_os():
    import os
    import os.path
    import stat
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "f")
        fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
        os.write(fd, b"px")
        os.close(fd)
        os.rename(path, path + "2")
        os.environ["PX_SET"] = "1"
        with os.scandir(folder) as entries:
            seen = [(e.name, e.stat().st_size, stat.filemode(e.stat().st_mode))
                    for e in entries]
        here = os.getcwd()
        os.chdir(folder)
        listed = os.listdir()
        os.chdir(here)
    return (seen, listed, os.environ.pop("PX_SET"), os.path.expandvars("$PX_NONE"),
            os.fspath("x"), os.path.relpath("/a/b", "/a"), os.getpid() > 0)


def use_pathlib():
    import pathlib
    path = pathlib.PurePosixPath("/a") / "b.txt"
    return (str(path), path.stem, path.with_suffix(".py").name, hash(path) != 0,
            path.match("*.txt"), path.is_relative_to("/a"), path.parts,
            sorted([path, pathlib.PurePosixPath("/")])[0] == pathlib.PurePosixPath("/"))


def use_queue():
    import queue
    q = queue.PriorityQueue(3)
    q.put(2)
    q.put(1)
    simple = queue.SimpleQueue()
    simple.put("x")
    try:
        queue.Queue().get(timeout=0.001)
    except queue.Empty:
        empty = True
    q.task_done()
    return q.get(), q.qsize(), simple.get(), empty


def use_sched():
    import sched
    import time
    seen = []
    scheduler = sched.scheduler(time.monotonic, time.sleep)
    scheduler.enter(0.002, 1, seen.append, ("b",))
    scheduler.enter(0.001, 1, seen.append, ("a",))
    scheduler.run()
    return seen


def use_selectors():
    import select
    import selectors
    import socket
    a, b = socket.socketpair()
    with a, b, selectors.DefaultSelector() as selector:
        selector.register(a, selectors.EVENT_READ, "x")
        b.send(b"px")
        keys = [key.data for key, _ in selector.select(1)]
        ready = select.select([a], [], [], 1)[0] == [a]
        a.settimeout(1)
        return keys, ready, a.recv(10), a.gettimeout()


def use_shutil():
    import os
    import shutil
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "a")
        os.makedirs(os.path.join(source, "deep"))
        with open(os.path.join(source, "deep", "f"), "w") as file:
            file.write("px")
        shutil.copytree(source, os.path.join(folder, "b"))
        shutil.copy(os.path.join(source, "deep", "f"), folder)
        shutil.move(os.path.join(folder, "f"), os.path.join(folder, "g"))
        made = shutil.make_archive(os.path.join(folder, "z"), "gztar", source)
        shutil.unpack_archive(made, os.path.join(folder, "c"), filter="data")
        shutil.rmtree(source)
        return (sorted(os.listdir(folder)), shutil.which("sh") is not None,
                shutil.disk_usage(folder).total > 0, shutil.get_terminal_size()[0] > 0,
                os.listdir(os.path.join(folder, "c")))


def use_shutil_formats():
    import shutil
    shutil.register_archive_format("px", lambda *args, **kwds: "packed", [], "of px")
    shutil.register_unpack_format("px", [".px"], lambda *args: None)
    formats = shutil.get_archive_formats(), shutil.get_unpack_formats()
    made = shutil.make_archive("name", "px")
    shutil.unpack_archive("name.px")
    shutil.unregister_archive_format("px")
    shutil.unregister_unpack_format("px")
    return formats, made, "px" in dict(shutil.get_archive_formats())


def use_subprocess():
    import subprocess
    import sys
    done = subprocess.run(["sh", "-c", "cat; echo err >&2; exit 3"], input="px",
                          capture_output=True, text=True)
    try:
        subprocess.run(["sleep", "9"], timeout=0.01)
    except subprocess.TimeoutExpired as error:
        late = error.timeout
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        out = process.communicate(b"px")[0]
    return (done.stdout, done.stderr, done.returncode, late, out,
            subprocess.check_output(["echo", "x"]), subprocess.getoutput("echo y"))


def use_tempfile():
    import os
    import tempfile
    with tempfile.NamedTemporaryFile(suffix=".px") as file:
        file.write(b"px")
        file.flush()
        size, name = os.path.getsize(file.name), os.path.splitext(file.name)[1]
    fd, path = tempfile.mkstemp()
    os.close(fd)
    os.unlink(path)
    with tempfile.SpooledTemporaryFile(10) as spool:
        spool.write(b"x" * 20)
    folder = tempfile.mkdtemp()
    os.rmdir(folder)
    return size, name, tempfile.gettempdir(), os.path.exists(folder)


def use_threading():
    import threading
    lock, rlock, event = threading.Lock(), threading.RLock(), threading.Event()
    with lock, rlock, rlock:
        event.set()
    condition = threading.Condition()
    with condition:
        notified = condition.wait(0.001)
        condition.notify_all()
    semaphore = threading.BoundedSemaphore(2)
    with semaphore:
        taken = semaphore.acquire(blocking=False)
        semaphore.release()
    local = threading.local()
    local.x = 1
    return (event.wait(1), notified, taken, local.x, lock.locked(),
            threading.current_thread().is_alive(), threading.get_ident() > 0,
            threading.current_thread() is threading.current_thread())
