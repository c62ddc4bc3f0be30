/*
 * The assert ladder. Choose the cheapest rung that protects what is at stake.
 *
 *   PX_CHECK      always on: memory safety is lost if this fails, so abort
 *                 with a message rather than corrupt
 *   PX_ASSERT     debug: a contract between our own functions
 *   PX_INVARIANT  debug: an O(1) invariant of a data structure, cited by number
 *   PX_VALIDATE   paranoid debug: an O(n) invariant (PXRT_PARANOID builds)
 *
 * A failed rung prints one line to standard error and aborts; nothing on that
 * path allocates or takes a lock.
 */
#ifndef PX_BASE_ASSERT_H
#define PX_BASE_ASSERT_H

#include <pxrt/defs.h>

#if defined(__GNUC__)
__attribute__((noreturn, cold))
#endif
void
px__abort(const char *what, const char *message, const char *file, int line);

#define PX_CHECK(cond, message)                                                \
    (PX_LIKELY(cond) ? (void)0 : px__abort(#cond, message, __FILE__, __LINE__))

#if defined(PXRT_DEBUG)
#define PX_ASSERT(cond) PX_CHECK(cond, "assertion failed")
#define PX_INVARIANT(cond) PX_CHECK(cond, "invariant broken")
#else
#define PX_ASSERT(cond) ((void)sizeof(cond))
#define PX_INVARIANT(cond) ((void)sizeof(cond))
#endif

#if defined(PXRT_PARANOID)
#define PX_VALIDATE(cond) PX_CHECK(cond, "validation failed")
#else
#define PX_VALIDATE(cond) ((void)sizeof(cond))
#endif

#endif
