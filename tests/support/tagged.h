// tests/support/tagged.h — objects with tags, and what a purge has left of them.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/zone_fixture.h"

namespace slab_cache::test {

inline Object tagged(const std::string& key, const std::vector<std::string>& tags) {
    Object o;
    o.key = key;
    o.body = "body of " + key;
    for (const std::string& t : tags) {
        o.selectors.push_back(fingerprint(t));
    }
    return o;
}

// The object is there, if only to be found purged.
inline shm::Validity validity_of_key(Store& store, const std::string& key) {
    shm::Pin pin;
    const Status found = store.find(digest_of(key), key, &pin);
    EXPECT_EQ(found, Status::kOk) << key;
    if (found != Status::kOk) {
        return shm::Validity::kPurged;
    }
    const shm::Validity v = store.validity(pin);
    store.unpin(&pin);
    return v;
}

}  // namespace slab_cache::test
