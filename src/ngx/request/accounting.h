// ngx/request/accounting.h — what this worker counts (metric.def).
//
// The store keeps them per worker and sums on read; a count is one relaxed store on a line of this worker's own.
#pragma once

#include "ngx/glue/ngx.h"

#include "cache/histogram.h"
#include "http/reason.h"
#include "ngx/request/ctx.h"
#include "ngx/zone/zone.h"

namespace slab_cache::ngx {

// 64..191 are ours (shm/store.h): those of metric.def, reasons, histograms.
enum class Counter : uint32_t {
    kBefore = 63,
#define SLAB_COUNTED(enumerator, ...) enumerator,
#include "ngx/request/metric.def"
    kEnd,
    kReasonFirst = 100,     // + http::Reason
    kHitBucketFirst = 156,  // + bucket of cache/histogram.h
    kMissBucketFirst = 172,
};
static_assert(static_cast<uint32_t>(Counter::kEnd) <= 100, "rows of metric.def must fit below the reasons");
static_assert(100 + http::kReasonCount <= 156, "reasons must fit below the histograms");
static_assert(156 + cache::kBuckets <= 172 && 172 + cache::kBuckets <= 192);

inline void count(Zone* zone, Counter counter, uint64_t n = 1) noexcept {
    zone->store.count(static_cast<uint32_t>(counter), n);
}

inline void count(Zone* zone, http::Reason reason) noexcept {
    zone->store.count(static_cast<uint32_t>(Counter::kReasonFirst) + static_cast<uint32_t>(reason), 1);
}

inline uint64_t counter_sum(Zone* zone, Counter counter, uint32_t offset = 0) noexcept {
    return zone->store.counter_sum(static_cast<uint32_t>(counter) + offset);
}

void count_served(Ctx* ctx) noexcept;                                    // by status; where the time went
void count_origin(Zone* zone, uint64_t ms, ngx_uint_t status) noexcept;  // an origin answered a fetch after that time
void count_sent(ngx_http_request_t* r) noexcept;                         // a header went to the client
void count_pass(Ctx* ctx) noexcept;                                      // by reason
void count_passed_answer(Ctx* ctx) noexcept;                             // the answer to a request that passed is here

}  // namespace slab_cache::ngx
