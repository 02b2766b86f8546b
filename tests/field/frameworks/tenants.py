"""Many tenants by server_name with captures: backend, files and caching by map, rewrites before the cache."""
from harness.origin import request_header
from scripted import cookies, not_found, page, path_of, redirect
from site_walk import Framework
from steps import crowd, get, head, post, purge

GOLD, SILVER, TIN = "gold.shops.example.com", "silver.shops.example.com", "tin.shops.example.com"
BRAND, OTHER, NET = "www.acme.example.org", "www.beta.example.org", "brand.example.net"
BUYER = "Cookie: shop_session=alice"


def backend(name):
    def function(site, request):
        path, user = path_of(request), cookies(request).get("shop_session")
        who = f"{name} {request_header(request, 'X-Tenant')}"
        if request.method == "POST":
            site.version += 1
            return redirect("/cart", ("Set-Cookie", "shop_session=alice; path=/"))
        if path.startswith("/admin"):
            return page(site, request, user=user, text=who) if user else redirect("/login", status=303)
        if path == "/missing":
            return not_found(site, request)
        if path == "/login":
            return page(site, request, ("Set-Cookie", "shop_session=new; path=/"), text=who)
        if path == "/moved":
            return redirect("/", status=301)
        return page(site, request, ("X-Shop", who), user=user or "nobody", text=who)
    return function


FRAMEWORK = Framework(
    name="tenants", origins={name: backend(name) for name in ("shared", "gold", "silver")}, host=GOLD,
    files={"gold/assets/logo.svg": b"<svg>gold</svg>" * 100, "silver/assets/logo.svg": b"<svg>silver</svg>" * 100,
           "gold/robots.txt": b"User-agent: gold\n"},
    steps=[
        get("gold's front page", "/"),
        get("gold's front page again", "/"),
        get("silver's front page", "/", host=SILVER),
        get("silver's front page again", "/", host=SILVER),
        get("tin's front page", "/", host=TIN),
        get("tin's front page again", "/", host=TIN),
        get("gold's front page after the others'", "/"),
        get("no such shop", "/", host="nothing.example.com"),
        get("another shop of the shared backend", "/", host="lead.shops.example.com"),
        get("host in capitals", "/", host="GOLD.shops.example.com"),
        get("host with a port", "/", host=GOLD + ":8080"),
        get("product", "/p/1"),
        get("product again", "/p/1"),
        get("tin's product", "/p/1", host=TIN),
        get("product with an argument", "/p/1?color=red"),
        get("product with an argument again", "/p/1?color=red"),
        get("product without gzip", "/p/1", "Accept-Encoding: identity"),
        head("head of a product", "/p/1"),
        head("head of a cold product", "/p/11"),
        get("that product", "/p/11"),
        get("German page", "/de/p/1"),
        get("German page again", "/de/p/1"),
        get("English page", "/en/p/1"),
        get("German page of tin", "/de/p/1", host=TIN),
        get("logo", "/assets/logo.svg"),
        get("silver's logo", "/assets/logo.svg", host=SILVER),
        get("asset of the application", "/assets/made.css"),
        get("asset of the application again", "/assets/made.css"),
        get("tin's asset of the application", "/assets/made.css", host=TIN),
        get("robots.txt", "/robots.txt"),
        get("tin's robots.txt", "/robots.txt", host=TIN),
        get("not found", "/missing"),
        get("not found again", "/missing"),
        get("moved", "/moved"),
        get("moved again", "/moved"),
        get("login", "/login"),
        get("login again", "/login"),
        get("buyer's product", "/p/1", BUYER, fresh=True),
        get("buyer's cold product", "/p/21", BUYER, fresh=True),
        get("stranger after the buyer", "/p/21"),
        get("admin as a stranger", "/admin", fresh=True),
        get("admin as owner", "/admin", BUYER, fresh=True),
        get("admin as a stranger again", "/admin", fresh=True),
        get("brand's page", "/x", host=BRAND),
        get("brand's page again", "/x", host=BRAND),
        get("brand's page by the shop's path", "/shop/x", host=BRAND),
        get("brand's page by the shop's path again", "/shop/x", host=BRAND),
        get("another brand's page", "/x", host=OTHER),
        get("name without a brand", "/x", host=NET),
        get("name without a brand again", "/x", host=NET),
        post("buy", "/p/1", BUYER),
        get("product after it was bought", "/p/1"),
        get("tin's product after that", "/p/1", host=TIN),
        purge("purge of tin's product", "/p/1", host=TIN),
        get("tin's product after its purge", "/p/1", host=TIN),
        get("gold's product after tin's purge", "/p/1"),
        purge("purge of a German page", "/de/p/1"),
        get("German page after its purge", "/de/p/1"),
        purge("purge by the shop's path", "/shop/x", host=BRAND),
        get("brand's page by the shop's path after its purge", "/shop/x", host=BRAND),
        get("brand's page after that purge", "/x", host=BRAND),
        crowd("many at once", "/p/77", "Cookie: shop_session=%s"),
    ])
