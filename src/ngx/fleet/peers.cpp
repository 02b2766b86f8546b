#include "ngx/glue/ngx.h"

#include "ngx/fleet/peers.h"

#include "ngx/conf/directives.h"

namespace slab_cache::ngx {
namespace {

constexpr ngx_msec_t kConnectMs = 2000;
constexpr ngx_msec_t kSilenceMs = 3000;
constexpr ngx_uint_t kMaxPeers = 32;

char* error() noexcept { return static_cast<char*>(NGX_CONF_ERROR); }

char* read_database(ngx_conf_t* cf, const ngx_str_t& whole, Bytes text, Peers* peers) noexcept {
    peers->database = ngx_atoi(mutable_data(text), text.size());
    return peers->database != NGX_ERROR && peers->database < 65536
               ? NGX_CONF_OK
               : fail(cf, "invalid database in \"%V\", it must be a number, as in redis://127.0.0.1:6379/0", whole);
}

char* add_peer(ngx_conf_t* cf, const ngx_str_t& whole, Bytes text, in_port_t port, Peers* peers) noexcept {
    ngx_url_t u;
    ngx_memzero(&u, sizeof(u));
    if (text.empty() || !pool_copy(cf->pool, to_str(text), &u.url)) {
        return fail(cf, "invalid address in \"%V\", it must be host[:port] or unix:path", whole);
    }
    u.default_port = port;
    u.no_resolve = 1;
    if (ngx_parse_url(cf->pool, &u) != NGX_OK || u.uri.len != 0 || (u.naddrs == 0 && u.host.len == 0)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s in address \"%V\" of \"%V\"",
                           u.err != nullptr ? u.err : "invalid host", &u.url, &whole);
        return error();
    }
    auto* peer = static_cast<Peer*>(ngx_array_push(&peers->list));
    if (peer == nullptr) {
        return error();
    }
    ngx_memzero(peer, sizeof(*peer));
    peer->text = u.url;
    peer->port = u.port;
    peer->addresses = u.addrs;
    peer->count = u.naddrs;
    if (u.family != AF_UNIX) {
        peer->host = u.host;
    }
    return peers->list.nelts <= kMaxPeers ? NGX_CONF_OK : fail(cf, "more than 32 addresses in \"%V\"", whole);
}

char* read_switch(ngx_conf_t* cf, const char* name, const ngx_str_t& value, bool* to) noexcept {
    *to = view(value) == "on";
    if (!*to && view(value) != "off") {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid %s value \"%V\", it must be \"on\" or \"off\"", name, &value);
        return error();
    }
    return NGX_CONF_OK;
}

// `whole`: with its name.
char* read_path(ngx_conf_t* cf, const ngx_str_t& whole, const ngx_str_t& value, ngx_str_t* to) noexcept {
    *to = value;
    if (value.len == 0) {
        return invalid_parameter(cf, whole, "it must name a file");
    }
    return ngx_conf_full_name(cf->cycle, to, 1) == NGX_OK ? NGX_CONF_OK : error();
}

#if (NGX_SSL)

void free_tls(void* data) noexcept { ngx_ssl_cleanup_ctx(data); }

char* load_certificates(ngx_conf_t* cf, PeerTls* tls) noexcept {
    if (tls->certificate.len != 0 &&
        ngx_ssl_certificate(cf, tls->context, &tls->certificate, tls->key.len != 0 ? &tls->key : &tls->certificate,
                            nullptr) != NGX_OK) {
        return error();
    }
    if (!tls->verify) {
        return NGX_CONF_OK;
    }
    if (tls->ca.len != 0) {
        return ngx_ssl_trusted_certificate(cf, tls->context, &tls->ca, 4) == NGX_OK ? NGX_CONF_OK : error();
    }
    return SSL_CTX_set_default_verify_paths(tls->context->ctx) == 1
               ? NGX_CONF_OK
               : fail(cf, "no certificates of the system to verify \"%V\" with, name some by tls_ca=", tls->name);
}

char* make_tls(ngx_conf_t* cf, PeerTls* tls) noexcept {
    tls->context = pool_new<ngx_ssl_t>(cf->pool);
    if (tls->context == nullptr) {
        return error();
    }
    tls->context->log = cf->log;
    if (ngx_ssl_create(tls->context, NGX_SSL_TLSv1_2 | NGX_SSL_TLSv1_3, nullptr) != NGX_OK) {
        return error();
    }
    ngx_pool_cleanup_t* cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == nullptr) {
        ngx_ssl_cleanup_ctx(tls->context);
        return error();
    }
    cln->handler = free_tls;
    cln->data = tls->context;
    return load_certificates(cf, tls);
}

#else

char* make_tls(ngx_conf_t* cf, PeerTls*) noexcept {
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "this nginx was built without TLS, \"tls=on\" and \"rediss://\" need it");
    return error();
}

#endif

bool has_resolver(const ngx_http_core_loc_conf_t* core) noexcept {
    return core->resolver != nullptr && has_name_servers(core->resolver->connections);
}

bool look_up_now(ngx_conf_t* cf, const Peers& peers, Peer* peer) noexcept {
    ngx_url_t u;
    ngx_memzero(&u, sizeof(u));
    u.url = peer->text;
    u.host = peer->host;
    u.port = peer->port;
    if (ngx_inet_resolve_host(cf->pool, &u) != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "%s in address \"%V\" of %V",
                      u.err != nullptr ? u.err : "host not found", &peer->text, &peers.label);
        return false;
    }
    peer->addresses = u.addrs;
    peer->count = u.naddrs;
    return u.naddrs != 0;
}

}  // namespace

