#include "http/method.h"

namespace slab_cache::http {

namespace {

struct Named {
    Bytes name;
    Method method;
};

constexpr Named kMethods[] = {
    {"GET", Method::kGet},         {"HEAD", Method::kHead},         {"QUERY", Method::kQuery},
    {"POST", Method::kPost},       {"PUT", Method::kPut},           {"DELETE", Method::kDelete},
    {"PATCH", Method::kPatch},     {"OPTIONS", Method::kOptions},   {"TRACE", Method::kTrace},
    {"CONNECT", Method::kConnect}, {"PROPFIND", Method::kPropfind}, {"REPORT", Method::kReport},
    {"SEARCH", Method::kSearch},
};

}  // namespace

Method parse_method(Bytes name) noexcept {
    for (const Named& row : kMethods) {
        if (row.name == name) {
            return row.method;
        }
    }
    return Method::kUnknown;
}

bool is_safe(Method method) noexcept {
    switch (method) {
    case Method::kGet:
    case Method::kHead:
    case Method::kQuery:
    case Method::kOptions:
    case Method::kTrace:
    case Method::kPropfind:
    case Method::kReport:
    case Method::kSearch:
        return true;
    case Method::kPost:
    case Method::kPut:
    case Method::kDelete:
    case Method::kPatch:
    case Method::kConnect:
    case Method::kUnknown:
        return false;
    }
    return false;
}

uint32_t method_bit(Method method) noexcept {
    switch (method) {
    case Method::kGet:
        return kCacheGet;
    case Method::kHead:
        return kCacheHead;
    case Method::kQuery:
        return kCacheQuery;
    case Method::kPost:
        return kCachePost;
    case Method::kPut:
    case Method::kDelete:
    case Method::kPatch:
    case Method::kOptions:
    case Method::kTrace:
    case Method::kConnect:
    case Method::kPropfind:
    case Method::kReport:
    case Method::kSearch:
    case Method::kUnknown:
        return 0;
    }
    return 0;
}

}  // namespace slab_cache::http
