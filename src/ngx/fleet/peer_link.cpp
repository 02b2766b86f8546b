#include "ngx/glue/ngx.h"

#include "ngx/fleet/peer_link.h"

#include "ngx/fleet/peer_connect.h"

namespace slab_cache::ngx {
namespace {

constexpr ngx_msec_t kFirstPauseMs = 20;
constexpr ngx_msec_t kLongestPauseMs = 500;  // a server that comes back is found within that
constexpr size_t kReadBytes = 64 * 1024;
constexpr size_t kLeastOut = 4096;
constexpr ngx_uint_t kReadsPerTurn = 16;

void on_read(ngx_event_t* ev) noexcept;
void on_write(ngx_event_t* ev) noexcept;

void clear_timer(PeerLink* link) noexcept {
    if (link->timer.timer_set) {
        ngx_del_timer(&link->timer);
    }
}

// Everything of this attempt. The owner is not told.
void release(PeerLink* link) noexcept {
    link->life++;
    clear_timer(link);
    if (link->flush.posted) {
        ngx_delete_posted_event(&link->flush);
    }
    if (link->resolving != nullptr) {
        ngx_resolver_ctx_t* ctx = link->resolving;
        link->resolving = nullptr;
        ngx_resolve_name_done(ctx);
    }
    if (ngx_connection_t* c = link->connection) {
        link->connection = nullptr;
#if (NGX_SSL)
        if (c->ssl != nullptr) {
            c->ssl->no_wait_shutdown = 1;
            c->ssl->no_send_shutdown = 1;
            (void) ngx_ssl_shutdown(c);
        }
#endif
        ngx_pool_t* pool = c->pool;
        ngx_close_connection(c);
        if (pool != nullptr) {
            ngx_destroy_pool(pool);
        }
    }
    if (link->out != nullptr) {
        ngx_free(link->out);
        link->out = nullptr;
    }
    link->out_from = link->out_to = link->out_size = 0;
    link->is_expecting = false;
}

ngx_msec_t pause_of(const PeerLink& link) noexcept {
    if (link.hurry) {
        return 0;
    }
    ngx_msec_t most = kFirstPauseMs;
    for (uint32_t i = 1; i < link.failures && most < kLongestPauseMs; i++) {
        most *= 2;
    }
    most = most < kLongestPauseMs ? most : kLongestPauseMs;
    return most / 2 + static_cast<ngx_msec_t>(ngx_random()) % (most / 2 + 1);
}

void tell_lost(PeerLink* link, const char* why) noexcept {
    if (!link->was_told) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0, "%V: no connection to %V: %s", &link->peers->label,
                      &link->address_text, why);
    }
    link->was_told = true;
    link->log.log_level = NGX_LOG_ALERT;  // what nginx itself says of each attempt
}

}  // namespace

void lose_link(PeerLink* link, const char* why) noexcept {
    tell_lost(link, why);
    release(link);
    link->is_good = false;
    link->failures++;
    link->next_address++;
    if (!link->is_redirected) {
        link->next_peer++;
    }
    link->state = LinkState::kPausing;
    set_link_timer(link, pause_of(*link));
    link->hurry = false;
    link->calls->lost(link, why);
}

void leave_link(PeerLink* link) noexcept {
    if (link->state == LinkState::kConnected && link->calls->leaving != nullptr) {
        const uint32_t life = link->life;
        link->calls->leaving(link);
        if (link->life != life) {
            return;  // and while it was spoken to
        }
    }
    stop_link(link);
    link->calls->lost(link, "the worker process exits");
}

namespace {

// ---- connected -----------------------------------------------------------------------------------------------

void send_out(PeerLink* link) noexcept {
    ngx_connection_t* c = link->connection;
    while (link->out_from != link->out_to && c->write->ready) {
        const ssize_t n = c->send(c, link->out + link->out_from, link->out_to - link->out_from);
        if (n == NGX_AGAIN) {
            break;
        }
        if (n <= 0) {
            lose_link(link, "it closed the connection");
            return;
        }
        link->out_from += static_cast<size_t>(n);
    }
    if (link->out_from == link->out_to) {
        link->out_from = link->out_to = 0;
    }
    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        lose_link(link, "its socket cannot be watched");
    }
}

void on_flush(ngx_event_t* ev) noexcept {
    auto* link = static_cast<PeerLink*>(ev->data);
    if (link->state == LinkState::kConnected) {
        send_out(link);
    }
}

void on_write(ngx_event_t* ev) noexcept {
    auto* c = static_cast<ngx_connection_t*>(ev->data);
    auto* link = static_cast<PeerLink*>(c->data);
    if (is_leaving(c)) {
        leave_link(link);
        return;
    }
    send_out(link);
}

// False: the connection is gone.
bool hand_on(PeerLink* link, Bytes bytes) noexcept {
    const uint32_t life = link->life;
    const char* why = "nonsense came";
    link->heard = ngx_current_msec;
    if (!link->calls->bytes(link, bytes, &why) && link->life == life) {
        lose_link(link, why);
    }
    return link->life == life;
}

void on_read(ngx_event_t* ev) noexcept {
    static u_char buffer[kReadBytes];
    auto* c = static_cast<ngx_connection_t*>(ev->data);
    auto* link = static_cast<PeerLink*>(c->data);
    if (is_leaving(c)) {
        leave_link(link);
        return;
    }
    for (ngx_uint_t i = 0; c->read->ready; i++) {
        if (i == kReadsPerTurn) {
            ngx_post_event(ev, &ngx_posted_events);  // others are to have their turn
            return;
        }
        const ssize_t n = c->recv(c, buffer, sizeof(buffer));
        if (n == NGX_AGAIN) {
            break;
        }
        if (n <= 0) {
            lose_link(link, n == 0 ? "it closed the connection" : "reading failed");
            return;
        }
        if (!hand_on(link, {reinterpret_cast<char*>(buffer), static_cast<size_t>(n)})) {
            return;
        }
    }
    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        lose_link(link, "its socket cannot be watched");
    }
}

}  // namespace

