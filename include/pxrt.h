/** @file
 *  libpxrt: parallel contexts, each with its own bump heap that is dropped in
 *  one sweep or rolled back to a snapshot. This header includes all others;
 *  each of them also stands alone.
 */
#ifndef PXRT_H
#define PXRT_H

#include <pxrt/context.h>
#include <pxrt/defs.h>
#include <pxrt/heap.h>
#include <pxrt/ilist.h>
#include <pxrt/lock.h>
#include <pxrt/net.h>
#include <pxrt/runtime.h>
#include <pxrt/shared.h>
#include <pxrt/status.h>

#endif
