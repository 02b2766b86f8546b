#include "ngx/glue/ngx.h"

#include "ngx/request/response_header.h"

#include "cache/stored_head.h"
#include "cache/variant_marker.h"
#include "http/range.h"
#include "http/validator.h"
#include "ngx/request/controls.h"
#include "ngx/request/sliced_request.h"

namespace slab_cache::ngx {
namespace {

using cache::Known;

// The typed places of headers_out that nginx's filters look at.
bool place(ngx_http_request_t* r, Known id, ngx_table_elt_t* h) noexcept {
    auto& out = r->headers_out;
    switch (id) {
    case Known::kDate:
        out.date = h;
        break;
    case Known::kLastModified:
        out.last_modified = h;
        break;
    case Known::kETag:
        out.etag = h;
        break;
    case Known::kExpires:
        out.expires = h;
        break;
    case Known::kContentEncoding:
        out.content_encoding = h;
        break;
    case Known::kRefresh:
        out.refresh = h;
        break;
    case Known::kWwwAuthenticate:
        out.www_authenticate = h;
        break;
    case Known::kServer:
        out.server = h;
        break;
    case Known::kLocation:
        // A path is left to the client: nginx would make it absolute with its own idea of the host.
        if (h->value.len != 0 && h->value.data[0] != '/') {
            out.location = h;
        }
        break;
    case Known::kCacheControl:
        return append_multi(r->pool, &out, offsetof(ngx_http_headers_out_t, cache_control), h);
    case Known::kLink:
        return append_multi(r->pool, &out, offsetof(ngx_http_headers_out_t, link), h);
    default:
        break;
    }
    return true;
}

http::Condition condition(ngx_http_request_t* r, const cache::StoredResponse& stored) noexcept {
    const auto& in = r->headers_in;
    if (in.if_none_match == nullptr && in.if_modified_since == nullptr && in.if_match == nullptr &&
        in.if_unmodified_since == nullptr) {
        return http::Condition::kProceed;
    }
    // nginx then takes it for modified, whatever else was asked with it.
    const bool modified = in.if_modified_since != nullptr && core_loc_conf(r)->if_modified_since == NGX_HTTP_IMS_OFF;
    http::Field lines[4];
    size_t n = 0;
    for (ngx_table_elt_t* h : {in.if_none_match, in.if_modified_since, in.if_match, in.if_unmodified_since}) {
        if (h != nullptr && !(modified && (h == in.if_none_match || h == in.if_modified_since))) {
            lines[n++] = {view(h->key), view(h->value)};
        }
    }
    const http::Method method = r->method == NGX_HTTP_HEAD ? http::Method::kHead : http::Method::kGet;
    return http::evaluate_preconditions({lines, n}, method, stored.status,
                                        {stored.etag, stored.last_modified, stored.facts.date}, wall_sec());
}

// What is no range of a GET is ignored (RFC 9110 §14.2): nginx would answer it with a 416, or cut a HEAD.
bool is_range(ngx_http_request_t* r, off_t length) noexcept {
    if (r->method != NGX_HTTP_GET || length < 0) {
        return false;
    }
    http::RangeSet set;
    http::parse_ranges(view(r->headers_in.range->value), static_cast<uint64_t>(length), &set);
    return set.answer != http::RangeAnswer::kWhole;
}

bool add_age(ngx_http_request_t* r, int64_t age) noexcept {
    ngx_table_elt_t* h = push_header(&r->headers_out.headers);
    auto* p = static_cast<u_char*>(ngx_pnalloc(r->pool, NGX_INT64_LEN));
    if (h == nullptr || p == nullptr) {
        return false;
    }
    h->key = to_str("Age");
    static u_char lowcase[] = "age";
    h->lowcase_key = lowcase;
    h->value.data = p;
    h->value.len = static_cast<size_t>(ngx_sprintf(p, "%L", age) - p);
    return true;
}

// By its range filter. Of a 200, Content-Range says nothing (RFC 9110 §14.4), and the 206 made of it would have two.
bool is_said_by_nginx(ngx_http_request_t* r, const cache::StoredField& field) noexcept {
    return field.id == Known::kAcceptRanges || (r->headers_in.range != nullptr && field.lowcase == "content-range");
}

bool add_fields(ngx_http_request_t* r, const Ctx* ctx, const cache::StoredResponse& stored, bool only_304) noexcept {
    Bytes rest = stored.fields;
    cache::StoredField field;
    while (cache::next_field(&rest, &field)) {
        if (only_304 && !http::is_304_field(field.lowcase)) {
            continue;
        }
        if (field.id == Known::kContentType) {
            if (ctx->has_type) {
                continue;
            }
            set_content_type(r, field.value, stored.content_type_len);
            continue;
        }
        if ((stored.status == NGX_HTTP_OK && is_said_by_nginx(r, field)) ||
            (is_stored_part(ctx, stored) && field.id == Known::kAcceptRanges)) {
            continue;
        }
        ngx_table_elt_t* h = push_header(&r->headers_out.headers);
        if (h == nullptr) {
            return false;
        }
        h->key = to_str(field.name);
        h->lowcase_key = mutable_data(field.lowcase);
        h->value = to_str(field.value);
        if (!place(r, field.id, h)) {
            return false;
        }
        if (stored.status == NGX_HTTP_PARTIAL_CONTENT && field.lowcase == "content-range") {
            if (!pool_copy(r->pool, to_str(field.value), &h->value)) {  // nginx reads it up to a NUL
                return false;
            }
            r->headers_out.content_range = h;
        }
    }
    return true;
}

// The length in a stored HEAD's answer goes where nginx's filters look for it.
void take_length(ngx_http_request_t* r) noexcept {
    r->headers_out.content_length_n = -1;
    each_header(r->headers_out.headers, [&](ngx_table_elt_t& h) {
        if (h.hash != 0 && base::equal_nocase(view(h.key), "Content-Length")) {
            h.hash = 0;
            r->headers_out.content_length_n = ngx_atoof(h.value.data, h.value.len);
            return false;
        }
        return true;
    });
}

// What the origin said to this client alone: Set-Cookie that is stripped, fields that no-cache names.
bool add_own_fields(ngx_http_request_t* r, const Ctx* ctx) noexcept {
    for (size_t i = 0; i < ctx->from_fill.own_count; i++) {
        const http::Field& field = ctx->from_fill.own_fields[i];
        Bytes lowcase;
        if (!pool_copy(r->pool, field.name, &lowcase)) {
            return false;
        }
        ngx_strlow(mutable_data(lowcase), mutable_data(lowcase), lowcase.size());
        if (!set_header_out(r, field.name, lowcase, field.value)) {
            return false;
        }
    }
    return true;
}

// Served with the answer to its own fill: not from the store.
bool is_first_hand(const Ctx* ctx) noexcept {
    return ctx->status == CacheStatus::kMiss || ctx->status == CacheStatus::kExpired ||
           ctx->status == CacheStatus::kBypass;
}

}  // namespace

// nginx keeps the type and its charset apart: filters test the first, the charset filter the second.
void set_content_type(ngx_http_request_t* r, Bytes value, size_t type_len) noexcept {
    auto& out = r->headers_out;
    out.content_type = to_str(value);
    out.content_type_len = type_len;
    out.content_type_lowcase = nullptr;
    static constexpr Bytes kCharset = "charset=";
    for (size_t i = type_len; i + kCharset.size() < value.size(); i++) {
        if (base::equal_nocase(base::slice(value, i, kCharset.size()), kCharset)) {
            Bytes charset = base::slice(value, i + kCharset.size());
            if (charset.size() > 1 && charset.front() == '"' && charset.back() == '"') {
                charset = base::slice(charset, 1, charset.size() - 2);
            }
            out.charset = to_str(charset);
            return;
        }
    }
}

bool is_location_ours(const ngx_http_headers_out_t& out) noexcept {
    return out.location != nullptr && out.location->hash != 0 && out.location->value.len != 0 &&
           out.location->value.data[0] == '/';
}

void make_location_ours(ngx_http_request_t* r) noexcept {
    each_header(r->headers_out.headers, [&](ngx_table_elt_t& h) {
        if (h.hash != 0 && base::equal_nocase(view(h.key), "Location")) {
            r->headers_out.location = &h;
        }
        return true;
    });
}

bool is_server_withheld(const ngx_http_headers_out_t& out) noexcept {
    return out.server != nullptr && out.server->hash == 0;
}

void withhold_server(ngx_http_request_t* r) noexcept {
    static ngx_table_elt_t none;  // nginx looks at the pointer, and sends lines of the list alone
    r->headers_out.server = &none;
}

ngx_int_t build_header(ngx_http_request_t* r, Ctx* ctx) noexcept {
    const cache::StoredResponse* decoded = stored_response(ctx);
    if (decoded == nullptr) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;  // lookups have checked it: cannot happen
    }
    if ((shm::Store::flags(ctx->pin) & cache::kGzipVaryFlag) != 0) {
        leave_vary_to_nginx(r);
    }
    const ngx_int_t rc =
        put_header(r, ctx, *decoded, shm::Store::body_length(ctx->pin), shm::Store::is_complete(ctx->pin));
    if ((shm::Store::flags(ctx->pin) & cache::kOwnLocationFlag) != 0) {
        make_location_ours(r);
    }
    if ((shm::Store::flags(ctx->pin) & cache::kNoServerFlag) != 0) {
        withhold_server(r);
    }
    if ((shm::Store::flags(ctx->pin) & cache::kHeadFlag) != 0) {
        take_length(r);
    }
    if ((shm::Store::flags(ctx->pin) & cache::kControlsFlag) != 0 && !obey_kept_controls(r)) {
        return NGX_ERROR;
    }
    return rc;
}

