/* Order statistics: all that a handful of rounds can bear. */
#include "harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Linear between the two nearest ranks, so that the median of an even number
 * of rounds is the usual one. */
double
bench_quantile(const double *values, size_t count, double fraction)
{
    double sorted[BENCH_ROUNDS];
    if (count == 0 || count > BENCH_ROUNDS)
        return NAN;
    memcpy(sorted, values, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_value);
    double rank = fraction * (double)(count - 1);
    size_t low = (size_t)rank;
    size_t high = low + 1 < count ? low + 1 : low;
    return sorted[low] + (rank - (double)low) * (sorted[high] - sorted[low]);
}
