#include "http/args.h"

#include "http/syntax.h"

namespace slab_cache::http {

namespace {

constexpr size_t kLeastFound = 3;  // what is shorter is part of many a text

Bytes name_of(Bytes arg) noexcept {
    size_t at = 0;
    while (at < arg.size() && arg[at] != '=') {
        at++;
    }
    return base::slice(arg, 0, at);
}

bool any_matches(const Bytes* globs, uint32_t count, Bytes name) noexcept {
    for (uint32_t i = 0; i < count; i++) {
        if (glob_match(globs[i], name)) {
            return true;
        }
    }
    return false;
}

bool is_kept(Bytes arg, const ArgsPolicy& policy) noexcept {
    const Bytes name = name_of(arg);
    return (policy.only_count == 0 || any_matches(policy.only, policy.only_count, name)) &&
           !any_matches(policy.drop, policy.drop_count, name);
}

// The arguments one by one; none for an empty string.
class ArgReader {
public:
    explicit ArgReader(Bytes args) noexcept : rest_(args), done_(args.empty()) {}
    bool next(Bytes* arg) noexcept {
        if (done_) {
            return false;
        }
        size_t at = 0;
        while (at < rest_.size() && rest_[at] != '&') {
            at++;
        }
        done_ = at == rest_.size();
        *arg = base::slice(rest_, 0, at);
        rest_ = base::slice(rest_, at + 1);
        return true;
    }

private:
    Bytes rest_;
    bool done_;
};

bool shows(Bytes value, Bytes text) noexcept {
    return text.size() < kLeastFound ? !text.empty() && value == text : value.find(text) != Bytes::npos;
}

// An argument and its place, so that equal names keep their order.
struct Placed {
    Bytes arg;
    uint32_t name_size;
    uint32_t place;
};

bool is_before(const Placed& a, const Placed& b) noexcept {
    const int order = Bytes{a.arg.data(), a.name_size}.compare(Bytes{b.arg.data(), b.name_size});
    return order != 0 ? order < 0 : a.place < b.place;
}

void sift_down(Placed* heap, uint32_t root, uint32_t count) noexcept {
    for (;;) {
        uint32_t child = 2 * root + 1;
        if (child >= count) {
            return;
        }
        child += child + 1 < count && is_before(heap[child], heap[child + 1]) ? 1 : 0;
        if (!is_before(heap[root], heap[child])) {
            return;
        }
        const Placed held = heap[root];
        heap[root] = heap[child];
        heap[child] = held;
        root = child;
    }
}

// Heapsort: no allocation, no recursion, no bad case for a hostile query.
void sort_args(Placed* args, uint32_t count) noexcept {
    for (uint32_t i = count / 2; i-- > 0;) {
        sift_down(args, i, count);
    }
    for (uint32_t end = count; end > 1; end--) {
        const Placed held = args[0];
        args[0] = args[end - 1];
        args[end - 1] = held;
        sift_down(args, 0, end - 1);
    }
}

void put_arg(Output* out, Bytes arg, bool* first) noexcept {
    if (!*first) {
        out->put('&');
    }
    *first = false;
    out->put(arg);
}

}  // namespace

bool glob_match(Bytes pattern, Bytes text) noexcept {
    size_t p = 0;
    size_t t = 0;
    size_t star = pattern.size();  // the last star passed, and where its match ends for now
    size_t matched = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            matched = t;
        } else if (p < pattern.size() && pattern[p] == text[t]) {
            p++;
            t++;
        } else if (star < pattern.size()) {
            p = star + 1;
            t = ++matched;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') {
        p++;
    }
    return p == pattern.size();
}

bool shows_unkeyed(Bytes value, Bytes args, const ArgsPolicy& policy) noexcept {
    if (shows(value, args)) {
        return true;
    }
    ArgReader reader(args);
    Bytes arg;
    while (reader.next(&arg)) {
        if (!policy.none && is_kept(arg, policy)) {
            continue;
        }
        if (shows(value, arg) || shows(value, base::slice(arg, name_of(arg).size() + 1))) {
            return true;
        }
    }
    return false;
}

size_t fill_args(Bytes args, const ArgsPolicy& policy, char* out, size_t cap) noexcept {
    Output text(out, cap);
    if (policy.none) {
        return 0;
    }
    ArgReader reader(args);
    bool first = true;
    for (Bytes arg; reader.next(&arg);) {
        if (is_kept(arg, policy)) {
            put_arg(&text, arg, &first);
        }
    }
    return text.length();
}

size_t canonical_args(Bytes args, const ArgsPolicy& policy, char* out, size_t cap) noexcept {
    if (!policy.sort || policy.none) {
        return fill_args(args, policy, out, cap);
    }
    Placed kept[kMaxSortedArgs];
    uint32_t count = 0;
    ArgReader reader(args);
    for (Bytes arg; reader.next(&arg);) {
        if (!is_kept(arg, policy)) {
            continue;
        }
        if (count == kMaxSortedArgs) {
            return fill_args(args, policy, out, cap);
        }
        kept[count] = {arg, static_cast<uint32_t>(name_of(arg).size()), count};
        count++;
    }
    sort_args(kept, count);
    Output text(out, cap);
    bool first = true;
    for (uint32_t i = 0; i < count; i++) {
        put_arg(&text, kept[i].arg, &first);
    }
    return text.length();
}

}  // namespace slab_cache::http
