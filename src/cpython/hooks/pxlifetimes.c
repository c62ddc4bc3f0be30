/*
 * From when on a context counts references down.
 *
 *      young    nothing is freed, counts only grow
 *        |      the heap has grown, or Python code may see the end of something:
 *        v      a finalizer, a weak reference, a view, a generator below
 *      counted  as on the main side, with a collector of the context's own
 *
 * It never goes back: what was counted too high stays so. What was made before stays,
 * too: numbers among it are no blocks that could be freed (pxnumbers.c).
 */
#include "pycore_px.h"

#include "opcode_ids.h"
#include "pycore_code.h"
#include "pycore_opcode_metadata.h"
#include "pycore_pystate.h"

/* A young context frees nothing. One that has grown counts: references go down
 * as well as up from here on, and cycles are collected. Legal at any instant
 * (H3): what it has so far is kept, whatever its counts are. So the collector need
 * not look at it, time after time: it is frozen. */
void
_Px_CountLifetimes(void)
{
    struct _Px_cx *cx = _Px_here.cx;
    if (cx->count_from == (char *)UINTPTR_MAX) {
        return; /* it does, or never is to */
    }
    cx->count_from = (char *)UINTPTR_MAX;
    cx->notice_at = cx->limit;
    _PyGC_Freeze(_PyInterpreterState_GET());
    cx->gc.enabled = 1;
    _Px_here.drop_end = _Px_here.own_end;
    cx->young_end = ((px_cursor *)(void *)cx->heap)->next;
    _Px_ChooseWays(cx);
}

/* ---- generators ----------------------------------------------------------- */

/* A number of a table of exceptions: see Objects/exception_handling_notes.txt. */
static int
read_number(const unsigned char **at)
{
    int number = **at & 0x3f;
    while (*(*at)++ & 0x40) {
        number = number << 6 | (**at & 0x3f);
    }
    return number;
}

/* Where this instruction's exceptions are handled; -1: nowhere. */
static int
find_handler(const PyCodeObject *code, int instr)
{
    const char *table = PyBytes_AS_STRING(code->co_exceptiontable);
    const unsigned char *at = (const unsigned char *)table;
    const unsigned char *end = at + PyBytes_GET_SIZE(code->co_exceptiontable);
    while (at < end) {
        int from = read_number(&at);
        int count = read_number(&at);
        int handler = read_number(&at);
        (void)read_number(&at); /* depth of the stack */
        if (instr >= from && instr < from + count) {
            return handler;
        }
    }
    return -1;
}

/* Two handlers are not the user's: a generator has one of its own, for
 * StopIteration, and so have `yield from` and `await`. */
static bool
is_in_try(PyCodeObject *code, int instr)
{
    int handler = instr;
    while ((handler = find_handler(code, handler)) >= 0) {
        int opcode = _Py_GetBaseOpcode(code, handler);
        if (opcode != CALL_INTRINSIC_1 && opcode != CLEANUP_THROW) {
            return true;
        }
    }
    return false;
}

static bool
has_handlers(const PyCodeObject *code)
{
    const char *table = PyBytes_AS_STRING(code->co_exceptiontable);
    Py_ssize_t bytes = PyBytes_GET_SIZE(code->co_exceptiontable);
    int handlers = 0;
    for (Py_ssize_t i = 0; i < bytes && handlers < 2; i++) {
        handlers += (table[i] & 0x80) != 0; /* here an entry begins */
    }
    return handlers > 1; /* than its own */
}

/* Whether something of a generator's may be left to do when it goes while it waits:
 * it yields within a `try` or a `with`. */
int
_Px_HasFinally(PyCodeObject *code)
{
    int units = has_handlers(code) ? (int)Py_SIZE(code) : 0;
    for (int i = 0; i < units;) {
        int opcode = _Py_GetBaseOpcode(code, i);
        if (opcode == YIELD_VALUE && is_in_try(code, i)) {
            return true;
        }
        i += 1 + _PyOpcode_Caches[opcode];
    }
    return false;
}
