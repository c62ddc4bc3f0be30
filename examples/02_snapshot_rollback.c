/* Snapshots nest: each round of work is rolled back, the loaded data stays. */
#include <pxrt.h>

#include <stdio.h>

static void
say_goodbye(void *name)
{
    printf("  cleaning up after %s\n", (const char *)name);
}

static size_t
used_bytes(px_heap *heap)
{
    px_heap_stats stats = {.size = sizeof stats};
    px_heap_get_stats(heap, &stats);
    return stats.used_bytes;
}

/* A round that allocates a lot, and a part of it that is tried and undone. */
static int
round_of_work(px_heap *heap, int number)
{
    px_snapshot attempt;
    char *name = px_heap_printf(heap, "round %d", number);
    if (!name || px_heap_defer(heap, say_goodbye, name))
        return PX_ENOMEM;
    for (int i = 0; i < 10000; i++)
        if (!px_heap_alloc(heap, 100))
            return PX_ENOMEM;
    if (px_heap_snapshot(heap, &attempt) || !px_heap_alloc(heap, 5000000))
        return PX_ENOMEM;
    printf("%s: %zu bytes", name, used_bytes(heap));
    px_heap_rollback(heap, &attempt);
    printf(", without the attempt %zu\n", used_bytes(heap));
    return 0;
}

int
main(void)
{
    px_heap *heap;
    px_snapshot loaded;
    if (px_heap_create(NULL, &heap))
        return 1;
    const char *data = px_heap_strdup(heap, "loaded once");
    if (!data || px_heap_snapshot(heap, &loaded))
        return 1;
    size_t before = used_bytes(heap);
    for (int i = 1; i <= 3; i++) {
        if (round_of_work(heap, i))
            return 1;
        px_heap_rollback(heap, &loaded);
    }
    printf("%s; as before: %s\n", data,
           used_bytes(heap) == before ? "yes" : "no");

    /* A snapshot that is gone is an error, never corruption. */
    px_snapshot newer;
    if (px_heap_snapshot(heap, &newer))
        return 1;
    px_heap_rollback(heap, &loaded);
    printf("stale: %s\n", px_strerror(px_heap_rollback(heap, &newer)));
    px_heap_release(heap);
    return 0;
}
