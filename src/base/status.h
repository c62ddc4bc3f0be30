/* Internal side of <pxrt/status.h>: the translator of another layer's codes. */
#ifndef PX_BASE_STATUS_H
#define PX_BASE_STATUS_H

#include <pxrt/status.h>

typedef const char *(*px__strerror_fn)(int status);

/* Let @fn name the codes that are not pxrt's own; it returns a constant string
 * or NULL. One process-wide translator; any thread. */
void px__status_set_foreign(px__strerror_fn fn);

#endif
