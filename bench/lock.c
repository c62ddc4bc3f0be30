/*
 * Locks. Sections are as short as can be (two loads, or two increments), so
 * what is measured is the lock; longer sections make all locks more alike.
 *
 *   lock.read, lock.write   one thread, uncontended, a second one alive (glibc
 *                           and others take short cuts in a single thread)
 *   lock.2read              two threads on two CPUs, reads only: they exclude
 *                           nobody, so all that is lost is lost to the cache
 *                           line of the lock's word
 *   lock.write1, write10    the same with 1 % and 10 % writes: the usual table
 *                           that is looked up often and changed now and then
 *   lock.crowd              6 threads on the CPUs there are, 10 % writes: more
 *                           threads than CPUs, so that a holder or the next in
 *                           line may be one that does not run. Locks that never
 *                           park suffer most. Beware of what it rewards: with
 *                           sections this short, a lock that puts all but one
 *                           thread to sleep is as quick as one thread alone,
 *                           without a cache line in motion
 *   lock.wait               the longest wait of a writer among readers
 *
 * Equal among the peers: each lock is on 128 bytes of its own, away from the
 * data; a lock is entered and left at once; threads start together and their
 * work counts until the last one is out. Mutexes take part as locks whose
 * readers exclude each other: with sections this short they win more often than
 * one should think, and the documentation says so.
 */
#include "lock_peer.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

enum {
    UNCONTENDED = 1 << 0,
    CONTENDED = 1 << 1,
    BOTH = UNCONTENDED | CONTENDED,
    CROWD = 6
};

static const struct {
    const char *name;
    const struct lock_peer *peer;
    unsigned benches;
} entries[] = {
    {"two-rmw", &lock_peer_two_rmw, UNCONTENDED},
    {"pxrt", &lock_peer_px, BOTH},
    {"pxrt-biased", &lock_peer_px_biased, BOTH},
    {"pxrt-mutex", &lock_peer_px_mutex, BOTH},
    {"pthread", &lock_peer_pthread, BOTH},
    {"pthread-mutex", &lock_peer_pthread_mutex, BOTH},
    {"ck_rwlock", &lock_peer_ck_rwlock, BOTH},
    {"ck_bytelock", &lock_peer_ck_bytelock, BOTH},
    {"nsync", &lock_peer_nsync, BOTH},
};
enum { ENTRIES = sizeof entries / sizeof entries[0] };

/* ---- uncontended ---- */

/* It sleeps: alive is all that it has to be. */
static void *
stay_alive(void *arg)
{
    for (;;)
        pause();
    return arg;
}

static const char *
setup_uncontended(const void *peer, void **state)
{
    pthread_t thread;
    (void)peer;
    (void)state;
    return pthread_create(&thread, NULL, stay_alive, NULL) == 0 ? NULL
                                                                : "no thread";
}

static void
add_uncontended(const char *name, const char *what, bool write)
{
    struct bench *bench = bench_add(name, what, "pthread", 1);
    bench_add_metric(bench, "", "ns", 1);
    for (size_t i = 0; i < ENTRIES; i++) {
        if (!(entries[i].benches & UNCONTENDED))
            continue;
        const struct lock_peer *peer = entries[i].peer;
        struct bench_subject *subject =
            bench_add_subject(bench, entries[i].name);
        subject->missing = peer->missing;
        subject->setup = setup_uncontended;
        subject->loop = write ? peer->write_loop : peer->read_loop;
    }
}

/* ---- contended ---- */

/* A contended workload: what each thread does, and on which CPU. */
struct lock_plan {
    unsigned threads;
    unsigned writes;
    bool pinned;
    /* The last thread is the waiter, the others read. */
    bool waiter;
};

struct lock_state {
    const struct lock_peer *peer;
    const struct lock_plan *plan;
};

struct lock_thread {
    struct lock_worker worker;
    const struct lock_state *state;
    pthread_t id;
    unsigned index;
};

static void
run_worker(struct lock_thread *thread)
{
    const struct lock_state *state = thread->state;
    if (state->plan->waiter && thread->index + 1 == state->plan->threads)
        state->peer->waiter(&thread->worker);
    else if (state->plan->writes)
        state->peer->mixer(&thread->worker);
    else
        state->peer->reader(&thread->worker);
}

static void *
thread_main(void *arg)
{
    struct lock_thread *thread = arg;
    if (thread->state->plan->pinned)
        bench_pin(thread->index);
    while (!__atomic_load_n(&thread->worker.round->go, __ATOMIC_ACQUIRE))
        sched_yield();
    run_worker(thread);
    return NULL;
}

