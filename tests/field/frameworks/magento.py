"""Magento: static files with a version in their path, pictures resized on demand, customer groups in a cookie, a map with captures."""
from site_walk import Framework
from steps import crowd, get, head, post, purge

GROUP = "Cookie: X-Magento-Vary=9bf9a599; form_key=x"
CUSTOMER = "Cookie: PHPSESSID=s1; X-Magento-Vary=9bf9a599"
PLAIN = "Accept-Encoding: identity"
CSS = "/static/version1699/frontend/styles.css"
MADE = "/static/version1699/frontend/made.css"

FRAMEWORK = Framework(
    name="magento", server="php", tree="php/magento",
    files={"pub/static/frontend/styles.css": b"body { color: black }\n" * 100, "pub/media/there.jpg": bytes(range(256)) * 20,
           "pub/errors/404.html": b"<h1>no such page</h1>\n", "setup/index.php": b"<?php echo 'setup';"},
    steps=[
        get("front page", "/"),
        get("front page again", "/"),
        get("product", "/product.html"),
        get("product again", "/product.html"),
        get("product without gzip", "/product.html", PLAIN),
        get("category, sorted", "/shoes.html?product_list_order=price"),
        get("category, sorted, again", "/shoes.html?product_list_order=price"),
        get("category, otherwise sorted", "/shoes.html?product_list_order=name"),
        get("another group's product", "/product.html", GROUP),
        get("another group's product again", "/product.html", GROUP),
        get("the general group's after that", "/product.html"),
        head("head of a product", "/product.html"),
        head("head of a cold product", "/cold.html"),
        get("moved product", "/old-product.html"),
        get("moved product again", "/old-product.html"),
        get("not found", "/no-route"),
        get("not found again", "/no-route"),
        get("versioned style sheet", CSS),
        get("versioned style sheet without gzip", CSS, PLAIN),
        get("part of the style sheet", CSS, "Range: bytes=5-9"),
        get("style sheet made on demand", MADE),
        get("style sheet made on demand again", MADE),
        get("the same of the next version", MADE.replace("1699", "1700")),
        get("another made on demand", MADE.replace("made", "other")),
        get("picture that is there", "/media/there.jpg"),
        get("picture to be resized", "/media/cache/a.jpg"),
        get("picture to be resized again", "/media/cache/a.jpg"),
        get("another picture to be resized", "/media/cache/b.jpg?w=10"),
        get("missing picture", "/media/cache/missing.jpg"),
        get("missing picture again", "/media/cache/missing.jpg"),
        get("denied upload", "/media/customer/passport.jpg"),
        get("denied setup", "/setup/index.php"),
        get("denied script", "/other.php"),
        get("cart as a stranger", "/checkout/cart/", fresh=True),
        get("account as a stranger", "/customer/account/", fresh=True),
        get("account as customer", "/customer/account/", CUSTOMER, fresh=True),
        get("account as a stranger after the customer", "/customer/account/", fresh=True),
        get("search", "/catalogsearch/result/?q=shoe", fresh=True),
        post("add to the cart", "/checkout/cart/add/", CUSTOMER),
        get("cart as customer", "/checkout/cart/", CUSTOMER, fresh=True),
        get("product after the cart", "/product.html"),
        post("GraphQL", "/graphql", "Content-Type: application/json", body=b'{"query":"{cart}"}'),
        post("GraphQL again", "/graphql", body=b"{}"),
        get("admin", "/admin_x1/", fresh=True),
        purge("purge of a product", "/product.html"),
        get("product after its purge", "/product.html"),
        get("another group's after its purge", "/product.html", GROUP),
        get("category is still there", "/shoes.html?product_list_order=price"),
        purge("purge of a picture", "/media/cache/a.jpg"),
        get("that picture", "/media/cache/a.jpg"),
        crowd("many at once", "/checkout/cart/", "Cookie: PHPSESSID=%s"),
    ])
