"""Laravel: `/index.php?$query_string` for everything, error_page 404 to the same script, sessions and tokens that pass by."""
from site_walk import Framework
from steps import get, head, post, purge

MEMBER = "Cookie: laravel_session=alice; XSRF-TOKEN=t1"
TOKEN = "Authorization: Bearer alice"
PLAIN = "Accept-Encoding: identity"

FRAMEWORK = Framework(
    name="laravel", server="php", tree="php/laravel",
    files={"public/build/app.css": b"body { color: black }\n" * 100, "public/.env": b"SECRET=1\n", "public/img/a.png": bytes(range(256)) * 20},
    steps=[
        get("front page", "/"), get("front page again", "/"), get("post", "/posts/1"), get("post again", "/posts/1"), get("another post", "/posts/2"),
        get("posts, second page", "/posts?page=2"), get("posts, second page again", "/posts?page=2"), get("posts, third page", "/posts?page=3"),
        get("posts with arguments the other way", "/posts?sort=a&page=2"), get("post without gzip", "/posts/1", PLAIN),
        head("head of a post", "/posts/1"), head("head of a cold post", "/posts/11"), get("that post", "/posts/11"),
        get("redirect", "/home"), get("redirect again", "/home"), get("not found", "/nothing"), get("not found again", "/nothing"),
        get("missing file below build", "/build/missing.css"), get("the script itself", "/index.php"), get("the script with a path behind", "/index.php/posts/1"),
        get("style sheet", "/build/app.css"), get("style sheet again", "/build/app.css", PLAIN), get("part of a picture", "/img/a.png", "Range: bytes=10-19"),
        get("a hidden file", "/.env"),
        get("dashboard as a stranger", "/dashboard", fresh=True), get("login form", "/login", fresh=True), get("login form again", "/login", fresh=True),
        post("form without its token", "/posts/1"), post("member posts a comment", "/posts/1", MEMBER), get("post after the comment", "/posts/1"),
        get("another post after the comment", "/posts/2"), get("member's post", "/posts/1", MEMBER, fresh=True),
        get("dashboard as member", "/dashboard", MEMBER, fresh=True), get("dashboard as a stranger after the member", "/dashboard", fresh=True),
        get("member's cold post", "/posts/21", MEMBER, fresh=True), get("stranger after the member", "/posts/21"),
        get("API", "/api/posts"), get("API again", "/api/posts"), get("API with a token", "/api/posts", TOKEN, fresh=True),
        get("API without a token after with", "/api/posts"), get("API, me", "/api/me", TOKEN, fresh=True), get("API, me as a stranger", "/api/me", fresh=True),
        get("API cold with a token", "/api/cold", TOKEN, fresh=True), get("API without a token after that", "/api/cold"),
        purge("purge of a post", "/posts/2"), get("post after its purge", "/posts/2"), get("the first post is still there", "/posts/1"),
        get("on a name that is none of ours", "/posts/1", host="evil.example"), get("on our own after that", "/posts/1"),
    ])
