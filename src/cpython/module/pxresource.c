/*
 * Copies of files and sockets, which leave with their descriptors.
 *
 * Thread rule: as pxcross.c.
 */
#include "pycore_pxmodule.h"
