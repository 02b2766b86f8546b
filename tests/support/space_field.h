// tests/support/space_field.h — a piece of memory with a Space in it, and a cache of bodiless objects on top.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/hash.h"
#include "shm/evict.h"
#include "shm/space.h"

namespace slab_cache::test {

// [64 bytes][space metadata][eviction area][blocks]
class SpaceField {
public:
    explicit SpaceField(uint32_t blocks)
        : blocks_(blocks),
          evict_offset_(shm::kLineBytes + shm::Space::metadata_bytes(blocks)),
          evict_bytes_(shm::EvictQueues::metadata_bytes(blocks * 16)),
          blocks_offset_(evict_offset_ + evict_bytes_),
          memory_(new char[blocks_offset_ + uint64_t{blocks} * shm::kBlockBytes + shm::kLineBytes]),
          base_(memory_.get() + (shm::kLineBytes - reinterpret_cast<uintptr_t>(memory_.get()) % shm::kLineBytes)) {
        std::memset(base_, 0x5a, blocks_offset_);  // format must not rely on zeroes
        space().format_locked();
    }

    shm::Space space() const { return {base_, shm::kLineBytes, blocks_offset_, blocks_}; }
    shm::EvictQueues queues(shm::Eviction policy) const {
        return {base_, {evict_offset_, evict_bytes_, blocks_offset_, blocks_}, policy};
    }
    uint64_t evict_bytes() const { return evict_bytes_; }
    uint32_t blocks() const { return blocks_; }
    uint32_t first_ref() const { return static_cast<uint32_t>(blocks_offset_ / shm::kRefBytes); }
    uint32_t end_ref() const { return first_ref() + blocks_ * shm::kUnitsPerBlock; }
    uint32_t block_of(uint32_t ref) const { return (ref - first_ref()) / shm::kUnitsPerBlock; }
    char* metadata() const { return base_ + shm::kLineBytes; }
    uint64_t metadata_bytes() const { return shm::Space::metadata_bytes(blocks_); }

    shm::RunHeader& header(uint32_t ref) const {
        return *reinterpret_cast<shm::RunHeader*>(base_ + uint64_t{ref} * shm::kRefBytes);
    }
    shm::Entry& entry(uint32_t ref) const {
        return *reinterpret_cast<shm::Entry*>(base_ + uint64_t{ref} * shm::kRefBytes + shm::kRunHeaderBytes);
    }
    void write_header(const shm::Run& run, uint32_t owner, uint32_t next = 0) const {
        shm::RunHeader& h = header(run.ref);
        h.owner.store_relaxed(owner);
        h.next.store_relaxed(next);
        h.len.store_relaxed(run.bytes);
        h.magic.store_relaxed(shm::kRunMagic ^ run.ref);
    }
    std::string audit() const {
        const char* wrong = space().audit_locked();
        return wrong == nullptr ? "" : wrong;
    }

private:
    uint32_t blocks_;
    uint64_t evict_offset_, evict_bytes_, blocks_offset_;
    std::unique_ptr<char[]> memory_;
    char* base_;
};

// Objects in a SpaceField, evicted by the real queues: what the store does, without keys and bytes.
class ObjectField {
public:
    // Entry, key and response head of an ordinary object, as the study's model has it.
    static constexpr uint32_t kHeadBytes = 192;

    ObjectField(uint32_t blocks, shm::Eviction policy)
        : field_(blocks), space_(field_.space()), queues_(field_.queues(policy)) {
        queues_.format_locked(field_.evict_bytes());
    }

