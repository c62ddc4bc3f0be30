/*
 * GThreadPool with a thread for each CPU. It delivers no completion: items
 * count themselves, and the last one wakes the main thread, which is less than
 * the others do.
 */
#include "../work_peer.h"

#if defined(PEER_GLIB)
#include <glib.h>

static GThreadPool *pool;
static GMutex mutex;
static GCond all_done;
static uint64_t submitted;
static uint64_t done;

/* The count is read again under the mutex, so that the wake-up cannot fall
 * between the main thread's look and its wait. */
static void
count_item(gpointer item, gpointer data)
{
    (void)item;
    (void)data;
    uint64_t count = __atomic_add_fetch(&done, 1, __ATOMIC_ACQ_REL);
    if (count != __atomic_load_n(&submitted, __ATOMIC_ACQUIRE))
        return;
    g_mutex_lock(&mutex);
    g_cond_signal(&all_done);
    g_mutex_unlock(&mutex);
}

static const char *
setup(void)
{
    pool = g_thread_pool_new(count_item, NULL, (gint)g_get_num_processors(),
                             TRUE, NULL);
    return pool ? NULL : "g_thread_pool_new";
}

static const char *
submit(uint64_t count)
{
    __atomic_add_fetch(&submitted, count, __ATOMIC_ACQ_REL);
    while (count--)
        if (!g_thread_pool_push(pool, &done, NULL))
            return "g_thread_pool_push";
    return NULL;
}

static const char *
drain(void)
{
    g_mutex_lock(&mutex);
    while (__atomic_load_n(&done, __ATOMIC_ACQUIRE) != submitted)
        g_cond_wait(&all_done, &mutex);
    g_mutex_unlock(&mutex);
    return NULL;
}

const struct work_peer work_peer_glib = {NULL, setup, submit, drain};
#else
const struct work_peer work_peer_glib = {"built without GLib", NULL, NULL,
                                         NULL};
#endif
