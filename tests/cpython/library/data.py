"""Data: numbers, algorithms, dates, files of it."""


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


def use_configparser():
    import configparser
    import io
    config = configparser.ConfigParser(interpolation=configparser.ExtendedInterpolation())
    config.read_string("[a]\nx = 1\ny = ${x}2\n[b]\nz = ${a:y}\non = yes\n")
    config["c"] = {"new": "1"}
    config.write(out := io.StringIO())
    return (config.getint("b", "z"), config.getboolean("b", "on"), config.sections(),
            out.getvalue())


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


def use_tomllib():
    import tomllib
    return tomllib.loads("a = 1\n[b]\nc = [1.5, 'x']\nd = 2024-02-29T12:00:00Z\n")


def use_uuid():
    import uuid
    return (str(uuid.uuid5(uuid.NAMESPACE_DNS, "px")), uuid.uuid4().version,
            uuid.uuid1().version, str(uuid.UUID(int=1)), uuid.uuid3(
                uuid.NAMESPACE_URL, "px").hex)


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
