#include "ngx/glue/ngx.h"

#include "ngx/api/top.h"

#include <jansson.h>

#include "http/reason.h"
#include "ngx/api/api.h"
#include "ngx/glue/clock.h"
#include "ngx/api/entry_json.h"
#include "ngx/glue/reply.h"
#include "ngx/api/target_url.h"
#include "ngx/zone/user_area.h"

namespace slab_cache::ngx {
namespace {

constexpr uint32_t kDefaultRows = 20;
constexpr uint32_t kMaxRows = 100;
constexpr uint64_t kWalkUs = 20000;
constexpr uint32_t kBucketsPerStep = 256;

void put(json_t* to, const char* name, uint64_t value) noexcept {
    json_object_set_new(to, name, json_integer(static_cast<json_int_t>(value)));
}

uint64_t by_weight(const cache::SketchRow& row) noexcept { return row.weight; }
uint64_t by_count(const cache::SketchRow& row) noexcept { return row.count; }

json_t* row_json(const cache::SketchRow& row, bool is_lost) noexcept {
    json_t* json = json_object();
    json_object_set_new(json, "route", json_text(row.text()));
    put(json, "requests", row.count);
    put(json, is_lost ? "lost_us" : "saved_us", row.weight);
    put(json, "error_us", row.error);
    put(json, "last_sec", row.last_sec);
    if (is_lost && row.note < http::kReasonCount) {
        const auto reason = static_cast<http::Reason>(row.note);
        json_object_set_new(json, "reason", json_text(http::reason_word(reason)));
        json_object_set_new(json, "sentence", json_text(http::reason_sentence(reason)));
    }
    return json;
}

json_t* routes_json(Call* call, bool is_lost, cache::WeighFn weigh, uint32_t n) noexcept {
    json_t* list = json_array();
    UserArea* area = user_area(call->zone);
    auto* row = static_cast<cache::SketchRow*>(ngx_palloc(call->request->pool, kMaxRows * sizeof(cache::SketchRow)));
    if (area == nullptr || row == nullptr) {
        return list;
    }
    const uint32_t found = cache::sketch_top(is_lost ? &area->lost : &area->served, now_ms(), weigh, row, n);
    for (uint32_t i = 0; i < found; i++) {
        json_array_append_new(list, row_json(row[i], is_lost));
    }
    return list;
}

// ---- the largest objects ---------------------------------------------------------------------------------------

struct Largest {
    Zone* zone;
    shm::Pin pin[kMaxRows];
    uint64_t bytes[kMaxRows];
    uint32_t count;
    uint32_t cap;
};

void keep_large(const shm::Pin& pin, void* data) noexcept {
    auto* top = static_cast<Largest*>(data);
    const uint64_t bytes = top->zone->store.occupied_bytes(pin);
    uint32_t at = top->count;
    while (at > 0 && top->bytes[at - 1] < bytes) {
        at--;
    }
    if (at >= top->cap) {
        return;
    }
    if (top->count == top->cap) {
        top->zone->store.unpin(&top->pin[--top->count]);
    }
    for (uint32_t i = top->count; i > at; i--) {
        top->pin[i] = top->pin[i - 1];
        top->bytes[i] = top->bytes[i - 1];
    }
    top->pin[at] = top->zone->store.repin(pin);
    top->bytes[at] = bytes;
    top->count++;
}

json_t* largest_json(Call* call, uint32_t n, bool* is_complete) noexcept {
    json_t* list = json_array();
    auto* top = pool_new<Largest>(call->request->pool);
    if (top == nullptr) {
        return list;
    }
    top->zone = call->zone;
    top->cap = n;
    const uint64_t end = clock_us() + kWalkUs;
    uint64_t cursor = 0;
    do {
        call->zone->store.visit(&cursor, kBucketsPerStep, keep_large, top);
    } while (cursor != 0 && clock_us() < end);
    *is_complete = cursor == 0;
    for (uint32_t i = 0; i < top->count; i++) {
        json_array_append_new(
            list, entry_json(call->request->pool, call->zone, top->pin[i], call->zone->store.validity(top->pin[i])));
        call->zone->store.unpin(&top->pin[i]);
    }
    return list;
}

// n=, 1 to kMaxRows; 0: nonsense.
uint32_t rows_wanted(ngx_http_request_t* r) noexcept {
    Bytes text;
    if (!query_argument(r, "n", &text)) {
        return kDefaultRows;
    }
    const ngx_int_t n = ngx_atoi(mutable_data(text), text.size());
    return n > 0 && n <= static_cast<ngx_int_t>(kMaxRows) ? static_cast<uint32_t>(n) : 0;
}

}  // namespace

ngx_int_t send_top(Call* call) noexcept {
    ngx_http_request_t* r = call->request;
    const uint32_t n = rows_wanted(r);
    Bytes by;
    if (n == 0) {
        return send_problem(r, NGX_HTTP_BAD_REQUEST, "invalid n", "n= is a number from 1 to 100");
    }
    (void) query_argument(r, "by", &by);
    bool is_complete = true;
    json_t* rows = nullptr;
    if (by == "lost") {
        rows = routes_json(call, true, by_weight, n);
    } else if (by == "saved") {
        rows = routes_json(call, false, by_weight, n);
    } else if (by == "hits") {
        rows = routes_json(call, false, by_count, n);
    } else if (by == "bytes") {
        rows = largest_json(call, n, &is_complete);
    } else {
        return send_problem(r, NGX_HTTP_BAD_REQUEST, "invalid by", "by= is saved, lost, bytes or hits");
    }
    return send_json(r, NGX_HTTP_OK,
                     json_pack("{s:o, s:o, s:b}", "by", json_text(by), "rows", rows, "complete", is_complete ? 1 : 0));
}

}  // namespace slab_cache::ngx