bool init_peers(ngx_conf_t* cf, Peers* peers) noexcept {
    peers->tls.verify = true;
    peers->connect_timeout = kConnectMs;
    peers->silence = kSilenceMs;
    return ngx_array_init(&peers->list, cf->pool, 2, sizeof(Peer)) == NGX_OK;
}

char* read_peers(ngx_conf_t* cf, const ngx_str_t& value, const PeerScheme& scheme, Peers* peers) noexcept {
    Bytes rest = base::slice(view(value), scheme.prefix.size());
    peers->tls.on = peers->tls.on || scheme.tls;
    if (rest.find('@') != Bytes::npos) {
        return fail(cf, "credentials in \"%V\", they are named by user= and password_file=", value);
    }
    const size_t slash = base::starts_with(rest, "unix:") ? Bytes::npos : rest.find('/');
    if (slash != Bytes::npos) {
        const Bytes database = base::slice(rest, slash + 1);
        rest = base::slice(rest, 0, slash);
        if (!scheme.has_database && !database.empty()) {
            return fail(cf, "invalid \"%V\", there are no databases here", value);
        }
        if (!database.empty()) {
            if (char* rv = read_database(cf, value, database, peers); rv != NGX_CONF_OK) {
                return rv;
            }
        }
    }
    for (;;) {
        const size_t comma = rest.find(',');
        if (char* rv = add_peer(cf, value, base::slice(rest, 0, comma), scheme.port, peers); rv != NGX_CONF_OK) {
            return rv;
        }
        if (comma == Bytes::npos) {
            return NGX_CONF_OK;
        }
        rest = base::slice(rest, comma + 1);
    }
}

char* check_peers_name(ngx_conf_t* cf, const ngx_str_t& name) noexcept {
    if (name.len == 0 || view(name).find("://") != Bytes::npos) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid name \"%V\", write \"%V name server\"", &name, &args(cf)[0]);
        return error();
    }
    return NGX_CONF_OK;
}

bool read_peer_parameter(ngx_conf_t* cf, const ngx_str_t& value, Peers* peers, char** rv) noexcept {
    ngx_str_t rest;
    *rv = NGX_CONF_OK;
    if (parameter(value, "user=", &peers->user)) {
        return true;
    }
    if (parameter(value, "password_file=", &rest)) {
        *rv = read_path(cf, value, rest, &peers->password_file);
        if (*rv == NGX_CONF_OK && !read_password(peers)) {
            *rv = fail(cf, "no password can be read from \"%V\", its first line must have one of 1 to 511 characters",
                       peers->password_file);
        }
        return true;
    }
    const struct {
        Bytes name;
        ngx_str_t* path;
    } paths[] = {{"tls_ca=", &peers->tls.ca}, {"tls_cert=", &peers->tls.certificate}, {"tls_key=", &peers->tls.key}};
    for (const auto& p : paths) {
        if (parameter(value, p.name, &rest)) {
            *rv = read_path(cf, value, rest, p.path);
            return true;
        }
    }
    if (parameter(value, "tls_name=", &peers->tls.name)) {
        return true;
    }
    if (parameter(value, "tls_verify=", &rest)) {
        *rv = read_switch(cf, "tls_verify", rest, &peers->tls.verify);
        return true;
    }
    if (parameter(value, "tls=", &rest)) {
        *rv = read_switch(cf, "tls", rest, &peers->tls.on);
        return true;
    }
    return false;
}

char* finish_peers(ngx_conf_t* cf, Peers* peers) noexcept {
    const PeerTls& tls = peers->tls;
    if (!tls.on &&
        (tls.ca.len != 0 || tls.certificate.len != 0 || tls.key.len != 0 || tls.name.len != 0 || !tls.verify)) {
        return const_cast<char*>("has tls_ parameters without \"tls=on\"");
    }
    if (peers->user.len != 0 && peers->password_bytes == 0) {
        return const_cast<char*>("has \"user=\" without \"password_file=\"");
    }
    return tls.on ? make_tls(cf, &peers->tls) : NGX_CONF_OK;
}

bool complete_peers(ngx_conf_t* cf, Peers* peers) noexcept {
    auto* core = static_cast<ngx_http_core_loc_conf_t*>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
    if (has_resolver(core)) {
        peers->resolver = core->resolver;
        peers->resolver_timeout = core->resolver_timeout != NGX_CONF_UNSET_MSEC ? core->resolver_timeout : 30000;
    }
    auto* peer = static_cast<Peer*>(peers->list.elts);
    for (ngx_uint_t i = 0; i < peers->list.nelts; i++) {
        if (peer[i].count == 0 && peers->resolver == nullptr && !look_up_now(cf, *peers, &peer[i])) {
            return false;
        }
    }
    return true;
}

bool read_password(Peers* peers) noexcept {
    u_char text[kMaxPassword + 1];
    const int fd = open(reinterpret_cast<const char*>(peers->password_file.data), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd == -1) {
        return false;
    }
    const ssize_t n = read(fd, text, sizeof(text));
    close(fd);
    size_t size = n > 0 ? static_cast<size_t>(n) : 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\n' || text[i] == '\r') {
            size = i;
        }
    }
    const bool fits = size != 0 && size < kMaxPassword;
    if (fits) {
        ngx_memcpy(peers->password, text, size);
        peers->password_bytes = size;
    }
    ngx_explicit_memzero(text, sizeof(text));
    return fits;
}

}  // namespace slab_cache::ngx
