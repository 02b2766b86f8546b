"""An API gateway: auth_request with a cache of its own, a consumer from its answer in the key, services by map, POST in the key."""
from harness.origin import Reply, request_header
from scripted import path_of
from site_walk import Framework
from steps import crowd, get, head, post, purge

ALICE, BOB, EVE = "Authorization: Bearer alice", "Authorization: Bearer bob", "Authorization: Bearer eve"
KEY = "X-Api-Key: alice"
QUERY = b'{"query":"{ products { name } }"}'


def answer(site, request, service, *headers, status=200):
    who = request_header(request, "X-Consumer") or "nobody"
    body = (f'{{"service":"{service}","target":"{request.target}","consumer":"{who}","v":"{request_header(request, "X-Version")}",'
            f'"version":"[[version {site.version}]]","text":"{"x" * 1500}"}}')
    return Reply(body, status=status, headers=[("Content-Type", "application/json"), ("X-RateLimit-Limit", "100"), *headers])


def service(name):
    def function(site, request):
        path = path_of(request)
        if request.method in ("POST", "PUT", "DELETE"):
            site.version += 1
            return answer(site, request, name, ("Location", path + "/9"), status=201)
        if path.endswith("/missing"):
            return answer(site, request, name, status=404)
        if path.endswith("/broken"):
            return answer(site, request, name, status=503)
        if path.endswith("/private"):
            return answer(site, request, name, ("Cache-Control", "private"))
        return answer(site, request, name)
    return function


def graphql(site, request):
    body = request.body.decode()
    if "mutation" in body:
        site.version += 1
        return answer(site, request, body.replace('"', "'"), ("Cache-Control", "no-store"))
    return answer(site, request, body.replace('"', "'"))


def keys(site, request):
    who = (request_header(request, "Authorization") or "").removeprefix("Bearer ") or request_header(request, "X-Api-Key")
    if who in ("alice", "bob"):
        return Reply(b"", headers=[("X-Consumer", who)])
    return Reply(b"", status=403 if who else 401, reason="No")


FRAMEWORK = Framework(
    name="api", origins={"catalog": service("catalog"), "orders": service("orders"), "graphql": graphql, "keys": keys},
    steps=[
        get("without a key", "/v1/catalog/items"),
        get("alice's list", "/v1/catalog/items", ALICE),
        get("alice's list again", "/v1/catalog/items", ALICE),
        get("without a key after alice", "/v1/catalog/items"),
        get("bob's list", "/v1/catalog/items", BOB),
        get("bob's list again", "/v1/catalog/items", BOB),
        get("eve's list", "/v1/catalog/items", EVE),
        get("eve's list again", "/v1/catalog/items", EVE),
        get("alice's by her key", "/v1/catalog/items", KEY),
        get("alice's by her key again", "/v1/catalog/items", KEY),
        get("next page", "/v1/catalog/items?page=2", ALICE),
        get("next page again", "/v1/catalog/items?page=2", ALICE),
        get("another version", "/v1/catalog/items", ALICE, "Accept: application/json; version=2"),
        get("another version again", "/v1/catalog/items", ALICE, "Accept: application/json; version=2"),
        get("another service", "/v1/orders/items", ALICE),
        get("another service again", "/v1/orders/items", ALICE),
        get("no such service", "/v1/nothing/x", ALICE),
        head("head of a list", "/v1/catalog/items", ALICE),
        head("head of a cold list", "/v1/catalog/cold", KEY),
        get("that list", "/v1/catalog/cold", KEY),
        get("missing item", "/v1/catalog/missing", ALICE),
        get("missing item again", "/v1/catalog/missing", ALICE),
        get("broken service", "/v1/catalog/broken", ALICE),
        get("broken service again", "/v1/catalog/broken", ALICE),
        get("private item", "/v1/catalog/private", KEY, fresh=True),
        get("private item again", "/v1/catalog/private", KEY, fresh=True),
        get("alice's own", "/v1/mine/profile", ALICE, fresh=True),
        get("bob's own", "/v1/mine/profile", BOB, fresh=True),
        get("a stranger's own", "/v1/mine/profile", fresh=True),
        post("order as a stranger", "/v1/orders/items"),
        get("orders after that", "/v1/orders/items", KEY),
        post("alice orders", "/v1/orders/items", KEY),
        get("orders after alice's", "/v1/orders/items", KEY),
        get("catalog after the order", "/v1/catalog/items", KEY),
        get("public list", "/public/items"),
        get("public list again", "/public/items"),
        get("public list without gzip", "/public/items", "Accept-Encoding: identity"),
        get("public list with a token", "/public/items", ALICE),
        get("part of the public list", "/public/items", "Range: bytes=0-9", may=(206,)),
        get("public, missing", "/public/missing"),
        get("public, private", "/public/private", fresh=True),
        post("GraphQL", "/graphql", body=QUERY),
        post("GraphQL again", "/graphql", body=QUERY),
        post("another query", "/graphql", body=QUERY.replace(b"name", b"price")),
        post("mutation", "/graphql", body=b'{"query":"mutation { x }"}', fresh=True),
        post("mutation again", "/graphql", body=b'{"query":"mutation { x }"}', fresh=True),
        post("GraphQL after the mutation", "/graphql", body=QUERY),
        get("GraphQL by GET", "/graphql?query=x"),
        get("the check's inner URL", "/_key"),
        purge("purge of the public list", "/public/items"),
        get("public list after its purge", "/public/items"),
        purge("purge of a list", "/v1/catalog/items", KEY),
        get("alice's list after its purge", "/v1/catalog/items", KEY),
        purge("purge without a key", "/v1/catalog/items", expect=401),
        crowd("many at once", "/v1/mine/profile", "Authorization: Bearer %s"),
    ])
