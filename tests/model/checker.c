/*
 * The model checker of checker.h. A run is replayed from a list of decisions:
 *
 *   decisions:  0 of 1? not recorded | 2 of 3 | 0 of 2 | ...
 *                                      the last one that can be raised is
 *                                      raised, what follows is forgotten
 *
 * Every decision's number 0 is the tame one (the same thread goes on, the
 * newest store is seen), so the first run is the sequential one.
 *
 * Thread rule: one thread; the model's threads are fibers.
 */
#define _XOPEN_SOURCE 700

#include "checker.h"

#include <string.h>
#include <ucontext.h>

#include "platform/park.h"

enum {
    WORDS = 24,
    STORES = 96,
    STEPS = 1500,
    DECISIONS = 3000,
    STACK_BYTES = 64 * 1024
};

struct clock {
    uint32_t at[MODEL_THREADS];
};

struct store {
    uintptr_t value;
    int thread;           /* -1: the initial value */
    uint32_t stamp;       /* the thread's own time at the store */
    struct clock carries; /* what an acquire that sees it learns */
};

struct word {
    const void *address;
    size_t bytes;
    int count;
    int last_seqcst;
    int seen[MODEL_THREADS]; /* coherence: nothing older than this again */
    struct store stores[STORES];
};

/* One run. */
static struct {
    struct word words[WORDS];
    int word_count;
    struct clock clocks[MODEL_THREADS];
    const void *parked_on[MODEL_THREADS];
    bool may_time_out[MODEL_THREADS];
    bool ended[MODEL_THREADS];
    int current;
    int steps;
    int preemptions_left;
    int stale_left;
    const char *failure;
} run;

/* The search over runs. */
static struct {
    const struct model_scenario *scenario;
    const struct model_mistake *mistake;
    int threads;
    int depth;  /* decisions taken in this run */
    int length; /* decisions known */
    struct {
        int taken, options;
    } decisions[DECISIONS];
} search;

static ucontext_t main_context, contexts[MODEL_THREADS];
static char stacks[MODEL_THREADS][STACK_BYTES];

/* --- decisions ------------------------------------------------------------ */

static int
decide(int options)
{
    if (options <= 1)
        return 0;
    if (search.depth == DECISIONS)
        model_fail("a run takes too many decisions");
    int d = search.depth++;
    if (d == search.length) {
        search.decisions[d].taken = 0;
        search.decisions[d].options = options;
        search.length++;
    }
    if (search.decisions[d].options != options)
        model_fail("a run cannot be replayed");
    return search.decisions[d].taken;
}

/* Prepare the next run; false when all have been made. */
static bool
next_decisions(void)
{
    while (search.length > 0) {
        int last = search.length - 1;
        if (++search.decisions[last].taken < search.decisions[last].options)
            return true;
        search.length--;
    }
    return false;
}

/* --- threads -------------------------------------------------------------- */

static bool
may_run(int t)
{
    return !run.ended[t] && !run.parked_on[t];
}

static void
switch_to(int t)
{
    int from = run.current;
    run.current = t;
    if (search.scenario->switched)
        search.scenario->switched(from, t);
    swapcontext(&contexts[from], &contexts[t]);
}

void
model_fail(const char *what)
{
    run.failure = what;
    setcontext(&main_context);
    __builtin_unreachable();
}

/* When nobody else can go on, time passes and timed parks end. */
static int
time_out(int able[MODEL_THREADS])
{
    int count = 0;
    for (int t = 0; t < search.threads; t++) {
        if (run.parked_on[t] && run.may_time_out[t]) {
            run.parked_on[t] = NULL;
            able[count++] = t;
        }
    }
    return count;
}

/* The current thread cannot go on: another must, or the run is over. */
static void
give_way(void)
{
    int able[MODEL_THREADS], count = 0, ended = 0;
    for (int t = 0; t < search.threads; t++) {
        ended += run.ended[t];
        if (may_run(t))
            able[count++] = t;
    }
    if (ended == search.threads)
        setcontext(&main_context);
    if (count == 0)
        count = time_out(able);
    if (count == 0)
        model_fail("every thread sleeps: a wake-up was lost");
    switch_to(able[decide(count)]);
}

/* Before each access: the same thread, or, for a preemption, another one. */
static void
step(void)
{
    int able[MODEL_THREADS] = {run.current}, count = 1;
    if (++run.steps > STEPS)
        model_fail("a run does not end");
    for (int t = 0; t < search.threads && run.preemptions_left > 0; t++)
        if (t != run.current && may_run(t))
            able[count++] = t;
    int pick = decide(count);
    if (pick > 0) {
        run.preemptions_left--;
        switch_to(able[pick]);
    }
    run.clocks[run.current].at[run.current]++;
}

