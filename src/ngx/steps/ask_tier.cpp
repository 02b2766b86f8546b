#include "ngx/glue/ngx.h"

#include "ngx/steps/ask_tier.h"

#include "ngx/fill/direct_fill.h"
#include "ngx/fill/tier_visit.h"
#include "ngx/steps/lookup.h"

namespace slab_cache::ngx {
namespace {

void on_visited(TierVisit* visit) noexcept { post_waiter(&static_cast<Ctx*>(visit->owner)->waiter); }

// Who waits for the lease in other workers shall not take it over.
void show_progress(Ctx* ctx) noexcept {
    shm::WakeSet wake;
    const shm::Ticket& lease = ctx->tier->lease;
    ctx->zone->store.lease_progress(lease, now_ms(), &wake);
    wake_workers(ctx->zone, wake, lease.cell);
}

// The origin is asked at each use: no such answer is written, and nobody shall wait for another machine's.
bool is_never_there(const Ctx* ctx) noexcept {
    const http::StoredFacts& facts = ctx->stored.facts;
    return ctx->stale && ctx->stored_ref == ctx->stale.ref &&
           ((facts.flags & http::fact::kNoCache) != 0 || facts.fresh_until <= facts.born_at);
}

ngx_int_t get_tier(ngx_http_request_t* r, ngx_http_variable_value_t* v, uintptr_t) noexcept {
    const Ctx* ctx = find_ctx(r);
    const TierVisit* visit = ctx != nullptr ? ctx->tier : nullptr;
    v->not_found = visit == nullptr || !visit->is_over;
    if (v->not_found) {
        return NGX_OK;
    }
    const char* word = !visit->is_hit ? tier_miss_word(visit->miss) : visit->has_waited ? "WAIT" : "HIT";
    v->data = reinterpret_cast<u_char*>(const_cast<char*>(word));
    v->len = static_cast<unsigned>(ngx_strlen(word));
    v->valid = 1;
    v->no_cacheable = 1;
    return NGX_OK;
}

}  // namespace

ngx_int_t add_tier_variable(ngx_conf_t* cf) noexcept {
    ngx_str_t name = ngx_string("slab_cache_tier");
    ngx_http_variable_t* v = ngx_http_add_variable(cf, &name, NGX_HTTP_VAR_NOCACHEABLE);
    if (v == nullptr) {
        return NGX_ERROR;
    }
    v->get_handler = get_tier;
    return NGX_OK;
}

bool may_ask_tier(const Ctx* ctx, const shm::Ticket& lease) noexcept {
    return ctx->conf->tier != nullptr && ctx->tier == nullptr && lease && uses_tier(ctx) && !is_never_there(ctx);
}

bool begin_asking_tier(Ctx* ctx, const shm::Ticket& lease) noexcept {
    auto* visit = pool_new<TierVisit>(ctx->request->pool);
    if (visit == nullptr || !tier_place_of(ctx, ctx->request, &visit->place)) {
        return false;
    }
    visit->ended = on_visited;
    visit->owner = ctx;
    ctx->tier = visit;
    ctx->leave_fills = leave_fills;
    if (!start_visit(visit)) {
        return false;
    }
    visit->lease = lease;
    ctx->ticket = {};
    ctx->wait.since_ms = now_ms();
    return true;
}

bool is_asking_tier(const Ctx* ctx) noexcept { return ctx->tier != nullptr && ctx->tier->lease; }

Next hear_tier(Ctx* ctx) noexcept {
    TierVisit* visit = ctx->tier;
    if (!visit->is_over) {
        show_progress(ctx);
        return park_until(ctx, now_ms() + kTierTickMs);
    }
    const shm::Ticket lease = visit->lease;
    visit->lease = {};
    ctx->wait.waited_ms += now_ms() - ctx->wait.since_ms;
    if (visit->is_hit) {
        give_back(ctx->zone, lease);
        set_step(ctx, Step::kLookup);
        return Next::kMore;
    }
    const Next next = fill_as_leader(ctx, lease);
    give_back(&visit->hold);  // unless a fill has it now
    return next;
}

}  // namespace slab_cache::ngx
