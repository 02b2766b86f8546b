// tests/bench/store_bench.cpp — the price of storing an object: begin, append and commit in a loop.
//
// BM_Store/bytes:N/known:K      distinct keys into a full zone: each store also evicts. K = 0: length told at the end only.
// BM_Replace/bytes:N            the same 512 keys over and over: no eviction, a replacement each time.
// BM_StoreIntoRoom/bytes:N      distinct keys into a zone with room.
// Four selectors, a key of 40 B, a head of 185 B.
#include <benchmark/benchmark.h>

#include "support/zone_fixture.h"

namespace slab_cache::test {
namespace {

// A NewEntry whose key is made anew per store, cheaply.
struct Source {
    char key[41] = "http|example.com|/some/ordinary/page/nr-";
    std::string head = std::string(185, 'h');
    uint64_t selectors[4] = {1, 2, 3, 4};
    std::string body;
    shm::NewEntry what;

    explicit Source(size_t bytes, bool known) : body(pattern(bytes, 1)) {
        what.key = {key, 40};
        what.head = head;
        what.selectors = selectors;
        what.selector_count = 4;
        what.fresh_until_sec = kNow + 60;
        what.stale_until_sec = kNow + 3600;
        what.body_bytes = known ? static_cast<int64_t>(bytes) : -1;
    }
    bool store(Store& s, uint64_t i) {
        std::memcpy(key + 32, &i, 8);
        what.digest = {base::mix64(i), base::mix64(i ^ 0x5bd1e995)};
        selectors[0] = base::mix64(i + 77);
        what.birth = s.birth_stamp();
        shm::Writer w;
        if (s.begin(what, kNow, &w) == Status::kOk && s.append(&w, body, kNow) == Status::kOk &&
            s.commit(&w, kNow) == Status::kOk) {
            return true;
        }
        s.abort(&w);
        return false;
    }
};

void run(benchmark::State& state, Source& source, size_t zone_bytes, uint64_t warm, uint64_t keys) {
    SharedRegion zone(zone_bytes);
    Store s;
    shm::Config config;
    if (s.create(zone.base(), zone.bytes(), 0, config, kSeed) != Status::kOk || s.join({1, 1}) != Status::kOk) {
        state.SkipWithError("no zone");
        return;
    }
    uint64_t i = 0;
    for (; i < warm; i++) {
        if (!source.store(s, i % keys)) {
            state.SkipWithError("a store failed");
            return;
        }
    }
    for (auto _ : state) {
        if (!source.store(s, i++ % keys)) {
            state.SkipWithError("a store failed");
            return;
        }
    }
    s.leave();
}

void BM_Store(benchmark::State& state) {
    Source source(static_cast<size_t>(state.range(0)), state.range(1) != 0);
    const size_t zone = 64 << 20;
    run(state, source, zone, zone / (static_cast<size_t>(state.range(0)) + 256) + 1000, ~uint64_t{0});
}
void BM_Replace(benchmark::State& state) {
    Source source(static_cast<size_t>(state.range(0)), true);
    run(state, source, 64 << 20, 512, 512);
}
void BM_StoreIntoRoom(benchmark::State& state) {
    Source source(static_cast<size_t>(state.range(0)), true);
    run(state, source, 256 << 20, 0, ~uint64_t{0});
}
BENCHMARK(BM_Store)->ArgNames({"bytes", "known"})->Args({1024, 1})->Args({4096, 1})->Args({4096, 0})->Args({32768, 1});
BENCHMARK(BM_Replace)->ArgName("bytes")->Arg(4096);
BENCHMARK(BM_StoreIntoRoom)->ArgName("bytes")->Arg(4096)->Iterations(30000);

}  // namespace
}  // namespace slab_cache::test

BENCHMARK_MAIN();
