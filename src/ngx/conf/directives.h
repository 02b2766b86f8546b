// ngx/conf/directives.h — reading slab_cache_* directives: errors in nginx's voice.
//
// A setter returns NGX_CONF_OK, NGX_CONF_ERROR (already logged with file and line) or a phrase that nginx turns into
// `"…" directive <phrase> in file:line`.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

char* set_key(ngx_conf_t* cf, ngx_command_t* cmd, void* conf) noexcept;
char* set_key_args(ngx_conf_t* cf, ngx_command_t* cmd, void* conf) noexcept;
char* set_valid(ngx_conf_t* cf, ngx_command_t* cmd, void* conf) noexcept;
char* set_ttl(ngx_conf_t* cf, ngx_command_t* cmd, void* conf) noexcept;
char* set_cookie_mode(ngx_conf_t* cf, ngx_command_t* cmd, void* conf) noexcept;
char* set_vary(ngx_conf_t* cf, ngx_command_t* cmd, void* conf) noexcept;
char* set_stale(ngx_conf_t* cf, ngx_command_t* cmd, void* conf) noexcept;
char* set_refresh(ngx_conf_t* cf, ngx_command_t* cmd, void* conf) noexcept;
char* set_tags(ngx_conf_t* cf, ngx_command_t* cmd, void* conf) noexcept;

// Does a directive's value name this variable, as nginx reads it?
bool text_names_variable(Bytes text, Bytes name) noexcept;
// Does slab_cache_key?
bool names_variable(const ngx_array_t* key, Bytes name) noexcept;
// What it comes to for a GET can be told while a POST of the same URL is at hand: but for the method and the body, nothing in
// it depends on which of the two it is, by way of map or set, say.
bool is_known_for_get(const ngx_array_t* key) noexcept;

// Shared by the setters' files.
inline ngx_str_t* args(ngx_conf_t* cf) noexcept { return static_cast<ngx_str_t*>(cf->args->elts); }
// Logs `format`, in which a %V stands for the value. NGX_CONF_ERROR.
char* fail(ngx_conf_t* cf, const char* format, const ngx_str_t& value) noexcept;
bool read_seconds(const ngx_str_t& value, time_t* out) noexcept;
// `name=` in front of value: the rest.
bool parameter(const ngx_str_t& value, Bytes name, ngx_str_t* rest) noexcept;
// `right`, in words: what it must be.
char* invalid_parameter(ngx_conf_t* cf, const ngx_str_t& value, const char* right) noexcept;
inline constexpr char kTimeIsRight[] = "it must be a time such as \"30s\", \"10m\" or \"1d\"";

// `"a", "b" or "c"` of a message, cut where it is too long for one.
struct Choice {
    size_t bytes = 0;
    u_char text[512];

    void add(const ngx_str_t& word, bool is_last) noexcept {
        const char* before = bytes == 0 ? "" : is_last ? " or " : ", ";
        bytes = static_cast<size_t>(ngx_slprintf(text + bytes, text + sizeof(text), "%s\"%V\"", before, &word) - text);
    }
};

// The complex values of the arguments from `from` on.
char* compile_values(ngx_conf_t* cf, ngx_uint_t from, ngx_array_t** list) noexcept;
// "a,b,c" as an array of Bytes on the configuration pool. False on an empty member.
bool split_list(ngx_conf_t* cf, const ngx_str_t& value, const Bytes** out, uint32_t* count) noexcept;

}  // namespace slab_cache::ngx
