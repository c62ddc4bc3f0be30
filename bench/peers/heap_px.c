/* pxrt through the inline functions of its headers: what C programs get. */
#define PEER heap_peer_px
#define PEER_PX_ALLOC px_heap_alloc
#include "heap_px.h"
