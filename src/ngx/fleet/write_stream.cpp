#include "ngx/glue/ngx.h"

#include "ngx/fleet/write_stream.h"

#include "cache/fleet_record.h"
#include "cache/redis_command.h"
#include "ngx/fleet/nodes.h"

namespace slab_cache::ngx {
namespace {

constexpr uint32_t kUnderWay = 4096;  // records
constexpr uint32_t kLookedFor = 128;  // records that are looked for behind a new connection
constexpr uint64_t kRetryMs = 200;
constexpr uint64_t kNothingLost = UINT64_MAX;
constexpr uint32_t kMaxFields = 1024;

FleetMember* member_of(RedisLink* link) noexcept { return static_cast<FleetMember*>(link->owner); }

cache::Outbox outbox_of(FleetMember* m) noexcept { return cache::Outbox(&m->area->outbox); }

void tell_error(FleetMember* m, const cache::Reply& reply, const char* what) noexcept {
    const ngx_str_t text = to_str(reply.is_error() ? reply.text : Bytes("nonsense"));
    if (!m->writer.was_told) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "%V: %V answers %s of stream \"%V\" with: %V; purges wait",
                      &m->conf->peers.label, &m->writer.link.peer.address_text, what, &m->conf->stream, &text);
    }
    m->writer.was_told = true;
}

// ---- a record as a command -----------------------------------------------------------------------------------

constexpr uint32_t kHeadWords = 10;  // XADD key MAXLEN ~ n * from … zone …

uint32_t write_head(const FleetMember& m, Bytes (&word)[kHeadWords], const cache::NumberText& most) noexcept {
    const Bytes head[kHeadWords] = {"XADD", view(m.conf->stream), "MAXLEN", "~", most.view(), "*", "from", from_of(m),
                                    "zone", view(m.zone->name)};
    for (uint32_t i = 0; i < kHeadWords; i++) {
        word[i] = head[i];
    }
    return kHeadWords;
}

bool count_fields(Bytes text, uint32_t* count, size_t* bytes) noexcept {
    cache::RecordField f;
    *count = 0;
    while (cache::next_record_field(&text, &f)) {
        *bytes += f.name.size() + f.value.size() + 2 * cache::kCommandPartRoom;
        ++*count;
    }
    return text.empty() && *count != 0 && *count <= kMaxFields;
}

// XADD of that record. False: it cannot be sent now.
bool send_record(FleetMember* m, Bytes text, RedisReplyFn fn, void* data, bool* is_nonsense) noexcept {
    const cache::NumberText most(m->conf->maxlen);
    Bytes head[kHeadWords];
    const uint32_t words = write_head(*m, head, most);
    uint32_t fields = 0;
    size_t bytes = cache::command_room(head, words);
    *is_nonsense = !count_fields(text, &fields, &bytes);
    auto* command = *is_nonsense ? nullptr : static_cast<char*>(ngx_alloc(bytes, ngx_cycle->log));
    if (command == nullptr) {
        return false;
    }
    char* end = cache::write_command_head(command, words + 2 * fields);
    for (uint32_t i = 0; i < words; i++) {
        end = cache::write_command_word(end, head[i]);
    }
    cache::RecordField f;
    while (cache::next_record_field(&text, &f)) {
        end = cache::write_command_word(cache::write_command_word(end, f.name), f.value);
    }
    const bool sent = send_redis_bytes(&m->writer.link, {command, static_cast<size_t>(end - command)}, fn, data);
    ngx_free(command);
    return sent;
}

// ---- what is sent --------------------------------------------------------------------------------------------

void start_again(FleetMember* m) noexcept {
    StreamWriter* w = &m->writer;
    w->is_failing = false;
    w->is_telling = false;
    w->cursor = outbox_of(m).tail();
}

void fail(FleetMember* m, const cache::Reply& reply) noexcept {
    m->writer.is_failing = true;
    m->writer.retry_ms = now_ms() + kRetryMs;
    tell_error(m, reply, "XADD");
}

// An XADD came back. True: it went well, *id is its entry.
bool take_answer(FleetMember* m, const cache::Reply* reply, cache::StreamId* id) noexcept {
    StreamWriter* w = &m->writer;
    w->under_way--;
    if (reply == nullptr) {
        return false;
    }
    if (drop_if_elsewhere(&w->link, *reply)) {
        return false;
    }
    if (!reply->is_text() || !cache::parse_stream_id(reply->text, id)) {
        fail(m, *reply);
    }
    const bool fine = !w->is_failing;  // behind one that failed nothing counts, or the order would be lost
    if (w->under_way == 0 && w->is_failing) {
        start_again(m);
    }
    return fine && is_holder_still(m);
}

// The reader is often faster: an entry of ours was read before the server's answer said that it is.
void learn_own(FleetMember* m) noexcept {
    if (m->reader.has_position) {
        cache::raise_birth(m->area, m->reader.position.id, m->reader.seq);
    }
}

