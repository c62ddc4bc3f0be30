/* Windows has no fork: the generation never changes. Thread rule: any. */
#include "platform/fork.h"

uint32_t
px__fork_generation(void)
{
    return 1;
}
