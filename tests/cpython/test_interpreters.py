"""Other interpreters beside the main one, whose contexts are not theirs.

Run by the patched interpreter: python tests/cpython/test_interpreters.py
"""
import unittest

from support import python


class InterpreterTest(unittest.TestCase):

    def test_contexts_are_the_main_interpreters(self):
        self.assertEqual(python("""
            import parallel
            parallel.submit_work(sum, (range(10),))
            parallel.run()
            import _interpreters
            for config in "legacy", "isolated":
                other = _interpreters.create(config)
                failed = _interpreters.exec(other, '''if True:
                    try:
                        import parallel
                    except ImportError as error:
                        assert "interpreter" in str(error), error
                    else:
                        raise AssertionError("imported")
                    import re, random, weakref
                    assert re.sub("a+", "b", "caat") == "cbt"
                ''')
                assert not failed, failed
                _interpreters.destroy(other)
            seen = []
            parallel._parallel.submit(sum, (range(10),), None, None, None,
                                      lambda *it: seen.append(it))
            parallel.run()
            assert seen == [(None, 45)], seen
        """), ("", ""))

    def test_they_keep_away_from_limbo(self):
        """Theirs is another GIL: what they drop beside a stopped callback goes."""
        self.assertEqual(python("""
            import threading, time
            import parallel
            import _interpreters
            go_on = threading.Event()
            parallel._parallel.submit(time.sleep, (2,), None, None, None,
                                      lambda *it: None)
            other = _interpreters.create("isolated")
            thread = threading.Thread(target=_interpreters.exec, args=(other, '''if True:
                for i in range(300_000):
                    [[str(i)], {"a": i}]
            '''))
            thread.start()
            while thread.is_alive():
                time.sleep(0.01)
                {"kept": [[]]}
            thread.join()
            print(parallel._parallel._limbo() < 1000)
            parallel.run()
            _interpreters.destroy(other)
        """), ("True\n", ""))


if __name__ == "__main__":
    unittest.main()
