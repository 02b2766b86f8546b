#include "shm/entry_runs.h"

#include "base/hash.h"
#include "shm/counters.h"
#include "shm/index.h"
#include "shm/lease.h"
#include "shm/marks.h"
#include "shm/purge.h"
#include "shm/reclaim.h"

namespace slab_cache::shm {
namespace {

// A batch of victims shares two looks at all hazard slots: at least so many, more while they are small (kBatchShare).
constexpr uint32_t kEvictBatch = 4;
constexpr uint32_t kEvictBatchMost = 16;
constexpr uint32_t kBatchShare = 512;  // of a shard's bytes one batch may make room for
constexpr uint32_t kEvictMost = 32;    // per lock hold
// So many victims in queue order have not made the shape that is wanted: emptying one block costs less than going on.
constexpr uint32_t kEvictBeforeCleaning = 8;

struct RoomContext {
    const Context* c;
    Shard* shard;
    const RefFilter* held;  // as of this process's last scan: a victim that somebody holds all the same waits, retired
    int64_t now_sec;
    uint64_t purge_seq;
};

bool is_held(uint32_t ref, void* context) noexcept { return static_cast<RoomContext*>(context)->held->may_hold(ref); }

bool is_purged(const Entry& e, void* context) noexcept {
    const auto* room = static_cast<RoomContext*>(context);
    return is_purged_locked(*room->c, e, room->purge_seq);
}

// For the cleaning of a block: owners that cannot be evicted now.
bool is_stuck(uint32_t ref, void* context) noexcept {
    const auto* room = static_cast<RoomContext*>(context);
    return !is_entry(*room->c, *room->shard, ref) || room->held->may_hold(ref) ||
           state_of(*region(*room->c).entry(ref)) != EntryState::kLive;
}

bool evict_owner(uint32_t owner, uint32_t, void* context) noexcept {
    const auto* room = static_cast<RoomContext*>(context);
    // A second run of an owner evicted a moment ago: already retired.
    if (is_entry(*room->c, *room->shard, owner) && state_of(*region(*room->c).entry(owner)) == EntryState::kLive) {
        queues_of(*room->c, *room->shard).remove_locked(owner);
        evict_locked(*room->c, room->shard, owner, room->now_sec);
    }
    return true;
}

// The valve against calcification: much is free, but not in the wanted shape.
void clean_block_locked(RoomContext* room) noexcept {
    Space space = space_of(*room->c, *room->shard);
    const uint32_t block = space.pick_block_to_clean_locked(&room->shard->random, is_stuck, room);
    if (block != kNoBlock) {
        space.for_each_run_owner_in_block_locked(block, evict_owner, room);
        count(*room->c, Counter::kCleanedBlocks);
    }
}

void prefetch_victim(const Context& c, const Shard& s, uint32_t ref) noexcept {
    __builtin_prefetch(bucket_at(c, s, bucket_of(c, digest_of(*region(c).entry(ref)))), 1);
    if (const uint32_t next = region(c).run(ref)->next.load_relaxed(); owns(c, s, next)) {
        __builtin_prefetch(region(c).run(next), 1);
    }
    space_of(c, s).prefetch(ref);
}

uint32_t evict_some_locked(RoomContext* room, const VictimRules& rules) noexcept {
    const uint64_t enough = capacity(*room->c) / kBatchShare;
    uint64_t bytes = 0;
    uint32_t evicted = 0;
    uint32_t pending = 0;  // picked; its bucket and second run are on their way from memory
    for (; evicted < kEvictBatch || (evicted < kEvictBatchMost && bytes < enough); evicted++) {
        const uint32_t ref = queues_of(*room->c, *room->shard).pick_victim_locked(saturate_sec(room->now_sec), rules);
        if (ref == 0) {
            break;
        }
        bytes += region(*room->c).entry(ref)->occupied.load_relaxed();
        queues_of(*room->c, *room->shard).prefetch_victims_behind(ref, evicted == 0);
        prefetch_victim(*room->c, *room->shard, ref);
        if (pending != 0) {
            evict_locked(*room->c, room->shard, pending, room->now_sec);
        }
        pending = ref;
    }
    if (pending != 0) {
        evict_locked(*room->c, room->shard, pending, room->now_sec);
    }
    return evicted;
}

}  // namespace

bool is_purged_locked(const Context& c, const Entry& e, uint64_t seq) noexcept {
    if (e.checked.load_relaxed() == seq) {
        return false;
    }
    const Validity v = judge(c, selectors_of(e), e.fixed.selector_count, known_valid_at(e, seq));
    if (v == Validity::kValid) {
        const_cast<Entry&>(e).checked.store_relaxed(seq);  // as Store::validity() does
    }
    return v == Validity::kPurged;
}

// Against stray writes, not against malice: each word passes one multiplication, which is a bijection.
uint32_t checksum_of(const EntryFixed& f, uint32_t ref) noexcept {
    const uint64_t sizes = uint64_t{f.stored_sec} << 32 | uint32_t{f.key_bytes} << 16 | f.head_low;
    const uint64_t costs = uint64_t{f.flags} << 48 | uint64_t{f.head_high} << 32 | f.fill_cost_us;
    uint64_t h = base::mix64(ref + (uint64_t{f.selector_count} << 32));
    for (const uint64_t x : {f.digest_hi, f.digest_lo, costs, sizes}) {
        h = (h ^ x) * 0x9e3779b97f4a7c15ULL;
        h ^= h >> 32;
    }
    return static_cast<uint32_t>(h);
}

bool is_run(const Context& c, const Shard& s, uint32_t ref, uint32_t owner) noexcept {
    if (!owns(c, s, ref)) {
        return false;
    }
    const RunHeader* r = region(c).run(ref);
    const uint32_t len = r->len.load_relaxed();  // relaxed here: ordered by the word that led to this run
    const uint32_t in_block = (ref - c.geo.first_ref) % (kBlockBytes / kRefBytes) * kRefBytes;
    return r->magic.load_relaxed() == (kRunMagic ^ ref) && r->owner.load_relaxed() == owner && len > kRunHeaderBytes &&
           len % kRefBytes == 0 && len <= kBlockBytes - in_block;
}

bool is_readable(const Context& c, const Shard& s, uint32_t ref) noexcept {
    if (!is_run(c, s, ref, ref)) {
        return false;
    }
    const EntryFixed& f = region(c).entry(ref)->fixed;
    return names_bytes(f) <= kMostInFirstRun && head_bytes(f) <= kMaxHeadBytes &&
           kRunHeaderBytes + first_bytes(f) <= region(c).run(ref)->len.load_relaxed();
}

bool is_entry(const Context& c, const Shard& s, uint32_t ref) noexcept {
    if (!is_readable(c, s, ref)) {
        return false;
    }
    const EntryFixed& f = region(c).entry(ref)->fixed;
    return f.selector_count <= kMaxSelectors && f.checksum == checksum_of(f, ref);
}

bool measure_chain(const Context& c, const Shard& s, uint32_t ref, ChainSize* size) noexcept {
    *size = {};
    for (uint32_t at = ref; at != 0; at = region(c).run(at)->next.load_relaxed()) {
        if (!is_run(c, s, at, ref) || size->occupied > capacity(c)) {
            return false;
        }
        const uint32_t len = region(c).run(at)->len.load_relaxed();
        size->payload += len - kRunHeaderBytes;
        size->occupied += len;
        size->runs++;
    }
    return size->runs > 0;
}

void write_run_header(const Context& c, Run run, uint32_t owner) noexcept {
    RunHeader* r = region(c).run(run.ref);
    r->owner.store_relaxed(owner);  // relaxed: published by the link that leads here
    r->next.store_relaxed(0);
    r->len.store_relaxed(run.bytes);
    r->magic.store_relaxed(kRunMagic ^ run.ref);
}

Run make_room_locked(const Context& c, Shard* s, const Ask& ask, int64_t now_sec) noexcept {
    Space space = space_of(c, *s);
    const auto attempt = [&] { return space.alloc_run_locked(ask.want_bytes, ask.min_bytes, ask.kind); };
    if (wants_reclaim_locked(c, *s)) {
        reclaim_locked(c, s);
    }
    Run run = attempt();
    if (!run && reclaim_locked(c, s) > 0) {
        run = attempt();
    }
    if (run || !c.evicts) {
        return run;
    }
    RoomContext room = {&c, s, &last_scan(c), now_sec, purge_counter(c)};
    const VictimRules rules = {is_purged, is_held, &room};
    if (space.is_worth_cleaning_locked()) {
        clean_block_locked(&room);
        reclaim_locked(c, s);
        run = attempt();
    }
    bool cleaned = false;
    for (uint32_t evicted = 0; !run && evicted < kEvictMost;) {
        const uint32_t n = evict_some_locked(&room, rules);
        if (n == 0) {
            break;
        }
        evicted += n;
        if (evicted >= kEvictBeforeCleaning && evicted != n && !cleaned) {  // not behind the first batch
            cleaned = true;
            clean_block_locked(&room);
        }
        reclaim_locked(c, s);
        run = attempt();
    }
    if (!run) {
        count(c, Counter::kNoSpaceSeen);
    }
    return run;
}

void report_nonsense_locked(const Context& c, Shard* s) noexcept {
    s->wants_repair = 1;
    count(c, Counter::kCorruptSeen);
}

void retire_live_locked(const Context& c, Shard* s, uint32_t ref) noexcept {
    if (!is_entry(c, *s, ref) || state_of(*region(c).entry(ref)) != EntryState::kLive) {
        report_nonsense_locked(c, s);  // its space is found again by the repair
        return;
    }
    const Entry* e = region(c).entry(ref);
    s->entries--;
    s->live_bytes -= front_bytes(e->fixed) + uint64_t{e->body_total.load_relaxed()};
    s->side_bytes -= side_bytes_of(*e);
    retire_locked(c, s, ref);
}

void unlink_locked(const Context& c, Shard* s, Atom<uint64_t>* slot, uint32_t ref) noexcept {
    if (!owns(c, *s, ref)) {
        report_nonsense_locked(c, s);
        return;
    }
    if (slot == nullptr) {
        slot = slot_of_locked(c, *s, digest_of(*region(c).entry(ref)), ref);
    }
    if (slot != nullptr) {
        erase_locked(c, s, digest_of(*region(c).entry(ref)), slot);
    }
    queues_of(c, *s).remove_locked(ref);
    retire_live_locked(c, s, ref);
}

void evict_locked(const Context& c, Shard* s, uint32_t ref, int64_t now_sec) noexcept {
    const Entry* e = region(c).entry(ref);
    if (e->stale_until.load_relaxed() > saturate_sec(now_sec)) {
        const int64_t age = now_sec - int64_t{e->fixed.stored_sec};
        s->eviction_age_sec.store_relaxed(age > 0 ? static_cast<uint64_t>(age) : 0);
    }
    count(c, Counter::kEvicted);
    count(c, Counter::kEvictedBytes, e->occupied.load_relaxed());
    unlink_locked(c, s, nullptr, ref);
}

void drop_unfinished_locked(const Context& c, Shard* s, uint32_t ref) noexcept {
    if (!is_entry(c, *s, ref) || state_of(*region(c).entry(ref)) != EntryState::kFilling) {
        return;
    }
    const Entry* e = region(c).entry(ref);
    hide_growing(c, digest_of(*e),
                 ref);  // before anything is freed: readers come by the lease cell
    s->filling_bytes -= e->occupied.load_relaxed();
    retire_locked(c, s, ref);
}

void free_chain_locked(const Context& c, Shard* s, uint32_t ref) noexcept {
    Space space = space_of(c, *s);
    uint32_t at = ref;
    while (at != 0 && is_run(c, *s, at, ref)) {
        RunHeader* r = region(c).run(at);
        const uint32_t next = r->next.load_relaxed();
        const uint32_t len = r->len.load_relaxed();
        r->magic.store_relaxed(0);  // a stale ref to it leads nowhere; also ends a walk around a cycle
        if (!space.free_run_locked(at, len)) {
            report_nonsense_locked(c, s);
        }
        at = next;
    }
    if (at != 0) {
        report_nonsense_locked(c, s);
    }
}

}  // namespace slab_cache::shm
