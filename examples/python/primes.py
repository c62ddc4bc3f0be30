"""Search for primes: python primes.py [LIMIT]

Sequential: map(primes_between, ranges).
"""
import sys

import parallel


def primes_between(bounds):
    found = []
    for n in range(max(bounds[0], 2), bounds[1]):
        divisor = 2
        while divisor * divisor <= n and n % divisor:
            divisor += 1
        if divisor * divisor > n:
            found.append(n)
    return found


def main():
    limit = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    step = max(limit // 64, 1)
    ranges = [(low, min(low + step, limit)) for low in range(0, limit, step)]
    with parallel.Executor() as executor:
        parts = executor.map(primes_between, ranges)  # was: map(...)
        primes = [prime for part in parts for prime in part]
    print(len(primes), "primes below", limit, "the last is",
          max(primes, default=None))


if __name__ == "__main__":
    main()
