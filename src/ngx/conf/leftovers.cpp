#include "ngx/glue/ngx.h"

#include "ngx/conf/leftovers.h"

#include "ngx/conf/conf.h"
#include "ngx/conf/location_identity.h"

namespace slab_cache::ngx {
namespace {

constexpr Bytes kStatus = "$upstream_cache_status";
constexpr Bytes kStatusInBraces = "${upstream_cache_status}";

enum class Kind : uint8_t { kSlabCache, kBypass, kNoCache, kKey, kCache, kPass, kShows };

struct Row {
    Bytes name;
    Kind kind;
    uint8_t family;
};

constexpr Row kRows[] = {
    {"slab_cache", Kind::kSlabCache, 0},
    {"proxy_cache_bypass", Kind::kBypass, 0},
    {"proxy_no_cache", Kind::kNoCache, 0},
    {"proxy_cache_key", Kind::kKey, 0},
    {"proxy_cache", Kind::kCache, 0},
    {"proxy_pass", Kind::kPass, 0},
    {"fastcgi_cache_bypass", Kind::kBypass, 1},
    {"fastcgi_no_cache", Kind::kNoCache, 1},
    {"fastcgi_cache_key", Kind::kKey, 1},
    {"fastcgi_cache", Kind::kCache, 1},
    {"fastcgi_pass", Kind::kPass, 1},
    {"uwsgi_cache_bypass", Kind::kBypass, 2},
    {"uwsgi_no_cache", Kind::kNoCache, 2},
    {"uwsgi_cache_key", Kind::kKey, 2},
    {"uwsgi_cache", Kind::kCache, 2},
    {"uwsgi_pass", Kind::kPass, 2},
    {"scgi_cache_bypass", Kind::kBypass, 3},
    {"scgi_no_cache", Kind::kNoCache, 3},
    {"scgi_cache_key", Kind::kKey, 3},
    {"scgi_cache", Kind::kCache, 3},
    {"scgi_pass", Kind::kPass, 3},
    // What may show $upstream_cache_status.
    {"add_header", Kind::kShows, 0},
    {"add_trailer", Kind::kShows, 0},
    {"more_set_headers", Kind::kShows, 0},
    {"log_format", Kind::kShows, 0},
    {"map", Kind::kShows, 0},
    {"set", Kind::kShows, 0},
    {"if", Kind::kShows, 0},
    {"return", Kind::kShows, 0},
    {"auth_request_set", Kind::kShows, 0},
};

// The counterpart, by pair.
constexpr const char* kOurs[kPairs] = {"slab_cache_bypass", "slab_no_cache", "slab_cache_key"};
constexpr const char* kRisk[kPairs] = {"requests that it names are answered from the cache",
                                       "what it names is stored, and shown to others",
                                       "what it tells apart beyond the URL is one to the cache"};

// Of the http block that is being read.
ngx_array_t* shown;       // of Written*
ngx_array_t* candidates;  // of Candidate
bool is_ours_on;
bool is_nginx_on;

struct Candidate {
    Written* left;
    const Written* beside;
    uint32_t pair;
    bool is_sure;  // written in the same location, or for the module that the location passes to
};

Written* write_down(ngx_conf_t* cf, const ngx_command_t* command) noexcept {
    auto* written = pool_new<Written>(cf->pool);
    if (written != nullptr) {
        written->name = command->name;
        written->file = cf->conf_file->file.name;
        written->line = cf->conf_file->line;
    }
    return written;
}

bool shows_status(const ngx_conf_t* cf) noexcept {
    const auto* value = static_cast<const ngx_str_t*>(cf->args->elts);
    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        if (view(value[i]).find(kStatus) != Bytes::npos || view(value[i]).find(kStatusInBraces) != Bytes::npos) {
            return true;
        }
    }
    return false;
}

bool note_shown(ngx_conf_t* cf, const ngx_command_t* command, Beside* beside) noexcept {
    if (!shows_status(cf)) {
        return true;
    }
    auto** slot = static_cast<Written**>(ngx_array_push(shown));
    if (slot == nullptr || (*slot = write_down(cf, command)) == nullptr) {
        return false;
    }
    for (Written*& own : beside->status) {
        if (own == nullptr) {
            own = *slot;
            break;
        }
    }
    return true;
}

// A key that names no more than the default one does takes the place of an outer level's, and is nothing to tell of.
bool note_key(ngx_conf_t* cf, const ngx_command_t* command, Beside* beside, uint8_t family) noexcept {
    Written* written = write_down(cf, command);
    if (written == nullptr) {
        return false;
    }
    written->is_told = !says_more_than_url(view(static_cast<ngx_str_t*>(cf->args->elts)[1]));
    beside->is_own[family][2] = true;
    beside->left[family][2] = written;
    return true;
}

bool note(ngx_conf_t* cf, const ngx_command_t* command, const Row& row) noexcept {
    Beside* beside = static_cast<LocConf*>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_slab_cache_module))->beside;
    switch (row.kind) {
    case Kind::kSlabCache:
        return (beside->slab_cache = write_down(cf, command)) != nullptr;
    case Kind::kBypass:
    case Kind::kNoCache: {
        const uint32_t pair = row.kind == Kind::kBypass ? 0 : 1;
        beside->is_own[row.family][pair] = true;
        return (beside->left[row.family][pair] = write_down(cf, command)) != nullptr;
    }
    case Kind::kKey:
        return note_key(cf, command, beside, row.family);
    case Kind::kCache:
        beside->is_on[row.family] = view(static_cast<ngx_str_t*>(cf->args->elts)[1]) != "off";
        return true;
    case Kind::kPass:
        beside->passes_to = row.family;
        return true;
    case Kind::kShows:
        return note_shown(cf, command, beside);
    }
    return true;
}

