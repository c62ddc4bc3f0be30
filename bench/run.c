/*
 * The harness's side of a run: one process for each subject, one round at a
 * time, and whatever happens to a subject becomes the reason of a failed row.
 *
 * Rounds begin with another subject each time, so that nobody always runs
 * first (on a machine at rest) or behind the same neighbour (its cache and
 * heat).
 */
#include "harness.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_FD = 3, TIMEOUT_MS = 120000 };

struct process {
    pid_t pid;
    int fd;
};

/* A new image rather than a fork's copy: what the harness did to its own
 * malloc, address space or caches of the C library is not inherited, and
 * LD_PRELOAD takes effect. */
static void
become_child(const struct bench *bench, const struct bench_subject *subject,
             int fd)
{
    char rounds[16];
    snprintf(rounds, sizeof rounds, "%u", bench_config.rounds);
    if (subject->preload)
        setenv("LD_PRELOAD", subject->preload, 1);
    /* dup2 onto itself would keep the close-on-exec flag. */
    if (fd == CHILD_FD)
        fd = dup(fd);
    dup2(fd, CHILD_FD);
    execl("/proc/self/exe", "pxbench", "--child", bench->name, subject->name,
          "--rounds", rounds, bench_config.quick ? "--quick" : (char *)NULL,
          (char *)NULL);
    _exit(127);
}

static const char *
spawn(const struct bench *bench, const struct bench_subject *subject,
      struct process *process)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return "no socket for the subject's process";
    process->pid = fork();
    if (process->pid == 0)
        become_child(bench, subject, pair[1]);
    close(pair[1]);
    process->fd = pair[0];
    return process->pid > 0 ? NULL : "cannot start a process";
}

/* Why a process that said nothing is gone. The kill is for the one that hangs:
 * it cannot change the status of one that is dead already. */
static void
describe_end(struct process *process, char *failed)
{
    int status = 0;
    kill(process->pid, SIGKILL);
    waitpid(process->pid, &status, 0);
    process->pid = 0;
    if (WIFSIGNALED(status))
        snprintf(failed, BENCH_TEXT, "killed by signal %d (%s)",
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(failed, BENCH_TEXT, "exited with %d", WEXITSTATUS(status));
}

/* Wait for one message of a subject. The socket's end tells its death at once;
 * silence for too long is taken for a hang. */
static void
hear(struct process *process, struct bench_reply *reply)
{
    struct pollfd wait = {.fd = process->fd, .events = POLLIN};
    int ready;
    do
        ready = poll(&wait, 1, TIMEOUT_MS);
    while (ready < 0 && errno == EINTR);
    if (ready <= 0) {
        describe_end(process, reply->failed);
        snprintf(reply->failed, BENCH_TEXT, "no answer for %d s",
                 TIMEOUT_MS / 1000);
        return;
    }
    if (recv(process->fd, reply, sizeof *reply, 0) == sizeof *reply)
        return;
    describe_end(process, reply->failed);
}

static void
start_subject(const struct bench *bench, struct process *process,
              struct bench_result *result)
{
    struct bench_reply reply = {{0}, {{0}, 0, {0}}};
    const char *failed = result->subject->missing;
    if (!failed)
        failed = spawn(bench, result->subject, process);
    if (failed)
        snprintf(reply.failed, sizeof reply.failed, "%s", failed);
    else
        hear(process, &reply);
    memcpy(result->failed, reply.failed, sizeof result->failed);
}

static void
one_round(struct process *process, struct bench_result *result)
{
    struct bench_reply reply = {{0}, {{0}, 0, {0}}};
    if (result->failed[0])
        return;
    /* A dead child is noticed by hear(), which knows how to say it. */
    (void)!send(process->fd, "r", 1, MSG_NOSIGNAL);
    hear(process, &reply);
    if (reply.failed[0])
        memcpy(result->failed, reply.failed, sizeof result->failed);
    else
        result->sample[result->rounds++] = reply.sample;
}

static void
stop_subject(struct process *process)
{
    if (process->fd > 0)
        close(process->fd);
    if (process->pid > 0)
        waitpid(process->pid, NULL, 0);
}

/* All subjects are set up before the first round, so that a round is the same
 * for all of them; while one runs the others wait in recv() and use no CPU, but
 * do keep their memory. */
void
bench_run(const struct bench *bench, struct bench_result *results)
{
    struct process process[BENCH_SUBJECTS] = {{0, 0}};
    size_t count = bench->subject_count;
    bench_distance_forget();
    for (size_t i = 0; i < count; i++) {
        results[i] = (struct bench_result){.subject = &bench->subject[i]};
        start_subject(bench, &process[i], &results[i]);
    }
    for (unsigned round = 0; round < bench_config.rounds; round++) {
        bench_distance_note(bench);
        for (size_t i = 0; i < count; i++) {
            size_t turn = (i + round) % count;
            one_round(&process[turn], &results[turn]);
        }
    }
    for (size_t i = 0; i < count; i++)
        stop_subject(&process[i]);
}
