/*
 * OS contract: address space, its memory, and large pages.
 *
 * Reserved addresses are either usable at once (Linux: one private mapping
 * without swap reservation) or must be committed piece by piece before use
 * (strict overcommit, Windows). Memory that is used for the first time, and
 * memory that is used again after a purge, reads as zero.
 *
 * All bounds are multiples of px__vm_page_bytes(). Any thread; two calls on
 * overlapping memory at once are the caller's fault.
 */
#ifndef PX_PLATFORM_VM_H
#define PX_PLATFORM_VM_H

#include <stdbool.h>
#include <stddef.h>

/* What became of a wish for large pages. */
enum px__vm_large {
    PX__VM_LARGE_GRANTED,
    PX__VM_LARGE_DISABLED,    /* switched off by system or process */
    PX__VM_LARGE_UNSUPPORTED, /* not by this platform, or not for this memory */
    PX__VM_LARGE_UNAVAILABLE, /* none free at this moment */
    PX__VM_LARGE_ADVISED      /* the kernel knows the wish, and does not say */
};

/* Bytes of a page; of a large page, 0 where a range cannot have any. */
size_t px__vm_page_bytes(void);
size_t px__vm_large_page_bytes(void);

/* Reserve @bytes of addresses at a multiple of @align (a power of two). With
 * @commit_later nothing of it may be touched before px__vm_commit(); without,
 * all of it may be. NULL when the system refuses, or knows no such way. */
void *px__vm_reserve(size_t bytes, size_t align, bool commit_later);

/* The same at @lo, a multiple of a page, or NULL where that is not free. */
void *px__vm_reserve_at(void *lo, size_t bytes, bool commit_later);

/* Make reserved memory usable; what is usable already stays as it is. 0, or
 * PX_ENOMEM with nothing lost. */
int px__vm_commit(void *lo, size_t bytes);

/* Drop the contents of usable memory and give it back to the system, as far as
 * that allows. With @decommit the addresses must be committed again before use.
 */
void px__vm_purge(void *lo, size_t bytes, bool decommit);

/* Whether core dumps are to hold memory that is usable without a commit; they do
 * by default. Slow dumps and many bounds: see heap/dump.c. False when refused,
 * and as before. */
bool px__vm_dump(void *lo, size_t bytes, bool wanted);

/* Give back what px__vm_reserve() returned. */
void px__vm_release(void *lo, size_t bytes);

/* Put usable memory, a multiple of the large page in place and length, on large
 * pages. Its contents stay. Touches it. */
enum px__vm_large px__vm_enlarge(void *lo, size_t bytes);

#endif
