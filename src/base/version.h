// base/version.h — the version of the product, written here alone; `make lint` compares what cannot include it.
#pragma once

namespace slab_cache::base {

inline constexpr char kVersion[] = "0.2.0";

}  // namespace slab_cache::base
