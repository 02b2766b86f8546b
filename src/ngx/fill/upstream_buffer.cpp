#include "ngx/glue/ngx.h"

#include "ngx/fill/upstream_buffer.h"

namespace slab_cache::ngx {
namespace {

constexpr size_t kUpstreamBuffer = 64 * 1024;
constexpr size_t kFirstBuffer = 32 * 1024;

// As ngx_http_upstream_process_header() does where it finds no buffer.
void enlarge_buffer(Fill* fill) noexcept {
    ngx_http_request_t* r = fill->request;
    ngx_http_upstream_t* u = r->upstream;
    auto* p = static_cast<u_char*>(ngx_palloc(r->pool, kFirstBuffer));
    if (p == nullptr || ngx_list_init(&u->headers_in.headers, r->pool, 8, sizeof(ngx_table_elt_t)) != NGX_OK ||
        ngx_list_init(&u->headers_in.trailers, r->pool, 2, sizeof(ngx_table_elt_t)) != NGX_OK) {
        return;
    }
    u->buffer.start = u->buffer.pos = u->buffer.last = p;
    u->buffer.end = p + kFirstBuffer;
    u->buffer.temporary = 1;
    u->buffer.tag = u->output.tag;
    fill->buffer_enlarged = true;
}

}  // namespace

bool may_enlarge_buffer(const ngx_http_upstream_t& u) noexcept {
    // FastCGI's stderr comes in the same buffer, and is no header.
    return u.conf != nullptr && view(u.conf->module) != "fastcgi" && u.buffer.start == nullptr && !u.cacheable &&
           !u.store && u.buffering && !u.conf->limit_rate && u.conf->buffer_size < kFirstBuffer &&
           u.peer.connection != nullptr;
}

void prepare_buffer(Fill* fill) noexcept {
    const ngx_http_upstream_t* u = fill->request->upstream;
    fill->zone->store.prefetch_fill(fill->digest);
    if (u->buffer.start == nullptr && u->request_sent && u->peer.connection != nullptr &&
        !u->peer.connection->read->timedout) {
        enlarge_buffer(fill);
    }
}

void unbuffer(CloneFill* fill) noexcept {
    ngx_http_upstream_t* u = fill->request->upstream;
    // proxy_limit_rate works where nginx buffers.
    if (u == nullptr || !u->buffering || u->conf->limit_rate || u->cacheable || u->store ||
        u->buffer.start == nullptr) {  // nothing was read: the answer is nginx's own
        return;
    }
    u->buffering = 0;
    // nginx sets this for the body only. A rate of the origin's would hold up the header, and whoever waits for that to end
    // deletes its timer where nothing is buffered.
    fill->request->limit_rate = 0;
    fill->request->limit_rate_set = 1;
    const size_t have = static_cast<size_t>(u->buffer.last - u->buffer.pos);
    const size_t room = static_cast<size_t>(u->buffer.end - u->buffer.start);
    const off_t rest = u->headers_in.content_length_n < 0 ? static_cast<off_t>(kUpstreamBuffer)
                                                          : u->headers_in.content_length_n - static_cast<off_t>(have);
    if (rest <= static_cast<off_t>(room) || room >= kUpstreamBuffer) {
        return;
    }
    auto* p = static_cast<u_char*>(ngx_palloc(fill->request->pool, kUpstreamBuffer));
    if (p == nullptr) {
        return;  // slower, not wrong
    }
    ngx_memcpy(p, u->buffer.pos, have);
    u->buffer.start = u->buffer.pos = p;
    u->buffer.last = p + have;
    u->buffer.end = p + kUpstreamBuffer;
}

bool restore_buffer(DirectFill* fill) noexcept {
    ngx_http_upstream_t* u = fill->request->upstream;
    if (!fill->buffer_enlarged || !u->buffering) {
        return true;
    }
    ngx_buf_t& b = u->buffer;
    u_char* own_end = b.start + u->conf->buffer_size;
    b.end = b.last < own_end ? own_end : b.last;
    const auto size = static_cast<size_t>(b.end - b.start);
    if (size <= u->conf->busy_buffers_size) {
        return true;
    }
    // The pipe sends no buffer that is larger than this before the origin has ended. One that is as large may be under way
    // alone, so the pipe never waits for a buffer that nobody gives back.
    auto* conf = static_cast<ngx_http_upstream_conf_t*>(ngx_palloc(fill->request->pool, sizeof(*u->conf)));
    if (conf == nullptr) {
        return false;
    }
    *conf = *u->conf;
    conf->busy_buffers_size = size;
    u->conf = conf;
    return true;
}

bool is_header_too_big(const Fill* fill) noexcept {
    const ngx_http_upstream_t* u = fill->request->upstream;
    return fill->buffer_enlarged && u != nullptr && u->headers_in.status_n != 0 && u->buffer.start != nullptr &&
           static_cast<size_t>(u->buffer.pos - u->buffer.start) > u->conf->buffer_size;
}

}  // namespace slab_cache::ngx
