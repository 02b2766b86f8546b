// ngx/fleet/peers.h — the servers that a directive named: addresses, credentials, TLS.
//
// Lifetime    on the configuration's pool; immutable once the configuration is read, but for the password, which is read anew
//             where the server refused the one we had.
// Names       an address by name is looked up by nginx's resolver at each connection where http {} has one, else when the
//             configuration is read, as nginx does with its upstreams.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

struct Peer {
    ngx_str_t text;  // as it was written, for logs
    ngx_str_t host;  // a name that the resolver is asked for at run time; empty: `addresses` are all there is
    in_port_t port;
    ngx_addr_t* addresses;  // nullptr where only the resolver knows
    ngx_uint_t count;
};

inline constexpr size_t kMaxPassword = 512;

struct PeerTls {
    bool on;
    bool verify;     // unless tls_verify=off
    ngx_str_t name;  // of the server's certificate, and SNI; empty: the address' own name
    ngx_str_t ca, certificate, key;
#if (NGX_SSL)
    ngx_ssl_t* context;
#endif
};

struct Peers {
    ngx_str_t label;   // "slab_cache_fleet \"main\"", for logs
    ngx_array_t list;  // of Peer
    ngx_int_t database;
    ngx_str_t user;
    ngx_str_t password_file;
    u_char password[kMaxPassword];
    size_t password_bytes;
    PeerTls tls;
    ngx_resolver_t* resolver;  // nullptr: none
    ngx_msec_t resolver_timeout;
    ngx_msec_t connect_timeout;  // address, TCP and TLS, each
    ngx_msec_t silence;          // without a byte while a reply is awaited
};

// A directive of this kind reads them so:
//   init_peers(), then read_peers() of redis://host[:port][,…][/database] (or another scheme), read_peer_parameter() of what
//   its own parameters are not, finish_peers() behind the last one; complete_peers() after all of http {} was read.
bool init_peers(ngx_conf_t* cf, Peers* peers) noexcept;

struct PeerScheme {
    Bytes prefix;  // "redis://"
    in_port_t port;
    bool tls;  // rediss://
    bool has_database;
};
char* read_peers(ngx_conf_t* cf, const ngx_str_t& value, const PeerScheme& scheme, Peers* peers) noexcept;

// user= password_file= tls= tls_name= tls_ca= tls_cert= tls_key= tls_verify=. False: none of these.
// Where `*rv` is not NGX_CONF_OK, it was one with a wrong value, and that has been logged.
bool read_peer_parameter(ngx_conf_t* cf, const ngx_str_t& value, Peers* peers, char** rv) noexcept;
// ... as a message has them, behind the directive's own.
#define SLAB_PEER_PARAMETERS                                                                                     \
    "\"user=name\", \"password_file=file\", \"tls=on\", \"tls_name=name\", \"tls_ca=file\", \"tls_cert=file\", " \
    "\"tls_key=file\" or \"tls_verify=off\""
// A directive whose first word is no name but the servers: what is forgotten is told. NGX_CONF_OK: it is a name.
char* check_peers_name(ngx_conf_t* cf, const ngx_str_t& name) noexcept;
char* finish_peers(ngx_conf_t* cf, Peers* peers) noexcept;
// In postconfiguration. Names without a resolver are looked up here.
bool complete_peers(ngx_conf_t* cf, Peers* peers) noexcept;

// The file's first line. False, with nothing changed, where it cannot be read (a worker may have no right to).
bool read_password(Peers* peers) noexcept;

}  // namespace slab_cache::ngx
