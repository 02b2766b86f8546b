#include "ngx/glue/ngx.h"

#include "ngx/api/purges.h"

#include <jansson.h>

#include "cache/purge_log.h"
#include "ngx/api/api.h"
#include "ngx/glue/reply.h"
#include "ngx/purge/purge_batch_run.h"
#include "ngx/zone/user_area.h"

namespace slab_cache::ngx {
namespace {

constexpr uint32_t kShown = 20;

const char* road_word(cache::PurgeRoad road) noexcept {
    switch (road) {
    case cache::PurgeRoad::kMethod:
        return "method";
    case cache::PurgeRoad::kApi:
        return "api";
    case cache::PurgeRoad::kFleet:
        break;
    }
    return "fleet";
}

json_t* purge_json(const cache::LoggedPurge& p) noexcept {
    json_t* json = json_pack("{s:I, s:I, s:s, s:s, s:I, s:o}", "at_sec", static_cast<json_int_t>(p.at_sec), "seq",
                             static_cast<json_int_t>(p.seq), "via", road_word(p.by.road), "mode",
                             p.soft ? "soft" : "hard", "accepted", json_int_t{p.accepted}, "first",
                             p.all ? json_pack("{s:b}", "all", 1) : understood_json(p.first));
    if (!p.by.address.empty()) {
        json_object_set_new(json, "from", json_text(p.by.address));
    }
    if (p.by.is_signed) {
        json_object_set_new(json, "signed", json_true());
    }
    if (p.is_cut) {
        json_object_set_new(json, "cut", json_true());
    }
    return json;
}

}  // namespace

ngx_int_t send_purges(Call* call) noexcept {
    ngx_http_request_t* r = call->request;
    json_t* list = json_array();
    const UserArea* area = user_area(call->zone);
    auto* purge = static_cast<cache::LoggedPurge*>(ngx_palloc(r->pool, kShown * sizeof(cache::LoggedPurge)));
    const uint32_t count = area != nullptr && purge != nullptr ? cache::last_purges(area->purges, purge, kShown) : 0;
    for (uint32_t i = 0; i < count; i++) {
        json_array_append_new(list, purge_json(purge[i]));
    }
    return send_json(r, NGX_HTTP_OK,
                     json_pack("{s:I, s:o}", "now_sec", static_cast<json_int_t>(wall_sec()), "purges", list));
}

}  // namespace slab_cache::ngx
