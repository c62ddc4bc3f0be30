"""Typical uses of the standard library, a function a use: what its module's
documentation begins with, in a form that gives the same each time.

test_library.py runs each on the main side and in a context and compares. What
they use they import themselves, so that a context can be the first to import it.
"""


def use_argparse():
    import argparse
    parser = argparse.ArgumentParser("px")
    parser.add_argument("--n", type=int, default=1)
    sub = parser.add_subparsers(dest="command")
    sub.add_parser("go").add_argument("where", nargs="+")
    return (vars(parser.parse_args(["--n", "3", "go", "a", "b"])),
            parser.format_help())


def use_ast():
    import ast
    tree = ast.parse("x = [i + 1 for i in range(3)]")
    names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return names, ast.unparse(tree), ast.literal_eval("{1: (2, 'x')}"), ast.dump(tree)


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


def use_base64():
    import base64
    import binascii
    return (base64.b64encode(b"px"), base64.b32decode(base64.b32encode(b"px")),
            base64.b85encode(b"px"), base64.urlsafe_b64decode("cHg="),
            binascii.crc32(b"px"))


def use_bisect():
    import bisect
    import heapq
    numbers = [5, 1, 4]
    heapq.heapify(numbers)
    heapq.heappush(numbers, 2)
    bisect.insort(ordered := [1, 3], 2)
    return (heapq.heappop(numbers), heapq.nlargest(2, numbers), ordered,
            list(heapq.merge([1, 4], [2, 3])), bisect.bisect(ordered, 2))


def use_bz2():
    import bz2
    import lzma
    import zlib
    data = b"px" * 1000
    return [module.decompress(module.compress(data)) == data
            for module in (bz2, lzma, zlib)]


def use_calendar():
    import calendar
    return (calendar.month(2024, 2), calendar.monthrange(2024, 2),
            calendar.TextCalendar(6).formatweekheader(3), calendar.day_name[0],
            calendar.HTMLCalendar().formatmonth(2024, 2))


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


def use_configparser():
    import configparser
    import io
    config = configparser.ConfigParser(interpolation=configparser.ExtendedInterpolation())
    config.read_string("[a]\nx = 1\ny = ${x}2\n[b]\nz = ${a:y}\non = yes\n")
    config["c"] = {"new": "1"}
    config.write(out := io.StringIO())
    return (config.getint("b", "z"), config.getboolean("b", "on"), config.sections(),
            out.getvalue())


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


def use_csv():
    import csv
    import io
    csv.register_dialect("px", delimiter=";", quoting=csv.QUOTE_ALL)
    out = io.StringIO()
    csv.writer(out, "px").writerows([[1, "a"], [2, 'b"']])
    writer = csv.DictWriter(out, ["x", "y"])
    writer.writeheader()
    writer.writerow({"x": 1, "y": 2})
    read = list(csv.reader(["1;2"], "px"))
    sniffed = csv.Sniffer().sniff("a;b\n1;2\n").delimiter
    known = "px" in csv.list_dialects()
    csv.unregister_dialect("px")
    return (out.getvalue(), read, sniffed, list(csv.DictReader(["a,b", "1,2"])),
            known, csv.field_size_limit())


def use_ctypes():
    import ctypes

    class Point(ctypes.Structure):
        _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]
    libc = ctypes.CDLL(None)
    libc.strtol.restype = ctypes.c_long
    array = (ctypes.c_int * 3)(3, 1, 2)
    return (libc.strtol(b"42", None, 10), Point(1, 2).y, ctypes.sizeof(Point),
            list(array), ctypes.string_at(b"px"))


def use_datetime():
    import datetime
    import time
    import zoneinfo
    day = datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.timezone.utc)
    paris = day.astimezone(zoneinfo.ZoneInfo("UTC"))
    return (day.isoformat(), day.strftime("%A %d %B %Y"), paris.hour,
            datetime.datetime.strptime("2024-02-29", "%Y-%m-%d").toordinal(),
            datetime.date.fromisoformat("2024-02-29").isocalendar()[:],
            str(datetime.timedelta(days=1.5)), time.strftime("%Y", time.gmtime(0)),
            time.strptime("1 Jan 2000", "%d %b %Y").tm_yday, hash(day) == hash(paris))


