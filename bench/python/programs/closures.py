"""Closures: counters, composed functions, partial application."""
from functools import partial


def counter(step):
    count = 0

    def more(by=1):
        nonlocal count
        count += step * by
        return count
    return more


def compose(*functions):
    def composed(value):
        for function in functions:
            value = function(value)
        return value
    return composed


def add(a, b):
    return a + b


def run(count):
    counters = [counter(step) for step in range(8)]
    total = 0
    for i in range(count):
        total += counters[i % 8](by=i % 5)
        twice = compose(lambda x: 2 * x, partial(add, i), counters[3])
        total += twice(i % 11) % 1000
    return total % 1000000007


SIZES = {"tiny": (10, 1630), "small": (600, 14524614), "large": (30000, 342824231)}
