/*
 * Copies of what the module ssl has of OpenSSL's: settings, connections, sessions,
 * buffers, certificates.
 *
 *      SSLSocket --> _SSLSocket --> [ SSL ]     in memory of OpenSSL's, which is
 *        fd            | context       |        the process's, whoever asked for it
 *                  SSLContext ---> [ SSL_CTX ]
 *
 * OpenSSL counts references to what it makes, so the copy gets one of its own. What
 * OpenSSL knows of the object is told anew.
 *
 *   T1  Original and copy have a reference each: the copy gives its own up as any
 *       such object does, that of the original is given up when all is copied.
 *   T2  A connection is used by one side, and settings know one object that their
 *       callbacks are of: both leave when the callback is over, and once.
 *   T3  A connection leaves with its socket's descriptor, whose number it knows.
 *   T4  What main gets to see of a connection is in no other state than it was:
 *       a copy that fails does not say that it is shut down.
 *   T5  What is known of an object has to be as here, to the byte, and OpenSSL's
 *       functions have to be found, or nothing leaves.
 *
 * The interpreter is not linked with OpenSSL, and there may be two in a process: the
 * functions are those that the module itself would find. They are asked for each
 * time, since a worker keeps nothing in the interpreter's data.
 *
 * Rejected: other settings that are like those of an argument, for OpenSSL does not
 * say all that has been set (groups, parameters of Diffie and Hellman); and the same
 * settings for both sides, for what one sets the other would see, in the midst of a
 * handshake maybe.
 *
 * Thread rule: as pxcross.c; _Px_HasTls() and _Px_VisitTls() also for a worker.
 */
#include "pycore_pxcross.h"

#include <dlfcn.h>

/* ---- as _ssl.c has them --------------------------------------------------- */

typedef struct settings {
    PyObject head;
    void *held;
    unsigned char *protocols; /* in the context's memory */
    unsigned int protocol_bytes;
    PyObject *on_name;
    int checks_name;
    unsigned int name_flags;
    int version, authenticates_later;
    PyObject *on_message, *log_name;
    void *log; /* a buffer, too */
    void *module;
    PyObject *on_client_key, *on_server_key;
} settings;

typedef struct connection {
    PyObject head;
    PyObject *socket; /* a weak reference; NULL: it has buffers */
    void *held;
    PyObject *settings;
    char has_seen_nothing;
    int role;
    PyObject *owner, *host;
    int errors[2];
    PyObject *exception;
} connection;

typedef struct buffer {
    PyObject head;
    void *held;
    int is_over;
} buffer;

typedef struct session {
    PyObject head;
    void *held;
    PyObject *settings;
} session;

typedef struct certificate {
    PyObject head;
    void *held;
    Py_hash_t hash;
} certificate;

typedef enum which {
    SETTINGS,
    CONNECTION,
    BUFFER,
    SESSION,
    CERTIFICATE,
    KINDS
} which;

/* Where each has what OpenSSL counts, and its references, up to a 0. */
static const struct part {
    const char *name;
    size_t bytes, held;
    size_t references[6];
} parts[KINDS] = {
    {"_ssl._SSLContext",
     sizeof(settings),
     offsetof(settings, held),
     {offsetof(settings, on_name), offsetof(settings, on_message),
      offsetof(settings, log_name), offsetof(settings, on_client_key),
      offsetof(settings, on_server_key)}},
    {"_ssl._SSLSocket",
     sizeof(connection),
     offsetof(connection, held),
     {offsetof(connection, socket), offsetof(connection, settings),
      offsetof(connection, owner), offsetof(connection, host),
      offsetof(connection, exception)}},
    {"_ssl.MemoryBIO", sizeof(buffer), offsetof(buffer, held), {0}},
    {"_ssl.SSLSession",
     sizeof(session),
     offsetof(session, held),
     {offsetof(session, settings)}},
    {"_ssl.Certificate", sizeof(certificate), offsetof(certificate, held), {0}},
};

static which
kind_of(PyTypeObject *base)
{
    which i = strncmp(base->tp_name, "_ssl.", 5) == 0 ? 0 : KINDS;
    while (i < KINDS && strcmp(parts[i].name, base->tp_name) != 0) {
        i++;
    }
    return i;
}

static which
kind_of_object(PyObject *object)
{
    return kind_of(_Px_BaseInC(Py_TYPE(object)));
}

static void **
held_by(PyObject *object)
{
    return (void **)((char *)object + parts[kind_of_object(object)].held);
}

/* ---- OpenSSL's functions --------------------------------------------------- */

