// tests/crash/meddle.cpp — between any two operations of one process another does something.
//
// Before the k-th operation of a deed on the zone the meddler does its part, whole; the deed then goes on. For every k
// the witness must be content. Built with -DSLAB_CRASH_POINTS, where "die" means "be interrupted".
//
//   meddle          exit 0: all points survived
#include <cstdio>

#include "cache/globs.h"
#include "cache/history.h"
#include "cache/purge_log.h"
#include "shm/worker.h"
#include "shm/zone_plan.h"
#include "interruption.h"
#include "support/zone_fixture.h"

namespace slab_cache::test {
namespace {

using shm::PurgeMode;

struct Deed {
    virtual ~Deed() = default;
    virtual bool prepare() = 0;
    virtual void deed() = 0;
    virtual void meddle() = 0;
    virtual std::string look() = 0;  // empty, or what is wrong
};

// Worker 2 died on its way out of commit(): its place in unfinished[] names what is no filling entry any more. Worker 1 reaps
// it; worker 3 takes the dead one's lock, repairs, and fills at the very place that the dead one had.
struct ReapAndRefill : Deed {
    Zone zone{1 << 20};
    std::unique_ptr<Store> dead = zone.attach(2), other = zone.attach(3);
    Object mine;
    shm::Writer first, mine_writer;
    bool began = false;

    bool prepare() override {
        Object o;
        o.key = "a";
        o.body = pattern(700, 1);
        mine.key = "b";
        mine.body = pattern(700, 2);
        if (dead->begin(describe(o, dead->birth_stamp()), kNow, &first) != Status::kOk) {
            return false;
        }
        shm::Context c;
        c.base = static_cast<char*>(zone.region.base());
        c.bytes = zone.region.bytes();
        c.zone = reinterpret_cast<shm::ZoneHeader*>(c.base);
        c.geo = shm::geometry_of(*c.zone, *reinterpret_cast<shm::Shard*>(c.base + c.zone->shard_offset[0]));
        shm::region(c).entry(first.ref)->state.store_relaxed(static_cast<uint8_t>(shm::EntryState::kLive));
        shm::shard_at(c, 0)->lock.owner.store_release(shm::identity_word({2, 1002}));
        shm::shard_at(c, 0)->lock.dirty.store_release(1);
        zone.lives.dead[2] = true;
        return true;
    }
    void deed() override { zone.store.reap(); }
    void meddle() override {
        began = other->begin(describe(mine, other->birth_stamp()), kNow, &mine_writer) == Status::kOk;
    }
    std::string look() override {
        if (!began) {
            return "";  // the reaper held the lock
        }
        if (other->append(&mine_writer, mine.body, kNow) != Status::kOk ||
            other->commit(&mine_writer, kNow) != Status::kOk) {
            return "a living worker's fill was taken from it";
        }
        if (get(*other, "b") != mine.body) {
            return "a living worker's object is not what it stored";
        }
        const shm::Audit audit = zone.store.audit();
        return audit.clean ? "" : audit.first;
    }
};

// Purges by pattern as ngx/purge/purge_batch_run.cpp does them, and its reader.
struct Patterns {
    std::unique_ptr<cache::GlobTable> table = std::make_unique<cache::GlobTable>();

