"""Who visits a site, by fixed seeds: what each does, in which order, and whether what he was shown is his.

A plan depends on its seed alone. Every request is sent after the last was answered, so that what is newest is known.
"""
import dataclasses
import html
import random
import re

from recipes.browser import Browser, counter

LANGUAGES = (
    ("en-US,en;q=0.9", "en", 26),
    ("en-GB,en;q=0.9,en-US;q=0.8", "en", 16),
    ("en", "en", 5),
    ("en-US,en;q=0.5", "en", 8),
    ("de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7", "de", 20),
    ("de,en-US;q=0.7,en;q=0.3", "de", 8),
    ("de-AT,de;q=0.9", "de", 4),
    ("fr-FR,fr;q=0.9,en;q=0.8", "en", 4),
    ("nl,de;q=0.8,en;q=0.6", "de", 3),
    ("pl", "en", 3),
    (None, "en", 3),
)
ARTICLES = 40


@dataclasses.dataclass
class Visitor:
    number: int
    accept_language: str | None
    language: str
    cookies: dict  # of scripts in the page: analytics, consent
    actions: list
    browser: Browser = None
    user: str | None = None  # who is logged in
    message: str | None = None  # what the next page is to show once
    known_as: str | None = None  # the name under which he commented

    @property
    def name(self):
        return f"visitor{self.number}"


def hexes(rng, n):
    return "".join(rng.choice("0123456789abcdef") for _ in range(n))


def _campaign(rng):
    kind = rng.random()
    if kind < 0.55:
        return ""
    if kind < 0.75:
        return f"utm_source=news&utm_medium=mail&utm_campaign=week{rng.randrange(1, 5)}"
    return f"fbclid={hexes(rng, 24)}" if kind < 0.9 else f"gclid={hexes(rng, 24)}&utm_source=ads"


def _actions(rng, weights, logins, comments):
    out = []
    for _ in range(min(40, 6 + int(rng.expovariate(1 / 10)))):
        kind = rng.random()
        if kind < 0.22:
            out.append(("front", 1 if rng.random() < 0.8 else rng.randrange(2, 5)))
        elif kind < 0.27:
            out.append(("report",))
        else:
            out.append(("article", rng.choices(range(1, ARTICLES + 1), weights)[0]))
    if rng.random() < logins:
        at = rng.randrange(len(out))
        out.insert(at, ("login",))
        if rng.random() < 0.5:
            out.insert(rng.randrange(at + 1, len(out) + 1), ("account",))
        if rng.random() < 0.5:
            out.append(("logout",))
            out.append(("front", 1))
    if rng.random() < comments:
        at = rng.randrange(len(out))
        out.insert(at, ("comment", rng.choices(range(1, ARTICLES + 1), weights)[0]))
    if rng.random() < comments / 2:
        out.insert(rng.randrange(len(out)), ("form", rng.choices(range(1, ARTICLES + 1), weights)[0]))
    if rng.random() < 0.05:
        out.insert(rng.randrange(len(out)), ("language", rng.choice(("de", "en"))))
    return out


def plan(seed, count=120, logins=0.12, comments=0.12):
    """The visitors, and what they do in which order: a list of (visitor, action). Shares of them log in, and comment."""
    rng = random.Random(seed)
    weights = [1 / (rank + 1) for rank in range(ARTICLES)]
    rng.shuffle(weights)
    visitors = []
    for number in range(count):
        accept, language, _ = rng.choices(LANGUAGES, [w for *_, w in LANGUAGES])[0]
        cookies = {}
        if rng.random() < 0.85:
            cookies = {
                "_ga": f"GA1.1.{rng.randrange(10**9)}.{rng.randrange(10**9)}",
                f"_ga_{hexes(rng, 8)}": f"GS1.1.{rng.randrange(10**9)}",
            }
        if rng.random() < 0.6:
            cookies["cookieconsent_status"] = rng.choice(("all", "necessary"))
        v = Visitor(number, accept, language, cookies, _actions(rng, weights, logins, comments))
        v.actions[0] += (_campaign(rng),) if v.actions[0][0] in ("front", "article") else ()
        visitors.append(v)
    order = [v for v in visitors for _ in v.actions]
    # Not all are there at once: each begins somewhere and goes on.
    start = {v.number: rng.random() for v in visitors}
    order = sorted(((start[v.number] + 0.25 * rng.random(), v.number) for v in order))
    left = {v.number: list(v.actions) for v in visitors}
    return visitors, [(visitors[n], left[n].pop(0)) for _, n in order]


@dataclasses.dataclass
class Result:
    """What came of a walk; lists of sentences."""

    requests: int = 0  # GETs of visitors
    hits: int = 0  # of these, answered without the application
    foreign: list = dataclasses.field(default_factory=list)
    csrf: list = dataclasses.field(default_factory=list)
    old: list = dataclasses.field(default_factory=list)
    broken: list = dataclasses.field(default_factory=list)

    @property
    def ratio(self):
        return self.hits / self.requests


