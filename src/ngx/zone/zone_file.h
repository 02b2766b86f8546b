// ngx/zone/zone_file.h — a zone that outlives nginx: slab_cache_zone … file=/dev/shm/pages.slab.
//
// What        The master maps a file on tmpfs or hugetlbfs before it forks, in place of the anonymous memory nginx gives.
//             What it finds there is refused unless it is a zone of ours (zone_place.h), and used if every check passes: mode,
//             size, boot, layout. Otherwise a new file is made beside it and, once nothing can fail any more, renamed over it:
//             whoever has the old one mapped keeps it.
// Layout      the first kReservedBytes hold FileHeader, where anonymous zones have nginx's slab pool; the store follows.
// Users       every cycle of every master holds a read lock (of its open file description, so workers share it by fork)
//             for as long as any of its processes lives. Who gets the write lock is alone: only then may the zone be
//             repaired at the start, or be marked clean at the end. A file in use is shared with the parent in a binary
//             upgrade, with our own earlier cycle, and with workers that drain on while their master is dead for certain;
//             anybody else's is refused, which catches a second instance.
// Death       of any process, at any instruction: the zone stays marked unclean, and the next to be alone repairs it.
// Ownership   descriptor and mapping belong to the cycle's pool. nginx -t checks the place and touches nothing.
#pragma once

#include "ngx/glue/ngx.h"

#include <sys/types.h>

#include "ngx/zone/zone_guard.h"
#include "ngx/zone/zone_place.h"

namespace slab_cache::ngx {

struct Zone;

// What nginx itself is asked for when the zone has a file: it insists on memory of its own for every zone.
inline constexpr size_t kFileStandInBytes = 64 * 1024;

struct ZoneFile {
    ngx_str_t path;   // empty: the zone is anonymous
    int fd;           // -1 while not open
    void* addr;       // nullptr while not mapped
    Mapping guarded;  // the same, for the signal
    dev_t device;
    ino_t inode;
    FilePlace place;        // where it is, however the path is spelled
    dev_t replaced_device;  // what lay at the path when it was opened; 0: nothing
    ino_t replaced_inode;
    char* fresh_name;  // room for the name of a new file, from the cycle's pool
    bool given_up;     // this process has seen that it is lost, and said so
    bool fresh;        // a new file is there under that name until the cycle is sure to begin
};

// The configuration that runs has this file.
bool is_zone_file_in_use(const struct stat& st) noexcept;

// Opens, checks, repairs or creates, and attaches zone->store. Logs what it did.
ngx_int_t open_zone_file(Zone* zone, ngx_log_t* log) noexcept;

// The cycle begins: new files get their names. A reload that fails before leaves the old ones where they are.
void name_zone_files(ngx_cycle_t* cycle) noexcept;

// It was created or attached, and is still there: neither cut short nor written over. To be asked before it is touched.
bool is_sound(const Zone& zone) noexcept;
// Gives it up where it is not, and says so once. False: it is out of use.
bool watch_zone_file(Zone* zone, ngx_log_t* log) noexcept;

// Pool cleanup.
void close_zone_file(void* zone) noexcept;

// A worker says who its master is: the parent of the next binary is recognised by it.
void note_master(Zone* zone) noexcept;

// The master is about to exit and its workers are gone. Marks as clean what nobody else uses.
void leave_zone_files(ngx_cycle_t* cycle) noexcept;

}  // namespace slab_cache::ngx
