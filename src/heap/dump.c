/*
 * What of the range a core dump holds: the memory of heaps, and nothing else.
 *
 * The kernel writes a dump by looking at every page of a mapping that was ever
 * touched: 170 ns each, 12 minutes for 16 TB, and only SIGKILL ends it. So the
 * range as a whole is left out of dumps, and what runs have committed is put in:
 *
 *      window | [dumped] ................. | [dumped ........] ............. |
 *               run 0  ^ committed           run 1           ^ committed
 *
 * Each dumped piece is a mapping of its own, and makes one of what lies behind
 * it; of mappings a process may have some 65,000. So the number of pieces has a
 * bound, px_range_options.dumped_heaps; those above it are missing in dumps.
 *
 * To move the bounds of a piece costs 3 us, as much as a page fault, and so the
 * first chunk of a run stays in when its memory is given back: windows that go
 * back and forth between the cold list and heaps would pay for it twice each
 * time. An empty chunk costs a dump 85 us.
 *
 * Where memory is committed piece by piece nothing is done here: what is closed
 * has never been touched, and the kernel passes over it.
 *
 * Invariants
 *   D1  dumped is NULL, or dumps hold [chunk floor of lo, dumped): all that is
 *       committed. So a chunk that becomes a large page is in one mapping
 *   D2  pieces = the number of runs with a dumped that is not NULL
 *
 * Threads: a run's owner; the count is atomic.
 *
 * Rejected: a handler that puts the memory in when the process crashes (signal
 * handlers are the host's, and SIGKILL by a limit has none); one piece for all
 * windows in use (3 s for each 64 GB of addresses, and 256 contexts have them).
 */
#include "heap/dump.h"

#include "base/assert.h"
#include "platform/vm.h"

/* Atomic; alone, and so relaxed. */
static size_t pieces;

static char *
first_chunk(const px__run *run)
{
    return px__chunk_floor(run->lo);
}

static bool
begin_piece(void)
{
    if (px__load_relaxed(&pieces) >= px__range.dumped_heaps)
        return false; /* the usual way of a refusal leaves the line shared */
    if (px__add_relaxed(&pieces, 1) < px__range.dumped_heaps)
        return true;
    px__sub_relaxed(&pieces, 1);
    return false;
}

void
px__dump_add(px__run *run, char *end)
{
    char *from = run->dumped ? run->dumped : first_chunk(run);
    if (!run->dumped && !begin_piece())
        return;
    if (px__vm_dump(from, (size_t)(end - from), true))
        run->dumped = end;
    else if (!run->dumped)
        px__sub_relaxed(&pieces, 1); /* D2 */
}

void
px__dump_cut(px__run *run, char *end)
{
    char *keep = px__chunk_ceil(end);
    if (keep == first_chunk(run))
        keep += PX_CHUNK;
    if (run->dumped > keep &&
        px__vm_dump(keep, (size_t)(run->dumped - keep), false))
        run->dumped = keep;
}

/* A refusal leaves a piece behind that is not counted. It would take a kernel
 * without memory for a mapping where two are about to become one. */
void
px__dump_drop(px__run *run)
{
    if (!run->dumped)
        return;
    char *from = first_chunk(run);
    (void)px__vm_dump(from, (size_t)(run->dumped - from), false);
    run->dumped = NULL;
    px__sub_relaxed(&pieces, 1); /* D2 */
}
