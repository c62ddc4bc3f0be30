/*
 * A user's program in the common part of C and C++: it sees all public headers
 * and the library that fits them.
 */
#include <pxrt.h>

#include <stdio.h>
#include <string.h>

int
main(void)
{
    if (px_version() != PX_VERSION)
        return 1;
    if (strcmp(px_status_name(PX_ENOMEM), "PX_ENOMEM") != 0)
        return 2;
    printf("pxrt %s: %s\n", px_version_string(), px_strerror(PX_OK));
    return 0;
}
