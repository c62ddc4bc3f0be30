/* The load generator of the server benches: keep-alive connections, each with
 * one request under way at a time, all on one thread (epoll). */
#ifndef PX_BENCH_LOAD_H
#define PX_BENCH_LOAD_H

#include "harness.h"

struct load_options {
    int port;
    /* Connections that ask as fast as they are answered. */
    unsigned active;
    /* Of which so many ask for the callback that blocks; not counted. */
    unsigned blocking;
    /* Connections that are only open. */
    unsigned idle;
};

struct load_result {
    /* Answered in time, and answered at all: the latencies are of all, so that
     * a server which stalls at the end does not look better by it. */
    uint64_t requests;
    uint64_t answered;
    uint64_t spent_ns;
    double p99_ns;
    double longest_ns;
};

struct load;

/* Functions return NULL, or why they failed. */
const char *load_open(const struct load_options *options, struct load **out);
/* Ask for @p time_ns, then let the answers that are under way arrive. */
const char *load_run(struct load *load, uint64_t time_ns,
                     struct load_result *result);
void load_close(struct load *load);

#endif
