// http/interim.h — responses that come before the final one (RFC 9110 §15.2).
#pragma once

#include <cstdint>

#include "http/fields.h"

namespace slab_cache::http {

// Another response follows. 101 is none of these: what follows it is another protocol.
bool is_interim_status(uint16_t status) noexcept;

// May it go on to the client? 100 answers an Expect of the hop before, which has been answered.
bool is_forwarded_interim(uint16_t status) noexcept;

// Does the line go with it? What is for one hop only, or speaks of a body, does not.
bool is_forwarded_interim_field(Bytes name, const Fields& response) noexcept;

}  // namespace slab_cache::http
