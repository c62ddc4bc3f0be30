"""Kinds of views, iterators, generators and coroutines that may be returned from a
context, wherever they are. See test_returns.py.
"""
import collections
import itertools

from kinds_of_objects import Data, Thing, Typed


def countdown(start):
    numbers = list(range(start))
    return lambda: numbers.pop()


class Letters:
    def __len__(self):
        return 3

    def __getitem__(self, at):
        return "abc"[at]


def over(iterator):
    for _ in iterator:
        pass
    return iterator


def holes():
    table = {letter: [letter] for letter in "abcdef"}
    del table["a"], table["d"]
    return table


def ordered():
    table = collections.OrderedDict(b=1, a=2)
    table.move_to_end("b")
    return table


# ---- generators ------------------------------------------------------------

def talk(count):
    for i in range(count):
        got = yield i
        yield got, count


def tried(done):
    try:
        yield 1
        yield 2
    finally:
        done.append(1)
    yield done


def handling():
    try:
        raise KeyError("k")
    except KeyError as error:
        yield 1
        yield repr(error)
        try:
            raise
        except KeyError as again:
            yield again is error, again.__traceback__ is not None


class Manager:
    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        self.kind = kind
        return True


def within():
    with Manager() as manager:
        for item in {1: "a", 2: "b"}.items():
            yield item
        raise ValueError
    yield manager.kind


def passed_on():
    got = yield from tried([])
    yield got


async def adding(a):
    return a + await passing(a)


async def passing(a):
    return a


async def counting():
    for i in range(3):
        yield i


async def collecting(them):
    return [item async for item in them]


def to_the_end(coroutine):
    try:
        while True:
            coroutine.send(None)
    except StopIteration as end:
        return end.value


def groups():
    made = itertools.groupby("aabbc")
    key, group = next(made)
    return made, key, next(group), group


# ---- tables ----------------------------------------------------------------

# Views, and iterators, of which one item has been taken.
LAZY = {
    "keys": lambda: {1: 2, "b": [3]}.keys(), "values": lambda: {1: 2, "b": [3]}.values(),
    "items": lambda: {1: 2, "b": [3]}.items(), "keys of objects": lambda: {Typed(1): 2}.keys(),
    "in order": lambda: ordered().keys(), "their values": lambda: ordered().values(),
    "their items": lambda: ordered().items(), "a list": lambda: iter([1, [2], 3]),
    "a list, over": lambda: over(iter([1])), "backwards": lambda: reversed([1, 2, 3]),
    "a tuple": lambda: iter((1, [2])), "text": lambda: iter("a\u20acb"),
    "ASCII": lambda: iter("abc"), "bytes": lambda: iter(b"abc"),
    "a bytearray": lambda: iter(bytearray(b"abc")), "a range": lambda: iter(range(9, 1, -2)),
    "a long one": lambda: iter(range(10 ** 30, 10 ** 30 + 3)), "a sequence": lambda: iter(Letters()),
    "a sequence backwards": lambda: reversed(Letters()), "calls": lambda: iter(countdown(9), 3),
    "enumerate": lambda: enumerate("abc", 5), "far": lambda: enumerate("abc", 2 ** 64),
    "map": lambda: map(lambda x, y: x + y, [1, 2], [3, 4]), "filter": lambda: filter(None, [1, 0, 2]),
    "zip": lambda: zip("ab", [1, 2], strict=True), "none": lambda: zip(),
    "accumulate": lambda: itertools.accumulate([1, 2, 3], max, initial=2),
    "batched": lambda: itertools.batched("abcd", 2), "chain": lambda: itertools.chain("ab", "c"),
    "from iterable": lambda: itertools.chain.from_iterable(["ab", "c"]),
    "compress": lambda: itertools.compress("abc", [1, 1, 1]),
    "count": lambda: itertools.islice(itertools.count(5), 4),
    "steps": lambda: itertools.islice(itertools.count(0.5, 0.5), 4),
    "cycle": lambda: itertools.islice(itertools.cycle("ab"), 5),
    "dropwhile": lambda: itertools.dropwhile(str.isupper, "AbCd"),
    "filterfalse": lambda: itertools.filterfalse(None, [0, 1, 0]),
    "pairwise": lambda: itertools.pairwise("abc"), "repeat": lambda: itertools.repeat([1], 3),
    "starmap": lambda: itertools.starmap(pow, [(2, 3), (3, 2)]),
    "takewhile": lambda: itertools.takewhile(str.isupper, "ABc"),
    "zip_longest": lambda: itertools.zip_longest("ab", "c", fillvalue=[0]),
    "a dict": lambda: iter(holes()), "its values": lambda: iter(holes().values()),
    "its items": lambda: iter(holes().items()), "keys backwards": lambda: reversed(holes()),
    "values backwards": lambda: reversed(holes().values()),
    "items backwards": lambda: reversed(holes().items()), "a dict, over": lambda: over(iter({1: 2})),
    "attributes": lambda: iter(vars(Data(1, [2])).items()), "a set": lambda: iter({5}),
    "a set of numbers": lambda: iter({3, 1, 2}), "a set, over": lambda: over(iter({1})),
    "product": lambda: itertools.product("ab", [1, [2]]),
    "of itself": lambda: itertools.product("ab", repeat=2),
    "combinations": lambda: itertools.combinations("abcd", 2), "with replacement": lambda:
    itertools.combinations_with_replacement("abc", 2), "permutations": lambda:
    itertools.permutations("abc", 2), "tee": lambda: itertools.tee(iter("abcd"))[1],
    "a generator": lambda: (x + y for x in "ab" for y in "cd"), "its send": lambda: talk(3),
    "in try": lambda: tried([]), "in with": lambda: within(), "yield from": lambda: passed_on(),
    "in except": lambda: handling(), "of a method": lambda: Thing().numbers(),
    "one that is over": lambda: over(x for x in "a"),
}

# Others: how to make it, and what shows that the copy is right.
OTHERS = {
    "groups": (groups, lambda it: (it[1:3], list(it[3]), [(k, list(g)) for k, g in it[0]])),
    "two of tee": (lambda: [*itertools.tee(over(iter("")))] + [*itertools.tee(iter("abc"))],
                   lambda it: [next(it[2])] + [list(each) for each in it]),
    "a coroutine": (lambda: adding(3), to_the_end),
    "an asynchronous generator": (counting, lambda it: to_the_end(collecting(it))),
}
