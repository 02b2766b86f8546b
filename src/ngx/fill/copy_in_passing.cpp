#include "ngx/glue/ngx.h"

#include "ngx/fill/copy_in_passing.h"

#include "ngx/fill/capture.h"
#include "ngx/request/accounting.h"
#include "ngx/zone/listing.h"
#include "ngx/fill/store_object.h"

namespace slab_cache::ngx {
namespace {

constexpr size_t kReadBytes = 32 * 1024;

http::Reason append_bytes(Fetch* fetch, const u_char* data, size_t n) noexcept {
    fetch->received += n;
    const shm::Status status =
        fetch->zone->store.append(&fetch->writer, {reinterpret_cast<const char*>(data), n}, now_sec());
    return status == shm::Status::kOk ? http::Reason::kNone : reason_of(status);
}

http::Reason append_file(Fetch* fetch, const ngx_buf_t* b) noexcept {
    if (fetch->read_buffer == nullptr) {
        fetch->read_buffer = static_cast<u_char*>(ngx_palloc(fetch->request->pool, kReadBytes));
        if (fetch->read_buffer == nullptr) {
            return http::Reason::kInternal;
        }
    }
    for (off_t at = b->file_pos; at < b->file_last;) {
        const off_t left = b->file_last - at;
        const size_t want = left < static_cast<off_t>(kReadBytes) ? static_cast<size_t>(left) : kReadBytes;
        const ssize_t n = read_file(b->file, fetch->read_buffer, want, at);
        if (n <= 0) {
            return http::Reason::kInternal;
        }
        const http::Reason no = append_bytes(fetch, fetch->read_buffer, static_cast<size_t>(n));
        if (no != http::Reason::kNone) {
            return no;
        }
        at += n;
    }
    return http::Reason::kNone;
}

void publish_copy(DirectFill* fill) noexcept {
    if (fill->expected >= 0 && fill->received != static_cast<uint64_t>(fill->expected)) {
        stop_copying(fill, http::Reason::kTruncated);
        return;
    }
    count(fill->zone, Counter::kBytesFromOrigin, fill->received);
    const shm::Status status = publish(fill, &fill->listed);
    if (status != shm::Status::kOk) {
        stop_copying(fill, reason_of(status));
        return;
    }
    count(fill->zone, Counter::kFillsStored);
    fill->conf->history->copies_in_passing = true;
    stop_copying(fill, http::Reason::kNone);
}

void progress(DirectFill* fill) noexcept {
    if (fill->ticket) {
        shm::WakeSet wake;  // nobody reads it yet: none is woken
        fill->zone->store.lease_progress(fill->ticket, now_ms(), &wake);
    }
}

}  // namespace

http::Reason append_buf(Fetch* fetch, const ngx_buf_t* b) noexcept {
    if (ngx_buf_in_memory(b)) {
        return append_bytes(fetch, b->pos, static_cast<size_t>(b->last - b->pos));
    }
    return b->in_file ? append_file(fetch, b) : http::Reason::kNone;
}

http::Reason begin_copying(DirectFill* fill, const OriginResponse& origin) noexcept {
    http::Reason reason = http::Reason::kNone;
    const shm::Status status = begin_object(fill, origin, &reason);
    if (status != shm::Status::kOk) {
        return reason != http::Reason::kNone ? reason : reason_of(status);
    }
    set_phase(fill, DirectPhase::kCopying);
    if (has_no_body(origin.response.status)) {
        publish_copy(fill);  // nginx sends nothing behind such a header, nor an end
    }
    return http::Reason::kNone;
}

void copy_chain(DirectFill* fill, ngx_chain_t* in) noexcept {
    for (; in != nullptr && fill->phase == DirectPhase::kCopying; in = in->next) {
        ngx_buf_t* b = in->buf;
        const http::Reason no = append_buf(fill, b);
        if (no != http::Reason::kNone) {
            stop_copying(fill, no);
        } else if (b->last_buf) {
            publish_copy(fill);
        } else {
            progress(fill);
        }
    }
}

void stop_copying(DirectFill* fill, http::Reason reason) noexcept {
    if (fill->phase != DirectPhase::kCopying) {
        return;
    }
    fill->zone->store.abort(&fill->writer);
    set_phase(fill, DirectPhase::kAnswered);
    if (reason != http::Reason::kNone) {
        count(fill->zone, reason);
        fill->leader->reason = reason;
    }
    end_lease(fill, shm::LeaseState::kPublished, 0);
}

}  // namespace slab_cache::ngx
