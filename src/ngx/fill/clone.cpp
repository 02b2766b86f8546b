#include "ngx/glue/ngx.h"

#include "ngx/fill/clone.h"

#include "http/vary.h"
#include "ngx/conf/conf.h"
#include "ngx/fill/clone_fill.h"
#include "ngx/request/identity.h"
#include "ngx/request/cache_key.h"
#include "ngx/request/sliced_request.h"

namespace slab_cache::ngx {
namespace {

struct CloneLog {
    ngx_http_log_ctx_t http;  // first: nginx reads log->data as this
    CloneFill* fill;
};

u_char* log_fill(ngx_log_t* log, u_char* buf, size_t len) noexcept {
    u_char* p = ngx_snprintf(buf, len, " while filling slab_cache");
    len -= static_cast<size_t>(p - buf);
    auto* ctx = reinterpret_cast<CloneLog*>(log->data);
    ngx_http_request_t* r = ctx->http.request;
    if (r == nullptr || r->log_handler == nullptr) {
        return p;
    }
    buf = p;
    p = ngx_snprintf(buf, len, " for client: %V", &ctx->http.connection->addr_text);
    len -= static_cast<size_t>(p - buf);
    return log_request(r->log_handler, log, &ctx->http, p, len);
}

void on_clone_event(ngx_event_t* ev) noexcept {
    auto* c = static_cast<ngx_connection_t*>(ev->data);
    auto* r = static_cast<ngx_http_request_t*>(c->data);
    ngx_http_set_log_request(c->log, r);
    if (c->close) {        // worker_shutdown_timeout
        r->main->count++;  // as on_go_on() in clone_fill.cpp
        ngx_http_finalize_request(r, NGX_ERROR);
        ngx_http_run_posted_requests(c);
        return;
    }
    if (ev->write && ev->timedout) {
        ev->timedout = 0;  // nobody's socket: how long to wait for the leader's is its own business
        return;
    }
    if (ev->write) {
        r->write_event_handler(r);
    } else {
        r->read_event_handler(r);
    }
    ngx_http_run_posted_requests(c);
}

// Should a subrequest of a fill (a mirror, say) write to its main connection, it writes to nobody.
ngx_chain_t* send_to_nobody(ngx_connection_t*, ngx_chain_t* in, off_t) noexcept {
    for (; in != nullptr; in = in->next) {
        in->buf->pos = in->buf->last;
        in->buf->file_pos = in->buf->file_last;
    }
    return nullptr;
}

ssize_t recv_nothing(ngx_connection_t*, u_char*, size_t) noexcept { return NGX_AGAIN; }

// Neither watched nor closed by nginx: see clone_fill.h.
void fake_events(ngx_connection_t* c) noexcept {
    c->shared = 1;
    c->send_chain = send_to_nobody;
    c->recv = recv_nothing;
    c->tcp_nodelay = NGX_TCP_NODELAY_DISABLED;
    c->tcp_nopush = NGX_TCP_NOPUSH_DISABLED;
    c->read->active = 1;
    c->read->eof = 1;  // no keep-alive, no lingering close
    c->write->active = (ngx_event_flags & NGX_USE_CLEAR_EVENT) ? 1 : 0;
    c->write->ready = 1;
    c->read->handler = on_clone_event;
    c->write->handler = on_clone_event;
    c->read->log = c->log;
    c->write->log = c->log;
}

bool copy_addresses(ngx_connection_t* to, const ngx_connection_t* from) noexcept {
    to->type = from->type;
    to->listening = from->listening;
    to->start_time = ngx_current_msec;
    to->socklen = from->socklen;
    to->local_socklen = from->local_socklen;
    if (from->sockaddr != nullptr) {
        to->sockaddr = static_cast<sockaddr*>(ngx_palloc(to->pool, NGX_SOCKADDRLEN));
        if (to->sockaddr == nullptr) {
            return false;
        }
        ngx_memcpy(to->sockaddr, from->sockaddr, from->socklen);
    }
    if (from->local_sockaddr != nullptr) {
        // The listening address belongs to the cycle, a resolved one to the client's pool.
        to->local_sockaddr = static_cast<sockaddr*>(ngx_palloc(to->pool, NGX_SOCKADDRLEN));
        if (to->local_sockaddr == nullptr) {
            return false;
        }
        ngx_memcpy(to->local_sockaddr, from->local_sockaddr, from->local_socklen);
    }
    return pool_copy(to->pool, from->addr_text, &to->addr_text);
}

ngx_connection_t* fake_connection(ngx_http_request_t* from) noexcept {
    ngx_connection_t* c = ngx_get_connection(0, ngx_cycle->log);
    if (c == nullptr) {
        return nullptr;
    }
    c->pool = ngx_create_pool(1024, ngx_cycle->log);
    if (c->pool == nullptr) {
        ngx_free_connection(c);
        return nullptr;
    }
    auto* log = pool_new<ngx_log_t>(c->pool);
    auto* ctx = pool_new<CloneLog>(c->pool);
    auto* hc = pool_new<ngx_http_connection_t>(c->pool);
    if (log == nullptr || ctx == nullptr || hc == nullptr || !copy_addresses(c, from->connection)) {
        ngx_destroy_pool(c->pool);
        ngx_free_connection(c);
        return nullptr;
    }
    ctx->http.connection = c;
    *log = *from->connection->log;
    log->handler = log_fill;
    log->data = &ctx->http;
    log->action = nullptr;
    c->log = log;
    c->log_error = NGX_ERROR_INFO;
    c->pool->log = log;
    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);
    log->connection = c->number;
    *hc = *from->main->http_connection;  // subrequests have none
    hc->busy = nullptr;
    hc->nbusy = 0;
    hc->free = nullptr;
    c->data = hc;
    fake_events(c);
    return c;
}

// With these a client could shape or empty the answer that everybody gets.
bool shapes_answer(const ngx_table_elt_t& h) noexcept {
    static constexpr Bytes kNames[] = {"range",
                                       "if-range",
                                       "if-match",
                                       "if-none-match",
                                       "expect",
                                       "if-modified-since",
                                       "if-unmodified-since",
                                       "content-length",
                                       "transfer-encoding",
                                       "te",
                                       "upgrade"};
    for (Bytes shaping : kNames) {
        if (base::equal_nocase(view(h.key), shaping)) {
            return true;
        }
    }
    return false;
}

// Puts `h`, already in headers_in.headers, into its typed field, as nginx's own parser does.
bool index_header(ngx_http_request_t* r, ngx_table_elt_t* h) noexcept {
    auto* known = static_cast<ngx_http_header_t*>(
        ngx_hash_find(&core_main_conf(r)->headers_in_hash, h->hash, h->lowcase_key, h->key.len));
    if (known == nullptr || known->offset == 0) {
        return true;
    }
    const Bytes name{reinterpret_cast<char*>(h->lowcase_key), h->key.len};
#if SLAB_NGX_LINKED_HEADERS
    (void) name;
    return append_multi(r->pool, &r->headers_in, known->offset, h);
#else
    if (name == "cookie" || name == "x-forwarded-for") {
        return append_multi(r->pool, &r->headers_in, known->offset, h);
    }
    auto** slot = reinterpret_cast<ngx_table_elt_t**>(reinterpret_cast<char*>(&r->headers_in) + known->offset);
    if (*slot == nullptr) {
        *slot = h;
    }
    return true;
#endif
}

bool copy_header(ngx_http_request_t* r, const ngx_table_elt_t& from) noexcept {
    ngx_table_elt_t* h = push_header(&r->headers_in.headers);
    if (h == nullptr) {
        return false;
    }
    // name, lower-case name and value in one piece
    const size_t key = from.key.len;
    const size_t value = from.value.len;
    auto* p = static_cast<u_char*>(ngx_pnalloc(r->pool, 2 * (key + 1) + value + 1));
    if (p == nullptr) {
        return false;
    }
    h->key = {key, p};
    p = ngx_cpymem(p, from.key.data, key);
    *p++ = '\0';
    h->lowcase_key = p;
    h->hash = ngx_hash_strlow(p, from.key.data, key);  // modules that add fields need not have set theirs
    p += key;
    *p++ = '\0';
    h->value = {value, p};
    p = ngx_cpymem(p, from.value.data, value);
    *p = '\0';
    return index_header(r, h);
}

// What the key says of it, and nothing else.
bool copy_encodings(ngx_http_request_t* r, ngx_http_request_t* from) noexcept {
    const http::Fields fields = request_fields(from);
    return !fields.has("Accept-Encoding") || add_request_header(r, "Accept-Encoding", "accept-encoding",
                                                                http::encodings_text(http::accepted_encodings(fields)));
}

bool copy_headers_in(ngx_http_request_t* r, ngx_http_request_t* from, bool keep_body) noexcept {
    auto& in = r->headers_in;
    ngx_uint_t lines = 2;  // conditions of a revalidation
    for (ngx_list_part_t* part = &from->headers_in.headers.part; part != nullptr; part = part->next) {
        lines += part->nelts;
    }
    if (ngx_list_init(&in.headers, r->pool, lines, sizeof(ngx_table_elt_t)) != NGX_OK) {
        return false;
    }
    bool ok = true;
    each_header(from->headers_in.headers, [&](ngx_table_elt_t& h) {
        const bool length = base::equal_nocase(view(h.key), "Content-Length");
        const bool coding = base::equal_nocase(view(h.key), "Accept-Encoding");
        if (h.hash == 0 || coding || (shapes_answer(h) && !(keep_body && length))) {
            return true;
        }
        ok = copy_header(r, h);
        return ok;
    });
    ok = ok && copy_encodings(r, from);
    in.content_length_n = keep_body ? from->headers_in.content_length_n : -1;
    in.keep_alive_n = -1;
    in.msie = from->headers_in.msie;
    in.msie6 = from->headers_in.msie6;
    in.opera = from->headers_in.opera;
    in.gecko = from->headers_in.gecko;
    in.chrome = from->headers_in.chrome;
    in.safari = from->headers_in.safari;
    in.konqueror = from->headers_in.konqueror;
    copy_named_port(r, from);
    return ok && pool_copy(r->pool, from->headers_in.server, &in.server);
}

#if (NGX_PCRE)
// ncaptures tells how many numbers a match gave. A pattern without groups gives 2, and leaves `captures` as it was, or
// unwritten: only numbers from 2 on are ever read (ngx_http_regex_exec, ngx_http_script_copy_capture_code).
bool copy_captures(ngx_http_request_t* r, ngx_http_request_t* from) noexcept {
    r->realloc_captures = 1;  // the next match has room of its own
    if (from->ncaptures <= 2 || from->captures == nullptr || from->captures_data == nullptr) {
        return true;
    }
    r->captures = static_cast<int*>(ngx_palloc(r->pool, from->ncaptures * sizeof(int)));
    size_t data = 0;
    for (ngx_uint_t i = 2; i < from->ncaptures; i++) {
        if (from->captures[i] > static_cast<int>(data)) {
            data = static_cast<size_t>(from->captures[i]);
        }
    }
    r->captures_data = static_cast<u_char*>(ngx_pnalloc(r->pool, data + 1));
    if (r->captures == nullptr || r->captures_data == nullptr) {
        return false;
    }
    r->captures[0] = r->captures[1] = 0;
    ngx_memcpy(r->captures + 2, from->captures + 2, (from->ncaptures - 2) * sizeof(int));
    ngx_memcpy(r->captures_data, from->captures_data, data);
    r->ncaptures = from->ncaptures;
    return true;
}
#endif

bool copy_value(ngx_http_request_t* r, ngx_uint_t index, const ngx_http_variable_value_t& v) noexcept {
    ngx_http_variable_value_t& to = r->variables[index];
    to = v;
    to.no_cacheable = 0;  // it cannot be computed again without the client's connection
    to.data = static_cast<u_char*>(ngx_pnalloc(r->pool, v.len + 1));
    if (to.data == nullptr) {
        to.valid = 0;
        return false;
    }
    if (v.len != 0) {
        ngx_memcpy(to.data, v.data, v.len);
    }
    return true;
}

// Values that were set on the way here (set, map, auth_request_set, named captures) and those which only the
// client's connection can tell ($scheme, $ssl_*, $realip_*, ...). All others are computed anew.
bool copy_variables(ngx_http_request_t* r, const Ctx* ctx) noexcept {
    ngx_http_request_t* from = ctx->request;
    MainConf* mcf = main_conf(from);
    auto* carried = static_cast<ngx_uint_t*>(mcf->carried_variables.elts);
    for (ngx_uint_t i = 0; i < mcf->carried_variables.nelts; i++) {
        ngx_http_variable_value_t* v = ngx_http_get_indexed_variable(from, carried[i]);
        if (v != nullptr && v->valid && !v->not_found && !copy_value(r, carried[i], *v)) {
            return false;
        }
    }
    auto* settable = static_cast<ngx_uint_t*>(mcf->settable_variables.elts);
    for (ngx_uint_t i = 0; i < mcf->settable_variables.nelts; i++) {
        const ngx_http_variable_value_t& v = from->variables[settable[i]];
        if (v.valid && !v.not_found && !copy_value(r, settable[i], v)) {
            return false;
        }
    }
    return put_slice_range(r, ctx);
}

bool copy_uri(ngx_http_request_t* r, Ctx* ctx) noexcept {
    ngx_http_request_t* from = ctx->request;
    r->valid_location = from->valid_location;
    r->add_uri_to_alias = from->add_uri_to_alias;
    r->complex_uri = from->complex_uri;
    r->quoted_uri = from->quoted_uri;
    r->plus_in_uri = from->plus_in_uri;
    r->internal = from->internal;
    r->uri_changes = from->uri_changes;
    if (!pool_copy(r->pool, from->uri, &r->uri) || !pool_copy(r->pool, from->exten, &r->exten)) {
        return false;
    }
    Bytes args;
    if (!pool_copy(r->pool, ctx->fill_args, &args)) {
        return false;
    }
    r->args = to_str(args);
    if (!ctx->fill_args_differ) {
        r->valid_unparsed_uri = from->valid_unparsed_uri;
        return pool_copy(r->pool, from->unparsed_uri, &r->unparsed_uri) &&
               pool_copy(r->pool, from->request_line, &r->request_line);
    }
    // What is not in the key must not be in the request either: $request_uri and $request lose it too.
    const Bytes raw = view(from->unparsed_uri);
    const Bytes path = base::slice(raw, 0, raw.find('?'));
    args = ctx->written_args;
    const size_t size = path.size() + 1 + args.size();
    auto* p = static_cast<u_char*>(ngx_pnalloc(r->pool, size + 1));
    auto* line = static_cast<u_char*>(ngx_pnalloc(r->pool, size + sizeof("GET  HTTP/1.1")));
    if (p == nullptr || line == nullptr) {
        return false;
    }
    r->unparsed_uri.data = p;
    p = ngx_cpymem(p, path.data(), path.size());
    if (!args.empty()) {
        *p++ = '?';
        p = ngx_cpymem(p, args.data(), args.size());
    }
    r->unparsed_uri.len = static_cast<size_t>(p - r->unparsed_uri.data);
    *p = '\0';
    r->request_line.data = line;
    r->request_line.len = static_cast<size_t>(ngx_sprintf(line, "GET %V HTTP/1.1", &r->unparsed_uri) - line);
    r->valid_unparsed_uri = from->valid_unparsed_uri;
    return true;
}

// The two methods that get so far with a body.
bool has_key_for_body(const ngx_http_request_t* r) noexcept {
    return r->method == NGX_HTTP_POST || view(r->method_name) == "QUERY";
}

// In memory of its own.
bool copy_body(ngx_http_request_t* r, ngx_http_request_t* from) noexcept {
    auto* body = pool_new<ngx_http_request_body_t>(r->pool);
    if (body == nullptr) {
        return false;
    }
    ngx_chain_t** last = &body->bufs;
    for (ngx_chain_t* cl = from->request_body != nullptr ? from->request_body->bufs : nullptr; cl != nullptr;
         cl = cl->next) {
        const size_t size = static_cast<size_t>(cl->buf->last - cl->buf->pos);
        if (size == 0 && !cl->buf->in_file) {  // the end of an empty body, say
            continue;
        }
        ngx_buf_t* b = ngx_create_temp_buf(r->pool, size + 1);
        ngx_chain_t* link = ngx_alloc_chain_link(r->pool);
        if (b == nullptr || link == nullptr || cl->buf->in_file) {
            return false;
        }
        b->last = ngx_cpymem(b->pos, cl->buf->pos, size);
        b->last_buf = cl->next == nullptr;
        link->buf = b;
        link->next = nullptr;
        *last = link;
        last = &link->next;
    }
    r->request_body = body;
    return true;
}

void copy_request(ngx_http_request_t* r, ngx_http_request_t* from, bool keep_body) noexcept {
    r->main_conf = from->main_conf;
    r->srv_conf = from->srv_conf;
    r->loc_conf = from->loc_conf;
    r->content_handler = from->content_handler;
    r->phase_handler = from->phase_handler;  // where the content handler is called (phases.h)
    r->error_page = 1;                       // a status is an answer: each client's request looks for a page itself
    if (keep_body) {
        r->method = from->method;
        if (from->method == NGX_HTTP_POST) {
            ngx_str_set(&r->method_name, "POST");
        } else {
            ngx_str_set(&r->method_name, "QUERY");  // the client's lies in its header buffer
        }
    } else if (is_head_apart(from, loc_conf<LocConf>(from))) {
        r->method = NGX_HTTP_HEAD;
        ngx_str_set(&r->method_name, "HEAD");
    } else {
        r->method = NGX_HTTP_GET;
        r->method_name = ngx_http_core_get_method;
    }
    r->http_version = NGX_HTTP_VERSION_11;
    ngx_str_set(&r->http_protocol, "HTTP/1.1");
    r->schema = ngx_null_string;
    r->http_state = NGX_HTTP_PROCESS_REQUEST_STATE;
    r->write_event_handler = ngx_http_core_run_phases;
    r->read_event_handler = ngx_http_block_reading;
    r->start_sec = from->start_sec;
    r->start_msec = from->start_msec;
    r->logged = 1;  // no line of its own in the access log
    r->subrequest_ranges = 1;
    r->headers_out.status = from->headers_out.status;  // of an error that led here: variables look at it
#if (NGX_STAT_STUB)
    (void) ngx_atomic_fetch_add(ngx_stat_active, 1);  // ngx_http_close_connection() takes it back
    (void) ngx_atomic_fetch_add(ngx_stat_requests, -1);
#endif
}

}  // namespace

