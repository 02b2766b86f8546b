#include "ngx/glue/ngx.h"

#include "ngx/request/cache_status_field.h"

#include "cache/key.h"
#include "ngx/request/ctx.h"

namespace slab_cache::ngx {
namespace {

constexpr size_t kKeyShown = 256;
constexpr size_t kRoom = 256 + 2 * kKeyShown;

// Why the request went to the origin (RFC 9211 §2.2).
const char* forwarded(const Ctx* ctx) noexcept {
    switch (ctx->reason) {
    case http::Reason::kMethod:
        return "method";
    case http::Reason::kBypass:
        return "bypass";
    case http::Reason::kVariant:  // also of a coding that no key tells apart: the lookup ended at the URL then
        if (!(ctx->digest == ctx->primary)) {
            return "vary-miss";
        }
        break;
    default:
        break;
    }
    switch (ctx->status) {
    case CacheStatus::kExpired:
    case CacheStatus::kRevalidated:
    case CacheStatus::kStale:
        return "stale";
    case CacheStatus::kBypass:
    case CacheStatus::kNone:
        return "bypass";
    default:
        return ctx->reason == http::Reason::kAuthorization ? "request" : "uri-miss";
    }
}

bool from_store(CacheStatus status) noexcept {
    return status == CacheStatus::kHit || status == CacheStatus::kStale || status == CacheStatus::kUpdating;
}

// The key as a quoted string: what a string may not hold is left out.
u_char* put_key(u_char* p, Bytes key, const uint8_t* secret) noexcept {
    char text[kKeyShown];
    const size_t size = cache::printable_key(key, secret, text, sizeof(text));
    const size_t n = size < sizeof(text) ? size : sizeof(text);
    p = ngx_sprintf(p, "; key=\"");
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '"' || text[i] == '\\') {
            *p++ = '\\';
        }
        if (static_cast<unsigned char>(text[i]) < 0x7F) {
            *p++ = static_cast<u_char>(text[i]);
        }
    }
    *p++ = '"';
    return p;
}

u_char* put_details(u_char* p, const Ctx* ctx) noexcept {
    if (has_object(ctx)) {
        p = ngx_sprintf(p, "; ttl=%L", ctx->ttl);
        if (!from_store(ctx->status)) {
            p = ngx_sprintf(p, "; stored");
        }
    }
    if (ctx->wait.collapsed) {
        p = ngx_sprintf(p, "; collapsed");
    }
    if (!ctx->key.empty()) {
        p = put_key(p, ctx->key, ctx->zone->store.secret());
    }
    const ngx_str_t word = to_str(http::reason_word(ctx->reason));
    return word.len != 0 ? ngx_sprintf(p, "; detail=%V", &word) : p;
}

}  // namespace

bool add_status_header(ngx_http_request_t* r, const LocConf* conf) noexcept {
    Ctx* ctx = find_ctx(r);
    if (ctx == nullptr || r != r->main) {
        return true;
    }
    ngx_table_elt_t* h = push_header(&r->headers_out.headers);
    auto* start = static_cast<u_char*>(ngx_pnalloc(r->pool, kRoom));
    if (h == nullptr || start == nullptr) {
        return false;
    }
    u_char* p = ngx_sprintf(start, "slab_cache; ");
    p = from_store(ctx->status) ? ngx_sprintf(p, "hit") : ngx_sprintf(p, "fwd=%s", forwarded(ctx));
    if (conf->status_header == static_cast<ngx_uint_t>(StatusHeader::kDetail)) {
        p = put_details(p, ctx);
    }
    static u_char lowcase[] = "cache-status";
    h->key = to_str("Cache-Status");
    h->lowcase_key = lowcase;
    h->value = {static_cast<size_t>(p - start), start};
    return true;
}

}  // namespace slab_cache::ngx
