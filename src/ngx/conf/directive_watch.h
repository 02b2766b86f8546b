// ngx/conf/directive_watch.h — what other modules' directives say, as far as an answer's identity hangs on it (identity.h), and
// what of nginx's own caches is left beside ours (leftovers.h).
//
// What        `proxy_pass` and its kind make a location's content handler, and name the backend, by variables perhaps.
//             Their configuration is private to their modules. While the http block is read, the setters of these
//             directives are called through ours, which looks at the words and at clcf->handler afterwards.
// Lifetime    the tables of commands belong to other modules and outlive a configuration: each row is put back when
//             the block has been read, or when its cycle's pool goes, whichever comes first.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

// From create_main_conf(). False when memory ran out.
bool watch_directives(ngx_conf_t* cf) noexcept;
// From postconfiguration. Idempotent.
void unwatch_directives() noexcept;

}  // namespace slab_cache::ngx
