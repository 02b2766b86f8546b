#include "ngx/glue/ngx.h"

#include "ngx/purge/purge_batch_run.h"

#include <jansson.h>

#include "ngx/fleet/fleet_answer.h"
#include "ngx/request/accounting.h"
#include "ngx/glue/reply.h"
#include "ngx/request/asker.h"

namespace slab_cache::ngx {

void begin_selection(Selection* s, ngx_http_request_t* r, Zone* zone) noexcept {
    *s = {};
    s->arena = arena_of(r->pool);
    s->secret = zone->store.secret();
    s->asker = asker_of(r);
    s->request = r;
    s->zone = zone;
    s->keeps_all = zone->fleet != nullptr;
}

bool init_selection(Selection* s, ngx_http_request_t* r, Zone* zone, size_t selectors) noexcept {
    begin_selection(s, r, zone);
    return cache::make_room(s, selectors);
}

uint64_t purge_selection(Selection* s) noexcept {
    const auto* conf = loc_conf<LocConf>(s->request);
    const cache::Purger by{conf->api ? cache::PurgeRoad::kApi : cache::PurgeRoad::kMethod,
                           conf->api && is_signed(s->request, conf), view(s->request->connection->addr_text)};
    const uint64_t seq = purge_zone(s->zone, s, by, Tell::kFleet, &s->told);
    if (seq == 0) {
        return 0;
    }
    count(s->zone, Counter::kPurges);
    count(s->zone, Counter::kPurgeSelectors, s->count + (s->all ? 1 : 0));
    return seq;
}

namespace {

// "a b" as ["a", "b"].
json_t* words_json(Bytes text) noexcept {
    json_t* list = json_array();
    while (!text.empty()) {
        const size_t space = text.find(' ');
        json_array_append_new(list, json_text(base::slice(text, 0, space)));
        text = space == Bytes::npos ? Bytes{} : base::slice(text, space + 1);
    }
    return list;
}

}  // namespace

json_t* understood_json(const cache::Understood& what) noexcept {
    switch (what.thing) {
    case cache::Thing::kUrl:
        return json_pack("{s:o, s:o}", "host", json_text(what.host), "path", json_text(what.text));
    case cache::Thing::kPrefix:
        return json_pack("{s:o, s:o}", "host", json_text(what.host), "prefix", json_text(what.text));
    case cache::Thing::kPattern:
        return json_pack("{s:o, s:o}", "host", json_text(what.host), "pattern", json_text(what.text));
    case cache::Thing::kHost:
        return json_pack("{s:o}", "host", json_text(what.host));
    case cache::Thing::kTags:
        return json_pack("{s:o, s:o}", "tags_all", words_json(what.host), "not", words_json(what.text));
    case cache::Thing::kTag:
        break;
    }
    return json_pack("{s:o}", "tag", json_text(what.text));
}

ngx_int_t send_not_purged(ngx_http_request_t* r) noexcept {
    return send_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE, "not purged",
                        "another worker has begun a purge and does not go on: try again");
}

namespace {

// `fleet` may be nullptr.
ngx_int_t send_purged(ngx_http_request_t* r, ngx_uint_t status, json_t* fleet, void* data) noexcept {
    const auto* s = static_cast<const Selection*>(data);
    json_t* list = json_array();
    for (uint32_t i = 0; i < s->understood_count && i < cache::kMaxUnderstood; i++) {
        json_array_append_new(list, understood_json(s->understood[i]));
    }
    if (s->all) {
        json_array_append_new(list, json_pack("{s:b}", "all", 1));
    }
    json_t* answer = json_pack("{s:I, s:I, s:o}", "seq", static_cast<json_int_t>(s->seq), "accepted",
                               json_int_t{s->accepted}, "understood", list);
    if (fleet != nullptr) {
        json_object_set_new(answer, "fleet", fleet);
    }
    return send_json(r, status, answer);
}

}  // namespace

ngx_int_t purge_and_answer(Selection* s) noexcept {
    s->seq = purge_selection(s);
    if (s->seq == 0) {
        return send_not_purged(s->request);
    }
    if (!s->told.is_fleet) {
        return send_purged(s->request, NGX_HTTP_OK, nullptr, s);
    }
    auto* kept = pool_new<Selection>(s->request->pool);
    if (kept == nullptr) {
        return NGX_ERROR;
    }
    *kept = *s;
    return answer_when_told(s->request, s->zone, s->told, send_purged, kept);
}

}  // namespace slab_cache::ngx
