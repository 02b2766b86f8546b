#include "ngx/glue/ngx.h"

#include "ngx/fleet/read_stream.h"

#include "ngx/fleet/apply_entries.h"
#include "ngx/fleet/nodes.h"
#include "ngx/fleet/write_stream.h"

namespace slab_cache::ngx {
namespace {

constexpr Bytes kBlockMs = "1000";  // XREAD comes back after that, with nothing: the link is alive
constexpr uint32_t kBatch = 1000;   // entries
constexpr size_t kReplyBytes = 16 * 1024 * 1024;
constexpr uint32_t kReplyValues = 512 * 1024;
constexpr uint64_t kNodesEveryMs = 1000;

FleetMember* member_of(RedisLink* link) noexcept { return static_cast<FleetMember*>(link->owner); }

void read_on(FleetMember* m) noexcept;
void begin_gap(FleetMember* m) noexcept;

// What a server says that is no answer: told once, until all is well.
void give_up(FleetMember* m, const cache::Reply& reply, const char* what) noexcept {
    const ngx_str_t text = to_str(reply.is_error() ? reply.text : Bytes("nonsense"));
    if (!m->reader.was_told) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "%V: %V answers %s of stream \"%V\" with: %V",
                      &m->conf->peers.label, &m->reader.link.peer.address_text, what, &m->conf->stream, &text);
    }
    m->reader.was_told = true;
    drop_redis(&m->reader.link, "it does not answer as expected");
}

// The reply can be used. False: the link was dropped, or this worker is no holder any more.
bool is_fine(FleetMember* m, const cache::Reply* reply, const char* what) noexcept {
    if (reply == nullptr || !is_holder_still(m) || drop_if_elsewhere(&m->reader.link, *reply)) {
        return false;
    }
    if (reply->is_error() || (!reply->is_array() && reply->kind != cache::ReplyKind::kNil && !reply->is_text())) {
        give_up(m, *reply, what);
        return false;
    }
    return true;
}

void send_failed(FleetMember* m) noexcept { drop_redis(&m->reader.link, "out of memory"); }

// ---- a gap ---------------------------------------------------------------------------------------------------

cache::Gap gap_of(const StreamReader& r, const cache::StreamId& last) noexcept {
    if (!r.has_position) {
        return cache::Gap::kStart;
    }
    if (!last) {
        return cache::Gap::kEmpty;
    }
    if (last < r.position.id) {
        return cache::Gap::kBehind;
    }
    return r.has_first && r.position.id < r.first ? cache::Gap::kTrimmed : cache::Gap::kOther;
}

void note_gap(FleetMember* m, const cache::StreamId& last) noexcept {
    StreamReader* r = &m->reader;
    if (r->is_in_gap) {
        return;
    }
    r->is_in_gap = true;
    const cache::Gap gap = gap_of(*r, last);
    r->gap = gap;
    r->has_lost_end = gap == cache::Gap::kBehind || gap == cache::Gap::kOther;
    const ngx_uint_t level = gap == cache::Gap::kStart ? NGX_LOG_NOTICE : NGX_LOG_WARN;
    ngx_log_error(level, ngx_cycle->log, 0, "slab_cache zone \"%V\": gap in %V: %s; everything stored is %s",
                  &m->zone->name, &m->conf->peers.label, cache::gap_sentence(gap),
                  m->conf->is_hard_on_gap ? "purged" : "in doubt");
}

// What was read here and is gone may not have been read elsewhere, and who wrote it may be an application, or dead.
void tell_doubt(FleetMember* m) noexcept {
    cache::Outbox(&m->area->outbox).miss();
    ngx_post_event(&m->pump, &ngx_posted_events);
}

void move_position(FleetMember* m) noexcept {
    m->reader.seq = m->zone->store.purge_seq();
    cache::write_position(m->area, m->reader.position, m->reader.seq);
}

// All that the stream tells up to `last` may be news, and is covered by this.
void end_gap(FleetMember* m, const cache::Reply& entry, const cache::StreamId& last) noexcept {
    StreamReader* r = &m->reader;
    purge_all_surely(m->zone, m->conf->is_hard_on_gap ? shm::PurgeMode::kHard : shm::PurgeMode::kDoubt);
    cache::raise_ms(&m->area->doubted_ms, r->asked_ms);
    r->position = {last, cache::hash_entry(entry)};
    r->has_position = true;
    if (r->is_in_gap) {  // told once it is covered: who sees the figure gets nothing from before
        (void) m->area->figures.gaps[static_cast<uint32_t>(r->gap)].add_relaxed(1);
    }
    r->is_in_gap = false;
    move_position(m);
    read_on(m);
    if (r->has_lost_end) {  // behind read_on(), which says what is told up to now
        tell_doubt(m);
    }
}

void on_hello(RedisLink* link, const cache::Reply* reply, void*) noexcept {
    FleetMember* m = member_of(link);
    if (is_fine(m, reply, "XADD")) {
        begin_gap(m);
    }
}

