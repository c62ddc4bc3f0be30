/*
 * Memory for the ints and floats of young contexts, which free nothing: one beside
 * the other in blocks of the heap.
 *
 * Without a header of its own an int takes 32 bytes instead of 48 and a float 24
 * instead of 32, and either is taken in ten instructions instead of forty.
 *
 *   N1  There is room only while the context counts no references down: so no
 *       number in there comes to be freed meanwhile.
 *   N2  When it begins to count, it keeps what lies below young_end, which all of
 *       these do, whatever is freed there.
 *
 * Thread rule: a thread that is in a context, about that context.
 */
#include "pycore_px.h"

enum {
    ROOM_BYTES = 504, /* the largest block that a heap hands out inline */
    LINE_BYTES = 64
};

/* What is written to soon is fetched. */
static void
fetch_ahead(const char *room)
{
    for (int at = 0; at < ROOM_BYTES; at += LINE_BYTES) {
        __builtin_prefetch(room + ROOM_BYTES + at, 1);
    }
}

/* Taking room may begin to count. */
static void *
take_first(size_t bytes)
{
    char *room = _Px_Malloc(ROOM_BYTES);
    if (!room) {
        return NULL;
    }
    if (_Px_here.drop_end == 0) {
        fetch_ahead(room);
        _Px_here.room_end = room + ROOM_BYTES;
        _Px_here.room = ROOM_BYTES - (bytes + 7) / 8 * 8;
    }
    return room;
}

void *
_Px_NewNumber(size_t bytes)
{
    return _Px_here.from_heap && bytes <= ROOM_BYTES / 8 ? take_first(bytes)
                                                         : _Px_Malloc(bytes);
}
