// tests/bench/purge_core_bench.cpp — what a purge costs, and what it makes hits cost, at 1,000 to 2,000,000 objects.
//
// BM_Purge/objects:N          one tag, to the moment it holds in every process.
// BM_Hits/objects:N           100 lookups of random keys, validity asked, no purge anywhere.
// BM_HitsAndPurge/objects:N   the same after one purge of a tag that none of them has: each lookup that meets an entry for the
//                             first time since judges its selectors. 14 selectors per object.
#include <benchmark/benchmark.h>

#include "support/zone_fixture.h"

namespace slab_cache::test {
namespace {

constexpr uint32_t kSelectors = 14;
constexpr uint32_t kKeyBytes = 16;

// The zone lives from one benchmark to the next: filling it takes longer than measuring.
struct World {
    std::unique_ptr<Zone> zone;
    uint64_t objects = 0;
    uint64_t random = 88172645463325252ull;

    uint64_t next() {
        random ^= random << 13;
        random ^= random >> 7;
        return random ^= random << 17;
    }
    static Digest digest(uint64_t i) { return {base::mix64(i), base::mix64(i ^ 0x5bd1e995)}; }
    static void make_key(uint64_t i, char* key) {
        std::memset(key, 'k', kKeyBytes);
        std::memcpy(key, &i, sizeof(i));
    }

    bool put(uint64_t i, const std::string& body) {
        char key[kKeyBytes];
        make_key(i, key);
        uint64_t selector[kSelectors];
        for (uint32_t k = 0; k < kSelectors; k++) {
            selector[k] = base::mix64(i * kSelectors + k);
        }
        shm::NewEntry what;
        what.digest = digest(i);
        what.key = {key, kKeyBytes};
        what.head = {body.data(), 100};
        what.selectors = selector;
        what.selector_count = kSelectors;
        what.birth = zone->store.birth_stamp();
        what.fresh_until_sec = what.stale_until_sec = kNow + 3600;
        what.body_bytes = static_cast<int64_t>(body.size());
        shm::Writer w;
        const bool ok = zone->store.begin(what, kNow, &w) == Status::kOk &&
                        zone->store.append(&w, body, kNow) == Status::kOk &&
                        zone->store.commit(&w, kNow) == Status::kOk;
        zone->store.abort(&w);
        return ok;
    }

    bool fill(uint64_t n) {
        if (objects == n) {
            return true;
        }
        shm::Config config;
        config.objects = 2'500'000;
        zone.reset();
        zone = std::make_unique<Zone>(size_t{2} << 30, config);
        const std::string body(400, 'x');
        for (objects = 0; objects < n; objects++) {
            if (!put(objects, body)) {
                return false;
            }
        }
        return true;
    }

    uint64_t hit() {
        const uint64_t i = next() % objects;
        char key[kKeyBytes];
        make_key(i, key);
        shm::Pin pin;
        const bool found = zone->store.find(digest(i), {key, kKeyBytes}, &pin) == Status::kOk &&
                           zone->store.validity(pin) == shm::Validity::kValid;
        zone->store.unpin(&pin);
        return found ? 1 : 0;
    }
    void purge() {
        const uint64_t tag = next() | 1ull << 63;
        zone->store.purge(&tag, 1, shm::PurgeMode::kHard);
    }
};

World& world() {
    static World w;
    return w;
}

void run(benchmark::State& state, bool purges, uint32_t hits) {
    World& w = world();
    if (!w.fill(static_cast<uint64_t>(state.range(0)))) {
        state.SkipWithError("a store failed");
        return;
    }
    uint64_t found = 0;
    for (auto _ : state) {
        if (purges) {
            w.purge();
        }
        for (uint32_t i = 0; i < hits; i++) {
            found += w.hit();
        }
    }
    if (hits != 0) {
        state.counters["hits"] = static_cast<double>(found) / static_cast<double>(state.iterations() * hits);
    }
}

void BM_Hits(benchmark::State& state) { run(state, false, 100); }
void BM_Purge(benchmark::State& state) { run(state, true, 0); }
void BM_HitsAndPurge(benchmark::State& state) { run(state, true, 100); }

// One size after the other, since a zone is filled once.
const int kRegistered = [] {
    for (const int64_t n : {1000, 100000, 2000000}) {
        benchmark::RegisterBenchmark("BM_Hits", BM_Hits)->ArgName("objects")->Arg(n);
        benchmark::RegisterBenchmark("BM_HitsAndPurge", BM_HitsAndPurge)->ArgName("objects")->Arg(n)->Iterations(20000);
        benchmark::RegisterBenchmark("BM_Purge", BM_Purge)->ArgName("objects")->Arg(n)->Iterations(200000);
    }
    return 0;
}();

}  // namespace
}  // namespace slab_cache::test

BENCHMARK_MAIN();
