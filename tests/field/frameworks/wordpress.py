"""WordPress: one script behind try_files, php-fpm, cookies that say who must not be cached."""
from site_walk import Framework
from steps import get, head, post, purge

MEMBER = "Cookie: wordpress_logged_in_5c0d=alice%7Csecret; wp-settings-1=x"
COMMENTER = "Cookie: comment_author_5c0d=carol"
PLAIN = "Accept-Encoding: identity"

FRAMEWORK = Framework(
    name="wordpress", server="php", tree="php/wordpress",
    files={"wp-content/style.css": b"body { color: black }\n" * 100, "wp-content/uploads/a.jpg": bytes(range(256)) * 40,
           "wp-content/uploads/evil.php": b"<?php echo 'owned';"},
    steps=[
        get("front page", "/"), get("front page again", "/"),
        get("a post", "/hello/"), get("a post again", "/hello/"), get("another post", "/world/"),
        get("a post without gzip", "/hello/", PLAIN), get("a post without gzip again", "/hello/", PLAIN),
        head("head of a post", "/hello/"), head("head of a cold post", "/cold/"), get("that post", "/cold/"),
        get("redirect to the canonical URL", "/hello"), get("redirect again", "/hello"),
        get("on the other host", "/hello/", host="blog.example.org"), get("and again there", "/hello/", host="blog.example.org"),
        get("search", "/?s=rain"), get("search again", "/?s=rain"), get("page with marketing arguments", "/hello/?utm_source=x"),
        get("the script itself", "/index.php"), get("front page after the script itself", "/"),
        get("not found", "/gone-1/"), get("not found again", "/gone-1/"), get("another not found", "/gone-2/"),
        get("JSON", "/wp-json/posts", "Accept: application/json"), get("JSON again", "/wp-json/posts", "Accept: application/json"),
        get("style sheet", "/wp-content/style.css"), get("style sheet without gzip", "/wp-content/style.css", PLAIN),
        get("part of a picture", "/wp-content/uploads/a.jpg", "Range: bytes=100-199"),
        get("a script that was uploaded", "/wp-content/uploads/evil.php"), get("hidden file", "/.htaccess"),
        get("admin as a stranger", "/wp-admin/", fresh=True), get("login form", "/wp-login.php"),
        post("login", "/wp-login.php", "Content-Type: application/x-www-form-urlencoded", body=b"log=alice&pwd=x"),
        get("member's front page", "/", MEMBER, fresh=True), get("member's post", "/hello/", MEMBER, fresh=True),
        get("member's cold post", "/members-first/", MEMBER, fresh=True), get("stranger after the member", "/members-first/"),
        get("stranger's front page after the member's", "/"),
        get("admin as member", "/wp-admin/", MEMBER, fresh=True), get("admin as a stranger again", "/wp-admin/", fresh=True),
        post("comment", "/wp-comments-post.php", "Content-Type: application/x-www-form-urlencoded", body=b"author=carol&comment=nice"),
        get("commenter sees it", "/hello/", COMMENTER, fresh=True), get("stranger after the comment", "/hello/"),
        get("front page after the comment", "/"),
        purge("plugin purges the post", "/purge/hello/"), get("the post after that", "/hello/"), get("front page is still there", "/"),
        purge("plugin purges the front page by its method", "/"), get("front page after its purge", "/"),
        get("other host after the purges", "/hello/", host="blog.example.org"),
        get("a condition", "/hello/", "If-Modified-Since: Mon, 23 Nov 2026 08:49:37 GMT"),
        get("part of a post", "/hello/", "Range: bytes=0-9", may=(206,)),
    ])