static bool
start_threads(const struct lock_state *state, struct lock_round *round,
              struct lock_thread *threads, unsigned *started)
{
    for (*started = 0; *started < state->plan->threads; ++*started) {
        struct lock_thread *thread = &threads[*started];
        *thread = (struct lock_thread){.state = state, .index = *started};
        thread->worker.round = round;
        thread->worker.slot = *started + 1;
        thread->worker.seed = *started + 1;
        if (pthread_create(&thread->id, NULL, thread_main, thread) != 0)
            return false;
    }
    return true;
}

/* Let the threads go for the time of a round: some time slices of the
 * scheduler, so that a crowd is switched, and still short enough for many
 * rounds. */
static void
let_run(struct lock_round *round)
{
    const long ms = bench_config.quick ? 5 : 60;
    const struct timespec time = {.tv_nsec = ms * 1000000};
    __atomic_store_n(&round->go, 1, __ATOMIC_RELEASE);
    nanosleep(&time, NULL);
    __atomic_store_n(&round->stop, 1, __ATOMIC_RELAXED);
}

/* Sections per microsecond of all threads, or the writer's longest wait. A torn
 * read makes the whole round void: a lock that does not exclude is quick. */
static const char *
collect(const struct lock_state *state, const struct lock_thread *threads,
        uint64_t spent_ns, struct bench_sample *sample)
{
    uint64_t sections = 0, torn = 0, longest = 0;
    for (unsigned i = 0; i < state->plan->threads; i++) {
        const struct lock_worker *worker = &threads[i].worker;
        sections += worker->sections;
        torn += worker->torn;
        longest = worker->longest_ns > longest ? worker->longest_ns : longest;
    }
    sample->value[0] = state->plan->waiter
                           ? (double)longest / 1e3
                           : (double)sections * 1e3 / (double)spent_ns;
    return torn ? "the lock did not exclude" : NULL;
}

static const char *
round_contended(void *arg, struct bench_sample *sample)
{
    struct lock_state *state = arg;
    struct lock_thread threads[CROWD];
    struct lock_round round = {.writes = state->plan->writes};
    unsigned started;
    bool all = start_threads(state, &round, threads, &started);
    uint64_t begin = bench_now_ns();
    let_run(&round);
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i].id, NULL);
    /* The time until the last one is out: their work counts until then. */
    uint64_t spent = bench_now_ns() - begin;
    return all ? collect(state, threads, spent, sample) : "no thread";
}

static const char *
setup_contended(const void *arg, void **state)
{
    static struct lock_state self;
    self = *(const struct lock_state *)arg;
    *state = &self;
    return NULL;
}

static void
add_contended(const char *name, const char *what, const char *unit,
              const struct lock_plan *plan)
{
    static struct lock_state states[8 * ENTRIES];
    static size_t used;
    struct bench *bench = bench_add(name, what, "pthread", 0);
    bench_add_metric(bench, "", unit, 1);
    for (size_t i = 0; i < ENTRIES; i++) {
        if (!(entries[i].benches & CONTENDED))
            continue;
        struct bench_subject *subject =
            bench_add_subject(bench, entries[i].name);
        states[used] = (struct lock_state){entries[i].peer, plan};
        subject->missing = entries[i].peer->missing;
        subject->arg = &states[used++];
        subject->setup = setup_contended;
        subject->round = round_contended;
    }
}

void
bench_register_lock(void)
{
    static const struct lock_plan reads = {2, 0, true, false},
                                  write1 = {2, 10, true, false},
                                  write10 = {2, 100, true, false},
                                  crowd = {CROWD, 100, false, false},
                                  wait = {3, 0, false, true};
    add_uncontended("lock.read", "read lock and unlock, second thread idle",
                    false);
    add_uncontended("lock.write", "write lock and unlock, second thread idle",
                    true);
    add_contended("lock.2read", "2 threads on 2 CPUs, reads only", "M/s",
                  &reads);
    add_contended("lock.write1", "2 threads on 2 CPUs, 1 % writes", "M/s",
                  &write1);
    add_contended("lock.write10", "2 threads on 2 CPUs, 10 % writes", "M/s",
                  &write10);
    add_contended("lock.crowd", "6 threads, not pinned, 10 % writes", "M/s",
                  &crowd);
    add_contended("lock.wait", "longest wait of a writer, 2 threads reading",
                  "us", &wait);
}
