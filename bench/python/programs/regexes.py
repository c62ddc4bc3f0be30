"""Regular expressions: lines of a log matched, scanned and rewritten."""
import re

LINE = re.compile(r"(?P<host>[\w.]+) \[(\d+)\] \"GET /(\w+)/(\d+)\" (\d{3})")
NUMBER = re.compile(r"\d+")


def run(count):
    total = 0
    for i in range(count):
        line = f'host{i % 9}.net [{i}] "GET /items/{i * 7}" {200 + i % 2}'
        match = LINE.match(line)
        if match and match[5] == "200":
            total += int(match[4]) + len(match["host"])
        total += len(NUMBER.findall(line))
        total += len(NUMBER.sub(lambda number: number[0] + "!", line))
    return total


SIZES = {"tiny": (3, 153), "small": (80, 14693), "large": (8000, 112381301)}
