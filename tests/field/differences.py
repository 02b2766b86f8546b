"""Where slab_cache does something else than nginx's own cache, on purpose: (framework, step): (nginx, slab_cache, why)."""

PURGED = "It was purged, for which nginx's cache has no word."
UNSAFE = "An unsafe method that succeeds invalidates its own URL (RFC 9111 4.4). nginx's cache does not look at it."
AFTER = "It was fetched anew after what went before, as said there."
CUT = "A response that is stored whole can be cut. nginx cuts only what came with Accept-Ranges."
AUTHORIZATION = "An answer is shared with requests that have credentials only where it says so (RFC 9111 3.5). nginx's cache does not look at them."
ONE_FOR_BOTH = "A HEAD and a GET share an object under the default key; the key written for nginx has the method in it."
HEAD_AS_GET = "A HEAD on a cold key asks the application by GET on every wire. nginx's convert_head does not reach $request_method."
VALIDATED = "What is stale at once but has a validator is stored, and asked about by it. nginx's cache does not store it."
HOST = "The default key has all of the Host header. nginx's has the upstream in its place, and gives one host's page to another."
OWN_URL = "The default key has the client's URL: what an internal redirect leads to is stored for each. The key written for nginx has it not."
ARGUMENTS = "The default key has the arguments. The key written for nginx leaves them out."
CODINGS = "Accept-Encoding is normalised: who takes none of the known codings shares one variant. nginx compares the values."
REDIRECTED = "An answer with X-Accel-Redirect is stored as its own fields say, and followed anew for each client. nginx's cache asks each time."
UPGRADE = "A request that turns the connection into a WebSocket is none of the cache's. nginx's lists it as bypassed."

HIT, OLD, CUT_HIT = "HIT, nobody asked", "HIT, nobody asked, older", "HIT, nobody asked, 206"


def miss(who="app"):
    return f"MISS, {who} asked"