def use_decimal():
    import decimal
    from decimal import Decimal
    decimal.getcontext().prec = 10
    third = Decimal(1) / 3
    with decimal.localcontext() as ctx:
        ctx.prec = 3
        short = Decimal(1) / 3
    decimal.setcontext(decimal.Context(prec=28))
    decimal.getcontext().clear_flags()
    root = Decimal(2).sqrt()
    return (str(third), str(short), str(root), decimal.getcontext().prec,
            f"{Decimal('1234.5'):,.2f}", decimal.getcontext().flags[decimal.Inexact],
            str(Decimal("1.25").quantize(Decimal("0.1"), decimal.ROUND_HALF_UP)))


def use_difflib():
    import difflib
    a, b = ["one\n", "two\n", "three\n"], ["one\n", "tow\n", "three\n"]
    return (list(difflib.unified_diff(a, b)), list(difflib.ndiff(a, b)),
            difflib.get_close_matches("appel", ["ape", "apple", "peach"]),
            difflib.SequenceMatcher(None, "abcd", "bcde").ratio(),
            difflib.HtmlDiff().make_file(a, b).count("diff_chg"))


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


def use_email():
    import email
    import email.message
    import email.policy
    import email.utils
    message = email.message.EmailMessage()
    message["Subject"] = "Grüße"
    message["From"] = "Äa <a@example.org>"
    message["To"] = "b@example.org"
    message.set_content("Hällo\n")
    message.add_attachment(b"data", maintype="application", subtype="x", filename="f")
    message.set_boundary("px")
    text = message.as_bytes()
    again = email.message_from_bytes(text, policy=email.policy.default)
    old = email.message_from_string("Subject: =?utf-8?q?p=C3=BC?=\n\nbody")
    return (text, str(again["subject"]), again["from"].addresses[0].username,
            again.get_body().get_content(), [p.get_filename() for p in again.walk()],
            email.utils.parseaddr("A <a@b>"), str(old["subject"]),
            email.utils.formatdate(0), email.utils.parsedate_to_datetime(
                "Thu, 01 Jan 1970 00:00:00 +0000").isoformat())


def use_email_mime():
    from email.header import Header, decode_header
    from email.mime.multipart import MIMEMultipart
    from email.mime.text import MIMEText
    message = MIMEMultipart(boundary="px")
    message["Subject"] = Header("Grüße", "utf-8")
    message.attach(MIMEText("Hällo", "plain", "utf-8"))
    return message.as_string(), decode_header("=?iso-8859-1?q?p=FC?=")


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


def use_fractions():
    import cmath
    import fractions
    import math
    import numbers
    import statistics
    return (str(fractions.Fraction("1/3") + fractions.Fraction(0.25)),
            statistics.mean([1, 2, 3.5]), statistics.stdev([1, 2, 4]),
            statistics.quantiles([1, 2, 3, 4]), statistics.NormalDist(0, 1).cdf(1),
            isinstance(1, numbers.Integral), math.comb(10, 3), cmath.sqrt(-1),
            statistics.linear_regression([1, 2, 3], [2, 4, 6])[:])


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
            locale.normalize("de_DE"), locale.getpreferredencoding(False) != "")


def use_graphlib():
    import graphlib
    return list(graphlib.TopologicalSorter({"b": ["a"], "c": ["b"]}).static_order())


def use_gzip():
    import gzip
    import io
    data = gzip.compress(b"px" * 100, mtime=0)
    with gzip.open(io.BytesIO(data), "rt") as file:
        return file.read(4), gzip.decompress(data) == b"px" * 100


def use_hashlib():
    import hashlib
    import hmac
    import io
    import secrets
    digest = hashlib.new("sha256", b"px")
    digest.update(b"more")
    return (digest.hexdigest(), hashlib.md5(b"px").hexdigest(),
            hashlib.blake2b(b"px", digest_size=8).hexdigest(),
            hashlib.pbkdf2_hmac("sha256", b"a", b"b", 10).hex(),
            hmac.new(b"key", b"px", "sha256").hexdigest(),
            hmac.compare_digest("a", "b"), len(secrets.token_hex(8)),
            hashlib.file_digest(io.BytesIO(b"px"), "sha1").hexdigest(),
            hashlib.sha3_256(b"px").hexdigest(), secrets.choice("x"))


