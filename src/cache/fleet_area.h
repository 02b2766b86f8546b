// cache/fleet_area.h — what a zone knows of its fleet: in shared memory, so that it survives workers, and restarts with file=.
//
// What        The lease of the one worker that talks to the server; the position up to which the stream's purges were done
//             here; the outbox; which purge counter a position came to; when this zone and the other nodes last knew all; the
//             other nodes; figures.
// Threading   Atoms: anybody. "The holder": who has the lease. One that was stopped, lost the lease and goes on may write beside
//             its successor: all it writes is true (what it says was done was done), or is found to be torn and ignored.
// Death       at any store: each figure is either as before or as after; a torn position or node is none.
// Times       milliseconds of CLOCK_MONOTONIC, which all processes of a boot share; a zone file of another boot is not used.
// Order       purges first, the position after. The other way round a death in between would lose them.
// Invariant   F1  all purges of the stream up to the position count in the zone.             [crash/fleet, model/fleet]
#pragma once

#include <cstdint>

#include "cache/outbox.h"

namespace slab_cache::cache {

inline constexpr uint32_t kFleetVersion = 1;
inline constexpr uint32_t kFleetNodes = 64;
inline constexpr uint32_t kFleetBirths = 1024;
inline constexpr uint32_t kNodeNameBytes = 64;

struct FleetLease {
    base::Atom<uint64_t> owner;  // shm::identity_word() of the holder; 0: free
    base::Atom<uint64_t> heartbeat_ms;
    base::Atom<uint64_t> epoch;  // one more with each holder
};

// A position: an entry's id, and a hash of what the entry said.
struct PositionSlot {
    base::Atom<uint64_t> ms, seq, hash, check;
};
struct PositionCell {
    base::Atom<uint64_t> which;  // the slot that counts is which % 2; 0: there is no position
    PositionSlot slot[2];
};
struct FleetPosition {
    StreamId id;
    uint64_t hash = 0;
};

// All purges up to that position have counters up to `birth`, all later ones above it.
struct BirthSlot {
    base::Atom<uint64_t> ms, seq, birth, check;
};

struct NodeSlot {
    base::Atom<uint64_t> version;  // odd: being written
    base::Atom<uint64_t> name[kNodeNameBytes / 8];
    base::Atom<uint64_t> ms, seq;   // its position
    base::Atom<uint64_t> clear_ms;  // our clock: all it purged until then is in the stream; 1: that is not known
    base::Atom<uint64_t> said_ms;   // our clock: when it said so
    base::Atom<uint64_t> state;     // NodeState
};

enum class Gap : uint8_t { kStart, kTrimmed, kEmpty, kBehind, kOther };  // words: gap_word()
inline constexpr uint32_t kGaps = 5;
const char* gap_word(Gap gap) noexcept;
const char* gap_sentence(Gap gap) noexcept;

struct FleetFigures {
    base::Atom<uint64_t> applied;  // entries of others
    base::Atom<uint64_t> own;      // entries of our own, passed over
    base::Atom<uint64_t> published;
    base::Atom<uint64_t> kept;     // invalidations by unsafe requests that others were not told of
    base::Atom<uint64_t> readded;  // published again, for the server had lost them
    base::Atom<uint64_t> unknown_fields;
    base::Atom<uint64_t> unreadable;  // entries that counted as: doubt everything
    base::Atom<uint64_t> blind;       // times that everything was doubted, for purges may not have been heard of
    base::Atom<uint64_t> connects;
    base::Atom<uint64_t> takeovers;  // of the lease
    base::Atom<uint64_t> gaps[kGaps];
};

struct FleetArea {
    base::Atom<uint32_t> version;  // 0: fresh
    uint32_t pad0;
    FleetLease lease;
    PositionCell position;
    base::Atom<uint64_t> births;  // slots of birth[] that were written; the newest is (births - 1) % kFleetBirths
    base::Atom<uint64_t> twice_ms,
        twice_seq;                      // ids up to there may have been given out twice: the position went back once
    base::Atom<uint64_t> clear_ms;      // all that others had put into the stream until then counts here
    base::Atom<uint64_t> doubted_ms;    // when everything was doubted last
    base::Atom<uint64_t> doubting_ms;   // when a worker said last that it is about to
    base::Atom<uint64_t> caught_up_ms;  // lag: the stream's end was reached last
    base::Atom<uint64_t> behind_ms;     // server's ms between the newest entry read and its reading
    base::Atom<uint64_t> nodes_ms;      // when the server that is published to was last asked for the nodes
    base::Atom<uint64_t> checked_ms;    // since when it is known to have what it took from here; 0: it is not known
    base::Atom<uint64_t> watched_until_ms;  // somebody waits for the nodes: ask often
    base::Atom<uint64_t> cycles;            // configurations that had it, and zones that took its place
    base::Atom<uint64_t> waiting[4];        // workers to poke when something changes: bit = worker record
    base::Atom<uint32_t> connected;
    uint32_t pad1;
    base::Atom<uint64_t> server[8];  // its address, as text
    FleetFigures figures;
    BirthSlot birth[kFleetBirths];
    NodeSlot node[kFleetNodes];
    OutboxRing outbox;
};
static_assert(std::is_standard_layout_v<FleetArea> && std::is_trivially_destructible_v<FleetArea>);
static_assert(alignof(FleetArea) == 64 && sizeof(FleetArea) % 64 == 0);

// nullptr where it was written by another version. `memory`: 64-byte aligned, zeroed when the zone was formatted.
FleetArea* fleet_area(void* memory) noexcept;

// For a zone that takes another's place, before it takes over that one's purges: all of the stream up to the position are among
// those. The outbox stays: what waits there is moved when the old zone's workers have left it.
void inherit_fleet(const FleetArea& from, FleetArea* to) noexcept;

// ---- lease ---------------------------------------------------------------------------------------------------

inline constexpr uint64_t kHeartbeatMs = 1000;     // the holder's, at least
inline constexpr uint64_t kLeaseSilenceMs = 3000;  // then it counts as stopped

using IsGoneFn = bool (*)(uint64_t owner, void* context);

// True when `self` holds the lease now: it was free, or its holder is gone or was silent for too long. *epoch is its own then.
bool take_lease(FleetArea* area, uint64_t self, uint64_t now_ms, IsGoneFn is_gone, void* context,
                uint64_t* epoch) noexcept;
// Still the holder? Then its heartbeat is renewed.
bool keep_lease(FleetArea* area, uint64_t self, uint64_t epoch, uint64_t now_ms) noexcept;
bool holds_lease(const FleetArea& area, uint64_t self, uint64_t epoch) noexcept;
void leave_lease(FleetArea* area, uint64_t self, uint64_t epoch) noexcept;

// ---- position ------------------------------------------------------------------------------------------------

// False: there is none.
bool read_position(const FleetArea& area, FleetPosition* out) noexcept;
// After all purges up to it were published. REQUIRES `seq`: the purge counter as read after that and before this call.
void write_position(FleetArea* area, const FleetPosition& position, uint64_t seq) noexcept;
// The server said which entries own purges are. Those up to the position do not make it any older. REQUIRES `position` is where this zone
// stands, and `seq` what was given with it.
void raise_birth(FleetArea* area, const StreamId& position, uint64_t seq) noexcept;

// A purge counter for what was made knowing all purges of the stream up to `id`: no purge that it may not know of is older. 0:
// older than all, for it is not known any more.
uint64_t birth_at(const FleetArea& area, const StreamId& id) noexcept;

// ---- doubt ---------------------------------------------------------------------------------------------------

void raise_ms(base::Atom<uint64_t>* at, uint64_t ms) noexcept;  // time does not go back

// Somebody's purges of `blind_ms` ago may not be known here, and were not doubted since: the caller is to purge everything in
// doubt now, and to note it then. Nobody else is told so for 200 ms; should the caller die in between, another one is.
void note_doubted(FleetArea* area, uint64_t now_ms) noexcept;
bool must_doubt(FleetArea* area, uint64_t now_ms, uint64_t blind_ms) noexcept;
// Where all has been heard of that was purged before the last doubt, it is not held against what was made at the position. REQUIRES all
// of the stream was read, up to `position`, and `seq` is the purge counter as read before this call. False: it is too early.
bool end_doubt(FleetArea* area, const StreamId& position, uint64_t seq) noexcept;

// ---- nodes ---------------------------------------------------------------------------------------------------

enum class NodeState : uint8_t { kNone, kLive, kSilent };

struct FleetNode {
    Bytes name;  // in `buffer`
    char buffer[kNodeNameBytes];
    StreamId position;
    uint64_t clear_ms = 0;
    uint64_t said_ms = 0;
    NodeState state = NodeState::kNone;
};

enum class NodeLook : uint8_t { kNone, kNode, kTorn };  // kTorn: it is being written, or who wrote it died
NodeLook look_at_node(const FleetArea& area, uint32_t i, FleetNode* out) noexcept;
// False: no node there, or a torn one. For who shows them; who decides by them must not take a torn one for none.
inline bool read_node(const FleetArea& area, uint32_t i, FleetNode* out) noexcept {
    return look_at_node(area, i, out) == NodeLook::kNode;
}
// The holder. False: no room, or no name that fits.
bool note_node(FleetArea* area, Bytes name, const StreamId& position, uint64_t clear_ms, NodeState state,
               uint64_t said_ms = 0) noexcept;
void drop_node(FleetArea* area, Bytes name) noexcept;

// Short texts in words of shared memory, cut where they do not fit.
void put_text(base::Atom<uint64_t>* word, uint32_t words, Bytes text) noexcept;
Bytes get_text(const base::Atom<uint64_t>* word, uint32_t words, char* buffer) noexcept;

}  // namespace slab_cache::cache
