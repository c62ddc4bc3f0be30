/* Both reader-writer locks under load: exclusion, sharing, progress,
 * starvation. Each property is tested over a table of the two kinds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pxrt/lock.h>

#include "base/atomic.h"
#include "platform/clock.h"
#include "platform/park.h"
#include "platform/thread.h"

enum {
    BARRIER_ROUNDS = 3000,
    READERS = 5,
    CROWD = 16,
    CROWD_STEPS = 3000,
    STARVED_ENTRIES = 200
};

/* --- the two kinds ------------------------------------------------------- */

static struct {
    px_rwlock plain;
    px_rwlock_biased biased;
} lock;

struct kind {
    const char *name;
    void (*read_lock)(void);
    void (*read_unlock)(void);
    void (*write_lock)(void);
    void (*write_unlock)(void);
    bool (*try_read)(void);
    bool (*try_write)(void);
};

#define KIND(kind, prefix)                                                     \
    static void kind##_read_lock(void)                                         \
    {                                                                          \
        prefix##_read_lock(&lock.kind);                                        \
    }                                                                          \
    static void kind##_read_unlock(void)                                       \
    {                                                                          \
        prefix##_read_unlock(&lock.kind);                                      \
    }                                                                          \
    static void kind##_write_lock(void)                                        \
    {                                                                          \
        prefix##_write_lock(&lock.kind);                                       \
    }                                                                          \
    static void kind##_write_unlock(void)                                      \
    {                                                                          \
        prefix##_write_unlock(&lock.kind);                                     \
    }                                                                          \
    static bool kind##_try_read(void)                                          \
    {                                                                          \
        return prefix##_try_read_lock(&lock.kind);                             \
    }                                                                          \
    static bool kind##_try_write(void)                                         \
    {                                                                          \
        return prefix##_try_write_lock(&lock.kind);                            \
    }
KIND(plain, px_rwlock)
KIND(biased, px_rwlock_biased)

#define KIND_TABLE(k)                                                          \
    {                                                                          \
#k, k##_read_lock, k##_read_unlock, k##_write_lock, k##_write_unlock,  \
            k##_try_read, k##_try_write                                        \
    }
static const struct kind kinds[] = {KIND_TABLE(plain), KIND_TABLE(biased)};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* --- support -------------------------------------------------------------- */

/* A barrier that can be used again at once: it counts arrivals for ever. It
 * sleeps, so that crowds on few CPUs do not burn time slices. */
struct barrier {
    uint32_t arrived;
    uint32_t size;
};

static void
meet(struct barrier *b)
{
    uint32_t mine = px__add_acqrel(&b->arrived, 1) + 1;
    uint32_t full = (mine + b->size - 1) / b->size * b->size;
    if (mine == full)
        px__unpark_all(&b->arrived);
    uint32_t seen;
    while ((int32_t)((seen = px__load_acquire(&b->arrived)) - full) < 0)
        px__park(&b->arrived, seen, -1);
}

static void
run_threads(int count, px__thread_fn fn, void *arg)
{
    px__thread t[CROWD];
    for (int i = 0; i < count; i++)
        assert_int_equal(px__thread_create(&t[i], "stress", fn, arg), 0);
    for (int i = 0; i < count; i++)
        px__thread_join(&t[i]);
}

static void
for_each_kind(void (*test)(const struct kind *))
{
    for (int k = 0; k < KINDS; k++)
        test(&kinds[k]);
}

/* --- readers share -------------------------------------------------------- */

/* A waiting reader that was let in alone would keep the second out, and both
 * would stand here for ever. */
static struct barrier inside_together;

static void
meet_inside(void *arg)
{
    const struct kind *k = arg;
    for (int i = 0; i < BARRIER_ROUNDS; i++) {
        k->read_lock();
        meet(&inside_together);
        k->read_unlock();
    }
}

static void
two_readers_meet_inside(const struct kind *k)
{
    inside_together = (struct barrier){.size = 2};
    run_threads(2, meet_inside, (void *)(uintptr_t)k);
}

static void
read_lock__admits_two__who_meet_inside(void **state)
{
    (void)state;
    for_each_kind(two_readers_meet_inside);
}

/* The reproducer of microsoft/STL issue 4448: a writer holds the lock while
 * five readers arrive; when it leaves, all of them must get in together, since
 * they meet inside. SRWLOCK sometimes lets one in alone, and everybody hangs.
 */
static struct barrier start, readers_inside, finish;

static void
one_of_six(void *arg)
{
    const struct kind *k = arg;
    static uint32_t tickets;
    for (int i = 0; i < BARRIER_ROUNDS; i++) {
        bool writer = px__add_relaxed(&tickets, 1) % (READERS + 1) == 0;
        if (writer)
            k->write_lock();
        meet(&start);
        if (writer) {
            k->write_unlock();
        } else {
            k->read_lock();
            meet(&readers_inside);
            k->read_unlock();
        }
        meet(&finish);
    }
}

