"""Loops that drop what they make: their memory must not grow with their length.

Each takes how often, and returns how often it was done.
"""


def append(count):
    text = ""
    for _ in range(count):
        text += "x"
    return len(text)


def numbers(count):
    x = 0.0
    for i in range(count):
        x = x * 0.5 + i
    return (int(x) + 5) // 2  # x comes close to 2 * i - 2


class Half:
    other = None


def cycles(count):
    made = 0
    for _ in range(count):
        left, right = Half(), Half()
        left.other, right.other = right, left
        made += 1
    return made


def chained(count):
    caught = 0
    for _ in range(count):
        try:
            try:
                raise KeyError("first")
            except KeyError as error:
                raise ValueError("second") from error
        except ValueError as error:
            caught += isinstance(error.__cause__, KeyError)
    return caught
