#include "cache/outbox.h"

#include <cstring>
#include <new>

namespace slab_cache::cache {
namespace {

constexpr uint32_t kUnit = 64;
constexpr uint32_t kOutboxMark = 0x4f757421;
static_assert(kOutboxBytes % kUnit == 0 && sizeof(OutboxHead) < kUnit);

uint64_t bytes_for(size_t text) noexcept { return (sizeof(OutboxHead) + text + kUnit - 1) / kUnit * kUnit; }

uint32_t mark_of(uint64_t at) noexcept { return kOutboxMark ^ static_cast<uint32_t>(at / kUnit); }

// Where a record of so many bytes that is to begin at `at` does begin: in one piece.
uint64_t place_of(uint64_t at, uint64_t bytes) noexcept {
    const uint64_t left = kOutboxBytes - at % kOutboxBytes;
    return bytes <= left ? at : at + left;
}

void raise(base::Atom<uint64_t>* at, uint64_t x) noexcept {
    uint64_t seen = at->load_acquire();  // [outbox-tail]
    // [outbox-tail]
    // [outbox-start]
    while (seen < x && !at->cas_acq_rel(seen, x)) {
    }
}

}  // namespace

OutboxHead* Outbox::head_at(uint64_t at) const noexcept {
    return reinterpret_cast<OutboxHead*>(ring_->bytes + at % kOutboxBytes);
}

// A record or a gap. False: nonsense.
bool Outbox::parse(uint64_t at, uint64_t head, OutboxRecord* out) const noexcept {
    if (at % kUnit != 0 || at >= head) {
        return false;
    }
    const OutboxHead* h = head_at(at);
    const uint64_t left = kOutboxBytes - at % kOutboxBytes;
    const uint32_t bytes = h->bytes;
    const uint32_t text = h->text_bytes;
    if (h->mark != mark_of(at) || bytes == 0 || bytes % kUnit != 0 || bytes > left || bytes > head - at ||
        text > bytes - sizeof(OutboxHead)) {
        return false;
    }
    out->at = at;
    out->end = at + bytes;
    out->number = h->number;
    out->purge_seq = h->purge_seq;
    out->at_ms = h->at_ms;
    out->id = {h->id_ms.load_acquire(), h->id_seq.load_acquire()};  // [outbox-id]
    out->text = {reinterpret_cast<const char*>(h + 1), text};
    return true;
}

// What was sent goes, from the oldest on, until the ring may end at `end`.
bool Outbox::make_room(uint64_t end) noexcept {
    const uint64_t tail = this->tail();
    uint64_t start = this->start();
    while (end - start > kOutboxBytes) {
        OutboxRecord record;
        if (start >= tail || !parse(start, tail, &record)) {
            return false;
        }
        start = record.end;
    }
    raise(&ring_->start, start);  // before anything is written over it
    return true;
}

void Outbox::write(uint64_t at, uint64_t bytes, Bytes text, const OutboxRecord& what) noexcept {
    OutboxHead h{};
    h.mark = mark_of(at);
    h.bytes = static_cast<uint32_t>(bytes);
    h.number = what.number;
    h.purge_seq = what.purge_seq;
    h.at_ms = what.at_ms;
    h.text_bytes = static_cast<uint32_t>(text.size());
    base::copy_in(head_at(at), &h, sizeof(h));
    base::copy_in(head_at(at) + 1, text.data(), text.size());
}

bool Outbox::put(const Bytes* text, uint32_t count, uint64_t purge_seq, uint64_t now_ms, OutboxPlace* last) noexcept {
    *last = {};
    const uint64_t head = this->head();
    uint64_t end = head;
    bool fits = count != 0;
    for (uint32_t i = 0; i < count; i++) {
        fits = fits && text[i].size() <= kMaxRecordText;
        const uint64_t bytes = bytes_for(text[i].size());
        end = place_of(end, bytes) + bytes;
    }
    if (!fits || !make_room(end)) {
        miss();
        return false;
    }
    OutboxRecord what;
    what.purge_seq = purge_seq;
    what.at_ms = now_ms;
    uint64_t number = last_number();
    uint64_t at = head;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t bytes = bytes_for(text[i].size());
        const uint64_t place = place_of(at, bytes);
        if (place != at) {
            what.number = 0;
            write(at, place - at, {}, what);
        }
        what.number = ++number;
        write(place, bytes, text[i], what);
        *last = {number, place};
        at = place + bytes;
    }
    ring_->numbers.store_release(number);  // [outbox-head] before the head: a number is never given out twice
    ring_->head.store_release(end);        // [outbox-head] after the records
    return true;
}

