"""Search: in how many ways n queens stand on a board, with sets and tuples."""


def place(n, row, columns, sums, differences):
    if row == n:
        return 1
    ways = 0
    for column in range(n):
        if (column in columns or row + column in sums
                or row - column in differences):
            continue
        ways += place(n, row + 1, columns | {column}, sums | {row + column},
                      differences + (row - column,))
    return ways


def run(n):
    return place(n, 0, frozenset(), frozenset(), ())


SIZES = {"tiny": (5, 10), "small": (6, 4), "large": (8, 92)}
