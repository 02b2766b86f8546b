#include "ngx/glue/ngx.h"

#include "ngx/purge/purge_batch_run.h"

#include <jansson.h>

#include "ngx/request/accounting.h"
#include "ngx/glue/reply.h"
#include "ngx/request/asker.h"
#include "ngx/zone/user_area.h"

namespace slab_cache::ngx {

void begin_selection(Selection* s, ngx_http_request_t* r, Zone* zone) noexcept {
    *s = {};
    s->arena = arena_of(r->pool);
    s->secret = zone->store.secret();
    s->asker = asker_of(r);
    s->request = r;
    s->zone = zone;
}

bool init_selection(Selection* s, ngx_http_request_t* r, Zone* zone, size_t selectors) noexcept {
    begin_selection(s, r, zone);
    return cache::make_room(s, selectors);
}

namespace {

struct PatternPurge {
    shm::PurgeSection* section;
    const uint8_t* secret;
};

void purge_host(Bytes host, bool soft, void* data) noexcept {
    const auto* purge = static_cast<PatternPurge*>(data);
    purge->section->add(cache::raised_selector(host, purge->secret),
                        soft ? shm::PurgeMode::kSoft : shm::PurgeMode::kHard);
}

// Part of a purge (shm::PurgeFn): the patterns of a Selection. One that the table cannot take purges its host.
void purge_globs(shm::PurgeSection* section, void* selection) noexcept {
    const auto* s = static_cast<const Selection*>(selection);
    UserArea* area = user_area(s->zone);
    PatternPurge purge{section, s->zone->store.secret()};
    for (uint32_t i = 0; i < s->glob_count; i++) {
        const cache::Glob glob{s->glob[i].host, s->glob[i].pattern, s->soft};
        // Where a prior zone's workers may still run, the host goes, in both zones: their table is not ours to write.
        if (area == nullptr || !section->is_own() || s->zone->store.has_open_prior()
            || !cache::add_glob(&area->globs, glob, section->seq(), purge_host, &purge)) {
            purge_host(glob.host, s->soft, &purge);
        }
    }
}

}  // namespace

uint64_t purge_selection(Selection* s) noexcept {
    const shm::PurgeMode mode = s->soft ? shm::PurgeMode::kSoft : shm::PurgeMode::kHard;
    uint64_t seq = s->zone->store.purge_seq();
    if (s->count != 0) {
        seq = s->zone->store.purge(s->selector, cache::join_inner(s), mode, s->glob_count != 0 ? purge_globs : nullptr, s);
        UserArea* area = user_area(s->zone);
        if (seq != 0 && s->glob_count != 0 && area != nullptr) {
            cache::publish_globs(&area->globs, seq);
        }
    }
    if (s->all && seq != 0) {
        seq = s->zone->store.purge_all(mode);
    }
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

}  // namespace

ngx_int_t send_not_purged(ngx_http_request_t* r) noexcept {
    return send_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE, "not purged",
                        "another worker has begun a purge and does not go on: try again");
}

ngx_int_t purge_and_answer(Selection* s) noexcept {
    const uint64_t seq = purge_selection(s);
    if (seq == 0) {
        return send_not_purged(s->request);
    }
    json_t* list = json_array();
    for (uint32_t i = 0; i < s->understood_count; i++) {
        json_array_append_new(list, understood_json(s->understood[i]));
    }
    if (s->all) {
        json_array_append_new(list, json_pack("{s:b}", "all", 1));
    }
    return send_json(s->request, NGX_HTTP_OK,
                     json_pack("{s:I, s:I, s:o}", "seq", static_cast<json_int_t>(seq), "accepted", json_int_t{s->accepted},
                               "understood", list));
}

}  // namespace slab_cache::ngx
