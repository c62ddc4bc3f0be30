/*
 * The real sources of the lock room under the model checker of checker.h: every
 * schedule with up to three preemptions, every value that C11 lets a load see
 * (a few stale ones per run). Then the same with one memory order weakened at a
 * time: the checker must notice each, or the order would be there for nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pxrt/ilist.h>
#include <pxrt/lock.h>

#include "checker.h"
#include "lock/held.h"
#include "lock/readers.h"
#include "lock/spin.h"
#include "platform/clock.h"

enum {
    RLX = __ATOMIC_RELAXED,
    ACQ = __ATOMIC_ACQUIRE,
    REL = __ATOMIC_RELEASE,
    SEQ = __ATOMIC_SEQ_CST
};

/* --- what the sources need and the model does not have -------------------- */

/* Spinning is only another schedule. */
bool
px__spin_more(px__spin *spin)
{
    (void)spin;
    return false;
}

void
px__spin_back_off(void)
{
}

void
px__spin_give_way(void)
{
}

int64_t
px__now_ns(void)
{
    return 0;
}

int
px__thread_at_exit(px__exit_hook *hook)
{
    (void)hook;
    return 0;
}

void
px__abort(const char *what, const char *message, const char *file, int line)
{
    (void)message;
    (void)file;
    (void)line;
    model_fail(what);
}

void
px__held_add(const void *lock, enum px__held_mode mode)
{
    (void)lock;
    (void)mode;
}

void
px__held_remove(const void *lock, enum px__held_mode mode)
{
    (void)lock;
    (void)mode;
}

void
px__held_expect_none(const void *lock)
{
    (void)lock;
}

/* --- what the threads do -------------------------------------------------- */

static px_rwlock rwlock;
static px_rwlock_biased biased;
static px_mutex mutex;
static px_once once;
static px_event event;
static px_ilist list;
static px_ilink links[MODEL_THREADS];
static struct model_plain data;
static int readers_in, writers_in;

/* A fiber is not a thread: the one thread-local of the sources is swapped. */
static px__reader_record *selves[MODEL_THREADS];

static void
prepare(void)
{
    rwlock = (px_rwlock){0};
    biased = (px_rwlock_biased){.bias = 1};
    mutex = (px_mutex){0};
    once = (px_once){0};
    event = (px_event){0};
    list = (px_ilist){0};
    data = (struct model_plain){0};
    readers_in = writers_in = 0;
    for (int i = 0; i < PX_READER_SLOTS; i++)
        selves[0]->slots[i] = NULL; /* a run that failed left them behind */
}

/* A step of the model lies between coming and going, so others can get in. */
static void
inside_as_reader(void)
{
    readers_in++;
    if (writers_in)
        model_fail("a reader met a writer");
    model_plain_read(&data);
    readers_in--;
}

static void
inside_as_writer(void)
{
    writers_in++;
    if (writers_in > 1 || readers_in)
        model_fail("a writer met somebody");
    model_plain_write(&data);
    writers_in--;
}

static void
rw_reader(void)
{
    px_rwlock_read_lock(&rwlock);
    inside_as_reader();
    px_rwlock_read_unlock(&rwlock);
}

static void
rw_writer(void)
{
    px_rwlock_write_lock(&rwlock);
    inside_as_writer();
    px_rwlock_write_unlock(&rwlock);
}

static void
biased_reader(void)
{
    px_rwlock_biased_read_lock(&biased);
    inside_as_reader();
    px_rwlock_biased_read_unlock(&biased);
}

static void
biased_writer(void)
{
    px_rwlock_biased_write_lock(&biased);
    inside_as_writer();
    px_rwlock_biased_write_unlock(&biased);
}

static void
biased_trier(void)
{
    if (px_rwlock_biased_try_write_lock(&biased)) {
        inside_as_writer();
        px_rwlock_biased_write_unlock(&biased);
    }
}

