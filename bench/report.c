/*
 * From samples to rows, and rows to text: a table for people, JSON for
 * programs, Markdown for the README, and the headline for a demo.
 *
 * A row is one metric of one subject. A subject with several goals for a
 * metric has a row for each, since each goal has its own "ratio to".
 *
 * The ratio is the median over the rounds of (this subject / the other one, in
 * the same round): so it need not equal the quotient of the two medians, and a
 * machine that slows down half way through does not move it.
 */
#include "harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
    char name[BENCH_TEXT];
    const char *subject;
    const char *unit;
    double median, p10, p90;
    const char *ratio_to;
    double ratio;
    long rss_kb;
    const char *pages;
    /* "" when all went well */
    const char *failed;
    const struct bench_goal *goal;
};

static enum bench_format format;
static size_t printed;
/* Where the summary of the goals is collected; NULL: not wanted. */
static FILE *goals;
static char *goals_text;
static size_t goals_bytes;

/* ---- samples to rows ---- */

static const struct bench_result *
result_of(const struct bench *bench, const struct bench_result *results,
          const char *subject)
{
    for (size_t i = 0; subject && i < bench->subject_count; i++)
        if (strcmp(results[i].subject->name, subject) == 0)
            return &results[i];
    return NULL;
}

/* The median, for an interrupt in one round must not move the number; 10 and 90
 * % to show how much the rounds differ. */
static void
summarise(const struct bench_result *result, size_t metric, struct row *row)
{
    double values[BENCH_ROUNDS];
    for (unsigned i = 0; i < result->rounds; i++)
        values[i] = result->sample[i].value[metric];
    row->median = bench_quantile(values, result->rounds, 0.5);
    row->p10 = bench_quantile(values, result->rounds, 0.1);
    row->p90 = bench_quantile(values, result->rounds, 0.9);
}

/* Only where both have all rounds: a subject that failed in the middle has no
 * partner for the rest. */
static double
paired_ratio(const struct bench_result *result,
             const struct bench_result *other, size_t metric)
{
    double ratios[BENCH_ROUNDS];
    if (!other || other->failed[0] || result->failed[0])
        return NAN;
    for (unsigned i = 0; i < result->rounds; i++)
        ratios[i] =
            result->sample[i].value[metric] / other->sample[i].value[metric];
    return bench_quantile(ratios, result->rounds, 0.5);
}

static void
name_row(const struct bench *bench, size_t metric, struct row *row)
{
    const char *name = bench->metric[metric].name;
    snprintf(row->name, sizeof row->name, "%s%s%s", bench->name,
             name[0] ? "." : "", name);
    row->unit = bench->metric[metric].unit;
}

static void
fill_row(const struct bench_result *result, size_t metric, struct row *row)
{
    *row = (struct row){.subject = result->subject->name,
                        .median = NAN,
                        .p10 = NAN,
                        .p90 = NAN,
                        .ratio = NAN,
                        .rss_kb = -1,
                        .pages = "",
                        .failed = result->failed};
    if (result->failed[0] || result->rounds == 0)
        return;
    const struct bench_sample *last = &result->sample[result->rounds - 1];
    summarise(result, metric, row);
    row->rss_kb = last->rss_kb;
    row->pages = last->pages;
}

/* ---- one row as text ---- */

/* The number that a goal is about: the ratio, or the value itself. A goal is
 * judged by the median alone; whether two runs agree is for the reader to see.
 */
static double
judged(const struct row *row)
{
    return row->goal->against ? row->ratio : row->median;
}

static const char *
verdict(const struct row *row)
{
    if (!row->goal || isnan(judged(row)))
        return "";
    return bench_goal_met(row->goal, judged(row)) ? "met" : "missed";
}

static void
goal_text(const struct row *row, char *text, size_t bytes)
{
    const struct bench_goal *goal = row->goal;
    text[0] = 0;
    if (goal && goal->against)
        snprintf(text, bytes, "%s %gx %s",
                 goal->at_least ? ">=" : "<=", goal->limit, goal->against);
    else if (goal)
        snprintf(text, bytes, "%s %g %s",
                 goal->at_least ? ">=" : "<=", goal->limit, row->unit);
}

