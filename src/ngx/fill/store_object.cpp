#include "ngx/glue/ngx.h"

#include "ngx/fill/store_object.h"

#include "cache/stored_head.h"
#include "cache/key.h"
#include "cache/variant_marker.h"
#include "http/date.h"
#include "http/field_judge.h"
#include "http/storable.h"
#include "http/syntax.h"
#include "http/tags.h"
#include "http/update.h"
#include "ngx/fill/origin_controls.h"
#include "ngx/request/controls.h"
#include "ngx/request/response_header.h"
#include "ngx/request/identity.h"
#include "ngx/zone/listing.h"
#include "ngx/fill/merge_304.h"
#include "ngx/request/cache_key.h"
#include "ngx/fill/object_selectors.h"
#include "ngx/fill/remember_hints.h"
#include "ngx/fill/tier_write.h"
#include "ngx/fill/variants.h"
#include "ngx/zone/whole_head.h"

namespace slab_cache::ngx {
namespace {

constexpr size_t kHeadSlack = 512;

bool copy_content_type(ngx_http_request_t* r, Lines* lines) noexcept {
    const auto& out = r->headers_out;
    if (out.content_type.len == 0) {
        return true;
    }
    Bytes type = view(out.content_type);
    if (out.content_type_len == out.content_type.len && out.charset.len != 0) {
        const size_t size = type.size() + sizeof("; charset=") - 1 + out.charset.len;
        auto* p = static_cast<u_char*>(ngx_pnalloc(r->pool, size));
        if (p == nullptr) {
            return false;
        }
        ngx_sprintf(p, "%V; charset=%V", &out.content_type, &out.charset);
        type = {reinterpret_cast<char*>(p), size};
    }
    lines->add("Content-Type", type);
    return true;
}

// Of the body that a HEAD's answer leaves out.
bool add_length(ngx_http_request_t* r, Lines* lines) noexcept {
    if (r->headers_out.content_length_n < 0) {
        return true;
    }
    auto* p = static_cast<u_char*>(ngx_pnalloc(r->pool, NGX_OFF_T_LEN));
    if (p == nullptr) {
        return false;
    }
    const u_char* end = ngx_sprintf(p, "%O", r->headers_out.content_length_n);
    lines->add("Content-Length", {reinterpret_cast<char*>(p), static_cast<size_t>(end - p)});
    return true;
}

// nginx keeps the origin's Date from clients by default and adds its own: a hit must show the origin's.
bool add_date(ngx_http_request_t* r, const http::Response& response, int64_t date, Lines* lines) noexcept {
    if (lines->has("Date")) {
        return true;
    }
    if (const http::Field* field = response.fields.find("Date")) {
        lines->add("Date", field->value);
        return true;
    }
    auto* p = static_cast<char*>(ngx_pnalloc(r->pool, http::kDateBytes));
    if (p == nullptr) {
        return false;
    }
    http::format_date(date, p);
    lines->add("Date", {p, http::kDateBytes});
    return true;
}

// A field that is not stored goes to the client whose request this fill answers; `room` is for how many there may be.
bool give_to_leader(Ctx* leader, const http::Field& field, size_t room) noexcept {
    if (leader == nullptr) {
        return true;
    }
    ngx_pool_t* pool = leader->request->pool;
    if (leader->from_fill.own_fields == nullptr) {
        leader->from_fill.own_fields = static_cast<http::Field*>(ngx_palloc(pool, room * sizeof(http::Field)));
        leader->from_fill.own_count = 0;
    }
    http::Field copy;
    if (leader->from_fill.own_fields == nullptr || !pool_copy(pool, field.name, &copy.name) ||
        !pool_copy(pool, field.value, &copy.value)) {
        return false;
    }
    leader->from_fill.own_fields[leader->from_fill.own_count++] = copy;
    return true;
}

// Of a status nginx keeps only what belongs to it, whoever made it: the rest is the page's.
bool status_lines(Fetch* fetch, const OriginResponse& origin, Lines* lines) noexcept {
    ngx_http_request_t* r = fetch->request;
    http::Field* all = nullptr;
    const http::Fields out = list_fields(r->pool, &r->headers_out.headers, 1, &all);
    if (all == nullptr) {
        return false;
    }
    *lines = {all, 0};  // filtered in place
    for (const http::Field& field : out) {
        if (base::equal_nocase(field.name, "Location") || base::equal_nocase(field.name, "WWW-Authenticate")) {
            const http::Field copy = field;
            lines->add(copy.name, copy.value);
        }
    }
    return add_date(r, origin.response, origin.freshness.date, lines);
}

// Of a redirect, and of a status that nginx intercepts, all that may be stored, X-Accel-… among it: what nginx takes to the
// new location is taken on each way there, and variables find the rest.
bool raw_lines(Fetch* fetch, const OriginResponse& origin, Lines* lines) noexcept {
    ngx_http_request_t* r = fetch->request;
    lines->data =
        static_cast<http::Field*>(ngx_palloc(r->pool, (origin.response.fields.size + 2) * sizeof(http::Field)));
    lines->size = 0;
    if (lines->data == nullptr) {
        return false;
    }
    const http::FieldJudge judge(origin.response.fields, fetch->conf->policy);
    for (const http::Field& field : origin.response.fields) {
        if (!base::equal_nocase(field.name, "Content-Length") &&
            !http::is_tag_field(field.name, fetch->conf->policy.tags) && judge.may_store(field.name)) {
            lines->add(field.name, field.value);
        }
    }
    return add_date(r, origin.response, origin.freshness.date, lines);
}

// What the client would have been sent, as far as it may be stored, in the origin's order.
bool stored_lines(Fetch* fetch, const OriginResponse& origin, Lines* lines) noexcept {
    ngx_http_request_t* r = fetch->request;
    if (origin.kind == AnswerKind::kStatus) {
        return origin.intercepted ? raw_lines(fetch, origin, lines) : status_lines(fetch, origin, lines);
    }
    if (origin.kind == AnswerKind::kRedirect) {
        return raw_lines(fetch, origin, lines);
    }
    http::Field* all = nullptr;
    const http::Fields out = list_fields(r->pool, &r->headers_out.headers, 4, &all);
    lines->data = static_cast<http::Field*>(ngx_palloc(r->pool, (out.size + 6 + kMostControls) * sizeof(http::Field)));
    lines->size = 0;
    if (all == nullptr || lines->data == nullptr || !copy_content_type(r, lines)) {
        return false;
    }
    const http::FieldJudge judge(origin.response.fields, fetch->conf->policy);
    for (const http::Field& field : out) {
        if (base::equal_nocase(field.name, "Content-Length") || base::equal_nocase(field.name, "Content-Type") ||
            http::is_tag_field(field.name, fetch->conf->policy.tags)) {
            continue;
        }
        if (!judge.may_store(field.name)) {
            if (judge.is_for_leader(field.name) && !give_to_leader(fetch->leader, field, out.size)) {
                return false;
            }
            continue;
        }
        lines->add(field.name, field.value);
    }
    if (fetch->identity == kHeadIdentity && !add_length(r, lines)) {
        return false;
    }
    if (!origin.from_upstream && !lines->has("Last-Modified")) {
        if (const http::Field* field = origin.response.fields.find("Last-Modified")) {
            lines->add(field->name, field->value);
        }
    }
    return add_date(r, origin.response, origin.freshness.date, lines);
}

bool build_head(Fetch* fetch, const Lines& lines, const http::Response& response, const http::Freshness& freshness,
                Bytes* head) noexcept {
    size_t size = sizeof(cache::HeadFixed) + kHeadSlack;
    size_t wire = 0;
    int64_t last_modified = -1;
    for (size_t i = 0; i < lines.size; i++) {
        const http::Field& field = lines.data[i];
        size += 2 * field.name.size() + field.value.size() + 4;
        wire += field.name != kKeptTags ? field.name.size() + field.value.size() + 4 : 0;
        if (base::equal_nocase(field.name, "Last-Modified")) {
            last_modified = http::parse_date(field.value, response.response_time).value_or(-1);
        }
    }
    if (wire > fetch->conf->policy.max_header_bytes) {
        return false;
    }
    auto* buffer = static_cast<char*>(ngx_palloc(fetch->request->pool, size));
    if (buffer == nullptr) {
        return false;
    }
    cache::HeadBuilder builder(buffer, size);
    for (size_t i = 0; i < lines.size; i++) {
        builder.add(lines.data[i].name, lines.data[i].value);
    }
    if (!builder.finish(response.status, last_modified, stored_facts(response, freshness))) {
        return false;
    }
    *head = builder.head();
    return true;
}

void set_times(shm::NewEntry* what, Fetch* fetch, const http::Response& response,
               const http::Freshness& freshness) noexcept {
    const http::StoredFacts facts = stored_facts(response, freshness);
    what->birth = fetch->birth;
    what->asked = fetch->asked;
    what->fresh_until_sec = facts.fresh_until;
    what->stale_until_sec = http::useful_until(facts);
    const time_t inactive = fetch->zone->inactive;
    if (inactive != 0 && what->stale_until_sec - inactive > facts.fresh_until) {
        what->stale_until_sec = facts.fresh_until + inactive;
    }
    const uint64_t cost = (now_ms() - fetch->started_ms) * 1000;
    what->fill_cost_us = cost < UINT32_MAX ? static_cast<uint32_t>(cost) : UINT32_MAX;
}

// gzip_static without gzip_vary does not say that a file depends on Accept-Encoding where it has none that fits.
bool is_file_perhaps_precompressed(const Fetch* fetch) noexcept {
    ngx_http_request_t* r = fetch->request;
    return r->upstream == nullptr && !core_loc_conf(r)->gzip_vary && main_conf(r)->has_precompressed;
}

uint32_t kind_flags(const Fetch* fetch, const OriginResponse& origin) noexcept {
    switch (origin.kind) {
    case AnswerKind::kStatus:
        return cache::kStatusFlag | (origin.intercepted ? cache::kInterceptedFlag : 0);
    case AnswerKind::kRedirect:
        return cache::kRedirectFlag;
    case AnswerKind::kBody:
        break;
    }
    return (fetch->identity == kHeadIdentity ? cache::kHeadFlag : 0) |
           (leaves_vary_to_nginx(fetch->request) || is_file_perhaps_precompressed(fetch) ? cache::kGzipVaryFlag : 0) |
           (is_location_ours(fetch->request->headers_out) ? cache::kOwnLocationFlag : 0) |
           (is_server_withheld(fetch->request->headers_out) ? cache::kNoServerFlag : 0);
}

// The fields that decide about variants: those of the response, and what nginx would say for its content handler.
bool varying_fields(Fetch* fetch, const OriginResponse& origin, uint32_t flags, http::Fields* out) noexcept {
    *out = origin.response.fields;
    if ((flags & cache::kGzipVaryFlag) == 0) {
        return true;
    }
    const size_t n = out->size;
    auto* lines = static_cast<http::Field*>(ngx_palloc(fetch->request->pool, (n + 1) * sizeof(http::Field)));
    if (lines == nullptr) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        lines[i] = origin.response.fields.data[i];
    }
    lines[n] = {"Vary", "Accept-Encoding"};
    *out = {lines, n + 1, out->names | http::name_bit("Vary")};
    return true;
}

// A coding that the request's set does not stand for would reach others who do not take it.
bool is_coding_taken(Fetch* fetch, const http::Fields& fields, const Lines& lines) noexcept {
    const http::Fields stored{lines.data, lines.size};
    const http::Field* coding = stored.find("Content-Encoding");
    bool varies = false;
    for (const http::Field& line : fields.lines("Vary")) {
        varies = varies || http::list_has(line.value, "Accept-Encoding");
    }
    if (coding == nullptr || !varies) {
        return true;
    }
    const http::Fields request = request_fields(fetch->request);
    return !request.has("Accept-Encoding")  // then any will do (RFC 9110 §12.5.3), and that is a variant of its own
           || http::takes_encoding(request, http::trim(coding->value));
}

}  // namespace