    // The ref of the new object; 0 when there was no room to be had with `max_evictions`.
    uint32_t store(uint64_t body_bytes, uint32_t max_evictions) {
        uint64_t left = body_bytes + kHeadBytes;
        const uint64_t payload = left;
        uint32_t first = 0, last = 0, occupied = 0, tail_pieces = 4;
        evictions_ = 0;
        while (left > 0) {
            const shm::Ask ask = shm::plan_next_run(left, tail_pieces);
            const uint32_t least = first == 0 && ask.min_bytes < 256 ? 256 : ask.min_bytes;
            const shm::Run run = space_.alloc_run_locked(ask.want_bytes, least, ask.kind);
            if (!run) {
                if (evictions_ >= max_evictions || !make_room()) {
                    free_chain(first);
                    return 0;
                }
                continue;
            }
            field_.write_header(run, first == 0 ? run.ref : first);
            if (first == 0) {
                first = run.ref;
            } else {
                field_.header(last).next.store_relaxed(run.ref);
            }
            last = run.ref;
            occupied += run.bytes;
            tail_pieces -= ask.kind == shm::Kind::kTail ? 1 : 0;
            left -= std::min<uint64_t>(left, run.bytes - shm::kRunHeaderBytes);
        }
        publish(first, occupied, payload);
        return first;
    }

    void drop(uint32_t ref) {
        queues_.remove_locked(ref);
        forget(ref);
    }

    uint32_t pieces(uint32_t ref) const {
        uint32_t n = 0;
        for (; ref != 0; ref = field_.header(ref).next.load_relaxed()) {
            n++;
        }
        return n;
    }

    std::unordered_set<uint32_t>& pins() { return pins_; }
    const SpaceField& field() const { return field_; }
    shm::Space& space() { return space_; }
    shm::EvictQueues& queues() { return queues_; }
    uint64_t payload_bytes() const { return payload_bytes_; }  // of all objects
    uint32_t evictions() const { return evictions_; }          // by the latest store()
    bool is_live(uint32_t ref) const { return live_.count(ref) != 0; }
    const std::unordered_set<uint32_t>& live() const { return live_; }
    uint64_t cleanings() const { return cleanings_; }

private:
    void publish(uint32_t ref, uint32_t occupied, uint64_t payload) {
        shm::Entry& e = field_.entry(ref);
        std::memset(static_cast<void*>(&e), 0, sizeof e);
        e.fixed.digest_hi = base::mix64(++born_);
        e.occupied.store_relaxed(occupied);
        e.stale_until.store_relaxed(~0U);
        e.birth.store_relaxed(payload);  // unused by space and eviction: remembers what to subtract
        payload_bytes_ += payload;
        live_.insert(ref);
        queues_.push_locked(ref);
    }

    void forget(uint32_t ref) {
        payload_bytes_ -= field_.entry(ref).birth.load_relaxed();
        live_.erase(ref);
        free_chain(ref);
    }

    void free_chain(uint32_t ref) {
        while (ref != 0) {
            const uint32_t next = field_.header(ref).next.load_relaxed();
            space_.free_run_locked(ref, field_.header(ref).len.load_relaxed());
            ref = next;
        }
    }

    static bool is_pinned(uint32_t ref, void* self) { return static_cast<ObjectField*>(self)->pins_.count(ref) != 0; }

    bool make_room() { return (space_.is_worth_cleaning_locked() && clean_block()) || evict_one(); }

    bool evict_one() {
        shm::VictimRules rules;
        rules.is_pinned = is_pinned;
        rules.context = this;
        const uint32_t victim = queues_.pick_victim_locked(0, rules);
        if (victim == 0) {
            return false;
        }
        forget(victim);
        evictions_++;
        return true;
    }

    bool clean_block() {
        // An object that is being stored is in no queue: it counts as pinned.
        const uint32_t block = space_.pick_block_to_clean_locked(
            &random_,
            [](uint32_t owner, void* self) {
                return is_pinned(owner, self) || !static_cast<ObjectField*>(self)->is_live(owner);
            },
            this);
        if (block == shm::kNoBlock) {
            return false;
        }
        cleanings_++;
        return space_.for_each_run_owner_in_block_locked(
            block,
            [](uint32_t owner, uint32_t, void* self) {
                auto* f = static_cast<ObjectField*>(self);
                f->drop(owner);
                f->evictions_++;
                return true;
            },
            this);
    }

