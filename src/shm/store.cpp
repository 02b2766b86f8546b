// Formatting, attaching, and this process as a worker.
#include "shm/store_context.h"

#include "shm/entry_runs.h"
#include "shm/counters.h"
#include "shm/lease.h"
#include "shm/lock.h"
#include "shm/marks.h"
#include "shm/purge.h"
#include "shm/reclaim.h"
#include "shm/repair.h"
#include "shm/worker.h"
#include "shm/zone_plan.h"

namespace slab_cache::shm {
namespace {

// The zone's secret: 192 bytes that only depend on the 16 of the seed.
void derive_secret(const uint8_t seed[16], uint8_t secret[192]) noexcept {
    uint64_t a = 0;
    uint64_t b = 0;
    std::memcpy(&a, seed, 8);
    std::memcpy(&b, seed + 8, 8);
    for (uint32_t i = 0; i < 192; i += 8) {
        const uint64_t x = base::mix64(base::mix64(a, b + i), base::mix64(b, a ^ i));
        std::memcpy(secret + i, &x, 8);
    }
}

// Numbers of another zone, or of an earlier life of this one, are in all likelihood none of ours. They stay below 2^53: JSON
// is read into doubles.
[[maybe_unused]] uint64_t derive_first_seq(const uint8_t seed[16]) noexcept {
    uint64_t a = 0;
    uint64_t b = 0;
    std::memcpy(&a, seed, 8);
    std::memcpy(&b, seed + 8, 8);
    return kLeastSeq + base::mix64(base::mix64(b, a), ~a) % (kLeastSeq << 12);
}

void zero(const Context& c, uint64_t from, uint64_t to) noexcept { std::memset(c.base + from, 0, to - from); }

void format_shard(const Context& c, const Shard& pattern) noexcept {
    Shard* s = shard_at(c, pattern.index);
    std::memcpy(static_cast<void*>(s), &pattern, sizeof(Shard));
    s->random = 0x2545f491U + pattern.index;
    zero(c, offset_of(c, *s) + c.geo.buckets_at, offset_of(c, *s) + c.geo.evict_at);
    queues_of(c, *s).format_locked(c.geo.evict_bytes);
    space_of(c, *s).format_locked();
}

// The counters stay: sums never fall.
void zero_workers(const Context& c) noexcept {
    for (uint32_t i = 0; i < c.geo.worker_count; i++) {
        WorkerRecord* w = worker_record(c, i);
        w->owner.store_relaxed(0);
        w->hiwater.store_relaxed(0);
        std::memset(static_cast<void*>(w + 1), 0, c.geo.worker_bytes - sizeof(WorkerRecord));
    }
}

}  // namespace

Store::Store() noexcept {
    static_assert(sizeof(Context) <= kProcessBytes && alignof(Context) <= 8, "Store::process_ has room for a Context");
    new (process_) Context;
}

uint64_t Store::min_bytes(const Config& config) noexcept {
    static constexpr uint64_t kStep = 64 * 1024;
    ZoneHeader z;
    Shard shards[kMaxShards];
    // 4096: the most that `reserved` may be. The need grows more slowly than the zone, so bisection finds it.
    uint64_t low = 0;
    uint64_t high = uint64_t{1} << 22;
    while (high < uint64_t{1} << 38 && !plan_zone(high, 4096, config, &z, shards)) {
        low = high;
        high *= 2;
    }
    while (high - low > kStep) {
        const uint64_t middle = (low + (high - low) / 2 + kStep - 1) / kStep * kStep;
        if (middle >= high) {
            break;
        }
        if (plan_zone(middle, 4096, config, &z, shards)) {
            high = middle;
        } else {
            low = middle;
        }
    }
    return high;
}

Status Store::create(void* base, uint64_t bytes, uint32_t reserved, const Config& config,
                     const uint8_t seed[16]) noexcept {
    ZoneHeader plan;
    Shard shards[kMaxShards];
    std::memset(static_cast<void*>(&plan), 0, sizeof(plan));
    std::memset(static_cast<void*>(shards), 0, sizeof(shards));
    if (!plan_zone(bytes, reserved, config, &plan, shards)) {
        return Status::kTooSmall;
    }
    process().base = static_cast<char*>(base);
    process().bytes = bytes;
    process().zone = reinterpret_cast<ZoneHeader*>(process().base + reserved);
    ZoneHeader* z = process().zone;
    z->magic = 0;  // not to be attached before it is whole
    plan.version = kLayoutVersion;
    plan.fingerprint = zone_fingerprint();
    plan.zone_bytes = bytes;
    plan.reserved_bytes = reserved;
    plan.config_max_object = config.max_object;
    plan.config_objects = config.objects;
    plan.config_purge_records = config.purge_records;
    plan.config_workers = config.workers;
    plan.config_user_bytes = config.user_bytes;
    plan.config_eviction = static_cast<uint32_t>(config.eviction);
    derive_secret(seed, plan.secret);
    std::memcpy(&plan.zone_id, plan.secret + 184, 8);
#if defined(SLAB_BROKEN_TWIN) && SLAB_BROKEN_TWIN == 6
    plan.first_seq = kLeastSeq;
#else
    plan.first_seq = derive_first_seq(seed);
#endif
    std::memcpy(static_cast<void*>(z), &plan, sizeof(plan));
    process().geo = geometry_of(plan, shards[0]);
    zero(process(), plan.user_offset, plan.shard_offset[0]);
    z->purge_seq.store_relaxed(plan.first_seq);  // births start above 0, the seq of an empty record
    for (uint32_t i = 0; i < plan.shard_count; i++) {
        format_shard(process(), shards[i]);
    }
    std::atomic_signal_fence(std::memory_order_seq_cst);
    z->magic = kZoneMagic;
    return Status::kOk;
}

bool Store::config_of(const void* base, uint64_t bytes, uint32_t reserved, Config* config) noexcept {
    const auto* z = reinterpret_cast<const ZoneHeader*>(static_cast<const char*>(base) + reserved);
    if (bytes < reserved + sizeof(ZoneHeader) || z->magic != kZoneMagic || z->version != kLayoutVersion) {
        return false;
    }
    config->max_object = z->config_max_object;
    config->objects = z->config_objects;
    config->purge_records = z->config_purge_records;
    config->workers = z->config_workers;
    config->user_bytes = z->config_user_bytes;
    config->eviction = static_cast<Eviction>(z->config_eviction);
    return true;
}

Status Store::attach(void* base, uint64_t bytes, uint32_t reserved, const Config& config) noexcept {
    if (bytes < reserved + sizeof(ZoneHeader)) {
        return Status::kStaleFormat;
    }
    auto* z = reinterpret_cast<ZoneHeader*>(static_cast<char*>(base) + reserved);
    Geometry geo;
    if (!zone_matches(*z, bytes, reserved, config, &geo)) {
        return Status::kStaleFormat;
    }
    process().base = static_cast<char*>(base);
    process().bytes = bytes;
    process().zone = z;
    process().geo = geo;
    return Status::kOk;
}

void Store::recover() noexcept {
    ZoneHeader* z = process().zone;
    zero_workers(process());
    clear_leases(process());
    z->sweeper.store_relaxed(0);
    if (z->purge_lock.dirty.load_relaxed() != 0) {
        finish_purge_locked(process());
    }
    mend_purges(process());
    // What was purged in the zone before this one, and not taken over, died with it: anything may have been.
    if (is_following()) {
        const uint64_t seq = purge_counter(process()) + 1;
        z->all_hard.store_relaxed(seq);
        z->purge_seq.store_seq_cst(seq);  // [purge-seq]
        z->follows.store_release(0);      // [follows]
    }
    unlock(&z->purge_lock);
    for (uint32_t i = 0; i < process().geo.shard_count; i++) {
        Shard* s = shard_at(process(), i);
        repair_locked(&process(), s);
        unlock(&s->lock);
    }
}

bool Store::is_following() const noexcept {
    return process().zone->follows.load_acquire() != 0;  // [follows]
}

bool Store::is_unclean() const noexcept {
    return process().zone->unclean.load_acquire() != 0;  // [unclean]
}

void Store::set_unclean(bool unclean) noexcept {
    process().zone->unclean.store_release(unclean ? 1 : 0);  // [unclean]
}

void Store::set_liveness(IsAliveFn fn, void* context) noexcept {
    process().alive = fn;
    process().alive_context = context;
}

Status Store::join(const WorkerId& self) noexcept {
    if (process().worker != 0) {
        return process().joined ? Status::kOk : Status::kBusy;
    }
    if (const Status s = claim_record(&process(), self); s != Status::kOk) {
        reap_dead(&process(), nullptr);
        if (claim_record(&process(), self) != Status::kOk) {
            return s;
        }
    }
    process().local = make_local_pins(process());
    if (process().local == nullptr) {
        worker_record(process(), process().worker - 1)->owner.store_release(0);  // [record]
        process().worker = 0;
        return Status::kBusy;
    }
    finish_purge_of_dead(&process());  // until then nothing could be stored
    process().joined = true;
    return Status::kOk;
}

void Store::leave() noexcept {
    process().joined = false;
    if (process().worker == 0) {
        return;
    }
    WorkerRecord* w = worker_record(process(), process().worker - 1);
    const bool is_clear = retire_fills(&process(), w) && pins_held(*process().local) == 0;
    abandon_leases(&process(), process().worker - 1, nullptr);
    drop_local_pins(process().local);
    process().local = nullptr;
    process().worker = 0;
    if (!is_clear) {
        return;  // the next tenant would inherit fills, or a scan would miss pins: the reaper's case
    }
    w->hiwater.store_release(0);
    w->owner.store_release(0);  // [record]
}

bool Store::joined() const noexcept { return process().joined; }

bool Store::holds_pins() const noexcept { return process().local != nullptr && pins_held(*process().local) != 0; }

void Store::give_up() noexcept { process().joined = false; }

bool Store::is_intact() const noexcept {
    const ZoneHeader* z = process().zone;
    return z->magic == kZoneMagic && z->fingerprint == zone_fingerprint() && z->zone_bytes == process().bytes &&
           z->zone_id == process().geo.zone_id && std::memcmp(z->secret, process().geo.secret, sizeof(z->secret)) == 0;
}

uint32_t Store::worker_index() const noexcept { return process().worker - 1; }

WorkerId Store::worker_at(uint32_t index) const noexcept {
    if (index >= process().geo.worker_count) {
        return {};
    }
    const uint64_t word = worker_record(process(), index)->owner.load_acquire();  // [record]
    return (word & kReapingBit) != 0 ? WorkerId{} : identity_of(word);
}

bool Store::is_own_seq(uint64_t seq, uint64_t counter) const noexcept {
#if defined(SLAB_BROKEN_TWIN) && SLAB_BROKEN_TWIN == 6
    return seq <= counter;  // tests/history must find that numbers of another life pass
#else
    const ZoneHeader& z = *process().zone;
    return (seq >= z.first_seq && seq <= counter) ||
           (z.carried_first != 0 && seq >= z.carried_first && seq <= z.carried_seq);
#endif
}

uint64_t Store::carried_seq() const noexcept { return process().zone->carried_seq; }

uint64_t Store::zone_id() const noexcept { return process().geo.zone_id; }

const uint8_t* Store::secret() const noexcept { return process().geo.secret; }

void* Store::user_area() const noexcept { return process().base + process().geo.user_offset; }

void Store::count(uint32_t counter, uint64_t n) noexcept {
    if (counter < kCounters) {
        shm::count(process(), static_cast<Counter>(counter), n);
    }
}

uint64_t Store::counter_sum(uint32_t counter) const noexcept {
    uint64_t sum = 0;
    for (uint32_t i = 0; counter < kCounters && i < process().geo.worker_count; i++) {
        sum += worker_record(process(), i)->counter[counter].load_relaxed();
    }
    return sum;
}

}  // namespace slab_cache::shm
