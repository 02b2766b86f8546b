// Three lines of a request to the API: path; query; "Sec-Fetch-Site|Origin|Content-Type|Host|If-Purge-Seq|field name".
// Names lie inside the path; numbers lie in their bounds; what passes for our own origin says so.
#include "cache/api_path.h"
#include "fuzz/fuzz.h"
#include "http/cross_origin.h"
#include "http/escape.h"
#include "cache/push_request.h"

using namespace slab_cache;
using namespace slab_cache::http;

namespace {

void check_path(Bytes path) {
    const cache::Route route = cache::route_of(path);
    check(is_inside(route.zone_name, path) && is_inside(route.rest, path));
    check(route.zone_name.find('/') == Bytes::npos && (route.has_zone || !route.any_zone));
    check(!cache::allowed_methods(route.resource).empty());
    switch (route.resource) {
    case cache::Resource::kZone:
    case cache::Resource::kPurge:
    case cache::Resource::kEntry:
    case cache::Resource::kEntries:
    case cache::Resource::kTop:
        check(route.has_zone && !route.any_zone && !route.zone_name.empty() && route.rest.empty());
        break;
    case cache::Resource::kFastlyPurge:
    case cache::Resource::kFastlyPurgeAll:
    case cache::Resource::kCloudflarePurge:
    case cache::Resource::kCloudflareInvalidate:
        check(route.has_zone && route.any_zone);
        break;
    case cache::Resource::kPage:
    case cache::Resource::kMetrics:
    case cache::Resource::kZones:
    case cache::Resource::kFleet:
    case cache::Resource::kTier:
        check(!route.has_zone);
        break;
    case cache::Resource::kNone:
        break;
    }
}

void check_query(Bytes query) {
    uint16_t status = 200;
    int64_t ttl = 1;
    for (const Bytes name : {Bytes("status"), Bytes("ttl"), Bytes("")}) {
        Bytes value;
        if (find_argument(query, name, &value)) {
            check(is_inside(value, query) && value.find('&') == Bytes::npos);
            (void) read_pushed_status(value, &status);
            (void) read_pushed_ttl(value, &ttl);
        }
    }
    check(status >= 200 && status <= 599 && ttl >= 1 && ttl <= static_cast<int64_t>(kMaxPushedTtl));
}

void check_fields(const std::vector<Bytes>& part) {
    const bool is_own = !is_foreign(part[0], part[1], part[3]);
    check(!is_own || part[0].empty() || part[0] == "none" || part[0] == "same-origin");
    check(!is_own || part[1].empty() || (!part[3].empty() && part[1].size() > part[3].size()));
    check(!is_form_type(part[2]) || part[2].size() >= 10);
    uint64_t birth = 7;
    check(read_fence(part[4], &birth) || birth == 7);
    check(is_inside(pushed_name(part[5]), part[5]));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::vector<Field> lines = lines_of(input(data, size), "");
    check_path(lines[0].value);
    if (lines.size() > 1) {
        check_query(lines[1].value);
    }
    std::vector<Bytes> part;
    Bytes rest = lines.size() > 2 ? lines[2].value : Bytes{};
    while (part.size() < 6) {
        const size_t bar = rest.find('|');
        part.push_back(base::slice(rest, 0, bar));
        rest = bar == Bytes::npos ? Bytes{} : base::slice(rest, bar + 1);
    }
    check_fields(part);
    return 0;
}
