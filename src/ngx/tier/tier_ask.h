// ngx/tier/tier_ask.h — one question to a tier: its value of a key, the lease for it, or the value that another machine makes.
//
// What        The value is asked for. Where there is none that will do, and a lease is wanted: the lease, and the value once more behind it (who
//             had the lease may have ended meanwhile). Another has it: its value is waited for, until lease= is over.
// Waiting     Redis tells of the key's change, and of the lease's end. memcached is asked again: after 2 ms first, then whenever an
//             eighth of the time waited so far has passed, 50 ms at most. A look every 250 ms stands behind both.
// Ownership   a TierAsk is on the heap, and its own: it may outlive who asked, while replies are awaited. cancel_ask() says
//             that nobody listens any more; what it has won by then is given back.
// Threading   one worker's event loop. `take` and `answered` come from an event, never from within ask_tier(); the latter once, and last.
// Errors      each is a miss with its reason. Nothing here fails a request.
// Bounds      timeout= for each command, lease= for all of it.
#pragma once

#include "ngx/glue/ngx.h"

#include "cache/tier_key.h"
#include "ngx/tier/tier_conf.h"

namespace slab_cache::ngx {

struct TierAsk;

// The right to ask the origin, for all machines. Empty: none.
struct TierHold {
    TierConf* conf;
    cache::StoreKey key;  // of the object
    uint64_t token;
    uint64_t until_ms;

    explicit operator bool() const noexcept { return conf != nullptr; }
};

struct TierAnswer {
    bool is_hit;      // a value was taken
    bool has_waited;  // for another machine
    TierMiss miss;
    TierHold hold;  // a miss may come with it
};

struct TierAsker {
    // True: this value will do. False: it is as if there were none, for *why.
    bool (*take)(Bytes value, TierMiss* why, void* data) noexcept;
    void (*answered)(const TierAnswer& answer, void* data) noexcept;
    void* data;
};

// nullptr: it is not asked, for *why.
TierAsk* ask_tier(TierConf* conf, const cache::StoreKey& key, bool wants_lease, const TierAsker& asker,
                  TierMiss* why) noexcept;
void cancel_ask(TierAsk* ask) noexcept;

void give_back(TierHold* hold) noexcept;  // idempotent

}  // namespace slab_cache::ngx
