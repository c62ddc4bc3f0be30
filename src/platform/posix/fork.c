/*
 * Fork detection by an atfork handler in the child.
 *
 * Thread rule: any thread. The handler writes while the child has one thread.
 * Rejected: comparing getpid(): a system call on every question, and wrong when
 * a grandchild gets the pid of its grandparent.
 */
#include "platform/fork.h"

#include <pthread.h>

#include <pxrt/status.h>

#include "base/atomic.h"

uint32_t px__fork_word = 1;

static void
in_child(void)
{
    px__store_relaxed(&px__fork_word, px__fork_word + 1);
}

/* Two threads may both install the handler: the child then counts twice, which
 * serves as well. */
int
px__fork_watch(void)
{
    static uint32_t watching;
    if (px__load_relaxed(&watching))
        return 0;
    if (pthread_atfork(NULL, NULL, in_child))
        return PX_ENOMEM;
    px__store_relaxed(&watching, 1);
    return 0;
}
