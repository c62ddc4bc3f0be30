/*
 * Errors that run_once() is to raise: of callbacks that have nobody else to tell,
 * of calls that main made for them, and a Ctrl-C that struck at a bad moment.
 *
 * Thread rule: the main side, with the GIL.
 */
#include "pycore_pxmodule.h"

enum { MOST_TOLD = 10 };

static PyObject *errors; /* a list, or NULL */

int
_Px_KeepError(PyObject *error, bool urgent)
{
    if (!errors) {
        errors = PyList_New(0);
    }
    Py_ssize_t at = urgent ? 0 : PY_SSIZE_T_MAX;
    int status = errors ? PyList_Insert(errors, at, error) : -1;
    Py_DECREF(error);
    return status;
}

bool
_Px_HasErrors(void)
{
    return errors && PyList_GET_SIZE(errors) > 0;
}

int
_Px_RaiseError(void)
{
    if (!_Px_HasErrors()) {
        return 0;
    }
    PyObject *first = Py_NewRef(PyList_GET_ITEM(errors, 0));
    if (PyList_SetSlice(errors, 0, 1, NULL) == 0) {
        PyErr_SetRaisedException(first);
    }
    else {
        Py_DECREF(first);
    }
    return -1;
}

/* Nobody is going to ask any more. Of very many the first will do. */
void
_Px_TellErrors(void)
{
    for (int told = 0; told < MOST_TOLD && _Px_RaiseError() < 0; told++) {
        PyErr_FormatUnraisable(
            "Exception ignored at the end, as nobody has run "
            "the loop since");
    }
    if (_Px_HasErrors()) {
        PySys_WriteStderr("%zd more exceptions of callbacks ignored\n",
                          PyList_GET_SIZE(errors));
    }
    Py_CLEAR(errors);
}
