// http/field_judge.h — which fields of one response may be stored, asked field by field.
//
// Threading   values of one request; response and policy must outlive the judge.
// Cost        one look at the name, but where the response itself singles out fields by name (several Connection lines, no-cache=…, a
//             Set-Cookie that is not stored): then a walk over the response for each.
#pragma once

#include "http/fields.h"
#include "http/policy.h"

namespace slab_cache::http {

class FieldJudge {
public:
    FieldJudge(const Fields& response, const Policy& policy) noexcept;

    bool may_store(Bytes name) const noexcept;
    // Kept out of the store, and yet for the client that asked.
    bool is_for_leader(Bytes name) const noexcept;

private:
    const Fields& response_;
    const Policy& policy_;
    Bytes connection_;
    bool plain_;
};

}  // namespace slab_cache::http
