/*
 * Park on WaitOnAddress (Windows 8 and later): the OS compares the word and
 * queues the waiter in one step, which is P1. Whether a wake found a sleeper is
 * not told, which is why nobody may ask (P3).
 *
 * Thread rule: any thread. Link with synchronization.lib.
 */
#include "platform/park.h"

#include <windows.h>

#include <pxrt/status.h>

#include "platform/clock.h"

/* Rounded up, so that a short timeout does not become a spin. A timeout beyond
 * 49 days ends early, as "timed out" must not be claimed then. */
static DWORD
milliseconds(int64_t timeout_ns)
{
    if (timeout_ns < 0)
        return INFINITE;
    int64_t ms = timeout_ns / PX_NS_PER_MS + (timeout_ns % PX_NS_PER_MS != 0);
    return ms < INFINITE ? (DWORD)ms : INFINITE - 1;
}

int
px__park(uint32_t *word, uint32_t expected, int64_t timeout_ns)
{
    DWORD ms = milliseconds(timeout_ns);
    BOOL woken = WaitOnAddress(word, &expected, sizeof expected, ms);
    int timed_out = !woken && GetLastError() == ERROR_TIMEOUT;
    return timed_out && ms != INFINITE - 1 ? PX_ETIMEDOUT : PX_OK;
}

void
px__unpark_one(uint32_t *word)
{
    WakeByAddressSingle(word);
}

void
px__unpark_all(uint32_t *word)
{
    WakeByAddressAll(word);
}
