#include "cache/fleet_area.h"

#include <cstring>

#include "base/hash.h"

namespace slab_cache::cache {
namespace {

uint64_t check_of(uint64_t a, uint64_t b, uint64_t c) noexcept { return base::mix64(base::mix64(a, b), c) | 1; }

bool read_slot(const PositionSlot& slot, FleetPosition* out) noexcept {
    out->id = {slot.ms.load_acquire(), slot.seq.load_acquire()};                                  // [fleet-position]
    out->hash = slot.hash.load_acquire();                                                         // [fleet-position]
    return slot.check.load_acquire() == check_of(out->id.ms, out->id.seq, out->hash) && out->id;  // [fleet-position]
}

StreamId given_twice(const FleetArea& area) noexcept {
    return {area.twice_ms.load_acquire(), area.twice_seq.load_acquire()};  // [fleet-birth]
}

// An id that is not above `before` says nothing any more, nor do those up to there: another stream may have given them out.
void write_birth(FleetArea* area, const StreamId& before, const StreamId& id, uint64_t birth) noexcept {
    if (id <= before && given_twice(*area) < before) {
        area->twice_ms.store_release(before.ms);    // [fleet-birth]
        area->twice_seq.store_release(before.seq);  // [fleet-birth]
    }
    if (id <= before || id <= given_twice(*area)) {
        return;
    }
    const uint64_t n = area->births.load_acquire();  // [fleet-birth]
    BirthSlot& slot = area->birth[n % kFleetBirths];
    slot.check.store_release(0);
    slot.ms.store_release(id.ms);
    slot.seq.store_release(id.seq);
    slot.birth.store_release(birth);
    slot.check.store_release(check_of(id.ms, id.seq, birth));
    area->births.store_release(n + 1);  // [fleet-birth] after the slot
}

struct Birth {
    StreamId id;
    uint64_t birth = 0;
};

bool read_birth(const BirthSlot& slot, Birth* out) noexcept {
    const uint64_t check = slot.check.load_acquire();  // [fleet-birth]
    out->id = {slot.ms.load_acquire(), slot.seq.load_acquire()};
    out->birth = slot.birth.load_acquire();
    return check == check_of(out->id.ms, out->id.seq, out->birth) &&
           slot.check.load_acquire() == check;  // [fleet-birth]
}

}  // namespace

const char* gap_word(Gap gap) noexcept {
    switch (gap) {
    case Gap::kStart:
        return "start";
    case Gap::kTrimmed:
        return "trimmed";
    case Gap::kEmpty:
        return "empty";
    case Gap::kBehind:
        return "behind";
    case Gap::kOther:
        break;
    }
    return "other";
}

const char* gap_sentence(Gap gap) noexcept {
    switch (gap) {
    case Gap::kStart:
        return "nothing was read of the stream before";
    case Gap::kTrimmed:
        return "the stream was trimmed beyond what was read last";
    case Gap::kEmpty:
        return "the stream is empty or gone";
    case Gap::kBehind:
        return "the stream ends before what was read last: an older copy, or a failover that lost its end";
    case Gap::kOther:
        break;
    }
    return "the stream has another entry, or none, where something was read last";
}

FleetArea* fleet_area(void* memory) noexcept {
    auto* area = static_cast<FleetArea*>(memory);
    uint32_t seen = area->version.load_acquire();                       // [fleet-area]
    if (seen == 0 && area->version.cas_acq_rel(seen, kFleetVersion)) {  // [fleet-area] zeroes are an empty area
        return area;
    }
    return seen == kFleetVersion ? area : nullptr;
}

void inherit_fleet(const FleetArea& from, FleetArea* to) noexcept {
    FleetPosition position;
    raise_ms(&to->doubted_ms, from.doubted_ms.load_acquire());  // [fleet-ms]
    if (read_position(from, &position)) {
        write_position(to, position, 0);
        raise_ms(&to->clear_ms, from.clear_ms.load_acquire());  // [fleet-ms]
    }
    for (uint32_t i = 0; i < kFleetNodes; i++) {
        FleetNode node;
        if (read_node(from, i, &node)) {
            (void) note_node(to, node.name, node.position, node.clear_ms, node.state, node.said_ms);
        }
    }
}

bool take_lease(FleetArea* area, uint64_t self, uint64_t now_ms, IsGoneFn is_gone, void* context,
                uint64_t* epoch) noexcept {
    uint64_t owner = area->lease.owner.load_acquire();               // [fleet-lease]
    const uint64_t heard = area->lease.heartbeat_ms.load_acquire();  // [fleet-lease]
    const bool is_silent = now_ms > heard && now_ms - heard > kLeaseSilenceMs;
    if (owner != 0 && owner != self && !is_silent && !is_gone(owner, context)) {
        return false;
    }
    // Before the word: who finds it taken a moment later shall not take it for silent.
    area->lease.heartbeat_ms.store_release(now_ms);     // [fleet-lease]
    if (!area->lease.owner.cas_seq_cst(owner, self)) {  // [fleet-lease]
        return false;
    }
    *epoch = area->lease.epoch.add_seq_cst(1) + 1;  // [fleet-lease]
    (void) area->figures.takeovers.add_relaxed(1);
    return true;
}

bool holds_lease(const FleetArea& area, uint64_t self, uint64_t epoch) noexcept {
    return area.lease.owner.load_acquire() == self && area.lease.epoch.load_acquire() == epoch;  // [fleet-lease]
}

bool keep_lease(FleetArea* area, uint64_t self, uint64_t epoch, uint64_t now_ms) noexcept {
    if (!holds_lease(*area, self, epoch)) {
        return false;
    }
    area->lease.heartbeat_ms.store_release(now_ms);  // [fleet-lease]
    return true;
}

void leave_lease(FleetArea* area, uint64_t self, uint64_t epoch) noexcept {
    if (holds_lease(*area, self, epoch)) {
        uint64_t owner = self;
        (void) area->lease.owner.cas_seq_cst(owner, 0);  // [fleet-lease]
    }
}

bool read_position(const FleetArea& area, FleetPosition* out) noexcept {
    const uint64_t which = area.position.which.load_acquire();  // [fleet-position]
    return which != 0 && read_slot(area.position.slot[which % 2], out);
}

void write_position(FleetArea* area, const FleetPosition& position, uint64_t seq) noexcept {
    FleetPosition before;
    if (!read_position(*area, &before)) {
        before = {};
    }
    const uint64_t which = area->position.which.load_acquire();  // [fleet-position]
    PositionSlot& slot = area->position.slot[(which + 1) % 2];
    slot.check.store_release(0);
    slot.ms.store_release(position.id.ms);
    slot.seq.store_release(position.id.seq);
    slot.hash.store_release(position.hash);
    slot.check.store_release(check_of(position.id.ms, position.id.seq, position.hash));
    area->position.which.store_release(which + 1 != 0 ? which + 1 : 2);  // [fleet-position] after the slot
    Outbox outbox(&area->outbox);
    outbox.note_seen(position.id);
    write_birth(area, before.id, position.id, outbox.before_unseen(seq, position.id));
}

void raise_birth(FleetArea* area, const StreamId& position, uint64_t seq) noexcept {
    const uint64_t n = area->births.load_acquire();  // [fleet-birth]
    BirthSlot* slot = &area->birth[(n - 1) % kFleetBirths];
    Birth newest;
    if (n == 0 || !read_birth(*slot, &newest) || newest.id != position) {
        return;
    }
    Outbox outbox(&area->outbox);
    outbox.note_seen(position);
    const uint64_t birth = outbox.before_unseen(seq, position);
    if (birth > newest.birth) {
        slot->check.store_release(0);  // who dies here leaves a slot that says nothing
        slot->birth.store_release(birth);
        slot->check.store_release(check_of(position.ms, position.seq, birth));
    }
}

uint64_t birth_at(const FleetArea& area, const StreamId& id) noexcept {
    FleetPosition here;
    if (id <= given_twice(area) || !read_position(area, &here) || here.id < id) {
        return 0;
    }
    const uint64_t n = area.births.load_acquire();  // [fleet-birth]
    const uint64_t oldest = n > kFleetBirths ? n - kFleetBirths : 0;
    for (uint64_t i = n; i > oldest; i--) {
        Birth found;
        if (!read_birth(area.birth[(i - 1) % kFleetBirths], &found)) {
            return 0;
        }
        if (found.id <= id) {
            return found.birth;
        }
    }
    return 0;
}

void raise_ms(base::Atom<uint64_t>* at, uint64_t ms) noexcept {
    uint64_t seen = at->load_acquire();  // [fleet-ms] [fleet-watch]
    // [fleet-ms]
    // [fleet-watch]
    while (seen < ms && !at->cas_acq_rel(seen, ms)) {
    }
}

constexpr uint64_t kClaimMs = 200;

namespace {

// Whatever any node purged before that was heard of.
uint64_t heard_up_to(const FleetArea& area) noexcept {
    uint64_t clear = area.clear_ms.load_acquire();  // [fleet-ms]
    for (uint32_t i = 0; i < kFleetNodes; i++) {
        FleetNode node;
        const NodeLook look = look_at_node(area, i, &node);
        if (look == NodeLook::kTorn) {
            clear = 0;
        } else if (look == NodeLook::kNode && node.clear_ms < clear) {
            clear = node.clear_ms;
        }
    }
    return clear;
}

}  // namespace

bool must_doubt(FleetArea* area, uint64_t now_ms, uint64_t blind_ms) noexcept {
    const uint64_t doubted = area->doubted_ms.load_acquire();  // [fleet-ms]
    const uint64_t clear = heard_up_to(*area);
    const uint64_t sure = clear > doubted ? clear : doubted;
    if (now_ms < sure || now_ms - sure < blind_ms) {
        return false;
    }
    uint64_t claimed = area->doubting_ms.load_acquire();  // [fleet-ms]
    const bool is_claimed = claimed > doubted && now_ms < claimed + kClaimMs;
    return !is_claimed && area->doubting_ms.cas_acq_rel(claimed, now_ms);  // [fleet-ms]
}

void note_doubted(FleetArea* area, uint64_t now_ms) noexcept {
    raise_ms(&area->doubted_ms, now_ms);
    (void) area->figures.blind.add_relaxed(1);
}

bool end_doubt(FleetArea* area, const StreamId& position, uint64_t seq) noexcept {
    const uint64_t claimed = area->doubting_ms.load_acquire();  // [fleet-ms] set before the purge
    const uint64_t doubted = area->doubted_ms.load_acquire();   // [fleet-ms]
    if (heard_up_to(*area) <= (claimed > doubted ? claimed : doubted)) {
        return false;
    }
    raise_birth(area, position, seq);
    return true;
}

NodeLook look_at_node(const FleetArea& area, uint32_t i, FleetNode* out) noexcept {
    constexpr int kTries = 100;  // a writer at work is done by then
    const NodeSlot& slot = area.node[i];
    for (int n = 0; n < kTries; n++) {
        const uint64_t version = slot.version.load_acquire();  // [fleet-node]
        out->state = static_cast<NodeState>(slot.state.load_acquire());
        out->name = get_text(slot.name, kNodeNameBytes / 8, out->buffer);
        out->position = {slot.ms.load_acquire(), slot.seq.load_acquire()};
        out->clear_ms = slot.clear_ms.load_acquire();
        out->said_ms = slot.said_ms.load_acquire();
        if (version % 2 == 0 && slot.version.load_acquire() == version) {  // [fleet-node]
            const bool is_one = out->state == NodeState::kLive || out->state == NodeState::kSilent;
            return is_one ? NodeLook::kNode : NodeLook::kNone;
        }
    }
    return NodeLook::kTorn;
}

namespace {

NodeSlot* find_node(FleetArea* area, Bytes name) noexcept {
    NodeSlot* free = nullptr;
    for (NodeSlot& slot : area->node) {
        char buffer[kNodeNameBytes];
        if (slot.state.load_acquire() == static_cast<uint64_t>(NodeState::kNone)) {
            free = free == nullptr ? &slot : free;
        } else if (get_text(slot.name, kNodeNameBytes / 8, buffer) == name) {
            return &slot;
        }
    }
    return free;
}

}  // namespace

bool note_node(FleetArea* area, Bytes name, const StreamId& position, uint64_t clear_ms, NodeState state,
               uint64_t said_ms) noexcept {
    NodeSlot* slot = name.empty() || name.size() > kNodeNameBytes ? nullptr : find_node(area, name);
    if (slot == nullptr) {
        return false;
    }
    const uint64_t version = slot->version.load_acquire() | 1;  // [fleet-node] who died here left it odd
    slot->version.store_seq_cst(version);                       // [fleet-node]
    put_text(slot->name, kNodeNameBytes / 8, name);
    slot->ms.store_release(position.ms);
    slot->seq.store_release(position.seq);
    slot->clear_ms.store_release(clear_ms);
    slot->said_ms.store_release(said_ms);
    slot->state.store_release(static_cast<uint64_t>(state));
    slot->version.store_release(version + 1);  // [fleet-node]
    return true;
}

void drop_node(FleetArea* area, Bytes name) noexcept {
    NodeSlot* slot = find_node(area, name);
    if (slot != nullptr) {
        slot->state.store_release(static_cast<uint64_t>(NodeState::kNone));
    }
}

void put_text(base::Atom<uint64_t>* word, uint32_t words, Bytes text) noexcept {
    for (uint32_t i = 0; i < words; i++) {
        const Bytes part = base::slice(text, size_t{i} * 8, 8);
        uint64_t w = 0;
        if (!part.empty()) {
            std::memcpy(&w, part.data(), part.size());
        }
        word[i].store_release(w);
    }
}

Bytes get_text(const base::Atom<uint64_t>* word, uint32_t words, char* buffer) noexcept {
    for (uint32_t i = 0; i < words; i++) {
        const uint64_t w = word[i].load_acquire();
        std::memcpy(buffer + size_t{i} * 8, &w, sizeof(w));
    }
    const void* end = std::memchr(buffer, '\0', size_t{words} * 8);
    return {buffer, end != nullptr ? static_cast<size_t>(static_cast<const char*>(end) - buffer) : size_t{words} * 8};
}

}  // namespace slab_cache::cache
