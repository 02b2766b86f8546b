"""A REST API in Flask: articles for all, an account for each bearer token. Its data is a dictionary.

It says with each answer who may share it (`public` or not), for how long, and by which tags it is purged.
"""
import hashlib
import os
import pathlib
import sys

from flask import Flask, abort, jsonify, request

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent.parent / "clients/python"))  # where it is not installed
import slab_cache  # noqa: E402

app = Flask(__name__)
cache = slab_cache.Cache(os.environ.get("CACHE_API", "http://127.0.0.1:8080/_cache/"), zone="api")
articles = {n: {"id": n, "title": f"Article {n}", "text": f"Text {n}. " * 50} for n in range(1, 41)}


def user():
    """Of the bearer token `USER-token`; your tokens are in a database."""
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not token.endswith("-token"):
        abort(401)
    return token.removesuffix("-token")


def answer(data, control, *tags):
    """With a validator: what is stale costs a 304, not a body."""
    reply = jsonify(data)
    reply.headers["Cache-Control"] = control
    reply.headers["Surrogate-Key"] = " ".join(tags)
    reply.set_etag(hashlib.sha256(reply.data).hexdigest()[:16])
    return reply.make_conditional(request)


@app.get("/articles")
def index():
    """`page` and `limit` choose; any other argument makes no difference, and is not in the key."""
    page, limit = request.args.get("page", 1, int), min(request.args.get("limit", 10, int), 40)
    rows = [articles[n] for n in sorted(articles)][(page - 1) * limit : page * limit]
    return answer({"page": page, "articles": rows}, "public, max-age=0, s-maxage=600", "articles")


@app.get("/articles/<int:number>")
def article(number):
    if number not in articles:
        abort(404)
    return answer(articles[number], "public, max-age=0, s-maxage=600", f"article-{number}")


@app.put("/articles/<int:number>")
def change(number):
    if user() != "editor":
        abort(403)
    articles[number] = {"id": number, **request.get_json()}
    try:
        cache.purge(tags=[f"article-{number}", "articles"])
    except slab_cache.SlabCacheError as e:
        app.logger.error("the cache was not told what changed: %s", e)
    return jsonify(articles[number])


@app.get("/me")
def me():
    """nginx keeps it for each token by itself: see nginx.conf."""
    return answer({"user": user()}, "max-age=60", f"user-{user()}")


@app.get("/me/secrets")
def secrets():
    return answer({"user": user(), "secrets": ["a", "b"]}, "private, no-store")
