#include "ngx/glue/ngx.h"

#include "ngx/fill/origin_response.h"

#include "cache/stored_head.h"
#include "http/reuse.h"
#include "http/slice.h"
#include "http/storable.h"
#include "ngx/request/identity.h"
#include "ngx/request/cache_key.h"

namespace slab_cache::ngx {
namespace {

ngx_uint_t last_upstream_status(ngx_http_request_t* r) noexcept {
    if (r->upstream_states == nullptr || r->upstream_states->nelts == 0) {
        return 0;
    }
    auto* states = static_cast<ngx_http_upstream_state_t*>(r->upstream_states->elts);
    return states[r->upstream_states->nelts - 1].status;
}

// nginx makes a page for this status itself: its handler for that has been here. So it is in every answer to an error
// that led to this location; then nobody can tell.
bool is_special(const ngx_http_request_t* r) noexcept { return r->err_status != 0; }

// The status is the origin's, and proxy_intercept_errors took the rest of its answer away.
bool is_intercepted(ngx_http_request_t* r) noexcept {
    ngx_http_upstream_t* u = r->upstream;
    return is_special(r) && u != nullptr && u->cleanup == nullptr &&
           u->headers_in.status_n >= NGX_HTTP_SPECIAL_RESPONSE && u->headers_in.status_n == r->headers_out.status &&
           !is_redirecting(r) &&
           last_upstream_status(r) ==
               u->headers_in.status_n;  // else it began as this error, and then failed in earnest
}

bool read_response(ngx_http_request_t* r, int64_t asked_sec, OriginResponse* out) noexcept {
    ngx_http_upstream_t* u = r->upstream;
    *out = {};
    out->kind = is_special(r) ? AnswerKind::kStatus : AnswerKind::kBody;
    out->from_upstream =
        u != nullptr && !is_special(r) && !is_redirecting(r) && u->headers_in.status_n == r->headers_out.status;
    out->response.status = static_cast<uint16_t>(r->headers_out.status);
    out->response.request_time = by_wall(asked_sec);
    out->response.response_time = wall_sec();
    out->intercepted = is_intercepted(r);
    const bool origins = out->from_upstream || out->intercepted;
    http::Field* lines = nullptr;
    http::Fields fields = list_fields(r->pool, origins ? &u->headers_in.headers : &r->headers_out.headers, 1, &lines);
    if (lines == nullptr) {
        return false;
    }
    if (!origins && r->headers_out.last_modified_time != -1 && !fields.has("Last-Modified")) {
        auto* date = static_cast<u_char*>(ngx_pnalloc(r->pool, sizeof("Mon, 28 Sep 1970 06:00:00 GMT")));
        if (date == nullptr) {
            return false;
        }
        u_char* end = ngx_http_time(date, r->headers_out.last_modified_time);
        fields.names |= http::name_bit("Last-Modified");
        lines[fields.size++] = {"Last-Modified", {reinterpret_cast<char*>(date), static_cast<size_t>(end - date)}};
    }
    out->response.fields = fields;
    const ngx_uint_t upstream_status = last_upstream_status(r);
    out->origin_status = out->from_upstream || upstream_status == 0 ? r->headers_out.status : upstream_status;
    return true;
}

uint32_t failure_bits(const Fill* fill, const OriginResponse& origin) noexcept {
    if (origin.from_upstream || fill->request->upstream == nullptr) {
        return http::stale_on_status(static_cast<uint16_t>(origin.origin_status));
    }
    ngx_http_upstream_t* u = fill->request->upstream;
    if (u->headers_in.status_n == origin.origin_status && u->headers_in.status_n != 0) {
        return http::stale_on_status(static_cast<uint16_t>(origin.origin_status));  // intercepted
    }
    if (origin.origin_status == NGX_HTTP_GATEWAY_TIME_OUT) {
        return http::kStaleTimeout;
    }
    if (origin.origin_status < NGX_HTTP_INTERNAL_SERVER_ERROR) {
        return 0;
    }
    const bool spoke = u->buffer.start != nullptr && u->buffer.last != u->buffer.start;
    return spoke ? http::kStaleInvalidHeader : http::kStaleError;
}

// nginx's own page, since the origin was dead, slow or made no sense.
bool is_about_a_failure(const Fill* fill, const OriginResponse& origin) noexcept {
    const ngx_http_upstream_t* u = fill->request->upstream;
    return u != nullptr && !origin.from_upstream && origin.origin_status >= NGX_HTTP_INTERNAL_SERVER_ERROR &&
           u->headers_in.status_n != origin.origin_status;
}

// Of a part Content-Range says it too.
int64_t body_length(const Fill* fill, const OriginResponse& origin) noexcept {
    const off_t told = fill->request->headers_out.content_length_n;
    http::ContentRange part;
    const bool is_part = told < 0 && fill->slice && origin.response.status == NGX_HTTP_PARTIAL_CONTENT &&
                         http::answers_slice(*fill->slice, origin.response.fields, &part);
    return is_part ? static_cast<int64_t>(part.range.length()) : told;
}

}  // namespace

bool is_redirecting(const ngx_http_request_t* r) noexcept {
    const ngx_http_upstream_t* u = r->upstream;
    return u != nullptr && u->headers_in.x_accel_redirect != nullptr &&
           (u->conf->ignore_headers & NGX_HTTP_UPSTREAM_IGN_XA_REDIRECT) == 0;
}

// Before nginx obeys it looks at the status, which it may intercept.
bool is_redirect_lost(const ngx_http_request_t* r) noexcept {
    return is_special(r) && is_redirecting(r) && r->upstream->headers_in.status_n != r->headers_out.status;
}

http::Request asked_facts(const Fill* fill) noexcept {
    http::Request request = request_facts(fill->request);
    request.has_authorization = fill->has_authorization;
    request.slice = fill->slice ? &*fill->slice : nullptr;
    return request;
}

bool read_origin(Fill* fill, OriginResponse* out) noexcept {
    ngx_http_request_t* r = fill->request;
    if (!read_response(r, fill->started_sec, out)) {
        return false;
    }
    const bool has_body =
        out->kind == AnswerKind::kBody && fill->identity != kHeadIdentity && !has_no_body(r->headers_out.status);
    fill->expected = has_body ? body_length(fill, *out) : 0;
    out->freshness = http::evaluate_freshness(out->response, fill->conf->policy, static_cast<uint32_t>(ngx_random()));
    // Only what is kept with its body can be asked about.
    out->freshness.has_validator = out->freshness.has_validator && out->kind == AnswerKind::kBody;
    return true;
}

bool read_redirect(Fill* fill, OriginResponse* out) noexcept {
    ngx_http_request_t* r = fill->request;
    ngx_http_upstream_t* u = r->upstream;
    if (!is_redirecting(r)) {
        return false;
    }
    *out = {};
    out->kind = AnswerKind::kRedirect;
    out->from_upstream = true;
    out->origin_status = u->headers_in.status_n;
    out->response.status = static_cast<uint16_t>(u->headers_in.status_n);
    out->response.request_time = by_wall(fill->started_sec);
    out->response.response_time = wall_sec();
    out->response.fields = list_fields(r->pool, &u->headers_in.headers, 0, nullptr);
    fill->expected = 0;
    out->freshness = http::evaluate_freshness(out->response, fill->conf->policy, static_cast<uint32_t>(ngx_random()));
    return true;
}

bool confirms_stored(const CloneFill* fill, const OriginResponse& origin) noexcept {
    cache::HeadFixed stored;
    return origin.response.status == NGX_HTTP_NOT_MODIFIED && origin.from_upstream && fill->stale &&
           cache::decode_facts(shm::Store::head(fill->stale), &stored) && may_be_confirmed(stored.facts.status);
}

bool stale_instead(const CloneFill* fill, const OriginResponse& origin) noexcept {
    if (!fill->stale || !fill->stale_servable) {
        return false;
    }
    cache::HeadFixed stored;
    const uint32_t bits = failure_bits(fill, origin);
    if (bits == 0 || !cache::decode_facts(shm::Store::head(fill->stale), &stored)) {
        return false;
    }
    return http::may_serve_stale(stored.facts, static_cast<http::StaleOn>(bits), fill->conf->policy, now_sec());
}

http::Reason why_not_stored(Fill* fill, const OriginResponse& origin, const shm::Pin& stale) noexcept {
    ngx_http_request_t* r = fill->request;
    if (r->http_version < NGX_HTTP_VERSION_10) {
        return http::Reason::kStatus;  // no header at all: nginx takes that for HTTP/0.9
    }
    const http::Verdict verdict =
        http::storable(asked_facts(fill), origin.response, origin.freshness, fill->conf->policy);
    if (!verdict) {
        return is_about_a_failure(fill, origin) ? http::Reason::kOriginError : verdict.reason;
    }
    // A failure is nobody's answer for longer, unless slab_cache_valid or the origin's error itself says so.
    if (origin.kind == AnswerKind::kStatus && !origin.intercepted && origin.freshness.source != http::Source::kValid) {
        return http::Reason::kErrorPage;
    }
    if (stale) {
        cache::HeadFixed stored;
        if (cache::decode_facts(shm::Store::head(stale), &stored) &&
            !http::may_replace(origin.response.status, origin.freshness, stored.facts, fill->conf->policy, now_sec())) {
            return http::Reason::kKeepsBetter;
        }
    }
    return ngx_http_test_predicates(r, fill->conf->no_cache) == NGX_OK ? http::Reason::kNone
                                                                       : http::Reason::kNoCacheRule;
}

bool read_passing(ngx_http_request_t* r, const LocConf* conf, int64_t asked_sec, OriginResponse* out) noexcept {
    if (!read_response(r, asked_sec, out)) {
        return false;
    }
    out->freshness = http::evaluate_freshness(out->response, conf->policy, static_cast<uint32_t>(ngx_random()));
    return true;
}

http::Reason judge_pass(ngx_http_request_t* r, const LocConf* conf) noexcept {
    OriginResponse origin;
    if (!read_passing(r, conf, now_sec(), &origin)) {
        return http::Reason::kInternal;
    }
    http::Request request = request_facts(r);
    if (const Ctx* ctx = get_ctx(r); ctx != nullptr && ctx->part.is_asked()) {
        request.slice = &ctx->part.range;
    }
    return http::storable(request, origin.response, origin.freshness, conf->policy).reason;
}

}  // namespace slab_cache::ngx
