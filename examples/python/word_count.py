"""Count the words of many files: python word_count.py FILE...

Sequential: map(count, files). Here the same call on an executor of contexts;
without file names it reads the sources of the standard library's top level.
"""
import os
import sys
from collections import Counter

import parallel


def count(path):
    words = {}
    with open(path, encoding="utf-8") as file:
        for word in file.read().split():
            words[word] = words.get(word, 0) + 1
    return words


def main():
    folder = os.path.dirname(os.__file__)
    paths = sys.argv[1:] or [
        entry.path for entry in os.scandir(folder) if entry.name.endswith(".py")]
    total = Counter()
    with parallel.Executor() as executor:
        for words in executor.map(count, paths):  # was: map(count, paths)
            total.update(words)
    for word, times in total.most_common(10):
        print(f"{times:8} {word}")


if __name__ == "__main__":
    main()
