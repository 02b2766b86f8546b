#include "http/interim.h"

#include "http/storable.h"
#include "http/syntax.h"

namespace slab_cache::http {

bool is_interim_status(uint16_t status) noexcept { return status >= 100 && status < 200 && status != 101; }

bool is_forwarded_interim(uint16_t status) noexcept { return is_interim_status(status) && status != 100; }

bool is_forwarded_interim_field(Bytes name, const Fields& response) noexcept {
    if (is_hop_by_hop(name) || base::equal_nocase(name, "Content-Length")) {
        return false;
    }
    for (const Field& line : response.lines("Connection")) {
        if (list_has(line.value, name)) {
            return false;
        }
    }
    return true;
}

}  // namespace slab_cache::http