ngx_int_t put_header(ngx_http_request_t* r, Ctx* ctx, const cache::StoredResponse& stored, int64_t length,
                     bool complete) noexcept {
    // The answer to an error keeps its status, and has nothing to be asked about. A part is put in its place first: then
    // nginx's filters answer conditions and ranges, of the whole.
    const bool is_part = is_stored_part(ctx, stored);
    const http::Condition met =
        r == r->main && r->err_status == 0 && !is_part ? condition(r, stored) : http::Condition::kProceed;
    if (met == http::Condition::kFailed) {
        return NGX_HTTP_PRECONDITION_FAILED;
    }
    const bool not_modified = met == http::Condition::kNotModified;
    auto& out = r->headers_out;
    out.status = not_modified ? static_cast<ngx_uint_t>(NGX_HTTP_NOT_MODIFIED) : stored.status;
    out.content_length_n = not_modified ? -1 : length;
    out.last_modified_time = static_cast<time_t>(stored.last_modified_time);
    r->disable_not_modified = is_part ? 0 : 1;  // answered above, by RFC 9110's order
    r->allow_ranges = !is_part && range_allowed(r, {stored.etag, stored.last_modified, stored.facts.date});
    r->single_range = !complete;
    if (!add_fields(r, ctx, stored, not_modified)) {
        return NGX_ERROR;
    }
    ctx->ttl = stored.facts.fresh_until - now_sec();
    const bool asked = is_first_hand(ctx) || ctx->status == CacheStatus::kRevalidated;
    if (asked && !not_modified && !add_own_fields(r, ctx)) {
        return NGX_ERROR;
    }
    if (is_first_hand(ctx)) {
        ctx->age = ctx->from_fill.origin_age;  // Age only if the origin gave one
        return ctx->age < 0 || add_age(r, ctx->age) ? NGX_OK : NGX_ERROR;
    }
    ctx->age = http::current_age(stored.facts, now_sec());
    return add_age(r, ctx->age) ? NGX_OK : NGX_ERROR;
}

