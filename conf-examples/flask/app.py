"""A magazine in Flask: sessions, login, forms with a token, flash messages, two languages. Its data is a dictionary.

Each page says by `Vary` what it was made of. What changes is purged by tag.
"""
import hmac
import os
import pathlib
import secrets
import sys

from flask import Flask, abort, flash, get_flashed_messages, redirect, render_template_string, request, session

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent.parent / "clients/python"))  # where it is not installed
import slab_cache  # noqa: E402

app = Flask(__name__)
app.secret_key = os.environ.get("SECRET_KEY", "for this example only")
cache = slab_cache.Cache(os.environ.get("CACHE_API", "http://127.0.0.1:8080/_cache/"), zone="pages")
articles = {
    n: {"en": f"Article {n}", "de": f"Artikel {n}", "text": f"Text {n}. " * 200, "comments": []} for n in range(1, 41)
}

PAGE = """<!doctype html>
<html lang="{{ language }}"><title>Magazine</title>
<nav><a href="/">Home</a> {% if user %}<a href="/account/">Welcome, {{ user }}</a>
{% else %}<a href="/login/">Log in</a>{% endif %}</nav>
{% for message in messages %}<p class="message">{{ message }}</p>{% endfor %}
"""
FRONT = (
    PAGE
    + """<ul>{% for n in numbers %}<li><a href="/articles/{{ n }}/">{{ articles[n][language] }}</a>{% endfor %}</ul>"""
)
ARTICLE = (
    PAGE
    + """<h1>{{ article[language] }}</h1><p>{{ article.text }}</p>
{% for name, text in article.comments %}<blockquote>{{ name }}: {{ text }}</blockquote>{% endfor %}
<a href="comment/">+</a>"""
)
FORM = (
    PAGE
    + """<form method="post"><input type="hidden" name="token" value="{{ token }}">
{% for name, value in fields.items() %}<input name="{{ name }}" value="{{ value }}">{% endfor %}
<button>OK</button></form>"""
)


def page(template, tags="", **values):
    chosen = request.cookies.get("language")
    language = chosen if chosen in ("en", "de") else request.accept_languages.best_match(["en", "de"], "en")
    reply = app.make_response(
        render_template_string(
            template,
            language=language,
            user=session.get("user"),
            articles=articles,
            messages=get_flashed_messages(),
            **values,
        )
    )
    reply.vary.update(["Accept-Language", "Cookie"])  # the language; Flask itself says Cookie where it read the session
    if tags:
        reply.headers["Surrogate-Key"] = tags
    return reply


def form(**fields):
    """The token is in a cookie and in the page. No page that sets a cookie is stored: each visitor gets his own."""
    token = request.cookies.get("token") or secrets.token_hex(16)
    reply = page(FORM, fields=fields, token=token)
    reply.set_cookie("token", token, httponly=True, samesite="Lax")
    return reply


def check_token():
    if not hmac.compare_digest(request.form.get("token", ""), request.cookies.get("token") or "-"):
        abort(403)


def purge(*tags):
    try:
        cache.purge(tags=tags)
    except slab_cache.SlabCacheError as e:
        app.logger.error("the cache was not told what changed: %s", e)


def article_of(number):
    return articles.get(number) or abort(404)


@app.get("/")
def front():
    first = 40 - 10 * (request.args.get("page", 1, int) - 1)
    return page(FRONT, "articles", numbers=[n for n in range(first, first - 10, -1) if n in articles])


@app.get("/articles/<int:number>/")
def article(number):
    return page(ARTICLE, f"article-{number}", article=article_of(number))


@app.route("/articles/<int:number>/comment/", methods=["GET", "POST"])
def comment(number):
    if request.method == "GET":
        return form(name=session.get("user", ""), text="")
    check_token()
    article_of(number)["comments"].append((request.form["name"], request.form["text"]))
    purge(f"article-{number}")
    flash(f"Success: {request.form['name']}")
    return redirect(f"/articles/{number}/")


@app.route("/articles/<int:number>/edit/", methods=["GET", "POST"])
def edit(number):
    if session.get("user") != "editor":
        return redirect("/login/")
    if request.method == "GET":
        return form(en=article_of(number)["en"], de=article_of(number)["de"])
    check_token()
    article_of(number).update(en=request.form["en"], de=request.form["de"])
    purge(f"article-{number}", "articles")
    return redirect(f"/articles/{number}/")


@app.route("/login/", methods=["GET", "POST"])
def login():
    if request.method == "GET":
        return form(username="", password="")
    check_token()
    if request.form["password"] != request.form["username"][:6]:  # your users are in a database
        abort(403)
    session["user"] = request.form["username"]
    return redirect("/")


@app.get("/account/")
def account():
    if "user" not in session:
        return redirect("/login/")
    reply = page(
        PAGE + """<h1>{{ user }}</h1>
<form method="post" action="/logout/"><input type="hidden" name="token" value="{{ token }}"></form>""",
        token=request.cookies.get("token", ""),
    )
    reply.headers["Cache-Control"] = "private, no-store"
    return reply


@app.post("/logout/")
def logout():
    check_token()
    session.clear()
    return redirect("/")


@app.get("/report/")
def report():
    """The same for everybody: looks at no cookie and at no language."""
    reply = app.make_response(
        "<!doctype html><title>Report</title>" + "".join(f"<p>{len(a['comments'])}" for a in articles.values())
    )
    reply.headers["Cache-Control"] = "public, max-age=60"
    return reply