static void
mutex_user(void)
{
    px_mutex_lock(&mutex);
    inside_as_writer();
    px_mutex_unlock(&mutex);
}

static int
write_data(void *arg)
{
    (void)arg;
    inside_as_writer();
    return 0;
}

static void
once_user(void)
{
    if (px_once_run(&once, write_data, NULL) != PX_OK)
        model_fail("px_once_run failed");
    model_plain_read(&data);
}

static void
event_setter(void)
{
    model_plain_write(&data);
    px_event_set(&event);
}

static void
event_waiter(void)
{
    if (px_event_wait(&event, -1) != PX_OK)
        model_fail("px_event_wait failed");
    model_plain_read(&data);
    px_event_set(&event); /* for the next waiter */
}

static void
list_pusher(void)
{
    model_plain_write(&data);
    if (px_ilist_push(&list, &links[0]))
        px_event_set(&event);
}

/* The event alone would order them: the list is looked at without it. */
static void
list_taker(void)
{
    if (px_ilist_flush(&list))
        model_plain_read(&data);
}

static void
check_free(void)
{
    if (rwlock.state || biased.lock.state || mutex.state)
        model_fail("a lock is not free in the end");
}

static void
switched(int from, int to)
{
    if (from >= 0)
        selves[from] = px__reader_self;
    px__reader_self = selves[to];
}

/* The one biased reader, always thread 0, has its record from the start: how
 * records are taken is not on trial. */
static void
take_a_record(void)
{
    selves[0] = px__reader_record_take();
}

static void
nothing(void)
{
}

static int
take_record(void **state)
{
    static const struct model_scenario taking = {
        .prepare = nothing, .bodies = {take_a_record}, .check = nothing};
    (void)state;
    const char *failure =
        model_explore(&taking, NULL, (struct model_bounds){0}).failure;
    px__reader_self = NULL;
    return failure != NULL;
}

/* --- the table
 * ---------------------------------------------------------------- */

#define SCENARIO(...)                                                          \
    {                                                                          \
        .prepare = prepare, .bodies = {__VA_ARGS__}, .check = check_free,      \
        .switched = switched                                                   \
    }

static const struct model_scenario rw_1r1w = SCENARIO(rw_reader, rw_writer);
static const struct model_scenario rw_2r1w =
    SCENARIO(rw_reader, rw_reader, rw_writer);
static const struct model_scenario rw_1r2w =
    SCENARIO(rw_reader, rw_writer, rw_writer);
static const struct model_scenario rw_3w =
    SCENARIO(rw_writer, rw_writer, rw_writer);
static const struct model_scenario biased_1r1w =
    SCENARIO(biased_reader, biased_writer);
static const struct model_scenario biased_1r2w =
    SCENARIO(biased_reader, biased_writer, biased_writer);
static const struct model_scenario biased_try =
    SCENARIO(biased_reader, biased_trier, biased_writer);
static const struct model_scenario mutex_3 =
    SCENARIO(mutex_user, mutex_user, mutex_user);
static const struct model_scenario once_3 =
    SCENARIO(once_user, once_user, once_user);
static const struct model_scenario event_2 =
    SCENARIO(event_setter, event_waiter, event_waiter);
static const struct model_scenario list_2 = SCENARIO(list_pusher, list_taker);

static const struct model_bounds three = {.preemptions = 3, .stale = 1};

static void
expect_clean(const char *name, const struct model_scenario *s)
{
    struct model_result r = model_explore(s, NULL, three);
    print_message("  %-14s %8ld runs  %s\n", name, r.runs,
                  r.failure ? r.failure : "clean");
    assert_null(r.failure);
    assert_true(r.runs > 1);
}

static void
expect_found(const char *name, const struct model_scenario *s,
             struct model_mistake mistake)
{
    struct model_result r = model_explore(s, &mistake, three);
    print_message("  %-34s %7ld runs  %s\n", name, r.runs,
                  r.failure ? r.failure : "NOT FOUND");
    assert_non_null(r.failure);
}

