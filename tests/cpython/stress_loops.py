"""Random programs as in stress_stop.py that iterate and search over containers of
main's, while main fills, empties, sorts and replaces these.

Run by the patched interpreter: python tests/cpython/stress_loops.py
PX_STOP_SECONDS, PX_STOP_SEED: as for stress_stop.py.

A *pair* is two equal numbers, and stays so whoever holds it. Keys have Python code
in their comparisons, so that loops in C are stopped in their midst.
"""
import collections
import faulthandler
import itertools
import json
import marshal
import pickle
import unittest

import parallel
import stress_stop


def pair(n):
    return n, float(n)


def check(*pairs):
    for one, other in pairs:
        assert one == other, (one, other)


class Key:
    """Slow to compare."""

    def __init__(self, n):
        self.n = n
        self.pair = pair(n)

    def __hash__(self):
        return self.n % 5

    def __eq__(self, other):
        for _ in range(3):
            pass
        return type(other) is Key and self.n == other.n

    def __lt__(self, other):
        for _ in range(3):
            pass
        return self.n < other.n

    def __add__(self, other):
        return self

    __radd__ = __add__

    def __repr__(self):
        return "%d=%d" % self.pair

    def __reduce__(self):
        return Key, (self.n,)


class Held:
    keys = {Key(n): pair(n) for n in range(9)}
    keyset = {Key(n) for n in range(9)}
    keylist = [Key(n) for n in range(9)]
    queue = collections.deque(pair(n) for n in range(9))
    ordered = collections.OrderedDict((n, pair(n)) for n in range(9))


# ---- in a context ----------------------------------------------------------

ITERATIONS = [lambda: Held.keys.values(), lambda: reversed(Held.keys.values()),
              lambda: (k.pair for k in Held.keys), lambda: Held.queue,
              lambda: (value for key, value in Held.keys.items()),
              lambda: (k.pair for k in Held.keyset),
              lambda: (k.pair for k in Held.keylist),
              lambda: (k.pair for k in reversed(Held.keylist)),
              lambda: Held.ordered.values(), lambda: reversed(Held.queue),
              lambda: (v for k, v in reversed(Held.ordered.items()))]


def iterate(choose):
    try:
        for value in choose.choice(ITERATIONS)():
            if choose.random() < 0.3:
                yield
            check(value)
    except RuntimeError:
        pass


LOOPS = [lambda own: {Key(n): 0 for n in range(9)}.update(Held.keys),
         lambda own: dict(Held.keys) == Held.keys,
         lambda own: own | Held.keyset, lambda own: Held.keyset | own,
         lambda own: Held.keyset & own, lambda own: own - Held.keyset,
         lambda own: Held.keyset - own, lambda own: own ^ Held.keyset,
         lambda own: own.issubset(Held.keyset), lambda own: own == Held.keyset,
         lambda own: own.update(Held.keys), lambda own: own.update(Held.keylist),
         lambda own: Held.keylist.index(Key(10**7)),
         lambda own: Held.keylist.count(Key(3)), lambda own: Key(-1) in Held.keylist,
         lambda own: sorted(Held.keylist), lambda own: min(Held.keylist),
         lambda own: max(Held.keys), lambda own: sum(Held.keylist, Key(0)),
         lambda own: Held.keylist == Held.keylist + own_keys(own),
         lambda own: tuple(Held.keylist) < tuple(own_keys(own)),
         lambda own: repr(Held.keylist), lambda own: repr(Held.keys),
         lambda own: repr(Held.keyset), lambda own: "%s" % (Held.keys,),
         lambda own: dict.fromkeys(Held.keyset, 1), lambda own: set(Held.keylist),
         lambda own: frozenset(Held.keys), lambda own: list(map(hash, Held.keylist)),
         lambda own: Held.keys.keys() & own, lambda own: Held.keys.keys() == own,
         lambda own: Held.keys.items() ^ {1: 2}.items(),
         lambda own: pickle.dumps(Held.keys), lambda own: pickle.dumps(Held.keyset),
         lambda own: pickle.dumps(Held.keylist),
         lambda own: json.dumps(Held.keylist, default=repr),
         lambda own: json.dumps(dict(Held.ordered)),
         lambda own: marshal.dumps(list(Held.queue)),
         lambda own: pickle.dumps(Held.ordered), lambda own: pickle.dumps(Held.queue),
         lambda own: Held.ordered == Held.ordered.copy(),
         lambda own: Held.queue == collections.deque(Held.queue),
         lambda own: collections.Counter(Held.keylist), lambda own: Key(2) in Held.keys,
         lambda own: [].extend(Held.keys), lambda own: {**Held.keys}, lambda own:
         [*Held.keyset], lambda own: [*zip(Held.keylist, Held.keys, Held.keyset)],
         lambda own: list(itertools.groupby(Held.keylist)),
         lambda own: Held.keys | {Key(4): 1}, lambda own: {Key(4): 1} | Held.keys]


