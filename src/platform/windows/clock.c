/* The monotonic clock of Windows. Thread rule: any thread. */
#include "platform/clock.h"

#include <windows.h>

/* Seconds and rest apart: ticks * 10^9 overflows after some days of uptime. */
int64_t
px__now_ns(void)
{
    LARGE_INTEGER ticks, per_second; /* neither call fails since Windows XP */
    QueryPerformanceFrequency(&per_second);
    QueryPerformanceCounter(&ticks);
    int64_t seconds = ticks.QuadPart / per_second.QuadPart;
    int64_t rest = ticks.QuadPart % per_second.QuadPart;
    return seconds * PX_NS_PER_SEC + rest * PX_NS_PER_SEC / per_second.QuadPart;
}
