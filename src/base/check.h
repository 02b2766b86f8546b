// base/check.h — assertions about our own logic.
//
// SLAB_DCHECK(x) aborts in debug and test builds and vanishes in production. It is never used on data that
// was read from the zone or from the wire: those are input, and nonsense there is a counted miss.
#pragma once

#if defined(SLAB_DEBUG)
#define SLAB_DCHECK(x) ((x) ? static_cast<void>(0) : __builtin_trap())
#else
#define SLAB_DCHECK(x) static_cast<void>(0)
#endif
