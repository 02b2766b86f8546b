// shm/store.h — the shared store: everything above sees the zone through this file.
//
// What        Whole objects (key, head, body) in one mapping shared by many processes, found and read without
//             a lock, written under short per-shard locks that survive their owner's death. The store knows
//             no HTTP and no nginx: heads are opaque bytes, times are numbers that the caller passes in.
// Threading   A Store is one process's handle to the zone and belongs to one thread. Any number of handles, in
//             any number of processes, may use the zone at once.
// Hot path    find() + validity() + unpin(): no lock, no allocation, no syscall; shared stores are one exchange
//             on this worker's own hazard slot and, until it is saturated, one 2-bit counter of the entry; after
//             a purge also, once per entry, the counter up to which it was found valid.
// Ownership   Pin, Writer and Ticket are plain handles. Each pin() is paired with one unpin(); each begin() with
//             one commit() or abort(). What a dead process leaves behind is taken back by reap().
// Errors      Status. Whatever is read from the zone is checked; nonsense is counted and reported as kMiss or
//             kCorrupt, never a crash.
// Units       bytes, whole seconds of the caller's clock (`_sec`), milliseconds of CLOCK_MONOTONIC (`_ms`),
//             microseconds where a name ends in `_us`.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "shm/types.h"

namespace slab_cache::shm {

struct Context;  // context.h, of this directory alone

// A purge under way, its lock held: for what else a caller remembers of it (PurgeFn), under the same counter.
class PurgeSection {
public:
    PurgeSection(const Context& c, uint64_t seq, bool own) noexcept : c_(c), seq_(seq), own_(own) {}
    uint64_t seq() const noexcept { return seq_; }  // what the counter will be
    bool is_own() const noexcept { return own_; }   // false: this is the same purge in a prior zone
    void add(uint64_t fingerprint, PurgeMode mode) noexcept;

private:
    const Context& c_;
    uint64_t seq_;
    bool own_;
};

class Store {
public:
    Store() noexcept;  // a handle to no zone yet

    // Bytes that `config` needs at least, so that a configuration can be refused with the figure.
    static uint64_t min_bytes(const Config& config) noexcept;

    // The most that max_object, objects and purge_records may say in so many bytes; more would be cut.
    static Config most(uint64_t bytes, const Config& config) noexcept;
    // What max_object comes to; 0 where the bytes are too few for a zone.
    static uint64_t max_object(uint64_t bytes, const Config& config) noexcept;

    // Formats [base, base + bytes). base is page aligned; the first `reserved` bytes (nginx's slab pool header;
    // a multiple of 64, at most 4096) are left alone. seed: 16 random bytes, the zone's secret.
    // kTooSmall, else kOk. Not concurrent with anything.
    Status create(void* base, uint64_t bytes, uint32_t reserved, const Config& config, const uint8_t seed[16]) noexcept;

    // Uses a zone that is already formatted (reload, worker start, warm restart).
    // kStaleFormat: magic, version, layout fingerprint, size or config differ.
    Status attach(void* base, uint64_t bytes, uint32_t reserved, const Config& config) noexcept;

    // The configuration that a zone was created with, so that another process may attach it. False: it is none of this layout.
    static bool config_of(const void* base, uint64_t bytes, uint32_t reserved, Config* config) noexcept;

    // After an unclean stop: validates and repairs every shard, forgets all worker records, leases and fills. Purges
    // everything where the zone is_following().
    // REQUIRES no other process uses the zone.
    void recover() noexcept;

    // A flag in the zone for warm restarts: set it at start, clear it at a clean stop; still set at the next
    // start means recover().
    bool is_unclean() const noexcept;
    void set_unclean(bool unclean) noexcept;

    void set_liveness(IsAliveFn fn, void* context) noexcept;

