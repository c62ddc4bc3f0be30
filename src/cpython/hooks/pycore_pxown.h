/*
 * What a context has of its own: the part of pycore_px.h, which includes it, that
 * is about pxplace.c, pxnames.c, pxtypes.c and pxown.c.
 */
#ifndef Py_INTERNAL_PXOWN_H
#define Py_INTERNAL_PXOWN_H

/* ---- pxplace.c ----------------------------------------------------------- */

/* Any thread: @object, or in a context in the place of an object of main's
 *     what make() returned when it was first asked for;
 *     a copy of this kind, made when first asked for;
 *     what one of these has put there, or else the object.
 * A new reference; NULL with an exception. */
extern PyObject *_Px_InPlaceOf(PyObject *object, PyObject *make);
enum { PX_COPY = 2, PX_NEW, PX_INSTANCE };
extern PyObject *_Px_MakeInPlaceOf(PyObject *object, long kind);
extern PyObject *_Px_Seen(PyObject *object);

/* Copies of main's instances that a context has made, in its memory. */
struct _Px_instead {
    PyObject *own, *of;
    struct _Px_instead *next;
};

/* ---- pxnames.c ----------------------------------------------------------- */

/* In a context: its own value of an attribute of main's module, whose dict is
 * given. -1 with MemoryError. */
extern int _Px_SetOwnName(PyObject *dict, const char *name, PyObject *value);

/* ---- pxtypes.c ----------------------------------------------------------- */

/* A context goes on: what main has changed meanwhile its own classes inherit. May
 * run Python code; keeps the exception that is set. */
extern void _Px_FixClasses(void);

/* A context begins. */
extern void _Px_OwnNoClasses(struct _Px_cx *cx);

/* ---- pxown.c ------------------------------------------------------------- */

/* In a context: it has a sys.modules of its own. -1 with MemoryError. */
extern int _Px_HaveOwnModules(void);

/* A context begins: what may be its own is main's as yet. */
extern void _Px_OwnNothing(struct _Px_cx *cx, PyInterpreterState *interp);

/* A context imports something; -1 with MemoryError. */
extern int _Px_OwnImports(void);

/* Any thread: the dict behind os.environ, which is @data on the main side. */
extern PyObject *_Px_EnvironHere(PyObject *data, bool change);

#endif
