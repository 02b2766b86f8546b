#include "ngx/glue/ngx.h"

#include "ngx/fleet/peer_connect.h"

namespace slab_cache::ngx {
namespace {

#if (NGX_SSL)

ngx_str_t tls_name(const PeerLink& link) noexcept {
    return link.peers->tls.name.len != 0 ? link.peers->tls.name : link.peer->host;
}

// nginx's own check knows names only.
bool has_name(ngx_connection_t* c, ngx_str_t name) noexcept {
    u_char text[NGX_SOCKADDR_STRLEN];
    ngx_addr_t a;
    ngx_memzero(&a, sizeof(a));
    if (name.len >= sizeof(text) || ngx_parse_addr(c->pool, &a, name.data, name.len) != NGX_OK) {
        return ngx_ssl_check_host(c, &name) == NGX_OK;
    }
    (void) ngx_cpystrn(text, name.data, name.len + 1);
    X509* certificate = SSL_get_peer_certificate(c->ssl->connection);
    const bool is_its = certificate != nullptr && X509_check_ip_asc(certificate, reinterpret_cast<char*>(text), 0) == 1;
    X509_free(certificate);
    return is_its;
}

void on_handshake(ngx_connection_t* c) noexcept {
    auto* link = static_cast<PeerLink*>(c->data);
    if (!c->ssl->handshaked) {
        lose_link(link, "the TLS handshake failed");
        return;
    }
    if (link->peers->tls.verify) {
        const long rc = SSL_get_verify_result(c->ssl->connection);
        if (rc != X509_V_OK) {
            lose_link(link, X509_verify_cert_error_string(rc));
            return;
        }
        const ngx_str_t name = tls_name(*link);
        if (name.len != 0 && !has_name(c, name)) {
            lose_link(link, "its certificate has another name");
            return;
        }
    }
    link_is_open(link);
}

bool name_server(PeerLink* link, ngx_connection_t* c) noexcept {
    const ngx_str_t name = tls_name(*link);
    if (name.len == 0 || name.len >= 256 || ngx_inet_addr(name.data, name.len) != INADDR_NONE) {
        return true;
    }
    u_char text[256];
    (void) ngx_cpystrn(text, name.data, name.len + 1);
    return SSL_set_tlsext_host_name(c->ssl->connection, reinterpret_cast<char*>(text)) == 1;
}

void start_tls(PeerLink* link) noexcept {
    ngx_connection_t* c = link->connection;
    if (ngx_ssl_create_connection(link->peers->tls.context, c, NGX_SSL_BUFFER | NGX_SSL_CLIENT) != NGX_OK ||
        !name_server(link, c)) {
        lose_link(link, "no TLS");
        return;
    }
    link->state = LinkState::kHandshaking;
    set_link_timer(link, link->peers->connect_timeout);
    if (ngx_ssl_handshake(c) == NGX_AGAIN) {
        c->ssl->handler = on_handshake;
        return;
    }
    on_handshake(c);
}

#endif

void be_open(PeerLink* link) noexcept {
    ngx_connection_t* c = link->connection;
    if (c->tcp_nodelay == NGX_TCP_NODELAY_UNSET && ngx_tcp_nodelay(c) != NGX_OK) {
        lose_link(link, "no TCP_NODELAY");
        return;
    }
#if (NGX_SSL)
    if (link->peers->tls.on) {
        start_tls(link);
        return;
    }
#endif
    link_is_open(link);
}

// ---- connecting ----------------------------------------------------------------------------------------------

const char* socket_error(ngx_connection_t* c) noexcept {
    int err = 0;
    socklen_t len = sizeof(err);
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) == -1) {
        err = ngx_errno;
    }
    switch (err) {
    case 0:
        return nullptr;
    case NGX_ECONNREFUSED:
        return "connection refused";
    case NGX_ETIMEDOUT:
        return "connection timed out";
    case NGX_EHOSTUNREACH:
    case NGX_ENETUNREACH:
        return "no route to it";
    default:
        return "connecting failed";
    }
}

void on_connect(ngx_event_t* ev) noexcept {
    auto* c = static_cast<ngx_connection_t*>(ev->data);
    auto* link = static_cast<PeerLink*>(c->data);
    if (is_leaving(c)) {
        leave_link(link);
        return;
    }
    if (const char* why = socket_error(c)) {
        lose_link(link, why);
        return;
    }
    if (c->write->ready) {
        be_open(link);
    }
}

