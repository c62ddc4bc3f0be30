/*
 * The part of threads that is the same on every OS: numbers and exit hooks.
 *
 *   slot of the thread -> hook -> hook -> NULL        (a stack, per thread)
 *
 * The list hangs on the OS's per-thread slot, not on a _Thread_local: some
 * systems free the latter before they announce the end of the thread.
 *
 * Invariants
 *   T1  the slot holds the first armed hook of its thread, NULL if there is
 *       none; while the thread ends, the first of those armed meanwhile
 *   T2  a hook is out of the list before it is called, so it may arm itself
 *
 * Thread rule: any thread; each touches only its own list.
 * Rejected: one registry of functions to run at every thread's end: it needs a
 * lock, and calls rooms for threads that they have never seen.
 */
#include "platform/thread.h"

#include <pxrt/status.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "platform/thread_slot.h"

uint64_t
px__thread_self_id(void)
{
    static uint64_t last_id;
    static _Thread_local uint64_t id;
    if (PX_UNLIKELY(id == 0))
        id = px__add_relaxed(&last_id, 1) + 1; /* unique is all that is asked */
    return id;
}

int
px__thread_create(px__thread *t, const char *name, px__thread_fn fn, void *arg)
{
    return px__thread_create_sized(t, name, 0, fn, arg);
}

int
px__thread_at_exit(px__exit_hook *hook)
{
    px__exit_hook *first = px__thread_slot_get();
    PX_ASSERT(hook->fn && hook != first);
    int rc = px__thread_slot_set(hook);
    if (rc == PX_OK)
        hook->next = first;
    return rc;
}

/* The list in the slot, which is then empty. Clearing what was set asks the
 * system for no memory; if it did fail, hooks would be called twice. */
static px__exit_hook *
take_armed(void)
{
    px__exit_hook *first = px__thread_slot_get();
    PX_CHECK(!first || px__thread_slot_set(NULL) == PX_OK,
             "a thread's slot cannot be cleared");
    return first;
}

static px__exit_hook *
joined(px__exit_hook *first, px__exit_hook *second)
{
    px__exit_hook **end = &first;
    while (*end)
        end = &(*end)->next;
    *end = second;
    return first;
}

/* Walks the list that it is given, and puts nothing back into the slot: that
 * could be refused. Hooks armed meanwhile are taken from there (T1). */
void
px__thread_slot_ended(void *value)
{
    px__exit_hook *hook = value;
    (void)take_armed(); /* some systems leave it set */
    while (hook) {
        px__exit_hook *rest = hook->next;
        hook->next = NULL; /* T2 */
        hook->fn(hook->arg);
        hook = joined(take_armed(), rest);
    }
}
