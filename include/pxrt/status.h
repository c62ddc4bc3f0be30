/** @file
 *  Status codes. Every fallible pxrt function returns an int: 0 (or a count
 *  >= 0) for success, a negative code for failure. Out-parameters are left
 *  untouched on failure. Codes of libuv (see uv_strerror) pass through
 *  unchanged; pxrt's own codes lie in a range of their own.
 */
#ifndef PXRT_STATUS_H
#define PXRT_STATUS_H

#include <pxrt/defs.h>

PX_BEGIN_DECLS

/** Every status code of pxrt: X(name, value, message). */
#define PX_STATUS_MAP(X)                                                       \
    X(PX_EINVAL, -10001, "invalid argument")                                   \
    X(PX_ENOMEM, -10002, "out of memory, or over the quota")                   \
    X(PX_ESTALE, -10003, "the snapshot is stale or of another heap")           \
    X(PX_EBUSY, -10004, "in use: running, locked or inside a cleanup")         \
    X(PX_EWRONGTHREAD, -10005, "not allowed on this thread")                   \
    X(PX_ESTATE, -10006, "not allowed in this state of the life cycle")        \
    X(PX_ECANCELED, -10007, "cancelled")                                       \
    X(PX_ETIMEDOUT, -10008, "timed out")                                       \
    X(PX_ECLOSED, -10009, "closed, or closing")                                \
    X(PX_EFULL, -10010, "a configured limit is reached")                       \
    X(PX_EFORKED, -10011, "not allowed in the child of a fork")                \
    X(PX_ENOTSUP, -10012, "not supported by this platform or option")          \
    X(PX_EOVERFLOW, -10013, "a size or count would overflow")                  \
    X(PX_EFAILED, -10014, "the callback failed without a code of its own")

/** pxrt's own status codes; see PX_STATUS_MAP for their meaning. */
enum px_status {
    PX_OK = 0,
#define PX__STATUS_ENUM(name, value, text) name = value,
    PX_STATUS_MAP(PX__STATUS_ENUM)
#undef PX__STATUS_ENUM
};

/** The message of a status code: a constant string, never NULL. For a code of
 *  libuv or the system the text is that layer's own; an unknown code reads
 *  "unknown status".
 *  @thread any
 *  @cost   a switch; no allocation. */
PX_API const char *px_strerror(int status);

/** The symbolic name of a status code, such as "PX_ENOMEM"; "PX_EUNKNOWN" for
 *  a code that is not pxrt's own. Never NULL.
 *  @thread any
 *  @cost   a switch; no allocation. */
PX_API const char *px_status_name(int status);

/** The version of the library that is linked, as PX_VERSION encodes it.
 *  @thread any
 *  @cost   constant. */
PX_API unsigned px_version(void);

/** The version of the library that is linked, as "major.minor.patch".
 *  @thread any
 *  @cost   constant. */
PX_API const char *px_version_string(void);

PX_END_DECLS

#endif
