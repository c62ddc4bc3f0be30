/*
 * When contexts may run: while the world is open.
 *
 *      main      open ............ close          open ...... close
 *      workers        enter..leave                   enter..leave
 *                                 ^ waits for the last leave
 *
 * Main holds the GIL while the world is open and changes nothing meanwhile: so
 * whoever is inside reads main's objects without a lock.
 *
 *   W1  inside > 0 only while the world is open or main waits in close.
 *
 * Thread rule: as in pycore_px.h.
 */
#include "pycore_px.h"

#include <pthread.h>

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool open;
    bool ended;
    unsigned inside;
} world = {.mutex = PTHREAD_MUTEX_INITIALIZER,
           .changed = PTHREAD_COND_INITIALIZER};

bool
_Px_WorldEnter(void)
{
    pthread_mutex_lock(&world.mutex);
    while (!world.open && !world.ended) {
        pthread_cond_wait(&world.changed, &world.mutex);
    }
    bool entered = world.open;
    world.inside += entered;
    pthread_mutex_unlock(&world.mutex);
    return entered;
}

void
_Px_WorldLeave(void)
{
    pthread_mutex_lock(&world.mutex);
    if (--world.inside == 0 && !world.open) {
        pthread_cond_broadcast(&world.changed);
    }
    pthread_mutex_unlock(&world.mutex);
}

static void
change(bool open, bool ended)
{
    pthread_mutex_lock(&world.mutex);
    world.open = open;
    world.ended = ended;
    pthread_cond_broadcast(&world.changed);
    while (!open && world.inside > 0) {
        pthread_cond_wait(&world.changed, &world.mutex);
    }
    pthread_mutex_unlock(&world.mutex);
}

void
_Px_WorldOpen(void)
{
    change(true, false);
}

void
_Px_WorldClose(void)
{
    change(false, false);
}

void
_Px_WorldEnd(void)
{
    change(false, true);
}