static void
five_readers_follow_a_writer(const struct kind *k)
{
    start = (struct barrier){.size = READERS + 1};
    readers_inside = (struct barrier){.size = READERS};
    finish = (struct barrier){.size = READERS + 1};
    run_threads(READERS + 1, one_of_six, (void *)(uintptr_t)k);
}

static void
read_lock__never_enters_alone__after_a_writer(void **state)
{
    (void)state;
    for_each_kind(five_readers_follow_a_writer);
}

/* --- exclusion and progress of a crowd ------------------------------------ */

/* Plain on purpose: the lock alone must order them, or TSan and the sums tell.
 */
static struct {
    int first, second;
    uint64_t writes;
} guarded;
static uint32_t writes_done;

static void
write_guarded(void)
{
    guarded.first++;
    guarded.writes++;
    guarded.second++;
    px__add_relaxed(&writes_done, 1);
}

static void
crowd_step(const struct kind *k, unsigned dice)
{
    if (dice % 8 == 0) {
        k->write_lock();
        write_guarded();
        k->write_unlock();
    } else if (dice % 8 == 1) {
        if (k->try_write()) {
            write_guarded();
            k->write_unlock();
        }
    } else if (dice % 8 > 2 || k->try_read()) {
        if (dice % 8 > 2)
            k->read_lock();
        assert_int_equal(guarded.first, guarded.second);
        k->read_unlock();
    }
}

static void
in_the_crowd(void *arg)
{
    static uint32_t seeds;
    unsigned dice = px__add_relaxed(&seeds, 1) * 7919 + 1;
    for (int i = 0; i < CROWD_STEPS; i++) {
        dice = dice * 1664525 + 1013904223;
        crowd_step(arg, dice >> 16);
    }
}

static void
crowd_keeps_going(const struct kind *k)
{
    guarded.first = guarded.second = 0;
    guarded.writes = writes_done = 0;
    run_threads(CROWD, in_the_crowd, (void *)(uintptr_t)k);
    assert_true(guarded.writes == writes_done);
    assert_int_equal(guarded.first, guarded.second);
}

static void
rwlock__excludes_and_progresses__with_more_threads_than_cpus(void **state)
{
    (void)state;
    for_each_kind(crowd_keeps_going);
    assert_int_equal(lock.plain.state, 0);
    assert_int_equal(lock.biased.lock.state, 0);
}

/* --- nobody starves ------------------------------------------------------- */

/* The others do not stop before the victim has entered so many times: if it
 * starves, the test never ends. */
static struct {
    const struct kind *kind;
    uint32_t victim_done;
} hunger;

static void
read_until_victim_done(void *arg)
{
    (void)arg;
    while (!px__load_relaxed(&hunger.victim_done)) {
        hunger.kind->read_lock();
        assert_int_equal(guarded.first, guarded.second);
        hunger.kind->read_unlock();
    }
}

static void
write_until_victim_done(void *arg)
{
    (void)arg;
    while (!px__load_relaxed(&hunger.victim_done)) {
        hunger.kind->write_lock();
        write_guarded();
        hunger.kind->write_unlock();
    }
}

static void
with_four_rivals(const struct kind *k, px__thread_fn rival,
                 void (*victim)(const struct kind *))
{
    px__thread t[4];
    hunger.kind = k;
    hunger.victim_done = 0;
    for (int i = 0; i < 4; i++)
        assert_int_equal(px__thread_create(&t[i], "rival", rival, NULL), 0);
    victim(k);
    px__store_relaxed(&hunger.victim_done, 1);
    for (int i = 0; i < 4; i++)
        px__thread_join(&t[i]);
}

static void
write_often(const struct kind *k)
{
    for (int i = 0; i < STARVED_ENTRIES; i++) {
        k->write_lock();
        write_guarded();
        k->write_unlock();
    }
}

static void
read_often(const struct kind *k)
{
    for (int i = 0; i < STARVED_ENTRIES; i++) {
        k->read_lock();
        assert_int_equal(guarded.first, guarded.second);
        k->read_unlock();
    }
}

static void
write_lock__is_not_starved__by_readers(void **state)
{
    (void)state;
    for (int k = 0; k < KINDS; k++)
        with_four_rivals(&kinds[k], read_until_victim_done, write_often);
}

static void
read_lock__is_not_starved__by_writers(void **state)
{
    (void)state;
    for (int k = 0; k < KINDS; k++)
        with_four_rivals(&kinds[k], write_until_victim_done, read_often);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_lock__admits_two__who_meet_inside),
        cmocka_unit_test(read_lock__never_enters_alone__after_a_writer),
        cmocka_unit_test(
            rwlock__excludes_and_progresses__with_more_threads_than_cpus),
        cmocka_unit_test(write_lock__is_not_starved__by_readers),
        cmocka_unit_test(read_lock__is_not_starved__by_writers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
