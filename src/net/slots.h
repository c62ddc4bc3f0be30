/*
 * Slots: the buffers that received bytes lie in until a callback has used them.
 */
#ifndef PX_NET_SLOTS_H
#define PX_NET_SLOTS_H

#include <pxrt/ilist.h>

enum {
    PX__SLOT_BYTES = 64 * 1024,
    PX__SLOTS_CACHED = 64, /* kept for reuse; 4 MB of addresses */
};

typedef struct px__slot {
    px_ilink link;
    size_t count; /* bytes received */
    char bytes[PX__SLOT_BYTES];
} px__slot;

typedef struct px__slots {
    px_ilist returned; /* by workers */
    px_ilink *free;    /* the baton's */
    uint32_t cached;   /* atomic: slots in both, at least */
} px__slots;

/* An empty slot, or NULL: out of memory. On the baton. */
px__slot *px__slots_take(px__slots *slots);

/* Give a slot back. Any thread. */
void px__slots_give(px__slots *slots, px__slot *slot);

/* Free all cached slots. Nobody else uses @slots. */
void px__slots_destroy(px__slots *slots);

#endif
