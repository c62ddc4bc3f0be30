/*
 * Shelves: a few windows for each CPU, which used them last.
 *
 * A runtime's contexts are used by its workers and released by its main thread.
 * In main's magazine their windows are lost to the workers, and from the common
 * pool each gets what another CPU has written to: every line of it has to come from
 * that CPU's cache. Measured with Python's contexts of up to a megabyte, each run
 * where the last one did not: 0.951 of main's time instead of 0.970.
 *
 *      released by another thread than its user's
 *        shelf of the user's CPU: [window][window]   full: magazine, pool
 *      acquired: magazine, shelf of this CPU, pool
 *
 * Invariants
 *   SH1  shelved = kept bytes of all windows on shelves, or is about to be, <=
 *        shelved_max: a part of the cache's bound that was borrowed from the pool
 *   SH2  who takes a window from its place, by one exchange, has it; descriptors
 *        are never freed, so looking at one that somebody else takes is harmless
 *
 * Threads: any.
 *
 * Rejected: a shelf for each thread (no gain: workers take turns, and the system
 * has each run where there is room).
 */
#include "heap/shelf.h"

#include "base/atomic.h"
#include "platform/thread.h"

enum { SHELVES = 64, PLACES = 2 };

static struct shelf {
    px__window *places[PLACES]; /* atomic */
    char apart[PX_CACHE_LINE - PLACES * sizeof(px__window *)];
} shelves[SHELVES];

static size_t shelved;     /* atomic */
static size_t shelved_max; /* atomic: constant once it is not 0 */

bool
px__shelves_open(size_t bytes)
{
    size_t closed = 0;
    return px__cas_acqrel(&shelved_max, &closed, bytes ? bytes : 1);
}

bool
px__shelves_are_open(void)
{
    return px__load_acquire(&shelved_max) > 0;
}

static bool
put_in(px__window **place, px__window *window)
{
    px__window *none = NULL;
    return px__cas_acqrel(place, &none, window);
}

bool
px__shelf_put(px__window *window)
{
    struct shelf *shelf = &shelves[window->cpu % SHELVES];
    size_t kept = window->kept;
    size_t before = px__add_relaxed(&shelved, kept); /* SH1 */
    if (before + kept <= px__load_acquire(&shelved_max))
        for (unsigned i = 0; i < PLACES; i++)
            if (put_in(&shelf->places[i], window))
                return true;
    px__sub_relaxed(&shelved, kept);
    return false;
}

static px__window *
take_from(struct shelf *shelf, unsigned size_class)
{
    for (unsigned i = 0; i < PLACES; i++) {
        px__window *window = px__load_acquire(&shelf->places[i]);
        if (window && window->size_class == size_class &&
            px__cas_acqrel(&shelf->places[i], &window, NULL)) { /* SH2 */
            px__sub_relaxed(&shelved, window->kept);
            return window;
        }
    }
    return NULL;
}

px__window *
px__shelf_get(unsigned size_class)
{
    if (px__load_relaxed(&shelved) == 0)
        return NULL;
    return take_from(&shelves[px__cpu_here() % SHELVES], size_class);
}

px__window *
px__shelf_get_any(unsigned size_class)
{
    px__window *window = NULL;
    for (unsigned i = 0; i < SHELVES && !window; i++)
        window = take_from(&shelves[i], size_class);
    return window;
}
