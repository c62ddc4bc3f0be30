/*
 * What sanitizers are told about heap memory. One place, so that the rest of
 * the room reads as if there were none.
 *
 *   px__note_open    these bytes were handed out: usable, contents undefined
 *   px__note_defined these bytes are ours or zeroed: usable, contents defined
 *   px__note_close   these bytes are nobody's: any access is an error
 *   px__note_drop    close, and in debug builds overwrite first
 *
 * In a plain build all of them are nothing.
 *
 * Valgrind is told of addresses, not of pools: its MEMPOOL requests remember
 * every block and search them at each trim, so a rollback would cost O(blocks),
 * and all they add is the stack of the allocation in a report. Closing and
 * opening addresses finds the same errors.
 */
#ifndef PX_HEAP_ANNOTATE_H
#define PX_HEAP_ANNOTATE_H

#include "heap/range.h"

#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PX_ASAN 1
#endif
#if __has_feature(memory_sanitizer)
#define PX_MSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define PX_ASAN 1
#endif

#if defined(PX_ASAN)
#include <sanitizer/asan_interface.h>
#endif
#if defined(PX_MSAN)
#include <sanitizer/msan_interface.h>
#endif
#if defined(__has_include) && !defined(PX_ASAN) && !defined(PX_MSAN)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define PX_VALGRIND 1
#endif
#endif

enum {
/* Unusable bytes behind each block, so that an overrun does not land in
 * the next one. */
#if defined(PX_ASAN)
    PX_REDZONE = 16,
#else
    PX_REDZONE = 0,
#endif
    PX_DROPPED_BYTE = 0xDD
};

/* Asked once: a request to Valgrind is cheap, a load of the answer is cheaper.
 */
static inline bool
px__note_valgrind(void)
{
#if defined(PX_VALGRIND)
    return RUNNING_ON_VALGRIND != 0;
#else
    return false;
#endif
}

/* Must every block be announced, so that the inline fast path is no option? */
static inline bool
px__note_needed(void)
{
#if defined(PX_ASAN) || defined(PX_MSAN)
    return true;
#else
    return px__range.on_valgrind;
#endif
}

static inline void
px__note_open(void *at, size_t bytes)
{
#if defined(PX_ASAN)
    ASAN_UNPOISON_MEMORY_REGION(at, bytes);
#elif defined(PX_MSAN)
    __msan_poison(at, bytes);
#elif defined(PX_VALGRIND)
    if (PX_UNLIKELY(px__range.on_valgrind))
        VALGRIND_MAKE_MEM_UNDEFINED(at, bytes);
#endif
    (void)at;
    (void)bytes;
}

static inline void
px__note_defined(void *at, size_t bytes)
{
#if defined(PX_ASAN)
    ASAN_UNPOISON_MEMORY_REGION(at, bytes);
#elif defined(PX_MSAN)
    __msan_unpoison(at, bytes);
#elif defined(PX_VALGRIND)
    if (PX_UNLIKELY(px__range.on_valgrind))
        VALGRIND_MAKE_MEM_DEFINED(at, bytes);
#endif
    (void)at;
    (void)bytes;
}

static inline void
px__note_close(void *at, size_t bytes)
{
#if defined(PX_ASAN)
    ASAN_POISON_MEMORY_REGION(at, bytes);
#elif defined(PX_VALGRIND)
    if (PX_UNLIKELY(px__range.on_valgrind))
        VALGRIND_MAKE_MEM_NOACCESS(at, bytes);
#endif
    (void)at;
    (void)bytes;
}

/* Overwriting makes a use after rollback visible where no sanitizer watches. */
static inline void
px__overwrite(void *at, size_t bytes)
{
#if defined(PXRT_DEBUG)
    memset(at, PX_DROPPED_BYTE, bytes);
#endif
    (void)at;
    (void)bytes;
}

static inline void
px__note_drop(void *at, size_t bytes)
{
#if defined(PXRT_DEBUG)
    px__note_defined(at, bytes);
#endif
    px__overwrite(at, bytes);
    px__note_close(at, bytes);
}

#endif
