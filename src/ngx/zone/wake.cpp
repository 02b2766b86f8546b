#include "ngx/glue/ngx.h"

#include "ngx/zone/wake.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "ngx/zone/waiter.h"
#include "ngx/zone/zone.h"

namespace slab_cache::ngx {
namespace {

constexpr int kDatagramsPerTurn = 512;
// The kernel's queue takes net.unix.max_dgram_qlen of them, 10 by default, and refuses the next: where so many waited,
// others may have been refused.
constexpr int kFullQueue = 10;

socklen_t wake_address(Zone* zone, uint32_t index, uint32_t pid, sockaddr_un* sun) noexcept {
    ngx_memzero(sun, sizeof(*sun));
    sun->sun_family = AF_UNIX;
    auto* name = reinterpret_cast<u_char*>(sun->sun_path + 1);  // [0] stays NUL: abstract namespace
    u_char* end =
        ngx_snprintf(name, sizeof(sun->sun_path) - 1, "slab_cache/%016xL/%uD/%uD", zone->store.zone_id(), index, pid);
    return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + static_cast<size_t>(end - name));
}

void take_poke(Zone* zone, uint32_t cell) noexcept {
    post_waiters(zone, cell);
    if ((cell == kFleetCell || cell == kAllCells) && zone->fleet_poked != nullptr) {
        zone->fleet_poked(zone);
    }
}

void on_wake(ngx_event_t* ev) noexcept {
    auto* c = static_cast<ngx_connection_t*>(ev->data);
    auto* zone = static_cast<Zone*>(c->data);
    int taken = 0;
    for (; taken < kDatagramsPerTurn; taken++) {
        uint32_t cell = 0;
        const ssize_t n = recv(c->fd, &cell, sizeof(cell), MSG_DONTWAIT);
        if (n < 0) {
            if (ngx_errno == NGX_EINTR) {
                continue;
            }
            break;
        }
        if (n == static_cast<ssize_t>(sizeof(cell))) {
            take_poke(zone, cell);
        }
    }
    if (taken >= kFullQueue) {
        take_poke(zone, kAllCells);
    }
    if (taken == kDatagramsPerTurn) {
        ngx_post_event(ev, &ngx_posted_events);  // edge-triggered: the rest tells nobody
    }
    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, ev->log, 0, "slab_cache: cannot watch the wake-up socket");
    }
}

void on_nothing(ngx_event_t*) noexcept {}

}  // namespace

bool open_wake_socket(Zone* zone, ngx_log_t* log) noexcept {
    const ngx_socket_t fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1) {
        return false;
    }
    sockaddr_un sun;
    const socklen_t len = wake_address(zone, zone->store.worker_index(), static_cast<uint32_t>(ngx_pid), &sun);
    ngx_connection_t* c = nullptr;
    if (bind(fd, reinterpret_cast<sockaddr*>(&sun), len) == -1 || (c = ngx_get_connection(fd, log)) == nullptr) {
        close(fd);
        return false;
    }
    c->data = zone;
    c->read->handler = on_wake;
    c->write->handler = on_nothing;
    c->read->log = log;
    c->write->log = log;
    c->read->channel = 1;  // not a client: must not keep a draining worker from exiting
    c->recv = ngx_recv;
    ngx_uint_t flags = NGX_LEVEL_EVENT;
    if ((ngx_event_flags & NGX_USE_CLEAR_EVENT) != 0) {
        flags = NGX_CLEAR_EVENT;
    }
    if (ngx_add_event(c->read, NGX_READ_EVENT, flags) == NGX_ERROR) {
        ngx_free_connection(c);
        close(fd);
        return false;
    }
    zone->wake = c;
    return true;
}

void close_wake_socket(Zone* zone) noexcept {
    if (zone->wake != nullptr) {
        ngx_close_connection(zone->wake);
        zone->wake = nullptr;
    }
}

void poke_worker(Zone* zone, uint32_t index, uint32_t cell) noexcept {
    if (zone->wake == nullptr) {
        return;
    }
    const shm::WorkerId to = zone->store.worker_at(index);
    if (to.pid == 0) {
        return;
    }
    sockaddr_un sun;
    const socklen_t len = wake_address(zone, index, to.pid, &sun);
    // Failure means a full queue, which its reader notices, or a process that is gone: the safety net's business.
    (void) sendto(zone->wake->fd, &cell, sizeof(cell), MSG_DONTWAIT | MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&sun),
                  len);
}

}  // namespace slab_cache::ngx