shm::Status begin_object(Fetch* fetch, const OriginResponse& origin, http::Reason* reason) noexcept {
    Lines lines;
    Bytes head;
    http::Fields varying;
    uint32_t flags = kind_flags(fetch, origin);
    if (!varying_fields(fetch, origin, flags, &varying)) {
        *reason = http::Reason::kInternal;
        return shm::Status::kNoSpace;
    }
    if (!stored_lines(fetch, origin, &lines)) {
        *reason = http::Reason::kInternal;
        return shm::Status::kNoSpace;
    }
    if (origin.kind == AnswerKind::kBody && keep_controls(fetch, origin, &lines)) {
        flags |= cache::kControlsFlag;
    }
    if (origin.kind == AnswerKind::kBody && keep_tags(fetch, origin.response.fields, {}, &lines)) {
        flags |= cache::kControlsFlag;
    }
    if (!build_head(fetch, lines, origin.response, origin.freshness, &head)) {
        *reason = http::Reason::kHeadersTooBig;
        return shm::Status::kTooLarge;
    }
    if (!is_coding_taken(fetch, varying, lines)) {
        *reason = http::Reason::kVariant;
        fetch->marks_nothing = true;  // it says nothing of what others get
        return shm::Status::kTooLarge;
    }
    fetch->head = head;
    cache::SelectorList selectors(arena_of(fetch->request->pool));
    *reason = collect_selectors(fetch, origin.response.fields, {}, &selectors);
    if (*reason != http::Reason::kNone) {
        return shm::Status::kTooLarge;
    }
    shm::NewEntry what;
    what.key = fetch->key;
    what.digest = fetch->primary;
    what.head = head;
    what.selectors = selectors.data();
    what.selector_count = selectors.size();
    what.body_bytes = fetch->expected;
    what.flags = flags;
    set_times(&what, fetch, origin.response, origin.freshness);
    if (!choose_variant(fetch, varying, &what, reason)) {
        return shm::Status::kTooLarge;
    }
    const shm::Status status = fetch->zone->store.begin(what, now_sec(), &fetch->writer);
    if (status == shm::Status::kOk && origin.kind == AnswerKind::kBody) {
        remember_hints(fetch, {lines.data, lines.size}, what);
    }
    return status;
}

