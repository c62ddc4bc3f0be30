/*
 * Address space by VirtualAlloc.
 *
 * Windows has no memory that is usable without being charged to the commit
 * limit, so every range is committed piece by piece; asking for the other way
 * answers NULL. Large pages cannot be committed into a reserved range: none are
 * reported.
 */
#include "platform/vm.h"

#include "base/assert.h"
#include "base/atomic.h"

#include <pxrt/status.h>

#include <stdint.h>
#include <windows.h>

size_t
px__vm_page_bytes(void)
{
    static size_t cached;
    size_t bytes = px__load_relaxed(&cached);
    if (bytes == 0) {
        SYSTEM_INFO info;
        GetSystemInfo(&info);
        bytes = info.dwPageSize;
        px__store_relaxed(&cached, bytes);
    }
    return bytes;
}

size_t
px__vm_large_page_bytes(void)
{
    return 0;
}

/* A reservation cannot be cut. So find out where a larger one fits, let go of
 * it and take the aligned part; another thread may be faster, hence the tries.
 */
static void *
reserve_aligned(size_t bytes, size_t align)
{
    for (int i = 0; i < 8; i++) {
        char *raw =
            VirtualAlloc(NULL, bytes + align, MEM_RESERVE, PAGE_NOACCESS);
        if (!raw)
            return NULL;
        VirtualFree(raw, 0, MEM_RELEASE);
        size_t head = (align - ((uintptr_t)raw & (align - 1))) & (align - 1);
        void *at = VirtualAlloc(raw + head, bytes, MEM_RESERVE, PAGE_NOACCESS);
        if (at)
            return at;
    }
    return NULL;
}

void *
px__vm_reserve(size_t bytes, size_t align, bool commit_later)
{
    if (!commit_later || bytes + align < bytes)
        return NULL;
    return reserve_aligned(bytes, align);
}

void *
px__vm_reserve_at(void *lo, size_t bytes, bool commit_later)
{
    if (!commit_later)
        return NULL;
    return VirtualAlloc(lo, bytes, MEM_RESERVE, PAGE_NOACCESS);
}

int
px__vm_commit(void *lo, size_t bytes)
{
    if (!VirtualAlloc(lo, bytes, MEM_COMMIT, PAGE_READWRITE))
        return PX_ENOMEM;
    return 0;
}

void
px__vm_purge(void *lo, size_t bytes, bool decommit)
{
    PX_ASSERT(decommit);
    (void)decommit;
    BOOL done = VirtualFree(lo, bytes, MEM_DECOMMIT);
    PX_CHECK(done, "the system refused to drop memory");
}

/* Dumps hold what is committed. */
bool
px__vm_dump(void *lo, size_t bytes, bool wanted)
{
    (void)lo;
    (void)bytes;
    return wanted;
}

void
px__vm_release(void *lo, size_t bytes)
{
    (void)bytes;
    VirtualFree(lo, 0, MEM_RELEASE);
}

enum px__vm_large
px__vm_enlarge(void *lo, size_t bytes)
{
    (void)lo;
    (void)bytes;
    return PX__VM_LARGE_UNSUPPORTED;
}
