/*
 * The functions of tests/fault/wrapped.txt. The linker turns a call to f into
 * one to __wrap_f, and __real_f into the true f (--wrap=f). A name that is in
 * only one of the two places does not link, so they cannot drift apart.
 *
 * Each row: result, name, parameters, arguments, result of a failed call. The
 * failure is one that the system really gives at that place.
 */
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

/* Each wrapper is its own declaration: nobody calls it by name. */
#define DECLARE(result, name, parameters)                                      \
    result __real_##name parameters;                                           \
    result __wrap_##name parameters;

#define FAULT(result, name, parameters, arguments, failure)                    \
    DECLARE(result, name, parameters)                                          \
    result __wrap_##name parameters                                            \
    {                                                                          \
        return fault_hit(#name) ? (failure) : __real_##name arguments;         \
    }

/* The same for functions that report through errno. */
#define FAULT_ERRNO(result, name, parameters, arguments, failure, code)        \
    FAULT(result, name, parameters, arguments, (errno = (code), (failure)))

/* And for those that have several ways to fail, of which each gets its turn. */
#define FAULT_CODES(result, name, parameters, arguments, ...)                  \
    FAULT(                                                                     \
        result, name, parameters, arguments,                                   \
        (errno = fault_code((const int[]){__VA_ARGS__},                        \
                            sizeof((const int[]){__VA_ARGS__}) / sizeof(int)), \
         -1))

/* Memory mapping. madvise fails with EAGAIN where a kernel resource is short;
 * mprotect with ENOMEM when a mapping cannot be split. */
FAULT_ERRNO(void *, mmap,
            (void *at, size_t n, int prot, int flags, int fd, off_t offset),
            (at, n, prot, flags, fd, offset), MAP_FAILED, ENOMEM)
FAULT_ERRNO(int, madvise, (void *at, size_t n, int advice), (at, n, advice), -1,
            EAGAIN)
FAULT_ERRNO(int, mprotect, (void *at, size_t n, int prot), (at, n, prot), -1,
            ENOMEM)

FAULT_ERRNO(int, munmap, (void *at, size_t n), (at, n), -1, ENOMEM)

/* Threads. */
FAULT(int, pthread_create,
      (pthread_t * thread, const pthread_attr_t *attr, void *(*run)(void *),
       void *arg),
      (thread, attr, run, arg), EAGAIN)
FAULT(int, pthread_key_create, (pthread_key_t * key, void (*drop)(void *)),
      (key, drop), EAGAIN)

FAULT(int, pthread_attr_init, (pthread_attr_t * attr), (attr), ENOMEM)
FAULT(int, pthread_attr_setstacksize, (pthread_attr_t * attr, size_t bytes),
      (attr, bytes), EINVAL)
FAULT(int, pthread_setspecific, (pthread_key_t key, const void *value),
      (key, value), ENOMEM)
FAULT(int, pthread_atfork,
      (void (*prepare)(void), void (*parent)(void), void (*child)(void)),
      (prepare, parent, child), ENOMEM)
FAULT_ERRNO(int, sched_getaffinity, (pid_t pid, size_t bytes, cpu_set_t *set),
            (pid, bytes, set), -1, EPERM)

/* Files; the library opens them for reading only, but what a coverage build
 * links in creates some. A mode that was not passed is not looked at. */
DECLARE(int, open, (const char *path, int flags, ...))
int
__wrap_open(const char *path, int flags, ...)
{
    va_list more;
    if (fault_hit("open")) {
        errno = EMFILE;
        return -1;
    }
    va_start(more, flags);
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
    va_end(more);
    return __real_open(path, flags, mode);
}

FAULT_ERRNO(ssize_t, read, (int fd, void *at, size_t n), (fd, at, n), -1, EIO)

/* Sockets. */
FAULT_ERRNO(int, socket, (int family, int type, int protocol),
            (family, type, protocol), -1, EMFILE)
FAULT_ERRNO(int, bind, (int fd, const struct sockaddr *at, socklen_t bytes),
            (fd, at, bytes), -1, EADDRINUSE)
FAULT_ERRNO(int, listen, (int fd, int backlog), (fd, backlog), -1, EADDRINUSE)
FAULT_CODES(int, accept4,
            (int fd, struct sockaddr *from, socklen_t *bytes, int flags),
            (fd, from, bytes, flags), EMFILE, ECONNABORTED, ENOMEM)
FAULT_ERRNO(int, setsockopt,
            (int fd, int level, int name, const void *value, socklen_t bytes),
            (fd, level, name, value, bytes), -1, EINVAL)
FAULT_ERRNO(int, getsockname, (int fd, struct sockaddr *at, socklen_t *bytes),
            (fd, at, bytes), -1, ENOBUFS)
FAULT_CODES(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags),
            (fd, message, flags), EPIPE, EAGAIN, ECONNRESET, ENOBUFS)
