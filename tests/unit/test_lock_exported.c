/*
 * The locks' functions as a binding calls them: by address, not through the
 * inline ways of <pxrt/lock_inline.h>. Both kinds of callers share a lock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pxrt/lock.h>

#include "base/atomic.h"
#include "platform/thread.h"

enum { THREADS = 4, ROUNDS = 20000 };

/* How one kind of caller enters and leaves. */
typedef struct access {
    void (*enter)(void *lock);
    void (*leave)(void *lock);
} access;

static void
write_by_address(void *lock)
{
    void (*fn)(px_rwlock *) = px_rwlock_write_lock;
    fn(lock);
}

static void
unwrite_by_address(void *lock)
{
    void (*fn)(px_rwlock *) = px_rwlock_write_unlock;
    fn(lock);
}

static void
write_inline(void *lock)
{
    px_rwlock_write_lock((px_rwlock *)lock);
}

static void
unwrite_inline(void *lock)
{
    px_rwlock_write_unlock((px_rwlock *)lock);
}

static void
lock_by_address(void *lock)
{
    void (*fn)(px_mutex *) = px_mutex_lock;
    fn(lock);
}

static void
unlock_by_address(void *lock)
{
    void (*fn)(px_mutex *) = px_mutex_unlock;
    fn(lock);
}

static void
lock_inline(void *lock)
{
    px_mutex_lock((px_mutex *)lock);
}

static void
unlock_inline(void *lock)
{
    px_mutex_unlock((px_mutex *)lock);
}

typedef struct player {
    px__thread thread;
    access access;
    void *lock;
    uint64_t *count; /* not atomic: the lock is what orders it */
} player;

static void
count_up(void *arg)
{
    player *p = arg;
    for (int i = 0; i < ROUNDS; i++) {
        p->access.enter(p->lock);
        ++*p->count;
        if (i % 64 == 0)
            px__thread_yield(); /* let the others run into it */
        p->access.leave(p->lock);
    }
}

static void
play(void *lock, access first, access second)
{
    player players[THREADS];
    uint64_t count = 0;
    for (int i = 0; i < THREADS; i++) {
        players[i] = (player){
            .access = i % 2 ? second : first, .lock = lock, .count = &count};
        assert_int_equal(px__thread_create(&players[i].thread, "player",
                                           count_up, &players[i]),
                         0);
    }
    for (int i = 0; i < THREADS; i++)
        px__thread_join(&players[i].thread);
    assert_int_equal(count, THREADS * ROUNDS);
}

static void
mutex__excludes__callers_of_both_kinds(void **state)
{
    px_mutex mutex = {0};
    (void)state;
    play(&mutex, (access){lock_by_address, unlock_by_address},
         (access){lock_inline, unlock_inline});
    assert_int_equal(mutex.state, 0);
}

static void
rwlock__excludes__writers_of_both_kinds(void **state)
{
    px_rwlock lock = {0};
    (void)state;
    play(&lock, (access){write_by_address, unwrite_by_address},
         (access){write_inline, unwrite_inline});
    assert_int_equal(lock.state, 0);
}

typedef struct shared_pair {
    px_rwlock lock;
    uint64_t a, b; /* equal, but for a writer inside */
    uint32_t torn; /* atomic */
    uint32_t stop; /* atomic */
} shared_pair;

/* Now and then let the others run into what is held. Not each time: on a busy
 * machine each costs the time slices of all others. */
static void
yield_at_times(unsigned round)
{
    if (round % 16 == 0)
        px__thread_yield();
}

static void
read_pair(void *arg)
{
    shared_pair *p = arg;
    void (*enter)(px_rwlock *) = px_rwlock_read_lock;
    void (*leave)(px_rwlock *) = px_rwlock_read_unlock;
    for (unsigned i = 0; !px__load_relaxed(&p->stop); i++) {
        enter(&p->lock);
        px__or_relaxed(&p->torn, p->a != p->b);
        yield_at_times(i);
        leave(&p->lock);
    }
}

static void
rwlock__shows_readers_whole_writes__by_address(void **state)
{
    static shared_pair pair;
    px__thread readers[THREADS];
    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(
            px__thread_create(&readers[i], "reader", read_pair, &pair), 0);
    for (unsigned i = 0; i < ROUNDS / 10; i++) {
        write_by_address(&pair.lock);
        pair.a++;
        yield_at_times(i);
        pair.b++;
        unwrite_by_address(&pair.lock);
    }
    px__store_relaxed(&pair.stop, 1);
    for (int i = 0; i < THREADS; i++)
        px__thread_join(&readers[i]);
    assert_int_equal(pair.torn, 0);
    assert_int_equal(pair.lock.state, 0);
}

/* Readers and writers without a pause: each way meets every other half done. */
static void
mingle(void *arg)
{
    shared_pair *p = arg;
    void (*enter)(px_rwlock *) = px_rwlock_read_lock;
    void (*leave)(px_rwlock *) = px_rwlock_read_unlock;
    for (int i = 0; i < 5 * ROUNDS; i++) {
        if (i % 4 == 0) {
            write_by_address(&p->lock);
            p->a++;
            p->b++;
            unwrite_by_address(&p->lock);
        } else {
            enter(&p->lock);
            px__or_relaxed(&p->torn, p->a != p->b);
            leave(&p->lock);
        }
    }
}

static void
rwlock__stays_whole__in_a_crowd(void **state)
{
    static shared_pair pair;
    px__thread threads[2 * THREADS];
    (void)state;
    for (int i = 0; i < 2 * THREADS; i++)
        assert_int_equal(
            px__thread_create(&threads[i], "mingler", mingle, &pair), 0);
    for (int i = 0; i < 2 * THREADS; i++)
        px__thread_join(&threads[i]);
    assert_int_equal(pair.torn, 0);
    assert_int_equal(pair.a, (uint64_t)2 * THREADS * 5 * ROUNDS / 4);
    assert_int_equal(pair.lock.state, 0);
}

/* Two readers by address: the second finds the lock taken, and may enter. */
static void
read_lock__admits_a_second_reader__by_address(void **state)
{
    px_rwlock lock = {0};
    void (*enter)(px_rwlock *) = px_rwlock_read_lock;
    void (*leave)(px_rwlock *) = px_rwlock_read_unlock;
    (void)state;
    enter(&lock);
    px_rwlock_read_lock(&lock);
    assert_false(px_rwlock_try_write_lock(&lock));
    px_rwlock_read_unlock(&lock);
    leave(&lock);
    assert_true(px_rwlock_try_write_lock(&lock));
    unwrite_by_address(&lock);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutex__excludes__callers_of_both_kinds),
        cmocka_unit_test(rwlock__excludes__writers_of_both_kinds),
        cmocka_unit_test(rwlock__shows_readers_whole_writes__by_address),
        cmocka_unit_test(rwlock__stays_whole__in_a_crowd),
        cmocka_unit_test(read_lock__admits_a_second_reader__by_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