def own_keys(own):
    return list(own)


def loop_in_c(choose):
    own = {Key(choose.randrange(30)) for _ in range(9)}
    try:
        choose.choice(LOOPS)(own)
    except (RuntimeError, ValueError, IndexError, KeyError) as error:
        assert not isinstance(error, parallel.ParallelError), error
    yield
    check(*(key.pair for key in own))


LOOKS = [iterate, iterate, loop_in_c, loop_in_c, loop_in_c]


# ---- meanwhile on the main side --------------------------------------------

def change_keys(choose):
    n = choose.randrange(1000)
    keys, kind = Held.keys, choose.randrange(7)
    if kind == 0:
        Held.keys = {Key(i): pair(i) for i in range(n % 30)}
    elif kind == 1:
        keys.clear()
    elif kind == 2 and keys:
        keys.popitem()
    elif kind == 3 and keys:
        del keys[next(iter(keys))]
    elif kind == 4:
        keys.update({Key(i): pair(i) for i in range(n, n + 9)})
    else:
        keys[Key(n)] = pair(n)
    if len(keys) > 30:
        keys.clear()


def change_keyset(choose):
    n = choose.randrange(1000)
    keyset, kind = Held.keyset, choose.randrange(5)
    if kind == 0:
        Held.keyset = {Key(i) for i in range(n % 30)}
    elif kind == 1:
        keyset.clear()
    elif kind == 2 and keyset:
        keyset.pop()
    else:
        keyset.update(map(Key, range(n, n + 5)))
    if len(keyset) > 30:
        keyset -= set(itertools.islice(keyset, 20))


def change_keylist(choose):
    n = choose.randrange(1000)
    keylist, kind = Held.keylist, choose.randrange(6)
    if kind == 0:
        Held.keylist = [Key(i) for i in range(n % 30)]
    elif kind == 1:
        keylist.clear()
    elif kind == 2:
        keylist.sort()
    elif kind == 3:
        del keylist[n % 20:]
    else:
        keylist.insert(0, Key(n))
        keylist.extend(map(Key, range(n % 9)))
    if len(keylist) > 30:
        del keylist[:]


def change_queues(choose):
    value = pair(choose.randrange(10**6))
    Held.queue.append(value)
    Held.ordered[value[0] % 20] = value
    kind = choose.randrange(6)
    if kind == 0:
        Held.queue.clear()
        Held.ordered.clear()
    elif kind == 1:
        Held.queue.rotate(3)
        Held.ordered.popitem(last=False)
    elif kind == 2:
        Held.queue = collections.deque([value], 70)
        Held.ordered.move_to_end(value[0] % 20, last=False)


OFTEN = [change_keys, change_keys, change_keyset, change_keylist, change_queues]


class Loops(stress_stop.RandomPrograms):
    @classmethod
    def setUpClass(cls):
        stress_stop.LOOKS += LOOKS * 2
        stress_stop.OFTEN += OFTEN * 2


if __name__ == "__main__":
    faulthandler.enable()
    unittest.main()
