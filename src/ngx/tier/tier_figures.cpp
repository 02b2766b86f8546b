#include "ngx/glue/ngx.h"

#include "ngx/tier/tier_figures.h"

namespace slab_cache::ngx {
namespace {

constexpr const char* kMissWords[] = {"ABSENT",   "STALE",  "PURGED",  "NONSENSE",    "FOREIGN", "REFUSED", "TOO_LARGE",
                                      "NO_SPACE", "WAITED", "TIMEOUT", "UNREACHABLE", "CIRCUIT", "ERROR"};
static_assert(sizeof(kMissWords) / sizeof(kMissWords[0]) == kTierMisses, "a word each");

}  // namespace

const char* tier_miss_word(TierMiss miss) noexcept {
    return kMissWords[static_cast<uint32_t>(miss) < kTierMisses ? static_cast<uint32_t>(miss) : 0];
}

const TierFigureRow kTierFigureRows[kTierFigures] = {
    {"hits", "Misses of the zone that the store answered."},
    {"writes", "Values written to the store."},
    {"deletes", "Values deleted there, for what replaces them could not be written."},
    {"too_large", "Responses not written, being above max_object= or too large for the store."},
    {"leases_won", "Misses that got the right to ask the origin, for all machines."},
    {"leases_lost", "Misses that found another machine at it."},
    {"leases_waited", "Hits that came while they waited for that machine."},
    {"errors", "Commands that the store answered with an error."},
    {"timeouts", "Misses that the store did not answer within timeout=."},
    {"circuits", "Times that a worker stopped asking a server for a while."},
    {"connects", "Connections made to a server."},
};

}  // namespace slab_cache::ngx
