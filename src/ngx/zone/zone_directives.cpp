#include "ngx/glue/ngx.h"

#include "ngx/zone/zone_directives.h"

#include <new>

#include "ngx/conf/conf.h"
#include "ngx/zone/heritage.h"
#include "ngx/conf/directives.h"
#include "ngx/zone/listing.h"
#include "ngx/zone/user_area.h"
#include "ngx/zone/zone.h"
#include "ngx/zone/zone_memory.h"

namespace slab_cache::ngx {
namespace {

constexpr ngx_int_t kMostFills = 1 << 20;

Zone* zone_by_name(MainConf* mcf, Bytes name) noexcept {
    auto** zones = static_cast<Zone**>(mcf->zones.elts);
    for (ngx_uint_t i = 0; i < mcf->zones.nelts; i++) {
        if (view(zones[i]->name) == name) {
            return zones[i];
        }
    }
    return nullptr;
}

// "name:size"
char* read_name_and_size(ngx_conf_t* cf, const ngx_str_t& whole, const ngx_str_t& text, Zone* zone) noexcept {
    const size_t colon = view(text).find(':');
    if (colon == Bytes::npos || colon == 0) {
        return fail(cf, "invalid zone size \"%V\", write \"zone=name:size\", such as \"zone=pages:256m\"", whole);
    }
    zone->name = {colon, text.data};
    ngx_str_t size = {text.len - colon - 1, text.data + colon + 1};
    const off_t bytes = ngx_parse_offset(&size);  // as ngx_parse_size, and it knows of "g"
    if (bytes == NGX_ERROR) {
        return fail(cf,
                    "invalid zone size \"%V\", it must be a whole number with \"k\", \"m\" or \"g\", "
                    "such as \"256m\" or \"1536m\"",
                    whole);
    }
    zone->size = static_cast<size_t>(bytes);
    return NGX_CONF_OK;
}

char* fail_eviction(ngx_conf_t* cf, const ngx_str_t& value) noexcept {
    Choice words;
    for (uint32_t i = 0; !shm::eviction_word(i).empty(); i++) {
        words.add(to_str(shm::eviction_word(i)), shm::eviction_word(i + 1).empty());
    }
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid eviction value \"%V\", it must be %*s", &value, words.bytes,
                       words.text);
    return static_cast<char*>(NGX_CONF_ERROR);
}

// What people bring along from proxy_cache_path, and what there is instead.
struct Foreign {
    Bytes begins;
    const char* instead;
};
constexpr char kNoFiles[] = "there are no files: what is stored lies in the zone's memory";
constexpr char kNoOtherBound[] = "there are no files: the size in \"zone=name:size\" bounds all that is stored";
constexpr Foreign kForeign[] = {
    {"levels=", kNoFiles},
    {"use_temp_path=", kNoFiles},
    {"loader_", kNoFiles},
    {"manager_", kNoFiles},
    {"purger", "there are no files: what is purged is out of use at once, and its memory is taken back by itself"},
    {"max_size=", kNoOtherBound},
    {"min_free=", kNoOtherBound},
    {"size=", "write \"zone=name:size\""},
    {"name=", "write \"zone=name:size\""},
    {"keys_zone=", "write \"zone=name:size\": there are no files, the zone holds the responses, not only their keys"},
    {"path=", "there are no files, unless \"file=path\" keeps the zone on tmpfs"},
    {"/", "there are no files: write \"zone=name:size\", and \"file=path\" for a zone that outlives nginx"},
};

// What read_zone_parameter() takes.
struct ValueRow {
    Bytes begins;
    const char* right;
};
constexpr ValueRow kValues[] = {
    {"max_object=", "it must be a size such as \"512k\" or \"16m\""},
    {"objects=", "it must be a number such as \"100000\" or \"100k\""},
    {"purge_records=", "it must be a number from 1 on"},
    {"fills=", "it must be a number from 1 to 1048576"},
    {"huge_pages=", "it must be \"on\" or \"off\""},
    {"inactive=", kTimeIsRight},
    {"fleet=", "it must be the name of a \"slab_cache_fleet\""},
    {"file=", "it must be a path on tmpfs, such as \"/dev/shm/pages\""},
};

char* refuse_parameter(ngx_conf_t* cf, const ngx_str_t& value) noexcept {
    for (const Foreign& f : kForeign) {
        if (base::starts_with(view(value), f.begins)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\", %s", &value, f.instead);
            return static_cast<char*>(NGX_CONF_ERROR);
        }
    }
    ngx_str_t rest;
    if (parameter(value, "eviction=", &rest)) {
        return fail_eviction(cf, rest);
    }
    for (const ValueRow& row : kValues) {
        const ngx_str_t name = to_str(base::slice(row.begins, 0, row.begins.size() - 1));
        if (parameter(value, row.begins, &rest)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid %V value \"%V\", %s", &name, &rest, row.right);
            return static_cast<char*>(NGX_CONF_ERROR);
        }
    }
    if (view(value).find(':') != Bytes::npos && view(value).find('=') == Bytes::npos) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\", write \"zone=%V\"", &value, &value);
        return static_cast<char*>(NGX_CONF_ERROR);
    }
    Choice words;
    words.add(ngx_string("zone="), false);
    for (const ValueRow& row : kValues) {
        words.add(to_str(row.begins), false);
    }
    words.add(ngx_string("eviction="), true);
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\", it must begin with %*s", &value, words.bytes,
                       words.text);
    return static_cast<char*>(NGX_CONF_ERROR);
}

