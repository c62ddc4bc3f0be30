"""JSON: records written and read again."""
import json


def run(count):
    total = 0
    for i in range(count):
        record = {"id": i, "name": f"item {i}", "tags": ["a", "b", str(i)],
                  "price": i / 4, "stock": {"here": i % 3, "there": None}}
        again = json.loads(json.dumps(record))
        total += again["id"] + len(again["tags"][2]) + again["stock"]["here"]
        total += int(again["price"])
    return total


SIZES = {"tiny": (3, 9), "small": (60, 2360), "large": (3000, 5635890)}
