/*
 * Threads on Windows, and fiber-local storage as the slot: unlike thread-local
 * storage it has a callback for the end of a thread.
 *
 * Thread rule: any thread.
 */
#include "platform/thread.h"

#include <limits.h>
#include <process.h>
#include <stdio.h>
#include <windows.h>

#include <pxrt/status.h>

#include "base/assert.h"
#include "platform/thread_slot.h"

static unsigned __stdcall start(void *arg)
{
    px__thread *t = arg;
    if (t->name[0])
        px__thread_set_name(t->name);
    t->fn(t->arg);
    return 0;
}

/* The C run-time's own call, so that its per-thread state exists. */
int
px__thread_create_sized(px__thread *t, const char *name, size_t stack_bytes,
                        px__thread_fn fn, void *arg)
{
    if (stack_bytes > UINT_MAX)
        return PX_ENOMEM;
    t->fn = fn;
    t->arg = arg;
    snprintf(t->name, sizeof t->name, "%s", name ? name : "");
    uintptr_t handle = _beginthreadex(NULL, (unsigned)stack_bytes, start, t,
                                      STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    if (!handle)
        return PX_ENOMEM;
    t->handle = (HANDLE)handle;
    return PX_OK;
}

void
px__thread_join(px__thread *t)
{
    DWORD rc = WaitForSingleObject(t->handle, INFINITE);
    PX_CHECK(rc == WAIT_OBJECT_0, "joined a thread twice");
    CloseHandle(t->handle);
}

unsigned
px__cpu_count(void)
{
    DWORD_PTR process, machine;
    unsigned count = 0;
    if (GetProcessAffinityMask(GetCurrentProcess(), &process, &machine))
        for (; process; process &= process - 1)
            count++;
    /* The mask is 0 when the process spans several groups of 64. */
    return count ? count : GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
}

unsigned
px__cpu_here(void)
{
    return GetCurrentProcessorNumber();
}

uint64_t
px__thread_system_id(void)
{
    return 0;
}

int64_t
px__thread_waited_ns(uint64_t system_id)
{
    (void)system_id;
    return -1;
}

void
px__thread_yield(void)
{
    SwitchToThread();
}

typedef HRESULT(WINAPI *set_description_fn)(HANDLE, PCWSTR);

/* Looked up, since Windows before 10 does not have it. */
void
px__thread_set_name(const char *name)
{
    wchar_t wide[PX_THREAD_NAME_BYTES];
    int i = 0;
    for (; name[i] && i < PX_THREAD_NAME_BYTES - 1; i++)
        wide[i] = (wchar_t)(unsigned char)name[i];
    wide[i] = 0;
    HMODULE kernel = GetModuleHandleW(L"kernel32.dll");
    set_description_fn set = (set_description_fn)(void (*)(void))GetProcAddress(
        kernel, "SetThreadDescription");
    if (set)
        set(GetCurrentThread(), wide);
}

/* --- the slot ------------------------------------------------------------ */

static DWORD slot;
static INIT_ONCE slot_once = INIT_ONCE_STATIC_INIT;

static void WINAPI
thread_ended(void *value)
{
    if (value)
        px__thread_slot_ended(value);
}

static BOOL CALLBACK
create_slot(INIT_ONCE *once, void *arg, void **out)
{
    (void)once;
    (void)arg;
    (void)out;
    slot = FlsAlloc(thread_ended);
    PX_CHECK(slot != FLS_OUT_OF_INDEXES, "no fiber-local slot is left");
    return TRUE;
}

static DWORD
the_slot(void)
{
    InitOnceExecuteOnce(&slot_once, create_slot, NULL, NULL);
    return slot;
}

void *
px__thread_slot_get(void)
{
    return FlsGetValue(the_slot());
}

int
px__thread_slot_set(void *value)
{
    return FlsSetValue(the_slot(), value) ? PX_OK : PX_ENOMEM;
}
