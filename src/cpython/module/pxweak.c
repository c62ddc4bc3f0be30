/*
 * Copies of weak references, and of what is made of them.
 *
 * Thread rule: as pxcross.c.
 */
#include "pycore_pxmodule.h"
