/* Messages between connections, and from threads to connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pxrt.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "client.h"

enum { GUESTS = 50, ROUNDS = 20, LINE = 16 };

static px_mutex room_lock;
static px_context *guests[GUESTS];
static int guest_count;

static int
hear_line(px_context *cx, void *bytes, size_t count)
{
    char *copy = px_heap_memdup(px_context_heap(cx), bytes, count);
    return copy ? px_send(cx, copy, count) : PX_ENOMEM;
}

static int
enter(px_context *cx)
{
    px_mutex_lock(&room_lock);
    guests[guest_count++] = px_context_retain(cx);
    px_mutex_unlock(&room_lock);
    return 0;
}

static void
leave(px_context *cx, int status)
{
    (void)status;
    px_mutex_lock(&room_lock);
    for (int i = 0; i < guest_count; i++)
        if (guests[i] == cx) {
            guests[i] = guests[--guest_count];
            px_context_release(cx);
        }
    px_mutex_unlock(&room_lock);
}

static int
guests_now(void)
{
    int count;
    px_mutex_lock(&room_lock);
    count = guest_count;
    px_mutex_unlock(&room_lock);
    return count;
}

/* Everyone hears each line, the speaker too. Lines are of one length, and
 * arrive whole: the clients send one and wait. */
static int
tell_all(px_context *cx, const char *data, size_t count)
{
    int status = 0;
    (void)cx;
    assert_int_equal(count % LINE, 0);
    px_mutex_lock(&room_lock);
    for (int i = 0; i < guest_count && !status; i++)
        status = px_post(guests[i], hear_line, data, count);
    px_mutex_unlock(&room_lock);
    return status;
}

static const px_protocol chat = {
    .connected = enter, .received = tell_all, .closed = leave};

static bool
all_there(void *arg)
{
    (void)arg;
    return guests_now() == GUESTS;
}

static bool
none_there(void *arg)
{
    (void)arg;
    return guests_now() == 0;
}

static void
speak(int fd, int guest, int round)
{
    char line[LINE + 1];
    snprintf(line, sizeof line, "%06d %06d  \n", guest, round);
    assert_true(say(fd, line, LINE));
}

/* Every listener hears each speaker's lines in order, and all of them. */
static void
listen_to_all(int fd)
{
    int next[GUESTS] = {0};
    for (int i = 0; i < GUESTS * ROUNDS; i++) {
        char line[LINE + 1] = "";
        int guest = -1, round = -1;
        assert_int_equal(hear(fd, line, LINE), LINE);
        assert_int_equal(sscanf(line, "%d %d", &guest, &round), 2);
        assert_true(guest >= 0 && guest <= GUESTS - 1);
        assert_int_equal(next[guest], round);
        next[guest]++;
    }
}

static void
chat__loses_nothing__and_keeps_the_order(void **state)
{
    int fds[GUESTS];
    served s;
    (void)state;
    serve(&s, &chat, NULL);
    for (int i = 0; i < GUESTS; i++)
        fds[i] = dial(&s);
    wait_until(&s, all_there, NULL);
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < GUESTS; i++)
            speak(fds[i], i, round);
    for (int i = 0; i < GUESTS; i++)
        listen_to_all(fds[i]);
    for (int i = 0; i < GUESTS; i++)
        hang_up(fds[i]);
    wait_until(&s, none_there, NULL);
    wait_closed(&s, GUESTS);
    unserve(&s);
}

/* Guests leave in the middle of it, in order or not; who posts to them is told,
 * or not, but nothing breaks. */
static int
tell_who_is_there(px_context *cx, const char *data, size_t count)
{
    (void)cx;
    px_mutex_lock(&room_lock);
    for (int i = 0; i < guest_count; i++) {
        int status = px_post(guests[i], hear_line, data, count);
        assert_true(status == 0 || status == PX_ECLOSED);
    }
    px_mutex_unlock(&room_lock);
    return 0;
}

static void
chat__survives__guests_who_leave(void **state)
{
    const px_protocol p = {
        .connected = enter, .received = tell_who_is_there, .closed = leave};
    int fds[GUESTS];
    served s;
    (void)state;
    serve(&s, &p, NULL);
    for (int i = 0; i < GUESTS; i++)
        fds[i] = dial(&s);
    wait_until(&s, all_there, NULL);
    for (int i = 0; i < GUESTS; i++) {
        for (int j = i; j < GUESTS; j++)
            speak(fds[j], j, 0);
        if (i % 2)
            reset(fds[i]);
        else
            hang_up(fds[i]);
    }
    wait_until(&s, none_there, NULL);
    wait_closed(&s, GUESTS);
    unserve(&s);
}

/* ---- threads ----------------------------------------------------------------
 */

enum { THREADS = 4, POSTS = 2000 };

typedef struct poster {
    pthread_t thread;
    px_context *cx;
    char letter;
} poster;

static void *
post_letters(void *arg)
{
    poster *p = arg;
    for (int i = 0; i < POSTS; i++)
        assert_int_equal(px_post(p->cx, hear_line, &p->letter, 1), 0);
    px_context_release(p->cx);
    return NULL;
}

static bool
one_there(void *arg)
{
    (void)arg;
    return guests_now() == 1;
}

static void
posts_of_threads__reach_a_resting_connection(void **state)
{
    poster posters[THREADS];
    int heard[THREADS] = {0};
    served s;
    int fd = serve_one(&s, &chat, NULL);
    (void)state;
    wait_until(&s, one_there, NULL);
    for (int i = 0; i < THREADS; i++) {
        posters[i] = (poster){.cx = px_context_retain(guests[0]),
                              .letter = (char)('a' + i)};
        pthread_create(&posters[i].thread, NULL, post_letters, &posters[i]);
    }
    for (int i = 0; i < THREADS * POSTS; i++) {
        char letter;
        assert_int_equal(hear(fd, &letter, 1), 1);
        assert_true(letter >= 'a' && letter <= 'a' + THREADS - 1);
        heard[letter - 'a']++;
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(posters[i].thread, NULL);
        assert_int_equal(heard[i], POSTS);
    }
    hang_up(fd);
    wait_until(&s, none_there, NULL);
    unserve(&s);
}

/* A connection that keeps itself busy neither starves its own input nor keeps
 * others from their turn. */
static int
post_again(px_context *cx, void *bytes, size_t count)
{
    int status = px_post(cx, post_again, bytes, count);
    return status == PX_ECLOSED ? 0 : status;
}

static int
keep_busy(px_context *cx)
{
    return px_post(cx, post_again, NULL, 0);
}

static int
echo(px_context *cx, const char *data, size_t count)
{
    return px_send(cx, data, count);
}

static void
endless_posts__starve_nobody(void **state)
{
    const px_protocol p = {.connected = keep_busy, .received = echo};
    int fds[4];
    served s;
    (void)state;
    serve(&s, &p, NULL);
    for (int i = 0; i < 4; i++)
        fds[i] = dial(&s);
    for (int round = 0; round < 50; round++)
        for (int i = 0; i < 4; i++) {
            assert_true(say_text(fds[i], "ping"));
            assert_true(hears(fds[i], "ping"));
        }
    for (int i = 0; i < 4; i++)
        hang_up(fds[i]);
    wait_closed(&s, 4);
    unserve(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chat__loses_nothing__and_keeps_the_order),
        cmocka_unit_test(chat__survives__guests_who_leave),
        cmocka_unit_test(posts_of_threads__reach_a_resting_connection),
        cmocka_unit_test(endless_posts__starve_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
