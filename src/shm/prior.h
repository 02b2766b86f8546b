// shm/prior.h — a zone that takes another's place (resize, another layout) while workers of the old one go on.
//
// What        Both zones have one secret, so that a fingerprint means the same in both. The successor begins with the old
//             zone's purges. Its own counter begins far above, so that the two never give out the same number: one that the old
//             zone gave out before is known here (Store::is_own_seq), one that it gives out later is foreign. From then on its processes, which have the old zone mapped too, do three things:
//             they purge in both, they look at the old counter before they believe an object to be valid, and where that has
//             moved they take over what was purged there, as purges of now: too much goes, never too little.
//             The old zone's processes know nothing of this.
// Threading   catch_up(): anybody who holds no lock. Locks are taken one after the other, never two at once.
// Order       records of the old zone are read after its counter, floors after records (purge.h). prior_seq is raised after
//             the purges it stands for were published here.
// Death       an importer that dies leaves prior_seq as it was: the next one does it again. Of a purge that dies between the
//             two zones nobody was told; the old counter has moved or its records are finished by the next owner of its lock.
//             Where all die, what the old zone had purged and nobody took over dies too: a recovery of a zone that still
//             `follows` another purges everything.
// Closing     closed = 1: nobody joins the old zone any more; then, when no record's owner lives, 2: nobody is left to read
//             it. Its counter and records stay and are looked at for as long as a configuration has it mapped.
// Invariant   P3  what is purged in either zone is found in no later validity() of either.     [unit/prior, z_resize_test]
#pragma once

#include "shm/layout.h"
#include "shm/context.h"

namespace slab_cache::shm {

static_assert(sizeof(Context::prior) / sizeof(PriorZone) == kMaxPriors);

enum : uint32_t { kZoneOpen = 0, kZoneJoinsNoMore = 1, kZoneLeft = 2 };

// The prior at `place` as a context of its own; false where there is none.
bool context_of_prior(const Context& c, uint32_t place, Context* out) noexcept;
// Its processes may still run: purges must reach it.
bool is_open_prior(const Context& c, uint32_t place) noexcept;

bool is_behind(const Context& c) noexcept;
bool import_purges(Context* c) noexcept;

// True when every purge that a prior zone answered before this call counts here. False: a lock was busy for too long.
inline bool catch_up(Context* c) noexcept { return c->priors == 0 || !is_behind(*c) || import_purges(c); }

// After a purge here, REQUIRES the purge lock: it was also done in the prior at `place`, whose counter became `seq`.
void note_forwarded_locked(const Context& c, uint32_t place, uint64_t seq) noexcept;

}  // namespace slab_cache::shm