def use_html():
    import html
    import html.parser
    tags = []

    class Parser(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append((tag, attrs))

        def handle_data(self, data):
            tags.append(data)
    Parser().feed("<p class='x'>a &amp; b<br></p>")
    return html.escape("<a>"), html.unescape("&lt;&#228;&hellip;"), tags


def use_http():
    import http
    import http.client
    import http.cookies
    import io
    import socket
    cookie = http.cookies.SimpleCookie("a=1; b=2")
    cookie["c"] = "x"
    cookie["c"]["max-age"] = 3
    mine, other = socket.socketpair()
    with mine, other:
        other.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\npx")
        connection = http.client.HTTPConnection("example.org")
        connection.sock = mine
        connection.request("POST", "/x", "body", {"A": "b"})
        response = connection.getresponse()
        asked = other.recv(1000)
        headers = http.client.parse_headers(io.BytesIO(b"A: b\r\n\r\n"))
        return (response.read(), response.status, response.headers["x"], asked,
                headers["a"], cookie.output(), http.HTTPStatus(404).phrase)


def use_http_server():
    import http.cookiejar
    import http.server
    import select
    import socket
    import urllib.request

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"px")

        def log_message(self, *args):
            pass

        def version_string(self):
            return "px"
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server, \
            socket.create_connection(server.server_address) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        server.handle_request()
        answer = b""
        while part := client.recv(1000):
            answer += part
    request = urllib.request.Request("http://example.org/")
    http.cookiejar.CookieJar().add_cookie_header(request)
    return answer.startswith(b"HTTP/1.0 200"), answer.endswith(b"px"), request.host


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


def use_ipaddress():
    import ipaddress
    network = ipaddress.ip_network("10.0.0.0/30")
    return ([str(host) for host in network.hosts()], str(network.netmask),
            str(ipaddress.ip_address("::1").exploded),
            ipaddress.ip_address("10.1.2.3").is_private,
            ipaddress.ip_address("8.8.8.8").is_global,
            [str(n) for n in ipaddress.summarize_address_range(
                ipaddress.IPv4Address(0), ipaddress.IPv4Address(5))])


def use_itertools():
    import itertools
    import operator
    return (list(itertools.accumulate([1, 2, 3], operator.mul)),
            list(itertools.batched("abcde", 2)), list(itertools.pairwise("abc")),
            [(k, len(list(g))) for k, g in itertools.groupby("aab")],
            list(itertools.chain.from_iterable([[1], [2]])),
            operator.attrgetter("real")(2), operator.itemgetter(1, 0)("ab"))


def use_json():
    import json
    data = {"a": [1, 2.5, None, True], "b": "ä\n"}

    class Encoder(json.JSONEncoder):
        def default(self, o):
            return sorted(o)
    try:
        json.loads("{")
    except json.JSONDecodeError as error:
        bad = str(error)
    return (json.dumps(data, indent=1, sort_keys=True), json.loads(json.dumps(data)),
            json.dumps({2, 1}, cls=Encoder), bad,
            json.loads("[1.0]", parse_float=str))


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


def use_mailbox():
    import mailbox
    import os
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        box = mailbox.mbox(os.path.join(folder, "box"))
        box.add("Subject: px\n\nbody\n")
        box.flush()
        subjects = [message["subject"] for message in box]
        box.close()
    return subjects


def use_mimetypes():
    import mimetypes
    mimetypes.add_type("text/px", ".px")
    return (mimetypes.guess_type("a.html")[0], mimetypes.guess_type("a.px")[0],
            mimetypes.guess_extension("image/png"))


def use_netrc():
    import netrc
    import os
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "netrc")
        with open(path, "w") as file:
            file.write("machine px login a password b\n")
        return netrc.netrc(path).authenticators("px")


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


def use_plistlib():
    import plistlib
    data = {"a": [1, 2.5, True], "b": b"x"}
    return (plistlib.loads(plistlib.dumps(data)),
            plistlib.loads(plistlib.dumps(data, fmt=plistlib.FMT_BINARY)))


