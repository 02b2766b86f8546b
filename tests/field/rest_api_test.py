"""conf-examples/rest-api: clients with and without tokens, by fixed seeds; nobody sees another's account."""
import json
import pathlib
import random

import pytest
from recipes.fronts import FRONTS, NOTHING, OURS, NginxFront
from recipes.sites import Api


@pytest.fixture(scope="module", autouse=True)
def gunicorn():
    if not pathlib.Path(Api.program).exists():
        pytest.skip(f"no {Api.program}: tools/deps.sh test")


class Clients:
    def __init__(self, front):
        self.site, self.front = Api(), front
        self.site.start(front)
        front.start()
        self.step = 0

    def get(self, path, user=None, *headers):
        self.step += 1
        headers = [*headers, f"X-Step: {self.step}", *([f"Authorization: Bearer {user}-token"] if user else [])]
        return self.front.nginx.get(path, *headers, host=self.front.host)

    def put(self, number, title, user="editor"):
        return self.front.nginx.request(
            f"/articles/{number}",
            "PUT",
            headers=[f"Authorization: Bearer {user}-token", "Content-Type: application/json"],
            body=json.dumps({"title": title}).encode(),
            host=self.front.host,
        )

    def end(self):
        complaints = self.front.stop()
        assert not complaints, complaints


@pytest.fixture
def clients():
    site = Api()
    c = Clients(NginxFront(site, site.example))
    yield c
    c.site.stop()
    c.end()


def test_what_is_public_is_everybody_s_with_or_without_a_token(clients):
    assert clients.get("/articles/1", "ann").cache == "MISS"
    for user in (None, "bob", "ann"):
        got = clients.get("/articles/1", user)
        assert got.cache == "HIT" and json.loads(got.body)["title"] == "Article 1"


def test_each_token_has_its_own_account(clients):
    for _ in range(2):
        for user in ("ann", "bob"):
            assert json.loads(clients.get("/me", user).body)["user"] == user
    assert clients.get("/me", "ann").cache == "HIT"
    assert [clients.get("/me").status for _ in range(2)] == [401, 401]
    assert clients.get("/me", None, "Authorization: bearer ann-token").cache != "HIT"  # spelled otherwise: asked anew


def test_what_is_private_is_not_kept(clients):
    for user in ("ann", "bob", "ann"):
        got = clients.get("/me/secrets", user)
        assert got.cache == "MISS" and json.loads(got.body)["user"] == user
    assert clients.get("/me/secrets").status == 401


def test_arguments_in_any_order_and_those_that_nobody_reads_make_no_difference(clients):
    first = clients.get("/articles?limit=3&page=2")
    assert [json.loads(first.body)["page"], len(json.loads(first.body)["articles"])] == [2, 3]
    for query in ("page=2&limit=3", "page=2&limit=3&_=17", "utm_source=x&limit=3&page=2"):
        got = clients.get(f"/articles?{query}")
        assert got.cache == "HIT" and got.body == first.body, query
    assert clients.get("/articles?page=3&limit=3").cache == "MISS"


def test_a_change_is_seen_at_once_in_the_article_and_in_lists(clients):
    for path in ("/articles/2", "/articles"):
        assert [clients.get(path).cache for _ in range(2)] == ["MISS", "HIT"]
    assert clients.put(2, "new", "ann").status == 403
    assert clients.get("/articles/2").cache == "HIT"
    assert clients.put(2, "new").status == 200
    assert json.loads(clients.get("/articles/2").body)["title"] == "new"
    assert json.loads(clients.get("/articles").body)["articles"][1]["title"] == "new"


def test_conditions_are_answered_from_the_cache(clients):
    tag = clients.get("/articles/3").header("ETag")
    got = clients.get("/articles/3", None, f"If-None-Match: {tag}")
    assert got.status == 304 and got.cache == "HIT"
    assert clients.get("/articles/99").status == 404


@pytest.mark.parametrize("name", [OURS, NOTHING])
def test_clients(name, record_ratio):
    """What a thousand requests cost the application, and whether each got what is his."""
    rng = random.Random(7)
    clients = Clients(FRONTS[name](Api()))
    titles, wrong = {n: f"Article {n}" for n in range(1, 41)}, []
    people = [f"user{n}" if rng.random() < 0.4 else None for n in range(120)]
    for i in range(1000):
        user, kind = rng.choice(people), rng.random()
        if i % 50 == 49:
            number = rng.randrange(1, 41)
            titles[number] = f"edition {i}"
            assert clients.put(number, titles[number]).status == 200
        if kind < 0.1 and user:
            got = clients.get("/me", user)
            wrong += [i] if json.loads(got.body)["user"] != user else []
        elif kind < 0.4:
            page = rng.randrange(1, 5)
            got = clients.get(f"/articles?page={page}" + rng.choice(("", f"&_={i}", "&utm_source=app")), user)
            wrong += (
                [i]
                if [a["title"] for a in json.loads(got.body)["articles"]]
                != [titles[n] for n in range(10 * page - 9, 10 * page + 1)]
                else []
            )
        else:
            number = min(40, 1 + int(rng.expovariate(1 / 8)))
            wrong += [i] if json.loads(clients.get(f"/articles/{number}", user).body)["title"] != titles[number] else []
    asked = clients.site.asked()
    clients.end()
    assert not wrong
    record_ratio("rest-api", 7, name, ratio=1 - len(asked) / clients.step, requests=clients.step)
    assert len(asked) <= 0.3 * clients.step or name == NOTHING
