// Which paths of the API fit a pattern.
#include "cache/api_path.h"

#include <gtest/gtest.h>

namespace slab_cache::cache {
namespace {

bool fits(Bytes pattern, Bytes path) {
    PathNames names;
    return fits_pattern(pattern, path, &names);
}

PathNames names_of(Bytes pattern, Bytes path) {
    PathNames names;
    EXPECT_TRUE(fits_pattern(pattern, path, &names)) << path;
    return names;
}

TEST(ApiPath, fits_its_pattern_word_by_word) {
    EXPECT_TRUE(fits("", ""));
    EXPECT_TRUE(fits("", "/"));
    EXPECT_TRUE(fits("metrics", "metrics"));
    EXPECT_TRUE(fits("v1/zones", "v1/zones"));
    EXPECT_TRUE(fits("v1/zones/{zone}", "v1/zones/one"));
    EXPECT_TRUE(fits("v1/zones/{zone}/purge", "v1/zones/one/purge"));
    EXPECT_FALSE(fits("v1/zones", "v1"));
    EXPECT_FALSE(fits("v1/zones", "V1/zones"));
    EXPECT_FALSE(fits("v1/zones/{zone}/purge", "v1/zones/one/top"));
    EXPECT_FALSE(fits("", "x"));
}

TEST(ApiPath, may_end_in_a_slash) {
    EXPECT_TRUE(fits("v1/zones", "v1/zones/"));
    EXPECT_TRUE(fits("v1/zones/{zone}", "//v1/zones/one/"));
    EXPECT_TRUE(fits("v1/zones/{zone}/top", "v1/zones/one/top/"));
    EXPECT_FALSE(fits("v1/zones", "v1/zones//"));
}

TEST(ApiPath, that_goes_on_behind_a_pattern_does_not_fit) {
    EXPECT_FALSE(fits("metrics", "metrics/x"));
    EXPECT_FALSE(fits("v1/zones/{zone}/purge", "v1/zones/one/purge/x"));
    EXPECT_FALSE(fits("service/{id}/purge_all", "service/one/purge_all/x"));
    EXPECT_FALSE(fits("service/{id}/purge_all", "service/one"));
}

TEST(ApiPath, says_which_zone) {
    const PathNames names = names_of("v1/zones/{zone}/purge", "v1/zones/one/purge");
    EXPECT_TRUE(names.has_zone);
    EXPECT_FALSE(names.any_zone);
    EXPECT_EQ(names.zone_name, "one");
    EXPECT_FALSE(names_of("v1/zones", "v1/zones").has_zone);
    EXPECT_FALSE(fits("v1/zones/{zone}", "v1/zones//one"));
}

TEST(ApiPath, of_other_services_may_name_their_own_id) {
    const PathNames names = names_of("client/v4/zones/{id}/purge_cache", "client/v4/zones/id/purge_cache");
    EXPECT_TRUE(names.has_zone && names.any_zone);
    EXPECT_EQ(names.zone_name, "id");
    EXPECT_EQ(names_of("service/{id}/purge", "service//purge").zone_name, "");
}

TEST(ApiPath, of_a_key_keeps_its_slashes) {
    EXPECT_EQ(names_of("service/{id}/purge/{key}", "service/id/purge/a/b").rest, "a/b");
    EXPECT_FALSE(fits("service/{id}/purge/{key}", "service/id/purge/"));
}

}  // namespace
}  // namespace slab_cache::cache
