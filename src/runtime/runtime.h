/*
 * Inside of the runtime, for the files of this room only: the layout of a
 * runtime and of its workers. Who writes a field is said beside it.
 */
#ifndef PX_RUNTIME_RUNTIME_H
#define PX_RUNTIME_RUNTIME_H

#include <pxrt/lock.h>

#include "base/atomic.h"
#include "platform/thread.h"
#include "runtime/crowd.h"
#include "runtime/dispatch.h"
#include "runtime/queue.h"
#include "runtime/stock.h"

/* The crew word: who is at rest, and whether somebody looks for work.
 *
 *   bit  0..15  SLEEPERS  workers that sleep, or are about to
 *   bit  16     LOOKING   a worker was woken, or searches before it sleeps: no
 *                         push needs to wake another
 *   bit  17     POLLING   the holder of the baton may be blocked in the loop
 *   bit 18..31  KICKERS   threads that are sending the kick which ends a poll
 */
enum {
    PX__SLEEPERS = 0xffff,
    PX__LOOKING = 1 << 16,
    PX__POLLING = 1 << 17,
    PX__KICKER = 1 << 18
};

/* One worker. The monitor's fields are on a line of their own. */
typedef struct px__worker {
    /* Odd while it runs a callback; the worker's, read by the monitor. */
    uint64_t serial;
    bool awake;     /* from its first callback until it rests; read likewise */
    px_runtime *rt; /* constant */
    unsigned id;    /* constant; 1 for the first */
    uint64_t system_id; /* the worker's, written once; read by the monitor */
    unsigned ticks;     /* the worker's: strands run */
    px__strand *next;   /* the worker's: to be run before all others */
    px__batch stock;    /* the worker's: furnished contexts */
    px__thread thread;  /* main's */
    _Alignas(PX_CACHE_LINE) uint64_t seen_serial; /* the monitor's */
    int64_t seen_since_ns;                        /* the monitor's */
    int64_t seen_until_ns;                        /* the monitor's */
    bool seen_stalled;                            /* the monitor's */
    int64_t long_ns;       /* the monitor's: of callbacks that ended; crowd.c */
    uint64_t asked_serial; /* the monitor's; crowd.c */
    int64_t asked_waited_ns; /* the monitor's; crowd.c */
} px__worker;

/* Main's doorbell: what px_run_once() sleeps on. */
enum {
    PX__MAIN_AWAKE,
    PX__MAIN_WAITS, /* anything wakes it */
    PX__MAIN_NAPS   /* has something to do, or soon will: lets it gather */
};

struct px_runtime {
    /* Constant once it is created. */
    void *block; /* the allocation that this lies in, aligned */
    uint64_t main_thread;
    uint32_t generation; /* of fork */
    unsigned worker_count;
    unsigned max_finished;   /* that may be over while main is away */
    unsigned close_finished; /* while main attends to them */
    unsigned gather;         /* that are worth waking main for */
    bool takes_turns;        /* main with the workers: there is one CPU */
    int64_t stall_ns;
    px_context_options context;
    px__thread monitor;

    /* The loop; see dispatch.c. */
    uv_loop_t loop;        /* the baton's */
    uv_async_t kick;       /* sent from any thread */
    px__list wards;        /* the baton's */
    px__strand *collected; /* the baton's: first of a chain */
    px__strand **collected_end;
    uint64_t turns;    /* the baton's; read by any */
    bool loop_alive;   /* the baton's; atomic, read by any */
    bool wards_closed; /* the baton's */
    bool in_uv_run;    /* the baton's */
    _Alignas(PX_CACHE_LINE) px_ilist ops;
    uint32_t baton;        /* 1: somebody has it; parked on by loop_enter() */
    uint32_t baton_wanted; /* threads in px__loop_enter() */

    /* The workers; see crew.c. */
    _Alignas(PX_CACHE_LINE) uint32_t crew;
    uint32_t tokens; /* wake-ups not yet taken; parked on */
    uint64_t wakeups;
    px__crowd crowd;
    bool stopping; /* workers end */
    bool loop_due; /* a worker should serve the loop; set by the monitor */
    bool monitor_asleep;
    uint32_t monitor_word;                   /* parked on */
    uint64_t stalls;                         /* the monitor's */
    _Alignas(PX_CACHE_LINE) px__queue ready; /* contexts to be gone on with */
    px__queue fresh;                         /* work that has not begun */

    _Alignas(PX_CACHE_LINE) px__stock stock; /* of contexts for work */

    /* Low half: active. High half: over, not yet seen by main. */
    _Alignas(PX_CACHE_LINE) uint64_t load;
    unsigned over_limit;    /* fresh work begins below it; main, monitor */
    uint32_t absence;       /* ticks since main was here; main, monitor */
    bool closing;           /* nothing new begins */
    uint32_t urgent_errors; /* posted, not yet seen by main */
    px_ilist posted;        /* strands that are over, see freedom.c */
    px_ilist returned;      /* strands somebody held after that */
    px_ilist graves;        /* the same, after the end: see bury() */
    uint32_t graves_open;   /* atomic; freedom.c, F4 */
    uint32_t main_word;     /* PX__MAIN_*; parked on by main */
    uint32_t stop;          /* px_stop() */

    /* Main's own; counters are atomic, as any thread may read them. */
    _Alignas(PX_CACHE_LINE) px__list errors; /* in the order of posting */
    px__list finished;
    px__list back; /* what main itself let go of, see freedom.c */
    px__list purged;
    px__strand *spare; /* records of work, to be used again; work.c, K4 */
    unsigned spare_count;
    size_t on_path; /* seen by main, not yet gone */
    size_t errors_listed;
    uint64_t errors_total;
    bool coming_in;   /* contexts came in since main last paused */
    bool in_run_once; /* atomic */

