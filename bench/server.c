/*
 * Servers under load over loopback. The subject's process makes the load and
 * the server is its child, so that CPU time and memory are the server's alone;
 * both share the machine's CPUs, as all subjects do.
 *
 *   server.1conn     one keep-alive connection: no two things ever happen at
 *                    once, so it shows the length of the way through the server
 *   server.64conn    64 of them: events come in batches, and a second CPU may
 *                    help, or only get in the way
 *   server.block     64, and one whose callback blocks for 5 ms each time: the
 *                    connections on the same loop wait with it, where a loop is
 *                    a thread. Its own requests are not counted
 *   server.rollback  64, with and without a snapshot and rollback for each: the
 *                    price of the heaps in a whole server
 *   server.idle      64, beside 9,000 that are only open: what they cost those
 *                    that are not
 *
 * Equal among the servers: the request and the response byte for byte (nginx
 * adds headers of its own), a copy of the request and a response in fresh
 * memory, the backlog, no logging, TCP_NODELAY, the load generator and its
 * CPUs, for which it competes with the server in all rows alike.
 */
#include "load.h"
#include "server_peer.h"

#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RPS, P99, LONGEST, CPU, MEMORY, ROLLED_BACK };

/* A subject: which server, and under which load. */
struct server_plan {
    const struct server_peer *peer;
    /* 0: one for each CPU. */
    unsigned loops;
    bool no_rollback;
    unsigned active;
    unsigned blocking;
    unsigned idle;
};

struct server_state {
    const struct server_plan *plan;
    struct server_shared *shared;
    struct load *load;
    pid_t pid;
    int port;
    unsigned idle;
    long rss_before_kb;
};

/* ---- the server's process ---- */

static unsigned
idle_of(const struct server_plan *plan)
{
    return bench_config.quick ? plan->idle / 20 : plan->idle;
}

/* Thousands of connections need as many descriptors, on both sides. */
static void
raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void
become_server(const struct server_state *self, int port_fd)
{
    const struct server_plan *plan = self->plan;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    plan->peer->serve(&(struct server_options){
        .loops = plan->loops ? plan->loops : bench_cpu_count(),
        .no_rollback = plan->no_rollback,
        .shared = self->shared,
        .port_fd = port_fd});
    _exit(1);
}

static const char *
start_server(struct server_state *self)
{
    int pipe_fd[2];
    self->shared = mmap(NULL, sizeof *self->shared, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (self->shared == MAP_FAILED || pipe(pipe_fd) != 0)
        return "no memory";
    self->pid = fork();
    if (self->pid == 0) {
        close(pipe_fd[0]);
        become_server(self, pipe_fd[1]);
    }
    close(pipe_fd[1]);
    ssize_t got = read(pipe_fd[0], &self->port, sizeof self->port);
    close(pipe_fd[0]);
    return got == sizeof self->port ? NULL : "the server did not start";
}

/* ---- what the server uses, with all processes that it started ---- */

struct usage {
    double cpu_ns;
    long rss_kb;
};

/* The CPU clock of another process, which counts all of its threads in
 * nanoseconds; the figures in /proc are in hundredths of a second. */
static double
cpu_ns_of(pid_t pid)
{
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(pid, &clock) != 0 ||
        clock_gettime(clock, &used) != 0)
        return 0;
    return (double)used.tv_sec * 1e9 + (double)used.tv_nsec;
}

static void
add_usage(pid_t pid, struct usage *usage)
{
    char path[64];
    int child;
    usage->cpu_ns += cpu_ns_of(pid);
    usage->rss_kb += bench_rss_kb(pid);
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
    FILE *children = fopen(path, "r");
    while (children && fscanf(children, "%d", &child) == 1)
        add_usage(child, usage);
    if (children)
        fclose(children);
}

static struct usage
server_usage(const struct server_state *self)
{
    struct usage usage = {0, 0};
    add_usage(self->pid, &usage);
    return usage;
}

/* ---- a subject ---- */

/* What went wrong, as the load saw it; unless the server is gone, which is then
 * the better reason. */
static const char *
explain(struct server_state *self, const char *failed)
{
    static char text[BENCH_TEXT];
    int status;
    /* The end of a process comes a moment after that of its sockets. */
    const struct timespec moment = {.tv_nsec = 50000000};
    nanosleep(&moment, NULL);
    if (waitpid(self->pid, &status, WNOHANG) != self->pid)
        return failed;
    self->pid = 0;
    if (WIFSIGNALED(status))
        snprintf(text, sizeof text, "%s: the server got signal %d", failed,
                 WTERMSIG(status));
    else
        snprintf(text, sizeof text, "%s: the server exited with %d", failed,
                 WEXITSTATUS(status));
    return text;
}

static const char *
open_load(struct server_state *self)
{
    struct load_options options = {.port = self->port,
                                   .active = self->plan->active,
                                   .blocking = self->plan->blocking,
                                   .idle = self->idle};
    const struct load_options one = {.port = self->port, .active = 1};
    struct load_result result;
    struct load *first = NULL;
    /* One connection first: what the first one costs is not per connection. */
    const char *failed = load_open(&one, &first);
    if (!failed)
        failed = load_run(first, 5000000, &result);
    if (first)
        load_close(first);
    self->rss_before_kb = server_usage(self).rss_kb;
    return failed ? failed : load_open(&options, &self->load);
}

static const char *
setup_server(const void *plan, void **state)
{
    static struct server_state self;
    self.plan = plan;
    self.idle = idle_of(plan);
    *state = &self;
    raise_descriptor_limit();
    const char *failed = start_server(&self);
    if (!failed)
        failed = open_load(&self);
    return failed ? explain(&self, failed) : NULL;
}

