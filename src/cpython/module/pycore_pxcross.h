/*
 * What the sources share that copy what leaves a context.
 *
 *      pxclass.c    copies of instances and functions
 *      pxtype.c     copies of classes and modules
 *      pxframe.c    copies of code and generators
 *      pxcopy.c     copies of values and containers
 *      pxlibrary.c  copies of what the library's C code makes
 *      pxlayout.c   copies of objects in C, word by word
 *      pxiter.c     copies of iterators that take more
 *      pxctypes.c   copies of the data of ctypes
 *      pxweak.c     copies of weak references
 *      pxresource.c copies of files and sockets
 *      pxmapping.c  copies of mappings of memory
 *      pxlisting.c  copies of listings of directories
 *      pxcodec.c    copies of compressors that no library copies
 *      pxtls.c      copies of what is OpenSSL's
 *      pxoutside.c  what these have outside of a context
 *      pxstate.c    copies of what holds a state of C code's
 *      pxexcept.c   copies of exceptions
 *      pxcross.c    objects that leave a context
 *      pxfinalize.c what weakref.finalize() was told
 *
 * They use each other, and those of pycore_px.h.
 */
#ifndef Py_INTERNAL_PXCROSS_H
#define Py_INTERNAL_PXCROSS_H

#include "pycore_px.h"

/* ---- pxcross.c ----------------------------------------------------------- */

/* Main, while contexts stand still: an object of main's that equals @object,
 * which may be a context's. What cannot be copied is a PersistenceError. The copy
 * is complete after _Px_FillLate(*late), which is due if *late is not NULL. */
extern PyObject *_Px_Promote(PyObject *object, PyObject **late);

/* The same for an exception; never fails but for memory. */
extern PyObject *_Px_PromoteException(PyObject *exception, PyObject **late);

/* Main, when all copies are made: runs Python code. Takes @late over. */
extern int _Px_FillLate(PyObject *late);

/* One object that leaves a context, with all that it refers to. */
typedef struct _Px_crossing {
    struct _Py_hashtable_t *memo; /* a context's object -> its copy, counted */
    PyObject *late;   /* containers and what they contain, or NULL */
    PyObject **order; /* what the memo has, the oldest first */
    size_t count, room;
    size_t instances;  /* the first so many are main's instances, no copies */
    bool in_exception; /* it is completed when all its arguments are made */
    bool has_classes;
    bool has_references; /* weak ones */
} _Px_crossing;

/* What a crossing had made at some time: see _Px_ForgetSince(). */
typedef struct _Px_crossing_mark {
    size_t count;
    Py_ssize_t late;
} _Px_crossing_mark;

/* A copy of @object's own class @type, which is the kind's or made of it. */
typedef PyObject *_Px_maker(_Px_crossing *to, PyTypeObject *type,
                            PyObject *object);
typedef int _Px_filler(_Px_crossing *to, PyObject *copy, PyObject *object);

typedef struct _Px_kind {
    PyTypeObject *type; /* NULL: it is known by its name */
    const char *name;
    _Px_maker *make;  /* the copy, but for parts that may refer to it */
    _Px_filler *fill; /* these; NULL: there are none */
    bool is_number;
} _Px_kind;

/* Neither a context's own nor in its reach. */
static inline bool
_Px_IsMains(const void *object)
{
    return px_owner_word(object) == 0;
}

/* NULL, with the error that @object, or what refers to it, must stay. */
extern PyObject *_Px_Refuse(PyObject *object);

/* What there is to know of a context that is over, of which copies are made. */
typedef struct px_luggage {
    struct _Px_instead
        *instead; /* its copies of main's instances: these leave */
    struct _Px_resource *resources; /* its files that leave, or NULL */
    struct _Px_outside *outside;    /* its blocks of main's, or NULL */
    PyObject *finalizers; /* {its finalizer: info} of what leaves, or NULL */
    char *states;         /* raw memory, of each of these; NULL: none copied */
} px_luggage;

/* NULL: the context goes on. */
extern px_luggage *_Px_luggage;

extern PyObject *_Px_CopyPart(_Px_crossing *to, PyObject *object);
extern PyObject *_Px_Remember(_Px_crossing *to, PyObject *object,
                              PyObject *copy);
/* C7. Takes over a copy that nobody else has, or NULL; NULL. */
extern PyObject *_Px_DropCopy(PyObject *copy);
extern PyObject *_Px_Known(const _Px_crossing *to, PyObject *object);
extern _Px_crossing_mark _Px_MarkCrossing(const _Px_crossing *to);
extern void _Px_ForgetSince(_Px_crossing *to, _Px_crossing_mark mark);
extern int _Px_PutLate(_Px_crossing *to, PyObject *container, PyObject *items);