ngx_http_request_t* clone_request(Ctx* ctx) noexcept {
    ngx_http_request_t* from = ctx->request;
    ngx_connection_t* c = fake_connection(from);
    if (c == nullptr) {
        return nullptr;
    }
    ngx_http_request_t* r = ngx_http_create_request(c);
    if (r == nullptr) {
        ngx_pool_t* pool = c->pool;
        ngx_free_connection(c);
        c->fd = -1;
        ngx_destroy_pool(pool);
        return nullptr;
    }
    c->data = r;
    const bool keep_body = has_key_for_body(from);
    copy_request(r, from, keep_body);
    const bool ok = copy_headers_in(r, from, keep_body) && copy_uri(r, ctx)
#if (NGX_PCRE)
                    && copy_captures(r, from)
#endif
                    && copy_variables(r, ctx) && (!keep_body || copy_body(r, from));
    if (!ok) {
        discard_clone(r);
        return nullptr;
    }
    return r;
}

void discard_clone(ngx_http_request_t* r) noexcept {
    r->write_event_handler = nullptr;
    r->count = 1;
    ngx_http_finalize_request(r, NGX_ERROR);
}

bool is_clone(const ngx_connection_t* c) noexcept { return c->log->handler == log_fill; }

CloneFill*& fill_on(ngx_connection_t* c) noexcept { return reinterpret_cast<CloneLog*>(c->log->data)->fill; }

bool add_request_header(ngx_http_request_t* r, Bytes name, Bytes lowcase, Bytes value) noexcept {
    ngx_table_elt_t h;
    ngx_memzero(&h, sizeof(h));
    h.key = to_str(name);
    h.lowcase_key = mutable_data(lowcase);
    h.value = to_str(value);
    h.hash = ngx_hash_key(h.lowcase_key, h.key.len);
    return copy_header(r, h);
}

}  // namespace slab_cache::ngx
