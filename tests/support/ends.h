/*
 * For tests of how connections end: callbacks that note what they saw. A header
 * of static functions, since each test program has its own.
 */
#ifndef PX_TESTS_ENDS_H
#define PX_TESTS_ENDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "client.h"

/* What the callbacks saw; atomic, since they run anywhere. */
static struct {
    int connected;
    int closed;
    int last_status;
    px_context *cx; /* retained when keep is set */
    bool keep;
} seen;

static inline int
peek(int *value)
{
    return __atomic_load_n(value, __ATOMIC_ACQUIRE);
}

static inline void
count_up(int *counter)
{
    __atomic_fetch_add(counter, 1, __ATOMIC_ACQ_REL);
}

static inline int
note_connected(px_context *cx)
{
    count_up(&seen.connected);
    if (seen.keep)
        __atomic_store_n(&seen.cx, px_context_retain(cx), __ATOMIC_RELEASE);
    return 0;
}

static inline void
note_closed(px_context *cx, int status)
{
    assert_ptr_equal(px_current(), cx);
    assert_int_equal(px_context_state(cx), PX_CLOSING);
    assert_int_equal(px_send(cx, "late", 4), PX_ECLOSED);
    assert_int_equal(px_close(cx), PX_ECLOSED);
    assert_non_null(px_peer_name(cx));
    __atomic_store_n(&seen.last_status, status, __ATOMIC_RELEASE);
    count_up(&seen.closed);
}

static inline int
echo(px_context *cx, const char *data, size_t count)
{
    return px_send(cx, data, count);
}

static inline int
swallow(px_context *cx, const char *data, size_t count)
{
    (void)cx;
    (void)data;
    (void)count;
    return 0;
}

static const px_protocol echoing = {
    .connected = note_connected, .received = echo, .closed = note_closed};

static inline int
setup(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof seen);
    return 0;
}

/* Exactly one connection, which ended with @status. */
static inline void
assert_one_end(served *s, int status)
{
    wait_closed(s, 1);
    assert_int_equal(peek(&seen.connected), 1);
    assert_int_equal(peek(&seen.closed), 1);
    assert_int_equal(peek(&seen.last_status), status);
}

static inline bool
is_kept(void *arg)
{
    (void)arg;
    return __atomic_load_n(&seen.cx, __ATOMIC_ACQUIRE) != NULL;
}

static inline bool
has_async_send(void *arg)
{
    return stats_of(arg).async_sends > 0;
}

enum { FLOOD = 64 << 20 };

static inline int
flood(px_context *cx)
{
    static char zeros[FLOOD];
    note_connected(cx);
    return px_send(cx, zeros, sizeof zeros);
}

static const px_protocol flooding = {
    .connected = flood, .received = swallow, .closed = note_closed};

/* A server whose one client takes nothing: a send is under way. */
static inline int
flood_one(served *s, const px_server_options *options)
{
    serve(s, &flooding, options);
    int fd = dial_small(s, 4096);
    wait_until(s, has_async_send, s);
    return fd;
}

#define TEST(fn) cmocka_unit_test_setup(fn, setup)

#endif
