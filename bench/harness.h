/*
 * The harness of pxbench: what a benchmark is made of.
 *
 * A *bench* is one workload, measured for several *subjects* (pxrt, its peers,
 * and a floor: the same work without the thing measured). Every subject runs
 * in a fresh process of its own, and the processes take turns:
 *
 *     pxbench --+-- floor     round 0        round 1 ...
 *               +-- pxrt             round 0        round 1 ...
 *               +-- peer                    round 0        round 1 ...
 *
 * So that settings (mallopt, a preloaded allocator, an address range) cannot
 * leak from one subject into another, RSS is the subject's own, and a subject
 * that crashes or hangs is a failed row instead of the end of the run; yet all
 * of them see the same minutes of the same machine. A ratio is the median of
 * the ratios within a round, which takes slow drift out of it.
 */
#ifndef PX_BENCH_HARNESS_H
#define PX_BENCH_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BENCH_METRICS = 6,
    BENCH_SUBJECTS = 24,
    BENCH_TEXT = 120,
    BENCHES = 48,
    BENCH_ROUNDS = 101
};

/* How this run was asked for; read-only once the options are parsed. */
struct bench_config {
    unsigned rounds;
    /* A round of a calibrated loop lasts about this long. */
    uint64_t round_ns;
    /* A CI smoke run: small counts, few rounds, numbers without meaning. */
    bool quick;
};
extern struct bench_config bench_config;

/* One number that a bench yields. */
struct bench_metric {
    /* Appended to the bench's name; "" when it has only this one. */
    const char *name;
    const char *unit;
    /* For loops: value = nanoseconds per iteration * scale. */
    double scale;
};

/* What one round of one subject gives. */
struct bench_sample {
    double value[BENCH_METRICS];
    long rss_kb;
    char pages[BENCH_TEXT];
};

enum bench_subject_flags {
    /* glibc's malloc keeps what is freed: no trimming, no mmap threshold. */
    BENCH_NO_TRIM = 1u << 0
};

/* A subject is given by a calibrated loop or by a round that measures itself.
 * Functions that can fail return NULL, or the reason for the failed row. */
struct bench_subject {
    const char *name;
    /* Why it cannot run in this build, or NULL. */
    const char *missing;
    /* A library that its process is started with (LD_PRELOAD), or NULL. */
    const char *preload;
    unsigned flags;
    /* Given to setup. */
    const void *arg;
    const char *(*setup)(const void *arg, void **state);
    void (*loop)(void *state, uint64_t count);
    const char *(*round)(void *state, struct bench_sample *sample);
    /* Describe what page sizes were granted; NULL: what the kernel says. */
    void (*pages)(void *state, char *text);
    void (*teardown)(void *state);
};

struct bench {
    /* "room.workload"; selecting "room" selects all of its benches. */
    const char *name;
    const char *what;
    /* The subject that ratios are taken to where no goal says otherwise, or
     * NULL. */
    const char *reference;
    /* CPUs the process is confined to; 0: all of them. */
    unsigned cpus;
    size_t metric_count;
    struct bench_metric metric[BENCH_METRICS];
    size_t subject_count;
    struct bench_subject subject[BENCH_SUBJECTS];
};

/* ---- registry.c: every bench there is ---- */

extern struct bench bench_table[BENCHES];
extern size_t bench_count;

/* Fills bench_table from the rooms below. */
void bench_register_all(void);
void bench_register_heap(void);
void bench_register_memory(void);
void bench_register_context(void);
void bench_register_owner(void);
void bench_register_lock(void);
void bench_register_work(void);
void bench_register_server(void);

struct bench *bench_add(const char *name, const char *what,
                        const char *reference, unsigned cpus);
void bench_add_metric(struct bench *bench, const char *name, const char *unit,
                      double scale);
