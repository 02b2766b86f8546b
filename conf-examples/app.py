"""The application of gunicorn-flask.conf and uwsgi.conf: says with each page how it may be cached."""
import itertools
import os

from flask import Flask, jsonify, make_response, request

app = Flask(__name__)
made = itertools.count(1)


def answer(body, **fields):
    reply = make_response(body)
    for name, value in fields.items():
        reply.headers[name.replace("_", "-")] = value
    return reply


@app.get("/")
def front():
    return answer(f"front page number {next(made)} by process {os.getpid()}\n",
                  Cache_Control="public, max-age=60")


@app.get("/report")
def report():
    """Dear to make; the same for everybody; may be served stale while it is made again."""
    total = sum(n * n for n in range(200_000))
    return answer(jsonify(total=total, number=next(made)),
                  Cache_Control="max-age=30, stale-while-revalidate=60")


@app.get("/hello")
def hello():
    """Depends on the arguments, which are part of the key."""
    return answer(f"hello {request.args.get('name', 'world')}\n", Cache_Control="max-age=60")


@app.get("/account")
def account():
    """Personal: private keeps it out of the shared cache, and Set-Cookie would on its own."""
    reply = answer("your account\n", Cache_Control="private")
    reply.set_cookie("session", "secret", httponly=True)
    return reply