DIFFERENCES = {
    ("api", "orders after alice's"): (OLD, miss("orders"), UNSAFE),
    ("api", "public list with a token"): (HIT, miss("catalog"), AUTHORIZATION),
    ("api", "part of the public list"): (HIT, CUT_HIT, CUT),
    ("api", "public list after its purge"): (OLD, miss("catalog"), PURGED),
    ("api", "alice's list after its purge"): (OLD, miss("catalog"), PURGED),

    ("auth", "another page as a stranger"): ("HIT, portal asked", "MISS, portal asked 2", OWN_URL),
    ("auth", "with arguments as a stranger"): ("HIT, portal asked", "MISS, portal asked 2", OWN_URL),
    ("auth", "a stranger's part"): ("HIT, portal asked", "MISS, portal asked 2", OWN_URL),
    ("auth", "office as a stranger"): ("HIT, portal asked", "MISS, portal asked 2", OWN_URL),
    ("auth", "missing page as a stranger"): ("HIT, portal asked", "MISS, portal asked 2", OWN_URL),
    ("auth", "page after a stranger's write"): ("HIT, portal asked", "MISS, app asked, portal asked", UNSAFE),
    ("auth", "a stranger after the write"): ("HIT, portal asked", "MISS, portal asked 2", UNSAFE),
    ("auth", "a stranger after the purge"): ("HIT, portal asked", "MISS, portal asked 2", PURGED),
    ("auth", "part of a page as a stranger"): ("HIT, portal asked", "HIT, portal asked, 206", CUT),
    ("auth", "part of a page"): ("HIT, portal asked", "HIT, portal asked, 206", CUT),
    ("auth", "with Authorization as a stranger"): ("HIT, portal asked", "MISS, portal asked 2", AUTHORIZATION),
    ("auth", "page after the write"): ("HIT, portal asked, older", "MISS, app asked, portal asked", UNSAFE),
    ("auth", "page after its purge"): ("HIT, portal asked, older", "MISS, app asked, portal asked", PURGED),

    ("discourse", "part of an avatar"): (HIT, CUT_HIT, CUT),
    ("discourse", "topic after the reply"): (OLD, miss(), UNSAFE),
    ("discourse", "that avatar"): (OLD, miss(), PURGED),
    ("discourse", "that topic"): (OLD, miss(), PURGED),

    ("django", "article of who refuses codings"): (miss(), HIT, CODINGS),
    ("django", "that article of who names no coding"): (miss(), HIT, CODINGS),
    ("django", "part of an article"): (miss(), "MISS, app asked, 206", CUT),
    ("django", "brochure again"): (miss(), HIT, REDIRECTED),
    ("django", "brochure without gzip"): (miss(), HIT, REDIRECTED),
    ("django", "ticker again"): (miss(), "REVALIDATED, app asked", VALIDATED),
    ("django", "article after the comment"): (OLD, miss(), UNSAFE),
    ("django", "article after its purge"): (OLD, miss(), PURGED),
    ("django", "with a port that is none"): (OLD, miss(), HOST),
    ("django", "and without it again"): (OLD, HIT, AFTER),

    ("drupal", "node after the comment"): (OLD, miss(), UNSAFE),
    ("drupal", "node of that tag"): (OLD, miss(), PURGED),
    ("drupal", "list after its purge"): (OLD, miss(), PURGED),
    ("drupal", "that picture"): (HIT, miss(), PURGED),

    ("flask", "that article"): (miss(), HIT, HEAD_AS_GET),
    ("flask", "part of an article"): (HIT, CUT_HIT, CUT),
    ("flask", "part of the export"): (HIT, CUT_HIT, CUT),
    ("flask", "free download again"): (miss(), HIT, REDIRECTED),
    ("flask", "part of the free download"): (miss(), HIT, REDIRECTED),
    ("flask", "article after the change"): (OLD, miss(), UNSAFE),
    ("flask", "article after it was deleted"): (OLD, miss(), UNSAFE),
    ("flask", "list after its purge"): (OLD, miss(), PURGED),
    ("flask", "article after the purge"): (OLD, miss(), PURGED),

    ("ghost", "part of a post"): (HIT, CUT_HIT, CUT),
    ("ghost", "that other post after the comment"): (OLD, miss(), UNSAFE),
    ("ghost", "post after its purge"): (OLD, miss(), PURGED),
    ("ghost", "second page after the purge"): (OLD, miss(), PURGED),
    ("ghost", "feed after the purge"): (OLD, miss(), PURGED),

    ("hls", "play list after that"): (OLD, miss("packager"), UNSAFE),
    ("hls", "play list after its purge"): (OLD, miss("packager"), PURGED),
    ("hls", "segment after its purge"): (HIT, miss("packager"), PURGED),
    ("hls", "film after its purge"): (HIT, miss("packager"), PURGED),

    ("laravel", "head of a post"): (miss(), HIT, ONE_FOR_BOTH),
    ("laravel", "that post"): (miss(), HIT, ONE_FOR_BOTH),
    ("laravel", "post after the comment"): (OLD, miss(), UNSAFE),
    ("laravel", "post after its purge"): (OLD, miss(), PURGED),
    ("laravel", "the first post is still there"): (OLD, HIT, AFTER),
    ("laravel", "on our own after that"): (OLD, HIT, AFTER),

    ("magento", "product after its purge"): (OLD, miss(), PURGED),
    ("magento", "another group's after its purge"): (OLD, miss(), PURGED),
    ("magento", "that picture"): (HIT, miss(), PURGED),

    ("mastodon", "profile after that"): (OLD, miss(), UNSAFE),
    ("mastodon", "that profile"): (OLD, miss(), PURGED),
    ("mastodon", "the first profile is still there"): (OLD, miss(), UNSAFE + " It is another variant of that URL."),

    ("mirror", "release file after its purge"): (HIT, miss("deb"), PURGED),
    ("mirror", "part of it after its purge"): (HIT, miss("deb"), PURGED),
    ("mirror", "index after its purge"): (HIT, miss("pypi"), PURGED),

    ("nextjs", "part of a post"): (miss(), "MISS, app asked, 206", CUT),
    ("nextjs", "upgrade to a WebSocket"): ("BYPASS, app asked", "-, app asked", UPGRADE),
    ("nextjs", "post after the action"): (OLD, miss(), UNSAFE),
    ("nextjs", "post after its purge"): (OLD, miss(), PURGED),
    ("nextjs", "that chunk"): (HIT, miss(), PURGED),

    ("npm", "picture after its upload"): (HIT, miss("cloud"), UNSAFE),
    ("npm", "style sheet after its purge"): (HIT, miss("cloud"), PURGED),
    ("npm", "that version"): (HIT, miss("cloud"), PURGED),

    ("rails", "brochure again"): (miss(), HIT, REDIRECTED),
    ("rails", "part of the brochure"): (miss(), HIT, REDIRECTED),
    ("rails", "ticker again"): (miss(), "REVALIDATED, app asked", VALIDATED),
    ("rails", "article after the comment"): (OLD, miss(), UNSAFE),
    ("rails", "article after its purge"): (OLD, miss(), PURGED),
    ("rails", "that asset"): (HIT, miss(), PURGED),

    ("registry", "blob with a stranger's credentials"): (HIT, miss(), AUTHORIZATION),
    ("registry", "manifest after the push"): (OLD, miss(), UNSAFE),
    ("registry", "manifest with credentials"): (OLD, miss(), AUTHORIZATION),
    ("registry", "that manifest"): (OLD, miss(), PURGED),
    ("registry", "that blob by its URL"): (HIT, miss(), PURGED),

    ("s3", "picture with an argument"): (HIT, miss("s3"), ARGUMENTS),
    ("s3", "picture with another argument"): (HIT, miss("s3"), ARGUMENTS),
    ("s3", "head of a picture"): (miss("s3"), HIT, ONE_FOR_BOTH),
    ("s3", "that picture"): (miss("s3"), HIT, ONE_FOR_BOTH),
    ("s3", "picture with credentials"): (HIT, miss("s3"), AUTHORIZATION),
    ("s3", "picture after its purge"): (HIT, miss("s3"), PURGED),
    ("s3", "folder's page after its purge"): (HIT, miss("s3"), PURGED),

    ("tenants", "product after it was bought"): (OLD, miss("gold"), UNSAFE),
    ("tenants", "tin's product after its purge"): (OLD, miss("shared"), PURGED),
    ("tenants", "gold's product after tin's purge"): (OLD, HIT, AFTER),
    ("tenants", "German page after its purge"): (OLD, miss("gold"), PURGED),
    ("tenants", "brand's page by the shop's path after its purge"): (OLD, miss("gold"), PURGED),

    ("tiles", "tile after its purge"): (HIT, miss("raster"), PURGED),
    ("tiles", "vector tile after the purge"): (HIT, miss("vector"), PURGED),
    ("tiles", "tile in the sea after its purge"): (HIT, miss("raster"), PURGED),

    ("wordpress", "head of a post"): (miss(), HIT, ONE_FOR_BOTH),
    ("wordpress", "that post"): (miss(), HIT, ONE_FOR_BOTH),
    ("wordpress", "front page after its purge"): (OLD, miss(), PURGED),
    ("wordpress", "part of a post"): (OLD, CUT_HIT, CUT),
}

