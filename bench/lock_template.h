/*
 * The inner loops of the lock benches, compiled once for each lock: a peer's
 * file defines four static inline functions for a lock that it keeps itself,
 *
 *     lock_read(unsigned slot)     unlock_read(unsigned slot)
 *     lock_write(unsigned slot)    unlock_write(unsigned slot)
 *
 * and includes this; PEER is the name of its table. So the calls are direct.
 *
 * The data under the lock are two numbers that a writer makes unequal for a
 * moment: a reader that sees them unequal has caught the lock failing, and the
 * row fails.
 */
#include "lock_peer.h"

#include <time.h>

/* Sections between two looks at the stop flag, which is a line that all share.
 */
enum { BATCH = 64 };

/* Apart from the lock, as data usually are. */
static struct {
    char before[128];
    volatile uint64_t one, two;
    char after[128];
} data;

/* The uncontended loops have no section but a barrier for the compiler: just
 * the two calls. */
static void
read_loop(void *state, uint64_t count)
{
    (void)state;
    while (count--) {
        lock_read(1);
        __asm__ volatile("" : : : "memory");
        unlock_read(1);
    }
}

static void
write_loop(void *state, uint64_t count)
{
    (void)state;
    while (count--) {
        lock_write(1);
        __asm__ volatile("" : : : "memory");
        unlock_write(1);
    }
}

static inline uint64_t
read_section(unsigned slot)
{
    lock_read(slot);
    uint64_t one = data.one, two = data.two;
    unlock_read(slot);
    return one != two;
}

static inline void
write_section(unsigned slot)
{
    lock_write(slot);
    data.one++;
    data.two++;
    unlock_write(slot);
}

static inline bool
stopped(const struct lock_worker *worker)
{
    return __atomic_load_n(&worker->round->stop, __ATOMIC_RELAXED);
}

static void
reader(struct lock_worker *worker)
{
    uint64_t sections = 0, torn = 0;
    for (; !stopped(worker); sections += BATCH)
        for (int i = 0; i < BATCH; i++)
            torn += read_section(worker->slot);
    worker->sections = sections;
    worker->torn = torn;
}

/* Which section writes is drawn by each thread for itself: a fixed pattern
 * would bring the threads into step. */
static void
mixer(struct lock_worker *worker)
{
    uint64_t sections = 0, torn = 0, seed = worker->seed;
    const uint64_t writes = worker->round->writes;
    for (; !stopped(worker); sections += BATCH)
        for (int i = 0; i < BATCH; i++) {
            if (bench_random(&seed) % 1000 < writes)
                write_section(worker->slot);
            else
                torn += read_section(worker->slot);
        }
    worker->sections = sections;
    worker->torn = torn;
}

/* A writer that comes now and then, while the others read without a break. */
static void
waiter(struct lock_worker *worker)
{
    const struct timespec pause = {.tv_nsec = 50000};
    while (!stopped(worker)) {
        uint64_t begin = bench_now_ns();
        lock_write(worker->slot);
        uint64_t waited = bench_now_ns() - begin;
        unlock_write(worker->slot);
        if (waited > worker->longest_ns)
            worker->longest_ns = waited;
        worker->sections++;
        nanosleep(&pause, NULL);
    }
}

const struct lock_peer PEER = {.read_loop = read_loop,
                               .write_loop = write_loop,
                               .reader = reader,
                               .mixer = mixer,
                               .waiter = waiter};
