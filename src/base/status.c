/*
 * Names and messages of status codes, and the library's version.
 *
 * pxrt's own codes come from the one table in <pxrt/status.h>. Any other
 * negative code belongs to the layer that reported it; the room that talks to
 * that layer (runtime, for libuv) registers its translator here, so that base
 * need not know it.
 */
#include "base/status.h"

#include "base/atomic.h"

static px__strerror_fn foreign_strerror;

void
px__status_set_foreign(px__strerror_fn fn)
{
    px__store_release(&foreign_strerror, fn);
}

static const char *
foreign_message(int status)
{
    px__strerror_fn fn = px__load_acquire(&foreign_strerror);
    const char *text = status < 0 && fn ? fn(status) : NULL;
    return text ? text : "unknown status";
}

const char *
px_strerror(int status)
{
    switch (status) {
    case PX_OK:
        return "success";
#define CASE(name, value, text)                                                \
    case name:                                                                 \
        return text;
        PX_STATUS_MAP(CASE)
#undef CASE
    default:
        return foreign_message(status);
    }
}

const char *
px_status_name(int status)
{
    switch (status) {
    case PX_OK:
        return "PX_OK";
#define CASE(name, value, text)                                                \
    case name:                                                                 \
        return #name;
        PX_STATUS_MAP(CASE)
#undef CASE
    default:
        return "PX_EUNKNOWN";
    }
}

unsigned
px_version(void)
{
    return PX_VERSION;
}

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

const char *
px_version_string(void)
{
    return TEXT(PX_VERSION_MAJOR) "." TEXT(PX_VERSION_MINOR) "." TEXT(
        PX_VERSION_PATCH);
}
