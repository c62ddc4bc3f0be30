"""Comprehensions: of lists, dicts and sets, nested and with conditions."""


def run(count):
    total = 0
    for i in range(count):
        squares = [x * x for x in range(20) if x % 3]
        table = {x: [y for y in squares if y % (x + 1) == 0] for x in range(5)}
        kinds = {len(value) for value in table.values()}
        total += sum(x * i for x in kinds) + len(squares)
    return total


SIZES = {"tiny": (5, 275), "small": (80, 67400), "large": (4000, 168010000)}
