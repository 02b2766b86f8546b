#include "ngx/glue/ngx.h"

#include "ngx/fill/store_message.h"

#include "cache/key.h"
#include "cache/stored_head.h"
#include "cache/variant_marker.h"
#include "http/date.h"
#include "http/field_judge.h"
#include "http/storable.h"
#include "http/syntax.h"
#include "http/tags.h"
#include "http/vary.h"
#include "ngx/request/controls.h"
#include "ngx/zone/user_area.h"

namespace slab_cache::ngx {
namespace {

bool is_accel(Bytes name) noexcept {
    constexpr Bytes kAccel = "X-Accel-";
    return name.size() > kAccel.size() && base::equal_nocase(base::slice(name, 0, kAccel.size()), kAccel);
}

}  // namespace

bool take_lines(Message* m, const http::Fields& all) noexcept {
    // A field may be a tag's and a control's.
    auto* lines = static_cast<http::Field*>(ngx_palloc(m->of.url.pool, (2 * all.size + 1) * sizeof(http::Field)));
    size_t n = 0;
    if (lines == nullptr) {
        return false;
    }
    for (const http::Field& field : all) {
        const bool is_tag = http::is_tag_field(field.name) || http::is_tag_field(field.name, m->of.policy->tags);
        if (is_tag && !field.value.empty()) {
            lines[n++] = {kKeptTags, field.value};
            m->flags |= cache::kControlsFlag;
        } else if (!is_tag && !is_accel(field.name) && !base::equal_nocase(field.name, "Age")) {
            lines[n++] = field;
        }
        for (const Control& c : kControls) {
            if (base::equal_nocase(field.name, c.field) && !http::ignores(*m->of.policy, c.ignored_by_us)) {
                lines[n++] = {c.kept, field.value};
                m->flags |= cache::kControlsFlag;
            }
        }
    }
    m->lines = {lines, n};
    m->tagged = all;
    return true;
}

bool is_encoding_asked_for(const Message& m) noexcept {
    for (const http::Field& line : m.response.fields.lines("Content-Encoding")) {
        const Bytes coding = http::trim(line.value);
        if (!base::equal_nocase(coding, "identity") &&
            !(http::list_has(m.place.spec, "accept-encoding") && http::takes_encoding(m.of.request, coding))) {
            return false;
        }
    }
    return true;
}

http::Reason collect_message_selectors(Message* m) noexcept {
    const uint8_t* secret = m->of.zone->store.secret();
    cache::SelectorList* to = m->selectors;
    to->add(m->identity);  // identity.h
    to->add_url(m->url, secret);
    if (m->inner != nullptr) {
        to->add_url(*m->inner, secret, cache::Side::kInner);
    }
    for (const http::Field& field : m->tagged) {
        const bool is_tag = http::is_tag_field(field.name) || http::is_tag_field(field.name, m->of.policy->tags);
        http::TagReader tags(is_tag ? field.value : Bytes{});
        Bytes tag;
        while (tags.next(&tag)) {
            to->add(cache::tag_selector(tag, secret));
        }
    }
    http::GroupReader groups(m->tagged, http::kCacheGroups);
    Bytes group;
    while (groups.next(&group)) {
        to->add(cache::group_selector(m->url.host, group, secret));
        to->add(cache::tag_selector(group, secret));
    }
    if (to->settle()) {
        return http::Reason::kNone;
    }
    return to->is_out_of_memory() ? http::Reason::kInternal : http::Reason::kTooManyTags;
}

http::Reason build_message_head(Message* m) noexcept {
    size_t size = cache::kHeadFixedBytes + 2 * http::kDateBytes + 64;
    size_t wire = 0;
    for (const http::Field& line : m->lines) {
        size += 2 * line.name.size() + line.value.size() + 4;
        wire += line.name != kKeptTags ? line.name.size() + line.value.size() + 4 : 0;
    }
    if (wire > m->of.policy->max_header_bytes) {
        return http::Reason::kHeadersTooBig;
    }
    auto* buffer = static_cast<char*>(ngx_palloc(m->of.url.pool, size));
    if (buffer == nullptr) {
        return http::Reason::kInternal;
    }
    cache::HeadBuilder builder(buffer, size);
    const http::FieldJudge judge(m->response.fields, *m->of.policy);
    for (const http::Field& line : m->lines) {
        if (judge.may_store(line.name) && !base::equal_nocase(line.name, "Content-Length")) {
            builder.add(line.name, line.value);
        }
    }
    char date[http::kDateBytes];
    if (!m->response.fields.has("Date")) {
        http::format_date(m->freshness.date, date);
        builder.add("Date", {date, sizeof(date)});
    }
    const int64_t modified = http::parse_date(m->response.fields.get("Last-Modified"), wall_sec()).value_or(-1);
    if (!builder.finish(m->response.status, modified, stored_facts(m->response, m->freshness))) {
        return http::Reason::kFraming;
    }
    m->head = builder.head();
    return http::Reason::kNone;
}

bool is_purged_by_glob(const Message& m) noexcept {
    const UserArea* area = user_area(m.of.zone);
    const cache::Judged subject = {m.url.host, m.url.path, m.url.args, m.selectors->data(), m.selectors->size()};
    return area != nullptr && cache::judge_globs(area->globs, subject, m.birth) != cache::GlobAnswer::kNone;
}

shm::Status write_message(Message* m) noexcept {
    shm::Store& store = m->of.zone->store;
    const http::StoredFacts facts = stored_facts(m->response, m->freshness);
    shm::NewEntry what;
    what.key = m->place.key;
    what.digest = cache::digest(what.key, store.secret());
    what.head = m->head;
    what.selectors = m->selectors->data();
    what.selector_count = m->selectors->size();
    what.birth = m->birth;
    what.flags = m->flags;
    what.rival_flags = static_cast<uint16_t>(m->rival_flags);
    what.rival_since = m->rival_since;
    what.fresh_until_sec = facts.fresh_until;
    what.stale_until_sec = http::useful_until(facts);
    what.body_bytes = static_cast<int64_t>(m->body.size());
    shm::Writer writer;
    shm::Status status = store.begin(what, now_sec(), &writer);
    if (status == shm::Status::kOk && !m->body.empty()) {
        status = store.append(&writer, m->body, now_sec());
    }
    if (status == shm::Status::kOk) {
        status = store.commit(&writer, now_sec());
    }
    store.abort(&writer);
    if (status != shm::Status::kOk) {
        return status;
    }
    // The key was found uncacheable a moment ago: no longer.
    store.mark_set(what.digest, 0, 0);
    if (!m->place.spec.empty()) {
        write_marker(m->of, m->place.spec, what);
        store.mark_set(cache::digest(m->of.key, store.secret()), 0, 0);
    }
    return status;
}

}  // namespace slab_cache::ngx