// A stream without an entry has no position: it gets one.
void say_hello(FleetMember* m) noexcept {
    const cache::NumberText most(m->conf->maxlen);
    const Bytes hello[] = {"XADD",  view(m->conf->stream), "MAXLEN", "~",        most.view(), "*",
                           "hello", view(m->conf->node),   "from",   from_of(*m)};
    if (!send_redis(&m->reader.link, hello, on_hello, m)) {
        send_failed(m);
    }
}

void on_first(RedisLink* link, const cache::Reply* reply, void*) noexcept {
    FleetMember* m = member_of(link);
    if (is_fine(m, reply, "XRANGE")) {
        m->reader.has_first = cache::parse_stream_id(reply->at(0).at(0).text, &m->reader.first);
    }
}

void on_last(RedisLink* link, const cache::Reply* reply, void*) noexcept {
    FleetMember* m = member_of(link);
    if (!is_fine(m, reply, "XREVRANGE")) {
        return;
    }
    cache::StreamId last;
    const bool is_there = reply->count != 0 && cache::parse_stream_id(reply->at(0).at(0).text, &last);
    note_gap(m, last);
    if (is_there) {
        end_gap(m, reply->at(0), last);
    } else {
        say_hello(m);
    }
}

void begin_gap(FleetMember* m) noexcept {
    const Bytes stream = view(m->conf->stream);
    const Bytes first[] = {"XRANGE", stream, "-", "+", "COUNT", "1"};
    const Bytes last[] = {"XREVRANGE", stream, "+", "-", "COUNT", "1"};
    m->reader.asked_ms = now_ms();
    if (!send_redis(&m->reader.link, first, on_first, m) || !send_redis(&m->reader.link, last, on_last, m)) {
        send_failed(m);
    }
}

// ---- reading -------------------------------------------------------------------------------------------------

#if defined(SLAB_BROKEN_TWIN) && \
    SLAB_BROKEN_TWIN == 7  // tests/torture must find it: the position goes before the purges
void move_first(FleetMember* m, const cache::Reply& entries) noexcept {
    const cache::FleetPosition before = m->reader.position;
    cache::EntryHead head;
    if (entries.count == 0 || !cache::read_entry_head(entries.at(entries.count - 1), &head)) {
        return;
    }
    m->reader.position = {head.id, cache::hash_entry(entries.at(entries.count - 1))};
    cache::write_position(m->area, m->reader.position, m->zone->store.purge_seq());
    (void) send_own_node(m, &m->reader.link, false);
    flush_link(&m->reader.link.peer);
    m->reader.position = before;
    ngx_msleep(20);
}
#endif

void on_entries(RedisLink* link, const cache::Reply* reply, void*) noexcept {
    FleetMember* m = member_of(link);
    StreamReader* r = &m->reader;
    if (!is_fine(m, reply, "XREAD")) {
        return;
    }
    const cache::Reply& entries = reply->at(0).at(1);  // of the first and only stream; none where nothing came
    r->has_news = entries.count != 0;
    r->is_whole = entries.count < r->batch;
    r->reached = {};
#if defined(SLAB_BROKEN_TWIN) && SLAB_BROKEN_TWIN == 7
    move_first(m, entries);
#endif
    if (!apply_entries(m, entries, &r->reached)) {
        give_up(m, *reply, "XREAD");
    }
}

bool is_at_position(const StreamReader& r, const cache::Reply& found) noexcept {
#if defined(SLAB_BROKEN_TWIN) && SLAB_BROKEN_TWIN == 8  // nobody looks whether the position is still there
    return true;
#endif
    cache::StreamId id;
    return found.count != 0 && cache::parse_stream_id(found.at(0).at(0).text, &id) && id == r.position.id &&
           cache::hash_entry(found.at(0)) == r.position.hash;
}

void end_last_doubt(FleetMember* m) noexcept {
    StreamReader* r = &m->reader;
    const uint64_t doubted = m->area->doubted_ms.load_acquire();
    if (doubted == r->ended_doubt_ms) {
        return;
    }
    const uint64_t seq = m->zone->store.purge_seq();
    if (cache::end_doubt(m->area, r->position.id, seq)) {
        r->seq = seq;
        r->ended_doubt_ms = doubted;
    }
}

void note_lag(FleetMember* m) noexcept {
    StreamReader* r = &m->reader;
    const uint64_t now = server_ms(*m);
    if (r->has_news) {
        m->area->behind_ms.store_relaxed(now > r->position.id.ms ? now - r->position.id.ms : 0);
    }
    if (r->is_whole) {
        cache::raise_ms(&m->area->clear_ms, r->asked_ms);
        cache::raise_ms(&m->area->caught_up_ms, now_ms());
        m->is_blind = false;
        end_last_doubt(m);
    }
}

