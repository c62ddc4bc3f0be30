"""Estimate pi by throwing darts: python monte_carlo.py [DARTS]

Sequential: sum(map(hits, seeds)). Each seed has a generator of its own, so the
result does not depend on who runs when.
"""
import sys
from random import Random

import parallel

PARTS = 32


def hits(seed, darts):
    random = Random(seed).random
    inside = 0
    for _ in range(darts):
        x, y = random(), random()
        inside += x * x + y * y < 1
    return inside


def main():
    darts = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    each = max(darts // PARTS, 1)
    with parallel.Executor() as executor:
        # was: sum(map(hits, range(PARTS), [each] * PARTS))
        inside = sum(executor.map(hits, range(PARTS), [each] * PARTS))
    print("pi is about", 4 * inside / (each * PARTS))


if __name__ == "__main__":
    main()
