/*
 * Whether the thread sanitizer watches. It wants its memory at certain addresses,
 * and holds signals back (see range.c, park_futex.c).
 */
#ifndef PX_BASE_SANITIZER_H
#define PX_BASE_SANITIZER_H

#if defined(__SANITIZE_THREAD__)
#define PX_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PX_THREAD_SANITIZER 1
#endif
#endif
#if !defined(PX_THREAD_SANITIZER)
#define PX_THREAD_SANITIZER 0
#endif

#endif
