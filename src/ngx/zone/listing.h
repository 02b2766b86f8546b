// ngx/zone/listing.h — URLs of which something is stored, or may be soon (cache/url_filter.h).
//
// What        Anybody can send unsafe requests to any URL. An invalidation of a URL that is not listed needs no purge record:
//             there is nothing that it could take. So strangers cannot fill the table of records, which operators need.
// How         A fill lists its URL before it takes its birth; what it stores is published only if it has been listed ever
//             since. One worker walks over the index every two minutes and lists what is stored.
// Not with    a prior zone whose workers may still run: neither side sees what the other lists. Then each record is written.
#pragma once

#include "ngx/glue/ngx.h"

#include "cache/url_filter.h"
#include "ngx/zone/zone.h"

namespace slab_cache::ngx {

// A URL whose answer is under way. Whoever asks for it owns this, and takes it out of the queue in time.
struct Listed {
    ngx_queue_t link;  // Zone::under_way
    uint64_t selector;
    uint32_t epoch;
};

uint32_t filter_bytes(const Zone& zone) noexcept;  // for a zone of this configuration
void begin_listing(Zone* zone) noexcept;           // of a zone without objects, in the master

// Before the birth of what is to be stored is taken. `stale` may be empty: what it starts from.
void list_under_way(Zone* zone, Listed* listed, ngx_pool_t* pool, Bytes host, Bytes uri,
                    const shm::Pin& stale) noexcept;
// Lists it anew. False: it was not all the time, and an invalidation may have gone by unheard.
bool is_listed_still(Zone* zone, Listed* listed) noexcept;
void list_url(Zone* zone, uint64_t selector) noexcept;  // of what is stored at once

bool may_be_stored(Zone* zone, uint64_t selector) noexcept;

// Another zone has taken its place (succession.h), though workers of it may run on. What concerns that one needs a record.
bool has_successor(Zone* zone) noexcept;
// What went unheard in the zone whose place this one takes counts here too. After has_successor() of that one.
void take_over_unheard(Zone* zone, Zone* old) noexcept;

// For what is stored without having been listed before its data was read (push_call.h): list it, then look whether something
// was unheard in between.
void add_unheard(Zone* zone, uint64_t selector) noexcept;
bool is_unheard_since(Zone* zone, uint64_t selector, uint64_t purge_seq) noexcept;
// For what was asked for without having been listed (passing_post.h): list it, read the counter of purges, then this. Where it is
// what it was before the origin was asked, no invalidation of the URL went unheard since. Counts those of some other URLs too; it
// wraps.
uint32_t unheard_count(Zone* zone, uint64_t selector) noexcept;

// What was asked for before the URL's last push is neither stored nor joined after it, whether the pushed object is still
// there or not.
void note_push(Zone* zone, uint64_t selector, uint64_t birth) noexcept;
bool is_pushed_since(Zone* zone, uint64_t selector, uint64_t asked) noexcept;

void list_all_under_way(Zone* zone) noexcept;             // once a second: those under way stay listed
void start_walking(Zone* zone, ngx_log_t* log) noexcept;  // a worker's part
void walk_if_due(Zone* zone) noexcept;                    // once a second

}  // namespace slab_cache::ngx
