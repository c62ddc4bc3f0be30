/*
 * Shelves: where windows wait that a thread has used and another one has
 * released. See shelf.c.
 */
#ifndef PX_HEAP_SHELF_H
#define PX_HEAP_SHELF_H

#include "heap/window.h"

/* Windows on shelves keep at most @bytes in all; until this is called, none.
 * False: it was called before. Any thread. */
bool px__shelves_open(size_t bytes);
bool px__shelves_are_open(void);

/* Put a free window on the shelf of the CPU that used it. False: there is no room.
 * Any thread. */
bool px__shelf_put(px__window *window);

/* Take a window of this class from the shelf of this CPU; or, when all else is used
 * up, from any. NULL: there is none. Any thread. */
px__window *px__shelf_get(unsigned size_class);
px__window *px__shelf_get_any(unsigned size_class);

#endif