// Nothing that was asked for is silently made less.
char* check_bounds(ngx_conf_t* cf, const Zone& zone) noexcept {
    const shm::Config most = shm::Store::most(zone.size, zone.config);
    const struct {
        const char* name;
        uint64_t asked, most;
    } bounds[] = {{"objects", zone.config.objects, most.objects},
                  {"purge_records", zone.config.purge_records, most.purge_records},
                  {"max_object", zone.config.max_object, most.max_object}};
    for (const auto& b : bounds) {
        if (b.asked > b.most) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid %s value \"%uL\" in slab_cache zone \"%V\" of %s, it must be %uL at most",
                               b.name, b.asked, &zone.name, size_text(zone.size).text, b.most);
            return static_cast<char*>(NGX_CONF_ERROR);
        }
    }
    return NGX_CONF_OK;
}

// A zone that cannot fill without its workers being killed works for a while, so this is no error.
void warn_of_memory(ngx_conf_t* cf, MainConf* mcf, const Zone& zone) noexcept {
    const uint64_t limit = memory_limit();
    uint64_t all = zone.size;
    auto** zones = static_cast<Zone**>(mcf->zones.elts);
    for (ngx_uint_t i = 0; i < mcf->zones.nelts; i++) {
        all += zones[i]->size;
    }
    if (limit != 0 && all > limit) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "slab_cache zones up to \"%V\" take %s, and the control group allows %s of memory: "
                           "processes will be killed when they fill",
                           &zone.name, size_text(all).text, size_text(limit).text);
    }
}

bool read_zone_parameter(ngx_conf_t* cf, const ngx_str_t& value, Zone* zone) noexcept {
    ngx_str_t rest;
    if (parameter(value, "max_object=", &rest)) {
        const off_t n = ngx_parse_offset(&rest);
        zone->config.max_object = static_cast<uint64_t>(n);
        return n != NGX_ERROR && n > 0;
    }
    if (parameter(value, "objects=", &rest)) {
        const off_t n = ngx_parse_offset(&rest);
        zone->config.objects = static_cast<uint64_t>(n);
        return n != NGX_ERROR && n > 0;
    }
    if (parameter(value, "purge_records=", &rest)) {
        const ngx_int_t n = ngx_atoi(rest.data, rest.len);
        zone->config.purge_records = static_cast<uint32_t>(n);
        return n > 0 && n <= ngx_int_t{UINT32_MAX};
    }
    if (parameter(value, "fills=", &rest)) {
        const ngx_int_t n = ngx_atoi(rest.data, rest.len);
        zone->max_clones = static_cast<ngx_uint_t>(n);
        return n > 0 && n <= kMostFills;
    }
    if (parameter(value, "huge_pages=", &rest)) {
        zone->huge_pages = view(rest) == "on";
        return zone->huge_pages || view(rest) == "off";
    }
    if (parameter(value, "inactive=", &rest)) {
        return read_seconds(rest, &zone->inactive) && zone->inactive > 0;
    }
    if (parameter(value, "eviction=", &rest)) {
        return shm::parse_eviction(view(rest), &zone->config.eviction);
    }
    if (parameter(value, "fleet=", &zone->fleet_name)) {
        return zone->fleet_name.len != 0;
    }
    if (parameter(value, "file=", &rest)) {
        zone->file.path = rest;
        return rest.len != 0 && ngx_conf_full_name(cf->cycle, &zone->file.path, 0) == NGX_OK;
    }
    return false;
}

