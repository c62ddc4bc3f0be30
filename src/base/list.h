/*
 * Intrusive doubly linked list: a circular ring with a sentinel head. No
 * allocation, O(1) everything, one thread at a time or under the caller's lock.
 *
 * Invariants
 *   L1  node->next->prev == node == node->prev->next, for head and members
 *   L2  a node that is in no list points at itself (after init or remove)
 */
#ifndef PX_BASE_LIST_H
#define PX_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct px__list {
    struct px__list *next;
    struct px__list *prev;
} px__list;

/* The struct of type @type whose member @member is at @ptr. */
#define PX_CONTAINER(ptr, type, member)                                        \
    ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void
px__list_init(px__list *l)
{
    l->next = l->prev = l;
}

static inline bool
px__list_empty(const px__list *l)
{
    return l->next == l;
}

static inline void
px__list_insert_after(px__list *at, px__list *node)
{
    node->prev = at;
    node->next = at->next;
    at->next->prev = node;
    at->next = node;
}

static inline void
px__list_push_back(px__list *head, px__list *node)
{
    px__list_insert_after(head->prev, node);
}

static inline void
px__list_push_front(px__list *head, px__list *node)
{
    px__list_insert_after(head, node);
}

static inline void
px__list_remove(px__list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    px__list_init(node);
}

/* First node of a list, or NULL when it is empty; it is taken out. */
static inline px__list *
px__list_pop_front(px__list *head)
{
    px__list *node = head->next;
    if (node == head)
        return NULL;
    px__list_remove(node);
    return node;
}

/* Move all of @from to the end of @to, in order; @from becomes empty. */
static inline void
px__list_splice(px__list *to, px__list *from)
{
    if (px__list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    px__list_init(from);
}

#endif
