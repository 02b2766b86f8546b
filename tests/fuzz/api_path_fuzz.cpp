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

constexpr Bytes kPatterns[] = {
    "", "v1/zones", "v1/zones/{zone}/entry", "service/{id}/purge", "service/{id}/purge/{key}",
};

void check_path(Bytes path) {
    int fitting = 0;
    for (const Bytes pattern : kPatterns) {
        cache::PathNames names;
        if (!cache::fits_pattern(pattern, path, &names)) {
            continue;
        }
        fitting++;
        check(is_inside(names.zone_name, path) && is_inside(names.rest, path));
        check(names.zone_name.find('/') == Bytes::npos);
        check(names.has_zone == (pattern.find('{') != Bytes::npos));
        check(names.any_zone == (pattern.find("{id}") != Bytes::npos));
        check(!names.has_zone || names.any_zone || !names.zone_name.empty());
        check(names.rest.empty() != (pattern.find("{key}") != Bytes::npos));
    }
    check(fitting <= 1);
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