void on_added(RedisLink* link, const cache::Reply* reply, void* data) noexcept {
    FleetMember* m = member_of(link);
    cache::StreamId id;
    if (!take_answer(m, reply, &id)) {
        return;
    }
    cache::Outbox outbox = outbox_of(m);
    cache::OutboxRecord record;
    const auto at = static_cast<uint64_t>(reinterpret_cast<uintptr_t>(data));
    if (!outbox.read(at, &record) || record.at != at) {
        return;
    }
    outbox.note_sent(record, id);
    learn_own(m);
    (void) m->area->figures.published.add_relaxed(1);
    m->writer.was_told = false;
    wake_waiting(m);
    ngx_post_event(&m->pump, &ngx_posted_events);
}

void on_told(RedisLink* link, const cache::Reply* reply, void*) noexcept {
    FleetMember* m = member_of(link);
    StreamWriter* w = &m->writer;
    cache::StreamId id;
    const uint64_t told = w->telling;
    w->is_telling = false;
    if (!take_answer(m, reply, &id)) {
        return;
    }
    outbox_of(m).note_told(told, id);
    learn_own(m);
    wake_waiting(m);
}

bool is_clear_to_send(FleetMember* m) noexcept {
    const StreamWriter& w = m->writer;
    return m->is_holder && is_ready(w.link) && w.is_checked && !w.is_failing && now_ms() >= w.retry_ms &&
           w.under_way < kUnderWay;
}

// False: it is not to be sent now.
bool send_next(FleetMember* m) noexcept {
    StreamWriter* w = &m->writer;
    cache::Outbox outbox = outbox_of(m);
    cache::OutboxRecord record;
    bool is_nonsense = false;
    if (!outbox.read(w->cursor, &record)) {
        if (outbox.check(w->cursor)) {
            w->cursor = outbox.head();
        }
        return false;
    }
    void* at = reinterpret_cast<void*>(static_cast<uintptr_t>(record.at));
    if (!send_record(m, record.text, on_added, at, &is_nonsense)) {
        if (is_nonsense) {  // it is passed over, and others doubt
            outbox.miss();
            outbox.note_sent(record, {0, 1});
            w->cursor = record.end;
        }
        return is_nonsense;
    }
    w->cursor = record.end;
    w->under_way++;
    return true;
}

void tell_missed(FleetMember* m) noexcept {
    StreamWriter* w = &m->writer;
    char text[32];
    bool is_nonsense = false;
    cache::Outbox outbox = outbox_of(m);
    if (w->is_telling || outbox.untold() == 0) {
        return;
    }
    w->telling = outbox.missed();
    if (send_record(m, cache::write_doubt(text, sizeof(text)), on_told, nullptr, &is_nonsense)) {
        w->is_telling = true;
        w->under_way++;
    }
}

// ---- what may be lost ----------------------------------------------------------------------------------------

void all_is_there(FleetMember* m) noexcept {
    m->area->checked_ms.store_release(now_ms());  // [fleet-ms]
    wake_waiting(m);
}

void on_added_again(RedisLink* link, const cache::Reply* reply, void* data) noexcept {
    FleetMember* m = member_of(link);
    cache::StreamId id;
    cache::OutboxRecord record;
    cache::Outbox outbox = outbox_of(m);
    const auto at = static_cast<uint64_t>(reinterpret_cast<uintptr_t>(data));
    if (!take_answer(m, reply, &id)) {
        if (reply != nullptr && is_ready(*link)) {
            outbox.miss();  // others doubt instead
            drop_redis(link, "it does not take again what it has lost");
        }
        return;
    }
    if (outbox.read(at, &record) && record.at == at) {
        outbox.note_id(record, id);
        (void) m->area->figures.readded.add_relaxed(1);
    }
    if (--m->writer.readding == 0) {
        all_is_there(m);
    }
}

// Records from there on to the tail are not in the stream, though they were.
void add_again(FleetMember* m) noexcept {
    StreamWriter* w = &m->writer;
    cache::Outbox outbox = outbox_of(m);
    if (w->found == 0) {
        outbox.miss();  // and what came before them perhaps, too
    }
    cache::OutboxRecord record;
    const uint64_t tail = outbox.tail();
    for (uint64_t at = w->lost_at; at < tail && outbox.read(at, &record) && record.at < tail; at = record.end) {
        bool is_nonsense = false;
        if (!send_record(m, record.text, on_added_again, reinterpret_cast<void*>(static_cast<uintptr_t>(record.at)),
                         &is_nonsense)) {
            outbox.miss();
            drop_redis(&w->link, "out of memory");
            return;
        }
        w->under_way++;
        w->readding++;
    }
}

void end_check(FleetMember* m) noexcept {
    StreamWriter* w = &m->writer;
    w->is_checked = true;
    link_is_good(&w->link.peer);
    w->was_told = false;
    w->readding = 0;
    if (w->lost_at == kNothingLost) {
        all_is_there(m);
    } else {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "%V: %V has lost entries of zone \"%V\" that it had taken: they are added again",
                      &m->conf->peers.label, &w->link.peer.address_text, &m->zone->name);
        add_again(m);
    }
    start_again(m);
    publish_waiting(m);
}

