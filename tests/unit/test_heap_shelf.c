/* Shelves: windows that one thread has used and another one releases. */
#include "heap_support.h"

#include "heap/shelf.h"
#include "platform/thread.h"

enum { WINDOWS = 4, CLASS_MB = 32 };

struct made {
    px__window *windows[WINDOWS];
    size_t bytes;
};

static void
acquire_all(void *arg)
{
    struct made *made = arg;
    for (unsigned i = 0; i < WINDOWS; i++) {
        assert_int_equal(px__window_acquire(made->bytes, &made->windows[i]), 0);
        assert_non_null(px__window_control(made->windows[i], 64, 0));
    }
}

/* In a thread of its own, which has ended since. */
static struct made
acquired_elsewhere(size_t bytes)
{
    struct made made = {.bytes = bytes};
    px__thread thread;
    assert_int_equal(px__thread_create(&thread, "user", acquire_all, &made), 0);
    px__thread_join(&thread);
    return made;
}

static unsigned
class_of(const px__window *window)
{
    return window->size_class;
}

static unsigned
take_all(unsigned size_class, px__window **out)
{
    unsigned count = 0;
    while ((out[count] = px__shelf_get_any(size_class)) != NULL)
        count++;
    return count;
}

static void
release__shelves_some__of_another_thread(void **state)
{
    (void)state;
    px__window *taken[WINDOWS + 1];
    struct made made = acquired_elsewhere((size_t)CLASS_MB * MB);
    unsigned size_class = class_of(made.windows[0]);
    for (unsigned i = 0; i < WINDOWS; i++) {
        made.windows[i]->cpu = 7;
        px__window_release(made.windows[i]);
    }
    assert_true(px__shelves_are_open());
    assert_null(px__shelf_get_any(size_class + 1));
    assert_int_equal(take_all(size_class, taken), 2); /* what one CPU's has */
    assert_ptr_equal(taken[0], made.windows[0]);
    assert_ptr_equal(taken[1], made.windows[1]);
    px__window_release(taken[0]);
    px__window_release(taken[1]);
}

static void
release__shelves_none__of_its_own(void **state)
{
    (void)state;
    px__window *window, *taken[WINDOWS + 1];
    assert_int_equal(px__window_acquire((size_t)64 * MB, &window), 0);
    unsigned size_class = class_of(window);
    px__window_release(window);
    assert_int_equal(take_all(size_class, taken), 0);
}

static void
acquire__takes_from_the_shelf__of_this_cpu(void **state)
{
    (void)state;
    px__window *window;
    struct made made = acquired_elsewhere((size_t)128 * MB);
    for (unsigned i = 0; i < WINDOWS; i++) {
        made.windows[i]->cpu = i; /* one of these may be this CPU */
        px__window_release(made.windows[i]);
    }
    for (unsigned i = 0; i < WINDOWS; i++) {
        assert_int_equal(px__window_acquire(made.bytes, &window), 0);
        assert_int_equal(window->size_class, class_of(made.windows[0]));
        made.windows[i] = window;
    }
    for (unsigned i = 0; i < WINDOWS; i++)
        px__window_release(made.windows[i]);
}

static void
shelves__open_once__for_good(void **state)
{
    (void)state;
    struct made made = acquired_elsewhere((size_t)16 * MB);
    for (unsigned i = 0; i < WINDOWS; i++)
        px__window_release(made.windows[i]);
    assert_true(px__shelves_are_open());
    assert_false(px__shelves_open(1));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(release__shelves_some__of_another_thread),
        cmocka_unit_test(release__shelves_none__of_its_own),
        cmocka_unit_test(acquire__takes_from_the_shelf__of_this_cpu),
        cmocka_unit_test(shelves__open_once__for_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
