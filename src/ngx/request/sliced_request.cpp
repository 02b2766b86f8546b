#include "ngx/glue/ngx.h"

#include "ngx/request/sliced_request.h"

#include "http/slice.h"
#include "ngx/request/accounting.h"

namespace slab_cache::ngx {
namespace {

// Its main request went by the cache, and asks by a range that we did not see coming (a map of $slice_range, say).
bool is_of_slice_module(ngx_http_request_t* r) noexcept {
    const ngx_int_t index = main_conf(r)->slice_index;
    return r != r->main && index >= 0 && r->ctx[index] != nullptr;
}

// The object that the client's answer began with; nullptr where it came from none.
const cache::StoredResponse* beginning(Ctx* whole) noexcept {
    const cache::StoredResponse* stored = whole->pin            ? stored_response(whole)
                                          : is_head_kept(whole) ? &whole->stored
                                                                : nullptr;
    return stored != nullptr && stored->status == NGX_HTTP_PARTIAL_CONTENT ? stored : nullptr;
}

// What tells one version of a file from another.
struct Version {
    Bytes etag;
    int64_t modified;  // -1: unknown
    uint64_t length;   // of the whole; 0: unknown
    int64_t born_at;
};

uint64_t file_length(Bytes content_range) noexcept {
    http::ContentRange range;
    return http::parse_content_range(content_range, &range) ? range.length : 0;
}

Version version_of(const cache::StoredResponse& part) noexcept {
    Version version = {part.etag, part.last_modified_time, 0, part.facts.born_at};
    Bytes rest = part.fields;
    cache::StoredField field;
    while (cache::next_field(&rest, &field)) {
        if (field.lowcase == "content-range") {
            version.length = file_length(field.value);
        }
    }
    return version;
}

bool is_said(const ngx_table_elt_t* h) noexcept { return h != nullptr && h->hash != 0; }

Version version_of(const ngx_http_headers_out_t& out) noexcept {
    return {is_said(out.etag) ? view(out.etag->value) : Bytes{}, static_cast<int64_t>(out.last_modified_time),
            is_said(out.content_range) ? file_length(view(out.content_range->value)) : 0, now_sec()};
}

bool is_same_version(const Version& a, const Version& b) noexcept {
    return a.etag == b.etag && a.length == b.length && (!a.etag.empty() || a.modified == b.modified);
}

bool has_asked(const Ctx* ctx) noexcept {
    return ctx->status == CacheStatus::kMiss || ctx->status == CacheStatus::kExpired ||
           ctx->status == CacheStatus::kBypass;
}

// False: the two are of two files, and nginx's module, which looks at ETag alone, would not notice.
bool fits(const Ctx* part, Ctx* whole, const Version& began, const Version& version) noexcept {
    if (is_same_version(began, version)) {
        return true;
    }
    count(part->zone, http::Reason::kSliceChanged);
    if (version.born_at >= began.born_at) {
        (void) whole->zone->store.remove(whole->digest, whole->variant_key);
    }
    // Where this client has asked the origin for both, it is as without a cache.
    if ((has_asked(whole) && has_asked(part)) || (!began.etag.empty() && began.etag != version.etag)) {
        return true;
    }
    ngx_log_error(NGX_LOG_ERR, part->request->connection->log, 0,
                  "slab_cache: a slice is of another version of the file than those before it");
    return false;
}

}  // namespace

http::Reason read_slice(Ctx* ctx) noexcept {
    ngx_http_request_t* r = ctx->request;
    const ngx_int_t index = main_conf(r)->slice_range;
    if (!ctx->conf->is_sliced || index < 0) {
        return is_of_slice_module(r) ? http::Reason::kPartial : http::Reason::kNone;
    }
    const ngx_http_variable_value_t* v = ngx_http_get_flushed_variable(r, static_cast<ngx_uint_t>(index));
    if (v == nullptr || !v->valid || v->not_found || v->len == 0) {
        return http::Reason::kNone;  // the answer to an error, say: the whole
    }
    // The module writes the next part's range into the same memory.
    if (!pool_copy(r->pool, Bytes{reinterpret_cast<char*>(v->data), v->len}, &ctx->part.text)) {
        return http::Reason::kInternal;
    }
    ctx->part.by = r == r->main ? AskedPart::By::kClient : AskedPart::By::kSubrequest;
    const bool is_asked = (r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD)) != 0;
    return is_asked && http::parse_slice(ctx->part.text, &ctx->part.range) ? http::Reason::kNone
                                                                           : http::Reason::kPartial;
}

