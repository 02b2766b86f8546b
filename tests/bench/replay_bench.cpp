// Replays request traces against the real eviction queues and prints miss ratios beside those of the study.
//
// Policy alone: no allocator, 16 B of overhead per object, capacity as a part of the footprint, objects above
// 1/16 of the capacity refused, nothing expires. Rows of the study are those of its policies "+ R1" (large objects refused).
// Usage: replay_bench [--no-refusal] [trace.txt.gz …]; by default all of ../shared/traces.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "support/replay.h"

namespace {

using namespace slab_cache;

struct Row {
    const char* trace;
    shm::Eviction policy;
    double miss[3], byte_miss[3];
};

// Miss ratios of the study, for zones of 1, 5 and 10 % of the footprint.
const Row kRows[] = {
    {"web_adaptsize", shm::Eviction::kHits, {.684, .610, .584}, {.773, .680, .649}},
    {"web_adaptsize", shm::Eviction::kBalanced, {.702, .626, .598}, {.745, .663, .637}},
    {"web_adaptsize", shm::Eviction::kBytes, {.721, .638, .613}, {.719, .638, .620}},
    {"web_apache", shm::Eviction::kHits, {.242, .145, .137}, {.948, .889, .867}},
    {"web_apache", shm::Eviction::kBalanced, {.245, .153, .137}, {.944, .886, .867}},
    {"web_apache", shm::Eviction::kBytes, {.281, .184, .141}, {.942, .879, .867}},
    {"keys_web07", shm::Eviction::kHits, {.509, .403, .356}, {.710, .582, .526}},
    {"keys_web07", shm::Eviction::kBalanced, {.528, .426, .379}, {.687, .548, .492}},
    {"keys_web07", shm::Eviction::kBytes, {.552, .458, .416}, {.661, .502, .455}},
    {"keys_scarab_recs", shm::Eviction::kHits, {.515, .351, .289}, {.705, .553, .468}},
    {"keys_scarab_recs", shm::Eviction::kBalanced, {.553, .380, .308}, {.663, .512, .429}},
    {"keys_scarab_recs", shm::Eviction::kBytes, {.576, .444, .372}, {.604, .465, .390}},
    {"synth_zipf09", shm::Eviction::kHits, {.511, .349, .283}, {.713, .551, .465}},
    {"synth_zipf09", shm::Eviction::kBalanced, {.546, .382, .309}, {.664, .505, .422}},
    {"synth_zipf09", shm::Eviction::kBytes, {.547, .410, .344}, {.562, .419, .350}},
};
const double kCapacities[] = {.01, .05, .10};

const char* name_of(shm::Eviction p) {
    return p == shm::Eviction::kHits ? "hits" : p == shm::Eviction::kBalanced ? "balanced" : "bytes";
}

const Row* row_of(const std::string& trace, shm::Eviction policy) {
    for (const Row& r : kRows) {
        if (trace == r.trace && policy == r.policy) {
            return &r;
        }
    }
    return nullptr;
}

// Prints one line per policy and capacity; returns the sum of log(miss / study's miss) for kHits.
double replay_all(const std::string& path, uint64_t refuse_divisor) {
    const test::Trace trace = test::load_trace(path);
    if (trace.requests.empty()) {
        std::printf("%s: cannot be read\n", path.c_str());
        return 0;
    }
    double sum = 0;
    for (shm::Eviction policy : {shm::Eviction::kHits, shm::Eviction::kBalanced, shm::Eviction::kBytes}) {
        const Row* row = row_of(trace.name, policy);
        for (int c = 0; c < 3; c++) {
            const test::MissRatio got = test::replay(trace, policy, kCapacities[c], refuse_divisor);
            std::printf("%-18s %-9s %3.0f%%  miss %.4f  bytes %.4f", trace.name.c_str(), name_of(policy),
                        kCapacities[c] * 100, got.requests, got.bytes);
            if (row != nullptr) {
                std::printf("   study %.3f / %.3f   %+5.1f%% / %+5.1f%%", row->miss[c], row->byte_miss[c],
                            100 * (got.requests / row->miss[c] - 1), 100 * (got.bytes / row->byte_miss[c] - 1));
                sum += policy == shm::Eviction::kHits ? std::log(got.requests / row->miss[c]) : 0;
            }
            std::printf("   %.2f us/request\n", got.us_per_request);
            std::fflush(stdout);
        }
    }
    return sum;
}

}  // namespace

int main(int argc, char** argv) {
    std::vector<std::string> paths;
    uint64_t refuse_divisor = 16;
    for (int i = 1; i < argc; i++) {
        if (std::strcmp(argv[i], "--no-refusal") == 0) {
            refuse_divisor = 1;
        } else if (argv[i][0] != '-') {  // flags of other benchmark programs are let pass
            paths.push_back(argv[i]);
        }
    }
    if (paths.empty()) {
        for (const char* name : {"web_adaptsize", "web_apache", "keys_web07", "keys_scarab_recs", "synth_zipf09"}) {
            paths.push_back(test::trace_path(name));
        }
    }
    double sum = 0;
    for (const std::string& p : paths) {
        sum += replay_all(p, refuse_divisor);
    }
    std::printf("hits, geometric mean over traces and capacities against the study: %+.2f%%\n",
                100 * (std::exp(sum / (3.0 * static_cast<double>(paths.size()))) - 1));
    return 0;
}
