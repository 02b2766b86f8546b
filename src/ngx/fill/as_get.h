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
        forget_variable(r_, "request_body");
        forget_variable(r_, "request_method");
    }

    ngx_http_request_t* r_;
    ngx_uint_t method_;
    ngx_str_t name_;
    ngx_http_request_body_t* body_;
};

}  // namespace slab_cache::ngx
