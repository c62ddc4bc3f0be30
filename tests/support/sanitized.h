/* Whether a sanitizer watches: it is slower, and keeps memory of its own. */
#ifndef PX_TESTS_SANITIZED_H
#define PX_TESTS_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { PX_SANITIZED = 1 };
#else
enum { PX_SANITIZED = 0 };
#endif

#endif
