/* px_submit_work(); a context for each item, and px_run() on the main side. The
 * context is the point: an item that wants memory or wants to fail has both,
 * and what it is given back from the main thread is in the price. */
#include "../work_peer.h"

#include <pxrt/runtime.h>

static px_runtime *runtime;

static int
do_nothing(px_context *cx, void *arg)
{
    (void)cx;
    (void)arg;
    return 0;
}

static const char *
setup(void)
{
    return px_runtime_create(NULL, &runtime) == 0 ? NULL : "px_runtime_create";
}

static const char *
submit(uint64_t count)
{
    while (count--)
        if (px_submit_work(runtime, do_nothing, NULL, NULL) != 0)
            return "px_submit_work";
    return NULL;
}

static const char *
drain(void)
{
    return px_run(runtime, NULL) == 0 ? NULL : "px_run";
}

const struct work_peer work_peer_px = {NULL, setup, submit, drain};