    // ---- a zone that takes another's place (prior.h) -----------------------------------------------------
    // Places of prior zones: 0 for the one succeeded, the rest for those that it succeeded itself.
    static constexpr uint32_t kPriors = 5;
    // Takes over `old`'s secret and all its purges, and from now on those to come, by a mapping of `old` of its own.
    // REQUIRES this zone was just created and is nobody else's yet; add_prior() for `old`'s own priors came before.
    // kStaleFormat: `view` is no such zone.
    Status succeed(const Store& old, void* view) noexcept;
    // One of `old`'s own priors, for a zone that succeeds `old`. kBusy: no place left.
    Status add_prior(const Store& old, uint32_t place, void* view) noexcept;
    // The same zone in the next configuration: `place` as it was in `old`.
    Status keep_prior(const Store& old, uint32_t place, void* view) noexcept;
    // The mapping of a prior that still counts; false where there is none.
    bool prior_at(uint32_t place, void** base, uint64_t* bytes) const noexcept;
    bool has_open_prior() const noexcept;
    void* prior_user_area(uint32_t place) const noexcept;  // nullptr where there is none
    // No process is left in the prior, nor will one join: what it purged is all there is.
    bool is_prior_deserted(uint32_t place) noexcept;
    // Takes over its purges for good. REQUIRES is_prior_deserted(). True when it is closed: then all from *from to its end is
    // of no use. False: a lock was busy for too long.
    bool close_prior(uint32_t place, uint64_t* from) noexcept;
    // Some prior is not closed yet: should all processes die now, what they purged in it dies too.
    bool is_following() const noexcept;
    // Copies objects of `old`, the most useful first, as long as there is room. REQUIRES both joined, succeed() done.
    Carried carry(Store* old, const CarryRules& rules) noexcept;

    // ---- this process as a worker ------------------------------------------------------------------------
    // Claims a worker record. kBusy: none free (the process must serve uncached and try again).
    Status join(const WorkerId& self) noexcept;
    // REQUIRES no use of pins and writers afterwards; idempotent. Where some are left, or a shard's lock is not to be
    // had, the record stays this process's until it has exited and is reaped: what it reads is not reused before.
    void leave() noexcept;
    bool joined() const noexcept;
    bool holds_pins() const noexcept;
    // The zone's memory is gone, and empty memory is in its place: joined() no more, nor ever again by this handle. What is under
    // way ends as with any nonsense.
    void give_up() noexcept;
    // The header still is that of the zone that was created or attached.
    bool is_intact() const noexcept;
    uint32_t worker_index() const noexcept;  // record number, for WakeSet
    WorkerId worker_at(uint32_t index) const noexcept;
    uint64_t zone_id() const noexcept;       // random; the same for all processes of this zone
    const uint8_t* secret() const noexcept;  // 192 bytes derived from the seed, for keyed hashing

    // ---- hot path ------------------------------------------------------------------------------------
    // The object under digest and key. kOk, kMiss, kBusy (no hazard slot left), kCorrupt.
    void find_prefetch(const Digest& digest) const noexcept;  // find() is likely to follow
    Status find(const Digest& digest, Bytes key, Pin* pin) noexcept;
    Validity validity(const Pin& pin) noexcept;  // one load while no purge came since it was last asked
    void touch(const Pin& pin) noexcept;         // counts a use for eviction: call on hits only
    void unpin(Pin* pin) noexcept;
    Pin repin(const Pin& pin) noexcept;  // one more count on an entry already pinned
    // Half of this worker's places for pins are taken: small objects had better be copied, and let go.
    bool are_pins_short() const noexcept;

    // ---- clients that may be slow --------------------------------------------------------------------
    // A client is sent the object, and takes what time it likes: its bytes are held until this worker's last pin of it goes.
    // Again for one that has grown.
    void hold(const Pin& pin) noexcept;
    // One of `workers` holds its share: half of its pins, or objects for seconds that come to a quarter of its part of the
    // zone, or with this one half of that in all. Then another client had better be sent a copy. One that is held costs no more.
    bool is_enough_held(const Pin& pin, uint32_t workers) const noexcept;
    void age_holds() noexcept;  // once a second

    // ---- reading a pinned object ---------------------------------------------------------------------
    static Bytes key(const Pin& pin) noexcept;
    // The head's beginning: all of it, unless it is longer than a block (head_length() says): then 4 KB or more of it, and
    // copy_head() gives the whole, to head_length() bytes of the caller's. False: the zone holds nonsense.
    static Bytes head(const Pin& pin) noexcept;
    static uint32_t head_length(const Pin& pin) noexcept;
    bool copy_head(const Pin& pin, char* out) const noexcept;
    static uint16_t flags(const Pin& pin) noexcept;
    static const uint64_t* selectors(const Pin& pin, uint32_t* count) noexcept;
    static uint64_t birth(const Pin& pin) noexcept;
    static uint64_t asked(const Pin& pin) noexcept;  // NewEntry::asked: a refresh raises the birth, not this
    static int64_t fresh_until(const Pin& pin) noexcept;
    static int64_t stale_until(const Pin& pin) noexcept;
    static uint32_t fill_cost_us(const Pin& pin) noexcept;
    static uint32_t hits(const Pin& pin) noexcept;            // approximate: the saturating counter
    static int64_t body_length(const Pin& pin) noexcept;      // final length; -1 while growing and unknown
    static uint64_t body_available(const Pin& pin) noexcept;  // acquire: bytes that may be read now
    static bool is_complete(const Pin& pin) noexcept;
    // Its writer has neither ended it nor been reaped: it may grow still. False: a look at is_complete() is the last one.
    static bool is_filling(const Pin& pin) noexcept;
    uint64_t occupied_bytes(const Pin& pin) const noexcept;  // runs and all
    // Body bytes from `offset`, at most up to body_available(), as up to `cap` contiguous segments. `cursor`
    // (0 at first) lets the next call go on where this one stopped without walking the chain again.
    uint32_t segments(const Pin& pin, uint64_t offset, uint64_t* cursor, Segment* out, uint32_t cap) const noexcept;

