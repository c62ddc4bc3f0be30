/* How long to spin before parking. */
#ifndef PX_LOCK_SPIN_H
#define PX_LOCK_SPIN_H

/* Pauses worth spending on a lock that its holder may be about to release: what
 * a park and a wake would cost is many times more. 0 when the process has one
 * CPU, where the holder cannot run meanwhile. Any thread; a load. */
unsigned px__spin_limit(void);

#endif