// One file is one zone: two handles in one process would not see each other's locks.
bool is_taken(MainConf* mcf, const FilePlace& place) noexcept {
    auto** zones = static_cast<Zone**>(mcf->zones.elts);
    for (ngx_uint_t i = 0; i < mcf->zones.nelts; i++) {
        const FilePlace& other = zones[i]->file.place;
        if (other.device == place.device && other.inode == place.inode && other.name == place.name) {
            return true;
        }
    }
    return false;
}

bool at_end_of_cycle(ngx_conf_t* cf, ngx_pool_cleanup_pt handler, Zone* zone) noexcept {
    ngx_pool_cleanup_t* cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln != nullptr) {
        cln->handler = handler;
        cln->data = zone;
    }
    return cln != nullptr;
}

char* check_file(ngx_conf_t* cf, MainConf* mcf, Zone* zone) noexcept {
    zone->file.fd = -1;
    if (zone->file.path.len == 0) {
        return NGX_CONF_OK;
    }
    const char* why = why_no_zone_file(zone->file.path, zone->size, &zone->file.place);
    if (why == nullptr && is_taken(mcf, zone->file.place)) {
        return fail(cf, "another slab_cache zone has the file \"%V\"", zone->file.path);
    }
    if (why == nullptr) {
        why = why_not_replaced(reinterpret_cast<char*>(zone->file.path.data), is_zone_file_in_use);
    }
    if (why != nullptr) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "slab_cache zone \"%V\" cannot have the file \"%V\": %s", &zone->name,
                           &zone->file.path, why);
        return static_cast<char*>(NGX_CONF_ERROR);
    }
    zone->file.fresh_name =
        static_cast<char*>(ngx_pnalloc(cf->pool, zone->file.path.len + NGX_INT64_LEN + sizeof(".new.")));
    return zone->file.fresh_name != nullptr && at_end_of_cycle(cf, close_zone_file, zone)
               ? NGX_CONF_OK
               : static_cast<char*>(NGX_CONF_ERROR);
}

// nginx hands a zone over on reload when name, size and tag are equal. A different layout must not be handed over: the tag,
// which is only ever compared, is an address inside this module chosen by what shapes the layout.
void* zone_tag(const Zone& zone) noexcept {
    uint64_t h = zone.config.max_object * 0x9E3779B97F4A7C15ull;
    h ^= (zone.config.objects + 1) * 0xC2B2AE3D27D4EB4Full;
    h ^= (zone.config.purge_records + 1) * 0x165667B19E3779F9ull;
    h ^= (static_cast<uint64_t>(zone.config.eviction) + 1) * 0x27D4EB2F165667C5ull;
    h ^= (zone.fleet_name.len != 0 ? 1 : 0) * 0x94D049BB133111EBull;
    h ^= h >> 29;
    return reinterpret_cast<char*>(&ngx_http_slab_cache_module) + h % sizeof(ngx_module_t);
}

Zone* make_zone(ngx_conf_t* cf) noexcept {
    auto* zone = static_cast<Zone*>(ngx_pcalloc(cf->pool, sizeof(Zone)));
    if (zone != nullptr) {
        new (zone) Zone{};
        zone->named_in = cf->conf_file->file.name;
        zone->named_at = cf->conf_file->line;
    }
    return zone;
}

Zone* awaited_by_name(const MainConf* mcf, Bytes name) noexcept {
    Zone* zone = mcf->awaited;
    while (zone != nullptr && view(zone->name) != name) {
        zone = zone->next_awaited;
    }
    return zone;
}