FAULT_ERRNO(int, poll, (struct pollfd * fds, nfds_t count, int timeout_ms),
            (fds, count, timeout_ms), -1, ENOMEM)

/* libuv: loop and handles. */
FAULT(int, uv_loop_init, (uv_loop_t * loop), (loop), UV_EMFILE)
FAULT(int, uv_async_init, (uv_loop_t * loop, uv_async_t *async, uv_async_cb cb),
      (loop, async, cb), UV_EMFILE)
FAULT(int, uv_poll_init, (uv_loop_t * loop, uv_poll_t *poll, int fd),
      (loop, poll, fd), UV_EBADF)
FAULT(int, uv_poll_start, (uv_poll_t * poll, int events, uv_poll_cb cb),
      (poll, events, cb), UV_ENOMEM)

/* libuv: streams. */
FAULT(int, uv_tcp_init, (uv_loop_t * loop, uv_tcp_t *tcp), (loop, tcp),
      UV_ENOMEM)
FAULT(int, uv_tcp_open, (uv_tcp_t * tcp, uv_os_sock_t fd), (tcp, fd), UV_EBADF)
FAULT(int, uv_tcp_close_reset, (uv_tcp_t * tcp, uv_close_cb cb), (tcp, cb),
      UV_EINVAL)
FAULT(int, uv_tcp_nodelay, (uv_tcp_t * tcp, int on), (tcp, on), UV_EINVAL)
FAULT(int, uv_read_start,
      (uv_stream_t * stream, uv_alloc_cb alloc, uv_read_cb cb),
      (stream, alloc, cb), UV_ENOTCONN)
FAULT(int, uv_write,
      (uv_write_t * request, uv_stream_t *stream, const uv_buf_t buffers[],
       unsigned count, uv_write_cb cb),
      (request, stream, buffers, count, cb), UV_ENOMEM)

/* The memory family also keeps the balance of blocks. */
static void *
counted(void *block)
{
    if (block)
        fault_block(+1);
    return block;
}

#define FAULT_MEMORY(name, parameters, arguments)                              \
    DECLARE(void *, name, parameters)                                          \
    void *__wrap_##name parameters                                             \
    {                                                                          \
        if (!fault_hit(#name))                                                 \
            return counted(__real_##name arguments);                           \
        errno = ENOMEM;                                                        \
        return NULL;                                                           \
    }

FAULT_MEMORY(malloc, (size_t n), (n))
FAULT_MEMORY(calloc, (size_t count, size_t n), (count, n))
FAULT_MEMORY(aligned_alloc, (size_t align, size_t n), (align, n))

DECLARE(char *, strdup, (const char *text))
char *
__wrap_strdup(const char *text)
{
    return fault_hit("strdup") ? NULL : counted(__real_strdup(text));
}

DECLARE(int, posix_memalign, (void **block, size_t align, size_t n))
int
__wrap_posix_memalign(void **block, size_t align, size_t n)
{
    if (fault_hit("posix_memalign"))
        return ENOMEM;
    int code = __real_posix_memalign(block, align, n);
    if (code == 0)
        fault_block(+1);
    return code;
}

/* Only the first realloc of a block makes a new one. */
DECLARE(void *, realloc, (void *block, size_t n))
void *
__wrap_realloc(void *block, size_t n)
{
    if (fault_hit("realloc")) {
        errno = ENOMEM;
        return NULL;
    }
    void *moved = __real_realloc(block, n);
    return block ? moved : counted(moved);
}

/* Never fails: wrapped for the balance alone. */
DECLARE(void, free, (void *block))
void
__wrap_free(void *block)
{
    if (block)
        fault_block(-1);
    __real_free(block);
}
