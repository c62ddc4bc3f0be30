"""bench/python runs, and its programs give what they should in contexts.

Run by the patched interpreter, which stands for its peers here too:
python tests/cpython/test_bench.py
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

BENCH = pathlib.Path(__file__).resolve().parents[2] / "bench" / "python"


class Bench(unittest.TestCase):
    def test_quick_run(self):
        with tempfile.NamedTemporaryFile() as file:
            done = subprocess.run(
                [sys.executable, "-B", str(BENCH / "run.py"), "--quick",
                 "--json", file.name, "--patched", sys.executable,
                 "--stock", sys.executable, "--free-threaded", sys.executable],
                capture_output=True, text=True, timeout=300)
            rows = json.load(file) if done.returncode == 0 else []
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual({row["status"] for row in rows}, {"ok"})
        programs = {path.stem for path in BENCH.glob("programs/[a-z]*.py")}
        measured = {row["bench"].rpartition(".")[2] for row in rows
                    if row["bench"].startswith("context.large.")}
        self.assertEqual(measured, programs | {"geomean"})


if __name__ == "__main__":
    unittest.main()
