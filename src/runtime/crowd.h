/*
 * How many workers are of use; see crowd.c.
 */
#ifndef PX_RUNTIME_CROWD_H
#define PX_RUNTIME_CROWD_H

#include <stdbool.h>
#include <stdint.h>

/* The first two are read by any thread, and atomic; the rest is the monitor's. */
typedef struct px__crowd {
    unsigned useful;   /* workers that get a CPU; the monitor's to write */
    unsigned workers;  /* constant: all of them */
    unsigned ticks;    /* of the sample under way, ... */
    int64_t since_ns;  /* ... and its begin */
    bool fixed;        /* constant: all are used, whatever is seen */
    unsigned hold;     /* samples for which a crowd is left alone */
    unsigned calm;     /* samples since anything changed */
    unsigned patience; /* calm ones after which one more is tried */
} px__crowd;

/* What is known of the time of a sample. */
typedef struct px__crowd_sample {
    int64_t spent_ns;
    int64_t waited_ns; /* by all workers, for a CPU */
    int64_t long_ns;   /* that callbacks took in ticks, beyond such waits */
} px__crowd_sample;

void px__crowd_init(px__crowd *crowd, unsigned workers, bool fixed);

/* The decision after a sample. The monitor. */
void px__crowd_judge(px__crowd *crowd, const px__crowd_sample *sample);

#endif