// slab_cache of a zone that is not defined yet, as nginx has it of its own zones.
Zone* await_zone(ngx_conf_t* cf, const ngx_str_t& name) noexcept {
    MainConf* mcf = main_conf(cf);
    Zone* zone = awaited_by_name(mcf, view(name));
    if (zone == nullptr && (zone = make_zone(cf)) != nullptr) {
        zone->name = name;
        zone->file.fd = -1;
        zone->next_awaited = mcf->awaited;
        mcf->awaited = zone;
    }
    return zone;
}

// Locations may have the zone already: then what was read of it goes where they look.
Zone* take_awaited(const MainConf* mcf, Zone* zone) noexcept {
    Zone* awaited = awaited_by_name(mcf, view(zone->name));
    if (awaited == nullptr) {
        return zone;
    }
    zone->next_awaited = awaited->next_awaited;
    *awaited = *zone;
    return awaited;
}

char* add_zone(ngx_conf_t* cf, MainConf* mcf, Zone* zone) noexcept {
    const size_t from_nginx = zone->file.path.len != 0 ? kFileStandInBytes : zone->size;
    zone->shm_zone = ngx_shared_memory_add(cf, &zone->name, from_nginx, zone_tag(*zone));
    if (zone->shm_zone == nullptr || !at_end_of_cycle(cf, drop_priors, zone) ||
        !at_end_of_cycle(cf, close_shared_memory, zone)) {
        return static_cast<char*>(NGX_CONF_ERROR);
    }
    zone->shm_zone->init = init_zone;
    zone->shm_zone->data = zone;
    auto** slot = static_cast<Zone**>(ngx_array_push(&mcf->zones));
    if (slot == nullptr) {
        return static_cast<char*>(NGX_CONF_ERROR);
    }
    *slot = zone;
    return NGX_CONF_OK;
}

// Who writes "ONE" or "one:16m" means "one".
bool is_meant(Bytes written, Bytes name) noexcept {
    return base::equal_nocase(base::slice(written, 0, written.find(':')), name);
}

char* fail_unknown(ngx_conf_t* cf, const MainConf* mcf, const Zone* unknown) noexcept {
    auto** zones = static_cast<Zone**>(mcf->zones.elts);
    const Zone* meant = nullptr;
    Choice words;
    for (ngx_uint_t i = 0; i < mcf->zones.nelts; i++) {
        words.add(zones[i]->name, i + 1 == mcf->zones.nelts);
        meant = is_meant(view(unknown->name), view(zones[i]->name)) ? zones[i] : meant;
    }
    if (meant != nullptr) {
        words.bytes = 0;
        words.add(meant->name, true);
    }
    if (words.bytes == 0) {
        words.add(ngx_string("slab_cache_zone zone=name:size"), true);
    }
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "slab_cache zone \"%V\" is unknown, %s %*s in %V:%ui", &unknown->name,
                  mcf->zones.nelts != 0 ? "it must be" : "define one by", words.bytes, words.text, &unknown->named_in,
                  unknown->named_at);
    return static_cast<char*>(NGX_CONF_ERROR);
}

}  // namespace

char* check_zones(ngx_conf_t* cf, void* conf) noexcept {
    for (const Zone* zone = static_cast<MainConf*>(conf)->awaited; zone != nullptr; zone = zone->next_awaited) {
        if (zone->shm_zone == nullptr) {
            return fail_unknown(cf, static_cast<MainConf*>(conf), zone);
        }
    }
    return NGX_CONF_OK;
}