void on_looked_for(RedisLink* link, const cache::Reply* reply, void* data) noexcept {
    FleetMember* m = member_of(link);
    StreamWriter* w = &m->writer;
    if (reply == nullptr || drop_if_elsewhere(link, *reply)) {
        return;
    }
    const auto at = static_cast<uint64_t>(reinterpret_cast<uintptr_t>(data));
    if (reply->is_array() && reply->count == 0) {
        w->lost_at = w->lost_at == kNothingLost ? at : w->lost_at;
    } else {
        w->found++;
        w->lost_at = kNothingLost;  // what is behind the last one that is there
    }
    if (--w->checking == 0) {
        end_check(m);
    }
}

// The last records that were sent, from `from` on; those older than the stream's first entry were trimmed.
void look_for(FleetMember* m) noexcept {
    StreamWriter* w = &m->writer;
    cache::Outbox outbox = outbox_of(m);
    const uint64_t tail = outbox.tail();
    const uint64_t last = outbox.last_number() - outbox.waiting();
    cache::OutboxRecord record;
    w->checking = w->found = 0;
    w->lost_at = kNothingLost;
    for (uint64_t at = outbox.start(); at < tail && outbox.read(at, &record) && record.at < tail; at = record.end) {
        if (record.number + kLookedFor <= last || !record.id || record.id < w->first) {
            continue;
        }
        const cache::StreamIdText id(record.id);
        const Bytes look[] = {"XRANGE", view(m->conf->stream), id.view(), id.view()};
        if (!send_redis(&w->link, look, on_looked_for, reinterpret_cast<void*>(static_cast<uintptr_t>(record.at)))) {
            drop_redis(&w->link, "out of memory");
            return;
        }
        w->checking++;
    }
    if (w->checking == 0) {
        end_check(m);
    }
}

void on_first(RedisLink* link, const cache::Reply* reply, void*) noexcept {
    FleetMember* m = member_of(link);
    StreamWriter* w = &m->writer;
    if (reply == nullptr || drop_if_elsewhere(link, *reply)) {
        return;
    }
    if (!reply->is_array()) {
        tell_error(m, *reply, "XRANGE");
        drop_redis(link, "it does not answer as expected");
        return;
    }
    w->first = {};
    if (reply->count != 0) {
        (void) cache::parse_stream_id(reply->at(0).at(0).text, &w->first);
        look_for(m);
    } else {
        // There is no stream: all have a gap, and doubt what they have.
        w->lost_at = kNothingLost;
        end_check(m);
    }
}

void on_ready(RedisLink* link) noexcept {
    FleetMember* m = member_of(link);
    const Bytes first[] = {"XRANGE", view(m->conf->stream), "-", "+", "COUNT", "1"};
    m->writer.is_checked = false;
    m->writer.retry_ms = 0;
    if (!send_redis(link, first, on_first, nullptr)) {
        drop_redis(link, "out of memory");
    }
}

void on_lost(RedisLink* link, const char*) noexcept {
    FleetMember* m = member_of(link);
    m->writer.is_checked = false;
    m->writer.under_way = 0;
    m->area->checked_ms.store_release(0);  // [fleet-ms]
    start_again(m);
}

void on_leaving(RedisLink* link) noexcept {
    FleetMember* m = member_of(link);
    if (m->is_holder && is_holder_still(m)) {
        say_left(m);
    }
}

constexpr RedisCalls writer_calls = {on_ready, on_lost, nullptr, on_leaving};

}  // namespace

void start_writer(FleetMember* m) noexcept {
    RedisConf conf;
    conf.owner_says_good = true;
    conf.max_out = 4 * 1024 * 1024;
    conf.max_commands = 2 * kUnderWay;
    m->writer.under_way = 0;
    m->writer.is_checked = false;
    m->area->checked_ms.store_release(0);  // [fleet-ms]
    start_again(m);
    start_redis(&m->writer.link, &m->conf->peers, &writer_calls, m, conf, ngx_cycle->log);
}

void stop_writer(FleetMember* m) noexcept {
    stop_redis(&m->writer.link);
    m->writer.under_way = 0;
    m->writer.is_checked = false;
}

void part_from_another(FleetMember* m, const ngx_str_t& address) noexcept {
    RedisLink* link = &m->writer.link;
    if (is_ready(*link) && view(link->peer.address_text) != view(address)) {
        drop_redis(link, "the stream is read from another server");
    }
}

void publish_waiting(FleetMember* m) noexcept {
    while (is_clear_to_send(m) && send_next(m)) {
    }
    if (is_clear_to_send(m)) {
        tell_missed(m);
    }
}

void say_left(FleetMember* m) noexcept {
    const cache::Outbox outbox = outbox_of(m);
    // Where only the configuration goes, the node stays: who waits for all nodes waits for this one, too.
    if (is_ready(m->writer.link) && !m->publishes_only && !has_successor(*m) && outbox.waiting() == 0 &&
        outbox.untold() == 0) {
        (void) send_own_node(m, &m->writer.link, true);
        flush_link(&m->writer.link.peer);
    }
}

}  // namespace slab_cache::ngx