/* ---- pxcopy.c ------------------------------------------------------------ */

/* How to copy instances of @type; NULL: that cannot be done. */
extern const _Px_kind *_Px_KindOf(PyTypeObject *type);

/* What the kind makes for @type of @arguments, which it takes over; of none. */
extern PyObject *_Px_Construct(PyTypeObject *type, PyObject *arguments);
extern PyObject *_Px_ConstructEmpty(PyTypeObject *type);

/* Takes over (type, arguments of its constructor, ...), made by C code. */
extern PyObject *_Px_FollowRecipe(_Px_crossing *to, PyTypeObject *type,
                                  PyObject *recipe);

/* What @object has by this name in its class in C. */
extern PyObject *_Px_AttributeInC(PyObject *object, const char *name);

/* Copies of the items of a tuple, which it takes over. */
extern PyObject *_Px_CopyItems(_Px_crossing *to, PyObject *items);

/* Copies of @items; -1 if one fails, where the rest stays as it is: NULL. */
extern int _Px_FillItems(_Px_crossing *to, PyObject **to_items,
                         PyObject **items, Py_ssize_t count);

/* L1 of pxcopy.c. */
extern bool _Px_AreKeysHashedInC(PyObject *dict);

/* dict[key] = value, whatever kind of dict, without methods of its class. */
extern int _Px_SetItem(PyObject *dict, PyObject *key, PyObject *value);

extern _Px_maker _Px_MakeByArguments;
extern _Px_filler _Px_FillDict;

/* Copies of members of a set from a place in its table on; have them added to a
 * set, now or late: takes @members over. */
extern PyObject *_Px_CopyMembers(_Px_crossing *to, PyObject *set,
                                 Py_ssize_t at);
extern int _Px_AddMembers(_Px_crossing *to, PyObject *set, PyObject *members);

/* ---- pxlibrary.c --------------------------------------------------------- */

/* What the C method of this name returns, with an argument if it is not NULL. */
extern PyObject *_Px_CallInC(PyObject *object, const char *name,
                             PyObject *argument);

/* As the traversal of the object's class, which leaves out zones of dates,
 * what scanners of re look into, and what is known of TLS. */
extern int _Px_TraverseAll(PyObject *object, visitproc visit, void *arg);

extern _Px_maker _Px_MakeTime, _Px_MakeTimezone, _Px_MakeArray;
extern _Px_maker _Px_MakeDeque, _Px_MakePacker, _Px_MakeRandom;
extern _Px_maker _Px_MakeBytesIO, _Px_MakeStringIO;
extern _Px_maker _Px_MakeLock, _Px_MakeRLock, _Px_MakeCached;
extern _Px_filler _Px_FillDeque, _Px_FillDefaultDict, _Px_FillElement;
extern _Px_maker _Px_MakeThread, _Px_MakeMultibyte;
extern _Px_filler _Px_FillQueue, _Px_FillElementIterator;

/* NULL: a lock that is held stays. */
extern PyObject *_Px_RefuseHeld(PyObject *lock);

/* ---- pxlayout.c ---------------------------------------------------------- */

/* Whether it is known of the instances of @base, a class in C, what each of their
 * words is. */
extern bool _Px_HasLayout(PyTypeObject *base);

extern _Px_maker _Px_MakeWords;
extern _Px_filler _Px_FillWords;

/* ---- pxctypes.c ---------------------------------------------------------- */

/* NULL: @base, a class in C, is none of ctypes. */
extern const _Px_kind *_Px_KindOfData(PyTypeObject *base);

/* ---- pxresource.c -------------------------------------------------------- */

/* Something that leaves and has more than memory of its context's. */
typedef struct _Px_resource {
    PyObject *object; /* NULL: the last */
    bool taken;       /* its descriptor, say, by a copy */
} _Px_resource;

/* Of _Px_luggage, or NULL. */
extern _Px_resource *_Px_FindResource(const void *object);

/* A worker: those of these objects that have to do with descriptors, in memory of
 * the context's; NULL: there is none. */
extern _Px_resource *_Px_ListResources(PyObject *const *objects, size_t count);

/* Of _Px_luggage: main's copies of those that no copy has been made of, in a
 * list, or closed; NULL: none. */
extern PyObject *_Px_TakeLeft(void);

/* Main gets to see no @copy: @object has its descriptor, or the like, again. */
extern void _Px_GiveBack(PyObject *copy, PyObject *object);

