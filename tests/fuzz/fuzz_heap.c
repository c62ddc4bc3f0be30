/* Heaps against their model; the input is the list of operations. */
#include "heap_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    heap_model_run(data, size);
    return 0;
}
