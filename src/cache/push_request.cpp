#include "cache/push_request.h"

#include "http/escape.h"

namespace slab_cache::http {
namespace {

constexpr Bytes kPrefix = "X-Response-";
constexpr Bytes kTaken[] = {"Content-Type",
                            "Content-Language",
                            "Content-Disposition",
                            "Cache-Control",
                            "CDN-Cache-Control",
                            "Expires",
                            "ETag",
                            "Last-Modified",
                            "Link",
                            "Location",
                            "Vary",
                            "Content-Encoding",
                            "Set-Cookie"};

}  // namespace

Bytes pushed_name(Bytes name) noexcept {
    for (Bytes taken : kTaken) {
        if (base::equal_nocase(taken, name)) {
            return name;
        }
    }
    const bool has_prefix = base::equal_nocase(base::slice(name, 0, kPrefix.size()), kPrefix);
    return has_prefix ? base::slice(name, kPrefix.size()) : Bytes{};
}

bool read_pushed_status(Bytes text, uint16_t* status) noexcept {
    uint64_t n = 0;
    if (!read_decimal(text, 200, 599, &n)) {
        return false;
    }
    *status = static_cast<uint16_t>(n);
    return true;
}

bool read_pushed_ttl(Bytes text, int64_t* ttl_sec) noexcept {
    uint64_t n = 0;
    if (!read_decimal(text, 1, kMaxPushedTtl, &n)) {
        return false;
    }
    *ttl_sec = static_cast<int64_t>(n);
    return true;
}

bool read_fence(Bytes text, uint64_t* seq) noexcept {
    uint64_t n = 0;
    if (!read_decimal(text, 0, UINT64_MAX, &n)) {
        return false;
    }
    *seq = n;
    return true;
}

}  // namespace slab_cache::http