def use_pprint():
    import pprint
    import reprlib
    return (pprint.pformat({"b": list(range(30)), "a": {"x": "y" * 60}}),
            reprlib.repr(list(range(100))), pprint.isreadable([1]))


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


def use_random():
    import random
    random.seed(3)
    return (random.random(), random.sample(range(9), 3), random.Random(1).gauss(),
            random.choice("abc"), random.randbytes(3))


def use_re():
    import re
    pattern = re.compile(r"(?P<w>px\w+)-(\d+)", re.I)
    match = pattern.search("the PXabc-12.")
    return (match.groupdict(), pattern.sub(r"\2-\g<w>", "pxa-1"), match.span(),
            re.split(r"px[,;]", "apx,bpx;c"), re.findall("(?m)^px", "px\npx"),
            re.escape("a.b"), re.fullmatch("px(?:x)*", "pxx") is not None)


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


def use_shelve():
    import dbm.dumb
    import os
    import shelve
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        with shelve.open(os.path.join(folder, "s")) as shelf:
            shelf["a"] = [1]
        with shelve.open(os.path.join(folder, "s")) as shelf:
            return dict(shelf), dbm.whichdb(os.path.join(folder, "s")) is not None


def use_shlex():
    import shlex
    lexer = shlex.shlex("a = 'b c' # d", posix=True)
    return shlex.split("a 'b c' d\\ e"), list(lexer), shlex.join(["a b", "c"])


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
        shutil.unpack_archive(made, os.path.join(folder, "c"))
        shutil.rmtree(source)
        return (sorted(os.listdir(folder)), shutil.which("sh") is not None,
                shutil.disk_usage(folder).total > 0, shutil.get_terminal_size()[0] > 0,
                os.listdir(os.path.join(folder, "c")))


def use_socketserver():
    import socket
    import socketserver

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(self.rfile.readline().upper())
    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server, \
            socket.create_connection(server.server_address) as client:
        client.sendall(b"px\n")
        server.handle_request()
        return client.recv(10), socket.gethostbyname("127.0.0.1")


def use_sqlite3():
    import sqlite3
    sqlite3.register_adapter(complex, lambda z: f"{z.real};{z.imag}")
    with sqlite3.connect(":memory:") as db:
        db.row_factory = sqlite3.Row
        db.create_function("double", 1, lambda x: x * 2)
        db.execute("create table t (a integer, b text)")
        db.executemany("insert into t values (?, ?)", [(1, "x"), (2, "y")])
        rows = [dict(row) for row in db.execute("select *, double(a) d from t")]
        z = db.execute("select ?", (1j,)).fetchone()[0]
    db.close()
    return rows, z


def use_ssl():
    import ssl
    context = ssl.create_default_context()
    return (context.check_hostname, context.verify_mode.name,
            ssl.PROTOCOL_TLS_CLIENT.name, ssl.OPENSSL_VERSION != "")


def use_string():
    import string
    import textwrap
    import unicodedata

    class Percent(string.Template):
        delimiter = "%"
    return (string.Template("$a ${b}").substitute(a=1, b=2),
            Percent("%x $y").safe_substitute(x=1), string.capwords("a bc"),
            string.Formatter().format("{0:>5}{x!r}", "a", x="b"),
            textwrap.fill("the quick brown fox " * 3, 20),
            textwrap.dedent("  a\n  b"), textwrap.shorten("a b c d e", 7),
            unicodedata.normalize("NFD", "ä"), unicodedata.name("ä"))


def use_struct():
    import array
    import struct
    return (struct.pack("<3sHq", b"abc", 1, 2), struct.unpack_from(">I", b"\0\0\1\0"),
            array.array("d", [1, 2]).tobytes(), struct.Struct("px"[0] + "i").size,
            list(struct.iter_unpack("<H", b"\1\0\2\0")))


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


def use_symtable():
    import symtable
    import tabnanny
    return [s.get_name() for s in
            symtable.symtable("def f(a): b = a", "px", "exec").get_children()]


def use_tarfile():
    import io
    import tarfile
    import zipfile
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo("a/b.txt")
        info.size = 2
        tar.addfile(info, io.BytesIO(b"px"))
    buffer.seek(0)
    with tarfile.open(fileobj=buffer) as tar:
        member = tar.getmembers()[0]
        text = tar.extractfile(member).read()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("a/x.txt", "px" * 100)
    with zipfile.ZipFile(archive) as source:
        names = source.namelist(), source.read("a/x.txt")[:2], source.testzip()
        paths = [path.name for path in zipfile.Path(source, "a/").iterdir()]
    return member.name, text, names, paths


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


