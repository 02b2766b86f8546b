"""A Flask site in one file: pages for all, a session, a counter in an API, downloads by X-Accel-Redirect."""
from field_state import State
from flask import Flask, Response, jsonify, make_response, redirect, request

application = app = Flask(__name__, static_folder=None)


def state():
    return State(request.environ["FIELD_STATE"])


def target():
    return request.environ["REQUEST_URI"]


def show(user="nobody", text="", **fields):
    response = make_response(state().page(target(), request.host, user, text))
    for name, value in fields.items():
        response.headers[name.replace("_", "-")] = value
    return response


@app.before_request
def log():
    state().log(request.method, target())


@app.get("/")
@app.get("/articles")
@app.get("/articles/<int:number>")
@app.get("/lang/page")
def public(number=None):
    user = request.cookies.get("session")
    if user:
        return show(user, Cache_Control="private, max-age=0", Vary="Cookie")
    vary = "Accept-Language" if request.path.startswith("/lang") else "Cookie"
    response = show(text=request.accept_languages.best_match(["de", "en"]) or "" if vary == "Accept-Language" else "",
                    Cache_Control="public, max-age=120", Vary=vary)
    if number:
        response.set_etag(f"{number}-{state().version}")
        response.make_conditional(request)
    return response


@app.get("/flash")
def flash():
    response = show(text="you have a message")
    response.headers["Cache-Control"] = "public, max-age=120"
    response.set_cookie("session", "flash", httponly=True)
    return response


@app.route("/articles/<int:number>", methods=["POST", "PUT", "DELETE"])
def change(number):
    state().changed()
    return redirect(f"/articles/{number}", 303)


@app.get("/account")
def account():
    user = request.cookies.get("session")
    return show(user, "account", Cache_Control="no-store") if user else redirect("/login?next=/account")


@app.get("/login")
def login():
    response = show(text="log in")
    response.set_cookie("session", "new", httponly=True)
    return response


@app.get("/api/items")
def items():
    token = request.headers.get("Authorization")
    response = jsonify(path=target(), token=token, text="x" * 1500, version=f"[[version {state().version}]]")
    response.headers["Cache-Control"] = "private, max-age=60" if token else "public, max-age=60"
    return response


@app.get("/download/<name>")
def download(name):
    response = Response(content_type="application/zip")
    response.headers["X-Accel-Redirect"] = f"/files/{name}"
    response.headers["Cache-Control"] = "public, max-age=60" if name.startswith("free") else "no-store"
    if not name.startswith("free") and not request.cookies.get("session"):
        return redirect("/login")
    return response


@app.get("/stream")
def stream():
    return Response((f"line {i} of the export\n" for i in range(3000)), content_type="text/csv",
                    headers={"Cache-Control": "public, max-age=60"})


@app.get("/moved")
def moved():
    response = redirect("/articles/1", 301)
    response.headers["Cache-Control"] = "public, max-age=60"
    return response


@app.errorhandler(404)
def nothing(error):
    response = show(text="not found")
    response.status_code = 404
    return response
