/*
 * Deferred calls: a chain of blocks in the heap itself, newest first, cut back
 * by rollback and run empty by release.
 *
 *      heap->cleanups -> newest -> ... -> (newest at the snapshot) -> ...
 *      |<---- run by the rollback ---->|
 *
 * While one runs the cursor is closed and the mode says so (layout.h, H2): the
 * callee may read memory that is about to go, and can neither allocate nor
 * start another rollback.
 *
 * A call is taken off the chain before it is made, so that it happens once
 * whatever the callee does.
 */
#include "heap/layout.h"

int
px_heap_defer(px_heap *heap, px_cleanup_fn fn, void *arg)
{
    if (!heap || !fn)
        return PX_EINVAL;
    if (heap->mode & PX__MODE_CLEANUP)
        return PX_EBUSY;
    px__cleanup *cleanup = px__heap_take_internal(heap, sizeof *cleanup);
    if (!cleanup)
        return PX_ENOMEM;
    *cleanup = (px__cleanup){heap->cleanups, fn, arg};
    PX_INVARIANT(cleanup > heap->cleanups); /* H3 */
    heap->cleanups = cleanup;
    return 0;
}

void
px__heap_run_cleanups(px_heap *heap, px__cleanup *until)
{
    if (heap->cleanups == until)
        return;
    px__heap_set_mode(heap, heap->mode | PX__MODE_CLEANUP);
    while (heap->cleanups != until) {
        px__cleanup *cleanup = heap->cleanups;
        PX_INVARIANT(cleanup > until); /* H3 */
        heap->cleanups = cleanup->prev;
        cleanup->fn(cleanup->arg);
    }
    px__heap_set_mode(heap, heap->mode & ~(uint32_t)PX__MODE_CLEANUP);
}
