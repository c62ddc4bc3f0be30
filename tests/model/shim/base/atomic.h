/*
 * Stands in for src/base/atomic.h when a source is compiled for the model
 * checker (../../checker.h): the same macros, each of them a step of the model.
 */
#ifndef PX_BASE_ATOMIC_H
#define PX_BASE_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

#include "../../checker.h"

#define MODEL_LOAD(p, order)                                                   \
    ((__typeof__(*(p)))model_load((p), sizeof *(p), (order)))
#define MODEL_STORE(p, v, order)                                               \
    model_store((p), sizeof *(p), (uintptr_t)(v), (order))
/* A statement expression, since the old value is not always wanted. */
#define MODEL_RMW(p, op, v, order)                                             \
    __extension__({                                                            \
        uintptr_t old_ =                                                       \
            model_rmw((p), sizeof *(p), (op), (uintptr_t)(v), (order));        \
        (__typeof__(*(p)))old_;                                                \
    })
#define MODEL_CAS(p, e, d, order)                                              \
    model_cas((p), (e), sizeof *(p), (uintptr_t)(d), (order))

#define px__load_relaxed(p) MODEL_LOAD(p, __ATOMIC_RELAXED)
#define px__load_acquire(p) MODEL_LOAD(p, __ATOMIC_ACQUIRE)
#define px__load_seqcst(p) MODEL_LOAD(p, __ATOMIC_SEQ_CST)
#define px__store_relaxed(p, v) MODEL_STORE(p, v, __ATOMIC_RELAXED)
#define px__store_release(p, v) MODEL_STORE(p, v, __ATOMIC_RELEASE)
#define px__store_seqcst(p, v) MODEL_STORE(p, v, __ATOMIC_SEQ_CST)

#define px__xchg_acquire(p, v) MODEL_RMW(p, '=', v, __ATOMIC_ACQUIRE)
#define px__xchg_release(p, v) MODEL_RMW(p, '=', v, __ATOMIC_RELEASE)
#define px__add_relaxed(p, v) MODEL_RMW(p, '+', v, __ATOMIC_RELAXED)
#define px__add_release(p, v) MODEL_RMW(p, '+', v, __ATOMIC_RELEASE)
#define px__sub_release(p, v) MODEL_RMW(p, '-', v, __ATOMIC_RELEASE)

#define px__cas_weak(p, e, d, success) MODEL_CAS(p, e, d, success)
#define px__cas(p, e, d, success) MODEL_CAS(p, e, d, success)
#define px__cas_acquire(p, e, d) MODEL_CAS(p, e, d, __ATOMIC_ACQUIRE)
#define px__cas_seqcst(p, e, d) MODEL_CAS(p, e, d, __ATOMIC_SEQ_CST)

#define px__pause() ((void)0)

enum { PX_CACHE_LINE = 64 };

#endif