static void
sources__are_clean__in_every_run(void **state)
{
    (void)state;
    expect_clean("rwlock 1R 1W", &rw_1r1w);
    expect_clean("rwlock 2R 1W", &rw_2r1w);
    expect_clean("rwlock 1R 2W", &rw_1r2w);
    expect_clean("rwlock 3W", &rw_3w);
    expect_clean("biased 1R 1W", &biased_1r1w);
    expect_clean("biased 1R 2W", &biased_1r2w);
    expect_clean("biased try", &biased_try);
    expect_clean("mutex 3", &mutex_3);
    expect_clean("once 3", &once_3);
    expect_clean("event 1 + 2", &event_2);
    expect_clean("ilist 1 + 1", &list_2);
}

static void
rwlock__needs__each_of_its_orders(void **state)
{
    (void)state;
    const void *word = &rwlock.state, *notify = &rwlock.notify;
    expect_found("enter does not acquire", &rw_1r1w,
                 (struct model_mistake){'c', word, ACQ, RLX});
    expect_found("leave does not release", &rw_1r1w,
                 (struct model_mistake){'r', word, REL, RLX});
    expect_found("U2 does not release", &rw_1r2w,
                 (struct model_mistake){'r', notify, REL, RLX});
    expect_found("WL4 does not acquire", &rw_1r2w,
                 (struct model_mistake){'l', notify, ACQ, RLX});
}

static void
biased__needs__each_of_its_orders(void **state)
{
    (void)state;
    const void *bias = &biased.bias, *slot = &selves[0]->slots[0];
    expect_found("B1 slot store only releases", &biased_1r1w,
                 (struct model_mistake){'s', slot, SEQ, REL});
    expect_found("B1 bias load only acquires", &biased_1r1w,
                 (struct model_mistake){'l', bias, SEQ, ACQ});
    expect_found("B2 bias store only releases", &biased_1r1w,
                 (struct model_mistake){'s', bias, SEQ, REL});
    expect_found("B2 slot load only acquires", &biased_1r1w,
                 (struct model_mistake){'l', slot, SEQ, ACQ});
    expect_found("slot is cleared without release", &biased_1r1w,
                 (struct model_mistake){'s', slot, REL, RLX});
}

static void
others__need__each_of_their_orders(void **state)
{
    (void)state;
    expect_found("mutex: lock does not acquire", &mutex_3,
                 (struct model_mistake){'c', &mutex.state, ACQ, RLX});
    expect_found("mutex: slow lock does not acquire", &mutex_3,
                 (struct model_mistake){'r', &mutex.state, ACQ, RLX});
    expect_found("mutex: unlock does not release", &mutex_3,
                 (struct model_mistake){'r', &mutex.state, REL, RLX});
    expect_found("once: look does not acquire", &once_3,
                 (struct model_mistake){'l', &once.state, ACQ, RLX});
    expect_found("once: end does not release", &once_3,
                 (struct model_mistake){'r', &once.state, REL, RLX});
    expect_found("event: take does not acquire", &event_2,
                 (struct model_mistake){'c', &event.state, ACQ, RLX});
    expect_found("event: set does not release", &event_2,
                 (struct model_mistake){'c', &event.state, REL, RLX});
    expect_found("ilist: push does not release", &list_2,
                 (struct model_mistake){'c', &list.head, REL, RLX});
    expect_found("ilist: flush does not acquire", &list_2,
                 (struct model_mistake){'r', &list.head, ACQ, RLX});
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sources__are_clean__in_every_run),
        cmocka_unit_test(rwlock__needs__each_of_its_orders),
        cmocka_unit_test(biased__needs__each_of_its_orders),
        cmocka_unit_test(others__need__each_of_their_orders),
    };
    return cmocka_run_group_tests(tests, take_record, NULL);
}
