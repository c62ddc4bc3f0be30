/* Work on every core, and an error that reaches the main thread. */
#include <pxrt.h>

#include <stdio.h>
#include <stdlib.h>

enum { PARTS = 8, NUMBERS = 200000 };

typedef struct part {
    int first;
    int primes; /* written by one worker, read after the work is done */
} part;

static bool
is_prime(int n)
{
    for (int d = 2; d * d <= n; d++)
        if (n % d == 0)
            return false;
    return n > 1;
}

static int
count_primes(px_context *cx, void *arg)
{
    part *p = arg;
    int *found = px_alloc(cx, sizeof *found * NUMBERS / PARTS);
    int count = 0;
    if (!found)
        return px_fail(cx, PX_ENOMEM, "no room for the primes");
    for (int n = p->first; n < p->first + NUMBERS / PARTS; n++)
        if (is_prime(n))
            found[count++] = n;
    p->primes = count; /* `found` goes with the context */
    return 0;
}

static int
fail_on_purpose(px_context *cx, void *arg)
{
    px_fail(cx, PX_EFAILED, "part %d refused", *(int *)arg);
    px_fail_payload(cx, px_alloc(cx, 16));
    return PX_EFAILED;
}

int
main(void)
{
    part parts[PARTS];
    int unlucky = 13, total = 0, errors = 0;
    const px_error *error;
    px_runtime *rt;
    if (px_runtime_create(NULL, &rt))
        return 1;
    for (int i = 0; i < PARTS; i++) {
        parts[i] = (part){.first = i * (NUMBERS / PARTS)};
        if (px_submit_work(rt, count_primes, &parts[i], NULL))
            return 1;
    }
    if (px_submit_work(rt, fail_on_purpose, &unlucky, NULL))
        return 1;

    /* An error ends px_run(); calling it again goes on with the rest. */
    while (px_run(rt, &error) < 0) {
        printf("error: %s (%s:%d)\n", error->message, error->file, error->line);
        px_error_release(error);
        errors++;
    }
    for (int i = 0; i < PARTS; i++)
        total += parts[i].primes;
    printf("%d primes below %d, %d error\n", total, NUMBERS, errors);
    px_runtime_release(rt);
    return total == 17984 && errors == 1 ? 0 : 1;
}