namespace {

shm::Status copy_body(CloneFill* fill) noexcept {
    shm::Store& store = fill->zone->store;
    const uint64_t length = static_cast<uint64_t>(shm::Store::body_length(fill->stale));
    uint64_t offset = 0;
    uint64_t cursor = 0;
    while (offset < length) {
        shm::Segment segment[16];
        const uint32_t n = store.segments(fill->stale, offset, &cursor, segment, 16);
        if (n == 0) {
            return shm::Status::kCorrupt;
        }
        for (uint32_t i = 0; i < n; i++) {
            const shm::Status status = store.append(&fill->writer, {segment[i].data, segment[i].len}, now_sec());
            if (status != shm::Status::kOk) {
                return status;
            }
            offset += segment[i].len;
        }
    }
    return shm::Status::kOk;
}

shm::Status write_again(CloneFill* fill, const shm::NewEntry& what, shm::Pin* pin) noexcept {
    shm::Store& store = fill->zone->store;
    shm::Status status = store.begin(what, now_sec(), &fill->writer);
    if (status == shm::Status::kOk) {
        status = copy_body(fill);
    }
    if (status == shm::Status::kOk) {
        *pin = store.pin_writer(fill->writer);
        status = publish(fill, &fill->listed);
    }
    store.abort(&fill->writer);
    return status;
}

}  // namespace