const Row* row_of(Bytes directive) noexcept {
    for (const Row& row : kRows) {
        if (row.name == directive) {
            return &row;
        }
    }
    return nullptr;
}

void inherit(const Beside& from, Beside* to) noexcept {
    to->slab_cache = to->slab_cache != nullptr ? to->slab_cache : from.slab_cache;
    for (uint32_t f = 0; f < kFamilies; f++) {
        if (to->is_on[f] == NGX_CONF_UNSET) {
            to->is_on[f] = from.is_on[f];
        }
        for (uint32_t p = 0; p < kPairs; p++) {
            if (to->left[f][p] == nullptr) {
                to->left[f][p] = from.left[f][p];
            }
        }
    }
}

bool is_any_on(const Beside& beside) noexcept {
    for (ngx_flag_t on : beside.is_on) {
        if (on == 1) {
            return true;
        }
    }
    return false;
}

bool add_candidates(const LocConf* conf, uint32_t f) noexcept {
    const Beside& beside = *conf->beside;
    const bool is_missing[kPairs] = {conf->bypass == nullptr, conf->no_cache == nullptr, conf->key == nullptr};
    for (uint32_t p = 0; p < kPairs; p++) {
        if (beside.left[f][p] == nullptr || !is_missing[p] || beside.slab_cache == nullptr) {
            continue;
        }
        auto* one = static_cast<Candidate*>(ngx_array_push(candidates));
        if (one == nullptr) {
            return false;
        }
        *one = {beside.left[f][p], beside.slab_cache, p,
                beside.is_own[f][p] || beside.passes_to == static_cast<ngx_int_t>(f)};
    }
    return true;
}

void tell_status(ngx_log_t* log, Written* use) noexcept {
    if (!use->is_told) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "\"%V\" in %V:%ui shows $upstream_cache_status, which \"slab_cache\" leaves empty: "
                      "$slab_cache_status has the same words",
                      &use->name, &use->file, use->line);
        use->is_told = true;
    }
}

void tell_candidates(ngx_log_t* log) noexcept {
    auto* list = static_cast<Candidate*>(candidates->elts);
    for (ngx_uint_t i = 0; i < candidates->nelts; i++) {
        const Candidate& one = list[i];
        if (one.left->is_told || (!one.is_sure && one.left->is_used)) {
            continue;
        }
        one.left->is_told = true;
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "\"%V\" in %V:%ui says nothing to \"slab_cache\" in %V:%ui: %s; \"%s\" with the same values is "
                      "what it takes",
                      &one.left->name, &one.left->file, one.left->line, &one.beside->file, one.beside->line,
                      kRisk[one.pair], kOurs[one.pair]);
    }
}

}  // namespace

bool begin_leftovers(ngx_conf_t* cf) noexcept {
    shown = ngx_array_create(cf->pool, 4, sizeof(Written*));
    candidates = ngx_array_create(cf->pool, 4, sizeof(Candidate));
    is_ours_on = is_nginx_on = false;
    return shown != nullptr && candidates != nullptr;
}

bool is_of_leftovers(Bytes directive) noexcept { return row_of(directive) != nullptr; }

bool note_leftover(ngx_conf_t* cf, const ngx_command_t* command) noexcept {
    const Row* row = row_of(view(command->name));
    return row == nullptr || note(cf, command, *row);
}

Beside* create_beside(ngx_pool_t* pool) noexcept {
    auto* beside = pool_new<Beside>(pool);
    if (beside != nullptr) {
        for (ngx_flag_t& on : beside->is_on) {
            on = NGX_CONF_UNSET;
        }
        beside->passes_to = NGX_CONF_UNSET;
    }
    return beside;
}

bool merge_beside(ngx_conf_t* cf, const LocConf* prev, LocConf* conf) noexcept {
    auto* clcf = static_cast<ngx_http_core_loc_conf_t*>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
    Beside* beside = conf->beside;
    inherit(*prev->beside, beside);
    if (clcf->noname != 0 && beside->passes_to == NGX_CONF_UNSET) {
        beside->passes_to = prev->beside->passes_to;  // if, limit_except: the location's content handler is theirs
    }
    if (clcf->name.len == 0 && clcf->noname == 0) {
        return true;  // a server: what counts is in its locations
    }
    const bool ours = conf->zone != nullptr || conf->zone_value != nullptr;
    const bool nginxs = is_any_on(*beside);
    is_ours_on = is_ours_on || ours;
    is_nginx_on = is_nginx_on || nginxs;
    for (uint32_t f = 0; f < kFamilies; f++) {
        for (Written* left : beside->left[f]) {
            if (left != nullptr && beside->is_on[f] == 1) {
                left->is_used = true;
            }
        }
        if (ours && !add_candidates(conf, f)) {
            return false;
        }
    }
    // What a location shows of its own is told where nginx's caches are off in it, whatever others do.
    for (Written* use : beside->status) {
        if (use != nullptr && ours && !nginxs) {
            tell_status(cf->log, use);
        }
    }
    return true;
}

void tell_leftovers(ngx_conf_t* cf) noexcept {
    tell_candidates(cf->log);
    auto** use = static_cast<Written**>(shown->elts);
    for (ngx_uint_t i = 0; i < shown->nelts && is_ours_on && !is_nginx_on; i++) {
        tell_status(cf->log, use[i]);
    }
}

}  // namespace slab_cache::ngx
