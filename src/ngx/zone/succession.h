// ngx/zone/succession.h — a zone whose size or layout changes at a reload takes the old one's objects and purges over.
//
// What        In the master's init of the new zone, while the old workers go on: the new zone is formatted, takes over the secret
//             and the purges (shm/prior.h), and then objects, the most useful first, for as long as kCarryMs. The old zone is mapped
//             a second time, since nginx takes its own mapping away when the reload is done; workers inherit that by the fork and so
//             see what draining workers purge, and let these see what they purge themselves.
// Patterns    of the old zone come along; those that draining workers add later are taken over as purges of their whole host.
// Afterwards  a worker that finds the old zone without any process gives its memory back, all but the tables of purges. The next
//             reload drops the mapping. A change more, with workers of kPriors older zones left, is refused: the reload fails, all
//             stays as it is.
// Ownership   the mappings are the cycle's: drop_priors() is its pool's cleanup.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/zone/zone_guard.h"

namespace slab_cache::cache {
struct FleetArea;
}

namespace slab_cache::ngx {

struct MainConf;
struct Zone;

struct PriorMap {
    void* addr;  // nullptr: none
    size_t bytes;
    int file;         // 1 + a descriptor of the file it is a mapping of; 0: anonymous
    bool given_back;  // this process has seen its memory given back
    Mapping guarded;
    ngx_pid_t keeper;  // the old binary's master, who may bring its workers back; 0: it was a reload
    uint64_t keeper_start;
};

// The configuration that is being replaced in this very process, if this very module is in it; else nullptr.
MainConf* earlier_conf() noexcept;

// A zone runs whose objects take_over() will fetch.
bool has_predecessor(const Zone& zone) noexcept;
// The new zone is formatted and nobody's yet. Logs what came along. NGX_ERROR: purges could get lost, so the reload must fail.
ngx_int_t take_over(Zone* zone, ngx_log_t* log) noexcept;
// The zone stays as it is: so do its priors.
void keep_priors(Zone* zone) noexcept;
void drop_priors(void* zone) noexcept;
// A zone of this name lives already, in this process or in the old binary, and not in the file that is found.
bool is_elsewhere(const Zone& zone) noexcept;
// The cycle begins: the file of a zone that moved out of it goes, or it would come back one day without the purges since.
void remove_left_file(const Zone& zone) noexcept;
// Closes the priors that no process is left in, and gives their memory back. Upkeep, in workers; the master's last act.
void give_back_priors(Zone* zone) noexcept;

// What a prior zone knows of its fleet; nullptr where there is none.
cache::FleetArea* prior_fleet(const Zone& zone, uint32_t place) noexcept;
// A prior zone's workers added patterns that do not count here yet.
bool is_behind_on_globs(const Zone& zone) noexcept;
void import_globs(Zone* zone) noexcept;

}  // namespace slab_cache::ngx