    struct Section {
        cache::GlobTable* table;
        std::vector<std::string> patterns;
        shm::PurgeSection* purge = nullptr;
    };
    static void add(shm::PurgeSection* purge, void* context) {
        auto* section = static_cast<Section*>(context);
        section->purge = purge;
        for (const std::string& p : section->patterns) {
            cache::add_glob(
                section->table, {"h", p, false}, purge->seq(),
                [](base::Bytes, bool, void* s) {
                    static_cast<Section*>(s)->purge->add(fingerprint("h"), PurgeMode::kHard);
                },
                section);
        }
    }
    void purge(Store* store, std::vector<std::string> patterns) {
        Section section{table.get(), std::move(patterns)};
        cache::publish_globs(table.get(), store->purge(nullptr, 0, PurgeMode::kHard, add, &section));
    }
    // True when it is purged; else it remembers that no rule so far matches.
    bool is_purged(const Store& store, const std::string& path, uint64_t* birth) const {
        const uint64_t newest = table->newest.load_acquire();
        if (newest <= *birth) {
            return false;
        }
        if (cache::judge_globs(*table, {"h", path, {}}, *birth) != cache::GlobAnswer::kNone) {
            return true;
        }
        const uint64_t host = fingerprint("h");
        if (store.validity_of(&host, 1, *birth) != shm::Validity::kValid) {
            return true;
        }
        *birth = newest;
        return false;
    }
};

// Worker 1 purges by patterns; meanwhile worker 2 purges by another one, and somebody looks at an object that the first
// purge is about.
struct PurgeByPatterns : Deed {
    Zone zone{1 << 20};
    std::unique_ptr<Store> other = zone.attach(2);
    Patterns patterns;
    uint64_t birth = 0;

    bool prepare() override {
        birth = zone.store.birth_stamp();
        return true;
    }
    void deed() override { patterns.purge(&zone.store, {"/x*", "/a*"}); }
    void meddle() override {
        const auto* z = static_cast<const shm::ZoneHeader*>(zone.region.base());
        if (z->purge_lock.owner.load_relaxed() == 0) {  // else it would wait for the one it interrupts
            patterns.purge(other.get(), {"/b*"});
        }
        static_cast<void>(patterns.is_purged(*other, "/a1", &birth));
    }
    std::string look() override {
        return patterns.is_purged(*other, "/a1", &birth) ? "" : "the purge of /a* was missed";
    }
};

// A full table: the rule that purged the object goes, and its host with it. At every moment the object is purged.
struct ReplaceAPattern : PurgeByPatterns {
    bool missed = false;

    bool prepare() override {
        birth = zone.store.birth_stamp();
        patterns.purge(&zone.store, {"/a*"});
        for (uint32_t i = 1; i < cache::kGlobRules; i++) {
            patterns.purge(&zone.store, {"/" + std::to_string(i) + "*"});
        }
        return patterns.is_purged(*other, "/a1", &birth);
    }
    void deed() override { patterns.purge(&zone.store, {"/x*"}); }
    void meddle() override { missed = !patterns.is_purged(*other, "/a1", &birth); }
    std::string look() override {
        return missed || !patterns.is_purged(*other, "/a1", &birth) ? "the purge of /a* was missed" : "";
    }
};

// A purge is written down over an older one. Before each operation, as if the writer had died there, a reader finds whole rows
// alone; then others write all rows, this one too.
struct LogAPurge : Deed {
    std::unique_ptr<cache::PurgeLog> log = std::make_unique<cache::PurgeLog>();
    std::vector<cache::LoggedPurge> rows = std::vector<cache::LoggedPurge>(cache::kLoggedPurges);
    std::string wrong;

    // Its text is 100 times the last digit of its number.
    void add(uint64_t n) {
        const std::string path(100, static_cast<char>('0' + n % 10));
        cache::Understood what{cache::Thing::kUrl, "a.example", path};
        cache::Selection s = {};
        s.understood = &what;
        s.understood_count = 1;
        s.accepted = static_cast<uint32_t>(n);
        cache::log_purge(log.get(), s, n, {cache::PurgeRoad::kApi, false, "192.0.2.1"}, static_cast<int64_t>(n));
    }
    void check(uint32_t least) {
        const uint32_t n = cache::last_purges(*log, rows.data(), cache::kLoggedPurges);
        wrong = n < least ? "rows are missing" : wrong;
        for (uint32_t i = 0; i < n; i++) {
            const cache::LoggedPurge& r = rows[i];
            const std::string path(100, static_cast<char>('0' + r.seq % 10));
            if (r.first.text != path || r.accepted != r.seq || static_cast<uint64_t>(r.at_sec) != r.seq) {
                wrong = "a row is of two purges";
            }
        }
    }
    bool prepare() override {
        for (uint64_t n = 1; n <= cache::kLoggedPurges; n++) {
            add(n);
        }
        check(cache::kLoggedPurges);
        return wrong.empty();
    }
    void deed() override { add(4711); }
    void meddle() override {
        check(cache::kLoggedPurges - 1);
        for (uint64_t n = 100; n < 100 + cache::kLoggedPurges; n++) {
            add(n);
        }
        check(cache::kLoggedPurges);
    }
    std::string look() override {
        check(cache::kLoggedPurges - 1);
        return wrong;
    }
};

// A minute is written down over one of an hour ago. Before each operation, as if the writer had died there, a reader finds whole
// rows of this hour alone; the next minute is somebody else's.
struct NoteAMinute : Deed {
    static constexpr int64_t kNow = 60 * 1000;
    std::unique_ptr<cache::History> past = std::make_unique<cache::History>();
    std::vector<cache::PastRow> rows = std::vector<cache::PastRow>(cache::kHistoryRows);
    std::string wrong;

