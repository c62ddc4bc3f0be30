/* Between work.c and the file that reports errors. */
#ifndef PX_RUNTIME_WORK_H
#define PX_RUNTIME_WORK_H

#include "runtime/dispatch.h"

/* Work for which no context could be made has an error all the same; it lies in
 * the work's record. From the strand to its error and back. */
const px_error *px__stillborn_error(px__strand *strand);
px__strand *px__strand_of_stillborn(const px_error *error);

#endif