    /* The end; under `fate`. References: main's, each timer's record, each
     * strand that outlives the release. */
    px_mutex fate;
    bool closed;
    uint32_t references;

    px__worker workers[];
};

/* --- dispatch.c ------------------------------------------------------------ */

/* px__loop_call() by a worker at the end of a run: nobody is woken, since this
 * worker looks at the operations next. */
void px__loop_call_next(px_runtime *rt, px__op *op);

/* --- crew.c: wake-ups and sleep ------------------------------------------- */

/* The worker that this thread is, or NULL. */
px__worker *px__worker_self(void);
void px__worker_set_self(px__worker *w);

/* There is something to do: see that some worker will look. Any thread, after
 * it has put the thing where workers look. Whether one had to be woken. */
bool px__crew_notify(px_runtime *rt);

/* The same for strands, which those who run come to sooner or later: no more
 * workers are woken for them than get a CPU. Any thread, as above. */
void px__crew_share(px_runtime *rt);

/* Whether px__crew_share() would wake somebody, if somebody slept. Any. */
bool px__crew_has_room(const px_runtime *rt);

/* Interrupt the poll of the holder of the baton, if it polls. Any thread. */
void px__crew_kick(px_runtime *rt);

/* Wait for the kicks that are being sent; then none comes any more. Main, when
 * there are no workers. */
void px__crew_await_kickers(px_runtime *rt);

/* Announce that the holder of the baton is going to block in the loop; false:
 * it must not, there is something to do. Then, in any case, that it is back. */
bool px__crew_poll_begin(px_runtime *rt);
void px__crew_poll_end(px_runtime *rt);

/* This worker has found nothing: search a little, then sleep until something
 * comes. May return for no reason. */
void px__crew_rest(px_runtime *rt);

/* Wake everybody, to see `stopping`. */
void px__crew_wake_all(px_runtime *rt);

/* --- dispatch.c ----------------------------------------------------------- */

/* Whether a strand may be taken from a queue / the loop wants a free hand. */
bool px__strand_waiting(const px_runtime *rt);
bool px__loop_waiting(const px_runtime *rt);

/* Whether main keeps up, so that fresh work may begin. */
bool px__work_may_begin(const px_runtime *rt);

/* The body of a worker's thread. */
void px__worker_main(void *worker);

/* Let a runtime's loop be used, and end it; main, while there are no workers.
 * 0, or a code of libuv. */
int px__loop_open(px_runtime *rt);
void px__loop_close(px_runtime *rt);

/* --- strand.c ------------------------------------------------------------- */

/* Queue a READY strand, or fresh work. Any thread. */
void px__strand_queue(px__strand *strand);
void px__strand_queue_fresh(px__strand *strand);

/* Where contexts of this runtime report to. */
extern const px__host px__strand_host;

/* --- freedom.c: the way of what is over ----------------------------------- */

/* A strand that is FAILED, FINISHED or never had a context is over: tell main.
 * Its activity ends. Any thread; the strand is main's from here. */
void px__freedom_post(px__strand *strand, bool failed);

/* Somebody let go of a strand that main had given away: an error was released,
 * the last reference dropped. Any thread. */
void px__freedom_return(px__strand *strand);

/* Main is here: work must not run far ahead of it. Main. */
void px__freedom_attend(px_runtime *rt);

/* Notice that main is away for long: work may run ahead of it. The monitor, at
 * each tick. */
void px__freedom_watch(px_runtime *rt);

/* Take what was posted. Main. */
void px__freedom_collect(px_runtime *rt);

/* Whether what is over should be taken now: an error, a batch full, or nothing
 * else is active. Any thread. */
bool px__freedom_urgent(const px_runtime *rt, uint64_t load);

/* After `closed`: walk what came back before it to its end. Main. */
void px__freedom_bury_returned(px_runtime *rt);

/* Move every context on the path one station along. True: there was one. */
bool px__freedom_step(px_runtime *rt);

/* Ring main's doorbell, if it waits (or naps, and this is urgent). Any. */
void px__main_wake(px_runtime *rt, bool urgent);

/* Add a reference; drop @count of them, the last one frees the runtime's
 * memory. */
void px__runtime_ref(px_runtime *rt);
void px__runtime_unref(px_runtime *rt, uint32_t count);

/* --- work.c --------------------------------------------------------------- */

/* Free the spare records. In the runtime's release. */
void px__work_drop_spare(px_runtime *rt);

/* --- run_once.c ----------------------------------------------------------- */

/* Turn, dropping all errors, until nothing is active or left on the path. */
void px__main_drain(px_runtime *rt);

/* --- monitor.c ------------------------------------------------------------ */

void px__monitor_main(void *runtime);
void px__monitor_wake(px_runtime *rt);

/* --- crowd.c --------------------------------------------------------------- */

/* At each tick; and after a sleep, with which no sample goes on. The monitor. */
void px__crowd_watch(px_runtime *rt, int64_t now_ns);
void px__crowd_restart(px_runtime *rt);

/* --- halves of the load word ---------------------------------------------- */

static inline size_t
px__load_active(uint64_t load)
{
    return (size_t)(load & UINT32_MAX);
}

static inline size_t
px__load_over(uint64_t load)
{
    return (size_t)(load >> 32);
}

#endif