static void
teardown_server(void *state)
{
    struct server_state *self = state;
    if (self->load)
        load_close(self->load);
    if (self->pid > 0) {
        kill(self->pid, self->plan->peer->end_signal);
        waitpid(self->pid, NULL, 0);
    }
}

/* All six numbers of one round. CPU time is per answered request, late ones
 * too: they were paid for. */
static const char *
round_server(void *state, struct bench_sample *sample)
{
    struct server_state *self = state;
    struct load_result result;
    const uint64_t time_ns = bench_config.quick ? 40000000 : 400000000;
    double cpu_ns = server_usage(self).cpu_ns;
    const char *failed = load_run(self->load, time_ns, &result);
    if (failed)
        return explain(self, failed);
    struct usage usage = server_usage(self);
    double requests = (double)result.requests;
    double answered = (double)result.answered;
    double connections = self->plan->active + self->idle;
    const struct server_shared *shared = self->shared;
    sample->value[RPS] = requests * 1e9 / (double)result.spent_ns;
    sample->value[P99] = result.p99_ns / 1e3;
    sample->value[LONGEST] = result.longest_ns / 1e3;
    sample->value[CPU] = (usage.cpu_ns - cpu_ns) / answered / 1e3;
    sample->value[MEMORY] =
        (double)(usage.rss_kb - self->rss_before_kb) / connections;
    sample->value[ROLLED_BACK] =
        shared->rollbacks
            ? (double)shared->rolled_back_bytes / (double)shared->rollbacks
            : NAN;
    sample->rss_kb = usage.rss_kb;
    snprintf(sample->pages, sizeof sample->pages, "not asked");
    return NULL;
}

/* ---- the tables ---- */

static struct bench *
add_bench(const char *name, const char *what, const char *reference)
{
    struct bench *bench = bench_add(name, what, reference, 0);
    bench_add_metric(bench, "rps", "1/s", 1);
    bench_add_metric(bench, "p99", "us", 1);
    bench_add_metric(bench, "longest", "us", 1);
    bench_add_metric(bench, "cpu", "us", 1);
    bench_add_metric(bench, "memory", "KB", 1);
    bench_add_metric(bench, "rolled-back", "B", 1);
    return bench;
}

static void
add(struct bench *bench, const char *name, const struct server_plan *plan)
{
    struct bench_subject *subject = bench_add_subject(bench, name);
    subject->missing = plan->peer->missing;
    subject->arg = plan;
    subject->setup = setup_server;
    subject->round = round_server;
    subject->teardown = teardown_server;
}

static void
add_common(void)
{
    static const struct server_plan one[] = {
        {.peer = &server_peer_uv, .loops = 1, .active = 1},
        {.peer = &server_peer_px, .active = 1},
        {.peer = &server_peer_nginx, .active = 1}};
    static const struct server_plan many[] = {
        {.peer = &server_peer_uv, .loops = 1, .active = 64},
        {.peer = &server_peer_uv, .loops = 2, .active = 64},
        {.peer = &server_peer_px, .active = 64},
        {.peer = &server_peer_nginx, .active = 64}};
    struct bench *bench = add_bench(
        "server.1conn", "one connection, request after request", "libuv");
    add(bench, "libuv", &one[0]);
    add(bench, "pxrt", &one[1]);
    add(bench, "nginx", &one[2]);
    bench = add_bench("server.64conn", "64 connections", "libuv");
    add(bench, "libuv", &many[0]);
    add(bench, "libuv-2loops", &many[1]);
    add(bench, "pxrt", &many[2]);
    add(bench, "nginx", &many[3]);
}

/* Against two loops as well, which is the usual remedy: half of the connections
 * then share a loop with the one that blocks, and wait. */
static void
add_block(void)
{
    static const struct server_plan block[] = {
        {.peer = &server_peer_uv, .loops = 1, .active = 65, .blocking = 1},
        {.peer = &server_peer_uv, .loops = 2, .active = 65, .blocking = 1},
        {.peer = &server_peer_px, .active = 65, .blocking = 1}};
    struct bench *bench = add_bench(
        "server.block",
        "64 connections, and one whose callback blocks for 5 ms", "libuv");
    add(bench, "libuv", &block[0]);
    add(bench, "libuv-2loops", &block[1]);
    add(bench, "pxrt", &block[2]);
}

/* Both are ours: another server would differ in more than the rollback. */
static void
add_rollback(void)
{
    static const struct server_plan plan[] = {
        {.peer = &server_peer_px, .active = 64},
        {.peer = &server_peer_px, .active = 64, .no_rollback = true}};
    struct bench *bench =
        add_bench("server.rollback",
                  "64 connections; without: no allocation, no rollback",
                  "pxrt-norollback");
    add(bench, "pxrt", &plan[0]);
    add(bench, "pxrt-norollback", &plan[1]);
}

/* For libuv the same pair: a loop looks at ready descriptors only, so its idle
 * ones are free but for the caches; the question is whether ours are. */
static void
add_idle(void)
{
    static const struct server_plan plan[] = {
        {.peer = &server_peer_px, .active = 64},
        {.peer = &server_peer_px, .active = 64, .idle = 9000},
        {.peer = &server_peer_uv, .loops = 1, .active = 64},
        {.peer = &server_peer_uv, .loops = 1, .active = 64, .idle = 9000}};
    struct bench *bench = add_bench(
        "server.idle", "64 connections, beside 9,000 idle ones", "pxrt-64");
    add(bench, "pxrt-64", &plan[0]);
    add(bench, "pxrt-idle", &plan[1]);
    add(bench, "libuv-64", &plan[2]);
    add(bench, "libuv-idle", &plan[3]);
}

void
bench_register_server(void)
{
    add_common();
    add_block();
    add_rollback();
    add_idle();
}
