/*
 * What main's code and classes learn from contexts.
 *
 * Code that only contexts run would stay as the compiler made it, since a context
 * writes nothing of main's. Inline caches are the interpreter's own business,
 * though: no Python code sees them. So a context may turn a general instruction
 * into a special one, once, while others run it:
 *
 *      memory     LOAD_ATTR ? ? ?      LOAD_ATTR c c c      LOAD_ATTR_SLOT c c c
 *                     |                      ^                    ^
 *                copy v                      | 1. caches          | 2. opcode
 *      draft      LOAD_ATTR ? ? ?  ->  LOAD_ATTR_SLOT c c c ------+
 *                     CPython's _Py_Specialize_...()
 *
 *   S1  One at a time: who writes holds `busy`, which nobody waits for.
 *   S2  The caches of an instruction are written only while its opcode is the
 *       general one, which reads none of them but the counter; the opcode is
 *       written last. So whoever has read a special opcode reads the caches that
 *       belong to it (x86 keeps loads in order, and stores).
 *   S3  A special instruction is made general again while no context runs, never
 *       under somebody who has read its opcode.
 *   S4  Caches name versions and objects of main's alone. So a context gives
 *       versions to main's classes and tables of keys, while it is `busy`, and
 *       none to its own: that would use up numbers that are never seen again.
 *   S5  Not while the guard is on, which would stop such writes.
 *
 * What cannot be done under others who read is a wish, for when the world is
 * closed: an instruction that does not suit what contexts have becomes general
 * again; the names that contexts have given to attributes of a class's instances
 * get a place in all its later ones, as main's own would have, and the room for
 * others goes; what has been looked for in vain in the cache of methods gets there.
 * What a wish names is main's, which drops nothing until then.
 *
 * Counters of main's code are not counted down: all CPUs would write to the lines
 * that all of them read (two contexts did 1.8 of the work of one, not 1.97). Every
 * STRIDE-th execution or so looks at the counter of its instruction, and is due with
 * the chance that one of so many is.
 *
 * Rejected: bytecode of each worker's own, as CPython 3.14 has it for threads. It
 * would specialise for each worker anew, be chosen at every call, and be what
 * frames, generators and tracebacks point to.
 */
#include "pycore_px.h"

#include "opcode_ids.h"
#include "pycore_backoff.h"
#include "pycore_dict.h"
#include "pycore_opcode_metadata.h"
#include "pycore_pxspecialize.h"

/* The mean distance of looks, in executions. Tests want many. */
#ifdef Py_DEBUG
enum { STRIDE = 2 };
#else
enum { STRIDE = 32 };
#endif

enum {
    UNITS_MAX = 16, /* an instruction, its caches, and the next one */
    WISHES_MAX = 64,
    INSTANCES = 16, /* room is taken away as for so many */
    /* Before an instruction is general again it may not suit so often, as on the
     * main side; then twice as often, and so on, up to so many times. */
    MISSES = 52,
    TIMES_MAX = 6
};

typedef enum wish_kind {
    WISH_GENERAL, /* that the instruction @where becomes so again */
    WISH_KEY,     /* that the keys @where get @name */
    WISH_ROOM,    /* that they keep less room for more */
    WISH_LOOKUP   /* that what the class @where has as @name is remembered */
} wish_kind;

typedef struct wish {
    wish_kind kind;
    void *where;
    PyObject *name; /* or NULL */
} wish;

bool _Px_Specializes _Px_STATE = true;

static const void *busy _Px_STATE; /* the _Px_here of who writes; under it: */
static _Py_CODEUNIT draft[UNITS_MAX] _Px_STATE;
static wish wishes[WISHES_MAX] _Px_STATE;
static unsigned wish_count _Px_STATE;

/* ---- the right to write --------------------------------------------------- */

