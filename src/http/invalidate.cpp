#include "http/invalidate.h"

#include "http/syntax.h"

namespace slab_cache::http {

namespace {

size_t find_any(Bytes text, Bytes stops) noexcept {
    for (size_t at = 0; at < text.size(); at++) {
        for (const char stop : stops) {
            if (text[at] == stop) {
                return at;
            }
        }
    }
    return text.size();
}

// Length of "scheme" in "scheme:…", 0 for a relative reference (RFC 3986 §3.1).
size_t scheme_length(Bytes reference) noexcept {
    const size_t at = find_any(reference, ":/?#");
    if (at == 0 || at == reference.size() || reference[at] != ':' || !is_alpha(reference[0])) {
        return 0;
    }
    for (const char c : base::slice(reference, 0, at)) {
        if (!is_alpha(c) && !is_digit(c) && c != '+' && c != '-' && c != '.') {
            return 0;
        }
    }
    return at;
}

// Without the port that the scheme implies, written or left empty.
Bytes strip_default_port(Bytes authority, Bytes scheme) noexcept {
    const Bytes ports[] = {":", base::equal_nocase(scheme, "https") ? ":443" : ":80"};
    for (const Bytes port : ports) {
        if (authority.size() > port.size() && base::slice(authority, authority.size() - port.size()) == port) {
            return base::slice(authority, 0, authority.size() - port.size());
        }
    }
    return authority;
}

bool same_authority(Bytes a, Bytes b, Bytes scheme) noexcept {
    return base::equal_nocase(strip_default_port(a, scheme), strip_default_port(b, scheme));
}

// A path being written, "/" first, with dot segments taken out as they come (RFC 3986 §5.2.4).
class PathWriter {
public:
    PathWriter(char* out, size_t cap) noexcept : out_(out), cap_(cap) {}

    enum class End : bool { kOfDirectory, kOfPath };

    // `path` is empty, or begins with "/", or continues a directory. A dot segment at the end of
    // the whole path leaves its slash behind.
    void segments(Bytes path, End last) noexcept {
        while (!path.empty()) {
            const Bytes rest = base::slice(path, path[0] == '/' ? 1 : 0);
            const size_t end = find_any(rest, "/");
            const Bytes segment = base::slice(rest, 0, end);
            const bool is_last = end == rest.size();
            path = base::slice(rest, end);
            if (segment == ".." || segment == ".") {
                if (segment == "..") {
                    pop();
                }
                if (is_last && last == End::kOfPath) {
                    raw("/");
                }
                continue;
            }
            raw("/");
            raw(segment);
        }
    }
    void raw(Bytes text) noexcept {
        if (text.size() > cap_ - length_) {
            full_ = true;
            return;
        }
        if (!text.empty()) {  // memcpy wants pointers that are not null, also for nothing
            std::memcpy(out_ + length_, text.data(), text.size());
        }
        length_ += text.size();
    }
    bool done(Bytes* path) noexcept {
        *path = Bytes{out_, length_};
        return !full_ && length_ != 0;
    }

private:
    void pop() noexcept {
        while (length_ != 0 && out_[--length_] != '/') {
        }
    }
    char* out_;
    size_t cap_;
    size_t length_ = 0;
    bool full_ = false;
};

bool contains(const Invalidation& found, Bytes path) noexcept {
    for (uint32_t i = 0; i < found.count; i++) {
        if (found.paths[i] == path) {
            return true;
        }
    }
    return false;
}

// Takes scheme and authority off the reference; false when they name another origin. `is_rooted`:
// an authority was there, so that an empty path is the root.
bool strip_origin(Bytes* reference, const TargetUri& base, bool* is_rooted) noexcept {
    const size_t scheme = scheme_length(*reference);
    if (scheme != 0) {
        if (!base::equal_nocase(base::slice(*reference, 0, scheme), base.scheme) ||
            !base::starts_with(base::slice(*reference, scheme + 1), "//")) {
            return false;
        }
        *reference = base::slice(*reference, scheme + 1);
    }
    *is_rooted = base::starts_with(*reference, "//");
    if (!*is_rooted) {
        return true;
    }
    const Bytes rest = base::slice(*reference, 2);
    const size_t end = find_any(rest, "/?");
    *reference = base::slice(rest, end);
    return same_authority(base::slice(rest, 0, end), base.authority, base.scheme);
}

// Up to the last slash, without it: "/a/b" gives "/a".
Bytes directory_of(Bytes path) noexcept {
    size_t at = path.size();
    while (at != 0 && path[at - 1] != '/') {
        at--;
    }
    return base::slice(path, 0, at == 0 ? 0 : at - 1);
}

}  // namespace

bool resolve_same_origin(Bytes reference, const TargetUri& base, char* buffer, size_t cap, Bytes* path) noexcept {
    reference = trim(reference);
    reference = base::slice(reference, 0, find_any(reference, "#"));
    bool is_rooted = false;
    if (!strip_origin(&reference, base, &is_rooted)) {
        return false;
    }
    const size_t query = find_any(reference, "?");
    const Bytes ref_path = base::slice(reference, 0, query);
    const Bytes base_path = base::slice(base.path, 0, find_any(base.path, "?#"));
    PathWriter out(buffer, cap);
    if (base::starts_with(ref_path, "/")) {
        out.segments(ref_path, PathWriter::End::kOfPath);
    } else if (is_rooted) {
        out.raw("/");
    } else if (reference.empty()) {
        out.raw(base::slice(base.path, 0, find_any(base.path, "#")));
    } else if (ref_path.empty()) {
        out.raw(base_path);
    } else {
        out.segments(directory_of(base_path), PathWriter::End::kOfDirectory);
        out.segments(ref_path, PathWriter::End::kOfPath);
    }
    out.raw(base::slice(reference, query));
    return out.done(path);
}

Invalidation invalidation_of(Method method, uint16_t status, const TargetUri& target, const Fields& response,
                             Named named, char* buffer, size_t cap) noexcept {
    Invalidation found;
    if (is_safe(method) || status < 200 || status > 399) {
        return found;
    }
    found.paths[found.count++] = base::slice(target.path, 0, find_any(target.path, "#"));
    if (named == Named::kKeep) {
        return found;
    }
    for (const Bytes name : {Bytes{"Location"}, Bytes{"Content-Location"}}) {
        const Field* field = response.find(name);
        Bytes path;
        if (field == nullptr || !resolve_same_origin(field->value, target, buffer, cap, &path) ||
            contains(found, path)) {
            continue;
        }
        found.paths[found.count++] = path;
        buffer += path.size();
        cap -= path.size();
    }
    return found;
}

}  // namespace slab_cache::http