namespace {

// What the 304 brings for the client whose request led to it, and for nobody else.
bool give_askers_fields(CloneFill* fill, const OriginResponse& origin, const http::Fields& result) noexcept {
    ngx_http_request_t* r = fill->request;
    const http::Fields passed = list_fields(r->pool, &r->headers_out.headers, 0, nullptr);
    for (const http::Field& field : passed) {
        if (http::is_for_asker(field.name, origin.response.fields, result, fill->conf->policy) &&
            !give_to_leader(fill->leader, field, passed.size)) {
            return false;
        }
    }
    return true;
}

struct Renewed {
    const http::Response& response;
    const http::Freshness& freshness;
    const cache::SelectorList& selectors;
    bool has_controls;
};

uint32_t selector_count_of(const shm::Pin& pin) noexcept {
    uint32_t n = 0;
    (void) shm::Store::selectors(pin, &n);
    return n;
}

shm::Status write_renewed(CloneFill* fill, const Renewed& renewed, Lines* lines, shm::Pin* pin) noexcept {
    Bytes head;
    if (!add_date(fill->request, renewed.response, renewed.freshness.date, lines) ||
        !build_head(fill, *lines, renewed.response, renewed.freshness, &head)) {
        return shm::Status::kTooLarge;
    }
    shm::NewEntry what;
    what.selectors = renewed.selectors.data();
    what.selector_count = renewed.selectors.size();
    what.key = fill->key;
    what.digest = fill->primary;
    what.head = head;
    what.body_bytes = shm::Store::body_length(fill->stale);
    what.flags =
        (shm::Store::flags(fill->stale) & cache::kKindFlags) | (renewed.has_controls ? cache::kControlsFlag : 0);
    set_times(&what, fill, renewed.response, renewed.freshness);
    what.fill_cost_us = shm::Store::fill_cost_us(fill->stale);  // of the whole thing, not of the 304
    http::Reason reason = http::Reason::kNone;
    if (!choose_variant(fill, renewed.response.fields, &what, &reason)) {  // the 304 may name another Vary
        return shm::Status::kTooLarge;
    }
    remember_hints(fill, {lines->data, lines->size}, what);
    return write_again(fill, what, pin);
}

}  // namespace

