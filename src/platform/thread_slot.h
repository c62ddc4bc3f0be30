/*
 * Between thread.c and its OS halves only: one pointer per thread, and a call
 * when the thread ends.
 */
#ifndef PX_PLATFORM_THREAD_SLOT_H
#define PX_PLATFORM_THREAD_SLOT_H

/* The calling thread's pointer; NULL until set. */
void *px__thread_slot_get(void);

/* Returns PX_OK or PX_ENOMEM. Setting a pointer that is not the thread's first
 * cannot fail. */
int px__thread_slot_set(void *value);

/* The OS half calls this on a thread that ends, with its pointer, which is not
 * NULL. On return the pointer is NULL. */
void px__thread_slot_ended(void *value);

#endif
