/*
 * A naive model of heaps, driven by bytes: whatever the bytes say is done to a
 * real heap and to a list of objects, snapshots and cleanups, and both must
 * agree. The stress test feeds it random bytes, the fuzz target chosen ones.
 */
#ifndef PX_TESTS_HEAP_MODEL_H
#define PX_TESTS_HEAP_MODEL_H

#include <stddef.h>
#include <stdint.h>

/* Run the operations that @data encodes, to its end. Returns how many there
 * were; prints what is wrong and aborts when heap and model differ. */
size_t heap_model_run(const uint8_t *data, size_t bytes);

#endif
