// ngx/glue/ngx.h — the one place that includes nginx, and the one place that knows its versions.
//
// Every file under src/ngx includes this first (nginx's headers fix the width of off_t). Differences between nginx
// 1.22 and 1.31, Angie and freenginx are folded into the small functions below; the rest of the adapter touches public structs only.
#pragma once

extern "C" {
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

extern ngx_module_t ngx_http_slab_cache_module;
}

#include "base/arena.h"
#include "base/bytes.h"

// 1.23.0: multi-value headers are linked lists, not arrays.
#define SLAB_NGX_LINKED_HEADERS (nginx_version >= 1023000)
// 1.29.0: filters of its own for a 103.
#define SLAB_NGX_EARLY_HINTS (nginx_version >= 1029000)

namespace slab_cache::ngx {

using base::Bytes;

inline Bytes view(const ngx_str_t& s) noexcept { return {reinterpret_cast<const char*>(s.data), s.len}; }

inline ngx_str_t to_str(Bytes b) noexcept {
    ngx_str_t s;
    s.len = b.size();
    s.data = reinterpret_cast<u_char*>(const_cast<char*>(b.data()));
    return s;
}

inline u_char* mutable_data(Bytes b) noexcept { return reinterpret_cast<u_char*>(const_cast<char*>(b.data())); }

// Zeroed, typed allocation: the size can never be that of something else.
template <class T>
T* pool_new(ngx_pool_t* pool) noexcept {
    static_assert(std::is_trivially_destructible_v<T>, "pools run no destructors");
    return static_cast<T*>(ngx_pcalloc(pool, sizeof(T)));
}

// A copy that lives as long as `pool`; NUL-terminated, as some of nginx's helpers expect. Empty on failure too:
// ask ok() where the difference matters.
inline bool pool_copy(ngx_pool_t* pool, Bytes from, Bytes* to) noexcept {
    auto* p = static_cast<u_char*>(ngx_pnalloc(pool, from.size() + 1));
    if (p == nullptr) {
        return false;
    }
    if (!from.empty()) {
        ngx_memcpy(p, from.data(), from.size());
    }
    p[from.size()] = '\0';
    *to = {reinterpret_cast<char*>(p), from.size()};
    return true;
}

inline bool pool_copy(ngx_pool_t* pool, const ngx_str_t& from, ngx_str_t* to) noexcept {
    Bytes b;
    if (!pool_copy(pool, view(from), &b)) {
        return false;
    }
    *to = to_str(b);
    return true;
}

// Walks an ngx_list_t of ngx_table_elt_t; fn(ngx_table_elt_t&) returns false to stop.
template <class Fn>
void each_header(ngx_list_t& list, Fn fn) noexcept {
    for (ngx_list_part_t* part = &list.part; part != nullptr; part = part->next) {
        auto* h = static_cast<ngx_table_elt_t*>(part->elts);
        for (ngx_uint_t i = 0; i < part->nelts; i++) {
            if (!fn(h[i])) {
                return;
            }
        }
    }
}

inline ngx_table_elt_t* push_header(ngx_list_t* list) noexcept {
    auto* h = static_cast<ngx_table_elt_t*>(ngx_list_push(list));
    if (h != nullptr) {
        ngx_memzero(h, sizeof(*h));
        h->hash = 1;
    }
    return h;
}

// Memory for the parts that know no nginx.
inline base::Arena arena_of(ngx_pool_t* pool) noexcept {
    return {pool,
            [](void* owner, size_t bytes) noexcept { return ngx_palloc(static_cast<ngx_pool_t*>(owner), bytes); }};
}

// Reads into memory that has no alignment: a descriptor opened for directio wants one, and is spared it meanwhile.
inline ssize_t read_file(ngx_file_t* file, u_char* to, size_t n, off_t at) noexcept {
#if (NGX_HAVE_O_DIRECT)
    const bool direct = file->directio != 0 && ngx_directio_off(file->fd) != NGX_FILE_ERROR;
    const ssize_t got = ngx_read_file(file, to, n, at);
    if (direct) {
        (void) ngx_directio_on(file->fd);
    }
    return got;
#else
    return ngx_read_file(file, to, n, at);
#endif
}

template <class T>
T* loc_conf(ngx_http_request_t* r) noexcept {
    return static_cast<T*>(ngx_http_get_module_loc_conf(r, ngx_http_slab_cache_module));
}

inline ngx_http_core_loc_conf_t* core_loc_conf(ngx_http_request_t* r) noexcept {
    return static_cast<ngx_http_core_loc_conf_t*>(ngx_http_get_module_loc_conf(r, ngx_http_core_module));
}

inline ngx_http_core_main_conf_t* core_main_conf(ngx_http_request_t* r) noexcept {
    return static_cast<ngx_http_core_main_conf_t*>(ngx_http_get_module_main_conf(r, ngx_http_core_module));
}

// It is worked out anew when it is next looked at.
inline void forget_variable(ngx_http_request_t* r, Bytes name) noexcept {
    const ngx_array_t& all = core_main_conf(r)->variables;
    auto* v = static_cast<ngx_http_variable_t*>(all.elts);
    for (ngx_uint_t i = 0; i < all.nelts; i++) {
        if (view(v[i].name) == name) {
            r->variables[i].valid = 0;
            r->variables[i].not_found = 0;
        }
    }
}

// The typed pointers of headers_in / headers_out that hold several lines: an ngx_array_t of pointers up to 1.22,
// a linked list from 1.23 on. Appends `h` to the slot at `offset` of `base`.
#if SLAB_NGX_LINKED_HEADERS
inline bool append_multi(ngx_pool_t*, void* base, size_t offset, ngx_table_elt_t* h) noexcept {
    auto** link = reinterpret_cast<ngx_table_elt_t**>(static_cast<char*>(base) + offset);
    while (*link != nullptr) {
        link = &(*link)->next;
    }
    h->next = nullptr;
    *link = h;
    return true;
}
#else
inline bool append_multi(ngx_pool_t* pool, void* base, size_t offset, ngx_table_elt_t* h) noexcept {
    auto* array = reinterpret_cast<ngx_array_t*>(static_cast<char*>(base) + offset);
    if (array->elts == nullptr && ngx_array_init(array, pool, 1, sizeof(ngx_table_elt_t*)) != NGX_OK) {
        return false;
    }
    auto** slot = static_cast<ngx_table_elt_t**>(ngx_array_push(array));
    if (slot == nullptr) {
        return false;
    }
    *slot = h;
    return true;
}
#endif

#if SLAB_NGX_LINKED_HEADERS
inline bool has_cookie(const ngx_http_headers_in_t& in) noexcept { return in.cookie != nullptr; }
#else
inline bool has_cookie(const ngx_http_headers_in_t& in) noexcept { return in.cookies.nelts != 0; }
#endif

// gzip_static and its kind encode by Accept-Encoding, and leave Vary to nginx's header filter.
#if (NGX_HTTP_GZIP)
inline bool leaves_vary_to_nginx(const ngx_http_request_t* r) noexcept { return r->gzip_vary; }
inline void leave_vary_to_nginx(ngx_http_request_t* r) noexcept { r->gzip_vary = 1; }
#else
inline bool leaves_vary_to_nginx(const ngx_http_request_t*) noexcept { return false; }
inline void leave_vary_to_nginx(ngx_http_request_t*) noexcept {}
#endif

// 1.29.0 tells a 103 from a final response, and has a directive for sending it on; other 1xx are final to it as ever.
#if (nginx_version >= 1029000)
inline bool is_early_hints(ngx_int_t rc) noexcept { return rc == NGX_HTTP_UPSTREAM_EARLY_HINTS; }
inline bool may_send_interim(ngx_http_request_t* r) noexcept {
    return ngx_http_test_predicates(r, core_loc_conf(r)->early_hints) == NGX_DECLINED;
}
#else
inline bool is_early_hints(ngx_int_t) noexcept { return false; }
inline bool may_send_interim(ngx_http_request_t*) noexcept { return true; }
#endif

// What a request's own handler adds to a line of the error log. Angie's takes the log and what nginx's would find in it.
inline u_char* log_request(u_char* (*handler)(ngx_http_request_t*, ngx_http_request_t*, u_char*, size_t), ngx_log_t*,
                           ngx_http_log_ctx_t* ctx, u_char* p, size_t len) noexcept {
    return handler(ctx->request, ctx->current_request, p, len);
}
inline u_char* log_request(u_char* (*handler)(ngx_log_t*, u_char*, u_char*, void*), ngx_log_t* log,
                           ngx_http_log_ctx_t* ctx, u_char* p, size_t len) noexcept {
    return handler(log, p, p + len, ctx);
}

// Whether a resolver has whom to ask. Angie keeps a list of its name servers, nginx an array.
inline bool has_name_servers(const ngx_array_t& servers) noexcept { return servers.nelts != 0; }
inline bool has_name_servers(const ngx_resolver_connection_t* servers) noexcept { return servers != nullptr; }

// 1.29.3: $request_port, the port that the client named; 0: none.
#if (nginx_version >= 1029003)
inline in_port_t named_port(const ngx_http_request_t* r) noexcept { return r->port; }
inline void copy_named_port(ngx_http_request_t* r, const ngx_http_request_t* from) noexcept { r->port = from->port; }
inline bool names_port(const ngx_http_request_t* r, ngx_int_t port) noexcept { return named_port(r) == port; }
#else
inline in_port_t named_port(const ngx_http_request_t*) noexcept { return 0; }
inline void copy_named_port(ngx_http_request_t*, const ngx_http_request_t*) noexcept {}
inline bool names_port(const ngx_http_request_t*, ngx_int_t) noexcept { return true; }
#endif

// Where nginx keeps HTTP/3's :authority: HTTP/2's, and Angie's of both, is a field like Host.
#if (NGX_HTTP_V3)
inline Bytes authority_beside_fields(const ngx_http_request_t* r) noexcept {
    return r->http_version == NGX_HTTP_VERSION_30 && r->headers_in.host == nullptr && r->host_start != nullptr
               ? Bytes{reinterpret_cast<const char*>(r->host_start), static_cast<size_t>(r->host_end - r->host_start)}
               : Bytes{};
}
#else
inline Bytes authority_beside_fields(const ngx_http_request_t*) noexcept { return {}; }
#endif

// HTTP/1 alone has a status line. From 1.29.4 on proxy_pass may speak HTTP/2: its buffer holds frames.
inline bool is_http1(const ngx_http_upstream_t& u) noexcept { return u.headers_in.status_line.len != 0; }

}  // namespace slab_cache::ngx