    void add(int64_t at_sec) {
        cache::PastRow row;
        row.at_sec = at_sec;
        for (uint64_t& f : row.figure) {
            f = static_cast<uint64_t>(at_sec);
        }
        if (cache::claim_past(past.get(), at_sec)) {
            cache::write_past(past.get(), row);
        }
    }
    void check(int64_t now_sec, uint32_t least) {
        const uint32_t n = cache::read_past(*past, now_sec, rows.data());
        wrong = n < least ? "rows are missing" : wrong;
        for (uint32_t i = 0; i < n; i++) {
            for (const uint64_t f : rows[i].figure) {
                wrong = f != static_cast<uint64_t>(rows[i].at_sec) ? "a row is of two minutes" : wrong;
            }
            wrong = i != 0 && rows[i].at_sec <= rows[i - 1].at_sec ? "rows are out of order" : wrong;
            wrong = rows[i].at_sec <= now_sec - 60 * cache::kHistoryRows ? "a row is of an hour ago" : wrong;
        }
    }
    bool prepare() override {
        for (int64_t m = cache::kHistoryRows; m > 0; m--) {
            add(kNow - 60 * m);
        }
        check(kNow - 60, cache::kHistoryRows);
        return wrong.empty();
    }
    void deed() override { add(kNow); }
    void meddle() override {
        check(kNow, cache::kHistoryRows - 1);
        add(kNow + 60);
        check(kNow + 60, cache::kHistoryRows - 2);
        wrong = wrong.empty() && rows[cache::read_past(*past, kNow + 60, rows.data()) - 1].at_sec != kNow + 60
                    ? "nobody writes the next minute"
                    : wrong;
    }
    std::string look() override {
        check(kNow + 60, cache::kHistoryRows - 2);
        return wrong;
    }
};

// `most`: where what follows is of no interest any more.
template <class T>
int run(const char* name, long most) {
    for (long k = 1; k <= most; k++) {
        T deed;
        if (!deed.prepare()) {
            std::printf("FAILED  %s: no scene\n", name);
            return 1;
        }
        g_interruption = [&] { deed.meddle(); };
        g_left = k;
        deed.deed();
        const bool was_interrupted = g_left == 0;
        g_left = 0;
        if (!was_interrupted) {
            std::printf("ok      %s: %ld points\n", name, k - 1);
            return 0;
        }
        if (const std::string e = deed.look(); !e.empty()) {
            std::printf("FAILED  %s: meddled with before operation %ld: %s\n", name, k, e.c_str());
            return 1;
        }
    }
    std::printf("ok      %s: %ld points\n", name, most);
    return 0;
}

}  // namespace
}  // namespace slab_cache::test

int main() {
    using namespace slab_cache::test;
    const int failed = run<ReapAndRefill>("reap, and a fill at the dead one's place", 300) +
                       run<PurgeByPatterns>("purge by patterns, and another one", 1000000) +
                       run<ReplaceAPattern>("a pattern replaced, and a reader", 1000000) +
                       run<LogAPurge>("a purge written down, and others", 10000) +
                       run<NoteAMinute>("a minute of the history, and the next one", 10000);
    std::printf("meddle: %d failed\n", failed);
    return failed == 0 ? 0 : 1;
}