typedef struct library {
    int (*share[KINDS])(void *it);
    void (*give_up[KINDS])(void *it);
    int (*set_data)(void *connection, int index, void *data);
    void (*set_shutdown)(void *connection, int mode);
    int (*get_shutdown)(const void *connection);
    long (*control)(void *settings, int what, long number, void *pointer);
    long (*control_buffer)(void *buffer, int what, long number, void *pointer);
    int (*write)(void *buffer, const void *bytes, int count);
} library;

/* In that order. */
static const char *const functions[] = {
    "SSL_CTX_up_ref",   "SSL_up_ref",   "BIO_up_ref",      "SSL_SESSION_up_ref",
    "X509_up_ref",      "SSL_CTX_free", "SSL_free",        "BIO_free_all",
    "SSL_SESSION_free", "X509_free",    "SSL_set_ex_data", "SSL_set_shutdown",
    "SSL_get_shutdown", "SSL_CTX_ctrl", "BIO_ctrl",        "BIO_write",
};

_Static_assert(sizeof(library) == sizeof functions, "one name for each");

/* Of OpenSSL's interface. */
enum { OF_APPLICATION = 0, SENT = 1, SET_ARGUMENT_ON_NAME = 54, GET_BYTES = 3 };

/* The module's code, and what it is linked with; to be closed. */
static void *
open_module(PyTypeObject *base)
{
    Dl_info info;
    void *module = dladdr((void *)base->tp_dealloc, &info)
                       ? dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD)
                       : NULL;
    return module ? module : dlopen(NULL, RTLD_LAZY);
}

/* False: some are not found. */
static bool
find_functions(PyTypeObject *base, library *to)
{
    bool all = true;
    void *module = open_module(base);
    for (size_t i = 0; i < Py_ARRAY_LENGTH(functions); i++) {
        void *found = module ? dlsym(module, functions[i]) : NULL;
        memcpy((char *)to + i * sizeof found, &found, sizeof found);
        all &= found != NULL;
    }
    if (module) {
        dlclose(module); /* which is loaded all the same */
    }
    return all;
}

/* The kind has been found (T5), and these thereby. */
static library
library_of(PyObject *object)
{
    library found;
    (void)find_functions(_Px_BaseInC(Py_TYPE(object)), &found);
    return found;
}

bool
_Px_HasTls(PyTypeObject *base)
{
    library found;
    which kind = kind_of(base);
    return kind < KINDS && (size_t)base->tp_basicsize == parts[kind].bytes &&
           find_functions(base, &found);
}

int
_Px_VisitTls(PyObject *object, visitproc visit, void *arg)
{
    which kind = kind_of_object(object);
    int status = 0;
    const size_t *at = kind < KINDS ? parts[kind].references : NULL;
    for (; at && *at && !status; at++) {
        status = visit(*(PyObject **)((char *)object + *at), arg);
    }
    return status;
}

/* ---- who leaves ------------------------------------------------------------- */

/* T2 */
static int
claim(PyObject *object)
{
    return _Px_TakeOver(object) ? 0 : _Px_RefuseTwice(object, "return it");
}

static bool
may_take(PyObject *object)
{
    const _Px_resource *resource = _Px_FindResource(object);
    return resource && !resource->taken;
}

/* T1 */
static void
share(const library *its, PyObject *copy, PyObject *object)
{
    void *held = *held_by(object);
    if (held) {
        (void)its->share[kind_of_object(object)](held);
    }
    *held_by(copy) = held;
}

static int
copy_references(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    const size_t *at = parts[kind_of_object(object)].references;
    for (; *at; at++) {
        PyObject *part = *(PyObject **)((char *)object + *at);
        PyObject *mine = part ? _Px_CopyPart(to, part) : NULL;
        if (part && !mine) {
            return -1;
        }
        *(PyObject **)((char *)copy + *at) = mine;
    }
    return 0;
}

/* ---- settings ---------------------------------------------------------------- */

