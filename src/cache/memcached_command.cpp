#include "cache/memcached_command.h"

#include <cstring>

namespace slab_cache::cache {
namespace {

char* put(char* to, Bytes text) noexcept {
    if (!text.empty()) {
        std::memcpy(to, text.data(), text.size());
    }
    return to + text.size();
}

}  // namespace

char* write_mg(char* to, Bytes key, uint32_t lease_sec) noexcept {
    to = put(put(put(to, "mg "), key), " v t f c");
    if (lease_sec != 0) {
        to = base::put_decimal(put(to, " N"), lease_sec);
    }
    return put(to, "\r\n");
}

char* write_ms_head(char* to, Bytes key, size_t value_bytes, uint32_t ttl_sec, uint64_t cas) noexcept {
    const uint32_t ttl = ttl_sec > kMaxMemcachedTtl ? kMaxMemcachedTtl : ttl_sec != 0 ? ttl_sec : 1;
    to = base::put_decimal(put(put(put(to, "ms "), key), " "), value_bytes);
    to = base::put_decimal(put(to, " T"), ttl);
    if (cas != 0) {
        to = base::put_decimal(put(to, " C"), cas);
    }
    return put(to, "\r\n");
}

char* write_md(char* to, Bytes key, uint64_t cas) noexcept {
    to = put(put(to, "md "), key);
    if (cas != 0) {
        to = base::put_decimal(put(to, " C"), cas);
    }
    return put(to, "\r\n");
}

}  // namespace slab_cache::cache
