// Which resource a path of the API names.
#include "cache/api_path.h"

#include <gtest/gtest.h>

namespace slab_cache::cache {
namespace {

TEST(ApiPath, names_its_resources) {
    EXPECT_EQ(route_of("").resource, Resource::kPage);
    EXPECT_EQ(route_of("/").resource, Resource::kPage);
    EXPECT_EQ(route_of("metrics").resource, Resource::kMetrics);
    EXPECT_EQ(route_of("v1/zones").resource, Resource::kZones);
    EXPECT_EQ(route_of("v1/zones/one").resource, Resource::kZone);
    EXPECT_EQ(route_of("v1/fleet").resource, Resource::kFleet);
    EXPECT_EQ(route_of("v1/tier").resource, Resource::kTier);
    EXPECT_EQ(route_of("v1/zones/one/purge").resource, Resource::kPurge);
    EXPECT_EQ(route_of("v1/zones/one/entry").resource, Resource::kEntry);
    EXPECT_EQ(route_of("v1/zones/one/top").resource, Resource::kTop);
}

TEST(ApiPath, may_end_in_a_slash) {
    EXPECT_EQ(route_of("v1/zones/").resource, Resource::kZones);
    EXPECT_EQ(route_of("//v1/zones/one/").resource, Resource::kZone);
    EXPECT_EQ(route_of("v1/zones/one/top/").resource, Resource::kTop);
}

TEST(ApiPath, that_goes_on_names_nothing) {
    for (const Bytes path :
         {Bytes("metrics/x"), Bytes("v1"), Bytes("v1/zone"), Bytes("v1/fleet/x"), Bytes("v1/zones/one/purge/x"),
          Bytes("v1/zones//one"), Bytes("v1/zones/one/nothing"), Bytes("V1/zones"), Bytes("x"),
          Bytes("client/v4/zones/one/purge_cache/x"), Bytes("service/one/purge_all/x"), Bytes("service/one")}) {
        EXPECT_EQ(route_of(path).resource, Resource::kNone) << path;
    }
}

TEST(ApiPath, says_which_zone) {
    const Route route = route_of("v1/zones/one/purge");
    EXPECT_TRUE(route.has_zone);
    EXPECT_FALSE(route.any_zone);
    EXPECT_EQ(route.zone_name, "one");
    EXPECT_FALSE(route_of("v1/zones").has_zone);
}

TEST(ApiPath, of_other_services_may_name_their_own_id) {
    for (const Bytes path :
         {Bytes("service/id/purge"), Bytes("service/id/purge_all"), Bytes("client/v4/zones/id/purge_cache")}) {
        const Route route = route_of(path);
        EXPECT_TRUE(route.any_zone) << path;
        EXPECT_EQ(route.zone_name, "id") << path;
    }
}

TEST(ApiPath, of_a_key_keeps_its_slashes) {
    const Route route = route_of("service/id/purge/a/b");
    EXPECT_EQ(route.resource, Resource::kFastlyPurge);
    EXPECT_EQ(route.rest, "a/b");
}

TEST(ApiPath, tells_the_methods_of_each_resource) {
    EXPECT_EQ(allowed_methods(Resource::kEntry), "GET, HEAD, PUT, DELETE");
    EXPECT_EQ(allowed_methods(Resource::kPurge), "POST");
    EXPECT_EQ(allowed_methods(Resource::kZones), "GET, HEAD");
}

}  // namespace
}  // namespace slab_cache::cache
