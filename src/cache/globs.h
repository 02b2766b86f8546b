// cache/globs.h — purges by pattern: a bounded table of rules that lookups ask, for objects older than the newest rule.
//
// What        A rule is a host, a pattern with '*' over the path (over path?args where the pattern has a '?'), hard or soft, and
//             the purge counter at which it was given. An object whose birth is older than a rule that matches its URL is
//             purged. '*' stands for any bytes, '/' too; matching is linear but for the stars, no regular expressions.
// Tags        A rule may be one of tags instead: all of some, and none of others. Its host is a NUL and the selectors of the ones, its
//             pattern the selectors of the others: no host begins so. An object's selectors are asked, not its URL.
// Again       a pattern that has a rule raises that rule's counter, in place: at no moment does it not count.
// Full        the oldest rule makes room, after its whole host was purged (`raise`), or the first of its tags: too much goes, never
//             too little.
// Threading   judge_globs(): anybody, no lock. add_glob(): inside a purge section (shm/store.h), under the purge lock. There the
//             counter is given out and the rule written in one: else a younger rule could be published before an older one,
//             and an object found valid up to the younger would never be held against the older.
// Death       a rule's seq is 0 while it is written; who dies then leaves an empty rule, and nobody was told that the purge
//             was done. A rule without its `newest` counts from the next purge by pattern on.
// Invariant   G1  a reader that saw `newest` sees every rule up to it.                      [unit/globs, crash/meddle]
#pragma once

#include <cstdint>
#include <type_traits>

#include "base/atom.h"
#include "base/bytes.h"

namespace slab_cache::cache {

using base::Bytes;

inline constexpr uint32_t kGlobRules = 64;
inline constexpr uint32_t kGlobWords = 29;
inline constexpr uint32_t kGlobText = kGlobWords * 8;  // host and pattern together
inline constexpr size_t kGlobSubject = 4096;           // longer URLs count as matched

//   | seq:64 | host bytes:16 | pattern bytes:16 | soft:32 | unused:64 | text |     = 256 bytes
struct GlobRule {
    base::Atom<uint64_t> seq;    // 0: empty, or being written
    base::Atom<uint64_t> shape;  // soft:32 | pattern bytes:16 | host bytes:16
    uint64_t unused;
    base::Atom<uint64_t> text[kGlobWords];
};
static_assert(sizeof(GlobRule) == 256 && std::is_standard_layout_v<GlobRule>);

struct GlobTable {
    base::Atom<uint64_t> newest;  // the highest seq of a rule; 0: there never was one
    uint32_t unused[14];
    GlobRule rule[kGlobRules];
};

struct Glob {
    Bytes host;     // lower case, without port
    Bytes pattern;  // percent-decoded path, perhaps with ?args
    bool soft;
};

constexpr bool is_of_tags(Bytes host) noexcept { return !host.empty() && host.front() == '\0'; }
// What purges at least what a rule does, by the host that it has or `raise` was given.
uint64_t raised_selector(Bytes host, const uint8_t* secret) noexcept;

// What an object is judged by.
struct Judged {
    Bytes host;
    Bytes path;
    Bytes args;  // without '?'
    const uint64_t* selector = nullptr;
    uint32_t selectors = 0;
};

bool is_glob(Bytes pattern) noexcept;  // has a '*'
bool fits_rule(const Glob& glob) noexcept;
bool glob_matches(Bytes pattern, Bytes text) noexcept;

enum class GlobAnswer : uint8_t { kNone, kSoft, kHard };

// Rules younger than `birth` that match.
GlobAnswer judge_globs(const GlobTable& table, const Judged& object, uint64_t birth) noexcept;

// Purges all of a host (or what raised_selector() says), because its rule has to go. Returns before that rule is touched.
using RaiseFn = void (*)(Bytes host, bool soft, void* context);

// REQUIRES the purge lock; `seq` is what its section has. False: the glob does not fit, or all rules are younger than
// `seq` (nonsense): nothing was done, the host is to be purged.
bool add_glob(GlobTable* table, const Glob& glob, uint64_t seq, RaiseFn raise, void* context) noexcept;
// After the purge that added rules with this counter; then readers look at them.
void publish_globs(GlobTable* table, uint64_t seq) noexcept;

// For a zone that takes another's place (ngx/zone/succession.h). Fills an empty table that nobody else knows yet. Rules younger than
// `limit` count as of `limit`: one may have been raised since, and what it purged before must stay purged.
void copy_globs(const GlobTable& from, GlobTable* to, uint64_t limit) noexcept;

// The rules younger than `since`; returns what `newest` was before they were looked at.
using YoungerFn = void (*)(Bytes host, bool soft, void* context);
uint64_t each_younger_glob(const GlobTable& table, uint64_t since, YoungerFn fn, void* context) noexcept;

}  // namespace slab_cache::cache
