// Header fields into freshness: every value stays in bounds, and what forbids storing is never lost
// by adding lines.
#include "fuzz/fuzz.h"
#include "http/cache_control.h"
#include "http/freshness.h"
#include "http/reuse.h"
#include "http/storable.h"

using namespace slab_cache::http;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text = input(data, size);
    const std::vector<Field> values = lines_of(text, "Cache-Control");
    const CacheControl cc = parse_cache_control({values.data(), values.size()});
    for (const int64_t lifetime : {cc.max_age, cc.s_maxage, cc.stale_if_error}) {
        check(lifetime >= kAbsent && lifetime <= kDeltaMax);
    }
    std::vector<Field> more = values;
    more.push_back({"Cache-Control", "no-store"});
    check(parse_cache_control({more.data(), more.size()}).no_store);

    const std::vector<Field> fields = fields_of(text);
    Policy policy;
    policy.heuristic_percent = 50;
    policy.jitter_percent = 50;
    const int64_t now = 1'000'000'000;
    const Response response{200, {fields.data(), fields.size()}, now, now};
    const Freshness found = evaluate_freshness(response, policy, 12345);
    check(found.age_at_response >= 0 && found.age_at_response <= kDeltaMax);
    check(found.fresh_until <= now + kDeltaMax);
    const bool is_storable = static_cast<bool>(storable({}, response, found, policy));
    check(!is_storable || (!found.no_store && !found.is_private));
    const StoredFacts facts = facts_of(response, found);
    check(reuse(facts, {}, policy, found.fresh_until).kind != ReuseKind::kFresh);
    return 0;
}
