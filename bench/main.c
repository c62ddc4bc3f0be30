/*
 * pxbench: libpxrt against its peers, interleaved in one run. See harness.h for
 * the method and README.md for the workloads.
 */
#include "harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct bench_config bench_config = {.rounds = 11, .round_ns = 20000000};

enum { CHILD_FD = 3 };

static const char usage[] =
    "usage: pxbench [options] [bench or room ...]\n"
    "  no name: all of heap context owner lock work server\n"
    "  --json           a JSON list of rows instead of tables\n"
    "  --markdown       tables for the README\n"
    "  --goals          one table of the rows that have a goal\n"
    "  --headline       the heap headline only, short\n"
    "  --list           what there is: benches and their subjects\n"
    "  --rounds N       rounds of each subject (default 11, at most 101)\n"
    "  --quick          a smoke run: small counts, numbers without meaning\n"
    "  --solo B S       bench B, subject S in this process, for profilers\n";

struct arguments {
    enum bench_format format;
    bool list;
    /* The two words after --solo or --child. */
    const char *solo[2];
    const char *child[2];
    const char **names;
    size_t name_count;
};

static void
die(const char *what, const char *detail)
{
    fprintf(stderr, "pxbench: %s%s\n%s", what, detail, usage);
    exit(2);
}

static const char *
next_word(char ***argument)
{
    if (!(*argument)[1])
        die("missing value after ", (*argument)[0]);
    return *++*argument;
}

static void
set_rounds(const char *text)
{
    char *end;
    unsigned long rounds = strtoul(text, &end, 10);
    if (*end || rounds < 1 || rounds > BENCH_ROUNDS)
        die("not a number of rounds: ", text);
    bench_config.rounds = (unsigned)rounds;
}

static void
set_quick(void)
{
    bench_config.quick = true;
    bench_config.rounds = 3;
    bench_config.round_ns = 1000000;
}

static void
parse_one(char ***argument, struct arguments *arguments)
{
    const char *word = **argument;
    if (strcmp(word, "--json") == 0)
        arguments->format = BENCH_JSON;
    else if (strcmp(word, "--markdown") == 0)
        arguments->format = BENCH_MARKDOWN;
    else if (strcmp(word, "--goals") == 0)
        arguments->format = BENCH_GOALS;
    else if (strcmp(word, "--headline") == 0)
        arguments->format = BENCH_HEADLINE;
    else if (strcmp(word, "--list") == 0)
        arguments->list = true;
    else if (strcmp(word, "--quick") == 0)
        set_quick();
    else if (strcmp(word, "--rounds") == 0)
        set_rounds(next_word(argument));
    else if (strcmp(word, "--solo") == 0)
        for (int i = 0; i < 2; i++)
            arguments->solo[i] = next_word(argument);
    else if (strcmp(word, "--child") == 0)
        for (int i = 0; i < 2; i++)
            arguments->child[i] = next_word(argument);
    else if (word[0] == '-')
        die("unknown option ", word);
    else
        arguments->names[arguments->name_count++] = word;
}

static void
list_benches(void)
{
    for (size_t i = 0; i < bench_count; i++) {
        printf("%s: %s\n   ", bench_table[i].name, bench_table[i].what);
        for (size_t k = 0; k < bench_table[i].subject_count; k++)
            printf(" %s", bench_table[i].subject[k].name);
        printf("\n");
    }
}

/* A name selects its bench, or as a room's name all that begin with it. */
static bool
names(const char *name, const struct bench *bench)
{
    size_t length = strlen(name);
    return strncmp(bench->name, name, length) == 0 &&
           (bench->name[length] == 0 || bench->name[length] == '.');
}

static bool
selected(const struct arguments *arguments, const struct bench *bench)
{
    for (size_t i = 0; i < arguments->name_count; i++)
        if (names(arguments->names[i], bench))
            return true;
    return arguments->name_count == 0;
}

static void
check_names(const struct arguments *arguments)
{
    for (size_t i = 0; i < arguments->name_count; i++) {
        bool known = false;
        for (size_t k = 0; k < bench_count; k++)
            known = known || names(arguments->names[i], &bench_table[k]);
        if (!known)
            die("no such bench: ", arguments->names[i]);
    }
}

/* A peer that is not there is no failure of this run; pxrt failing is. */
static bool
ours_failed(const struct bench *bench, const struct bench_result *results)
{
    for (size_t i = 0; i < bench->subject_count; i++)
        if (results[i].failed[0] &&
            strncmp(bench->subject[i].name, "px", 2) == 0)
            return true;
    return false;
}

static int
run_selected(const struct arguments *arguments)
{
    static struct bench_result results[BENCH_SUBJECTS];
    bool failed = false;
    check_names(arguments);
    bench_report_begin(arguments->format);
    for (size_t i = 0; i < bench_count; i++) {
        if (!selected(arguments, &bench_table[i]))
            continue;
        bench_run(&bench_table[i], results);
        bench_report(&bench_table[i], results);
        failed = failed || ours_failed(&bench_table[i], results);
    }
    bench_report_end();
    return failed;
}

static int
run_one(const char *const *words, bool child)
{
    const struct bench *bench = bench_find(words[0]);
    const struct bench_subject *subject = bench_find_subject(bench, words[1]);
    if (!subject)
        die("no such bench and subject: ", words[0]);
    return child ? bench_child(bench, subject, CHILD_FD)
                 : bench_solo(bench, subject);
}

int
main(int argc, char **argv)
{
    struct arguments arguments = {.format = BENCH_TABLE};
    arguments.names = calloc((size_t)argc + 1, sizeof *arguments.names);
    if (!arguments.names)
        return 2;
    for (char **argument = argv + 1; *argument; argument++)
        parse_one(&argument, &arguments);
    bench_register_all();
    if (arguments.format == BENCH_HEADLINE) {
        arguments.names[0] = "heap.headline";
        arguments.name_count = 1;
    }
    if (arguments.list)
        list_benches();
    else if (arguments.child[0])
        return run_one(arguments.child, true);
    else if (arguments.solo[0])
        return run_one(arguments.solo, false);
    else
        return run_selected(&arguments);
    return 0;
}
