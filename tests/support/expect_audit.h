// tests/support/expect_audit.h — EXPECT_AUDIT(store): every invariant of the zone holds, or the first broken one in words.
#pragma once

#include <gtest/gtest.h>

#define EXPECT_AUDIT(store)                                                            \
    do {                                                                               \
        const ::slab_cache::shm::Audit audit_ = (store).audit();                       \
        EXPECT_TRUE(audit_.clean) << audit_.first << " (" << audit_.violations << ")"; \
    } while (0)
