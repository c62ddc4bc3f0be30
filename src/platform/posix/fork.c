/*
 * Fork detection by an atfork handler in the child.
 *
 * Thread rule: any thread. The handler writes while the child has one thread.
 * Rejected: comparing getpid(): a system call on every question, and wrong when
 * a grandchild gets the pid of its grandparent.
 */
#include "platform/fork.h"

#include <pthread.h>

#include "base/assert.h"
#include "base/atomic.h"

uint32_t px__fork_word;
static pthread_once_t installed = PTHREAD_ONCE_INIT;

static void
in_child(void)
{
    px__store_relaxed(&px__fork_word, px__fork_word + 1);
}

static void
install(void)
{
    int rc = pthread_atfork(NULL, NULL, in_child);
    PX_CHECK(rc == 0, "no memory for the fork handler");
    px__store_relaxed(&px__fork_word, 1);
}

uint32_t
px__fork_watch(void)
{
    pthread_once(&installed, install);
    return px__load_relaxed(&px__fork_word);
}
