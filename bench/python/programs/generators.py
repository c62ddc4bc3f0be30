"""Generators: a pipeline of them, one that delegates, one that is sent to."""


def numbers(count):
    for i in range(count):
        yield i


def odd(items):
    for item in items:
        if item % 2:
            yield item


def pairs(items):
    yield from zip(items, items)


def average():
    total = count = 0
    while True:
        value = yield total // count if count else 0
        total += value
        count += 1


def run(count):
    mean = average()
    next(mean)
    last = 0
    for a, b in pairs(odd(numbers(count))):
        last = mean.send(a * b % 1000)
    return last * 1000 + sum(x % 3 for x in odd(numbers(count))) % 1000


SIZES = {"tiny": (30, 259015), "small": (5000, 499500), "large": (200000, 499000)}
