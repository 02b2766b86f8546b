#include "cache/fleet_record.h"

#include <cstring>

#include "cache/fleet_field.h"
#include "http/escape.h"

namespace slab_cache::cache {
namespace {

bool is_plain(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           Bytes("/-._~!$&'()+,;=:@").find(c) != Bytes::npos;
}

class Writer {
public:
    explicit Writer(const Selection& s) noexcept : s_(s), text_(s.arena.get<Bytes>(kMaxRecords)) {
        failed_ = text_ == nullptr;
    }

    // Room for a value of at most `size` bytes; nullptr when memory ran out.
    char* begin(Field field, size_t size) noexcept {
        const size_t room = 4 + size + kTail;
        if (failed_ || size > 0xffff) {
            failed_ = true;
            return nullptr;
        }
        if (used_ != 0 && used_ + room > kRecordText) {
            end_record();
        }
        if (record_ == nullptr || used_ + room > size_) {
            size_ = room > kRecordText ? room : kRecordText;
            record_ = s_.arena.get(size_);
            used_ = 0;
        }
        failed_ = failed_ || record_ == nullptr;
        if (failed_) {
            return nullptr;
        }
        record_[used_] = static_cast<char>(field);
        record_[used_ + 1] = 0;
        return record_ + used_ + 4;
    }
    void end(size_t size) noexcept {
        const auto n = static_cast<uint16_t>(size);
        std::memcpy(record_ + used_ + 2, &n, sizeof(n));
        used_ += 4 + size;
    }
    void add(Field field, Bytes value) noexcept {
        char* to = begin(field, value.size());
        if (to != nullptr) {
            std::memcpy(to, value.data(), value.size());
            end(value.size());
        }
    }
    // Each record has the mode, so that each can be read alone.
    void end_record() noexcept {
        if (failed_ || used_ == 0) {
            return;
        }
        if (count_ == kMaxRecords) {
            failed_ = true;
            return;
        }
        if (s_.soft) {
            record_[used_] = static_cast<char>(Field::kMode);
            record_[used_ + 1] = 0;
            used_ += 4;
            std::memcpy(record_ + used_, "soft", 4);
            used_ -= 4;
            end(4);
        }
        text_[count_++] = {record_, used_};
        record_ = nullptr;
        used_ = size_ = 0;
    }
    bool finish(RecordList* out) noexcept {
        end_record();
        *out = {text_, count_};
        return !failed_ && count_ != 0;
    }
    void fail() noexcept { failed_ = true; }

private:
    static constexpr size_t kTail = 8;  // a mode behind it
    const Selection& s_;
    Bytes* text_;
    uint32_t count_ = 0;
    char* record_ = nullptr;
    size_t used_ = 0;
    size_t size_ = 0;
    bool failed_;
};

// Decoded text, percent-encoded; `kept` are left as they are.
size_t encode(Bytes from, Bytes kept, char* to) noexcept {
    constexpr char kHex[] = "0123456789ABCDEF";
    size_t n = 0;
    for (const char c : from) {
        if (is_plain(c) || kept.find(c) != Bytes::npos) {
            to[n++] = c;
            continue;
        }
        to[n++] = '%';
        to[n++] = kHex[static_cast<unsigned char>(c) >> 4];
        to[n++] = kHex[static_cast<unsigned char>(c) & 15];
    }
    return n;
}

bool is_sendable(Bytes args) noexcept {
    for (const char c : args) {
        if (http::needs_escape(c) || c == '#') {
            return false;
        }
    }
    return true;
}

// host + path, and arguments as they are. Where these have bytes that the reader would encode: whatever the arguments are.
void add_url(Writer* w, Field field, const Understood& what) noexcept {
    const Bytes path = base::slice(what.text, 0, what.args);
    const Bytes args = what.args < what.text.size() ? base::slice(what.text, what.args + 1) : Bytes{};
    const bool exact = is_sendable(args);
    char* to = w->begin(exact ? field : Field::kGlob, what.host.size() + 3 * path.size() + args.size() + 2);
    if (to == nullptr) {
        return;
    }
    std::memcpy(to, what.host.data(), what.host.size());
    size_t n = what.host.size();
    n += encode(path, field == Field::kGlob ? Bytes("*") : Bytes{}, to + n);
    if (!exact) {
        to[n++] = '?';
        to[n++] = '*';
    } else if (!args.empty()) {
        to[n++] = '?';
        std::memcpy(to + n, args.data(), args.size());
        n += args.size();
    }
    w->end(n);
}

// A prefix of which the page at the prefix is part has no slash at its end.
void add_prefix(Writer* w, const Understood& what) noexcept {
    const Bytes path =
        what.with_page && what.text.size() > 1 ? base::slice(what.text, 0, what.text.size() - 1) : what.text;
    char* to = w->begin(Field::kPrefix, what.host.size() + 3 * path.size());
    if (to == nullptr) {
        return;
    }
    std::memcpy(to, what.host.data(), what.host.size());
    w->end(what.host.size() + encode(path, {}, to + what.host.size()));
}

void add_thing(Writer* w, const Understood& what) noexcept {
    switch (what.thing) {
    case Thing::kUrl:
        add_url(w, Field::kUrl, what);
        return;
    case Thing::kPrefix:
        add_prefix(w, what);
        return;
    case Thing::kPattern:
        add_url(w, Field::kGlob, what);
        return;
    case Thing::kHost:
        w->add(Field::kHost, what.host);
        return;
    case Thing::kTag:
        w->add(Field::kTag, what.text);
        return;
    case Thing::kTags:  // one condition in an entry
        w->end_record();
        w->add(Field::kTagsAll, what.host);
        if (!what.text.empty()) {
            w->add(Field::kNot, what.text);
        }
        w->end_record();
        return;
    }
}

}  // namespace

bool write_records(const Selection& s, RecordList* out) noexcept {
    Writer w(s);
    if (!s.keeps_all || s.understood_count + (s.all ? 1 : 0) < s.accepted) {
        w.fail();  // something that is not known as text
    }
    if (s.all) {
        w.add(Field::kAll, "1");
    }
    for (uint32_t i = 0; i < s.understood_count && !s.all; i++) {
        add_thing(&w, s.understood[i]);
    }
    return w.finish(out);
}

namespace {

// Where the next field's value goes, and what follows it.
char* begin_field(char* at, Field field) noexcept {
    at[0] = static_cast<char>(field);
    at[1] = 0;
    return at + 4;
}
char* end_field(char* at, size_t size) noexcept {
    const auto n = static_cast<uint16_t>(size);
    std::memcpy(at + 2, &n, sizeof(n));
    return at + 4 + size;
}

char* put_invalidated(char* at, Field field, Bytes host, Bytes name, Bytes args) noexcept {
    char* to = begin_field(at, field);
    std::memcpy(to, host.data(), host.size());
    size_t n = host.size();
    if (field == Field::kGroup) {
        to[n++] = '/';
    }
    n += encode(name, {}, to + n);
    if (!args.empty()) {
        to[n++] = '?';
        std::memcpy(to + n, args.data(), args.size());
        n += args.size();
    }
    return end_field(at, n);
}

}  // namespace

bool write_invalidation(const base::Arena& arena, const Url* url, uint32_t urls, const Group* group, uint32_t groups,
                        Bytes* out) noexcept {
    size_t room = 1;
    for (uint32_t i = 0; i < urls; i++) {
        room += 8 + url[i].host.size() + 3 * url[i].path.size() + url[i].args.size();
    }
    for (uint32_t i = 0; i < groups; i++) {
        room += 8 + group[i].host.size() + 3 * group[i].name.size();
    }
    char* text = room <= kRecordText ? arena.get(room) : nullptr;
    if (text == nullptr) {
        return false;
    }
    char* at = text;
    for (uint32_t i = 0; i < urls; i++) {
        if (is_sendable(url[i].args) && !url[i].host.empty()) {
            at = put_invalidated(at, Field::kUnsafe, url[i].host, url[i].path, url[i].args);
        }
    }
    for (uint32_t i = 0; i < groups; i++) {
        at = put_invalidated(at, Field::kGroup, group[i].host, group[i].name, {});
    }
    *out = {text, static_cast<size_t>(at - text)};
    return at != text;
}

Bytes write_doubt(char* to, size_t room) noexcept {
    constexpr char kText[] = {static_cast<char>(Field::kAll),
                              0,
                              1,
                              0,
                              '1',
                              static_cast<char>(Field::kMode),
                              0,
                              5,
                              0,
                              'd',
                              'o',
                              'u',
                              'b',
                              't'};
    if (room < sizeof(kText)) {
        return {};
    }
    std::memcpy(to, kText, sizeof(kText));
    return {to, sizeof(kText)};
}

bool next_record_field(Bytes* rest, RecordField* out) noexcept {
    uint16_t size = 0;
    if (rest->size() < 4) {
        return false;
    }
    std::memcpy(&size, rest->data() + 2, sizeof(size));
    out->name = name_of(static_cast<Field>(rest->front()));
    out->value = base::slice(*rest, 4, size);
    if (out->name.empty() || out->value.size() != size) {
        return false;
    }
    *rest = base::slice(*rest, 4 + size_t{size});
    return true;
}

}  // namespace slab_cache::cache
