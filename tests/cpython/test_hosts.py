"""Programs in C that link the interpreter and use contexts.

Run by the patched interpreter: python tests/cpython/test_hosts.py
"""
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import textwrap
import unittest

from support import COMPILER, INCLUDES

PLAIN = r"""
#include <Python.h>

int
main(int argc, char **argv)
{
    Py_Initialize();
    int status = PyRun_SimpleString(argv[1]);
    return status | Py_FinalizeEx();
}
"""

# What is Python's main thread ends; another goes on.
ENDED = r"""
#include <Python.h>
#include <pthread.h>

static void *
begin(void *code)
{
    Py_Initialize();
    (void)PyRun_SimpleString(code);
    (void)PyEval_SaveThread();
    return NULL;
}

int
main(int argc, char **argv)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, begin, argv[1]) != 0) {
        return 1;
    }
    (void)pthread_join(thread, NULL);
    (void)PyGILState_Ensure();
    _exit(PyRun_SimpleString(argv[2]) != 0);
}
"""


def library():
    """The interpreter as a library to link: where it was built, or installed."""
    folders = os.path.dirname(sys.executable), sysconfig.get_config_var("LIBPL")
    paths = [os.path.join(folder, sysconfig.get_config_var("LIBRARY"))
             for folder in folders]
    return next(filter(os.path.exists, paths))


def libraries():
    names = "LIBS", "SYSLIBS"
    return " ".join(map(sysconfig.get_config_var, names)).split()


@unittest.skipUnless(shutil.which(COMPILER[0]), "needs a compiler")
class Hosts(unittest.TestCase):

    def build(self, text, options):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        source = os.path.join(folder, "host.c")
        with open(source, "w") as file:
            file.write(text)
        host = os.path.join(folder, "host")
        subprocess.run(
            [*COMPILER, *options, *INCLUDES, source, library(), "-o", host,
             "-Wl,-export-dynamic", *libraries()], check=True)
        return host

    def run_host(self, text, *codes, options=("-fPIE", "-pie")):
        """Its exit status, and what it prints."""
        host = self.build(text, options)
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run([host, *map(textwrap.dedent, codes)], text=True,
                              stdout=subprocess.PIPE, env=environ, timeout=60)
        return done.returncode, done.stdout


class Positions(Hosts):
    CODE = """
        import parallel
        try:
            parallel.submit_work(len, ("seven",), callback=print)
            parallel.run()
        except parallel.ParallelError as error:
            print(error)
    """

    def test_it_is_position_independent(self):
        self.assertEqual(self.run_host(PLAIN, self.CODE), (0, "5\n"))

    def test_it_is_not(self):
        out = self.run_host(PLAIN, self.CODE, options=("-fno-pie", "-no-pie"))
        self.assertIn("position-independent", out[1])


class Threads(Hosts):
    def test_the_main_thread_has_ended(self):
        """Signals are for it, and nobody handles them; the rest goes on."""
        begin = """
            import os, parallel, signal
            seen = []
            signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
            parallel.submit_work(len, ("seven",), callback=print)
            parallel.run()
        """
        go_on = """
            def body():
                os.kill(os.getpid(), signal.SIGUSR1)
                return sum(range(10 ** 6))
            with parallel.Executor() as executor:
                futures = [executor.submit(body) for _ in range(3)]
                print([future.result() for future in futures], seen, flush=True)
        """
        total = sum(range(10 ** 6))
        self.assertEqual(self.run_host(ENDED, begin, go_on),
                         (0, "5\n" + f"{[total] * 3} []\n"))


if __name__ == "__main__":
    unittest.main()
