#include "ngx/glue/ngx.h"

#include "ngx/conf/directives.h"

#include "ngx/conf/conf.h"

namespace slab_cache::ngx {
namespace {

char* phrase(const char* text) noexcept { return const_cast<char*>(text); }

bool read_percent(const ngx_str_t& value, ngx_int_t max, ngx_int_t* out) noexcept {
    ngx_str_t digits = value;
    if (digits.len > 1 && digits.data[digits.len - 1] == '%') {
        digits.len--;
    }
    *out = ngx_atoi(digits.data, digits.len);
    return *out != NGX_ERROR && *out <= max;
}

bool add_rule(ngx_array_t* rules, ngx_int_t status, time_t sec) noexcept {
    auto* rule = static_cast<http::ValidRule*>(ngx_array_push(rules));
    if (rule == nullptr) {
        return false;
    }
    rule->status = static_cast<uint16_t>(status);
    rule->sec = sec;
    return true;
}

}  // namespace

char* fail(ngx_conf_t* cf, const char* format, const ngx_str_t& value) noexcept {
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, format, &value);
    return static_cast<char*>(NGX_CONF_ERROR);
}

bool read_seconds(const ngx_str_t& value, time_t* out) noexcept {
    ngx_str_t copy = value;
    const ngx_int_t t = ngx_parse_time(&copy, 1);
    if (t == NGX_ERROR) {
        return false;
    }
    *out = static_cast<time_t>(t);
    return true;
}

bool parameter(const ngx_str_t& value, Bytes name, ngx_str_t* rest) noexcept {
    if (!base::starts_with(view(value), name)) {
        return false;
    }
    *rest = {value.len - name.size(), value.data + name.size()};
    return true;
}

char* invalid_parameter(ngx_conf_t* cf, const ngx_str_t& value, const char* right) noexcept {
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\", %s", &value, right);
    return static_cast<char*>(NGX_CONF_ERROR);
}

char* compile_values(ngx_conf_t* cf, ngx_uint_t from, ngx_array_t** list) noexcept {
    *list = ngx_array_create(cf->pool, cf->args->nelts, sizeof(ngx_http_complex_value_t));
    if (*list == nullptr) {
        return static_cast<char*>(NGX_CONF_ERROR);
    }
    for (ngx_uint_t i = from; i < cf->args->nelts; i++) {
        ngx_http_compile_complex_value_t ccv;
        ngx_memzero(&ccv, sizeof(ccv));
        ccv.cf = cf;
        ccv.value = &args(cf)[i];
        ccv.complex_value = static_cast<ngx_http_complex_value_t*>(ngx_array_push(*list));
        if (ccv.complex_value == nullptr || ngx_http_compile_complex_value(&ccv) != NGX_OK) {
            return static_cast<char*>(NGX_CONF_ERROR);
        }
    }
    return NGX_CONF_OK;
}

bool split_list(ngx_conf_t* cf, const ngx_str_t& value, const Bytes** out, uint32_t* count) noexcept {
    Bytes rest = view(value);
    uint32_t n = 1;
    for (char c : rest) {
        n += c == ',' ? 1 : 0;
    }
    auto* list = static_cast<Bytes*>(ngx_palloc(cf->pool, n * sizeof(Bytes)));
    if (list == nullptr) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        const size_t comma = rest.find(',');
        list[i] = base::slice(rest, 0, comma);
        if (list[i].empty()) {
            return false;
        }
        rest = comma == Bytes::npos ? Bytes{} : base::slice(rest, comma + 1);
    }
    *out = list;
    *count = n;
    return true;
}

char* set_key_args(ngx_conf_t* cf, ngx_command_t*, void* conf) noexcept {
    static constexpr char kRight[] = "it must be \"all\", \"none\", \"sort\", \"drop=glob,glob\" or \"only=glob,glob\"";
    auto* lcf = static_cast<LocConf*>(conf);
    if (lcf->key_args != NGX_CONF_UNSET_PTR) {
        return phrase("is duplicate");
    }
    auto* policy = pool_new<http::ArgsPolicy>(cf->pool);
    if (policy == nullptr) {
        return static_cast<char*>(NGX_CONF_ERROR);
    }
    const ngx_str_t* value = args(cf);
    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        ngx_str_t rest;
        const Bytes word = view(value[i]);
        if (word == "all" || word == "none") {
            if (cf->args->nelts != 2) {
                return fail(cf, "parameter \"%V\" stands alone", value[i]);
            }
            policy->none = word == "none";
        } else if (word == "sort") {
            policy->sort = true;
        } else if (parameter(value[i], "drop=", &rest)) {
            if (!split_list(cf, rest, &policy->drop, &policy->drop_count)) {
                return invalid_parameter(cf, value[i], kRight);
            }
        } else if (parameter(value[i], "only=", &rest)) {
            if (!split_list(cf, rest, &policy->only, &policy->only_count)) {
                return invalid_parameter(cf, value[i], kRight);
            }
        } else {
            return invalid_parameter(cf, value[i], kRight);
        }
    }
    lcf->key_args = view(value[1]) == "all" ? nullptr : policy;
    return NGX_CONF_OK;
}