static void
thread_main(void)
{
    search.scenario->bodies[run.current]();
    run.ended[run.current] = true;
    give_way();
}

/* --- memory --------------------------------------------------------------- */

static uintptr_t
read_memory(const void *address, size_t bytes)
{
    uint32_t narrow;
    uintptr_t wide;
    memcpy(&narrow, address, sizeof narrow);
    if (bytes == sizeof narrow)
        return narrow;
    memcpy(&wide, address, sizeof wide);
    return wide;
}

static void
write_memory(void *address, size_t bytes, uintptr_t value)
{
    uint32_t narrow = (uint32_t)value;
    memcpy(address, bytes == sizeof narrow ? (void *)&narrow : (void *)&value,
           bytes);
}

/* The history of a word; the first access starts it with what memory holds. */
static struct word *
word_at(const void *address, size_t bytes)
{
    for (int i = 0; i < run.word_count; i++)
        if (run.words[i].address == address)
            return &run.words[i];
    if (run.word_count == WORDS)
        model_fail("too many words");
    struct word *w = &run.words[run.word_count++];
    memset(w, 0, offsetof(struct word, stores));
    w->address = address;
    w->bytes = bytes;
    w->count = 1;
    w->stores[0] = (struct store){.thread = -1};
    w->stores[0].value = read_memory(address, bytes);
    return w;
}

static int
weakened(char kind, const void *word, int order)
{
    const struct model_mistake *m = search.mistake;
    bool hit = m && m->kind == kind && m->word == word && m->from == order;
    return hit ? m->to : order;
}

static bool
acquires(int order)
{
    return order == __ATOMIC_ACQUIRE || order >= __ATOMIC_ACQ_REL;
}

static bool
releases(int order)
{
    return order >= __ATOMIC_RELEASE;
}

static void
join(struct clock *c, const struct clock *with)
{
    for (int t = 0; t < MODEL_THREADS; t++)
        if (c->at[t] < with->at[t])
            c->at[t] = with->at[t];
}

/* The oldest store that the current thread may still see. */
static int
oldest_visible(const struct word *w, int order)
{
    int oldest = w->seen[run.current];
    if (order == __ATOMIC_SEQ_CST && oldest < w->last_seqcst)
        oldest = w->last_seqcst;
    for (int i = w->count - 1; i > oldest; i--) {
        const struct store *s = &w->stores[i];
        if (s->stamp <= run.clocks[run.current].at[s->thread])
            return i; /* it happened before: hides all older ones */
    }
    return oldest;
}

/* Which store a load sees: the newest, or one of the older ones for a price. */
static int
pick_store(const struct word *w, int order)
{
    int newest = w->count - 1;
    if (run.stale_left == 0)
        return newest;
    int back = decide(newest - oldest_visible(w, order) + 1);
    run.stale_left -= back > 0;
    return newest - back;
}

static uintptr_t
see(struct word *w, int index, int order)
{
    w->seen[run.current] = index;
    if (acquires(order))
        join(&run.clocks[run.current], &w->stores[index].carries);
    return w->stores[index].value;
}

/* A read-modify-write carries on what its predecessor carried. */
static void
append(struct word *w, uintptr_t value, int order, bool modifies)
{
    if (w->count == STORES)
        model_fail("too many stores");
    struct store *s = &w->stores[w->count];
    memset(s, 0, sizeof *s);
    s->value = w->bytes == sizeof(uint32_t) ? (uint32_t)value : value;
    s->thread = run.current;
    s->stamp = run.clocks[run.current].at[run.current];
    if (modifies)
        s->carries = w->stores[w->count - 1].carries;
    if (releases(order))
        join(&s->carries, &run.clocks[run.current]);
    if (order == __ATOMIC_SEQ_CST)
        w->last_seqcst = w->count;
    w->seen[run.current] = w->count++;
}

uintptr_t
model_load(const void *address, size_t bytes, int order)
{
    step();
    order = weakened('l', address, order);
    struct word *w = word_at(address, bytes);
    return see(w, pick_store(w, order), order);
}

void
model_store(void *address, size_t bytes, uintptr_t value, int order)
{
    step();
    order = weakened('s', address, order);
    append(word_at(address, bytes), value, order, false);
}

uintptr_t
model_rmw(void *address, size_t bytes, char op, uintptr_t value, int order)
{
    step();
    order = weakened('r', address, order);
    struct word *w = word_at(address, bytes);
    uintptr_t old = see(w, w->count - 1, order);
    uintptr_t new = op == '=' ? value : op == '+' ? old + value : old - value;
    append(w, new, order, true);
    return old;
}