# The same between nginx's cache and what tools/migrate makes of the configuration. It keeps the key and all rules.
MIGRATED = {
    ("api", "public list with a token"): (HIT, miss("catalog"), AUTHORIZATION),
    ("api", "part of the public list"): (HIT, CUT_HIT, CUT),
    ("auth", "part of a page as a stranger"): ("HIT, portal asked", "HIT, portal asked, 206", CUT),
    ("auth", "part of a page"): ("HIT, portal asked", "HIT, portal asked, 206", CUT),
    ("auth", "with Authorization as a stranger"): ("HIT, portal asked", "MISS, portal asked 2", AUTHORIZATION),
    ("discourse", "part of an avatar"): (HIT, CUT_HIT, CUT),
    ("django", "article of who refuses codings"): (miss(), HIT, CODINGS),
    ("django", "that article of who names no coding"): (miss(), HIT, CODINGS),
    ("django", "part of an article"): (miss(), miss() + ", 206", CUT),
    ("django", "ticker again"): (miss(), "EXPIRED, app asked", VALIDATED),
    ("django", "brochure again"): (miss(), HIT, REDIRECTED),
    ("django", "brochure without gzip"): (miss(), HIT, REDIRECTED),
    ("flask", "that article"): (miss(), HIT, CODINGS),
    ("flask", "part of an article"): (HIT, CUT_HIT, CUT),
    ("flask", "part of the export"): (HIT, CUT_HIT, CUT),
    ("flask", "free download again"): (miss(), HIT, REDIRECTED),
    ("flask", "part of the free download"): (miss(), HIT, REDIRECTED),
    ("ghost", "part of a post"): (HIT, CUT_HIT, CUT),
    ("nextjs", "part of a post"): (miss(), miss() + ", 206", CUT),
    ("nextjs", "upgrade to a WebSocket"): ("BYPASS, app asked", "-, app asked", UPGRADE),
    ("rails", "ticker again"): (miss(), "REVALIDATED, app asked", VALIDATED),
    ("rails", "brochure again"): (miss(), HIT, REDIRECTED),
    ("rails", "part of the brochure"): (miss(), HIT, REDIRECTED),
    ("registry", "blob with a stranger's credentials"): (HIT, miss(), AUTHORIZATION),
    ("registry", "manifest with credentials"): (OLD, miss(), AUTHORIZATION),
    ("s3", "picture with credentials"): (HIT, miss("s3"), AUTHORIZATION),
    ("wordpress", "part of a post"): (OLD, CUT_HIT, CUT),
}