shm::Status publish_validated(CloneFill* fill, const OriginResponse& origin, shm::Pin* pin) noexcept {
    cache::StoredResponse stored;
    Merge merged;
    if (!cache::decode_head(whole_head(fill->request->pool, fill->zone->store, fill->stale), &stored) ||
        !merge_header(fill, origin, stored, &merged)) {
        return shm::Status::kCorrupt;
    }
    http::Response response = origin.response;
    response.status = stored.status;
    response.fields = {merged.evaluated.data, merged.evaluated.size};
    if (!give_askers_fields(fill, origin, response.fields)) {
        return shm::Status::kCorrupt;
    }
    if (!http::is_update_of(stored.etag, origin.response.fields)) {
        // It names another version: what is stored answers this request, by the origin's word, and no other.
        (void) fill->zone->store.remove(fill->digest, shm::Store::key(fill->stale));
        return shm::Status::kPurged;
    }
    const http::Freshness freshness =
        http::evaluate_freshness(response, fill->conf->policy, static_cast<uint32_t>(ngx_random()));
    if (const auto may = http::storable(asked_facts(fill), response, freshness, fill->conf->policy); !may) {
        if (may.reason != http::Reason::kNoFreshness) {  // else it stays as it is, to be asked about again
            (void) fill->zone->store.remove(fill->digest, shm::Store::key(fill->stale));
        }
        return shm::Status::kPurged;
    }
    cache::SelectorList selectors(arena_of(fill->request->pool));
    const http::Reason no = collect_selectors(fill, response.fields, fill->stale, &selectors);
    const bool has_kept_tags = keep_tags(fill, origin.response.fields, fill->stale, &merged.lines);
    const Renewed renewed = {response, freshness, selectors,
                             keep_controls(fill, origin, &merged.lines) || has_kept_tags};
    const bool has_new_tags = no != http::Reason::kNone || selectors.size() > selector_count_of(fill->stale);
    const shm::Digest digest = fill->digest;
    const shm::Status status =
        no == http::Reason::kNone ? write_renewed(fill, renewed, &merged.lines, pin) : shm::Status::kTooLarge;
    if (status != shm::Status::kOk && has_new_tags) {
        // As it was it does not carry them: a purge of one would miss it.
        (void) fill->zone->store.remove(digest, shm::Store::key(fill->stale));
    }
    return status;
}

}  // namespace slab_cache::ngx