/* A failing compare may have seen an older store; a succeeding one may not. */
bool
model_cas(void *address, void *expected, size_t bytes, uintptr_t desired,
          int order)
{
    step();
    order = weakened('c', address, order);
    struct word *w = word_at(address, bytes);
    uintptr_t wanted = read_memory(expected, bytes);
    int index = pick_store(w, __ATOMIC_RELAXED);
    if (w->stores[index].value == wanted)
        index = w->count - 1;
    bool swaps = w->stores[index].value == wanted;
    uintptr_t found = see(w, index, swaps ? order : __ATOMIC_RELAXED);
    if (swaps)
        append(w, desired, order, true);
    else
        write_memory(expected, bytes, found);
    return swaps;
}

static bool
knows(int thread, uint32_t stamp)
{
    return stamp <= run.clocks[run.current].at[thread];
}

void
model_plain_read(struct model_plain *p)
{
    step();
    if (!knows(p->writer, p->write_stamp))
        model_fail("data race: a read does not know of a write");
    p->read_stamps[run.current] = run.clocks[run.current].at[run.current];
}

void
model_plain_write(struct model_plain *p)
{
    step();
    if (!knows(p->writer, p->write_stamp))
        model_fail("data race: a write does not know of a write");
    for (int t = 0; t < MODEL_THREADS; t++)
        if (!knows(t, p->read_stamps[t]))
            model_fail("data race: a write does not know of a read");
    p->writer = run.current;
    p->write_stamp = run.clocks[run.current].at[run.current];
}

/* --- parking -------------------------------------------------------------- */

/* The operating system compares and queues in one step with the newest value.
 * It never wakes for no reason: that would hide a lost wake-up. */
int
px__park(uint32_t *address, uint32_t expected, int64_t timeout_ns)
{
    step();
    struct word *w = word_at(address, sizeof *address);
    if (w->stores[w->count - 1].value == expected) {
        run.parked_on[run.current] = address;
        run.may_time_out[run.current] = timeout_ns >= 0;
        give_way();
    }
    return 0;
}

void
px__unpark_all(uint32_t *address)
{
    step();
    for (int t = 0; t < search.threads; t++)
        if (run.parked_on[t] == address)
            run.parked_on[t] = NULL;
}

void
px__unpark_one(uint32_t *address)
{
    int sleepers[MODEL_THREADS], count = 0;
    step();
    for (int t = 0; t < search.threads; t++)
        if (run.parked_on[t] == address)
            sleepers[count++] = t;
    if (count > 0)
        run.parked_on[sleepers[decide(count)]] = NULL;
}

/* --- the search
 * --------------------------------------------------------------- */

static void
start_threads(void)
{
    for (int t = 0; t < search.threads; t++) {
        getcontext(&contexts[t]);
        contexts[t].uc_stack.ss_sp = stacks[t];
        contexts[t].uc_stack.ss_size = STACK_BYTES;
        contexts[t].uc_link = NULL;
        makecontext(&contexts[t], thread_main, 0);
    }
}

static void
forget_run(struct model_bounds bounds)
{
    memset((char *)&run + sizeof run.words, 0, sizeof run - sizeof run.words);
    run.preemptions_left = bounds.preemptions;
    run.stale_left = bounds.stale;
    search.depth = 0;
}

static void
flush_memory(void)
{
    for (int i = 0; i < run.word_count; i++) {
        struct word *w = &run.words[i];
        write_memory((void *)(uintptr_t)w->address, w->bytes,
                     w->stores[w->count - 1].value);
    }
}

/* Which thread comes first is the first decision. model_fail() and the end of
 * the last thread come back here. */
static void
one_run(void)
{
    start_threads();
    int first = decide(search.threads);
    if (search.scenario->switched)
        search.scenario->switched(-1, first);
    run.current = first;
    swapcontext(&main_context, &contexts[first]);
    flush_memory();
}

struct model_result
model_explore(const struct model_scenario *s,
              const struct model_mistake *mistake, struct model_bounds bounds)
{
    struct model_result result = {0};
    memset(&search, 0, sizeof search);
    search.scenario = s;
    search.mistake = mistake;
    while (search.threads < MODEL_THREADS && s->bodies[search.threads])
        search.threads++;
    do {
        forget_run(bounds);
        s->prepare();
        one_run();
        result.runs++;
        if (!run.failure)
            s->check();
        result.failure = run.failure;
    } while (!result.failure && next_decisions());
    return result;
}
