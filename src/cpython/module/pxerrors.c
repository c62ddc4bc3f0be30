/*
 * Errors that run_once() is to raise: of callbacks that have nobody else to tell,
 * of calls that main made for them, and a Ctrl-C that struck at a bad moment.
 *
 *   E1  None is lost for lack of memory: one has a place that takes none, and
 *       those that find it taken are written to stderr.
 *
 * Thread rule: the main side, with the GIL.
 */
#include "pycore_pxmodule.h"

enum { MOST_TOLD = 10 };

static PyObject *errors;      /* a list, or NULL */
static PyObject *no_room_for; /* one that is not in there, or NULL */

/* E1 */
static void
keep_without_memory(PyObject *error)
{
    PyErr_Clear();
    if (!no_room_for) {
        no_room_for = Py_NewRef(error);
        return;
    }
    PyErr_SetRaisedException(Py_NewRef(error));
    PyErr_WriteUnraisable(NULL);
}

void
_Px_KeepError(PyObject *error, bool urgent)
{
    if (!errors) {
        errors = PyList_New(0);
    }
    Py_ssize_t at = urgent ? 0 : PY_SSIZE_T_MAX;
    if (!errors || PyList_Insert(errors, at, error) < 0) {
        keep_without_memory(error);
    }
    Py_DECREF(error);
}

static bool
has_listed(void)
{
    return errors && PyList_GET_SIZE(errors) > 0;
}

bool
_Px_HasErrors(void)
{
    return no_room_for || has_listed();
}

int
_Px_RaiseError(void)
{
    if (no_room_for) {
        PyErr_SetRaisedException(no_room_for);
        no_room_for = NULL;
        return -1;
    }
    if (!has_listed()) {
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
    if (has_listed()) {
        PySys_WriteStderr("%zd more exceptions of callbacks ignored\n",
                          PyList_GET_SIZE(errors));
    }
    Py_CLEAR(errors);
}
