"""Sorting: by itself, by a key, by several, and a heap."""
import heapq


def run(count):
    key, items = 1, []
    for i in range(count):
        key = key * 16807 % 2147483647
        items.append((key % 1000, str(key % 97), i))
    by_text = sorted(items, key=lambda item: (item[1], -item[0]))
    items.sort(reverse=True)
    heap = []
    for item in by_text:
        heapq.heappush(heap, item)
    smallest = [heapq.heappop(heap)[2] for _ in range(count // 2)]
    return (sum(i * item[2] for i, item in enumerate(items)) +
            sum(i * item for i, item in enumerate(smallest))) % 1000003


SIZES = {"tiny": (20, 2202), "small": (700, 677865), "large": (12000, 602526)}
