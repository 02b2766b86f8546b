// ngx/zone/heritage.h — a zone and the next binary (USR2): the new nginx succeeds the old one's zone as at a resize.
//
// What        Anonymous zones lie in a memfd that the master keeps open and hands on: nginx's own mapping of a zone is replaced by
//             one of that, at the same address. The new binary finds it by its name, maps it, and takes its objects and purges over
//             (succession.h). From then on purges reach both, on the way forward and on the way back. A file= of another size is
//             succeeded likewise; one of the same size is shared.
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
void close_shared_memory(void* zone) noexcept;  // pool cleanup

// A file of another size that the old binary uses: what this zone is to succeed.
void note_inherited_file(Zone* zone, int fd) noexcept;
// The old binary's zone of this name, as far as succession needs one. False: there is none.
bool open_inherited(const Zone& zone, Zone* old, ngx_log_t* log) noexcept;
void close_inherited(Zone* old) noexcept;
// The cycle begins: what was handed on and is not used goes.
void drop_heritage(ngx_cycle_t* cycle) noexcept;

}  // namespace slab_cache::ngx