void link_is_open(PeerLink* link) noexcept {
    ngx_connection_t* c = link->connection;
    clear_timer(link);
    c->read->handler = on_read;
    c->write->handler = on_write;
    link->state = LinkState::kConnected;
    link->heard = ngx_current_msec;
    const uint32_t life = link->life;
    link->calls->connected(link);
    if (link->life == life && ngx_handle_read_event(c->read, 0) != NGX_OK) {
        lose_link(link, "its socket cannot be watched");
    }
}

namespace {

void watch_silence(PeerLink* link) noexcept {
    const ngx_msec_t since = ngx_current_msec - link->heard;
    if (!link->is_expecting) {
        return;
    }
    if (since >= link->peers->silence) {
        lose_link(link, "no answer in time");
        return;
    }
    set_link_timer(link, link->peers->silence - since);
}

void on_timer(ngx_event_t* ev) noexcept {
    auto* link = static_cast<PeerLink*>(ev->data);
    switch (link->state) {
    case LinkState::kStopped:
    case LinkState::kResolving:
        return;
    case LinkState::kPausing:
        connect_peer(link);
        return;
    case LinkState::kConnecting:
    case LinkState::kHandshaking:
        lose_link(link, "connection timed out");
        return;
    case LinkState::kConnected:
        watch_silence(link);
        return;
    }
}

}  // namespace

void set_link_timer(PeerLink* link, ngx_msec_t ms) noexcept {
    link->timer.cancelable = 1;
    ngx_add_timer(&link->timer, ms);
}

void start_link(PeerLink* link, ngx_log_t* log) noexcept {
    if (link->state != LinkState::kStopped || link->peers->list.nelts == 0) {
        return;
    }
    link->log = *log;
    link->timer.handler = on_timer;
    link->timer.data = link;
    link->timer.log = log;
    link->flush.handler = on_flush;
    link->flush.data = link;
    link->flush.log = log;
    link->failures = 0;
    link->was_told = false;
    link->state = LinkState::kPausing;
    set_link_timer(link, 0);
}

void stop_link(PeerLink* link) noexcept {
    if (link->state == LinkState::kStopped) {
        return;
    }
    link->state = LinkState::kStopped;
    link->is_good = false;
    release(link);
}

void drop_link(PeerLink* link, const char* why) noexcept {
    if (link->state != LinkState::kStopped && link->state != LinkState::kPausing) {
        lose_link(link, why);
    }
}

bool redirect_link(PeerLink* link, Bytes address) noexcept {
    ngx_addr_t found;
    ngx_pool_t* pool = ngx_create_pool(1024, &link->log);
    if (pool == nullptr) {
        return false;
    }
    Bytes text;
    const bool is_address = pool_copy(pool, address, &text) &&
                            ngx_parse_addr_port(pool, &found, mutable_data(text), text.size()) == NGX_OK &&
                            found.socklen <= static_cast<socklen_t>(sizeof(link->redirect)) &&
                            ngx_inet_get_port(found.sockaddr) != 0;
    if (is_address) {
        ngx_memcpy(&link->redirect, found.sockaddr, found.socklen);
        link->redirect_bytes = found.socklen;
        link->is_redirected = true;
        link->hurry = link->failures == 0;  // the second in a row waits, or two that name each other would spin
    }
    ngx_destroy_pool(pool);
    return is_address;
}

void link_is_good(PeerLink* link) noexcept {
    link->is_good = true;
    link->failures = 0;
    if (link->was_told) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0, "%V: connected to %V", &link->peers->label,
                      &link->address_text);
    }
    link->was_told = false;
    link->log.log_level = ngx_cycle->log->log_level;
}

u_char* link_room(PeerLink* link, size_t bytes) noexcept {
    if (link->state != LinkState::kConnected || link_unsent(*link) + bytes > link->max_out) {
        return nullptr;
    }
    if (link->out_size - link->out_to >= bytes) {
        return link->out + link->out_to;
    }
    const size_t unsent = link_unsent(*link);
    size_t size = link->out_size != 0 ? link->out_size : kLeastOut;
    while (size < unsent + bytes) {
        size *= 2;
    }
    auto* fresh = static_cast<u_char*>(ngx_alloc(size, &link->log));
    if (fresh == nullptr) {
        return nullptr;
    }
    if (unsent != 0) {
        ngx_memcpy(fresh, link->out + link->out_from, unsent);
    }
    ngx_free(link->out);
    link->out = fresh;
    link->out_size = size;
    link->out_from = 0;
    link->out_to = unsent;
    return link->out + link->out_to;
}

void link_wrote(PeerLink* link, u_char* end) noexcept {
    link->out_to = static_cast<size_t>(end - link->out);
    if (!link->flush.posted) {
        ngx_post_event(&link->flush, &ngx_posted_events);
    }
}

void flush_link(PeerLink* link) noexcept {
    if (link->state == LinkState::kConnected) {
        send_out(link);
    }
}

void link_expects(PeerLink* link, bool expects) noexcept {
    if (expects && !link->is_expecting) {
        link->heard = ngx_current_msec;
        if (!link->timer.timer_set) {
            set_link_timer(link, link->peers->silence);
        }
    }
    link->is_expecting = expects;
}

}  // namespace slab_cache::ngx
