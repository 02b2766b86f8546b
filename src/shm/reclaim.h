// shm/reclaim.h — pins: which entries a process is reading, and when an unlinked one may be freed.
//
// What        A reader publishes the ref in a slot of its own record (exchange), then looks again at the index
//             slot it came from. A writer unlinks (seq_cst store), then reads all slots. These are four accesses
//             in one total order: at least one side sees the other. So an entry that nobody's slot holds after
//             the unlink is nobody's, and one that is held after the second look stays.
//             Further pins of an entry this process already holds touch private memory only.
// Threading   pin_*, unpin: the process's own thread. *_locked: holder of the entry's shard lock.
// Death       A slot holds a ref or 0: zeroing the slots of the dead is exact.
// Budget      Slow readers may hold space that nobody can evict. No writer waits for them: a store that finds no other room is
//             refused. So the layer above tells what it sends to clients (Store::hold), and is told when that is enough
//             (Store::is_enough_held): it then copies instead of pinning.
// Ownership   retired entries belong to their shard's retired list (Entry::next) until reclaim_locked() frees them.
// Invariants  R1  An entry in somebody's validated slot is not freed.                      [stress/pin_torture]
//             R2  A retired entry is in no index slot and in no eviction queue.            [audit]
#pragma once

#include <cstdint>

#include "base/hash.h"
#include "shm/layout.h"
#include "shm/context.h"
#include "shm/zone_plan.h"

namespace slab_cache::shm {

// A set of refs that may say yes too often, never no too often: 64 K bits.
class RefFilter {
public:
    void clear(uint32_t seed) noexcept {
        std::memset(bits_, 0, sizeof(bits_));
        seed_ = seed;
    }
    void add(uint32_t ref) noexcept { bits_[place(ref) >> 6] |= uint64_t{1} << (place(ref) & 63); }
    bool may_hold(uint32_t ref) const noexcept { return (bits_[place(ref) >> 6] >> (place(ref) & 63) & 1) != 0; }

private:
    uint32_t place(uint32_t ref) const noexcept {
        return static_cast<uint32_t>(base::mix64(ref ^ uint64_t{seed_} << 32) >> 48);
    }
    uint64_t bits_[1024];
    uint32_t seed_;
};

// The process's private half: which slot holds which ref, and how often it is pinned here.
struct LocalPins {
    static constexpr uint32_t kMap = 2048;
    static constexpr uint32_t kMaxSlots = 1024;
    static constexpr uint16_t kLong = 2;  // seconds, rounded up
    struct Cell {
        uint32_t ref;
        uint32_t count;
        uint16_t slot;
        uint16_t seconds;  // since it is held
        uint32_t held;     // units of kRefBytes; 0: it is not
    };
    // Where the next fill of a shard will most likely lie (Store::prefetch_fill).
    struct Ahead {
        uint32_t ref;
        uint32_t bytes;
    };
    Cell map[kMap];                  // open addressing, backward-shift deletion
    uint16_t free_slots[kMaxSlots];  // a stack; slot 0 means none and is never in it
    uint32_t free_count;
    uint32_t hiwater;
    uint64_t held, held_long;  // of all cells, and of those that are for kLong
    uint64_t orphans[4];       // unfinished[] places whose abort() found the shard lock busy
    uint32_t uses;             // bump_uses() calls not yet told to the zone
    uint32_t scans;
    Ahead ahead[kMaxShards];
    uint32_t trust;         // how often the last guesses were right, 0 … kTrustMost
    Atom<uint32_t>* slots;  // this record's
    Atom<uint32_t>* unfinished;
    WorkerRecord* record;
    RefFilter filter;
};

LocalPins* make_local_pins(const Context& c) noexcept;  // nullptr: no memory
void drop_local_pins(LocalPins* local) noexcept;

enum class PinAnswer : uint8_t {
    kPinned,
    kChanged,  // the source no longer holds that word: look again
    kBusy,     // all slots in use
};

// Pins the ref in the low half of `word`, which was just loaded from `source`.
PinAnswer pin_ref(const Context& c, const Atom<uint64_t>& source, uint64_t word) noexcept;
// One more count on a ref this process holds (or owns as a fill: then a slot is taken without a second look).
PinAnswer pin_held(const Context& c, uint32_t ref) noexcept;
void unpin_ref(const Context& c, uint32_t ref) noexcept;
uint32_t pins_held(const LocalPins& local) noexcept;
// Its bytes count as held until its last pin here goes. REQUIRES it is pinned.
void hold_ref(const Context& c, uint32_t ref) noexcept;
// The same for one that is held already; nothing for others.
void hold_what_grew(const Context& c, uint32_t ref) noexcept;
bool is_held(const Context& c, uint32_t ref) noexcept;
// In units of kRefBytes: what it occupies, and will where its length is known.
uint32_t weight_of(const Context& c, uint32_t ref) noexcept;
void age_holds(const Context& c) noexcept;  // once a second

// Collects every process's slots into the filter of this one.
const RefFilter& scan_slots(const Context& c) noexcept;
// What the last one found, without a look; scans where there has been none.
const RefFilter& last_scan(const Context& c) noexcept;

// REQUIRES the entry is out of the index and of the queues. It is freed once nobody holds it.
void retire_locked(const Context& c, Shard* shard, uint32_t ref) noexcept;
// Frees what nobody holds; one scan of all slots. Returns the number freed.
uint32_t reclaim_locked(const Context& c, Shard* shard) noexcept;
// True when the retired list is long enough for a scan to pay.
bool wants_reclaim_locked(const Context& c, const Shard& shard) noexcept;

// Takes back the unfinished stores of a dead process's record. False: some shard lock was not to be had.
bool retire_fills(Context* c, WorkerRecord* w) noexcept;

}  // namespace slab_cache::shm
