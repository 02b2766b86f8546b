#include "ngx/glue/ngx.h"

#include "ngx/zone/zone_guard.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace slab_cache::ngx {
namespace {

Mapping* guarded;
struct sigaction before;
bool is_handler_set;

// Only system calls in here, and memory of this process.
void hang_up_on_clients() noexcept {
    for (ngx_uint_t i = 0; ngx_cycle != nullptr && ngx_cycle->connections != nullptr && i < ngx_cycle->connection_n;
         i++) {
        const ngx_connection_t& c = ngx_cycle->connections[i];
        if (c.fd == static_cast<ngx_socket_t>(-1) || c.listening == nullptr || c.listening->connection == &c ||
            c.listening->handler != ngx_http_init_connection) {
            continue;
        }
        if (c.type == SOCK_DGRAM) {
            _exit(1);  // HTTP/3: clients share the socket that is listened on. Another worker takes over
        }
        if (!c.shared) {  // else a fill's, which sends nothing
            (void) shutdown(c.fd, SHUT_RDWR);
        }
    }
}

bool replace(Mapping* m) noexcept {
    if (m->store != nullptr && m->store->holds_pins()) {
        hang_up_on_clients();
    }
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    if (mmap(m->addr, m->bytes, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED) {
        return false;
    }
    m->lost = 1;
    if (m->store != nullptr) {
        m->store->give_up();
    }
    return true;
}

void on_bus_error(int, siginfo_t* info, void*) noexcept {
    const int error = ngx_errno;
    const char* at = static_cast<char*>(info->si_addr);
    for (Mapping* m = guarded; m != nullptr; m = m->next) {
        if (at >= m->addr && at < m->addr + m->bytes && m->lost == 0 && replace(m)) {
            ngx_set_errno(error);
            return;
        }
    }
    (void) sigaction(SIGBUS, &before, nullptr);  // not ours: it comes again
}

void set_handler() noexcept {
    if (is_handler_set) {
        return;
    }
    struct sigaction action;
    ngx_memzero(&action, sizeof(action));
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    is_handler_set = sigaction(SIGBUS, &action, &before) == 0;
}

}  // namespace

void guard(Mapping* m, void* addr, size_t bytes, shm::Store* store) noexcept {
    set_handler();
    *m = {static_cast<char*>(addr), bytes, store, guarded, 0};
    guarded = m;
}

void unguard(Mapping* m) noexcept {
    for (Mapping** at = &guarded; *at != nullptr; at = &(*at)->next) {
        if (*at == m) {
            *at = m->next;
            break;
        }
    }
    m->addr = nullptr;
}

bool is_cut_short(int fd, size_t bytes) noexcept {
    struct stat st;
    return fstat(fd, &st) == 0 && static_cast<uint64_t>(st.st_size) < bytes;
}

void give_up(Mapping* m) noexcept {
    if (m->addr != nullptr && m->lost == 0) {
        (void) replace(m);
    }
}

}  // namespace slab_cache::ngx