void Outbox::miss() noexcept {
    (void) ring_->missed.add_seq_cst(1);  // [outbox-missed]
}

bool Outbox::has_room_to_spare() const noexcept { return head() - tail() < kOutboxBytes / 2; }

bool Outbox::read(uint64_t at, OutboxRecord* out) const noexcept {
    const uint64_t head = this->head();
    at = at < start() ? start() : at;
    do {
        if (!parse(at, head, out)) {
            return false;
        }
        at = out->end;
    } while (out->number == 0);
    return true;
}

void Outbox::note_id(const OutboxRecord& record, const StreamId& id) noexcept {
    OutboxHead* h = head_at(record.at);
    if (record.at < start() || h->mark != mark_of(record.at)) {
        return;  // its place was needed
    }
    h->id_seq.store_release(id.seq);  // [outbox-id]
    h->id_ms.store_release(id.ms);    // [outbox-id]
}

void Outbox::note_sent(const OutboxRecord& record, const StreamId& id) noexcept {
    if (record.end <= tail()) {
        return;  // another holder was faster
    }
    note_id(record, id);
    raise(&ring_->tail, record.end);  // [outbox-tail] after its id
}

void Outbox::note_seen(const StreamId& position) noexcept {
    const uint64_t tail = this->tail();
    const uint64_t start = this->start();
    uint64_t at = ring_->seen.load_acquire();  // [outbox-tail]
    at = at < start ? start : at;
    OutboxRecord record;
    while (at < tail && parse(at, tail, &record) && (record.number == 0 || (record.id && record.id <= position))) {
        at = record.end;
    }
    raise(&ring_->seen, at);
}

void Outbox::note_told(uint64_t missed, const StreamId& id) noexcept {
    ring_->told_ms.store_release(id.ms);    // [outbox-told]
    ring_->told_seq.store_release(id.seq);  // [outbox-told]
    raise(&ring_->told, missed);            // [outbox-told] after the id
}

bool Outbox::check(uint64_t at) noexcept {
    const uint64_t head = this->head();
    OutboxRecord record;
    at = at < tail() ? tail() : at;
    if (at >= head || parse(at, head, &record)) {
        return false;
    }
    miss();
    raise(&ring_->start, head);
    raise(&ring_->tail, head);
    return true;
}

uint32_t Outbox::waiting() const noexcept {
    OutboxRecord record;
    const uint64_t last = last_number();
    if (!read(tail(), &record) || record.number > last) {
        return 0;
    }
    const uint64_t n = last - record.number + 1;
    return n < UINT32_MAX ? static_cast<uint32_t>(n) : UINT32_MAX;
}

uint64_t Outbox::oldest_ms() const noexcept {
    OutboxRecord record;
    return read(tail(), &record) ? record.at_ms : 0;
}

bool Outbox::is_sent(uint64_t number) const noexcept {
    OutboxRecord record;
    return !read(tail(), &record) || record.number > number;
}

bool Outbox::id_of(const OutboxPlace& place, StreamId* id) const noexcept {
    OutboxRecord record;
    if (place.at < start() || !parse(place.at, head(), &record) || record.number != place.number) {
        return false;
    }
    *id = record.id;
    return static_cast<bool>(record.id);
}

uint64_t Outbox::before_unseen(uint64_t seq, const StreamId& position) const noexcept {
    const StreamId told{ring_->told_ms.load_acquire(), ring_->told_seq.load_acquire()};  // [outbox-told]
    const uint64_t at = ring_->seen.load_acquire();                                      // [outbox-tail]
    OutboxRecord record;
    if (untold() != 0 || position < told || at < start()) {
        return 0;
    }
    if (at >= head()) {
        return seq;
    }
    if (!read(at, &record)) {
        return 0;
    }
    return record.purge_seq <= seq ? record.purge_seq - 1 : seq;
}

}  // namespace slab_cache::cache
