/*
 * Atomic operations on plain integers and pointers.
 *
 * Public structs (px_rwlock, the heap's cursor) must compile as C11 and as
 * C++17, so their fields are plain and every concurrent access goes through
 * these macros. They are the compiler's __atomic builtins, which gcc, clang and
 * mingw share and ThreadSanitizer models. Each use names its partner in a
 * comment ("pairs with A3 in queue.c"). No stand-alone fences: TSan does not
 * model them.
 */
#ifndef PX_BASE_ATOMIC_H
#define PX_BASE_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

#define px__load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define px__load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define px__load_seqcst(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define px__store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define px__store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define px__store_seqcst(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)

#define px__xchg_acquire(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQUIRE)
#define px__xchg_release(p, v) __atomic_exchange_n((p), (v), __ATOMIC_RELEASE)
#define px__xchg_acqrel(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
#define px__xchg_seqcst(p, v) __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)

#define px__add_relaxed(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define px__add_acquire(p, v) __atomic_fetch_add((p), (v), __ATOMIC_ACQUIRE)
#define px__add_release(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELEASE)
#define px__add_acqrel(p, v) __atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL)
#define px__add_seqcst(p, v) __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)
#define px__sub_relaxed(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_RELAXED)
#define px__sub_release(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_RELEASE)
#define px__sub_acqrel(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_ACQ_REL)
#define px__sub_seqcst(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_SEQ_CST)
#define px__or_relaxed(p, v) __atomic_fetch_or((p), (v), __ATOMIC_RELAXED)
#define px__or_seqcst(p, v) __atomic_fetch_or((p), (v), __ATOMIC_SEQ_CST)
#define px__or_acqrel(p, v) __atomic_fetch_or((p), (v), __ATOMIC_ACQ_REL)
#define px__and_acqrel(p, v) __atomic_fetch_and((p), (v), __ATOMIC_ACQ_REL)
#define px__and_seqcst(p, v) __atomic_fetch_and((p), (v), __ATOMIC_SEQ_CST)

/* Compare and swap: true when *p was *expected and is now desired; else
 * *expected holds what was found. The weak form may fail spuriously. */
#define px__cas_weak(p, expected, desired, success)                            \
    __atomic_compare_exchange_n((p), (expected), (desired), true, (success),   \
                                __ATOMIC_RELAXED)
#define px__cas(p, expected, desired, success)                                 \
    __atomic_compare_exchange_n((p), (expected), (desired), false, (success),  \
                                __ATOMIC_RELAXED)
#define px__cas_acquire(p, e, d) px__cas(p, e, d, __ATOMIC_ACQUIRE)
#define px__cas_acqrel(p, e, d)                                                \
    __atomic_compare_exchange_n((p), (e), (d), false, __ATOMIC_ACQ_REL,        \
                                __ATOMIC_ACQUIRE)
#define px__cas_seqcst(p, e, d)                                                \
    __atomic_compare_exchange_n((p), (e), (d), false, __ATOMIC_SEQ_CST,        \
                                __ATOMIC_SEQ_CST)

/* Tell the core that this is a spin-wait loop. */
static inline void
px__pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("isb" ::: "memory");
#endif
}

/* Fetch a cache line that is going to be written soon, for this CPU alone; any
 * address will do. The builtin fetches it for reading, unless the compiler is
 * told of a newer CPU, and the write then asks the other CPU once more. Every
 * x86-64 runs the instruction, the oldest as a no-op. */
static inline void
px__prefetch(const void *at)
{
#if defined(__x86_64__)
    __asm__ __volatile__("prefetchw (%0)" : : "r"(at));
#else
    __builtin_prefetch(at, 1);
#endif
}

/* Size that keeps two writers' data off each other's cache line. */
enum { PX_CACHE_LINE = 64 };

#endif
