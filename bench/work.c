/*
 * Work pools: items that do nothing, so that only the pool is measured.
 *
 *   work.noop, work.noop1cpu            10^6 items submitted, then completed:
 *                                       the pool's throughput when there is
 *                                       always more to do, and hardly a thread
 *                                       sleeps
 *   work.submit                         the submitting alone: what the thread
 *                                       that hands work over loses of its time
 *   work.roundtrip, work.roundtrip1cpu  one item at a time, there and back: two
 *                                       wake-ups, and what lies between them
 *
 * Equal among the peers: one submitting thread, which also takes the
 * completions where there are any, and drains only after all is submitted. Not
 * equal: libuv has its 4 threads, the others one for each CPU; with px a
 * context is made for each item, can be allocated from, and goes through its
 * whole life.
 */
#include "work_peer.h"

static const struct {
    const char *name;
    const struct work_peer *peer;
} entries[] = {
    {"pxrt", &work_peer_px},
    {"uv_queue_work", &work_peer_uv},
    {"GThreadPool", &work_peer_glib},
};
enum { ENTRIES = sizeof entries / sizeof entries[0] };

static const char *
setup_pool(const void *peer, void **state)
{
    static const struct work_peer *self;
    self = peer;
    *state = &self;
    return self->setup();
}

static const struct work_peer *
peer_of(void *state)
{
    return *(const struct work_peer **)state;
}

static uint64_t
items(void)
{
    return bench_config.quick ? 20000 : WORK_ITEMS;
}

/* Submit and complete @p count items; the times of both steps. Workers begin
 * while the submitting goes on, so the two add up to less than each alone
 * would. */
static const char *
push_through(const struct work_peer *peer, uint64_t count, double *submit_ns,
             double *drain_ns)
{
    uint64_t begin = bench_now_ns();
    const char *failed = peer->submit(count);
    uint64_t submitted = bench_now_ns();
    if (!failed)
        failed = peer->drain();
    *submit_ns = (double)(submitted - begin);
    *drain_ns = (double)(bench_now_ns() - submitted);
    return failed;
}

static const char *
round_noop(void *state, struct bench_sample *sample)
{
    double submit_ns, drain_ns;
    uint64_t count = items();
    const char *failed =
        push_through(peer_of(state), count, &submit_ns, &drain_ns);
    sample->value[0] = (double)count / (submit_ns + drain_ns) * 1e3;
    return failed;
}

/* A tenth of the items, to measure the submitting and not the growth of the
 * queue. */
static const char *
round_submit(void *state, struct bench_sample *sample)
{
    double submit_ns, drain_ns;
    uint64_t count = items() / 10;
    const char *failed =
        push_through(peer_of(state), count, &submit_ns, &drain_ns);
    sample->value[0] = submit_ns / (double)count;
    return failed;
}

/* The main thread waits for each item, so that the pool has gone to sleep, or
 * spins, when the next one comes. */
static const char *
round_trip(void *state, struct bench_sample *sample)
{
    const struct work_peer *peer = peer_of(state);
    const unsigned trips = bench_config.quick ? 100 : 2000;
    const char *failed = NULL;
    uint64_t begin = bench_now_ns();
    for (unsigned i = 0; i < trips && !failed; i++) {
        failed = peer->submit(1);
        if (!failed)
            failed = peer->drain();
    }
    sample->value[0] = (double)(bench_now_ns() - begin) / 1e3 / trips;
    return failed;
}

static void
add(const char *name, const char *what, unsigned cpus, const char *unit,
    const char *(*round)(void *, struct bench_sample *))
{
    struct bench *bench = bench_add(name, what, "uv_queue_work", cpus);
    bench_add_metric(bench, "", unit, 1);
    for (size_t i = 0; i < ENTRIES; i++) {
        struct bench_subject *subject =
            bench_add_subject(bench, entries[i].name);
        subject->missing = entries[i].peer->missing;
        subject->arg = entries[i].peer;
        subject->setup = setup_pool;
        subject->round = round;
    }
}

void
bench_register_work(void)
{
    add("work.noop", "items that do nothing, submitted and completed", 0, "M/s",
        round_noop);
    add("work.noop1cpu", "the same on one CPU", 1, "M/s", round_noop);
    add("work.submit", "submitting one item", 0, "ns", round_submit);
    add("work.roundtrip", "one item, there and back", 0, "us", round_trip);
    add("work.roundtrip1cpu", "the same on one CPU", 1, "us", round_trip);
}