class Walk:
    """One plan on one site. `site` says where its pages are and how they show what is asked below."""

    def __init__(self, site, seed, **kind):
        self.site, self.result, self.steps, self.sent = site, Result(), counter(), {}
        self.visitors, self.order = plan(seed, **kind)
        self.edition = dict.fromkeys(range(1, ARTICLES + 1), 0)
        self.comments = {n: [] for n in self.edition}
        self.tokens = {}  # secret of a cookie -> whose
        self.editors = []

    def browser(self, headers=()):
        return Browser(self.site.address, self.site.host, self.steps, self.sent, headers)

    def run(self):
        editor = self.browser()
        rng = random.Random(1)
        self.site.log_in_editor(editor)
        self.first = next(self.steps)
        for i, (visitor, action) in enumerate(self.order):
            if i % 100 == 99:
                self._edit(editor, rng.choice(list(self.edition)))
            if visitor.browser is None:
                visitor.browser = self.browser(
                    [f"Accept-Language: {visitor.accept_language}"] if visitor.accept_language else []
                )
            getattr(self, f"_{action[0]}")(visitor, *action[1:])
            visitor.browser.cookies.update(visitor.cookies)
        return self.result

    def counted(self, asked):
        """Fills in hits, once it is known which requests the application was asked."""
        for number, (path, is_post, _) in self.sent.items():
            if number > self.first and number not in self.editors and not is_post:
                self.result.requests += 1
                self.result.hits += number not in asked
        return self.result

    # ---- what they do ----------------------------------------------------------------------------------------------
    def _get(self, v, path):
        page = v.browser.fetch(path)
        self._look(v, page)
        return page

    def _front(self, v, number, campaign=""):
        page = self._get(v, self.site.front(number, campaign))
        for n, title in self.site.titles(page.text):
            self._is_newest(v, page, n, title)

    def _article(self, v, number, campaign=""):
        self._is_article(v, self._get(v, self.site.article(number, campaign)), number)

    def _is_article(self, v, page, number):
        self._is_newest(v, page, number, self.site.title(page.text))
        missing = [c for c in self.comments[number] if html.escape(c) not in page.text]
        if missing:
            self.result.old.append(f"{v.name} {page.path}: without {missing}")

    def _is_newest(self, v, page, number, title):
        if title != self.site.title_of(self.site.language_of(v), number, self.edition[number]):
            words = (
                "old"
                if title
                in [self.site.title_of(self.site.language_of(v), number, e) for e in range(self.edition[number])]
                else "foreign"
            )
            getattr(self.result, words).append(f"{v.name} {page.path}: {title!r}")

    def _report(self, v):
        if self.site.report is None:
            return
        page = v.browser.fetch(self.site.report)
        if page.status != 200 or self.site.user(page.text) or self.site.messages(page.text):
            self.result.broken.append(f"{v.name} {page.path}: {page.status}")

    def _login(self, v):
        form = self._get(v, self.site.login)
        user = f"reader{v.number}"
        page = v.browser.submit(form, self.site.login_fields, **self.site.credentials(user))
        if self._is_taken(v, page):
            v.user = user
            self._look(v, page)

    def _account(self, v):
        page = self._get(v, self.site.account)
        if (v.user or "") not in page.text:
            self.result.foreign.append(f"{v.name} {page.path}: not the account of {v.user}")

    def _logout(self, v):
        if v.user is None:
            return
        page = self.site.log_out(v.browser, self._get(v, self.site.account))
        if self._is_taken(v, page):
            v.user = None
            self._look(v, page)

    def _comment(self, v, number):
        form = self._get(v, self.site.comment(number))
        text = f"comment of {v.name}"
        page = v.browser.submit(form, self.site.comment_fields, **self.site.comment_values(v, text))
        if not self._is_taken(v, page):
            return
        self.comments[number].append(text)
        v.known_as = v.name
        v.message = self.site.thanks(v.name)
        self._look(v, page)
        self._is_article(v, page, number)

    def _form(self, v, number):
        """Begins a comment, and thinks better of it."""
        self._get(v, self.site.comment(number))

    def _language(self, v, code):
        v.language = code
        v.browser.cookies.update(self.site.language_cookie(code))

    def _edit(self, editor, number):
        self.edition[number] += 1
        before = next(self.steps)
        self.site.edit(editor, number, self.edition[number])
        self.editors += range(before, next(self.steps) + 1)

    # ---- whether it is his -----------------------------------------------------------------------------------------
    def _is_taken(self, v, page):
        """`page` is what a form led to."""
        if page.status == 200:
            return True
        where = self.result.csrf if page.status == 403 else self.result.broken
        where.append(f"{v.name} {page.path}: {page.status}")
        return False

    def _look(self, v, page):
        r, text = self.result, page.text
        if page.status != 200:
            r.broken.append(f"{v.name} {page.path}: {page.status} {text[:200]}")
            return
        if self.site.user(text) != v.user:
            r.foreign.append(f"{v.name}, {v.user or 'a stranger'}, {page.path}: made for {self.site.user(text)}")
        if self.site.language(text) != self.site.language_of(v):
            r.foreign.append(f"{v.name} {page.path}: in {self.site.language(text)}, not {self.site.language_of(v)}")
        offered = self.site.offered_name(text)
        if offered not in ("", v.user, v.known_as):
            r.foreign.append(f"{v.name} {page.path}: {offered!r} stands in the form")
        shown = self.site.messages(text)
        if shown != ([v.message] if v.message else []):
            r.foreign.append(f"{v.name} {page.path}: shows {shown}, not {v.message}")
        v.message = None
        for name in self.site.secret_cookies:
            secret = v.browser.cookies.get(name)
            if secret and self.tokens.setdefault((name, secret), v) is not v:
                r.foreign.append(f"{v.name} {page.path}: has the {name} of {self.tokens[name, secret].name}")


def names_in(pattern, text):
    return [html.unescape(m) for m in re.findall(pattern, text)]
