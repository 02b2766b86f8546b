// ngx/conf/sent_fields.h — request fields that a location sends its origin in place of its client's: proxy_set_header and
// its kind, and a gateway's parameters HTTP_….
//
// Why         A response's Vary names fields of the request that its origin saw. Where nginx makes such a field, out of a
//             map or of what auth_request said, the client's own line of that name says nothing.
// Inherited   as nginx does it: a level that has one directive of a kind takes none of that kind from outside.
#pragma once

#include "ngx/glue/ngx.h"

#include "ngx/conf/conf.h"

namespace slab_cache::ngx {

struct SentField {
    Bytes name;                      // empty: a parameter that is no field
    ngx_http_complex_value_t value;  // empty: the field is not sent
};

// Behind the setter of proxy_set_header or fastcgi_param, and their kind; nothing of other directives. False when memory ran out.
bool note_sent_field(ngx_conf_t* cf) noexcept;
// Behind the setter of proxy_pass and its kind: which of them the location uses.
void note_sender(ngx_conf_t* cf) noexcept;
// At merge, before merge_slice(): conf->sent[…] as nginx has them.
void merge_sent_fields(const LocConf* prev, LocConf* conf) noexcept;

// Those of the location's own content handler, of SentField; nullptr: none.
inline const ngx_array_t* sent_fields(const LocConf* conf) noexcept {
    return conf->sender != 0 ? conf->sent[conf->sender - 1] : nullptr;
}

}  // namespace slab_cache::ngx
