/*
 * Drives a fuzz target where libFuzzer is not linked: first the seed files
 * named on the command line, then some hundred inputs from a fixed generator.
 * Finds little; keeps every target compiling and its seeds passing.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_BYTES = 1 << 16, RANDOM_INPUTS = 300, RANDOM_BYTES = 2048 };

static uint8_t input[MAX_BYTES];

static int
replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return EXIT_FAILURE;
    }
    size_t size = fread(input, 1, sizeof input, file);
    fclose(file);
    LLVMFuzzerTestOneInput(input, size);
    return EXIT_SUCCESS;
}

static void
replay_random(void)
{
    uint32_t seed = 1;
    for (int i = 0; i < RANDOM_INPUTS; i++) {
        size_t size = (size_t)i * RANDOM_BYTES / RANDOM_INPUTS;
        for (size_t at = 0; at < size; at++) {
            seed = seed * 1664525u + 1013904223u;
            input[at] = (uint8_t)(seed >> 24);
        }
        LLVMFuzzerTestOneInput(input, size);
    }
}

int
main(int argc, char **argv)
{
    int status = EXIT_SUCCESS;
    for (int i = 1; i < argc; i++)
        if (replay_file(argv[i]) != EXIT_SUCCESS)
            status = EXIT_FAILURE;
    replay_random();
    return status;
}