    // ---- writing -------------------------------------------------------------------------------------
    uint64_t birth_stamp() const noexcept;  // take it before asking the origin
    // begin() is likely to follow in a moment: what it will touch is called from memory.
    void prefetch_fill(const Digest& digest) const noexcept;
    Status begin(const NewEntry& what, int64_t now_sec,
                 Writer* writer) noexcept;  // kOk kNoSpace kTooLarge kBusy kPurged
    Status append(Writer* writer, Bytes body,
                  int64_t now_sec) noexcept;  // kOk kNoSpace kTooLarge kBusy; on error abort()
    // Publishes: visible to every worker when it returns. kPurged: a purge came in flight; dropped (hard) or,
    // for soft purges, stored as already stale (kOk). kOk also where an object with a later birth is in place already:
    // that one stays, this one is dropped (counted as `outrun`). kOutrun: it stays for NewEntry::rival_flags. `is_outdated`: the
    // caller knows of something that came in flight; as kPurged. Who reads along gets the body whole in each case.
    Status commit(Writer* writer, int64_t now_sec, bool is_outdated = false) noexcept;
    void abort(Writer* writer) noexcept;            // idempotent
    Pin pin_writer(const Writer& writer) noexcept;  // the growing entry, for readers of this process
    // In-place refresh after a successful validation that changed no header. Fails with kPurged on a hard purge.
    Status refresh(const Pin& pin, int64_t fresh_until_sec, int64_t stale_until_sec, uint64_t birth) noexcept;
    Status remove(const Digest& digest, Bytes key) noexcept;
    Status remove(const Digest& digest) noexcept;  // whatever its key

    // ---- one fill per key ----------------------------------------------------------------------------
    void lease_prefetch(const Digest& digest) const noexcept;  // lease_acquire() is likely to follow
    LeaseAnswer lease_acquire(const Digest& digest, uint64_t now_ms, uint32_t silence_ms, Ticket* ticket) noexcept;
    void lease_progress(const Ticket& ticket, uint64_t now_ms,
                        WakeSet* wake) noexcept;  // owner; also collects who to wake
    void lease_attach(const Ticket& ticket, const Writer& writer, WakeSet* wake) noexcept;  // kFetching -> kStreaming
    // Owner only: ends the tenancy with kPublished, kFailed or kPrivate. The outcome can be read by
    // watchers of this tenancy until the cell is taken again.
    void lease_release(const Ticket& ticket, LeaseState outcome, uint32_t detail, WakeSet* wake) noexcept;
    // Registers this worker to be woken at the next change, then reports the state as of after registering.
    LeaseView lease_watch(const Ticket& ticket, uint64_t now_ms, uint32_t silence_ms) noexcept;
    // Pins the growing entry of a kStreaming tenancy. kMiss when it is over. kBusy: no hazard slot left, or it is
    // just being published: watch again, lease_release() wakes.
    // With now_ms, an owner who paused is looked at: kMiss when it is dead, so that nobody joins what cannot end.
    Status lease_pin(const Ticket& ticket, const Digest& digest, Bytes key, Pin* pin, uint64_t now_ms = 0) noexcept;

    // Short-lived marks: "just found uncacheable" and "origin just failed". One byte, lossy, no lock.
    void mark_set(const Digest& digest, uint8_t value, int64_t until_sec) noexcept;
    void mark_prefetch(const Digest& digest) const noexcept;                 // mark_get() is likely to follow
    uint8_t mark_get(const Digest& digest, int64_t now_sec) const noexcept;  // 0 = none
    uint32_t bump_uses(
        const Digest& digest) noexcept;  // min_uses sketch: times seen, this one included; up to kMaxUses

