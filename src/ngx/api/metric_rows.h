// ngx/api/metric_rows.h — the rows of ngx/request/metric.def, as /metrics and the API's zones show them.
//
// Cost        a row that is counted is a sum over all workers' records.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/request/accounting.h"

namespace slab_cache::ngx {

struct MetricRow {
    Bytes family;
    Bytes label;
    uint32_t per;
    Bytes member;
    const char* help;
    Counter counter;                                   // kEnd where the store says it
    uint64_t (*stated)(const shm::Stats& s) noexcept;  // nullptr where it is counted

    constexpr bool is_counted() const noexcept { return stated == nullptr; }
    constexpr bool begins_family() const noexcept { return *help != '\0'; }
    uint64_t value(Zone* zone, const shm::Stats& s) const noexcept {
        return is_counted() ? counter_sum(zone, counter) : stated(s);
    }
};

inline constexpr MetricRow kMetricRows[] = {
#define SLAB_COUNTED(enumerator, family, label, per, member, help) \
    {family, label, per, member, help, Counter::enumerator, nullptr},
#define SLAB_STATED(value, family, label, per, member, help) \
    {family, label, per, member, help, Counter::kEnd, [](const shm::Stats& s) noexcept -> uint64_t { return value; }},
#include "ngx/request/metric.def"
};

// Of a family one row has the help: its first.
constexpr bool has_one_help_each() noexcept {
    for (const MetricRow& row : kMetricRows) {
        const MetricRow* first = kMetricRows;
        while (first->family != row.family) {
            first++;
        }
        if (!row.family.empty() && row.begins_family() != (first == &row)) {
            return false;
        }
    }
    return true;
}
static_assert(has_one_help_each());

}  // namespace slab_cache::ngx
