/** @file
 *  Export, inline and attribute macros used by every pxrt header, and the
 *  version of the headers. Nothing here allocates or calls.
 *
 *  Vocabulary of the @b Thread notes in these headers:
 *    - any     any thread, at any time, without a lock;
 *    - owner   the thread that has entered the context (or, for a heap without
 *              a context, one thread at a time as arranged by the caller);
 *    - main    the thread that created the runtime;
 *    - caller  the object is the caller's: one thread at a time.
 */
#ifndef PXRT_DEFS_H
#define PXRT_DEFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** @name Version of the headers
 *  @{ */
/** Compare with px_version(), the version of the library that is linked. */
#define PX_VERSION_MAJOR 0
#define PX_VERSION_MINOR 1
#define PX_VERSION_PATCH 0
/** @} */
/** The headers' version as one comparable number, 0xMMmmpp. */
#define PX_VERSION                                                             \
    ((PX_VERSION_MAJOR << 16) | (PX_VERSION_MINOR << 8) | PX_VERSION_PATCH)

/** @def PX_API
 *  Marks what the shared library exports. On Windows, a program that links the
 *  static library defines PXRT_STATIC. */
#if defined(_WIN32) && !defined(PXRT_STATIC)
#if defined(PXRT_BUILDING)
#define PX_API __declspec(dllexport)
#else
#define PX_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define PX_API __attribute__((visibility("default")))
#else
#define PX_API
#endif

/** @name Hints to the compiler
 *  @{ */
#if defined(__GNUC__)
/** Which way a condition mostly goes, a printf-like format, the argument that
 *  is a block's size, a result that must not be ignored. Each hint is empty
 *  where the compiler does not know it. */
#define PX_LIKELY(x) __builtin_expect(!!(x), 1)
#define PX_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define PX_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define PX_ALLOC_SIZE(n) __attribute__((malloc, alloc_size(n)))
#define PX_MUST_CHECK __attribute__((warn_unused_result))
#else
#define PX_LIKELY(x) (x)
#define PX_UNLIKELY(x) (x)
#define PX_PRINTF(fmt, args)
#define PX_ALLOC_SIZE(n)
#define PX_MUST_CHECK
#endif
/** @} */

/** @name C linkage
 *  @{ */
#if defined(__cplusplus)
/** Around declarations that have C linkage, in C and in C++. */
#define PX_BEGIN_DECLS extern "C" {
#define PX_END_DECLS }
#else
#define PX_BEGIN_DECLS
#define PX_END_DECLS
#endif
/** @} */

#endif