void name_address(PeerLink* link) noexcept {
    link->address_text.data = link->address_buffer;
    link->address_text.len = ngx_sock_ntop(&link->address.sockaddr, link->address_bytes, link->address_buffer,
                                           sizeof(link->address_buffer), 1);
}

void connect_address(PeerLink* link) noexcept {
    name_address(link);
    ngx_peer_connection_t pc;
    ngx_memzero(&pc, sizeof(pc));
    pc.sockaddr = &link->address.sockaddr;
    pc.socklen = link->address_bytes;
    pc.name = &link->address_text;
    pc.get = ngx_event_get_peer;
    pc.log = &link->log;
    pc.log_error = NGX_ERROR_INFO;
    pc.so_keepalive = 1;
    const ngx_int_t rc = ngx_event_connect_peer(&pc);
    ngx_connection_t* c = pc.connection;
    if (rc != NGX_OK && rc != NGX_AGAIN) {
        if (c != nullptr) {  // as nginx leaves it where its events could not be added
            ngx_close_connection(c);
        }
        lose_link(link, rc == NGX_DECLINED ? "connection refused" : "no socket");
        return;
    }
    link->connection = c;
    c->data = link;
    c->log = &link->log;
    c->read->log = c->write->log = c->log;
    c->addr_text = link->address_text;
    c->sendfile = 0;
    c->idle = 1;  // closed where the worker quits
    c->read->handler = on_connect;
    c->write->handler = on_connect;
    c->pool = ngx_create_pool(1024, &link->log);
    if (c->pool == nullptr) {
        lose_link(link, "out of memory");
        return;
    }
    link->state = LinkState::kConnecting;
    if (rc == NGX_OK) {
        be_open(link);
        return;
    }
    set_link_timer(link, link->peers->connect_timeout);
}

void use_address(PeerLink* link, const sockaddr* address, socklen_t bytes) noexcept {
    ngx_memcpy(&link->address, address, bytes);
    link->address_bytes = bytes;
}

void on_resolved(ngx_resolver_ctx_t* ctx) noexcept {
    auto* link = static_cast<PeerLink*>(ctx->data);
    if (ctx->state != NGX_OK || ctx->naddrs == 0) {
        const char* why = ctx->state != NGX_OK ? ngx_resolver_strerror(ctx->state) : "its name has no address";
        lose_link(link, why);
        return;
    }
    const ngx_resolver_addr_t& a = ctx->addrs[link->next_address % ctx->naddrs];
    use_address(link, a.sockaddr, a.socklen);
    ngx_inet_set_port(&link->address.sockaddr, link->peer->port);
    link->resolving = nullptr;
    ngx_resolve_name_done(ctx);
    connect_address(link);
}

// Asks nginx's resolver, whose answer may come before this returns.
void resolve(PeerLink* link) noexcept {
    ngx_resolver_ctx_t* ctx = ngx_resolve_start(link->peers->resolver, nullptr);
    link->address_text = link->peer->text;
    if (ctx == nullptr || ctx == NGX_NO_RESOLVER) {
        lose_link(link, "no resolver");
        return;
    }
    ctx->name = link->peer->host;
    ctx->handler = on_resolved;
    ctx->data = link;
    ctx->timeout = link->peers->resolver_timeout;
    ctx->cancelable = 1;
    link->state = LinkState::kResolving;
    link->resolving = ctx;
    if (ngx_resolve_name(ctx) != NGX_OK) {
        link->resolving = nullptr;  // it is gone
        lose_link(link, "its name cannot be looked up");
    }
}

}  // namespace

void connect_peer(PeerLink* link) noexcept {
    if (ngx_terminate) {
        leave_link(link);
        return;
    }
    const ngx_array_t& list = link->peers->list;
    link->peer = static_cast<const Peer*>(list.elts) + link->next_peer % list.nelts;
    if (link->is_redirected) {
        link->is_redirected = false;
        use_address(link, &link->redirect.sockaddr, link->redirect_bytes);
        connect_address(link);
        return;
    }
    if (link->peer->count == 0) {
        resolve(link);
        return;
    }
    const ngx_addr_t& a = link->peer->addresses[link->next_address % link->peer->count];
    use_address(link, a.sockaddr, a.socklen);
    connect_address(link);
}

}  // namespace slab_cache::ngx
