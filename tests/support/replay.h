// tests/support/replay.h — request traces, and a cache of entries without bytes to replay them against.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/hash.h"
#include "shm/evict.h"

namespace slab_cache::test {

struct Request {
    uint32_t key;
    uint32_t bytes;
};

struct Trace {
    std::string name;
    std::vector<Request> requests;
    uint32_t keys = 0;
};

inline constexpr uint32_t kReplayOverheadBytes = 16;  // as the study's model was run

// Tests run in the repository's root. SLAB_TRACES names another directory.
inline std::string trace_path(const std::string& name) {
    const char* dir = std::getenv("SLAB_TRACES");
    return std::string(dir != nullptr ? dir : "../shared/traces") + "/" + name + ".txt.gz";
}

// Empty when the file cannot be read.
inline Trace load_trace(const std::string& path) {
    Trace t;
    const size_t slash = path.rfind('/');
    t.name = path.substr(slash == std::string::npos ? 0 : slash + 1);
    t.name = t.name.substr(0, t.name.find('.'));
    FILE* in = std::fopen(path.c_str(), "rb");
    if (in == nullptr) {
        return t;
    }
    std::fclose(in);
    in = popen(("gzip -dc '" + path + "'").c_str(), "r");
    unsigned key, bytes;
    while (in != nullptr && std::fscanf(in, "%u %u", &key, &bytes) == 2) {
        t.requests.push_back({key, bytes + kReplayOverheadBytes});
        t.keys = key >= t.keys ? key + 1 : t.keys;
    }
    if (in != nullptr) {
        pclose(in);
    }
    return t;
}

inline uint64_t footprint(const Trace& t) {
    std::vector<bool> seen(t.keys);
    uint64_t sum = 0;
    for (const Request& r : t.requests) {
        sum += seen[r.key] ? 0 : r.bytes;
        seen[r.key] = true;
    }
    return sum;
}

// Entries by number 0 … n-1, in memory shaped like a zone: eviction area, then places of 128 bytes.
class EntryField {
public:
    EntryField(uint32_t entries, uint64_t expected_objects, shm::Eviction policy)
        : metadata_bytes_(shm::EvictQueues::metadata_bytes(expected_objects)),
          blocks_((entries + 1) / kPerBlock + 1),
          blocks_offset_((shm::kLineBytes + metadata_bytes_ + 4095) / 4096 * 4096),
          memory_(new char[blocks_offset_ + uint64_t{blocks_} * shm::kBlockBytes + shm::kLineBytes]()),
          base_(memory_.get() + (shm::kLineBytes - reinterpret_cast<uintptr_t>(memory_.get()) % shm::kLineBytes)),
          queues_(base_, {shm::kLineBytes, metadata_bytes_, blocks_offset_, blocks_}, policy) {
        queues_.format_locked(metadata_bytes_);
    }

    uint32_t ref(uint32_t i) const { return static_cast<uint32_t>(blocks_offset_ / shm::kRefBytes + uint64_t{i} * 2); }
    uint32_t number(uint32_t ref) const { return static_cast<uint32_t>((ref - blocks_offset_ / shm::kRefBytes) / 2); }
    shm::Entry& entry(uint32_t i) const {
        return *reinterpret_cast<shm::Entry*>(base_ + uint64_t{ref(i)} * shm::kRefBytes + shm::kRunHeaderBytes);
    }
    shm::EvictQueues& queues() { return queues_; }
    shm::EvictHeader& header() const { return *reinterpret_cast<shm::EvictHeader*>(base_ + shm::kLineBytes); }

    // Entry i as the store would present it to push_locked().
    void prepare(uint32_t i, uint32_t bytes) {
        shm::Entry& e = entry(i);
        e.fixed.digest_hi = base::mix64(i + 1);
        e.fixed.digest_lo = base::mix64(i + 1, 7);
        e.occupied.store_relaxed(bytes);
        e.stale_until.store_relaxed(~0U);
    }
    void push(uint32_t i, uint32_t bytes) {
        prepare(i, bytes);
        queues_.push_locked(ref(i));
    }
    void use(uint32_t i) {  // as Store::touch does
        shm::Entry& e = entry(i);
        const uint8_t f = e.freq.load_relaxed();
        if (f < 3) {
            e.freq.store_relaxed(static_cast<uint8_t>(f + 1));
        }
    }
    // The number of the entry picked, -1 when there is none.
    int64_t pick(uint32_t now_sec = 0, const shm::VictimRules& rules = {}) {
        const uint32_t r = queues_.pick_victim_locked(now_sec, rules);
        return r == 0 ? -1 : int64_t{number(r)};
    }

private:
    static constexpr uint32_t kPerBlock = shm::kBlockBytes / 128;
    uint64_t metadata_bytes_;
    uint32_t blocks_;
    uint64_t blocks_offset_;
    std::unique_ptr<char[]> memory_;
    char* base_;
    shm::EvictQueues queues_;
};

struct MissRatio {
    double requests = 0;
    double bytes = 0;
    double us_per_request = 0;
};

inline MissRatio replay(const Trace& t, shm::Eviction policy, double capacity_share, uint64_t refuse_divisor) {
    const uint64_t all = footprint(t);
    const auto capacity = static_cast<uint64_t>(static_cast<double>(all) * capacity_share);
    // As a zone would size the table: one object for each 4 KB.
    EntryField field(t.keys, capacity / 4096 + 1, policy);
    shm::EvictQueues& queues = field.queues();
    uint64_t misses = 0, miss_bytes = 0, bytes = 0;
    const auto start = std::chrono::steady_clock::now();
    for (const Request& r : t.requests) {
        bytes += r.bytes;
        if (field.entry(r.key).queue != 0) {
            field.use(r.key);
            continue;
        }
        misses++;
        miss_bytes += r.bytes;
        if (r.bytes > capacity / refuse_divisor) {
            continue;
        }
        while (queues.bytes() + r.bytes > capacity && field.pick() >= 0) {
        }
        field.push(r.key, r.bytes);
    }
    const std::chrono::duration<double, std::micro> spent = std::chrono::steady_clock::now() - start;
    const auto n = static_cast<double>(t.requests.size());
    return {static_cast<double>(misses) / n, static_cast<double>(miss_bytes) / static_cast<double>(bytes),
            spent.count() / n};
}

}  // namespace slab_cache::test
