"""Drupal: clean URLs, image derivatives by a named location, private files by X-Accel-Redirect, purges by tag."""
from site_walk import Framework
from steps import get, head, post, purge

MEMBER = "Cookie: SESS49960de5880e8c687434170f6476605b=alice"
PLAIN = "Accept-Encoding: identity"
FILE = "/system/files/salary.pdf"
STYLE = "/sites/default/files/styles/thumb/public/a.jpg"

FRAMEWORK = Framework(
    name="drupal", server="php", tree="php/drupal",
    files={"core/misc/drupal.js": b"var Drupal = {};\n" * 100, "hidden/salary.pdf": b"%PDF a secret\n" * 200,
           "sites/default/files/a.jpg": bytes(range(256)) * 20},
    steps=[
        get("front page", "/"), get("front page again", "/"), get("node", "/node/1"), get("node again", "/node/1"),
        get("node without gzip", "/node/1", PLAIN), get("node without gzip again", "/node/1", PLAIN), get("another node", "/node/2"),
        get("the node by its query", "/index.php?q=node/1"), get("list, second page", "/news?page=1"), get("list, second page again", "/news?page=1"),
        get("list, third page", "/news?page=2"), head("head of a node", "/node/1"), head("head of a cold node", "/node/7"),
        get("visitor with a cookie of analytics", "/node/1", "Cookie: _ga=1"), get("another visitor with such", "/node/1", "Cookie: _ga=2"),
        get("moved", "/old"), get("moved again", "/old"), get("not found", "/missing"), get("not found again", "/missing"),
        get("old form of the URL", "/index.php/node/1"),
        get("picture in its style", STYLE), get("picture in its style again", STYLE), get("another picture in its style", STYLE.replace("a.jpg", "b.jpg")),
        get("picture as it is", "/sites/default/files/a.jpg"), get("part of the picture", "/sites/default/files/a.jpg", "Range: bytes=-10"),
        get("script", "/core/misc/drupal.js", PLAIN), get("settings are denied", "/sites/default/private/x"), get("text file", "/CHANGELOG.txt"),
        get("private file as a stranger", FILE, fresh=True), get("private file as member", FILE, MEMBER, fresh=True),
        get("private file as a stranger after the member", FILE, fresh=True), get("private file as member again", FILE, MEMBER),
        get("part of the private file", FILE, MEMBER, "Range: bytes=0-3", may=(206,)), get("the file's inner URL", "/private/salary.pdf"),
        get("admin as a stranger", "/admin/content"), get("admin as member", "/admin/content", MEMBER, fresh=True),
        get("admin as a stranger again", "/admin/content"),
        get("member's node", "/node/1", MEMBER, fresh=True), get("member's cold node", "/node/9", MEMBER, fresh=True), get("stranger after the member", "/node/9"),
        post("login", "/user/login", body=b"name=alice&pass=x"), post("comment", "/node/1", MEMBER, body=b"comment=nice"),
        get("node after the comment", "/node/1"), get("another node after the comment", "/node/2"),
        purge("purge by tag", "/", "Surrogate-Key: node:2"), get("node of that tag", "/node/2"), get("node without that tag", "/news?page=1"),
        purge("purge by URL", "/news?page=1"), get("list after its purge", "/news?page=1"), get("next page of the list", "/news?page=2"),
        purge("purge of a picture", STYLE), get("that picture", STYLE),
    ])