/* Whether a copy of another crossing's has the descriptor of this socket. */
extern bool _Px_HasLeft(const _Px_crossing *to, PyObject *socket);
/* What an object of some kind has that is not memory of its context's. */
typedef struct _Px_holding {
    bool (*holds)(PyObject *object); /* there is some */
    bool (*is_same)(PyObject *copy, PyObject *object);
    void (*give_back)(PyObject *object); /* NULL: it has been on the list */
    void (*empty)(PyObject *copy);       /* releases nothing */
    void (*release)(PyObject *object);   /* NULL: others do */
} _Px_holding;

/* A worker, at the end: release what @object holds; whether it is of such a kind. */
extern bool _Px_ReleaseHeld(PyObject *object);

/* Whether the copy of @object is the first when the callback is over: it takes what
 * @object holds. */
extern bool _Px_TakeOver(PyObject *object);

/* -1: there is no second copy of what @object holds. */
extern int _Px_RefuseTwice(PyObject *object, const char *instead);

/* Another descriptor of the same open file; -1: an OSError. */
extern int _Px_DuplicateDescriptor(int fd);

extern _Px_maker _Px_MakeHandle, _Px_MakeBuffered;
extern _Px_filler _Px_FillHandle, _Px_FillBuffered, _Px_FillText;

/* ---- pxtls.c ------------------------------------------------------------- */

/* Whether it is known of the instances of @base, a class in C, what they have of
 * OpenSSL's. */
extern bool _Px_HasTls(PyTypeObject *base);

/* What @object refers to, if it is such, though its class may not say so. */
extern int _Px_VisitTls(PyObject *object, visitproc visit, void *arg);

extern _Px_maker _Px_MakeTls;
extern _Px_filler _Px_FillTls;

/* What _Px_GiveBack() does; main, when all is copied. */
extern void _Px_GiveBackTls(PyObject *copy, PyObject *object);
extern void _Px_ReleaseTls(const _Px_resource *resource);
/* ---- pxmapping.c, pxlisting.c -------------------------------------------- */

extern const _Px_holding _Px_mapping, _Px_listing;

extern _Px_maker _Px_MakeMapping, _Px_MakeListing;
extern _Px_filler _Px_FillMapping, _Px_FillListing;

/* ---- pxoutside.c ---------------------------------------------------------- */

/* A block that is none of a context's. */
typedef struct _Px_block {
    void *at;
    size_t bytes;
    bool is_plain; /* malloc's */
} _Px_block;

typedef void (*_Px_function)(void);

/* The blocks that an object of a context's has. */
typedef struct _Px_outside {
    struct _Px_outside *next;
    _Px_block *blocks;
    size_t count, room;
    bool taken;         /* they are main's: a copy has them */
    bool is_mixed;      /* there are others, in the context's heap */
    _Px_function alloc; /* what the object's library would call */
    void (*free)(void *, void *);
} _Px_outside;

/* A context: for an object that is about to be made; NULL: no memory. */
extern _Px_outside *_Px_NewOutside(void);

/* It has not been made. */
extern void _Px_DropOutside(_Px_outside *record);

/* Free what is not taken of all of these. */
extern void _Px_EndOutside(_Px_outside *list);

/* A context: @block is the record's, if not the context's; false: no memory. It
 * is not, if it is malloc's. */
extern bool _Px_NoteBlock(_Px_outside *record, void *block);
extern void _Px_ForgetBlock(_Px_outside *record, void *block);

/* How many words in its blocks are this address. */
extern size_t _Px_CountWords(const _Px_outside *record, const void *address);

/* ---- pxcodec.c ------------------------------------------------------------ */

extern const _Px_holding _Px_codec;

extern const _Px_kind _Px_codecs;
extern bool _Px_IsCodec(const PyTypeObject *base);

/* ---- pxclass.c ----------------------------------------------------------- */

/* The nearest base whose instances are made by C code; @type itself maybe. */
extern PyTypeObject *_Px_BaseInC(PyTypeObject *type);

/* Whether a class statement has made it, or the like. */
extern bool _Px_IsMadeByPython(const PyTypeObject *type);

/* Whether slots, dict and weak references are all that @type adds to it. */
extern bool _Px_AddsOnlySlots(PyTypeObject *type, PyTypeObject *base);

/* Copy what is in slots and in the dict. */
extern int _Px_CopyAttributes(_Px_crossing *to, PyObject *copy,
                              PyObject *object);

/* Main's member of the same value as this one of an enum, if any; a new one. */
extern PyObject *_Px_FindMember(PyObject *object);
extern int _Px_AddMember(PyObject *copy);

