// ngx/request/ctx.h — what one client request knows about its way through the cache.
//
// Steps       start -> lookup -> serve                     hit, or stale
//                        |  \--> wait -> lookup | serve    somebody else fills
//                        |  \--> wait -> serve | relay     our own fill runs (clone_fill.h)
//                        |  \--> direct                    ... within this request (direct_fill.h)
//                        \-----> pass                      nginx's ordinary path, with a reason
// Ownership   a Ctx lives on its request's pool. Its cleanup releases pins, the waiter and the link to a fill, whatever
//             way the request ends. After an internal redirect nginx forgets the module context: a new Ctx is made when
//             the new location caches too, and find_ctx() still finds the last one for variables and the log.
#pragma once

#include "ngx/glue/ngx.h"

#include "base/check.h"
#include "cache/stored_head.h"
#include "http/fields.h"
#include "http/range.h"
#include "http/reason.h"
#include "ngx/conf/conf.h"
#include "ngx/request/step_table.h"
#include "ngx/zone/waiter.h"
#include "ngx/zone/zone.h"
#include "ngx/zone/whole_head.h"

namespace slab_cache::ngx {

struct CloneFill;
struct DirectFill;
struct PassingPost;
struct Relay;
struct TierVisit;  // ngx/fill/tier_visit.h

// An answer that is not sent but acted on (redirect.h). Lives on the client's pool.
struct Redirect {
    http::Fields fields;
};

enum class CacheStatus : uint8_t { kNone, kMiss, kBypass, kExpired, kStale, kUpdating, kRevalidated, kHit };
Bytes status_word(CacheStatus status) noexcept;  // nginx's words; empty for kNone

// How this request's own fill ended, or what it may do meanwhile.
enum class FillNews : uint8_t {
    kNone,
    kStored,      // ctx.pin is set: serve it, growing or complete
    kValidated,   // the same after a 304
    kRelay,       // not storable: the bytes come through ctx.relay
    kServeStale,  // the origin failed; the stale object may be served
    kRedirect,    // X-Accel-Redirect that is not stored: ctx.redirect
    kAskItself,   // not storable, and so that the client's own request is answered sooner: it passes, for ctx.reason
    kElsewhere,   // the location sends its requests elsewhere: ours goes there itself
    kError,       // a status of nginx's own making, for which there may be an error_page: ctx.error_status
};

// The client's URL, as keys, selectors and purges have it.
struct ClientUrl {
    Bytes host;        // lower case, without port
    Bytes uri;         // $slab_cache_uri: path and kept arguments, canonical
    Bytes inner_path;  // what rewrites and redirects made of it, decoded; empty where that is the same URL
    Bytes inner_args;

    bool differs_inside() const noexcept { return !inner_path.empty(); }
};

// The part of a file that is asked for, where the request is about that alone (sliced_request.h).
struct AskedPart {
    enum class By : uint8_t { kNobody, kClient, kSubrequest };  // the last: of nginx's slice module
    By by;
    http::ByteRange range;
    Bytes text;  // the same as $slice_range has it

    bool is_asked() const noexcept { return by != By::kNobody; }
    bool is_subrequest() const noexcept { return by == By::kSubrequest; }
};

// Steps lookup and wait: for somebody else's fill.
struct Waiting {
    bool collapsed;            // waited for somebody else's fill
    uint8_t fills_seen;        // ... so many of which came to their end
    bool is_asked_after;       // ... and the one it waits for now has asked the origin after this request came
    shm::Ticket first_ticket;  // whose progress was watched first, of
    shm::Digest first_lease;
    uint32_t answer_id;  // of the object that is_asked_after brought (fetch.h); 0: none
    uint64_t since_ms;
    uint64_t waited_ms;
    uint64_t deadline_ms;
};

// What a fill has for the client that leads it: written in fill/, read from the step wait on.
struct FromFill {
    FillNews news;
    Relay* relay;
    Redirect* redirect;
    int64_t origin_age;       // of the origin's answer: its Age field; -1: none
    http::Field* own_fields;  // what is not stored of it, but is this client's
    size_t own_count;
};

// Step streaming: the body of an object that grows.
struct Sending {
    uint64_t offset;  // bytes of the body handed to nginx
    uint64_t cursor;
    ngx_chain_t* free;
    ngx_chain_t* busy;
    ngx_temp_file_t* spool;  // spool.h
    bool asked_for_rest;     // rest_of_body.h
};

// Where the object is that the client is answered from.
enum class ObjectAt : uint8_t {
    kZone,     // in Ctx::pin, if there is one
    kSpooled,  // there as well, but what the client is sent lies in a file, and it is let go when it has come to its end
    kCopied,   // let go: `stored` is in our memory
    kDirect,   // the answer to this request was stored (direct_fill.h); `stored` is its head
};

struct Ctx {
    ngx_http_request_t* request;
    LocConf* conf;
    Zone* zone;

    // What the log says, and variables: any step writes them.
    Step step;       // written by set_step() alone
    uint8_t rounds;  // lookups after waiting, bounded
    CacheStatus status;
    http::Reason reason;