def use_tokenize():
    import io
    import keyword
    import tokenize
    tokens = tokenize.generate_tokens(io.StringIO("x = 1 # px\n").readline)
    return ([t.string for t in tokens], keyword.iskeyword("def"),
            tokenize.untokenize([(1, "x"), (54, "="), (2, "1")]),
            tokenize.detect_encoding(io.BytesIO(b"# -*- coding: latin-1 -*-\n").readline))


def use_tomllib():
    import tomllib
    return tomllib.loads("a = 1\n[b]\nc = [1.5, 'x']\nd = 2024-02-29T12:00:00Z\n")


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


def use_urllib():
    import urllib.parse
    import urllib.request
    import urllib.robotparser
    parts = urllib.parse.urlsplit("http://u:p@example.org:80/a;b?c=d&c=e#f")
    robots = urllib.robotparser.RobotFileParser()
    robots.parse(["User-agent: *", "Disallow: /x"])
    request = urllib.request.Request("http://example.org/x", method="PUT")
    return (parts[:], parts.port, urllib.parse.parse_qs(parts.query),
            urllib.parse.urljoin("http://a/b/c", "../d"),
            urllib.parse.urlencode({"a": "ä b", "c": [1, 2]}, doseq=True),
            urllib.parse.quote("ä/ü x", safe=""), urllib.parse.unquote_plus("%C3%A4+b"),
            robots.can_fetch("px", "/x"), request.get_method(),
            urllib.request.urlopen("data:text/plain,px").read())


def use_uuid():
    import uuid
    return (str(uuid.uuid5(uuid.NAMESPACE_DNS, "px")), uuid.uuid4().version,
            uuid.uuid1().version, str(uuid.UUID(int=1)), uuid.uuid3(
                uuid.NAMESPACE_URL, "px").hex)


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


def use_wave():
    import colorsys
    import io
    import wave
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(20))
    with wave.open(io.BytesIO(buffer.getvalue())) as sound:
        return sound.getnframes(), colorsys.rgb_to_hsv(1, 0.5, 0)


def use_xml_dom():
    import xml.dom.minidom
    document = xml.dom.minidom.parseString("<a x='1'><b>t</b><!-- c --></a>")
    element = document.createElement("c")
    document.documentElement.appendChild(element)
    return (document.toxml(), document.getElementsByTagName("b")[0].firstChild.data,
            document.toprettyxml(" "))


def use_xml_etree():
    import io
    import xml.etree.ElementTree as ET
    ET.register_namespace("px", "http://example.org/px")
    root = ET.fromstring("<a xmlns:n='http://example.org/px'><b i='1'><c>t</c></b>"
                         "<b i='2'><c>u</c></b><n:d/></a>")
    ET.SubElement(root, "e").text = "ä"
    ET.indent(root)
    events = [event for event, _ in ET.iterparse(io.StringIO("<a><b/></a>"))]
    return ([e.text for e in root.findall("b/c")], root.find("b[@i='2']/c").text,
            root.findtext(".//c"), ET.tostring(root, "unicode"), events,
            [e.tag for e in root.iter()], ET.canonicalize("<a b='1' a='2'/>"),
            root.findall("n:d", {"n": "http://example.org/px"})[0].tag)


def use_xml_sax():
    import io
    import xml.sax
    import xml.sax.saxutils
    seen = []

    class Handler(xml.sax.ContentHandler):
        def startElement(self, name, attrs):
            seen.append((name, dict(attrs)))

        def characters(self, text):
            seen.append(text)
    xml.sax.parseString("<a x='1'>t&amp;</a>", Handler())
    return seen, xml.sax.saxutils.escape("<"), xml.sax.saxutils.quoteattr('"')


def use_xmlrpc():
    import xmlrpc.client
    text = xmlrpc.client.dumps((1, "a", [True, 2.5]), "method")
    return xmlrpc.client.loads(text), xmlrpc.client.ServerProxy is not None


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