/* The method tells OpenSSL whose they are. */
static int
copy_protocols(settings *mine, const settings *from)
{
    PyObject *names = NULL, *done = NULL;
    if (!from->protocols) {
        return 0;
    }
    names = PyBytes_FromStringAndSize((char *)from->protocols,
                                      from->protocol_bytes);
    if (names) {
        done = _Px_CallInC((PyObject *)mine, "_set_alpn_protocols", names);
    }
    Py_XDECREF(names);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static void
copy_settings(const library *its, settings *mine, const settings *from)
{
    mine->checks_name = from->checks_name;
    mine->name_flags = from->name_flags;
    mine->version = from->version;
    mine->authenticates_later = from->authenticates_later;
    mine->module = from->module;
    if (from->log) {
        (void)its->share[BUFFER](from->log);
        mine->log = from->log;
    }
    if (from->on_name) {
        its->control(mine->held, SET_ARGUMENT_ON_NAME, 0, mine);
    }
}

static int
fill_settings(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    library its = library_of(object);
    if (claim(object) < 0) {
        return -1;
    }
    share(&its, copy, object);
    copy_settings(&its, (settings *)copy, (settings *)object);
    return copy_references(to, copy, object) < 0
               ? -1
               : copy_protocols((settings *)copy, (settings *)object);
}

/* ---- connections --------------------------------------------------------------- */

/* T3 */
static int
check_socket(const _Px_crossing *to, const connection *from)
{
    PyObject *socket =
        from->socket ? ((PyWeakReference *)from->socket)->wr_object : Py_None;
    if (_Px_IsMains(socket) || !_Px_HasLeft(to, socket)) {
        return 0;
    }
    PyErr_SetString(_Px_PersistenceError,
                    "a TLS connection cannot leave its context without its "
                    "socket, which is part of another result, or call");
    return -1;
}

static int
fill_connection(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    library its = library_of(object);
    connection *mine = (connection *)copy;
    const connection *from = (connection *)object;
    if (check_socket(to, from) < 0 || claim(object) < 0) {
        return -1;
    }
    share(&its, copy, object);
    mine->has_seen_nothing = from->has_seen_nothing;
    mine->role = from->role;
    memcpy(mine->errors, from->errors, sizeof mine->errors);
    its.set_data(mine->held, OF_APPLICATION, mine);
    return copy_references(to, copy, object);
}

/* ---- buffers --------------------------------------------------------------------- */

/* It is part of a connection maybe, which leaves, too. */
static void
take_buffer(PyObject *copy, PyObject *object)
{
    library its = library_of(object);
    _Px_FindResource(object)->taken = true;
    share(&its, copy, object);
    ((buffer *)copy)->is_over = ((buffer *)object)->is_over;
}

/* Like a new one to which the same has been written. */
static int
copy_bytes(buffer *mine, const buffer *from)
{
    char *bytes = NULL;
    library its = library_of((PyObject *)from);
    long count = its.control_buffer(from->held, GET_BYTES, 0, &bytes);
    if (count > 0 && its.write(mine->held, bytes, (int)count) != count) {
        PyErr_NoMemory();
        return -1;
    }
    if (!from->is_over) {
        return 0;
    }
    PyObject *done = _Px_CallInC((PyObject *)mine, "write_eof", NULL);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static PyObject *
make_buffer(PyTypeObject *type, PyObject *object)
{
    if (may_take(object)) {
        return type->tp_alloc(type, 0);
    }
    PyObject *copy = _Px_ConstructEmpty(type);
    if (copy && copy_bytes((buffer *)copy, (buffer *)object) < 0) {
        Py_CLEAR(copy);
    }
    return copy;
}

/* ---- whatever it is --------------------------------------------------------------- */

PyObject *
_Px_MakeTls(_Px_crossing *Py_UNUSED(to), PyTypeObject *type, PyObject *object)
{
    return kind_of_object(object) == BUFFER ? make_buffer(type, object)
                                            : type->tp_alloc(type, 0);
}

int
_Px_FillTls(_Px_crossing *to, PyObject *copy, PyObject *object)
{
    library its;
    switch (kind_of_object(object)) {
    case SETTINGS:
        return fill_settings(to, copy, object);
    case CONNECTION:
        return fill_connection(to, copy, object);
    case BUFFER:
        if (may_take(object)) {
            take_buffer(copy, object);
        }
        return 0;
    case CERTIFICATE:
        ((certificate *)copy)->hash = ((certificate *)object)->hash;
        break;
    default:
        break;
    }
    its = library_of(object);
    share(&its, copy, object);
    return copy_references(to, copy, object);
}

/* T4 */
void
_Px_GiveBackTls(PyObject *copy, PyObject *object)
{
    which kind = kind_of_object(object);
    _Px_resource *resource = _Px_FindResource(object);
    if (kind == KINDS || !resource || *held_by(copy) != *held_by(object)) {
        return;
    }
    resource->taken = false;
    if (kind == CONNECTION) {
        library_of(object).give_up[CONNECTION](*held_by(copy));
        *held_by(copy) = NULL;
    }
}

/* T1. As its class does it, where nobody is to know more of it. */
void
_Px_ReleaseTls(const _Px_resource *resource)
{
    PyObject *object = resource->object;
    which kind = kind_of_object(object);
    void *held = kind < KINDS ? *held_by(object) : NULL;
    if (!held) {
        return;
    }
    library its = library_of(object);
    if (kind == CONNECTION && !resource->taken) {
        its.set_shutdown(held, SENT | its.get_shutdown(held));
    }
    if (kind == SETTINGS && ((settings *)object)->log) {
        its.give_up[BUFFER](((settings *)object)->log);
    }
    its.give_up[kind](held);
}