// What the position was is still there: all that was read is all there was.
void on_position(RedisLink* link, const cache::Reply* reply, void*) noexcept {
    FleetMember* m = member_of(link);
    StreamReader* r = &m->reader;
    if (!is_fine(m, reply, "XRANGE")) {
        return;
    }
    if (!is_at_position(*r, *reply)) {
        begin_gap(m);
        return;
    }
    if (!link->peer.is_good) {
        link_is_good(&link->peer);
        r->was_told = false;
    }
    r->batch = kBatch;
    if (r->has_news) {
        r->position = r->reached;
        move_position(m);
    }
    note_lag(m);
    read_on(m);
}

void read_on(FleetMember* m) noexcept {
    StreamReader* r = &m->reader;
    RedisLink* link = &r->link;
    const Bytes stream = view(m->conf->stream);
    const cache::StreamIdText id(r->position.id);
    const cache::NumberText batch(r->batch);
    const Bytes read[] = {"XREAD", "COUNT", batch.view(), "BLOCK", kBlockMs, "STREAMS", stream, id.view()};
    const Bytes look[] = {"XRANGE", stream, id.view(), id.view()};
    const uint64_t now = now_ms();
    bool sent = true;
    if (now - r->nodes_asked_ms >= kNodesEveryMs) {
        r->nodes_asked_ms = now;
        sent = ask_nodes(m, link);
    }
    (void) send_own_node(m, link, false);
    r->asked_ms = now;
    r->has_news = false;
    if (!sent || !send_redis(link, read, on_entries, m) || !send_redis(link, look, on_position, m)) {
        send_failed(m);
    }
}

void on_clock(RedisLink* link, const cache::Reply* reply, void*) noexcept {
    FleetMember* m = member_of(link);
    StreamReader* r = &m->reader;
    if (!is_fine(m, reply, "TIME")) {
        return;
    }
    note_server_clock(m, *reply);
    r->has_position = cache::read_position(*m->area, &r->position);
    r->seq = 0;
    if (!r->has_position) {
        r->position = {};
    }
    // Seen by the others before it stands anywhere: who asks for the nodes later than that waits for this one too.
    (void) send_own_node(m, link, false);
    if (!r->has_position || r->batch == 0) {
        r->batch = ngx_max(r->batch, 1);
        begin_gap(m);
    } else {
        read_on(m);
    }
}

// The stream is one key: under allkeys-* it goes as a whole, and each time that is a gap. Who may not ask is told nothing.
void on_memory(RedisLink* link, const cache::Reply* reply, void*) noexcept {
    FleetMember* m = member_of(link);
    if (reply == nullptr || !reply->is_text() || reply->text.find("maxmemory_policy:allkeys") == Bytes::npos ||
        m->reader.was_warned) {
        return;
    }
    m->reader.was_warned = true;
    ngx_log_error(
        NGX_LOG_WARN, ngx_cycle->log, 0,
        "%V: %V may evict stream \"%V\", for its maxmemory-policy takes all keys: noeviction or volatile-* keeps it",
        &m->conf->peers.label, &link->peer.address_text, &m->conf->stream);
}

void on_ready(RedisLink* link) noexcept {
    FleetMember* m = member_of(link);
    StreamReader* r = &m->reader;
    (void) m->area->figures.connects.add_relaxed(1);
    cache::put_text(m->area->server, 8, view(link->peer.address_text));
    m->area->connected.store_release(1);
    m->knows_server_clock = false;
    r->nodes_asked_ms = 0;
    part_from_another(m, link->peer.address_text);
    const Bytes memory[] = {"INFO", "memory"};
    const Bytes time[] = {"TIME"};
    if (!send_redis(link, memory, on_memory, m) || !send_redis(link, time, on_clock, m)) {
        send_failed(m);
    }
}

// A reply that is too large comes again and again: fewer entries at once, then none of them.
void on_lost(RedisLink* link, const char*) noexcept {
    FleetMember* m = member_of(link);
    m->area->connected.store_release(0);
    m->knows_server_clock = false;
    if (link->has_too_large_reply) {
        m->reader.batch /= 10;
    }
}

constexpr RedisCalls reader_calls = {on_ready, on_lost, nullptr, nullptr};

}  // namespace

void start_reader(FleetMember* m) noexcept {
    RedisConf conf;
    conf.owner_says_good = true;
    conf.max_out = 64 * 1024;
    conf.max_commands = 256;
    conf.reply.bytes = kReplyBytes;
    conf.reply.values = kReplyValues;
    m->reader.batch = kBatch;
    m->reader.is_in_gap = false;
    m->area->connected.store_release(0);  // one that was killed did not say so
    start_redis(&m->reader.link, &m->conf->peers, &reader_calls, m, conf, ngx_cycle->log);
}

void stop_reader(FleetMember* m) noexcept {
    stop_redis(&m->reader.link);
    m->area->connected.store_release(0);
}

}  // namespace slab_cache::ngx
