#include "ngx/glue/ngx.h"

#include "ngx/api/entries.h"

#include <jansson.h>

#include "ngx/api/api.h"
#include "ngx/api/entry_json.h"
#include "ngx/api/target_url.h"
#include "ngx/glue/clock.h"
#include "ngx/glue/reply.h"
#include "ngx/zone/zone.h"

namespace slab_cache::ngx {
namespace {

constexpr ngx_int_t kDefaultRows = 20;
constexpr ngx_int_t kMaxRows = 100;
constexpr uint64_t kWalkUs = 20000;
constexpr uint32_t kLooksPerClock = 256;  // buckets between two looks at the clock

struct Listing {
    Call* call;
    uint64_t selector[2];
    uint32_t selectors;
    ngx_int_t rows;
    uint64_t cursor;
    json_t* list;
};

bool bad(Listing* l, Bytes detail, ngx_int_t* rc) noexcept {
    *rc = send_problem(l->call->request, NGX_HTTP_BAD_REQUEST, "invalid argument", detail);
    return false;
}

bool read_prefix(Listing* l, ngx_int_t* rc) noexcept {
    Bytes text;
    Target target;
    if (!query_argument(l->call->request, "prefix", &text)) {
        return true;
    }
    if (base::ends_with(text, "/*")) {
        text = base::slice(text, 0, text.size() - 1);
    }
    if (!parse_target(l->call->request, text, &target) || !target.url.args.empty() || target.url.path.back() != '/') {
        return bad(l, "prefix= is a URL that ends in \"/\", percent-encoded", rc);
    }
    l->selector[l->selectors++] =
        cache::prefix_selector(target.url.host, target.url.path, l->call->zone->store.secret());
    return true;
}

bool read_arguments(Listing* l, ngx_int_t* rc) noexcept {
    ngx_http_request_t* r = l->call->request;
    Bytes text;
    if (query_argument(r, "tag", &text)) {
        if (text.empty() || text.find_first_of(" ,\t") != Bytes::npos) {
            return bad(l, "tag= is one tag", rc);
        }
        l->selector[l->selectors++] = cache::tag_selector(text, l->call->zone->store.secret());
    }
    if (query_argument(r, "n", &text)) {
        l->rows = ngx_atoi(mutable_data(text), text.size());
        if (l->rows < 1 || l->rows > kMaxRows) {
            return bad(l, "n= is a number from 1 to 100", rc);
        }
    }
    if (query_argument(r, "after", &text)) {
        const off_t after = ngx_atoof(mutable_data(text), text.size());
        if (after < 1) {
            return bad(l, "after= is the \"next\" of the page before", rc);
        }
        l->cursor = static_cast<uint64_t>(after);
    }
    return read_prefix(l, rc);
}

void list_one(const shm::Pin& pin, void* data) noexcept {
    auto* l = static_cast<Listing*>(data);
    for (uint32_t i = 0; i < l->selectors; i++) {
        if (!has_selector(pin, l->selector[i])) {
            return;
        }
    }
    shm::Store& store = l->call->zone->store;
    json_array_append_new(l->list, entry_json(l->call->request->pool, l->call->zone, pin, store.validity(pin)));
}

void walk(Listing* l) noexcept {
    const uint64_t end = clock_us() + kWalkUs;
    uint32_t looks = 0;
    do {
        (void) l->call->zone->store.visit(&l->cursor, 1, list_one, l);
    } while (l->cursor != 0 && static_cast<ngx_int_t>(json_array_size(l->list)) < l->rows &&
             (++looks % kLooksPerClock != 0 || clock_us() < end));
}

}  // namespace

ngx_int_t send_entries(Call* call) noexcept {
    Listing listing{call, {}, 0, kDefaultRows, 0, nullptr};
    ngx_int_t rc = NGX_ERROR;
    if (!read_arguments(&listing, &rc)) {
        return rc;
    }
    listing.list = json_array();
    walk(&listing);
    u_char next[NGX_INT64_LEN + 1];
    const u_char* end = ngx_sprintf(next, "%uL", listing.cursor);
    const Bytes text{reinterpret_cast<char*>(next), static_cast<size_t>(end - next)};
    return send_json(
        call->request, NGX_HTTP_OK,
        json_pack("{s:o, s:o}", "entries", listing.list, "next", listing.cursor != 0 ? json_text(text) : json_null()));
}

}  // namespace slab_cache::ngx
