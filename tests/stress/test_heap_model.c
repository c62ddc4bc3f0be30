/*
 * A million random operations on heaps of all kinds, against the naive model of
 * support/heap_model.h. PXRT_SEED repeats a run, PXRT_OPERATIONS makes it
 * longer. ThreadSanitizer, for which one thread is dull, gets fewer. ctest:
 * slow
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "heap_model.h"

#include <stdlib.h>
#include <time.h>

#if defined(__SANITIZE_THREAD__)
enum { OPERATIONS = 100000 };
#else
enum { OPERATIONS = 1000000 };
#endif

static uint64_t
setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 0) : otherwise;
}

/* splitmix64 */
static uint64_t
next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static void
heap__agrees_with_model__any_operations(void **state)
{
    static uint64_t input[8192];
    uint64_t seed = setting("PXRT_SEED", (uint64_t)time(NULL));
    uint64_t wanted = setting("PXRT_OPERATIONS", OPERATIONS), done = 0;
    (void)state;
    print_message("PXRT_SEED=%llu\n", (unsigned long long)seed);
    while (done < wanted) {
        for (size_t i = 0; i < sizeof input / sizeof *input; i++)
            input[i] = next_random(&seed);
        done += heap_model_run((const uint8_t *)input, sizeof input);
    }
    print_message("%llu operations\n", (unsigned long long)done);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heap__agrees_with_model__any_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
