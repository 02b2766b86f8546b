// http/cross_origin.h — requests that a page of another origin makes in the browser of somebody who may write.
#pragma once

#include "http/fields.h"

namespace slab_cache::http {

// By Sec-Fetch-Site or Origin; `host` is the Host field as it was sent. Programs send neither field.
bool is_foreign(Bytes fetch_site, Bytes origin, Bytes host) noexcept;

// Types that a form of another origin can send without asking; JSON it cannot. Parameters play no part.
bool is_form_type(Bytes content_type) noexcept;

// That of forms, and of `curl -d`.
bool is_urlencoded(Bytes content_type) noexcept;

// A browser may have sent it: a program that says so, or a field that only browsers send by themselves.
bool may_be_a_page(const Fields& request) noexcept;

}  // namespace slab_cache::http
