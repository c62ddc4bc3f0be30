/*
 * The error record of a context: one fixed place, so that failing never
 * allocates. The first error of a callback stays, since later ones are mostly
 * its consequences.
 *
 * Invariant
 *   E1  error.code is 0 (no error) or negative; message, file, line, payload
 *       and context mean something only when it is negative
 */
#include "context/context.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

static void
record(px_context *cx, int code, const char *file, int line)
{
    cx->error = (px_error){
        .code = code < 0 ? code : PX_EFAILED,
        .message = cx->message,
        .file = file,
        .line = line,
        .context = cx,
    };
}

static void
format_message(px_context *cx, const char *format, va_list args)
{
    if (!format || vsnprintf(cx->message, sizeof cx->message, format, args) < 0)
        snprintf(cx->message, sizeof cx->message, "%s",
                 px_strerror(cx->error.code));
}

int
px_fail_at(px_context *cx, int code, const char *file, int line,
           const char *format, ...)
{
    va_list args;
    if (!cx)
        return PX_EINVAL;
    if (px_current() != cx)
        return PX_EWRONGTHREAD;
    if (cx->error.code)
        return cx->error.code;
    record(cx, code, file, line);
    va_start(args, format);
    format_message(cx, format, args);
    va_end(args);
    return cx->error.code;
}

int
px_fail_payload(px_context *cx, void *payload)
{
    if (!cx)
        return PX_EINVAL;
    if (!cx->error.code)
        return PX_ESTATE;
    cx->error.payload = payload;
    return 0;
}

const px_error *
px_context_error(const px_context *cx)
{
    PX_INVARIANT(!cx || cx->error.code <= 0); /* E1 */
    return cx && cx->error.code ? &cx->error : NULL;
}

void
px_context_clear_error(px_context *cx)
{
    if (cx)
        cx->error.code = 0;
}

void
px__error_save(px_context *cx, px__saved_error *out)
{
    out->error = cx->error;
    memcpy(out->message, cx->message, sizeof out->message);
    out->error.message = out->message;
    cx->error.code = 0;
}

void
px__error_restore(px_context *cx, const px__saved_error *saved)
{
    cx->error = saved->error;
    memcpy(cx->message, saved->message, sizeof cx->message);
    cx->error.message = cx->message;
}
