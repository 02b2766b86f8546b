// ngx/steps/phases.h — where in nginx's phases the cache stands.
//
// What        The cache is asked where nginx would call the content handler: behind rewrite, access, auth_request,
//             satisfy, limits and try_files, of the location that answers. That is proxy_cache's place. For a location
//             without a content handler it is behind `index`, which answers nothing and sends elsewhere.
// How         Each phase's entry has a checker, which is public. When the engine has been built (init_module), the
//             checkers of the first content entry and of the one behind index are ours, and call nginx's. So are those
//             at which a redirected request starts anew: there a fill has left its location, and ends.
// PURGE       is looked at before try_files, by an ordinary handler: a purge names a URL, not what is behind it.
// Rejected    a PRECONTENT handler: modules that come later run first; and it is before index.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/conf/conf.h"

namespace slab_cache::ngx {

// From postconfiguration: finds the handlers of index and random_index.
ngx_int_t find_redirecting_handlers(ngx_conf_t* cf) noexcept;
// From init_module: puts our checkers in.
void stand_in_phases(ngx_cycle_t* cycle, MainConf* mcf) noexcept;

}  // namespace slab_cache::ngx
