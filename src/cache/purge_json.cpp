#include "cache/purge_json.h"

#include <jansson.h>

#include "http/syntax.h"

namespace slab_cache::cache {
namespace {

// What must be said, in the order of the sentence.
class Complaint {
public:
    explicit Complaint(Problem* problem) noexcept : problem_(problem), out_(problem->text, sizeof(problem->text)) {}
    Complaint& say(Bytes text) noexcept {
        out_.put(text);
        return *this;
    }
    Complaint& say_number(uint64_t n) noexcept {
        out_.put_number(n);
        return *this;
    }
    bool end() noexcept {
        problem_->size = out_.fits() ? out_.length() : sizeof(problem_->text);
        return false;
    }

private:
    Problem* problem_;
    http::Output out_;
};

struct Reading {
    Selection* to;
    Problem* problem;

    Complaint complain() const noexcept { return Complaint(problem); }
    Complaint complain_of(Bytes name) const noexcept {
        Complaint c(problem);
        c.say("\"").say(name).say("\"");
        return c;
    }
};

struct ListField {
    Bytes name;
    bool (*add)(Selection*, Bytes) noexcept;
    Bytes otherwise;
};

constexpr Bytes kNoTag = " is no tag: tags have neither spaces nor commas in them, and are not empty";
constexpr Bytes kNoUrl =
    " is no URL (scheme://host/path, host/path or, unsigned, /path), or one pattern too many or too long";

constexpr ListField kLists[] = {
    {"urls", select_url, kNoUrl},
    {"files", select_url, kNoUrl},
    {"globs", select_url, kNoUrl},
    {"prefixes", select_prefix,
     " is no URL without arguments and patterns (scheme://host/path, host/path or, unsigned, /path)"},
    {"hosts", select_host, " is no host name"},
    {"tags", select_tag, kNoTag},
};

Bytes text_of(const json_t* string) noexcept { return {json_string_value(string), json_string_length(string)}; }

bool read_list(const Reading& p, const ListField& field, json_t* value) noexcept {
    if (!json_is_array(value)) {
        return p.complain_of(field.name).say(" must be a list of strings").end();
    }
    size_t index = 0;
    json_t* item = nullptr;
    json_array_foreach(value, index, item) {
        // Cloudflare also writes files as {"url": …}.
        json_t* text = json_is_object(item) ? json_object_get(item, "url") : item;
        if (!json_is_string(text)) {
            return p.complain_of(field.name).say("[").say_number(index).say("] must be a string").end();
        }
        if (!field.add(p.to, text_of(text))) {
            return p.complain_of(field.name).say("[").say_number(index).say("]").say(field.otherwise).end();
        }
    }
    return true;
}

bool read_field(const Reading& p, Bytes name, json_t* value) noexcept {
    for (const ListField& field : kLists) {
        if (field.name == name) {
            return read_list(p, field, value);
        }
    }
    if (name == "all" || name == "purge_everything" || name == "invalidate_everything") {
        if (json_is_true(value)) {
            select_all(p.to);
        }
        return json_is_boolean(value) || p.complain_of(name).say(" must be true or false").end();
    }
    if (name == "mode") {
        const Bytes mode = json_is_string(value) ? text_of(value) : Bytes{};
        p.to->soft = mode == "soft";
        return p.to->soft || mode == "hard" || p.complain_of(name).say(" must be \"hard\" or \"soft\"").end();
    }
    if (name == "tags_all" || name == "not") {
        return true;  // read_tag_set() reads both
    }
    return p.complain()
        .say("unknown field \"")
        .say(name)
        .say(
            "\": urls, prefixes, hosts, tags, tags_all with not, globs, all, mode are known, and files and "
            "purge_everything")
        .end();
}

bool read_tag_list(const Reading& p, Bytes name, json_t* list, Bytes* tag, uint32_t* count) noexcept {
    if (list != nullptr && !json_is_array(list)) {
        return p.complain_of(name).say(" must be a list of strings").end();
    }
    if (json_array_size(list) > kMaxTagsOfRule) {
        return p.complain_of(name).say(" has too many tags: 28 in one condition").end();
    }
    size_t index = 0;
    json_t* item = nullptr;
    json_array_foreach(list, index, item) {
        if (!json_is_string(item)) {
            return p.complain_of(name).say("[").say_number(index).say("] must be a string").end();
        }
        if (!is_tag(text_of(item))) {
            return p.complain_of(name).say("[").say_number(index).say("]").say(kNoTag).end();
        }
        tag[(*count)++] = text_of(item);
    }
    return true;
}

// {"tags_all":["a","b"],"not":["c"]}: one condition in a request.
bool read_tag_set(const Reading& p, json_t* root) noexcept {
    json_t* all = json_object_get(root, "tags_all");
    json_t* none = json_object_get(root, "not");
    if (all == nullptr && none == nullptr) {
        return true;
    }
    Bytes tag[2][kMaxTagsOfRule];
    TagSet set{tag[0], 0, tag[1], 0};
    if (!read_tag_list(p, "tags_all", all, tag[0], &set.all_count) ||
        !read_tag_list(p, "not", none, tag[1], &set.none_count)) {
        return false;
    }
    if (set.all_count == 0) {
        return p.complain().say("\"not\" goes with \"tags_all\", which names a tag at least").end();
    }
    return select_tags(p.to, set) ||
           p.complain().say("\"tags_all\" and \"not\" have too many tags: 28 in one condition").end();
}

size_t count_items(json_t* root) noexcept {
    size_t n = 0;
    const char* key = nullptr;
    json_t* value = nullptr;
    json_object_foreach(root, key, value) { n += json_array_size(value); }
    return n;
}

bool read_document(const Reading& p, json_t* root) noexcept {
    if (!json_is_object(root)) {
        return p.complain().say("the body must be a JSON object").end();
    }
    const size_t items = count_items(root);
    if (items > kMaxJsonItems) {
        return p.complain().say("too many items in one request").end();
    }
    if (!make_room(p.to, 2 * items)) {
        return p.complain().say("out of memory").end();
    }
    const char* key = nullptr;
    json_t* value = nullptr;
    json_object_foreach(root, key, value) {
        if (!read_field(p, key, value)) {
            return false;
        }
    }
    if (!read_tag_set(p, root)) {
        return false;
    }
    return !is_empty(*p.to) || p.complain().say("nothing to purge in the body").end();
}

}  // namespace

bool read_purge_json(Bytes body, Selection* to, Problem* problem) noexcept {
    const Reading reading{to, problem};
    json_error_t error;
    json_t* root = json_loadb(body.data(), body.size(), JSON_REJECT_DUPLICATES, &error);
    if (root == nullptr) {
        const uint64_t at = error.position > 0 ? static_cast<uint64_t>(error.position) : 0;
        return reading.complain().say("not JSON: ").say(error.text).say(", at byte ").say_number(at).end();
    }
    const bool ok = read_document(reading, root);
    json_decref(root);
    return ok;
}

bool read_surrogate_keys(Bytes body, PutKeyFn put, void* data) noexcept {
    json_t* root = json_loadb(body.data(), body.size(), JSON_REJECT_DUPLICATES, nullptr);
    json_t* keys = json_object_get(root, "surrogate_keys");
    bool ok = json_object_size(root) == 1 && json_is_array(keys);
    size_t index = 0;
    json_t* key = nullptr;
    json_array_foreach(keys, index, key) { ok = ok && json_is_string(key) && put(text_of(key), data); }
    json_decref(root);
    return ok;
}

}  // namespace slab_cache::cache
