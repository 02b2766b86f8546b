#include "ngx/glue/ngx.h"

#include "ngx/fill/capture.h"

#include "http/range.h"
#include "http/storable.h"
#include "ngx/request/accounting.h"
#include "ngx/fill/direct_fill.h"
#include "ngx/zone/listing.h"
#include "ngx/request/identity.h"
#include "ngx/zone/hit_for_miss.h"
#include "ngx/fill/origin_response.h"
#include "ngx/fill/post_copy.h"
#include "ngx/fill/store_object.h"
#include "ngx/fill/trailers.h"
#include "ngx/fill/upstream_buffer.h"
#include "ngx/fill/kept_redirect.h"
#include "ngx/fill/relay_queue.h"
#include "ngx/fill/rest_of_body.h"

namespace slab_cache::ngx {
namespace {

constexpr size_t kFileBuffer = 64 * 1024;
constexpr int64_t kWorthSkipping = 1 << 20;

// What nginx would have made of it with its own buffer.
void refuse_big_header(CloneFill* fill, OriginResponse* origin) noexcept {
    ngx_log_error(NGX_LOG_ERR, fill->request->connection->log, 0, "upstream sent too big header");
    origin->response.status = NGX_HTTP_BAD_GATEWAY;
    origin->origin_status = NGX_HTTP_BAD_GATEWAY;
    origin->from_upstream = false;
    if (!stale_instead(fill, *origin)) {
        fill->stale_servable = false;
    }
    fail_fill(fill, NGX_HTTP_BAD_GATEWAY);
    drop_fill(fill);
}

// The leader wants one range that begins so far behind that the origin gives it sooner than we could skip to it.
bool wants_far_range(const CloneFill* fill) noexcept {
    const Ctx* leader = fill->leader;
    const ngx_http_request_t* r = leader->request;
    if (leader->pin || leader->part.is_asked() || r->method != NGX_HTTP_GET || r->headers_in.range == nullptr ||
        fill->expected < kWorthSkipping) {
        return false;
    }
    http::RangeSet set;
    http::parse_ranges(view(r->headers_in.range->value), static_cast<uint64_t>(fill->expected), &set);
    return set.answer == http::RangeAnswer::kPartial && set.count == 1 &&
           set.ranges[0].first > static_cast<uint64_t>(kWorthSkipping);
}

// Not for the cache: the leader gets it as it comes, everybody else goes by themselves.
void refuse(CloneFill* fill, http::Reason reason) noexcept {
    note_refusal(fill, reason);
    if (fill->leader == nullptr || fill->leader->step == Step::kAnswered) {
        drop_fill(fill);
        return;
    }
    fill->leader->reason = reason;
    if (wants_far_range(fill)) {
        tell_leader(fill, FillNews::kAskItself);
        drop_fill(fill);
        return;
    }
    set_phase(fill, ClonePhase::kRelaying);
    if (!start_relay(fill->leader, fill)) {
        drop_fill(fill);
        return;
    }
    if (fill->leader->pin) {
        post_waiter(&fill->leader->waiter);  // it serves from the zone, and goes on by relay
    } else {
        tell_leader(fill, FillNews::kRelay);
    }
}

// The object is in the zone, growing: whoever waits can have it.
void announce(CloneFill* fill, const http::Fields& origin) noexcept {
    set_phase(fill, ClonePhase::kStoring);
    if (fill->leader != nullptr) {
        fill->leader->from_fill.origin_age = origin.has("Age") ? http::received_age(origin) : -1;
        fill->leader->stored_ref = 0;
        fill->leader->pin = fill->zone->store.pin_writer(fill->writer);
        tell_leader(fill, FillNews::kStored);
    }
    if (fill->ticket) {
        shm::WakeSet wake;
        const uint32_t cell = fill->ticket.cell;
        fill->zone->store.lease_attach(fill->ticket, fill->writer, &wake);
        wake_workers(fill->zone, wake, cell);
    }
}

void progress(CloneFill* fill) noexcept {
    if (fill->ticket) {
        shm::WakeSet wake;
        const uint32_t cell = fill->ticket.cell;
        fill->zone->store.lease_progress(fill->ticket, now_ms(), &wake);
        wake_workers(fill->zone, wake, cell);
    }
    wake_leader(fill);
}

// The zone takes no more of it. The leader, who has read from the zone so far, gets the rest by relay.
void overflow(CloneFill* fill, http::Reason reason) noexcept {
    fill->zone->store.abort(&fill->writer);
    refuse(fill, reason);
}

bool store_bytes(CloneFill* fill, Bytes bytes) noexcept {
    const shm::Status status = fill->zone->store.append(&fill->writer, bytes, now_sec());
    if (status == shm::Status::kOk) {
        fill->received += bytes.size();
        return true;
    }
    // What append() took before it gave up can be read; the relay carries on behind it.
    const uint64_t taken = fill->writer.written - fill->received;
    fill->received += taken;
    overflow(fill, reason_of(status));
    if (fill->phase == ClonePhase::kRelaying) {
        relay_bytes(fill->leader, base::slice(bytes, taken));
        fill->received += bytes.size() - taken;
    }
    return false;
}

// Bodies of static files come as file bufs: read here, in pieces.
bool store_file(CloneFill* fill, ngx_buf_t* b) noexcept {
    if (fill->read_buffer == nullptr) {
        fill->read_buffer = static_cast<u_char*>(ngx_palloc(fill->request->pool, kFileBuffer));
        if (fill->read_buffer == nullptr) {
            return false;
        }
    }
    while (b->file_pos < b->file_last && fill->phase == ClonePhase::kStoring) {
        const off_t left = b->file_last - b->file_pos;
        const size_t want = left < static_cast<off_t>(kFileBuffer) ? static_cast<size_t>(left) : kFileBuffer;
        const ssize_t n = read_file(b->file, fill->read_buffer, want, b->file_pos);
        if (n <= 0) {
            return false;
        }
        b->file_pos += n;
        store_bytes(fill, {reinterpret_cast<char*>(fill->read_buffer), static_cast<size_t>(n)});
    }
    return true;
}

ngx_int_t store_chain(CloneFill* fill, ngx_chain_t* in) noexcept {
    bool grew = false;
    for (; in != nullptr && fill->phase == ClonePhase::kStoring; in = in->next) {
        ngx_buf_t* b = in->buf;
        if (ngx_buf_in_memory(b)) {
            const auto n = static_cast<size_t>(b->last - b->pos);
            if (n != 0) {
                store_bytes(fill, {reinterpret_cast<char*>(b->pos), n});
                b->pos = b->last;
                grew = true;
            }
            if (fill->phase != ClonePhase::kStoring) {
                break;  // what follows goes by relay, this buf's last_buf included
            }
        } else if (b->in_file) {
            grew = true;
            if (!store_file(fill, b)) {
                return NGX_ERROR;
            }
            if (fill->phase != ClonePhase::kStoring) {
                break;
            }
        }
        if (b->last_buf) {
            fill->body_ended = true;
            hand_on_trailers(fill);
            finish_capture(fill);
            return NGX_OK;
        }
    }
    if (fill->phase == ClonePhase::kRelaying) {
        return relay_chain(fill, in);
    }
    if (grew) {
        progress(fill);
    }
    return NGX_OK;
}

ngx_int_t store_response(CloneFill* fill, const OriginResponse& origin) noexcept {
    http::Reason reason = http::Reason::kNone;
    const shm::Status status = begin_object(fill, origin, &reason);
    if (status != shm::Status::kOk) {
        refuse(fill, reason != http::Reason::kNone ? reason : reason_of(status));
        return NGX_OK;
    }
    if (fill->for_get != nullptr) {
        begin_post_copy(fill->for_get, *fill, origin);
    }
    announce(fill, origin.response.fields);
    return NGX_OK;
}

// Not for the cache, and nothing to be sent on: the client's own request does what nginx would have done.
void refuse_bodyless(CloneFill* fill, const OriginResponse& origin, http::Reason reason) noexcept {
    note_refusal(fill, reason);
    set_phase(fill, ClonePhase::kDone);
    Ctx* leader = fill->leader;
    if (leader == nullptr || leader->step == Step::kAnswered) {
        return;
    }
    leader->reason = reason;
    if (origin.kind == AnswerKind::kStatus) {
        const bool failed = !keep_status_lines(leader, fill->request) ||
                            (origin.intercepted && !keep_redirect(leader, origin.response.fields));
        leader->error_status = failed ? NGX_HTTP_INTERNAL_SERVER_ERROR : origin.response.status;
        tell_leader(fill, FillNews::kError);
    } else if (keep_redirect(leader, origin.response.fields)) {
        tell_leader(fill, FillNews::kRedirect);
    } else {
        leader->error_status = NGX_HTTP_INTERNAL_SERVER_ERROR;
        tell_leader(fill, FillNews::kError);
    }
}

void take_bodyless(CloneFill* fill, const OriginResponse& origin) noexcept {
    if (fill->leader != nullptr) {
        copy_upstream_states(fill, fill->leader);  // it may be gone, and logged, before the fill has ended
    }
    http::Reason no = why_not_stored(fill, origin, fill->stale);
    shm::Pin pin;
    if (no == http::Reason::kNone) {
        no = store_bodyless(fill, origin, &pin);
    }
    if (no != http::Reason::kNone) {
        const bool failed = origin.kind == AnswerKind::kStatus && !origin.intercepted &&
                            origin.response.status >= NGX_HTTP_INTERNAL_SERVER_ERROR &&
                            fill->request->upstream != nullptr;
        refuse_bodyless(fill, origin, failed ? http::Reason::kOriginError : no);
        return;
    }
    set_phase(fill, ClonePhase::kDone);
    give_leader(fill, &pin, FillNews::kStored);
    end_lease(fill, shm::LeaseState::kPublished, 0);
}

// What we have is still right: its header is brought up to date, and it is fresh again.
void validated(CloneFill* fill, const OriginResponse& origin) noexcept {
    shm::Pin pin;
    const shm::Status status = publish_validated(fill, origin, &pin);
    if (!pin) {  // it could not be written anew: the old header is still a right answer to this request
        pin = fill->zone->store.repin(fill->stale);
    }
    set_phase(fill, ClonePhase::kDone);
    if (status == shm::Status::kOk) {
        end_lease(fill, shm::LeaseState::kPublished, 0);
    } else {
        count(fill->zone, reason_of(status));
        end_lease(fill, shm::LeaseState::kPrivate, static_cast<uint32_t>(reason_of(status)));
    }
    give_leader(fill, &pin, FillNews::kValidated);
}

}  // namespace

void note_refusal(Fill* fill, http::Reason reason) noexcept {
    count(fill->zone, Counter::kFillsRefused);
    count(fill->zone, reason);
    if (!fill->marks_nothing && fill->request->headers_out.status < NGX_HTTP_INTERNAL_SERVER_ERROR &&
        http::mark_of(reason) != http::Mark::kNo) {
        mark_uncacheable(fill->zone, mark_digest(fill->digest, fill->identity, fill->kind), reason);
    }
    end_lease(fill, shm::LeaseState::kPrivate, static_cast<uint32_t>(reason));
}

http::Reason reason_of(shm::Status status) noexcept {
    switch (status) {
    case shm::Status::kTooLarge:
        return http::Reason::kTooBig;
    case shm::Status::kNoSpace:
        return http::Reason::kNoSpace;
    case shm::Status::kPurged:
        return http::Reason::kPurgedInflight;
    default:
        return http::Reason::kBusy;
    }
}

ngx_int_t capture_header(CloneFill* fill) noexcept {
    if (fill->phase != ClonePhase::kFetching) {
        return NGX_OK;
    }
    if (fill->is_rest) {
        take_rest(fill);
        return NGX_OK;
    }
    if (is_redirect_lost(fill->request)) {
        capture_redirect(fill);
        return NGX_OK;
    }
    OriginResponse origin;
    if (!read_origin(fill, &origin)) {
        fail_fill(fill, NGX_HTTP_INTERNAL_SERVER_ERROR);
        drop_fill(fill);
        return NGX_OK;
    }
    if (is_header_too_big(fill)) {
        refuse_big_header(fill, &origin);
        return NGX_OK;
    }
    if (fill->request->method == NGX_HTTP_HEAD) {
        fill->request->header_only = 1;  // else nginx's header filter sets it: not all gateways know that no body comes
    }
    note_history(fill);
    unbuffer(fill);
    count_origin(fill->zone, now_ms() - fill->started_ms, origin.origin_status);
    if (confirms_stored(fill, origin)) {
        clear_failures(fill->zone, with_identity(fill->digest, fill->identity));
        validated(fill, origin);
        return NGX_OK;
    }
    if (stale_instead(fill, origin)) {
        fail_fill(fill, origin.origin_status);
        drop_fill(fill);
        return NGX_OK;
    }
    if (origin.origin_status >= NGX_HTTP_INTERNAL_SERVER_ERROR) {
        count(fill->zone, Counter::kFillsFailed);
    } else {
        clear_failures(fill->zone, with_identity(fill->digest, fill->identity));
    }
    if (origin.kind != AnswerKind::kBody) {
        take_bodyless(fill, origin);
        return NGX_OK;
    }
    const http::Reason no = why_not_stored(fill, origin, fill->stale);
    if (no != http::Reason::kNone) {
        refuse(fill, no);
        return NGX_OK;
    }
    return store_response(fill, origin);
}

http::Reason store_bodyless(Fill* fill, const OriginResponse& origin, shm::Pin* pin) noexcept {
    http::Reason reason = http::Reason::kNone;
    shm::Store& store = fill->zone->store;
    shm::Status status = begin_object(fill, origin, &reason);
    shm::Pin made;
    if (status == shm::Status::kOk) {
        made = store.pin_writer(fill->writer);
        status = publish(fill, &fill->listed);
    }
    store.abort(&fill->writer);
    if (status == shm::Status::kOk) {
        count(fill->zone, Counter::kFillsStored);
        if (pin != nullptr) {
            *pin = made;
        } else {
            store.unpin(&made);
        }
        return http::Reason::kNone;
    }
    store.unpin(&made);
    return reason != http::Reason::kNone ? reason : reason_of(status);
}

void capture_redirect(CloneFill* fill) noexcept {
    OriginResponse origin;
    if (read_redirect(fill, &origin)) {
        count_origin(fill->zone, now_ms() - fill->started_ms, origin.origin_status);
        clear_failures(fill->zone, with_identity(fill->digest, fill->identity));
        take_bodyless(fill, origin);
        return;
    }
    note_refusal(fill, http::Reason::kElsewhere);
    set_phase(fill, ClonePhase::kDone);
    tell_leader(fill, FillNews::kElsewhere);
}

ngx_int_t capture_body(CloneFill* fill, ngx_chain_t* in) noexcept {
    if (fill->for_get != nullptr) {
        copy_post(fill->for_get, in);
    }
    switch (fill->phase) {
    case ClonePhase::kStoring:
        return store_chain(fill, in);
    case ClonePhase::kRelaying:
        return relay_chain(fill, in);
    case ClonePhase::kFetching:
    case ClonePhase::kDropping:
    case ClonePhase::kDone:
        break;
    }
    for (; in != nullptr; in = in->next) {  // nobody's: consumed unread
        in->buf->pos = in->buf->last;
        in->buf->file_pos = in->buf->file_last;
    }
    return NGX_OK;
}

void finish_capture(CloneFill* fill) noexcept {
    const bool bodyless = fill->request->header_only || fill->expected == 0;
    const bool ended = fill->body_ended || (bodyless && fill->request->request_complete);
    if (!ended || (fill->expected >= 0 && fill->received != static_cast<uint64_t>(fill->expected))) {
        fill->zone->store.abort(&fill->writer);
        count(fill->zone, http::Reason::kTruncated);
        tell_reason(fill, http::Reason::kTruncated);
        set_phase(fill, ClonePhase::kDone);
        count(fill->zone, Counter::kFillsFailed);
        end_lease(fill, shm::LeaseState::kFailed, NGX_HTTP_BAD_GATEWAY);
        return;
    }
    set_phase(fill, ClonePhase::kDone);
    count(fill->zone, Counter::kBytesFromOrigin, fill->received);
    const shm::Status status = publish(fill, &fill->listed);
    if (status == shm::Status::kOk) {
        count(fill->zone, Counter::kFillsStored);
    } else {
        // Its readers can finish all the same; only nobody will find it.
        fill->zone->store.abort(&fill->writer);
        count(fill->zone, reason_of(status));
        tell_reason(fill, reason_of(status));
    }
    end_lease(fill, shm::LeaseState::kPublished, 0);
    wake_leader(fill);
}

}  // namespace slab_cache::ngx
