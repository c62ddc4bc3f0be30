/*
 * OS contract: put a thread to sleep on a 32-bit word, wake it by the word's
 * address. Everything in pxrt that blocks, blocks here.
 *
 *   waiter                              waker
 *   read word -> v                      change the word
 *   if v means "wait": park(word, v)    unpark_one(word) or unpark_all(word)
 *
 * Guarantees the implementations give
 *   P1  no lost wake-up: a waker that changed the word before its unpark either
 *       wakes the waiter or the waiter's park sees the change and returns
 *   P2  park may return for no reason; the caller re-reads the word in a loop
 *   P3  unpark tells nobody whether somebody was woken. Linux knows, Windows
 *       and condition variables do not, and an algorithm that believes an
 *       invented answer loses wake-ups; so nobody gets one (see tests/model)
 *   P4  unpark never reads the word: the object may already be gone by then
 *   P5  neither orders memory; the caller's atomics on the word do
 *
 * Words are private to the process. In the child of a fork no parked thread
 * exists; nothing there may park on a word it inherited.
 */
#ifndef PX_PLATFORM_PARK_H
#define PX_PLATFORM_PARK_H

#include <stdint.h>

/* Which implementation a POSIX build takes: the futex of Linux, or condition
 * variables in a hash table. PX_PARK_HASHED forces the latter, to test it. */
#if defined(__linux__) && !defined(PX_PARK_HASHED)
#define PX_PARK_FUTEX
#endif

/* Sleep while *word == expected, until unparked, or for timeout_ns (< 0: for
 * ever; 0: do not sleep). Returns PX_OK (woken, changed, or for no reason: P2)
 * or PX_ETIMEDOUT. Any thread. */
int px__park(uint32_t *word, uint32_t expected, int64_t timeout_ns);

/* Wake at least one of the threads that sleep on @word, if there are any. */
void px__unpark_one(uint32_t *word);

/* Wake every thread that sleeps on @word. */
void px__unpark_all(uint32_t *word);

#endif
