/*
 * The table of benches. Rooms fill it at start-up rather than by static
 * initialisers, because most subjects of a bench are products: each peer times
 * each loop.
 */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bench bench_table[BENCHES];
size_t bench_count;

/* The tables are fixed: too many benches is a mistake in this program, and is
 * seen at its first start. */
static void
check_room(bool room, const char *what)
{
    if (room)
        return;
    fprintf(stderr, "pxbench: too many %s\n", what);
    abort();
}

struct bench *
bench_add(const char *name, const char *what, const char *reference,
          unsigned cpus)
{
    check_room(bench_count < BENCHES, "benches");
    struct bench *bench = &bench_table[bench_count++];
    *bench = (struct bench){
        .name = name, .what = what, .reference = reference, .cpus = cpus};
    return bench;
}

void
bench_add_metric(struct bench *bench, const char *name, const char *unit,
                 double scale)
{
    check_room(bench->metric_count < BENCH_METRICS, "metrics");
    bench->metric[bench->metric_count++] =
        (struct bench_metric){.name = name, .unit = unit, .scale = scale};
}

struct bench_subject *
bench_add_subject(struct bench *bench, const char *name)
{
    check_room(bench->subject_count < BENCH_SUBJECTS, "subjects");
    struct bench_subject *subject = &bench->subject[bench->subject_count++];
    *subject = (struct bench_subject){.name = name};
    return subject;
}

const struct bench *
bench_find(const char *name)
{
    for (size_t i = 0; i < bench_count; i++)
        if (strcmp(bench_table[i].name, name) == 0)
            return &bench_table[i];
    return NULL;
}

const struct bench_subject *
bench_find_subject(const struct bench *bench, const char *name)
{
    for (size_t i = 0; bench && i < bench->subject_count; i++)
        if (strcmp(bench->subject[i].name, name) == 0)
            return &bench->subject[i];
    return NULL;
}

void
bench_register_all(void)
{
    bench_register_heap();
    bench_register_memory();
    bench_register_context();
    bench_register_owner();
    bench_register_lock();
    bench_register_work();
    bench_register_server();
}
