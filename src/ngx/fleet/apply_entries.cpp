#include "ngx/glue/ngx.h"

#include "ngx/fleet/apply_entries.h"

#include "ngx/fleet/purge_zone.h"
#include "ngx/zone/listing.h"

namespace slab_cache::ngx {
namespace {

constexpr uint32_t kLeastRoom = 4096;  // selectors
constexpr uint32_t kMostInvalidated = 256;

// What is collected of several entries, by mode.
struct Batch {
    FleetMember* member;
    ngx_pool_t* pool;
    cache::Selection of[2];  // hard, soft
    bool doubt;              // everything
    uint64_t invalidated[kMostInvalidated];
    uint32_t invalidations;

    cache::Selection* selection(bool soft) noexcept { return &of[soft ? 1 : 0]; }
};

bool make_room(Batch* b, bool soft, uint32_t selectors) noexcept {
    cache::Selection* s = b->selection(soft);
    *s = {};
    s->arena = arena_of(b->pool);
    s->secret = b->member->zone->store.secret();
    if (!cache::make_room(s, ngx_max(selectors, kLeastRoom))) {
        return false;
    }
    s->soft = soft;
    return true;
}

void purge_surely(Zone* zone, cache::Selection* s) noexcept {
    if (!cache::is_empty(*s) &&
        purge_zone(zone, s, {cache::PurgeRoad::kFleet, false, {}}, Tell::kNobody, nullptr) == 0) {
        (void) zone->store.purge_all_now(s->soft ? shm::PurgeMode::kSoft : shm::PurgeMode::kHard);
    }
}

// Room for an entry's values in the selection of its mode.
bool has_room(Batch* b, bool soft, uint32_t values) noexcept {
    cache::Selection* s = b->selection(soft);
    if (values > UINT32_MAX / 4) {
        return false;
    }
    if (s->selector != nullptr && s->capacity - s->count >= 2 * values &&
        (s->glob_count == 0 || s->glob_count + values <= cache::kMaxGlobs)) {
        return true;
    }
    purge_surely(b->member->zone, s);
    return make_room(b, soft, 2 * values);
}

void flush_invalidated(Batch* b) noexcept {
    shm::Store& store = b->member->zone->store;
    if (b->invalidations != 0 &&
        store.invalidate(b->invalidated, b->invalidations, shm::PurgeMode::kHard, now_sec()) == 0) {
        (void) store.purge_all_now(shm::PurgeMode::kHard);
    }
    b->invalidations = 0;
}

// As an unsafe request's own (purge/observe_response.cpp): what is stored nowhere here needs no record.
void add_invalidated(uint64_t selector, bool is_url, void* data) noexcept {
    auto* b = static_cast<Batch*>(data);
    Zone* zone = b->member->zone;
    if (is_url && !may_be_stored(zone, selector)) {
        add_unheard(zone, selector);
        if (!may_be_stored(zone, selector)) {
            return;
        }
    }
    if (b->invalidations == kMostInvalidated) {
        flush_invalidated(b);
    }
    b->invalidated[b->invalidations++] = selector;
}

void flush(Batch* b) noexcept {
    flush_invalidated(b);
    for (cache::Selection& s : b->of) {
        purge_surely(b->member->zone, &s);
        s = {};
    }
    if (b->doubt) {
        purge_all_surely(b->member->zone, shm::PurgeMode::kDoubt);
        b->doubt = false;
    }
}

// Entries for a zone of another name are its own business, where this machine has it in the fleet.
bool is_for_another(const FleetMember& m, Bytes zone) noexcept {
    if (zone.empty() || zone == view(m.zone->name)) {
        return false;
    }
    auto** zones = static_cast<Zone**>(m.conf->zones.elts);
    for (ngx_uint_t i = 0; i < m.conf->zones.nelts; i++) {
        if (view(zones[i]->name) == zone) {
            return true;
        }
    }
    return false;
}

void count_unreadable(Batch* b, const cache::EntryHead& head) noexcept {
    (void) b->member->area->figures.unreadable.add_relaxed(1);
    const cache::StreamIdText id(head.id);
    const ngx_str_t text = to_str(id.view());
    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                  "slab_cache zone \"%V\": entry %V of stream \"%V\" cannot be read: everything stored is in doubt",
                  &b->member->zone->name, &text, &b->member->conf->stream);
    b->doubt = true;
}

// False: memory ran out.
bool add_entry(Batch* b, const cache::Reply& entry, const cache::EntryHead& head) noexcept {
    cache::FleetFigures& figures = b->member->area->figures;
    if (head.from == from_of(*b->member)) {
        (void) figures.own.add_relaxed(1);
        return true;
    }
    if (is_for_another(*b->member, head.zone)) {
        return true;
    }
    (void) figures.applied.add_relaxed(1);
    (void) figures.unknown_fields.add_relaxed(head.unknown);
    if (!head.is_readable) {
        count_unreadable(b, head);
        return true;
    }
    const bool soft = head.mode == cache::EntryMode::kSoft;
    if (head.invalidated != 0) {
        if (b->of[0].selector == nullptr && !make_room(b, false, 0)) {
            return false;
        }
        cache::each_invalidated(entry, b->of[0], add_invalidated, b);
    }
    if (head.all && head.mode == cache::EntryMode::kDoubt) {
        b->doubt = true;
    }
    if (head.values == 0 && !(head.all && head.mode != cache::EntryMode::kDoubt)) {
        return true;
    }
    if (!has_room(b, soft, head.values)) {
        return false;
    }
    if (head.all && head.mode != cache::EntryMode::kDoubt) {
        cache::select_all(b->selection(soft));
    }
    if (!cache::select_entry(entry, b->selection(soft))) {
        count_unreadable(b, head);
    }
    return true;
}

bool apply(Batch* b, const cache::Reply& entries, cache::FleetPosition* last) noexcept {
    for (uint32_t i = 0; i < entries.count; i++) {
        cache::EntryHead head;
        if (!cache::read_entry_head(entries.at(i), &head) || !add_entry(b, entries.at(i), head)) {
            return false;
        }
        last->id = head.id;
    }
    if (entries.count != 0) {
        last->hash = cache::hash_entry(entries.at(entries.count - 1));
    }
    flush(b);
    return true;
}

}  // namespace

bool apply_entries(FleetMember* m, const cache::Reply& entries, cache::FleetPosition* last) noexcept {
    Batch b = {};
    b.member = m;
    b.pool = ngx_create_pool(16 * 1024, ngx_cycle->log);
    if (b.pool == nullptr) {
        return false;
    }
    const bool done = apply(&b, entries, last);
    ngx_destroy_pool(b.pool);
    return done;
}

void purge_all_surely(Zone* zone, shm::PurgeMode mode) noexcept {
    if (zone->store.purge_all(mode) == 0) {
        (void) zone->store.purge_all_now(mode);
    }
}

}  // namespace slab_cache::ngx
