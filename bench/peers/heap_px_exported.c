/* pxrt through the exported function: what bindings to it get. */
#define PEER heap_peer_px_exported
#define PEER_PX_ALLOC px_heap_alloc_exported
#include "heap_px.h"
