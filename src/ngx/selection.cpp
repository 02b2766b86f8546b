#include "ngx/ngx.h"

#include "ngx/selection.h"

#include "ngx/counters.h"
#include "ngx/reply.h"
#include "ngx/target.h"
#include "ngx/user_area.h"
#include "ngx/verdict.h"

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

uint64_t purge_selection(Selection* s) noexcept {
    const shm::PurgeMode mode = s->soft ? shm::PurgeMode::kSoft : shm::PurgeMode::kHard;
    uint64_t seq = s->zone->store.purge_seq();
    if (s->count != 0) {
        seq = s->zone->store.purge(s->selector, s->count, mode, s->glob_count != 0 ? purge_globs : nullptr, s);
        UserArea* area = user_area(s->zone);
        if (s->glob_count != 0 && area != nullptr) {
            cache::publish_globs(&area->globs, seq);
        }
    }
    if (s->all) {
        seq = s->zone->store.purge_all(mode);
    }
    count(s->zone, Counter::kPurges);
    count(s->zone, Counter::kPurgeSelectors, s->count + (s->all ? 1 : 0));
    return seq;
}

ngx_int_t purge_and_answer(Selection* s) noexcept {
    const uint64_t seq = purge_selection(s);
    auto* text = static_cast<u_char*>(ngx_pnalloc(s->request->pool, 128));
    if (text == nullptr) {
        return NGX_ERROR;
    }
    u_char* end = ngx_sprintf(text, "{\"seq\":%uL,\"accepted\":%uD}" CRLF, seq, s->accepted);
    return send_json(s->request, NGX_HTTP_OK,
                     Bytes{reinterpret_cast<char*>(text), static_cast<size_t>(end - text)});
}

}  // namespace slab_cache::ngx