    SpaceField field_;
    shm::Space space_;
    shm::EvictQueues queues_;
    std::unordered_set<uint32_t> pins_, live_;
    uint64_t payload_bytes_ = 0, born_ = 0, cleanings_ = 0;
    uint32_t evictions_ = 0, random_ = 12345;
};

// The study's size mixes.
struct SizeMix {
    const char* name;
    double median, sigma;
    uint32_t turnovers;
};
inline constexpr SizeMix kMixShift[] = {
    {"A web, mean 20 KB", 6500, 1.5, 5},
    {"B small JSON, mean 2 KB", 1200, 1.0, 3},
    {"C media, mean 150 KB", 60000, 1.35, 5},
    {"A again", 6500, 1.5, 5},
};

struct PhaseResult {
    double utilisation = 0;  // mean of the second half: payload of live objects / blocks
    double pieces = 0;       // runs per object
    uint32_t max_pieces = 0, max_evictions = 0;
    uint64_t stores = 0, failures = 0, evictions = 0;
};

// One phase of the mix shift: 64 slow clients hold pins, a quarter of the stores free some younger object.
class MixShift {
public:
    MixShift(uint32_t blocks, shm::Eviction policy, uint64_t max_body) : objects(blocks, policy), max_body_(max_body) {}

    PhaseResult run(const SizeMix& mix) {
        PhaseResult r;
        std::lognormal_distribution<double> draw(std::log(mix.median), mix.sigma);
        const uint64_t capacity = objects.space().capacity_bytes();
        uint64_t stored = 0, samples = 0, counted = 0;
        while (stored < mix.turnovers * capacity) {
            const auto body =
                static_cast<uint64_t>(std::min(static_cast<double>(max_body_), std::max(300.0, draw(rng_))));
            const uint32_t ref = objects.store(body, 4000);
            stored += body + ObjectField::kHeadBytes;
            const bool is_second_half = stored > mix.turnovers * capacity / 2;
            r.stores++;
            r.failures += ref == 0 ? 1 : 0;
            r.evictions += objects.evictions();
            r.max_evictions = std::max(r.max_evictions, objects.evictions());
            if (ref != 0) {
                age(ref);
            }
            if (is_second_half && ref != 0 && objects.is_live(ref)) {
                const uint32_t n = objects.pieces(ref);
                r.pieces += n;
                r.max_pieces = std::max(r.max_pieces, n);
                counted++;
            }
            if (is_second_half && r.stores % 16 == 0) {
                r.utilisation += static_cast<double>(objects.payload_bytes()) / static_cast<double>(capacity);
                samples++;
            }
        }
        r.utilisation /= static_cast<double>(std::max<uint64_t>(samples, 1));
        r.pieces /= static_cast<double>(std::max<uint64_t>(counted, 1));
        return r;
    }

    ObjectField objects;

private:
    void age(uint32_t ref) {
        recent_.push_back(ref);
        if (recent_.size() > 4000) {
            recent_.pop_front();
        }
        if (rng_() % 200 == 0 && objects.pins().insert(ref).second) {
            pinned_.push_back(ref);
            if (pinned_.size() > 64) {
                objects.pins().erase(pinned_.front());
                pinned_.pop_front();
            }
        }
        const uint32_t some = recent_[rng_() % recent_.size()];
        if (rng_() % 4 == 0 && objects.is_live(some) && objects.pins().count(some) == 0) {
            objects.drop(some);
        }
        const uint32_t read = recent_[rng_() % recent_.size()];
        if (rng_() % 2 == 0 && objects.is_live(read)) {
            shm::Entry& e = objects.field().entry(read);
            e.freq.store_relaxed(std::min<uint8_t>(3, e.freq.load_relaxed() + 1));
        }
    }

    uint64_t max_body_;
    std::mt19937 rng_{20};
    std::deque<uint32_t> recent_, pinned_;
};

}  // namespace slab_cache::test