    // ---- purge ---------------------------------------------------------------------------------------
    // Each fingerprint gets a record; then the counter is published. Returns the new counter; 0: another purger holds the
    // lock and does not go on, nothing was purged. Visible to all workers when it returns. O(count).
    // `more` (may be null) runs before the counter is published: short, without a call to the outside.
    uint64_t purge(const uint64_t* fingerprints, uint32_t count, PurgeMode mode, PurgeFn more = nullptr,
                   void* context = nullptr) noexcept;
    // The same for what anybody can bring about (unsafe requests): its records take none of the room of purges'. Before they
    // would have to be dropped, all objects have seen them: where many are written, each call sweeps a part of the index.
    uint64_t invalidate(const uint64_t* fingerprints, uint32_t count, PurgeMode mode, int64_t now_sec) noexcept;
    uint64_t purge_all(PurgeMode mode, PurgeFn more = nullptr, void* context = nullptr) noexcept;
    uint64_t purge_all_now(PurgeMode mode) noexcept;  // never fails: for purges that nobody would ask for again
    // Raises the counter, purging nothing: what is born then knows more than any fill before. 0: as purge().
    uint64_t advance() noexcept;
    uint64_t purge_seq() const noexcept;
    // Did this zone give out that number, its counter being `counter` now? Or the one whose place it took, before it did.
    bool is_own_seq(uint64_t seq, uint64_t counter) const noexcept;
    uint64_t carried_seq() const noexcept;  // the counter of that zone then; 0: there was none
    uint64_t purged() const noexcept;       // fingerprints, in the zone's life
    // Newest purge of any of these since `birth`? (for pushes fenced by If-Purge-Seq)
    Validity validity_of(const uint64_t* fingerprints, uint32_t count, uint64_t birth) const noexcept;

    // ---- upkeep, from a timer ------------------------------------------------------------------------
    // Records of dead workers, and the purge one died in: every 5 s. `wake`: who waits for leases of the dead; with
    // nullptr they find out by their own timers.
    void reap(WakeSet* wake = nullptr) noexcept;
    // Takes out expired and purged entries, and notes of the others up to which purge they are valid. Under a lease: false
    // where another worker has it.
    bool sweep(int64_t now_sec, uint64_t now_ms, uint32_t buckets) noexcept;
    // Buckets a second with which the sweeper comes by every entry before an eighth of the purge records was written anew,
    // when `purged_per_sec` are: what it has seen is not lost when its records have to go. At most twice all there are. Sets of records fill unevenly: an
    // eighth of them is what hardly any of a few dozen selectors' sets has overflowed in.
    uint32_t sweep_quota(uint64_t purged_per_sec) const noexcept;

    // ---- looking in ----------------------------------------------------------------------------------
    // Walks the index from *cursor (0 = start; 0 again = done), pinning one entry at a time, at most `max_buckets`.
    using VisitFn = void (*)(const Pin& pin, void* context);
    // False: one was left out, for no hazard slot was left.
    bool visit(uint64_t* cursor, uint32_t max_buckets, VisitFn fn, void* context) noexcept;
    Stats stats() const noexcept;
    Audit audit() noexcept;  // REQUIRES a quiescent zone: checks every invariant (docs/design/invariants.md)
    // Counters: 192 per worker, 0..63 the store's (counters.h), 64..191 the caller's. Relaxed, this worker only.
    void count(uint32_t counter, uint64_t n = 1) noexcept;
    uint64_t counter_sum(uint32_t counter) const noexcept;  // over all workers, dead ones included: never falls
    void* user_area() const noexcept;                       // Config::user_bytes, 64-byte aligned

private:
    Status begin_first_run(const NewEntry& what, int64_t now_sec, uint64_t checked, Writer* writer) noexcept;
    // Payload bytes [at, end) of a chain, counted from its entry on; as segments().
    uint32_t pieces(const Pin& pin, uint64_t at, uint64_t end, uint64_t* cursor, Segment* out,
                    uint32_t cap) const noexcept;

    Context& process() noexcept;  // store_context.h
    const Context& process() const noexcept;

    static constexpr size_t kProcessBytes = 2688;  // room for one; store.cpp looks that it is enough
    alignas(8) unsigned char process_[kProcessBytes];
    uint32_t place_hint_ = 0;  // where to look for a free place in unfinished[]
};

}  // namespace slab_cache::shm
