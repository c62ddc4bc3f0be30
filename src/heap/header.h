/*
 * The header of a block of a sized heap: one word, 8 bytes before the block.
 *
 *   63         48 47                                    4 3   2 1    0
 *   |    tag     |   bytes of header and block / 16      | -   | kind |
 *
 *      next (8 mod 16)
 *        v
 *   | header | block (0 mod 16) ...... | header | block ...
 *   |<------- span: multiple of 16 --->|
 *
 * The tag is a hash of the header's address (Fibonacci hashing, Knuth 6.4), so
 * that a pointer into the middle of a block is hardly ever taken for one.
 * <pxrt/heap_inline.h> makes and reads headers, too.
 */
#ifndef PX_HEAP_HEADER_H
#define PX_HEAP_HEADER_H

#include "heap/annotate.h"
#include "heap/layout.h"

enum { PX_KIND_MASK = 3 };

static inline void
px__header_set(char *at, size_t span, enum px__block_kind kind)
{
    px__note_defined(at, PX__HEADER);
    *(uint64_t *)(void *)at = px__header_tag(at) | span | kind;
}

/* Bytes from this header to the next one; 0 when there is no header here. */
static inline size_t
px__header_span(const char *at)
{
    uint64_t word = *(const uint64_t *)(const void *)at;
    uint64_t span = (word ^ px__header_tag(at)) & ~(uint64_t)15;
    return span >> PX__TAG_SHIFT ? 0 : (size_t)span;
}

static inline enum px__block_kind
px__header_kind(const char *at)
{
    return *(const uint64_t *)(const void *)at & PX_KIND_MASK;
}

/* Bytes of a block of this span that its user may use. */
static inline size_t
px__span_usable(size_t span)
{
    return span - PX__HEADER - PX_REDZONE;
}

/* sized.c: the list for blocks of @span bytes; PX__LISTS when there is none. */
unsigned px__list_of(size_t span);

#endif