    // Steps start and lookup: how the origin may be asked.
    bool unlocked;       // without a lease
    bool marks_nothing;  // its fill marks nothing: others have not asked for what it asks
    bool has_type;       // of an answer that redirected here: files keep it
    bool was_let_in;     // by the location's access rules
    bool is_passing;     // goes nginx's ordinary way, looked at
    bool under_mark;     // passes because the key was found uncacheable a moment ago
    bool fill_args_differ;
    bool is_plain;  // reached by the URL as it is: a pushed object is for it
    ObjectAt object;

    // Step start: what is asked for. A fill copies it.
    ClientUrl url;
    Bytes written_args;  // of the client's URL: what the fill shows as $request_uri
    Bytes fill_args;     // arguments of the fill, in the order that it sends
    AskedPart part;

    // Steps start and lookup: under which key (cache_key.h, identity.h, find_object.h).
    uint64_t identity;
    Bytes url_key;  // of slot 0
    shm::Digest url_digest;
    Bytes key;  // primary, of the slot in use
    shm::Digest primary;
    Bytes variant_key;  // of the variant looked up; equals key where there are none
    shm::Digest digest;

    // From lookup on: what was found.
    shm::Pin pin;                  // served, or to be
    cache::StoredResponse stored;  // the head of the entry decoded last
    uint32_t stored_ref;           // ... which is this one; 0 = none
    bool stale_servable;           // should the origin fail,
    shm::Pin stale;                // what a revalidation started from

    shm::Ticket ticket;  // whose progress is watched; a fill may move it to its variant
    Waiter waiter;
    Waiting wait;

    TierVisit* tier;                         // what the tier said before our own; nullptr: it was not asked
    CloneFill* fill;                         // our own, while it runs
    DirectFill* direct;                      // ... when this request itself asks the origin (direct_fill.h)
    PassingPost* passing_post;               // its answer may be what GETs get (passing_post.h)
    void (*leave_fills)(Ctx* ctx) noexcept;  // parts from all of these; set with the first of them
    // What goes by to the client is copied; nullptr: it is not. Before the rest of the body filters.
    void (*take_body)(ngx_http_request_t* r, Ctx* ctx, ngx_chain_t* in) noexcept;
    FromFill from_fill;
    ngx_uint_t error_status;  // what nginx answers with at Next::kError

    Sending sending;
    ngx_http_handler_pt
        asks_origin;  // the location's content handler, once the request has one of ours; nullptr: nginx's own

    // What is counted, for the log and variables.
    int64_t age;  // -1: not served from store
    int64_t ttl;
    uint64_t started_us;  // clock_us() when the request came to the cache
    uint32_t saved_us;
    uint32_t hits;  // of an object that was copied
    bool is_sent;   // the answer is counted by its code
};

inline Ctx* get_ctx(ngx_http_request_t* r) noexcept {  // of the current location
    return static_cast<Ctx*>(ngx_http_get_module_ctx(r, ngx_http_slab_cache_module));
}
Ctx* find_ctx(ngx_http_request_t* r) noexcept;  // also across internal redirects; nullptr if never cached
Ctx* make_ctx(ngx_http_request_t* r, LocConf* conf) noexcept;
// The request ends, or does something else from now on: nothing of ours wakes it any more. Idempotent.
void detach_request(Ctx* ctx) noexcept;
// The access rules of a location sent it away, to a page for that: what it asked for must not happen.
bool was_refused(ngx_http_request_t* r) noexcept;

// The decoded head of ctx->pin; nullptr when it is nonsense. Decoded once per entry.
inline const cache::StoredResponse* stored_response(Ctx* ctx) noexcept {
    if (ctx->stored_ref != ctx->pin.ref) {
        ctx->stored = {};
        if (!cache::decode_head(whole_head(ctx->request->pool, ctx->zone->store, ctx->pin), &ctx->stored)) {
            ctx->stored_ref = 0;
            return nullptr;
        }
        ctx->stored_ref = ctx->pin.ref;
    }
    return &ctx->stored;
}

// There is an object behind this answer: it came from one, or became one.
inline bool is_head_kept(const Ctx* ctx) noexcept { return ctx->object >= ObjectAt::kCopied; }  // without a pin
inline bool has_object(const Ctx* ctx) noexcept { return ctx->pin || is_head_kept(ctx); }

// The only place where Ctx::step changes. An illegal move aborts a debug build, with the name of who asked for it.
inline void set_step(Ctx* ctx, Step to, [[maybe_unused]] const char* from_where = __builtin_FUNCTION()) noexcept {
    [[maybe_unused]] ngx_log_t* log = ctx->request->connection->log;
#if defined(SLAB_DEBUG)
    if (!base::is_legal_move(ctx->step, to)) {
        ngx_log_error(NGX_LOG_ALERT, log, 0, "slab_cache: illegal step %s -> %s, in %s()", row_of(ctx->step).name,
                      row_of(to).name, from_where);
        SLAB_DCHECK(false);
    }
#endif
    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, log, 0, "slab_cache: %s -> %s, round %d", row_of(ctx->step).name,
                   row_of(to).name, static_cast<int>(ctx->rounds));
    ctx->step = to;
}

inline void pass(Ctx* ctx, http::Reason reason) noexcept {
    set_step(ctx, Step::kPass);
    ctx->reason = reason;
}

}  // namespace slab_cache::ngx
