#include "ngx/glue/ngx.h"

#include "ngx/fleet/purge_zone.h"

#include "ngx/fleet/member.h"
#include "ngx/zone/user_area.h"

namespace slab_cache::ngx {
namespace {

struct ZonePurge {
    Zone* zone;
    const cache::Selection* selection;
    cache::FleetArea* fleet;  // nullptr: nobody is told
    cache::RecordList records;
    Told told;
};

struct PatternPurge {
    shm::PurgeSection* section;
    const uint8_t* secret;
};

void purge_host(Bytes host, bool soft, void* data) noexcept {
    const auto* purge = static_cast<PatternPurge*>(data);
    purge->section->add(cache::raised_selector(host, purge->secret),
                        soft ? shm::PurgeMode::kSoft : shm::PurgeMode::kHard);
}

// The patterns of a selection. One that the table cannot take purges its host.
void purge_globs(shm::PurgeSection* section, const ZonePurge& purge) noexcept {
    const cache::Selection& s = *purge.selection;
    UserArea* area = user_area(purge.zone);
    PatternPurge pattern{section, purge.zone->store.secret()};
    for (uint32_t i = 0; i < s.glob_count; i++) {
        const cache::Glob glob{s.glob[i].host, s.glob[i].pattern, s.soft};
        // Where a prior zone's workers may still run, the host goes, in both zones: their table is not ours to write.
        if (area == nullptr || !section->is_own() || purge.zone->store.has_open_prior() ||
            !cache::add_glob(&area->globs, glob, section->seq(), purge_host, &pattern)) {
            purge_host(glob.host, s.soft, &pattern);
        }
    }
}

// Within the purge: texts for others are there before the counter is published.
void purge_more(shm::PurgeSection* section, void* data) noexcept {
    auto* purge = static_cast<ZonePurge*>(data);
    purge_globs(section, *purge);
    if (purge->fleet == nullptr || !section->is_own()) {
        return;
    }
    cache::Outbox outbox(&purge->fleet->outbox);
    purge->told.is_missed =
        !outbox.put(purge->records.text, purge->records.count, section->seq(), now_ms(), &purge->told.place);
    purge->told.missed = outbox.missed();
}

// Within a purge of nothing, for its lock.
struct Telling {
    cache::Outbox outbox;
    Bytes text;
};

void put_record(shm::PurgeSection* section, void* data) noexcept {
    auto* telling = static_cast<Telling*>(data);
    cache::OutboxPlace place;
    if (section->is_own()) {
        (void) telling->outbox.put(&telling->text, 1, section->seq(), now_ms(), &place);
    }
}

constexpr uint32_t kToldPerSec = 200;  // by each worker

bool may_tell(FleetMember* m) noexcept {
    if (m->told_sec != now_sec()) {
        m->told_sec = now_sec();
        m->told = 0;
    }
    return m->told++ < kToldPerSec;
}

struct Move {
    cache::Outbox from;
    cache::Outbox to;
};

// Within a purge of nothing, for its lock. Nothing is known of when those purges came to count here: in doubt everything is
// older than they (purge_seq 1) until they are read back.
void move_records(shm::PurgeSection* section, void* data) noexcept {
    auto* move = static_cast<Move*>(data);
    cache::OutboxRecord record;
    while (section->is_own() && move->from.read(move->from.tail(), &record)) {
        cache::OutboxPlace place;
        (void) move->to.put(&record.text, 1, 1, record.at_ms, &place);
        move->from.note_sent(record, {0, 1});
    }
}

}  // namespace

uint64_t tell_invalidation(Zone* zone, ngx_pool_t* pool, const cache::Url* url, uint32_t urls,
                           const cache::Group* group, uint32_t groups) noexcept {
    cache::FleetArea* fleet = urls + groups != 0 && zone->member != nullptr ? fleet_of(zone) : nullptr;
    if (fleet == nullptr) {
        return 0;
    }
    Telling telling{cache::Outbox(&fleet->outbox), {}};
    if (!telling.outbox.has_room_to_spare() || !may_tell(zone->member) ||
        !cache::write_invalidation(arena_of(pool), url, urls, group, groups, &telling.text)) {
        (void) fleet->figures.kept.add_relaxed(1);
        return 0;
    }
    const uint64_t seq = zone->store.purge(nullptr, 0, shm::PurgeMode::kHard, put_record, &telling);
    if (seq != 0) {
        announce_outbox(zone);
    }
    return seq;
}

void move_prior_outboxes(Zone* zone) noexcept {
    cache::FleetArea* own = fleet_of(zone);
    for (uint32_t i = 0; own != nullptr && i < shm::Store::kPriors; i++) {
        cache::FleetArea* prior = prior_fleet(*zone, i);
        if (prior == nullptr) {
            continue;
        }
        Move move{cache::Outbox(&prior->outbox), cache::Outbox(&own->outbox)};
        if (move.from.tail() != move.from.head()) {
            (void) zone->store.purge(nullptr, 0, shm::PurgeMode::kHard, move_records, &move);
            if (move.from.check(move.from.tail())) {
                move.to.miss();
            }
        }
        if (move.from.untold() != 0) {
            move.to.miss();
            move.from.note_told(move.from.missed(), {0, 1});
        }
    }
}

uint64_t purge_zone(Zone* zone, cache::Selection* s, const cache::Purger& by, Tell tell, Told* told) noexcept {
    const shm::PurgeMode mode = s->soft ? shm::PurgeMode::kSoft : shm::PurgeMode::kHard;
    ZonePurge purge{zone, s, nullptr, {}, {}};
    if (tell == Tell::kFleet) {
        purge.fleet = fleet_of(zone);
        purge.told.is_fleet = purge.fleet != nullptr;
        if (purge.fleet != nullptr && !cache::write_records(*s, &purge.records)) {
            purge.records.count = 0;  // which does not fit either
        }
    }
    uint64_t seq = zone->store.purge_seq();
    if (s->all) {
        seq = zone->store.purge_all(mode, purge_more, &purge);
    } else if (s->count != 0) {
        const bool has_more = s->glob_count != 0 || purge.fleet != nullptr;
        seq = zone->store.purge(s->selector, cache::join_inner(s), mode, has_more ? purge_more : nullptr, &purge);
    }
    UserArea* area = user_area(zone);
    if (seq != 0 && s->glob_count != 0 && area != nullptr) {
        cache::publish_globs(&area->globs, seq);
    }
    if (seq != 0 && area != nullptr && !cache::is_empty(*s)) {
        cache::log_purge(&area->purges, *s, seq, by, wall_sec());
    }
    if (seq != 0 && purge.told.is_fleet) {
        announce_outbox(zone);
    }
    if (told != nullptr) {
        *told = purge.told;
    }
    return seq;
}

}  // namespace slab_cache::ngx