char* set_zone(ngx_conf_t* cf, ngx_command_t*, void*) noexcept {
    MainConf* mcf = main_conf(cf);
    Zone* zone = make_zone(cf);
    if (zone == nullptr) {
        return static_cast<char*>(NGX_CONF_ERROR);
    }
    zone->config.workers = static_cast<uint32_t>(ngx_ncpu);
    ngx_str_t* value = args(cf);
    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        ngx_str_t rest;
        if (parameter(value[i], "zone=", &rest)) {
            if (zone->name.len != 0) {
                return invalid_parameter(cf, value[i], "a second zone needs a \"slab_cache_zone\" of its own");
            }
            char* rv = read_name_and_size(cf, value[i], rest, zone);
            if (rv != NGX_CONF_OK) {
                return rv;
            }
        } else if (!read_zone_parameter(cf, value[i], zone)) {
            return refuse_parameter(cf, value[i]);
        }
    }
    if (zone->name.len == 0) {
        return const_cast<char*>("must have \"zone\" parameter");
    }
    if (zone_by_name(mcf, view(zone->name)) != nullptr) {
        return fail(cf, "slab_cache zone \"%V\" is already defined", zone->name);
    }
    zone->config.user_bytes = (kUserAreaBytes + filter_bytes(*zone) + 63) / 64 * 64 + fleet_bytes(*zone);
    const uint64_t need = shm::Store::min_bytes(zone->config);
    if (zone->size < need) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "slab_cache zone \"%V\" is too small: %uzk, need %uLk", &zone->name,
                           zone->size / 1024, (need + 1023) / 1024);
        return static_cast<char*>(NGX_CONF_ERROR);
    }
    if (char* rv = check_bounds(cf, *zone); rv != NGX_CONF_OK) {
        return rv;
    }
    zone = take_awaited(mcf, zone);
    if (char* rv = check_file(cf, mcf, zone); rv != NGX_CONF_OK) {
        return rv;
    }
    warn_of_memory(cf, mcf, *zone);
    return add_zone(cf, mcf, zone);
}

char* set_cache(ngx_conf_t* cf, ngx_command_t*, void* conf) noexcept {
    auto* lcf = static_cast<LocConf*>(conf);
    if (lcf->zone != NGX_CONF_UNSET_PTR) {
        return const_cast<char*>("is duplicate");
    }
    ngx_str_t* value = args(cf);
    if (view(value[1]) == "off") {
        lcf->zone = nullptr;
        return NGX_CONF_OK;
    }
    if (ngx_http_script_variables_count(&value[1]) != 0) {
        lcf->zone_value = pool_new<ngx_http_complex_value_t>(cf->pool);
        if (lcf->zone_value == nullptr) {
            return static_cast<char*>(NGX_CONF_ERROR);
        }
        ngx_http_compile_complex_value_t ccv;
        ngx_memzero(&ccv, sizeof(ccv));
        ccv.cf = cf;
        ccv.value = &value[1];
        ccv.complex_value = lcf->zone_value;
        lcf->zone = nullptr;
        return ngx_http_compile_complex_value(&ccv) == NGX_OK ? NGX_CONF_OK : static_cast<char*>(NGX_CONF_ERROR);
    }
    lcf->zone = zone_by_name(main_conf(cf), view(value[1]));
    if (lcf->zone == nullptr) {
        lcf->zone = await_zone(cf, value[1]);
    }
    return lcf->zone != nullptr ? NGX_CONF_OK : static_cast<char*>(NGX_CONF_ERROR);
}

// Key and header are part of the object: a slice must be smaller than that.
void warn_of_slices(ngx_conf_t* cf, const LocConf& conf) noexcept {
    auto* clcf = static_cast<ngx_http_core_loc_conf_t*>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
    if (!conf.is_sliced || conf.zone == nullptr || clcf->name.len == 0) {
        return;
    }
    const uint64_t most = shm::Store::max_object(conf.zone->size, conf.zone->config);
    if (conf.slice_size >= most && most != 0) {
        ngx_conf_log_error(
            NGX_LOG_WARN, cf, 0,
            "\"slice\" of %uz bytes in location \"%V\": zone \"%V\" takes objects of up to %uL bytes, header included, "
            "and stores none of these; write a smaller \"slice\", or a larger \"max_object=\" for the zone",
            conf.slice_size, &clcf->name, &conf.zone->name, most);
    }
}

void note_default_key(ngx_conf_t* cf, const LocConf* conf) noexcept {
    if (conf->key != nullptr || conf->api) {
        return;
    }
    if (conf->zone != nullptr) {
        conf->zone->is_default_key_used = true;
    } else if (conf->zone_value != nullptr) {
        main_conf(cf)->has_zone_by_name = true;
    }
}

}  // namespace slab_cache::ngx
