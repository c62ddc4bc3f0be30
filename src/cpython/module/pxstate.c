/*
 * Copies of what holds a state of C code's: digests, decoders, context variables.
 *
 * Thread rule: as pxcross.c.
 */
#include "pycore_pxmodule.h"
