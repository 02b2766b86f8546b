"""What a browser does: keeps cookies, follows redirects, fills in forms."""
import email.utils
import html.parser
import itertools
import time
import urllib.parse

from harness.client import Connection


class Forms(html.parser.HTMLParser):
    """forms: [{"action": …, "fields": {name: value}}] of a page."""

    def __init__(self, text):
        super().__init__()
        self.forms, self._area, self._select = [], None, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        if tag == "form":
            self.forms.append({"action": a.get("action") or "", "fields": {}})
        if not self.forms:
            return
        fields = self.forms[-1]["fields"]
        if tag == "input" and a.get("name") and a.get("type") not in ("submit", "button", "file"):
            if a.get("type") not in ("checkbox", "radio") or "checked" in a:
                fields[a["name"]] = a.get("value") or ""
        elif tag == "textarea":
            self._area = a["name"]
            fields[self._area] = ""
        elif tag == "select":
            self._select = a.get("name")
        elif tag == "option" and self._select and "selected" in a:
            fields[self._select] = a.get("value") or ""

    def handle_data(self, data):
        if self._area:
            self.forms[-1]["fields"][self._area] += data

    def handle_endtag(self, tag):
        if tag == "textarea":
            self._area = None
        if tag == "select":
            self._select = None


def form_with(text, *names):
    """The form of a page that has these fields."""
    return next(f for f in Forms(text).forms if all(n in f["fields"] for n in names))


class Browser:
    """Of one visitor. `steps` numbers the requests of all; `sent` keeps what was asked and answered, by number."""

    def __init__(self, address, host, steps, sent, headers=()):
        self.address, self.host, self.steps, self.sent, self.headers = address, host, steps, sent, tuple(headers)
        self.cookies = {}

    def fetch(self, path, form=None, follow=5, headers=()):
        number = next(self.steps)
        fields = [*self.headers, *headers, f"X-Step: {number}"]
        if self.cookies:
            fields.append("Cookie: " + "; ".join(f"{n}={v}" for n, v in self.cookies.items()))
        body = None
        if form is not None:
            fields += ["Content-Type: application/x-www-form-urlencoded", f"Referer: http://{self.host}{path}"]
            body = urllib.parse.urlencode(form).encode()
        with Connection(self.address, timeout=60) as c:
            answer = c.request(path, "GET" if body is None else "POST", headers=fields, body=body, host=self.host)
        answer.number, answer.path = number, path
        self.sent[number] = (path, body is not None, answer)
        for line in answer.all("Set-Cookie"):
            self.keep(line)
        if answer.status in (301, 302, 303) and follow:
            to = urllib.parse.urlsplit(urllib.parse.urljoin(f"http://{self.host}{path}", answer.header("Location")))
            return self.fetch(to.path + (f"?{to.query}" if to.query else ""), follow=follow - 1)
        return answer

    def keep(self, line):
        pair, *attributes = (part.strip() for part in line.split(";"))
        name, _, value = pair.partition("=")
        attributes = {a.partition("=")[0].lower(): a.partition("=")[2] for a in attributes}
        expires = attributes.get("expires")
        if (
            attributes.get("max-age") == "0"
            or expires
            and email.utils.parsedate_to_datetime(expires).timestamp() < time.time()
        ):
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value

    def submit(self, page, names, **values):
        form = form_with(page.text, *names)
        return self.fetch(form["action"] or page.path, {**form["fields"], **values})


def counter():
    return itertools.count(1)
