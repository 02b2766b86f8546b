#include "http/field_judge.h"

#include "http/storable.h"
#include "http/syntax.h"

namespace slab_cache::http {
namespace {

// no-cache=…, in any case
bool may_name_fields(Bytes cache_control) noexcept {
    static constexpr Bytes kNames = "no-cache=";
    for (size_t i = 0; i + kNames.size() <= cache_control.size(); i++) {
        if (base::equal_nocase(base::slice(cache_control, i, kNames.size()), kNames)) {
            return true;
        }
    }
    return false;
}

}  // namespace

FieldJudge::FieldJudge(const Fields& response, const Policy& policy) noexcept : response_(response), policy_(policy) {
    plain_ = set_cookie_mode(policy) == SetCookie::kStore || !response.has("Set-Cookie");
    for (const Field& line : response.lines("Connection")) {
        plain_ = plain_ && connection_.empty();
        connection_ = line.value;
    }
    for (const Field& line : response.lines("Cache-Control")) {
        plain_ = plain_ && !may_name_fields(line.value);
    }
}

bool FieldJudge::may_store(Bytes name) const noexcept {
    return plain_ ? is_storable_field(name, connection_) : is_storable_field(name, response_, policy_);
}

bool FieldJudge::is_for_leader(Bytes name) const noexcept {
    if (plain_ || !is_storable_field(name, Bytes{})) {
        return false;
    }
    for (const Field& line : response_.lines("Connection")) {
        if (list_has(line.value, name)) {
            return false;
        }
    }
    return true;
}

}  // namespace slab_cache::http
