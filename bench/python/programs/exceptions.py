"""Exceptions: raised deep, caught high, chained, with a finally on the way."""


class Refused(ValueError):
    pass


def check(value, depth):
    if depth:
        return check(value, depth - 1)
    if value % 3 == 0:
        raise Refused(value)
    return {"one": 1}["two"] if value % 3 == 1 else value


def attempt(value):
    try:
        return check(value, 3)
    except KeyError as error:
        raise RuntimeError("no such key") from error


def run(count):
    refused = chained = left = 0
    for value in range(count):
        try:
            attempt(value)
        except Refused as error:
            refused += error.args[0] % 10
        except RuntimeError as error:
            chained += isinstance(error.__cause__, KeyError)
        finally:
            left += 1
    return refused * 1000003 + chained * 1009 + left


SIZES = {"tiny": (10, 18003091), "small": (500, 753171262), "large": (25000, 37511545506)}
