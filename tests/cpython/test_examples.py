"""examples/python: each gives what its sequential form gives.

Run by the patched interpreter: python tests/cpython/test_examples.py
"""
import collections
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "examples" / "python"


def run(name, *arguments):
    done = subprocess.run([sys.executable, str(FOLDER / name), *arguments],
                          capture_output=True, text=True, timeout=120)
    if done.returncode or done.stderr:
        raise AssertionError(done.stderr)
    return done.stdout


def load(name):
    spec = importlib.util.spec_from_file_location(name[:-3], FOLDER / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Examples(unittest.TestCase):
    def test_all_are_tested(self):
        self.assertEqual(
            sorted(path.name for path in FOLDER.glob("*.py")),
            ["json_pipeline.py", "mandelbrot.py", "monte_carlo.py",
             "primes.py", "word_count.py"])

    def test_word_count(self):
        count = load("word_count.py").count
        paths = [str(path) for path in FOLDER.glob("*.py")]
        total = collections.Counter()
        for words in map(count, paths):
            total.update(words)
        lines = [f"{times:8} {word}" for word, times in total.most_common(10)]
        self.assertEqual(run("word_count.py", *paths).splitlines(), lines)

    def test_primes(self):
        self.assertEqual(run("primes.py", "10000"),
                         "1229 primes below 10000 the last is 9973\n")

    def test_monte_carlo(self):
        hits = load("monte_carlo.py").hits
        inside = sum(hits(seed, 100) for seed in range(32))
        self.assertEqual(run("monte_carlo.py", "3200"),
                         f"pi is about {4 * inside / 3200}\n")

    def test_mandelbrot(self):
        row = load("mandelbrot.py").row
        with tempfile.NamedTemporaryFile(suffix=".pgm") as file:
            run("mandelbrot.py", file.name, "20")
            self.assertEqual(
                file.read(),
                b"P5 20 20 255\n" + b"".join(row(y, 20) for y in range(20)))

    def test_json_pipeline(self):
        module = load("json_pipeline.py")
        self.assertEqual(json.loads(run("json_pipeline.py")),
                         module.digest(module.make_log(50_000)))


if __name__ == "__main__":
    unittest.main()