bool range_allowed(ngx_http_request_t* r, const http::Validators& whole) noexcept {
    const auto& in = r->headers_in;
    if (in.range == nullptr) {
        return true;
    }
    if (in.if_range == nullptr) {
        return is_range(r, r->headers_out.content_length_n);
    }
    const http::Field line = {view(in.if_range->key), view(in.if_range->value)};
    return is_range(r, r->headers_out.content_length_n) && http::if_range_holds({&line, 1}, whole, wall_sec());
}

bool wants_one_buf(ngx_http_request_t* r) noexcept {
    return r->headers_out.status == NGX_HTTP_PARTIAL_CONTENT && r->headers_in.range != nullptr &&
           view(r->headers_in.range->value).find(',') != Bytes::npos;
}

bool set_header_out(ngx_http_request_t* r, Bytes name, Bytes lowcase, Bytes value) noexcept {
    ngx_table_elt_t* h = push_header(&r->headers_out.headers);
    if (h == nullptr) {
        return false;
    }
    h->key = to_str(name);
    h->lowcase_key = mutable_data(lowcase);
    h->value = to_str(value);
    const Known id = cache::known(name);
    if (id == Known::kAcceptRanges) {
        r->headers_out.accept_ranges = h;
    } else if (id == Known::kOther && base::equal_nocase(name, "Content-Range")) {
        r->headers_out.content_range = h;
    }
    return place(r, id, h);
}

}  // namespace slab_cache::ngx