/* Four digits, and nothing for a number that is not there. */
static const char *
number(double value, char *text, size_t bytes)
{
    if (isnan(value) || isinf(value))
        return "-";
    if (fabs(value) >= 1000)
        snprintf(text, bytes, "%.0f", value);
    else
        snprintf(text, bytes, "%.4g", value);
    return text;
}

static void
json_number(const char *key, double value)
{
    if (isnan(value) || isinf(value))
        printf("\"%s\": null, ", key);
    else
        printf("\"%s\": %.6g, ", key, value);
}

/* Every text here is our own or a reason of the system: only quotes and
 * backslashes could break the string. */
static void
json_text(const char *key, const char *prefix, const char *text)
{
    printf("\"%s\": \"%s", key, prefix);
    for (; *text; text++)
        printf(*text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    printf("\", ");
}

static void
print_json(const struct row *row)
{
    char goal[BENCH_TEXT];
    goal_text(row, goal, sizeof goal);
    printf("%s\n  {", printed ? "," : "");
    json_text("bench", "", row->name);
    json_text("subject", "", row->subject);
    json_text("unit", "", row->unit);
    json_number("median", row->median);
    json_number("p10", row->p10);
    json_number("p90", row->p90);
    json_text("ratio_to", "", row->ratio_to ? row->ratio_to : "");
    json_number("ratio", row->ratio);
    json_number("rss_kb", row->rss_kb < 0 ? NAN : (double)row->rss_kb);
    json_text("pages", "", row->pages);
    json_text("status", row->failed[0] ? "failed: " : "ok", row->failed);
    json_text("goal", "", goal);
    const char *met = verdict(row);
    printf("\"met\": %s}", !met[0]                   ? "null"
                           : strcmp(met, "met") == 0 ? "true"
                                                     : "false");
}

static void
print_table(const struct row *row)
{
    char a[32], b[32], c[32], d[32], goal[BENCH_TEXT];
    if (row->failed[0]) {
        printf("  %-20s failed: %s\n", row->subject, row->failed);
        return;
    }
    goal_text(row, goal, sizeof goal);
    printf("  %-20s %9s %9s %9s %-5s %7s %-16s %9ld %-28s %s %s\n",
           row->subject, number(row->median, a, sizeof a),
           number(row->p10, b, sizeof b), number(row->p90, c, sizeof c),
           row->unit, number(row->ratio, d, sizeof d),
           row->ratio_to ? row->ratio_to : "", row->rss_kb, row->pages, goal,
           verdict(row));
}

static void
print_markdown(const struct row *row)
{
    char a[32], b[32], c[32], d[32], goal[BENCH_TEXT];
    if (row->failed[0]) {
        printf("| %s | failed: %s | | | | |\n", row->subject, row->failed);
        return;
    }
    goal_text(row, goal, sizeof goal);
    const char *ratio = number(row->ratio, d, sizeof d);
    printf("| %s | %s %s | %s - %s | %s%s%s | %ld KB, %s | %s%s%s |\n",
           row->subject, number(row->median, a, sizeof a), row->unit,
           number(row->p10, b, sizeof b), number(row->p90, c, sizeof c), ratio,
           ratio[0] == '-' ? "" : "x ", ratio[0] == '-' ? "" : row->ratio_to,
           row->rss_kb, row->pages, goal, goal[0] ? ": " : "", verdict(row));
}

/* Both numbers, whichever the goal is about. Kept back until the end, so that
 * one run gives all tables and the summary of its goals. */
static void
keep_goal(const struct row *row)
{
    char a[32], d[32], goal[BENCH_TEXT];
    if (!row->goal || !goals)
        return;
    goal_text(row, goal, sizeof goal);
    fprintf(goals, "| %s | %s | %s | ", row->name, row->subject, goal);
    if (row->failed[0])
        fprintf(goals, "failed: %s | | |\n", row->failed);
    else
        fprintf(goals, "%s %s | %s%s | %s |\n",
                number(row->median, a, sizeof a), row->unit,
                row->goal->against ? number(row->ratio, d, sizeof d) : "",
                row->goal->against ? "x" : "", verdict(row));
}

static void
print_headline(const struct row *row)
{
    char a[32], d[32];
    if (row->failed[0])
        printf("  %-16s failed: %s\n", row->subject, row->failed);
    else
        printf("  %-16s %8s us %8sx\n", row->subject,
               number(row->median, a, sizeof a),
               number(row->ratio, d, sizeof d));
}

static void
print_row(const struct row *row)
{
    if (format == BENCH_JSON)
        print_json(row);
    else if (format == BENCH_MARKDOWN)
        print_markdown(row);
    else if (format == BENCH_HEADLINE)
        print_headline(row);
    else if (format == BENCH_TABLE)
        print_table(row);
    keep_goal(row);
    printed++;
}

static void
print_title(const struct row *row, const struct bench *bench)
{
    if (format == BENCH_TABLE)
        printf("\n%s: %s%s\n  %-20s %9s %9s %9s %-5s %7s %-16s %9s %-28s %s\n",
               row->name, bench->what, bench_distance_text(), "subject",
               "median", "p10", "p90", "unit", "ratio", "to", "rss KB", "pages",
               "goal");
    else if (format == BENCH_MARKDOWN)
        printf("\n**%s**: %s%s\n\n"
               "| subject | median | p10 - p90 | ratio | memory | goal |\n"
               "|---|---|---|---|---|---|\n",
               row->name, bench->what, bench_distance_text());
    else if (format == BENCH_HEADLINE)
        printf("%s\n(median of %u interleaved rounds, and the ratio to the "
               "floor: the same stores with no allocator)\n\n",
               bench->what, bench_config.rounds);
}

/* ---- benches to rows ---- */

/* One row for each goal, or one without. */
static void
report_subject(const struct bench *bench, const struct bench_result *results,
               size_t metric, struct row *row)
{
    const struct bench_result *self = result_of(bench, results, row->subject);
    size_t index = 0;
    /* A number that this subject does not have makes no row. */
    if (!row->failed[0] && isnan(row->median))
        return;
    do {
        row->goal = bench_goal_of(row->name, row->subject, index);
        row->ratio_to = row->goal && row->goal->against ? row->goal->against
                                                        : bench->reference;
        row->ratio = paired_ratio(
            self, result_of(bench, results, row->ratio_to), metric);
        print_row(row);
    } while (!row->failed[0] && format != BENCH_HEADLINE &&
             bench_goal_of(row->name, row->subject, ++index));
}

void
bench_report(const struct bench *bench, const struct bench_result *results)
{
    for (size_t metric = 0; metric < bench->metric_count; metric++) {
        struct row row;
        for (size_t i = 0; i < bench->subject_count; i++) {
            fill_row(&results[i], metric, &row);
            name_row(bench, metric, &row);
            if (i == 0)
                print_title(&row, bench);
            report_subject(bench, results, metric, &row);
        }
    }
    fflush(stdout);
}

void
bench_report_begin(enum bench_format chosen)
{
    char machine[512];
    format = chosen;
    bench_describe_machine(machine, sizeof machine);
    if (format == BENCH_JSON)
        printf("[");
    else if (format != BENCH_HEADLINE)
        printf("%s, %u rounds\n", machine, bench_config.rounds);
    if (format == BENCH_GOALS || format == BENCH_MARKDOWN)
        goals = open_memstream(&goals_text, &goals_bytes);
}

static void
print_goals(void)
{
    fclose(goals);
    printf("\n**Goals**\n\n| row | subject | goal | median | ratio | |\n"
           "|---|---|---|---|---|---|\n%s",
           goals_text);
    free(goals_text);
}

void
bench_report_end(void)
{
    if (goals)
        print_goals();
    if (format == BENCH_JSON)
        printf("\n]\n");
}
