#include "ngx/glue/ngx.h"

#include "ngx/fleet/nodes.h"

namespace slab_cache::ngx {
namespace {

constexpr uint64_t kSilentMs = 5000;
constexpr uint64_t kForgetMs = 3600 * 1000;
constexpr size_t kFieldRoom = 512;
constexpr ngx_msec_t kWatchMs = 2;

// "node/zone"; empty where it is too long.
Bytes field_of(const FleetMember& m, char (&room)[kFieldRoom]) noexcept {
    const ngx_str_t& node = m.conf->node;
    const ngx_str_t& zone = m.zone->name;
    if (node.len + 1 + zone.len > sizeof(room)) {
        return {};
    }
    const u_char* end = ngx_sprintf(reinterpret_cast<u_char*>(room), "%V/%V", &node, &zone);
    return {room, static_cast<size_t>(end - reinterpret_cast<u_char*>(room))};
}

// The node's name where the field is of a zone of our name.
bool read_field(const FleetMember& m, Bytes field, Bytes* node) noexcept {
    const size_t slash = field.find('/');
    *node = base::slice(field, 0, slash);
    return slash != Bytes::npos && base::slice(field, slash + 1) == view(m.zone->name);
}

struct NodeValue {
    bool left = false;
    cache::StreamId position;
    uint64_t clear_ms = 0;
    uint64_t said_ms = 0;
    Bytes zone;
};

bool read_value(Bytes text, NodeValue* out) noexcept {
    const size_t first = text.find(' ');
    const size_t second = first == Bytes::npos ? first : text.find(' ', first + 1);
    *out = {};
    out->left = text == "left";
    if (out->left || second == Bytes::npos) {
        return out->left;
    }
    const size_t third = text.find(' ', second + 1);
    if (third == Bytes::npos) {
        return false;
    }
    out->zone = base::slice(text, second + 1, third - second - 1);
    return cache::parse_stream_id(base::slice(text, 0, first), &out->position) &&
           cache::parse_number(base::slice(text, first + 1, second - first - 1), &out->clear_ms) &&
           cache::parse_number(base::slice(text, third + 1), &out->said_ms);
}

// The server's millisecond up to which all that was purged here is in the stream.
uint64_t clear_now(const FleetMember& m) noexcept {
    const cache::Outbox outbox(&m.area->outbox);
    const uint64_t now = server_ms(m);
    const uint64_t since = outbox.oldest_ms();
    if (outbox.untold() != 0) {
        return 1;  // nothing is known of when
    }
    const uint64_t waits = since != 0 && now_ms() > since ? now_ms() - since : 0;
    return now > waits ? now - waits : 1;
}

void on_hset(RedisLink* link, const cache::Reply* reply, void* data) noexcept {
    auto* m = static_cast<FleetMember*>(data);
    if (reply == nullptr || drop_if_elsewhere(link, *reply) || !reply->is_error() || m->reader.was_told) {
        return;
    }
    const ngx_str_t text = to_str(reply->text);
    m->reader.was_told = true;
    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "%V: this node cannot be seen by the others, HSET %V is answered with: %V", &m->conf->peers.label,
                  &m->conf->nodes, &text);
}

void on_time(RedisLink*, const cache::Reply* reply, void* data) noexcept {
    if (reply != nullptr) {
        note_server_clock(static_cast<FleetMember*>(data), *reply);
    }
}

uint64_t to_our_clock(const FleetMember& m, uint64_t server) noexcept {
    const int64_t ours = static_cast<int64_t>(server) - m.server_ahead_ms;
    return ours > 0 ? static_cast<uint64_t>(ours) : 1;
}

// Our clock begins when the machine starts: what was said before that has no time on it.
bool is_longer_ago(const FleetMember& m, uint64_t server, uint64_t ms) noexcept {
    return static_cast<int64_t>(now_ms()) + m.server_ahead_ms - static_cast<int64_t>(server) > static_cast<int64_t>(ms);
}

void note_one(FleetMember* m, Bytes name, const NodeValue& value) noexcept {
    if (value.left) {
        cache::drop_node(m->area, name);
        return;
    }
    const uint64_t clear = to_our_clock(*m, value.clear_ms);
    const uint64_t said = to_our_clock(*m, value.said_ms);
    const bool is_silent = is_longer_ago(*m, value.clear_ms, kSilentMs);
    if (is_longer_ago(*m, value.said_ms, kForgetMs)) {
        cache::drop_node(m->area, name);
        return;
    }
    (void) cache::note_node(m->area, name, value.position, clear,
                            is_silent ? cache::NodeState::kSilent : cache::NodeState::kLive, said);
}

// Nodes of the table that the server says nothing of any more: it may have lost them.
void keep_missing(FleetMember* m, const cache::Reply& all) noexcept {
    for (uint32_t i = 0; i < cache::kFleetNodes; i++) {
        cache::FleetNode node;
        bool is_there = !cache::read_node(*m->area, i, &node);
        for (uint32_t k = 0; !is_there && k + 1 < all.count; k += 2) {
            Bytes name;
            is_there = read_field(*m, all.at(k).text, &name) && name == node.name;
        }
        const uint64_t now = now_ms();
        if (is_there || now < node.clear_ms) {
            continue;
        }
        if (now > node.said_ms && now - node.said_ms > kForgetMs) {
            cache::drop_node(m->area, node.name);
        } else if (now - node.clear_ms > kSilentMs) {
            (void) cache::note_node(m->area, node.name, node.position, node.clear_ms, cache::NodeState::kSilent,
                                    node.said_ms);
        }
    }
}

void on_nodes(RedisLink* link, const cache::Reply* reply, void* data) noexcept {
    auto* m = static_cast<FleetMember*>(data);
    m->is_asking_nodes = m->is_asking_nodes && link != &m->writer.link;
    if (reply == nullptr || drop_if_elsewhere(link, *reply) || !reply->is_array() || !m->knows_server_clock ||
        !is_holder_still(m)) {
        return;
    }
    for (uint32_t i = 0; i + 1 < reply->count; i += 2) {
        Bytes name;
        NodeValue value;
        if (!read_field(*m, reply->at(i).text, &name) || !read_value(reply->at(i + 1).text, &value)) {
            continue;
        }
        if (name != view(m->conf->node)) {
            note_one(m, name, value);
        } else if (!value.left && value.zone != from_of(*m) && !m->reader.was_told &&
                   server_ms(*m) - value.clear_ms < kSilentMs) {
            m->reader.was_told = true;
            ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                          "slab_cache zone \"%V\": another node of %V is called \"%V\", give each its own node=",
                          &m->zone->name, &m->conf->peers.label, &m->conf->node);
        }
    }
    keep_missing(m, *reply);
    if (link == &m->writer.link) {  // the reader's server may be another one, with other entries under the same ids
        cache::raise_ms(&m->area->nodes_ms, m->watch_asked_ms);
    }
    wake_waiting(m);
}

}  // namespace

