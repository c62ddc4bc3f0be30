"""Dicts: count, group, look up, drop."""


def run(count):
    seen, groups = {}, {}
    key = 1
    for i in range(count):
        key = key * 16807 % 2147483647
        short = key % 512
        seen[short] = seen.get(short, 0) + 1
        groups.setdefault(short % 16, []).append(i)
        if i % 7 == 0:
            groups.pop(short % 16, None)
    hits = sum(1 for i in range(count) if i in seen)
    merged = {**seen, **{key: len(value) for key, value in groups.items()}}
    return hits * 100000 + sum(merged.values())


SIZES = {"tiny": (50, 500079), "small": (2000, 49602036), "large": (60000, 51258426)}
