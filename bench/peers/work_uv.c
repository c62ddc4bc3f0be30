/*
 * uv_queue_work() with its default of 4 threads, the completion on the loop.
 * The requests come from an array, so malloc is not in the price.
 */
#include "../work_peer.h"

#include <uv.h>

static uv_work_t *requests;

static void
do_nothing(uv_work_t *request)
{
    (void)request;
}

static void
completed(uv_work_t *request, int status)
{
    (void)request;
    (void)status;
}

static const char *
setup(void)
{
    requests = bench_map(WORK_ITEMS * sizeof *requests);
    return requests ? NULL : "no memory";
}

static const char *
submit(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if (uv_queue_work(uv_default_loop(), &requests[i], do_nothing,
                          completed) != 0)
            return "uv_queue_work";
    return NULL;
}

static const char *
drain(void)
{
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT) == 0 ? NULL : "uv_run";
}

const struct work_peer work_peer_uv = {NULL, setup, submit, drain};
