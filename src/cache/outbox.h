// cache/outbox.h — purges that other machines do not know of yet: a ring of records in the zone.
//
// What        Who purges puts what was purged here, as text, in the purge's own critical section. One worker, the holder of the
//             fleet's lease, sends the records on in order, notes the id that each one got, and goes on over its own death or
//             restart. Records that were sent stay until their place is needed: a server may lose what it had taken.
// Layout      | start … tail | tail … head |: sent and kept, to be sent. Offsets only grow; the ring is what they come to modulo
//             its size. A record is a multiple of 64 bytes and lies in one piece; before the ring's end a gap is a record too.
// Full        what does not fit is counted: then other machines are told to doubt everything.
// Threading   put(): under the zone's purge lock. All else: the holder. A holder that was stopped and goes on beside its successor
//             sends records twice, which is harmless; offsets are only raised.
// Death       a record counts from the moment `head` is stored. Who dies before that leaves nothing.
// Errors      lies in shared memory: a record that is nonsense empties the ring, and counts as one that did not fit.
// Invariants  O1  start <= tail <= head <= start + kOutboxBytes.                           [unit/outbox, crash/fleet]
//             O2  a purge that was answered is in the ring, or counted as not fitting.     [crash/fleet]
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/atom.h"
#include "base/bytes.h"
#include "cache/fleet_id.h"

namespace slab_cache::cache {

inline constexpr uint32_t kOutboxBytes = 256 * 1024;
inline constexpr uint32_t kMaxRecordText = 60 * 1024;

//   | mark:32 | bytes:32 | number:64 | purge_seq:64 | at_ms:64 | id_ms:64 | id_seq:64 | text_bytes:32 | 0:32 | text … |
struct OutboxHead {
    uint32_t mark;                       // kOutboxMark ^ offset / 64
    uint32_t bytes;                      // of the whole record
    uint64_t number;                     // 0: a gap; else one more than the record before
    uint64_t purge_seq;                  // the counter of the purge it tells of
    uint64_t at_ms;                      // when
    base::Atom<uint64_t> id_ms, id_seq;  // what it is called in the stream; 0: not known yet
    uint32_t text_bytes;
    uint32_t pad;
};
static_assert(sizeof(OutboxHead) == 56 && std::is_standard_layout_v<OutboxHead>);

struct OutboxRing {
    base::Atom<uint64_t> start, tail, seen, head;
    base::Atom<uint64_t> numbers;            // the last one given out
    base::Atom<uint64_t> missed;             // records that did not fit, and what else others must be told to doubt
    base::Atom<uint64_t> told;               // of these, up to where they were told
    base::Atom<uint64_t> told_ms, told_seq;  // id of the entry that told of them
    alignas(64) char bytes[kOutboxBytes];
};
static_assert(std::is_standard_layout_v<OutboxRing> && offsetof(OutboxRing, bytes) == 128);

struct OutboxRecord {
    uint64_t at = 0;   // offset
    uint64_t end = 0;  // offset of what is behind it
    uint64_t number = 0;
    uint64_t purge_seq = 0;
    uint64_t at_ms = 0;
    StreamId id;  // none: not sent, as far as is known
    Bytes text;   // in the ring: copy it, or be done with it before the purge lock may be taken by others
};

struct OutboxPlace {
    uint64_t number = 0;
    uint64_t at = 0;
};

class Outbox {
public:
    explicit Outbox(OutboxRing* ring) noexcept : ring_(ring) {}

    // ---- who purges, under the purge lock ----
    // False: they did not all fit, and all of them count as missed. `last`: where the last one lies.
    bool put(const Bytes* text, uint32_t count, uint64_t purge_seq, uint64_t now_ms, OutboxPlace* last) noexcept;
    // Others must be told to doubt everything. By anybody, with or without the lock.
    void miss() noexcept;
    // Less than half of it waits to be sent.
    bool has_room_to_spare() const noexcept;

    // ---- the holder ----
    // The record at that offset or behind the gap there. False: there is none, or it is nonsense (then check() empties the ring).
    bool read(uint64_t at, OutboxRecord* out) const noexcept;
    void note_sent(const OutboxRecord& record, const StreamId& id) noexcept;
    // It has another id now.
    void note_id(const OutboxRecord& record, const StreamId& id) noexcept;
    // Records with ids up to there were read back from the stream.
    void note_seen(const StreamId& position) noexcept;
    void note_told(uint64_t missed, const StreamId& id) noexcept;
    // After read() failed before the head: nonsense goes, and is missed. True: there was some.
    bool check(uint64_t at) noexcept;

    uint64_t start() const noexcept { return ring_->start.load_acquire(); }             // [outbox-start]
    uint64_t tail() const noexcept { return ring_->tail.load_acquire(); }               // [outbox-tail]
    uint64_t head() const noexcept { return ring_->head.load_acquire(); }               // [outbox-head]
    uint64_t missed() const noexcept { return ring_->missed.load_acquire(); }           // [outbox-missed]
    uint64_t untold() const noexcept { return missed() - ring_->told.load_acquire(); }  // [outbox-told]
    uint64_t last_number() const noexcept { return ring_->numbers.load_acquire(); }     // [outbox-head]
    // Of what is still to be sent: how many, and since when the oldest waits (0: nothing does).
    uint32_t waiting() const noexcept;
    uint64_t oldest_ms() const noexcept;
    // Everything up to that number was sent.
    bool is_sent(uint64_t number) const noexcept;
    // The id of a record that was sent and is still in the ring.
    bool id_of(const OutboxPlace& place, StreamId* id) const noexcept;
    // `seq`, or a purge counter before it that lies before all purges of this zone that the stream does not tell of up to
    // `position`. REQUIRES `seq` was read before the call.
    uint64_t before_unseen(uint64_t seq, const StreamId& position) const noexcept;

private:
    OutboxHead* head_at(uint64_t at) const noexcept;
    bool parse(uint64_t at, uint64_t head, OutboxRecord* out) const noexcept;
    bool make_room(uint64_t end) noexcept;
    void write(uint64_t at, uint64_t bytes, Bytes text, const OutboxRecord& what) noexcept;

    OutboxRing* ring_;
};

}  // namespace slab_cache::cache