bool share_url(Ctx* ctx) noexcept {
    const Ctx* whole = ctx->part.is_subrequest() ? get_ctx(ctx->request->main) : nullptr;
    if (whole == nullptr || whole->conf != ctx->conf || whole->url.uri.empty()) {
        return false;
    }
    ctx->url = whole->url;
    ctx->written_args = whole->written_args;
    ctx->fill_args = whole->fill_args;
    ctx->fill_args_differ = whole->fill_args_differ;
    return true;
}

bool put_slice_range(ngx_http_request_t* clone, const Ctx* ctx) noexcept {
    const ngx_int_t index = main_conf(ctx->request)->slice_range;
    if (index < 0) {
        return true;
    }
    ngx_http_variable_value_t& v = clone->variables[index];
    v = {};
    if (!ctx->part.is_asked()) {
        v.not_found = 1;
        return true;
    }
    Bytes range;
    if (!pool_copy(clone->pool, ctx->part.text, &range)) {
        return false;
    }
    v.data = mutable_data(range);
    v.len = static_cast<unsigned>(range.size());
    v.valid = 1;
    return true;
}

bool turn_down_part(Ctx* ctx, const cache::StoredResponse& part) noexcept {
    if (part.status != NGX_HTTP_PARTIAL_CONTENT || (ctx->part.is_asked() && !ctx->part.is_subrequest())) {
        return false;
    }
    Ctx* whole = ctx->part.is_subrequest() ? get_ctx(ctx->request->main) : nullptr;
    const cache::StoredResponse* began = whole != nullptr ? beginning(whole) : nullptr;
    if (began == nullptr) {
        // An explicit key may be anything: a part is for who asks for parts.
        const bool can_module_tell =
            ctx->part.is_subrequest() && !part.etag.empty() && is_said(ctx->request->main->headers_out.etag);
        ctx->unlocked = ctx->unlocked || !can_module_tell;  // it is others' all the same: nobody waits for this fill
        return !can_module_tell;
    }
    if (is_same_version(version_of(*began), version_of(part)) || part.facts.born_at > began->facts.born_at) {
        return false;  // a newer one ends the answer (fits_whole)
    }
    (void) ctx->zone->store.remove(ctx->digest, ctx->variant_key);
    return true;
}

bool fits_whole(Ctx* ctx) noexcept {
    Ctx* whole = ctx->part.is_subrequest() ? get_ctx(ctx->request->main) : nullptr;
    const cache::StoredResponse* began = whole != nullptr ? beginning(whole) : nullptr;
    const cache::StoredResponse* part = began != nullptr ? stored_response(ctx) : nullptr;
    return part == nullptr || part->status != NGX_HTTP_PARTIAL_CONTENT ||
           fits(ctx, whole, version_of(*began), version_of(*part));
}

bool passes_as_part(ngx_http_request_t* r, Ctx* ctx) noexcept {
    Ctx* whole = !has_object(ctx) && r->headers_out.status == NGX_HTTP_PARTIAL_CONTENT ? get_ctx(r->main) : nullptr;
    const cache::StoredResponse* began = whole != nullptr ? beginning(whole) : nullptr;
    return began == nullptr || fits(ctx, whole, version_of(*began), version_of(r->headers_out));
}

uint64_t end_within_part(const Ctx* ctx) noexcept {
    const auto& out = ctx->request->main->headers_out;  // the range filter has told the client by then
    if (out.status != NGX_HTTP_PARTIAL_CONTENT || out.content_length_n < 0) {
        return UINT64_MAX;
    }
    const auto end = static_cast<uint64_t>(out.content_offset + out.content_length_n);
    return end > ctx->part.range.first ? end - ctx->part.range.first : 0;
}

}  // namespace slab_cache::ngx