char* set_valid(ngx_conf_t* cf, ngx_command_t*, void* conf) noexcept {
    auto* lcf = static_cast<LocConf*>(conf);
    if (lcf->valid == NGX_CONF_UNSET_PTR) {
        lcf->valid = ngx_array_create(cf->pool, 4, sizeof(http::ValidRule));
        if (lcf->valid == nullptr) {
            return static_cast<char*>(NGX_CONF_ERROR);
        }
    }
    const ngx_str_t* value = args(cf);
    const ngx_uint_t last = cf->args->nelts - 1;
    time_t sec = 0;
    if (!read_seconds(value[last], &sec)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid time value \"%V\", %s", &value[last], kTimeIsRight);
        return static_cast<char*>(NGX_CONF_ERROR);
    }
    bool ok = true;
    if (last == 1) {
        for (uint16_t status : http::kBareValid) {
            ok = ok && add_rule(lcf->valid, status, sec);
        }
    }
    for (ngx_uint_t i = 1; i < last && ok; i++) {
        ngx_int_t status = 0;
        if (view(value[i]) != "any") {
            status = ngx_atoi(value[i].data, value[i].len);
            if (status < 100 || status > 599) {
                return fail(cf, "invalid status \"%V\", it must be \"any\" or a number from 100 to 599", value[i]);
            }
        }
        ok = add_rule(lcf->valid, status, sec);
    }
    return ok ? NGX_CONF_OK : static_cast<char*>(NGX_CONF_ERROR);
}

char* set_ttl(ngx_conf_t* cf, ngx_command_t*, void* conf) noexcept {
    auto* lcf = static_cast<LocConf*>(conf);
    if (lcf->ttl_set != NGX_CONF_UNSET) {
        return phrase("is duplicate");
    }
    lcf->ttl_set = 1;
    const ngx_str_t* value = args(cf);
    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        ngx_str_t rest;
        bool ok = false;
        if (parameter(value[i], "min=", &rest)) {
            ok = read_seconds(rest, &lcf->ttl_min);
        } else if (parameter(value[i], "max=", &rest)) {
            ok = read_seconds(rest, &lcf->ttl_max) && lcf->ttl_max > 0;
        } else if (parameter(value[i], "jitter=", &rest)) {
            ok = read_percent(rest, 100, &lcf->ttl_jitter);
        } else if (parameter(value[i], "heuristic=", &rest)) {
            ok = read_percent(rest, 100, &lcf->heuristic);
        }
        if (!ok) {
            return invalid_parameter(cf, value[i],
                                     "it must be \"min=time\", \"max=time\", \"jitter=percent\" or "
                                     "\"heuristic=percent\", with a time such as \"10m\" and 100 percent at most");
        }
    }
    if (lcf->ttl_max != 0 && lcf->ttl_min > lcf->ttl_max) {
        return phrase("has \"min\" above \"max\"");
    }
    return NGX_CONF_OK;
}

char* set_cookie_mode(ngx_conf_t* cf, ngx_command_t*, void* conf) noexcept {
    auto* lcf = static_cast<LocConf*>(conf);
    if (lcf->set_cookie != NGX_CONF_UNSET_UINT) {
        return phrase("is duplicate");
    }
    const ngx_str_t& value = args(cf)[1];
    http::SetCookie mode;
    if (view(value) == "refuse") {
        mode = http::SetCookie::kRefuse;
    } else if (view(value) == "strip") {
        mode = http::SetCookie::kStrip;
    } else if (view(value) == "store") {
        mode = http::SetCookie::kStore;
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0, "\"slab_cache_set_cookie store\" replays one client's cookies to all");
    } else {
        return fail(cf,
                    "invalid value \"%V\" in \"slab_cache_set_cookie\" directive, "
                    "it must be \"refuse\", \"strip\" or \"store\"",
                    value);
    }
    lcf->set_cookie = static_cast<ngx_uint_t>(mode);
    return NGX_CONF_OK;
}

