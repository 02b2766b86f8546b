#include "ngx/glue/ngx.h"

#include "ngx/api/history.h"

#include <jansson.h>

#include "cache/history.h"
#include "ngx/api/api.h"
#include "ngx/glue/reply.h"
#include "ngx/zone/user_area.h"

namespace slab_cache::ngx {
namespace {

// As the counters of v1/zones are called, where they are there.
constexpr const char* kPastNames[] = {"requests",          "hits",    "stale",  "fills",
                                      "fills_failed",      "evicted", "purges", "bytes_from_cache",
                                      "bytes_from_origin", "sent_5xx"};
static_assert(sizeof(kPastNames) / sizeof(kPastNames[0]) == cache::kPastFigures);

json_t* row_json(const cache::PastRow& row) noexcept {
    json_t* json = json_object();
    json_object_set_new(json, "at_sec", json_integer(static_cast<json_int_t>(by_wall(row.at_sec))));
    for (uint32_t i = 0; i < cache::kPastFigures; i++) {
        json_object_set_new(json, kPastNames[i], json_integer(static_cast<json_int_t>(row.figure[i] & INT64_MAX)));
    }
    return json;
}

}  // namespace

ngx_int_t send_history(Call* call) noexcept {
    const UserArea* area = user_area(call->zone);
    cache::PastRow row[cache::kHistoryRows];
    const uint32_t count = area != nullptr ? cache::read_past(area->past, now_sec(), row) : 0;
    json_t* rows = json_array();
    for (uint32_t i = 0; i < count; i++) {
        json_array_append_new(rows, row_json(row[i]));
    }
    return send_json(call->request, NGX_HTTP_OK,
                     json_pack("{s:I, s:o}", "now_sec", static_cast<json_int_t>(wall_sec()), "rows", rows));
}

}  // namespace slab_cache::ngx
