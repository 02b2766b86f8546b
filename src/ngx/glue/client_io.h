// ngx/glue/client_io.h — is it the client's socket that a response waits for?
//
// What        nginx's filters set bits of r->buffered and c->buffered while they hold what they were given: gzip waits for
//             more input, sub_filter for the rest of a match. Only the write filter's bit, and those of what lies
//             below it (TLS, HTTP/2, HTTP/3), mean that the socket is full.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

// The socket takes nothing at the moment.
//
// The bits below NGX_LOWLEVEL_BUFFERED mean one thing to TLS and HTTP/2, and another to filters that set them on the
// connection, too: image_filter, and subs_filter, whose bit is HTTP/2's. And TLS sets its bit for what it has not
// encrypted yet because nobody asked for a flush: no event would ever come for that.
inline bool is_socket_full(const ngx_http_request_t* r) noexcept {
    const ngx_connection_t* c = r->connection;
    if ((c->buffered & NGX_HTTP_WRITE_BUFFERED) != 0) {
        return true;
    }
    unsigned below = 0;
#if (NGX_SSL)
    below |= c->ssl != nullptr ? NGX_SSL_BUFFERED : 0;
#endif
#if (NGX_HTTP_V2)
    below |= r->stream != nullptr ? NGX_HTTP_V2_BUFFERED : 0;
#endif
    return (c->buffered & below) != 0 && !c->write->ready;
}

// Subrequests' output comes first; nginx calls the write handler when it has gone.
inline bool is_behind_subrequests(const ngx_http_request_t* r) noexcept {
    return r->postponed != nullptr && r != r->connection->data;
}

// The socket is this request's to wait for: the main one's, or that of the subrequest whose turn it is.
inline bool has_socket(const ngx_http_request_t* r) noexcept { return r == r->main || r == r->connection->data; }

// The header has gone out and nothing of the body has: the client need not wait for that to see it. A filter that holds
// the header back (image_filter, xslt) must see no empty buf either.
inline bool is_header_waiting(const ngx_http_request_t* r) noexcept { return r->header_sent && !r->connection->sent; }

// The client has nothing to take at the moment: send_timeout is not for this.
inline void stop_send_timeout(const ngx_http_request_t* r) noexcept {
    ngx_event_t* wev = r->connection->write;
    if (wev->timer_set && !wev->delayed) {
        ngx_del_timer(wev);
    }
}

}  // namespace slab_cache::ngx