/* The new subject, all zero but for its name. */
struct bench_subject *bench_add_subject(struct bench *bench, const char *name);
const struct bench *bench_find(const char *name);
const struct bench_subject *bench_find_subject(const struct bench *bench,
                                               const char *name);

/* ---- run.c and child.c: the two sides of a run ---- */

/* All rounds of one subject. */
struct bench_result {
    const struct bench_subject *subject;
    /* "" or the reason why there are no samples. */
    char failed[BENCH_TEXT];
    unsigned rounds;
    struct bench_sample sample[BENCH_ROUNDS];
};

/* Run all rounds of all subjects, interleaved. @p results has one element for
 * each subject. */
void bench_run(const struct bench *bench, struct bench_result *results);

/* A child's message: after its setup, and after every round. */
struct bench_reply {
    char failed[BENCH_TEXT];
    struct bench_sample sample;
};

/* The whole life of a subject's process; the descriptor leads to bench_run().
 * @return the exit status. */
int bench_child(const struct bench *bench, const struct bench_subject *subject,
                int fd);

/* Run one subject in this process, for profilers and debuggers. */
int bench_solo(const struct bench *bench, const struct bench_subject *subject);

/* ---- report.c: results as rows ---- */

enum bench_format {
    BENCH_TABLE,
    BENCH_JSON,
    BENCH_MARKDOWN,
    /* Only the table that ends the Markdown: the rows that have a goal. */
    BENCH_GOALS,
    BENCH_HEADLINE
};

void bench_report_begin(enum bench_format format);
void bench_report(const struct bench *bench,
                  const struct bench_result *results);
void bench_report_end(void);

/* ---- goals.c: what the design promises ---- */

struct bench_goal {
    /* "bench" or "bench.metric" */
    const char *row;
    const char *subject;
    /* The subject that the ratio is taken to; NULL: the value itself. */
    const char *against;
    /* true: at least the limit; false: at most. */
    bool at_least;
    double limit;
};

/* The goal number @p index of a row, or NULL past the last. */
const struct bench_goal *bench_goal_of(const char *row, const char *subject,
                                       size_t index);
bool bench_goal_met(const struct bench_goal *goal, double value);

/* ---- stats.c ---- */

/* The value below which @p fraction of the sorted copy of @p values lie. */
double bench_quantile(const double *values, size_t count, double fraction);

/* ---- os.c: the clock, CPUs, and what the kernel says about memory ---- */

uint64_t bench_now_ns(void);
/* Confine the calling thread (and those it starts) to CPU number @p index of
 * those allowed, counted from the last and wrapping round. */
void bench_pin(unsigned index);
unsigned bench_cpu_count(void);
long bench_rss_kb(int pid);
/* KB of page tables, which thin mappings pay for. */
long bench_page_table_kb(void);
/* How much of a process lies on large pages, as text. */
void bench_kernel_pages(char *text);
/* One line: CPUs, kernel, libraries, and whether the machine was at rest. */
void bench_describe_machine(char *text, size_t bytes);

/* ---- distance.c: how far the CPUs are from each other ---- */

/* Before a bench; before each of its rounds; and what was found, for the title
 * of its tables: empty where a single CPU is used. */
void bench_distance_forget(void);
void bench_distance_note(const struct bench *bench);
const char *bench_distance_text(void);
/* @p bytes of zeroed memory outside every allocator, aligned to 2 MB. */
void *bench_map(size_t bytes);

/* Fill the caches with other memory. */
void bench_cool(void);

/* A fast fixed generator: the same sequence in every run and subject. */
static inline uint32_t
bench_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/* Store to a fresh block, as its user would; the barrier keeps the compiler
 * from dropping the store or the allocation. */
static inline void
bench_touch(void *block, uint32_t value)
{
    *(uint32_t *)block = value;
    __asm__ volatile("" : : "r"(block) : "memory");
}

/* Make the compiler believe that @p value is used. */
static inline void
bench_use(uint64_t value)
{
    __asm__ volatile("" : : "r"(value));
}

#endif