extern _Px_maker _Px_MakeFunction;
extern _Px_filler _Px_FillFunction;
extern _Px_maker _Px_MakePlain, _Px_MakeMethod, _Px_MakeCell;
extern _Px_maker _Px_MakeBuiltin, _Px_MakeWrapper;
extern _Px_filler _Px_FillCell;

/* What such a method as [].__len__ is of; not counted. */
extern PyObject *_Px_SelfOfWrapper(PyObject *object);

/* Such as time.struct_time: a tuple with some more fields behind its items. */
extern bool _Px_IsStruct(PyTypeObject *type);
extern _Px_maker _Px_MakeStruct;
extern _Px_filler _Px_FillStruct;

/* Such as list[int]. */
extern _Px_maker _Px_MakeAlias;

/* ---- pxtype.c ------------------------------------------------------------ */

extern _Px_maker _Px_MakeClass, _Px_MakeDescriptor, _Px_MakeModule, _Px_MakeABC;
extern _Px_filler _Px_FillClass, _Px_FillABC;

/* All copies are made: main's bases of this one and its own subclasses are to
 * know it. */
extern int _Px_AddClass(const _Px_crossing *to, PyTypeObject *copy,
                        PyTypeObject *object);

/* ---- pxframe.c ----------------------------------------------------------- */

extern _Px_maker _Px_MakeCode, _Px_MakeGenerator;
extern _Px_filler _Px_FillGenerator;

/* ---- pxiter.c ------------------------------------------------------------ */

extern _Px_maker _Px_MakeSetIterator, _Px_MakeView;
extern _Px_filler _Px_FillSetIterator, _Px_FillDictIterator, _Px_FillGroup;
extern _Px_filler _Px_FillTee, _Px_FillOrderedIterator;
extern _Px_maker _Px_MakeDequeIterator, _Px_MakeUnpacker, _Px_MakeScanner;
/* What a scanner of re's looks into, not counted; NULL: it is none. */
extern PyObject *_Px_ScannedString(PyObject *object);

extern _Px_filler _Px_FillProduct, _Px_FillCombinations, _Px_FillPermutations;

/* ---- pxweak.c ------------------------------------------------------------ */

extern _Px_maker _Px_MakeReference;
extern _Px_filler _Px_FillReference;

/* All copies are made, of @root and what it refers to: weak references refer to
 * them, or are dead. */
extern int _Px_ResolveReferences(_Px_crossing *to, PyObject *root);

/* They are not needed, and nobody is to hear of it. */
extern void _Px_DisarmReferences(_Px_crossing *to);

/* For _Px_FillLate(), when all containers are filled: runs Python code. */
extern void _Px_EndReference(PyObject *reference, PyObject *other);

/* ---- pxstate.c ----------------------------------------------------------- */

/* Whether instances of @base, a class in C, make copies of themselves. */
extern bool _Px_HasTwins(PyTypeObject *base);

/* Main, when a context is about to go: free what a twin's original has outside of
 * its memory, if it is a digest. */
extern void _Px_ReleaseTwin(PyObject *object);

extern _Px_maker _Px_MakeTwin, _Px_MakeVariable, _Px_MakeContext;
extern _Px_maker _Px_MakeLocal, _Px_MakeZone;
extern _Px_filler _Px_FillStream, _Px_FillVariable, _Px_FillContext;

/* ---- pxexcept.c ---------------------------------------------------------- */

extern PyObject *_Px_CopyException(_Px_crossing *to, PyObject *exception);
extern _Px_maker _Px_MakeTraceback;

/* ---- pxfinalize.c -------------------------------------------------------- */

typedef bool _Px_leaver(const void *walk, PyObject *object);

/* A worker, at the end: the context's {finalizer: info}, or NULL. */
extern PyObject *_Px_FindFinalizers(void);

/* Call those whose object does not leave. */
extern void _Px_CallFinalizers(PyObject *table, _Px_leaver *leaves,
                               const void *walk);

/* Of _Px_luggage: those of what has been copied; whether they have left with it. */
extern int _Px_CopyFinalizers(_Px_crossing *to);
extern void _Px_NoteFinalizers(bool left);

/* For _Px_FillLate(): main has it. */
extern int _Px_AdoptFinalizer(PyObject *finalizer, PyObject *info);

/* Of _Px_luggage: a copy of the table, if some have not left; or NULL. When Python
 * code may run, call these. Takes both over. */
extern PyObject *_Px_TakeFinalizers(PyObject **late);
extern void _Px_EndFinalizers(PyObject *table, PyObject *late,
                              const char *states);

#endif
