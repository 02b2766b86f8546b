// ngx/zone/heritage.h — a zone and the next binary (USR2): the new nginx succeeds the old one's zone as at a resize.
//
// What        The master keeps a descriptor of each zone's memory open and hands it on. Anonymous zones lie in a memfd: nginx's own
//             mapping of a zone is replaced by one of that, at the same address. The new binary finds the descriptor by the zone's
//             name, or by its file's path; maps it, and takes its objects and purges over (succession.h). From then on purges reach
//             both, on the way forward and on the way back. A file= is shared where it is the one that was handed on, with size and
//             layout as they were. What lies at the path proves nothing: after a way back it is the file of the binary that left.
// Afterwards  the old master may bring its workers back: a zone handed on is left only when that master is gone.
// Limits      where there is no memfd or no /proc, or the new module has another layout, both know nothing of each other, and the
//             log says so.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

struct Zone;

// Puts nginx's memory of a new zone into a memfd. Without one it stays as it is.
void share_memory(Zone* zone, ngx_shm_zone_t* shm_zone) noexcept;
// The next configuration's part of the same zone keeps it open too.
void keep_shared_memory(Zone* zone, const Zone& old) noexcept;
// The same of a zone's file. Its descriptor is another than the one that holds the lock.
void hand_on_file(Zone* zone, ngx_log_t* log) noexcept;
void close_shared_memory(void* zone) noexcept;  // pool cleanup

bool has_heritage(const Zone& zone) noexcept;
// The old binary's zone of this name lies elsewhere than in the file that was found.
bool is_inherited_elsewhere(const Zone& zone, dev_t device, ino_t inode) noexcept;
// The old binary's zone of this name, as far as succession needs one. False: there is none.
bool open_inherited(const Zone& zone, Zone* old, ngx_log_t* log) noexcept;
void close_inherited(Zone* old) noexcept;
// The cycle begins: what was handed on and is not used goes.
void drop_heritage(ngx_cycle_t* cycle) noexcept;

}  // namespace slab_cache::ngx
