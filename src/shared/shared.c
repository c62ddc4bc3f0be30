/*
 * Shared memory: what lives outside every context.
 *
 * A thin layer over malloc, on purpose. Measured: Debian's libmimalloc.so and
 * libjemalloc.so export malloc themselves, so linking one of them here would
 * replace the allocator of every host that links libpxrt. That choice is the
 * host's: a host that links one gets it here as well.
 *
 * Rejected: a size-class allocator of our own (well kept ones exist), and a
 * pluggable vtable (a second way to do what the linker does).
 */
#include <pxrt/shared.h>

#include <stdlib.h>
#include <string.h>

void *
px_shared_alloc(size_t bytes)
{
    return malloc(bytes ? bytes : 1);
}

void *
px_shared_calloc(size_t count, size_t bytes)
{
    return calloc(count ? count : 1, bytes ? bytes : 1);
}

void *
px_shared_realloc(void *block, size_t bytes)
{
    return realloc(block, bytes ? bytes : 1);
}

void
px_shared_free(void *block)
{
    free(block);
}

void *
px_shared_memdup(const void *from, size_t bytes)
{
    void *copy = from ? px_shared_alloc(bytes) : NULL;
    return copy ? memcpy(copy, from, bytes) : NULL;
}
