#include "ngx/glue/ngx.h"

#include "ngx/fill/rest_of_body.h"

#include "cache/stored_head.h"
#include "ngx/fill/origin_response.h"
#include "ngx/fill/relay_queue.h"
#include "ngx/fill/upstream_buffer.h"
#include "ngx/request/accounting.h"
#include "ngx/request/identity.h"

namespace slab_cache::ngx {
namespace {

// The fill has ended because the zone took no more, not because the origin failed.
bool has_outgrown(const Ctx* ctx) noexcept {
    if (!ctx->ticket) {
        return false;
    }
    const shm::LeaseView view =
        ctx->zone->store.lease_watch(ctx->ticket, now_ms(), static_cast<uint32_t>(ctx->conf->lock_age));
    return view.state == shm::LeaseState::kPrivate || view.state == shm::LeaseState::kGone;
}

Bytes coding_of(const cache::StoredResponse& stored) noexcept {
    Bytes rest = stored.fields;
    for (cache::StoredField field; cache::next_field(&rest, &field);) {
        if (base::equal_nocase(field.name, "Content-Encoding")) {
            return field.value;
        }
    }
    return {};
}

bool is_same_answer(CloneFill* fill, const OriginResponse& origin) noexcept {
    Ctx* leader = fill->leader;
    const cache::StoredResponse* stored = leader != nullptr ? stored_response(leader) : nullptr;
    if (stored == nullptr || origin.kind != AnswerKind::kBody || origin.response.status != stored->status) {
        return false;
    }
    const http::Fields& fields = origin.response.fields;
    return fields.get("ETag") == stored->etag && fields.get("Content-Encoding") == coding_of(*stored);
}

}  // namespace

bool fetch_rest(Ctx* ctx) noexcept {
    ngx_http_request_t* r = ctx->request;
    if (ctx->sending.asked_for_rest || !ctx->pin || ctx->part.is_asked() || ctx->fill != nullptr ||
        r->method != NGX_HTTP_GET || !has_outgrown(ctx) || !has_room_for_fill(ctx->zone)) {
        return false;
    }
    ctx->sending.asked_for_rest = true;
    ctx->zone->store.unpin(&ctx->stale);  // the whole is asked for
    ctx->ticket = {};
    const ngx_http_handler_pt serving = r->content_handler;
    r->content_handler = ctx->asks_origin;
    const bool started = is_clonable(ctx) && start_fill(ctx, FillKind::kRest, {});
    r->content_handler = serving;
    return started;
}

void take_rest(CloneFill* fill) noexcept {
    OriginResponse origin;
    if (is_redirect_lost(fill->request) || !read_origin(fill, &origin) || !is_same_answer(fill, origin)) {
        drop_fill(fill);
        return;
    }
    unbuffer(fill);
    count_origin(fill->zone, now_ms() - fill->started_ms, origin.origin_status);
    set_phase(fill, ClonePhase::kRelaying);
    if (!start_relay(fill->leader, fill)) {
        drop_fill(fill);
        return;
    }
    fill->leader->from_fill.relay->to_skip = fill->leader->sending.offset;
}

bool skip_known(CloneFill* fill, ngx_buf_t* b) noexcept {
    Ctx* leader = fill->leader;
    Relay* relay = leader->from_fill.relay;
    while (relay->skipped < relay->to_skip && b->pos < b->last) {
        if (!ngx_buf_in_memory(b)) {
            return false;
        }
        shm::Segment known;
        if (!leader->pin || leader->zone->store.segments(leader->pin, relay->skipped, &relay->cursor, &known, 1) == 0) {
            return false;
        }
        uint64_t n = static_cast<uint64_t>(b->last - b->pos);
        n = n < known.len ? n : known.len;
        n = n < relay->to_skip - relay->skipped ? n : relay->to_skip - relay->skipped;
        if (ngx_memcmp(b->pos, known.data, n) != 0) {
            return false;
        }
        b->pos += n;
        relay->skipped += n;
    }
    return !b->last_buf || relay->skipped == relay->to_skip;
}

}  // namespace slab_cache::ngx