static bool
try_begin(void)
{
    const void *nobody = NULL;
    return __atomic_load_n(&busy, __ATOMIC_RELAXED) == NULL &&
           __atomic_compare_exchange_n(&busy, &nobody, (void *)&_Px_here, false,
                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static void
end(void)
{
    __atomic_store_n(&busy, NULL, __ATOMIC_RELEASE);
}

/* S4 */
int
_Px_MayGiveVersion(const void *object)
{
    return _Px_FOREIGN(object) &&
           __atomic_load_n(&busy, __ATOMIC_RELAXED) == (void *)&_Px_here;
}

/* ---- when ----------------------------------------------------------------- */

/* Marsaglia, Xorshift RNGs, 2003. */
static uint32_t
random_number(void)
{
    static __thread uint32_t random = 2463534242u;
    random ^= random << 13;
    random ^= random >> 17;
    random ^= random << 5;
    return random;
}

/* The time for a look has come. The distance to the next one varies: a loop of as
 * many instructions would show always the same. False: nothing is to be done. */
static bool
begin_look(void)
{
    _Px_here.until_look = STRIDE / 2 + (int)(random_number() % STRIDE);
    return _Px_Specializes;
}

/* Writes nothing: see above. */
static bool
is_due(const _Py_CODEUNIT *instr)
{
    _Py_BackoffCounter counter = instr[1].counter;
    return !is_unreachable_backoff_counter(counter) &&
           (counter.value <= STRIDE ||
            ((uint64_t)random_number() * counter.value >> 32) < STRIDE);
}

/* ---- wishes ---------------------------------------------------------------- */

static bool
is_wished(wish_kind kind, const void *where, const PyObject *name)
{
    for (unsigned i = 0; i < wish_count; i++) {
        const wish *at = &wishes[i];
        if (at->kind == kind && at->where == where &&
            (at->name == name || !name)) {
            return true;
        }
    }
    return false;
}

static void
add_wish(wish_kind kind, void *where, PyObject *name)
{
    if (wish_count < WISHES_MAX && !is_wished(kind, where, name)) {
        wishes[wish_count++] = (wish){kind, where, name};
    }
}

static void
wish_for(wish_kind kind, void *where, PyObject *name)
{
    if (try_begin()) {
        add_wish(kind, where, name);
        end();
    }
}

static void
wish_for_name(wish_kind kind, void *where, PyObject *name)
{
    if (begin_look() && _Px_FOREIGN(name) && PyUnicode_CHECK_INTERNED(name)) {
        wish_for(kind, where, name);
    }
}

void
_Px_WantKey(PyDictKeysObject *keys, PyObject *key)
{
    if (key) {
        wish_for_name(WISH_KEY, keys, key);
    }
    else if (begin_look()) {
        wish_for(WISH_ROOM, keys, NULL);
    }
}

void
_Px_WantLookup(PyTypeObject *type, PyObject *name)
{
    wish_for_name(WISH_LOOKUP, type, name);
}

/* What suits nobody for long does so less and less often. */
static void
generalize(_Py_CODEUNIT *instr)
{
    unsigned times = Py_MIN(instr[1].counter.backoff + 1u, TIMES_MAX);
    instr->op.code = _PyOpcode_Deopt[instr->op.code];
    instr[1].counter = make_backoff_counter(0, (uint16_t)times);
}

/* As main does for each instance. What adds keys is to find room for all that the
 * first instances have. */
static void
take_room(PyDictKeysObject *keys)
{
    if (keys->dk_usable > 1 && !is_wished(WISH_KEY, keys, NULL)) {
        keys->dk_usable = Py_MAX(keys->dk_usable - INSTANCES, 1);
    }
}

static void
fulfil(const wish *at)
{
    switch (at->kind) {
    case WISH_GENERAL:
        generalize(at->where);
        break;
    case WISH_KEY:
        _Px_AddKey(at->where, at->name);
        break;
    case WISH_ROOM:
        take_room(at->where);
        break;
    case WISH_LOOKUP:
        Py_XDECREF(_PyType_LookupRef(at->where, at->name));
        break;
    }
}

void
_Px_FulfilWishes(void)
{
    if (!PyErr_Occurred()) { /* a look for a name may clear it */
        for (unsigned i = 0; i < wish_count; i++) {
            fulfil(&wishes[i]);
        }
    }
    wish_count = 0;
}

/* ---- instructions ---------------------------------------------------------- */

static size_t
caches_of(const _Py_CODEUNIT *instr)
{
    return _PyOpcode_Caches[_PyOpcode_Deopt[instr->op.code]];
}

/* CPython looks at the next instruction, too. */
static _Py_CODEUNIT *
make_draft(const _Py_CODEUNIT *instr)
{
    size_t units = 1 + caches_of(instr) + 1;
    assert(units <= UNITS_MAX);
    return memcpy(draft, instr, units * sizeof *instr);
}

static bool
is_general(const _Py_CODEUNIT *instr)
{
    return instr->op.code == _PyOpcode_Deopt[instr->op.code];
}

static bool
is_instrumented(const _Py_CODEUNIT *instr)
{
    return instr->op.code >= MIN_INSTRUMENTED_OPCODE;
}

/* Others may have been faster. */
static _Py_CODEUNIT *
draft_general(const _Py_CODEUNIT *instr)
{
    if (!try_begin()) {
        return NULL;
    }
    if (is_general(instr)) {
        return make_draft(instr);
    }
    end();
    return NULL;
}

/* An instruction that is not general, and does not suit, comes here, too. Of a
 * context's own code nothing is wished: it will be gone. */
_Py_CODEUNIT *
_Px_Draft(_Py_CODEUNIT *instr)
{
    if (!begin_look() || is_instrumented(instr) || !is_due(instr)) {
        return NULL;
    }
    if (is_general(instr)) {
        return draft_general(instr);
    }
    if (_Px_FOREIGN(instr)) {
        wish_for(WISH_GENERAL, instr, NULL);
    }
    return NULL;
}

static void
publish_success(_Py_CODEUNIT *instr)
{
    unsigned times = Py_MIN(instr[1].counter.backoff, TIMES_MAX);
    draft[1].counter =
        make_backoff_counter((uint16_t)(MISSES << times), (uint16_t)times);
    memcpy(instr + 1, draft + 1, caches_of(instr) * sizeof *instr);
    __atomic_store_n(&instr->op.code, draft->op.code,
                     __ATOMIC_RELEASE); /* S2 */
}

void
_Px_Publish(_Py_CODEUNIT *instr)
{
    if (draft->op.code == instr->op.code) {
        instr[1].counter = draft[1].counter;
    }
    else {
        publish_success(instr);
    }
    end();
}
