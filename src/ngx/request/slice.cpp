#include "ngx/glue/ngx.h"

#include "ngx/request/slice.h"

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
    const cache::StoredResponse* stored = whole->pin                                  ? stored_response(whole)
                                          : whole->is_copied || whole->direct_stored ? &whole->stored
                                                                                      : nullptr;
    return stored != nullptr && stored->status == NGX_HTTP_PARTIAL_CONTENT ? stored : nullptr;
}

uint64_t file_length(const cache::StoredResponse& part) noexcept {
    Bytes rest = part.fields;
    cache::StoredField field;
    http::ContentRange range;
    while (cache::next_field(&rest, &field)) {
        if (field.lowcase == "content-range") {
            return http::parse_content_range(field.value, &range) ? range.length : 0;
        }
    }
    return 0;
}

bool is_same_version(const cache::StoredResponse& a, const cache::StoredResponse& b) noexcept {
    if (a.etag != b.etag) {
        return false;
    }
    return file_length(a) == file_length(b) && (!a.etag.empty() || a.last_modified == b.last_modified);
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
        return http::Reason::kNone;   // the answer to an error, say: the whole
    }
    // The module writes the next part's range into the same memory.
    if (!pool_copy(r->pool, Bytes{reinterpret_cast<char*>(v->data), v->len}, &ctx->slice_range)) {
        return http::Reason::kInternal;
    }
    ctx->is_sliced = true;
    ctx->is_part = r != r->main;
    const bool is_asked = (r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD)) != 0;
    return is_asked && http::parse_slice(ctx->slice_range, &ctx->slice) ? http::Reason::kNone : http::Reason::kPartial;
}

bool share_url(Ctx* ctx) noexcept {
    const Ctx* whole = ctx->is_part ? get_ctx(ctx->request->main) : nullptr;
    if (whole == nullptr || whole->conf != ctx->conf || whole->uri.empty()) {
        return false;
    }
    ctx->host = whole->host;
    ctx->uri = whole->uri;
    ctx->written_args = whole->written_args;
    ctx->inner_path = whole->inner_path;
    ctx->inner_args = whole->inner_args;
    ctx->inner_differs = whole->inner_differs;
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
    if (!ctx->is_sliced) {
        v.not_found = 1;
        return true;
    }
    Bytes range;
    if (!pool_copy(clone->pool, ctx->slice_range, &range)) {
        return false;
    }
    v.data = mutable_data(range);
    v.len = static_cast<unsigned>(range.size());
    v.valid = 1;
    return true;
}

bool is_outdated_part(Ctx* ctx, const cache::StoredResponse& part) noexcept {
    Ctx* whole = ctx->is_part && part.status == NGX_HTTP_PARTIAL_CONTENT ? get_ctx(ctx->request->main) : nullptr;
    const cache::StoredResponse* began = whole != nullptr ? beginning(whole) : nullptr;
    return began != nullptr && !is_same_version(*began, part) && part.facts.born_at <= began->facts.born_at;
}

bool fits_whole(Ctx* ctx) noexcept {
    Ctx* whole = ctx->is_part ? get_ctx(ctx->request->main) : nullptr;
    const cache::StoredResponse* began = whole != nullptr ? beginning(whole) : nullptr;
    const cache::StoredResponse* part = stored_response(ctx);
    if (began == nullptr || part == nullptr || part->status != NGX_HTTP_PARTIAL_CONTENT || is_same_version(*began, *part)) {
        return true;
    }
    count(ctx->zone, http::Reason::kSliceChanged);
    (void) whole->zone->store.remove(whole->digest, whole->variant_key);
    // Where the origin was asked for both, it is as without a cache.
    const bool was_asked = whole->status == CacheStatus::kMiss || whole->status == CacheStatus::kExpired
                           || whole->status == CacheStatus::kBypass;
    if (was_asked || began->etag != part->etag) {
        return true;
    }
    ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                  "slab_cache: a slice is of another version of the file than those before it");
    return false;
}

uint64_t end_within_part(const Ctx* ctx) noexcept {
    const auto& out = ctx->request->main->headers_out;   // the range filter has told the client by then
    if (out.status != NGX_HTTP_PARTIAL_CONTENT || out.content_length_n < 0) {
        return UINT64_MAX;
    }
    const auto end = static_cast<uint64_t>(out.content_offset + out.content_length_n);
    return end > ctx->slice.first ? end - ctx->slice.first : 0;
}

}  // namespace slab_cache::ngx
