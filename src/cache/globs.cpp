#include "cache/globs.h"

#include "cache/key.h"

namespace slab_cache::cache {
namespace {

struct Copy {
    char text[kGlobText];
    Bytes host;
    Bytes pattern;
    bool soft;
};

constexpr uint64_t shape_of(const Glob& g) noexcept {
    return uint64_t{g.soft} << 32 | uint64_t{g.pattern.size()} << 16 | g.host.size();
}

// False for a rule whose lengths are nonsense.
bool copy_rule(const GlobRule& rule, Copy* out) noexcept {
    const uint64_t shape = rule.shape.load_acquire();  // [glob-rule]
    const size_t host = shape & 0xFFFF;
    const size_t pattern = shape >> 16 & 0xFFFF;
    if (host + pattern > kGlobText) {
        return false;
    }
    for (uint32_t i = 0; i < kGlobWords; i++) {
        const uint64_t word = rule.text[i].load_acquire();  // [glob-rule] no later load moves before it
        std::memcpy(out->text + size_t{i} * 8, &word, 8);
    }
    out->host = {out->text, host};
    out->pattern = {out->text + host, pattern};
    out->soft = shape >> 32 != 0;
    return true;
}

void write_rule_locked(GlobRule* rule, const Glob& glob, uint64_t seq) noexcept {
    char text[kGlobText] = {};
    if (!glob.host.empty()) {  // memcpy wants pointers that are not null, also for nothing
        std::memcpy(text, glob.host.data(), glob.host.size());
    }
    if (!glob.pattern.empty()) {
        std::memcpy(text + glob.host.size(), glob.pattern.data(), glob.pattern.size());
    }
    rule->seq.store_seq_cst(0);  // seq_cst: no word below becomes visible before the rule counts as being written
    rule->shape.store_release(shape_of(glob));  // [glob-rule]
    for (uint32_t i = 0; i < kGlobWords; i++) {
        uint64_t word = 0;
        std::memcpy(&word, text + size_t{i} * 8, 8);
        rule->text[i].store_release(word);  // [glob-rule]
    }
    rule->seq.store_release(seq);  // [glob-rule] after the words
}

bool same(const GlobRule& rule, const Glob& glob) noexcept {
    Copy copy;
    return rule.shape.load_relaxed() == shape_of(glob)  // relaxed: only lock holders write
           && copy_rule(rule, &copy) && copy.host == glob.host && copy.pattern == glob.pattern &&
           copy.soft == glob.soft;
}

uint64_t selector_at(Bytes packed, size_t at) noexcept {
    uint64_t selector = 0;
    std::memcpy(&selector, packed.data() + at, sizeof(selector));
    return selector;
}

bool carries(const Judged& object, uint64_t selector) noexcept {
    for (uint32_t i = 0; i < object.selectors; i++) {
        if (object.selector[i] == selector) {
            return true;
        }
    }
    return false;
}

bool tags_match(Bytes all, Bytes none, const Judged& object) noexcept {
    for (size_t at = 0; at + 8 <= all.size(); at += 8) {
        if (!carries(object, selector_at(all, at))) {
            return false;
        }
    }
    for (size_t at = 0; at + 8 <= none.size(); at += 8) {
        if (carries(object, selector_at(none, at))) {
            return false;
        }
    }
    return true;
}

Bytes raised(Bytes host) noexcept { return is_of_tags(host) ? base::slice(host, 0, 9) : host; }

GlobRule* pick_locked(GlobTable* table, const Glob& glob) noexcept {
    GlobRule* pick = nullptr;
    for (GlobRule& rule : table->rule) {
        const uint64_t seq = rule.seq.load_relaxed();  // relaxed: only lock holders write
        if (seq != 0 && same(rule, glob)) {
            return &rule;
        }
        if (pick == nullptr || seq < pick->seq.load_relaxed()) {
            pick = &rule;
        }
    }
    return pick;
}

}  // namespace

bool is_glob(Bytes pattern) noexcept { return pattern.find('*') != Bytes::npos; }

bool fits_rule(const Glob& glob) noexcept { return glob.host.size() + glob.pattern.size() <= kGlobText; }

bool glob_matches(Bytes pattern, Bytes text) noexcept {
    size_t star = pattern.find('*');
    if (star == Bytes::npos) {
        return pattern == text;
    }
    if (!base::starts_with(text, base::slice(pattern, 0, star))) {
        return false;
    }
    text = base::slice(text, star);
    pattern = base::slice(pattern, star + 1);
    // Each part between stars at its first place: if any placement fits, this one does.
    while ((star = pattern.find('*')) != Bytes::npos) {
        const size_t at = text.find(base::slice(pattern, 0, star));
        if (at == Bytes::npos) {
            return false;
        }
        text = base::slice(text, at + star);
        pattern = base::slice(pattern, star + 1);
    }
    return text.size() >= pattern.size() && base::slice(text, text.size() - pattern.size()) == pattern;
}

uint64_t raised_selector(Bytes host, const uint8_t* secret) noexcept {
    return is_of_tags(host) && host.size() >= 9 ? selector_at(host, 1) : host_selector(host, secret);
}

GlobAnswer judge_globs(const GlobTable& table, const Judged& object, uint64_t birth) noexcept {
    const Bytes path = object.path;
    const Bytes args = object.args;
    char whole[kGlobSubject];
    GlobAnswer answer = GlobAnswer::kNone;
    if (path.size() + args.size() + 1 > kGlobSubject) {
        return table.newest.load_acquire() > birth ? GlobAnswer::kHard : GlobAnswer::kNone;  // [glob-newest]
    }
    std::memcpy(whole, path.data(), path.size());
    whole[path.size()] = '?';
    if (!args.empty()) {
        std::memcpy(whole + path.size() + 1, args.data(), args.size());
    }
    const Bytes uri{whole, path.size() + (args.empty() ? 0 : 1 + args.size())};
    for (const GlobRule& rule : table.rule) {
        const uint64_t seq = rule.seq.load_acquire();  // [glob-rule]
        Copy copy;
        if (seq <= birth || !copy_rule(rule, &copy)) {
            continue;
        }
        // Overwritten under our eyes: what it said is unknown, so it counts.
        const bool torn = rule.seq.load_acquire() != seq;  // [glob-rule]
        const bool over_args = copy.pattern.find('?') != Bytes::npos;
        const bool matches = is_of_tags(copy.host)
                                 ? tags_match(base::slice(copy.host, 1), copy.pattern, object)
                                 : copy.host == object.host && glob_matches(copy.pattern, over_args ? uri : path);
        if (torn || matches) {
            if (torn || !copy.soft) {
                return GlobAnswer::kHard;
            }
            answer = GlobAnswer::kSoft;
        }
    }
    return answer;
}

bool add_glob(GlobTable* table, const Glob& glob, uint64_t seq, RaiseFn raise, void* context) noexcept {
    if (!fits_rule(glob)) {
        return false;
    }
    GlobRule* rule = pick_locked(table, glob);
    const uint64_t had = rule->seq.load_relaxed();  // relaxed: only lock holders write
    if (had != 0 && same(*rule, glob)) {
        if (had < seq) {
            // Never through 0: a reader that came by just then would miss what the rule already purged.
            rule->seq.store_release(seq);  // [glob-rule] the words stay as they are
        }
        return true;
    }
    if (had >= seq) {
        return false;
    }
    Copy old;
    if (had != 0 && copy_rule(*rule, &old)) {
        raise(raised(old.host), old.soft, context);
    }
    write_rule_locked(rule, glob, seq);
    return true;
}

void publish_globs(GlobTable* table, uint64_t seq) noexcept {
    uint64_t seen = table->newest.load_acquire();  // [glob-newest]
    // Only forward: of two purges that were done in this order the second may come first here, when both are written.
    while (seen < seq && !table->newest.cas_acq_rel(seen, seq)) {  // [glob-newest] after the rules
    }
}

void copy_globs(const GlobTable& from, GlobTable* to, uint64_t limit) noexcept {
    uint32_t n = 0;
    for (const GlobRule& rule : from.rule) {
        const uint64_t seq = rule.seq.load_acquire();  // [glob-rule]
        Copy copy;
        const bool whole = seq != 0 && copy_rule(rule, &copy) && rule.seq.load_acquire() != 0;  // [glob-rule]
        if (!whole) {
            continue;  // empty, or being written: what it said had its host purged, what it will say is younger
        }
        const uint64_t as_of = seq < limit ? seq : limit;
        write_rule_locked(&to->rule[n++], {copy.host, copy.pattern, copy.soft}, as_of);
        publish_globs(to, as_of);
    }
}

uint64_t each_younger_glob(const GlobTable& table, uint64_t since, YoungerFn fn, void* context) noexcept {
    const uint64_t newest = table.newest.load_acquire();  // [glob-newest] before the rules
    for (const GlobRule& rule : table.rule) {
        Copy copy;
        // One that is overwritten meanwhile has its host among the purges, and what comes is younger than `newest`.
        if (rule.seq.load_acquire() > since && copy_rule(rule, &copy)) {  // [glob-rule]
            fn(raised(copy.host), copy.soft, context);
        }
    }
    return newest;
}

}  // namespace slab_cache::cache
