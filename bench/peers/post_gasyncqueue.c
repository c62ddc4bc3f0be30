/* GLib's queue between threads, with a copied message for each push: the copy
 * is ours to make, as the queue passes pointers only. It is locked for the push
 * and for the pop, where a mailbox is one exchange each. */
#include "../context_peer.h"

#if defined(PEER_GLIB)
#include <glib.h>

static const char *
setup(const void *arg, void **state)
{
    (void)arg;
    *state = g_async_queue_new();
    return NULL;
}

static void
loop(void *state, uint64_t count)
{
    char message[POST_BYTES] = {1};
    while (count--) {
        g_async_queue_push(state, g_memdup2(message, sizeof message));
        char *taken = g_async_queue_try_pop(state);
        bench_use((uint64_t)taken[0]);
        g_free(taken);
    }
}

const struct post_peer post_peer_gasyncqueue = {NULL, setup, loop};
#else
const struct post_peer post_peer_gasyncqueue = {"built without GLib", NULL,
                                                NULL};
#endif
