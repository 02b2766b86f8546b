#include "ngx/glue/ngx.h"

#include "ngx/fill/relay_queue.h"

#include "ngx/fill/origin_controls.h"
#include "ngx/fill/rest_of_body.h"
#include "ngx/fill/trailers.h"
#include "ngx/request/cache_key.h"
#include "ngx/request/response_header.h"

namespace slab_cache::ngx {

const ngx_buf_tag_t kRelayTag = reinterpret_cast<ngx_buf_tag_t>(&start_relay);

namespace {

constexpr size_t kBufferBytes = 16 * 1024;
constexpr unsigned kFillBuffered = 0x08;  // r->buffered bit of a fill with pending bufs

// A buffer to copy into, appended to the queue.
ngx_buf_t* new_buffer(Ctx* leader) noexcept {
    Relay* relay = leader->from_fill.relay;
    ngx_pool_t* pool = leader->request->pool;
    ngx_chain_t* link = ngx_chain_get_free_buf(pool, &relay->free);
    if (link == nullptr) {
        return nullptr;
    }
    ngx_buf_t* b = link->buf;
    if (b->start == nullptr) {
        b->start = static_cast<u_char*>(ngx_palloc(pool, kBufferBytes));
        if (b->start == nullptr) {
            return nullptr;
        }
        b->end = b->start + kBufferBytes;
    }
    b->pos = b->last = b->start;
    b->temporary = 1;
    b->flush = 0;
    b->tag = kRelayTag;
    link->next = nullptr;
    *relay->queue_end = link;
    relay->queue_end = &link->next;
    return b;
}

ngx_buf_t* last_buffer(Relay* relay) noexcept {
    ngx_buf_t* last = nullptr;
    for (ngx_chain_t* cl = relay->queue; cl != nullptr; cl = cl->next) {
        last = cl->buf;
    }
    return last;
}

bool copy_type(ngx_http_request_t* r, const ngx_http_headers_out_t& in) noexcept {
    auto& out = r->headers_out;
    out.content_type_len = in.content_type_len;
    out.content_type_lowcase = nullptr;
    return pool_copy(r->pool, in.content_type, &out.content_type) && pool_copy(r->pool, in.charset, &out.charset);
}

bool copy_header(Ctx* leader, CloneFill* fill) noexcept {
    ngx_http_request_t* from = fill->request;
    ngx_http_request_t* r = leader->request;
    auto& in = from->headers_out;
    auto& out = r->headers_out;
    if (from->http_version < NGX_HTTP_VERSION_10) {  // HTTP/0.9: no header, and the end is the close
        r->http_version = from->http_version;
        r->keepalive = 0;
    }
    out.status = in.status;
    out.content_length_n = in.content_length_n;
    out.last_modified_time = in.last_modified_time;
    if (!pool_copy(r->pool, in.status_line, &out.status_line) || (!leader->has_type && !copy_type(r, in))) {
        return false;
    }
    bool ok = true;
    each_header(in.headers, [&](ngx_table_elt_t& h) {
        Bytes name;
        Bytes lowcase;
        Bytes value;
        if (h.hash == 0 || is_stand_in(h) || base::equal_nocase(view(h.key), "Content-Length")) {
            return true;
        }
        ok = pool_copy(r->pool, view(h.key), &name) && pool_copy(r->pool, name, &lowcase) &&
             pool_copy(r->pool, view(h.value), &value);
        if (ok) {
            ngx_strlow(mutable_data(lowcase), mutable_data(lowcase), lowcase.size());
            ok = set_header_out(r, name, lowcase, value);
        }
        return ok;
    });
    if (is_location_ours(in)) {
        make_location_ours(r);
    }
    if (is_server_withheld(in)) {
        withhold_server(r);
    }
    return ok && obey_controls_of(r, fill);
}

// Copies one buf as far as the queue has room. True when it was taken whole.
bool take_buf(Ctx* leader, CloneFill* fill, ngx_buf_t* b) noexcept {
    Relay* relay = leader->from_fill.relay;
    while (relay->queued < relay->bound) {
        if (ngx_buf_in_memory(b)) {
            const auto left = static_cast<size_t>(b->last - b->pos);
            if (left == 0) {
                return true;
            }
            const size_t n = left < kBufferBytes ? left : kBufferBytes;
            relay_bytes(leader, {reinterpret_cast<char*>(b->pos), n});
            b->pos += n;
        } else if (b->in_file && b->file_pos < b->file_last) {
            ngx_buf_t* to = new_buffer(leader);
            if (to == nullptr) {
                return false;
            }
            const off_t left = b->file_last - b->file_pos;
            const size_t n = left < static_cast<off_t>(kBufferBytes) ? static_cast<size_t>(left) : kBufferBytes;
            const ssize_t got = read_file(b->file, to->pos, n, b->file_pos);
            if (got <= 0) {
                drop_fill(fill);
                return false;
            }
            to->last += got;
            b->file_pos += got;
            relay->queued += static_cast<size_t>(got);
        } else {
            return true;
        }
    }
    return ngx_buf_size(b) == 0;
}

}  // namespace

bool start_relay(Ctx* leader, CloneFill* fill) noexcept {
    const bool header_sent = static_cast<bool>(leader->pin);  // the head came from the zone
    auto* relay = pool_new<Relay>(leader->request->pool);
    if (relay == nullptr || (!header_sent && !copy_header(leader, fill))) {
        return false;
    }
    relay->queue_end = &relay->queue;
    relay->header_sent = header_sent;
    relay->bound = kRelayQueueBytes;
    leader->from_fill.relay = relay;
    return true;
}

void relay_bytes(Ctx* leader, Bytes bytes) noexcept {
    Relay* relay = leader->from_fill.relay;
    while (!bytes.empty()) {
        ngx_buf_t* b = last_buffer(relay);
        if (b == nullptr || b->last == b->end) {
            b = new_buffer(leader);
            if (b == nullptr) {
                relay->ended = true;  // out of memory: the client sees a truncated response
                return;
            }
        }
        const auto room = static_cast<size_t>(b->end - b->last);
        const size_t n = bytes.size() < room ? bytes.size() : room;
        b->last = ngx_cpymem(b->last, bytes.data(), n);
        relay->queued += n;
        bytes.remove_prefix(n);
    }
}

ngx_int_t relay_chain(CloneFill* fill, ngx_chain_t* in) noexcept {
    Ctx* leader = fill->leader;
    ngx_http_request_t* r = fill->request;
    if (in != nullptr && ngx_chain_add_copy(r->pool, &fill->pending, in) != NGX_OK) {
        return NGX_ERROR;
    }
    if (leader == nullptr || leader->from_fill.relay == nullptr) {
        return NGX_ERROR;
    }
    while (fill->pending != nullptr) {
        ngx_chain_t* cl = fill->pending;
        if (fill->is_rest && !skip_known(fill, cl->buf)) {
            end_relay(leader, false);
            drop_fill(fill);
            return NGX_ERROR;
        }
        if (!take_buf(leader, fill, cl->buf)) {
            break;
        }
        const bool last = cl->buf->last_buf;
        fill->pending = cl->next;
        ngx_free_chain(r->pool, cl);
        if (last) {
            set_phase(fill, ClonePhase::kDone);
            hand_on_trailers(fill);
            end_relay(leader, true);
            break;
        }
    }
    if (fill->pending != nullptr) {
        r->buffered |= kFillBuffered;
    } else {
        r->buffered &= ~kFillBuffered;
    }
    post_waiter(&leader->waiter);
    return fill->pending != nullptr ? NGX_AGAIN : NGX_OK;
}

void end_relay(Ctx* leader, bool whole) noexcept {
    if (leader->from_fill.relay != nullptr && !leader->from_fill.relay->ended) {
        leader->from_fill.relay->ended = true;
        leader->from_fill.relay->whole = whole;
        post_waiter(&leader->waiter);
    }
}

}  // namespace slab_cache::ngx
