// ngx/fill/as_get.h — a client's POST, looked at as a GET without a body for as long as this lives.
//
// Threading   nothing of nginx runs meanwhile: keys and rules are evaluated, no more.
#pragma once

#include "ngx/glue/ngx.h"

namespace slab_cache::ngx {

class AsGet {
public:
    explicit AsGet(ngx_http_request_t* r) noexcept
        : r_(r), method_(r->method), name_(r->method_name), body_(r->request_body) {
        r->method = NGX_HTTP_GET;
        ngx_str_set(&r->method_name, "GET");
        r->request_body = nullptr;
        forget_variables();
    }
    ~AsGet() {
        r_->method = method_;
        r_->method_name = name_;
        r_->request_body = body_;
        forget_variables();
    }
    AsGet(const AsGet&) = delete;
    AsGet& operator=(const AsGet&) = delete;

private:
    // $request_method and $request_body are worked out anew.
    void forget_variables() noexcept {
        const ngx_array_t& all = core_main_conf(r_)->variables;
        auto* v = static_cast<ngx_http_variable_t*>(all.elts);
        for (ngx_uint_t i = 0; i < all.nelts; i++) {
            if (view(v[i].name) == "request_body" || view(v[i].name) == "request_method") {
                r_->variables[i].valid = 0;
                r_->variables[i].not_found = 0;
            }
        }
    }

    ngx_http_request_t* r_;
    ngx_uint_t method_;
    ngx_str_t name_;
    ngx_http_request_body_t* body_;
};

}  // namespace slab_cache::ngx
