/*
 * The intrusive list of src/base/list.h: each operation alone, and then a long
 * random run against an array that does the same the slow way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/list.h"

enum { ITEMS = 8 };

struct item {
    int value;
    px__list link;
};

static int
value_of(const px__list *node)
{
    return PX_CONTAINER(node, struct item, link)->value;
}

/* The list's ring is whole (L1) and holds exactly @values. */
static void
assert_holds(const px__list *head, const int *values, size_t count)
{
    const px__list *node = head;
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(node->next->prev, node);
        node = node->next;
        assert_ptr_not_equal(node, head);
        assert_int_equal(value_of(node), values[i]);
    }
    assert_ptr_equal(node->next, head);
    assert_ptr_equal(head->prev, node);
}

static void
fill(struct item items[ITEMS])
{
    for (int i = 0; i < ITEMS; i++) {
        items[i].value = i;
        px__list_init(&items[i].link);
    }
}

static void
list__is_empty__after_init(void **state)
{
    px__list head;
    (void)state;
    px__list_init(&head);
    assert_true(px__list_empty(&head));
    assert_null(px__list_pop_front(&head));
}

static void
list__keeps_order__when_pushed_at_both_ends(void **state)
{
    struct item items[ITEMS];
    px__list head;
    (void)state;
    fill(items);
    px__list_init(&head);
    px__list_push_back(&head, &items[1].link);
    px__list_push_back(&head, &items[2].link);
    px__list_push_front(&head, &items[0].link);
    px__list_insert_after(&items[1].link, &items[7].link);
    assert_holds(&head, (int[]){0, 1, 7, 2}, 4);
    assert_int_equal(value_of(px__list_pop_front(&head)), 0);
    assert_holds(&head, (int[]){1, 7, 2}, 3);
}

/* L2: a removed node points at itself, so removing it again is harmless. */
static void
list__leaves_a_node_alone__when_removed_twice(void **state)
{
    struct item items[ITEMS];
    px__list head;
    (void)state;
    fill(items);
    px__list_init(&head);
    for (int i = 0; i < 3; i++)
        px__list_push_back(&head, &items[i].link);
    px__list_remove(&items[1].link);
    assert_true(px__list_empty(&items[1].link));
    px__list_remove(&items[1].link);
    assert_holds(&head, (int[]){0, 2}, 2);
}

static void
list__moves_all__when_spliced(void **state)
{
    struct item items[ITEMS];
    px__list to, from;
    (void)state;
    fill(items);
    px__list_init(&to);
    px__list_init(&from);
    px__list_splice(&to, &from);
    assert_true(px__list_empty(&to));
    px__list_push_back(&from, &items[0].link);
    px__list_splice(&to, &from);
    assert_true(px__list_empty(&from));
    px__list_push_back(&from, &items[1].link);
    px__list_push_back(&from, &items[2].link);
    px__list_splice(&to, &from);
    assert_true(px__list_empty(&from));
    assert_holds(&to, (int[]){0, 1, 2}, 3);
}

/* The naive twin: an array, moved by hand. */
struct twin {
    int values[ITEMS];
    size_t count;
};

static void
twin_remove(struct twin *t, int value)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->values[i] == value) {
            memmove(&t->values[i], &t->values[i + 1],
                    (t->count - i - 1) * sizeof t->values[0]);
            t->count--;
            return;
        }
}

static void
twin_insert(struct twin *t, size_t at, int value)
{
    memmove(&t->values[at + 1], &t->values[at],
            (t->count - at) * sizeof t->values[0]);
    t->values[at] = value;
    t->count++;
}

static void
list__agrees_with_an_array__over_random_moves(void **state)
{
    struct item items[ITEMS];
    struct twin twin = {.count = 0};
    uint32_t seed = 1;
    px__list head;
    (void)state;
    fill(items);
    px__list_init(&head);
    for (int step = 0; step < 20000; step++) {
        seed = seed * 1664525u + 1013904223u;
        struct item *it = &items[(seed >> 16) % ITEMS];
        px__list_remove(&it->link);
        twin_remove(&twin, it->value);
        switch ((seed >> 24) % 3) {
        case 0:
            px__list_push_back(&head, &it->link);
            twin_insert(&twin, twin.count, it->value);
            break;
        case 1:
            px__list_push_front(&head, &it->link);
            twin_insert(&twin, 0, it->value);
            break;
        default:
            break;
        }
        assert_holds(&head, twin.values, twin.count);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(list__is_empty__after_init),
        cmocka_unit_test(list__keeps_order__when_pushed_at_both_ends),
        cmocka_unit_test(list__leaves_a_node_alone__when_removed_twice),
        cmocka_unit_test(list__moves_all__when_spliced),
        cmocka_unit_test(list__agrees_with_an_array__over_random_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
