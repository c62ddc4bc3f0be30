"""Extension modules that were built for this interpreter, and those that were not.

Run by the patched interpreter: python tests/cpython/test_extensions.py
"""
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import unittest

from support import COMPILER, INCLUDES, Case, run


SOURCE = r"""
#include <Python.h>

static PyObject *
hold(PyObject *module, PyObject *object)
{
    Py_INCREF(object);
    Py_DECREF(object);
    return PyLong_FromLong(42);
}

static PyObject *
box_get(PyObject *self, PyObject *unused)
{
    return PyLong_FromLong(43);
}

static PyObject *
box_new(PyTypeObject *type, PyObject *args, PyObject *kwds)
{
    return PyType_GenericAlloc(type, 0);
}

static PyMethodDef box_methods[] = {{"get", box_get, METH_NOARGS}, {NULL}};
static PyType_Slot box_slots[] = {
    {Py_tp_methods, box_methods}, {Py_tp_new, box_new}, {0}};
static PyType_Spec box_spec = {
    "NAME.Box", sizeof(PyObject), 0, Py_TPFLAGS_DEFAULT, box_slots};

static int
add_box(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&box_spec);
    return type ? PyModule_AddObject(module, "Box", type) : -1;
}

static PyMethodDef methods[] = {{"hold", hold, METH_O}, {NULL}};
static PyModuleDef_Slot slots[] = {{Py_mod_exec, add_box}, {0}};
static struct PyModuleDef def = {
    PyModuleDef_HEAD_INIT, "NAME", NULL, 0, methods, slots};

PyMODINIT_FUNC
PyInit_NAME(void)
{
    return PyModuleDef_Init(&def);
}
"""

STOCK_TAG = ".cpython-%d%d-x86_64-linux-gnu.so" % sys.version_info[:2]
ABI3 = "-DPy_LIMITED_API=0x03080000"


@unittest.skipUnless(shutil.which(COMPILER[0]), "needs a compiler")
class ForeignTest(Case):

    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.stock = os.path.join(cls.folder, "pyconfig.h")
        with open(sysconfig.get_config_h_filename()) as file:
            config = re.sub("#define Py_PARALLEL .*", "", file.read())
        with open(cls.stock, "w") as file:
            file.write(config)  # with it our headers are stock's
        cls.build("px_ours", sysconfig.get_config_var("EXT_SUFFIX"))
        cls.build("px_plain", ".so")
        cls.build("px_ours3", ".abi3.so", ABI3)
        cls.build("px_wheel", STOCK_TAG, stock=True)
        cls.build("px_wheel3", ".abi3.so", ABI3, stock=True)
        cls.build("px_untagged", ".so", stock=True)

    @classmethod
    def build(cls, name, suffix, *options, stock=False):
        source = os.path.join(cls.folder, name + ".c")
        with open(source, "w") as file:
            file.write(SOURCE.replace("NAME", name))
        before = ["-include", cls.stock] if stock else []
        subprocess.run(
            [*COMPILER, "-shared", "-fPIC", "-O2", "-fvisibility=hidden",
             *options, *before, *INCLUDES, source,
             "-o", os.path.join(cls.folder, name + suffix)], check=True)

    def run_code(self, code, **environ):
        return run(code, PYTHONPATH=self.folder, **environ)

    def test_ours(self):
        for name in "px_ours", "px_plain", "px_ours3":
            out = self.run_code(f"""
                import {name}, parallel
                main = object()
                def body():
                    return {name}.hold(main), {name}.Box().get()
                parallel.submit_work(body, callback=print)
                parallel.run()
                print({name}.hold(main), {name}.Box().get())
            """)
            self.assertEqual(out, ("(42, 43)\n42 43\n", ""), name)

    def test_ours_imported_by_a_context(self):
        with open(os.path.join(self.folder, "px_needs.py"), "w") as file:
            file.write("import px_ours")
        out = self.run_code("""
            import parallel, sys
            def body():
                import px_needs, px_ours
                return (px_ours.hold(None), px_ours is px_needs.px_ours,
                        parallel._parallel.owns(px_ours),
                        parallel._parallel.owns(px_needs))
            for _ in range(2):
                parallel.submit_work(body, callback=print)
                parallel.run()
            print("px_ours" in sys.modules, "px_needs" in sys.modules)
        """)
        row = "(42, True, False, True)\n"
        self.assertEqual(out, (row + row + "True False\n", ""))

    def test_ours_and_methods_of_mains_objects(self):
        out = self.run_code("""
            import parallel, px_ours
            box = px_ours.Box()
            with parallel.Executor() as executor:
                print(type(executor.submit(box.get).exception()).__name__)
                parallel.allow_methods(px_ours.Box, "get")
                print(executor.submit(lambda: box.get()).result())
        """)
        self.assertEqual(out, ("UnprotectedError\n43\n", ""))

    def test_foreign_are_refused_by_name(self):
        for name in "px_wheel", "px_wheel3", "px_untagged":
            out, errors = self.run_code(f"""
                try:
                    import {name}
                except ImportError as error:
                    print(error.name, type(error) is ImportError, error)
            """)
            self.assertEqual(errors, "")
            self.assertTrue(out.startswith(f"{name} True"), out)
            for word in name, "not built for this", "PYTHONPARALLEL_ALLOW_ABI3":
                self.assertIn(word, out)

    def test_foreign_that_a_context_imports(self):
        out, errors = self.run_code("""
            import parallel
            def body():
                import px_wheel
            with parallel.Executor() as executor:
                print(repr(executor.submit(body).exception()))
        """)
        self.assertIn("ImportError", out)
        self.assertIn("px_wheel", out)

    def test_foreign_on_the_main_side(self):
        for name in "px_wheel", "px_wheel3", "px_untagged":
            out = self.run_code(f"""
                import {name}, parallel
                box, hold = {name}.Box(), {name}.hold
                def call(what, *args):
                    return what(*args)
                for _ in range(1000):
                    call(hold, None), call(box.get), call({name}.Box)
                with parallel.Executor() as executor:
                    for args in (hold, None), (box.get,), ({name}.Box,), \\
                            ({name}.Box.get, box), (lambda: {name}.hold(1),):
                        error = executor.submit(call, *args).exception()
                        print(type(error).__name__, "'{name}'" in str(error))
                print(hold(1), box.get())
            """, PYTHONPARALLEL_ALLOW_ABI3="1")
            self.assertEqual(out, ("ParallelError True\n" * 5 + "42 43\n", ""))

    def test_the_permission_is_the_environments(self):
        out, errors = run(f"import sys; sys.path.append({self.folder!r});"
                          "import px_wheel", "-E", PYTHONPARALLEL_ALLOW_ABI3="1")
        self.assertIn("ImportError", errors)


if __name__ == "__main__":
    unittest.main()