bool send_own_node(FleetMember* m, RedisLink* link, bool leaves) noexcept {
    char room[kFieldRoom];
    const Bytes field = field_of(*m, room);
    if (field.empty() || (!leaves && !m->knows_server_clock)) {
        return false;
    }
    const cache::StreamIdText position(m->reader.position.id);
    const cache::NumberText clear(clear_now(*m));
    char text[128];
    const ngx_str_t id = to_str(position.view());
    const ngx_str_t ms = to_str(clear.view());
    const ngx_str_t from = to_str(from_of(*m));
    const u_char* end = ngx_sprintf(reinterpret_cast<u_char*>(text), "%V %V %V %uL", &id, &ms, &from, server_ms(*m));
    const Bytes value{text, static_cast<size_t>(end - reinterpret_cast<u_char*>(text))};
    const Bytes hset[] = {"HSET", view(m->conf->nodes), field, leaves ? Bytes("left") : value};
    return send_redis(link, hset, on_hset, m);
}

void note_server_clock(FleetMember* m, const cache::Reply& reply) noexcept {
    uint64_t sec = 0;
    uint64_t usec = 0;
    if (!cache::parse_number(reply.at(0).text, &sec) || !cache::parse_number(reply.at(1).text, &usec) ||
        sec > UINT64_MAX / 2000) {
        return;
    }
    // It was so late when the server said it, and is later now.
    m->server_ahead_ms = static_cast<int64_t>(sec * 1000 + usec / 1000) - static_cast<int64_t>(now_ms());
    m->knows_server_clock = true;
}

bool ask_nodes(FleetMember* m, RedisLink* link) noexcept {
    const Bytes time[] = {"TIME"};
    const Bytes all[] = {"HGETALL", view(m->conf->nodes)};
    return send_redis(link, time, on_time, m) && send_redis(link, all, on_nodes, m);
}

void watch_nodes(FleetMember* m) noexcept {
    if (m->watch.timer_set || !m->is_holder || m->area->watched_until_ms.load_acquire() <= now_ms()) {  // [fleet-watch]
        return;
    }
    if (!m->is_asking_nodes) {
        m->watch_asked_ms = now_ms();
        m->is_asking_nodes = is_ready(m->writer.link) && ask_nodes(m, &m->writer.link);
    }
    ngx_add_timer(&m->watch, kWatchMs);
}

Bytes node_word(const cache::FleetNode& node, const cache::StreamId& id) noexcept {
    if (id <= node.position) {
        return "applied";
    }
    return node.state == cache::NodeState::kSilent ? Bytes("silent") : Bytes("behind");
}

bool is_applied_everywhere(const cache::FleetArea& area, const cache::StreamId& id, uint64_t since_ms) noexcept {
    const uint64_t checked = area.checked_ms.load_acquire();  // [fleet-ms]
    const uint64_t asked = area.nodes_ms.load_acquire();      // [fleet-ms]
    if (checked == 0 || asked <= checked || asked <= since_ms) {
        return false;
    }
    for (uint32_t i = 0; i < cache::kFleetNodes; i++) {
        cache::FleetNode node;
        const cache::NodeLook look = cache::look_at_node(area, i, &node);
        if (look == cache::NodeLook::kTorn || (look == cache::NodeLook::kNode && node.position < id)) {
            return false;
        }
    }
    return area.checked_ms.load_acquire() == checked;  // [fleet-ms]
}

}  // namespace slab_cache::ngx
