/** @file
 *  Shared memory: thread-safe blocks that no context owns and no rollback
 *  touches. Messages, lock objects and everything else that crosses a border
 *  lives here. It is the process's malloc: a host that wants another allocator
 *  links one that replaces malloc (mimalloc and jemalloc do).
 */
#ifndef PXRT_SHARED_H
#define PXRT_SHARED_H

#include <pxrt/defs.h>

PX_BEGIN_DECLS

/** Allocate @p bytes (0 counts as 1), aligned to 16, not zeroed; NULL when
 *  there is no memory. Release with px_shared_free().
 *  @thread any */
PX_API void *px_shared_alloc(size_t bytes) PX_ALLOC_SIZE(1);

/** Allocate @p count * @p bytes zeroed bytes; NULL also on overflow.
 *  @thread any */
PX_API void *px_shared_calloc(size_t count, size_t bytes);

/** Change a block's size, keeping its contents; NULL on failure: the old block
 *  is then untouched. @p block NULL allocates.
 *  @thread any; nobody else may use the block meanwhile */
PX_API void *px_shared_realloc(void *block, size_t bytes);

/** Release a block; NULL is ignored.
 *  @thread any */
PX_API void px_shared_free(void *block);

/** Copy @p bytes bytes into a new block; NULL for a NULL source or on failure.
 *  @thread any */
PX_API void *px_shared_memdup(const void *from, size_t bytes);

PX_END_DECLS

#endif
