"""compare.py sees every kind of difference, and no other: any Python runs it."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

COMPARE = pathlib.Path(__file__).with_name("compare.py")

OK = '<testcase name="{}" status="run" result="completed" />'
FAILED = '<testcase name="{}"><failure type="AssertionError" /></testcase>'
BROKEN = '<testcase name="{}"><error type="OSError">no</error></testcase>'
SKIPPED = '<testcase name="{}"><skipped>no</skipped></testcase>'
LUCKY = '<testcase name="{}"><outcome>UNEXPECTED_SUCCESS</outcome></testcase>'


def junit(**tests):
    cases = "".join(text.format(name) for name, text in tests.items())
    return f"<testsuites><testsuite>{cases}</testsuite></testsuites>"


class Compare(unittest.TestCase):
    def compare(self, stock, patched, excused=""):
        """(status, lines printed but the last)."""
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for i, text in enumerate([stock, patched, excused]):
                paths.append(pathlib.Path(folder, str(i)))
                paths[-1].write_text(text)
            done = subprocess.run([sys.executable, COMPARE, *paths],
                                  capture_output=True, text=True)
        self.assertEqual(done.stderr, "")
        return done.returncode, done.stdout.splitlines()[:-1]

    def test_the_same(self):
        run = junit(a=OK, b=FAILED, c=SKIPPED, d=BROKEN)
        self.assertEqual(self.compare(run, run), (0, []))

    def test_differences(self):
        stock = junit(a=OK, b=OK, c=SKIPPED, d=FAILED, e=OK, f=OK)
        patched = junit(a=FAILED, b=SKIPPED, c=OK, d=BROKEN, f=LUCKY, g=OK)
        self.assertEqual(self.compare(stock, patched), (1, [
            "a: ok -> failure", "b: ok -> skipped", "c: skipped -> ok",
            "d: failure -> error", "e: ok -> absent", "f: ok -> failure",
            "g: absent -> ok"]))

    def test_worst_of_several_entries_counts(self):
        case = "<testsuites>" + OK.format("a") + "{}</testsuites>"
        self.assertEqual(
            self.compare(case.format(""), case.format(FAILED.format("a"))),
            (1, ["a: ok -> failure"]))

    def test_failed_subtests_leave_no_name(self):
        nameless = '<testcase />'
        stock, patched = junit(a=OK, b=OK), junit(a=OK, b=nameless)
        self.assertEqual(self.compare(stock, patched), (1, [
            "b: ok -> absent", "what follows a: absent -> failure"]))

    def test_addresses_in_names(self):
        one, other = "a (f=&lt;f at 0x7f8a&gt;)", "a (f=&lt;f at 0x7fc9&gt;)"
        self.assertEqual(
            self.compare(junit(**{one: SKIPPED}), junit(**{other: SKIPPED})),
            (0, []))
        self.assertEqual(
            self.compare(junit(**{one: OK}), junit(**{other: FAILED})),
            (1, ["a (f=<f>): ok -> failure"]))

    def test_excused(self):
        stock, patched = junit(a1=OK, a2=OK), junit(a1=FAILED, a2=OK)
        self.assertEqual(self.compare(stock, patched, "a1: for a reason\n"),
                         (0, []))
        self.assertEqual(self.compare(stock, patched, "# why\na?: reason\n"),
                         (0, []))
        self.assertEqual(self.compare(stock, patched, "b*: elsewhere\n")[0], 1)

    def test_needless_excuse(self):
        run = junit(a=OK)
        self.assertEqual(self.compare(run, run, "a: once\n"),
                         (1, ["a: excused, and the same"]))
        self.assertEqual(self.compare(run, run, "b: not run\n"), (0, []))


if __name__ == "__main__":
    unittest.main()