char* set_vary(ngx_conf_t* cf, ngx_command_t*, void* conf) noexcept {
    auto* lcf = static_cast<LocConf*>(conf);
    if (lcf->vary != NGX_CONF_UNSET_PTR) {
        return phrase("is duplicate");
    }
    auto* policy = pool_new<http::VaryPolicy>(cf->pool);
    if (policy == nullptr) {
        return static_cast<char*>(NGX_CONF_ERROR);
    }
    *policy = {};
    const ngx_str_t* value = args(cf);
    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        ngx_str_t rest;
        bool ok = false;
        if (view(value[i]) == "off") {
            ok = cf->args->nelts == 2;
            policy->off = true;
        } else if (parameter(value[i], "max=", &rest)) {
            const ngx_int_t n = ngx_atoi(rest.data, rest.len);
            ok = n >= 1 && n <= 255;
            policy->max = static_cast<uint32_t>(n);
        } else if (parameter(value[i], "ignore=", &rest)) {
            ok = split_list(cf, rest, &policy->ignore, &policy->ignore_count);
        } else if (parameter(value[i], "Cookie=", &rest)) {
            ok = split_list(cf, rest, &policy->cookies, &policy->cookie_count);
        }
        if (!ok) {
            return invalid_parameter(cf, value[i],
                                     "it must be \"max=n\" with a number from 1 to 255, \"ignore=header,header\" or "
                                     "\"Cookie=name,name\", or \"off\" alone");
        }
    }
    lcf->vary = policy;
    return NGX_CONF_OK;
}

char* set_stale(ngx_conf_t* cf, ngx_command_t*, void* conf) noexcept {
    auto* lcf = static_cast<LocConf*>(conf);
    if (lcf->stale_set != NGX_CONF_UNSET) {
        return phrase("is duplicate");
    }
    lcf->stale_set = 1;
    lcf->stale_while = 0;
    lcf->stale_if_error = 3600;
    const ngx_str_t* value = args(cf);
    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        ngx_str_t rest;
        const bool ok = parameter(value[i], "while=", &rest)      ? read_seconds(rest, &lcf->stale_while)
                        : parameter(value[i], "if_error=", &rest) ? read_seconds(rest, &lcf->stale_if_error)
                                                                  : false;
        if (!ok) {
            return invalid_parameter(cf, value[i],
                                     "it must be \"while=time\" or \"if_error=time\", with a time such as \"10m\"");
        }
    }
    return NGX_CONF_OK;
}

char* set_refresh(ngx_conf_t* cf, ngx_command_t*, void* conf) noexcept {
    static constexpr char kRight[] =
        "it must be \"off\" or \"beta=number\" with a number above 0, such as \"1\" or \"0.5\"";
    auto* lcf = static_cast<LocConf*>(conf);
    if (lcf->refresh_beta != NGX_CONF_UNSET) {
        return phrase("is duplicate");
    }
    const ngx_str_t& value = args(cf)[1];
    ngx_str_t rest;
    if (view(value) == "off") {
        lcf->refresh_beta = 0;
        return NGX_CONF_OK;
    }
    if (!parameter(value, "beta=", &rest)) {
        return invalid_parameter(cf, value, kRight);
    }
    const ngx_int_t thousandths = ngx_atofp(rest.data, rest.len, 3);
    if (thousandths == NGX_ERROR || thousandths == 0) {
        return invalid_parameter(cf, value, kRight);
    }
    lcf->refresh_beta = thousandths;
    return NGX_CONF_OK;
}

char* set_tags(ngx_conf_t* cf, ngx_command_t*, void* conf) noexcept {
    auto* lcf = static_cast<LocConf*>(conf);
    if (lcf->tags_mode != NGX_CONF_UNSET_UINT) {
        return phrase("is duplicate");
    }
    lcf->tags = nullptr;
    lcf->tags_mode = view(args(cf)[1]) == "off" ? kTagsOff : kTagsConfigured;
    if (lcf->tags_mode == kTagsOff) {
        return cf->args->nelts == 2 ? NGX_CONF_OK : invalid_parameter(cf, args(cf)[2], "\"off\" stands alone");
    }
    ngx_str_t names;
    const ngx_uint_t values_from = parameter(args(cf)[1], "field=", &names) ? 2 : 1;
    if (values_from == 2) {
        lcf->tag_fields = pool_new<http::TagPolicy>(cf->pool);
        if (lcf->tag_fields == nullptr) {
            return static_cast<char*>(NGX_CONF_ERROR);
        }
        if (!split_list(cf, names, &lcf->tag_fields->field, &lcf->tag_fields->field_count)) {
            return invalid_parameter(cf, args(cf)[1], "it must be \"field=name,name\"");
        }
    }
    return values_from < cf->args->nelts ? compile_values(cf, values_from, &lcf->tags) : NGX_CONF_OK;
}

}  // namespace slab_cache::ngx
