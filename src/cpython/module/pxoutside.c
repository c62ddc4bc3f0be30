/*
 * Memory that an object of a context's has outside of the context, so that it can
 * leave with the object: the state of a library in C.
 *
 *      cx->outside ----> record ----> record ...      in the context's heap
 *                          |
 *                          +---> blocks        main's raw memory, or malloc's
 *
 * Most of what libraries allocate lies in the context's heap like all else: they
 * are given PyMem_RawMalloc(). What leaves is copied from there field by field,
 * which takes a function of the library's or its layout. Where there is neither, the
 * state cannot be copied, but it can be kept: blocks that are main's already need
 * not move. So while such an object is made, and whenever its library asks for more,
 * PyMem_RawMalloc() gives main's, and a record of the object's notes it. What a
 * library takes from malloc() by itself is noted, too: else it would be lost when
 * nobody deallocates the object.
 *
 *   U1  A block is in one record, from its allocation until it is freed, or until
 *       the record is taken: then the blocks are main's like any other.
 *   U2  What is not taken when main has its copies is freed then, whoever it is of;
 *       of a callback that the guard has ended, by the worker.
 *   U3  A context that has a record counts references: outside there is nobody who
 *       would notice that memory runs out.
 *   U4  Blocks count for the context's limit, as far as they are asked for here.
 *   U5  While tracemalloc traces there are none: what it notes of a block would be
 *       the context's. An object with such a part in the heap stays.
 *
 * Rejected: all that PyMem_RawMalloc() gives. A lock would take three times as long,
 * and nobody would know what is whose.
 *
 * Thread rule: a worker in a context, about that context; _Px_EndOutside() also on
 * the main side, when the context is at rest.
 */
#include "pycore_pxcross.h"

#include "pycore_pymem.h"
#include "pycore_runtime.h"

#include <malloc.h>

/* ---- main's memory --------------------------------------------------------- */

/* What is larger than any structure of a library's is tables and text. */
enum { LARGEST = 1 << 20 };

#define RAW _PyRuntime.allocators.standard.raw

static void
free_block(const _Px_block *block)
{
    if (block->is_plain) {
        free(block->at);
    }
    else {
        RAW.free(RAW.ctx, block->at);
    }
}

/* One that is going to be looked into has no words of others in it. */
static void *
take_block(size_t bytes)
{
    return bytes <= LARGEST ? RAW.calloc(RAW.ctx, 1, bytes)
                            : RAW.malloc(RAW.ctx, bytes);
}

/* U4 */
static bool
is_over_limit(const struct _Px_cx *cx, size_t bytes)
{
    const char *next = ((px_cursor *)(void *)cx->heap)->next;
    size_t left = next < cx->limit ? (size_t)(cx->limit - next) : 0;
    return left <= cx->outside_bytes || left - cx->outside_bytes <= bytes;
}

/* ---- records --------------------------------------------------------------- */

static bool
have_room(_Px_outside *record)
{
    if (record->count < record->room) {
        return true;
    }
    size_t room = record->room ? 2 * record->room : 8;
    _Px_block *blocks =
        _Px_Realloc(record->blocks, room * sizeof *record->blocks);
    if (blocks) {
        record->blocks = blocks;
        record->room = room;
    }
    return blocks;
}

static void
drop_record(struct _Px_cx *cx, _Px_outside *record)
{
    _Px_outside **at = &cx->outside;
    while (*at != record) {
        at = &(*at)->next;
    }
    *at = record->next;
    _Px_Free(record->blocks);
    _Px_Free(record);
}

static _Px_block *
find_block(const _Px_outside *record, const void *block)
{
    size_t i = 0;
    while (i < record->count && record->blocks[i].at != block) {
        i++;
    }
    return i < record->count ? &record->blocks[i] : NULL;
}

static void
note(struct _Px_cx *cx, _Px_outside *record, _Px_block block)
{
    record->blocks[record->count++] = block;
    cx->outside_bytes += block.bytes;
}

/* The last one that an object has is that of its lock, which goes with it. */
static void
forget_block(struct _Px_cx *cx, _Px_outside *record, _Px_block *block)
{
    cx->outside_bytes -= block->bytes;
    *block = record->blocks[--record->count];
    if (record->count == 0 && record != cx->making) {
        drop_record(cx, record);
    }
}

/* ---- for PyMem_RawMalloc() and PyMem_RawFree() ------------------------------ */

void *
_Px_OutsideMalloc(size_t bytes)
{
    struct _Px_cx *cx = _Px_here.cx;
    _Px_outside *record = cx->making;
    if (_PyRuntime.tracemalloc.config.tracing) { /* U5 */
        record->is_mixed = true;
        return _Px_Malloc(bytes);
    }
    if (is_over_limit(cx, bytes) || !have_room(record)) {
        return NULL;
    }
    void *block = take_block(bytes);
    if (block) {
        note(cx, record, (_Px_block){block, bytes, false});
    }
    return block;
}

bool
_Px_OutsideFree(void *block)
{
    struct _Px_cx *cx = _Px_here.cx;
    for (_Px_outside *at = cx->outside; at; at = at->next) {
        _Px_block *found = find_block(at, block);
        if (found) {
            free_block(found);
            forget_block(cx, at, found);
            return true;
        }
    }
    return false;
}

/* ---- from outside ----------------------------------------------------------- */

/* U3 */
_Px_outside *
_Px_NewOutside(void)
{
    struct _Px_cx *cx = _Px_here.cx;
    _Px_CountLifetimes();
    _Px_outside *record = _Px_Calloc(1, sizeof *record);
    if (record) {
        record->next = cx->outside;
        cx->outside = record;
    }
    return record;
}

void
_Px_DropOutside(_Px_outside *record)
{
    if (record->count == 0) {
        drop_record(_Px_here.cx, record);
    }
}

bool
_Px_NoteBlock(_Px_outside *record, void *block)
{
    if (_Px_OWN(block) || find_block(record, block)) {
        return true;
    }
    if (!have_room(record)) {
        return false;
    }
    size_t bytes = malloc_usable_size(block);
    note(_Px_here.cx, record, (_Px_block){block, bytes, true});
    return true;
}

void
_Px_ForgetBlock(_Px_outside *record, void *block)
{
    _Px_block *found = find_block(record, block);
    if (found && found->is_plain) {
        forget_block(_Px_here.cx, record, found);
    }
}

/* U2 */
void
_Px_EndOutside(_Px_outside *list)
{
    for (_Px_outside *at = list; at; at = at->next) {
        for (size_t i = 0; !at->taken && i < at->count; i++) {
            free_block(&at->blocks[i]);
        }
        at->count = 0;
    }
}

size_t
_Px_CountWords(const _Px_outside *record, const void *address)
{
    size_t found = 0;
    for (size_t i = 0; i < record->count; i++) {
        const void *const *words = record->blocks[i].at;
        size_t size = record->blocks[i].bytes;
        for (size_t j = 0; size <= LARGEST && j < size / sizeof *words; j++) {
            found += words[j] == address;
        }
    }
    return found;
}
