/*
 * Errors that run_once() is to raise: of callbacks that have nobody else to tell,
 * of calls that main made for them, and a Ctrl-C that struck at a bad moment.
 *
 * Thread rule: the main side, with the GIL.
 */
#include "pycore_pxmodule.h"

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

/* Nobody is going to ask any more. */
void
_Px_TellErrors(void)
{
    while (_Px_RaiseError() < 0) {
        PyErr_FormatUnraisable(
            "Exception ignored at the end, as nobody has run "
            "the loop since");
    }
    Py_CLEAR(errors);
}
