"""Recursion: many small calls, and one that goes deep."""


def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def depth(items, level):
    return depth(items[1:], level + 1) if items else level


def run(n):
    deep = sum(depth(tuple(range(150 + i)), 0) for i in range(n // 5))
    return fibonacci(n) * 10000 + deep


SIZES = {"tiny": (8, 210150), "small": (15, 6100453), "large": (26, 1213930760)}
