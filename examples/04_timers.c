/* Timers: one shot, and a periodic one whose every tick is rolled back. */
#include <pxrt.h>

#include <stdio.h>

typedef struct clock_state {
    px_timer *timer;
    int ticks;
} clock_state;

static int
once(px_context *cx, void *arg)
{
    (void)cx;
    puts(arg);
    return 0;
}

/* Each tick may use as much memory as it likes: it is gone at the next. */
static int
tick(px_context *cx, void *arg)
{
    clock_state *clock = arg;
    char *line;
    if (!px_alloc(cx, 1 << 20))
        return px_fail(cx, PX_ENOMEM, "tick %d", clock->ticks);
    line = px_heap_printf(px_context_heap(cx), "tick %d", ++clock->ticks);
    puts(line ? line : "tick");
    return clock->ticks < 5 ? 0 : px_timer_cancel(clock->timer);
}

int
main(void)
{
    clock_state clock = {0};
    px_runtime *rt;
    int status;
    if (px_runtime_create(NULL, &rt))
        return 1;
    status = px_submit_timer(rt, 30, 0, once, NULL, "thirty ms later", NULL);
    if (!status)
        status = px_submit_timer(rt, 10, 10, tick, NULL, &clock, &clock.timer);
    if (!status)
        status = px_run(rt, NULL); /* until the last timer has ended */
    printf("%d ticks: %s\n", clock.ticks, px_strerror(status));
    px_timer_release(clock.timer);
    px_runtime_release(rt);
    return status || clock.ticks != 5;
}
