#include "ngx/glue/ngx.h"

#include "ngx/api/explain_words.h"

#include "ngx/glue/reply.h"

namespace slab_cache::ngx {
namespace {

constexpr size_t kWords = 512;

struct Words {
    u_char text[kWords];
    u_char* end = text;

    template <class... Args>
    void add(const char* format, Args... args) noexcept {
        end = ngx_slprintf(end, text + sizeof(text), format, args...);
    }
    void add_time(int64_t sec) noexcept {
        if (sec < 120) {
            add("%L s", sec);
        } else if (sec < 120 * 60) {
            add("%L min", sec / 60);
        } else if (sec < 48 * 3600) {
            add("%L h", sec / 3600);
        } else {
            add("%L days", sec / 86400);
        }
    }
};

int64_t number(const json_t* entry, const char* name) noexcept {
    return json_integer_value(json_object_get(entry, name));
}

bool is_word(const json_t* entry, const char* name, Bytes word) noexcept {
    const char* value = json_string_value(json_object_get(entry, name));
    return value != nullptr && value == word;
}

// Of all that may be served, the one that is best to have.
struct Best {
    const json_t* entry = nullptr;
    size_t objects = 0;
    size_t fresh = 0;
};

bool is_fresh(const json_t* entry) noexcept {
    return is_word(entry, "validity", "valid") && json_is_true(json_object_get(entry, "fresh"));
}

bool is_better(const json_t* entry, const json_t* than) noexcept {
    return than == nullptr || is_fresh(entry) > is_fresh(than) ||
           (is_fresh(entry) == is_fresh(than) && number(entry, "ttl_sec") > number(than, "ttl_sec"));
}

Best best_of(const json_t* entries) noexcept {
    Best best;
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t* entry = json_array_get(entries, i);
        if (json_object_get(entry, "status") == nullptr || is_word(entry, "validity", "purged")) {
            continue;
        }
        best.objects++;
        best.fresh += is_fresh(entry) ? 1 : 0;
        best.entry = is_better(entry, best.entry) ? entry : best.entry;
    }
    return best;
}

void say_fresh(Words* words, const Best& best) noexcept {
    const int64_t ttl = number(best.entry, "ttl_sec");
    if (best.objects == 1) {
        words->add("Stored, ");
        words->add_time(number(best.entry, "age_sec"));
        words->add(" old, and fresh for another ");
        words->add_time(ttl);
        words->add(": requests get it from the cache.");
        return;
    }
    words->add("%uz variants are stored, %uz of them fresh, for another ", best.objects, best.fresh);
    words->add_time(ttl);
    words->add(" at most: a request that one of these fits gets it from the cache.");
}

void say_stale(Words* words, const Best& best) noexcept {
    const int64_t ttl = number(best.entry, "ttl_sec");
    const int64_t by_while = ttl + number(best.entry, "stale_while_revalidate_sec");
    const int64_t by_error = ttl + number(best.entry, "stale_if_error_sec");
    if (best.objects == 1) {
        words->add("Stored, ");
        words->add_time(number(best.entry, "age_sec"));
        words->add(" old, ");
    } else {
        words->add("%uz variants are stored, none of them fresh, the best of them ", best.objects);
    }
    if (is_word(best.entry, "validity", "soft_purged")) {
        words->add("purged softly: the next request has the origin asked.");
    } else if (is_word(best.entry, "validity", "doubted")) {
        words->add("in doubt, for purges may have been missed: the origin is asked before it is served.");
        return;
    } else {
        words->add("stale for ");
        words->add_time(-ttl);
        words->add(": the next request has the origin asked.");
    }
    if (by_while > 0) {
        words->add(" Until that answers it may be served, for another ");
        words->add_time(by_while);
        words->add(".");
    } else if (by_error > 0) {
        words->add(" Should that fail, it may be served, for another ");
        words->add_time(by_error);
        words->add(".");
    }
}

void say_why_not(Words* words, http::Reason why, bool complete) noexcept {
    const ngx_str_t word = to_str(http::reason_word(why));
    const ngx_str_t sentence = to_str(http::reason_sentence(why));
    if (why == http::Reason::kNotStored) {
        words->add("Not stored, and no request for it came here lately.");
    } else if (why == http::Reason::kPurged) {
        words->add("Not stored: it was purged, and nobody has asked for it since.");
    } else {
        words->add("Not stored: %V (%V).", &sentence, &word);
    }
    if (!complete) {
        words->add(" The zone is large, and was not looked through to its end: it may be there under another key.");
    }
}

}  // namespace

json_t* sentence_json(const json_t* entries, http::Reason why, bool complete) noexcept {
    Words words;
    const Best best = best_of(entries);
    if (best.objects == 0) {
        say_why_not(&words, why, complete);
    } else if (best.fresh != 0) {
        say_fresh(&words, best);
    } else {
        say_stale(&words, best);
    }
    return json_text({reinterpret_cast<char*>(words.text), static_cast<size_t>(words.end - words.text)});
}

}  // namespace slab_cache::ngx
