"""Numeric: the longest Collatz sequence below a limit, and its digits."""


def run(limit):
    best = length_of_best = 0
    for start in range(1, limit):
        n, length = start, 1
        while n != 1:
            n = n // 2 if n % 2 == 0 else 3 * n + 1
            length += 1
        if length > length_of_best:
            best, length_of_best = start, length
    power = 1
    for i in range(length_of_best):
        power = power * best + i
    return best * 1000 + power % 997


SIZES = {"tiny": (50, 27183), "small": (300, 231100), "large": (4000, 3711935)}
