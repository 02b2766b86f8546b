"""Random but plausible scenarios: a configuration, a table of pages, and what is asked in which order. A seed names each."""
import base64
import hashlib
import random

from conf import HEADERS, node
from parts import PARTS

CONTROLS = (["max-age=60"] * 5 + ["public, max-age=60", "s-maxage=60", "", "private, max-age=60", "no-store", "no-cache", "max-age=0",
                                  "max-age=60, must-revalidate", "max-age=60, stale-while-revalidate=60", "no-cache=\"X-Stamp\", max-age=60"])
PEOPLE = [[], [], [], ["Cookie: u=alice"], ["Cookie: u=bob"], ["Cookie: session=s1"], ["Cookie: u=bob; session=s2"],
          ["Authorization: Basic " + base64.b64encode(b"alice:secret").decode()],
          ["Authorization: Basic " + base64.b64encode(b"mallory:guess").decode()],
          ["X-Real-IP: 10.0.0.1"], ["X-Real-IP: 6.6.6.6"], ["X-Tenant: b"], ["X-Tenant: a"], ["Accept-Language: de"],
          ["Cookie: u=alice", "X-Real-IP: 10.0.0.1"], ["Cookie: u=alice", "X-Tenant: b"]]
WISHES = [[]] * 8 + [["Accept-Encoding: gzip"], ["Accept-Encoding: gzip"], ["Accept-Encoding: gzip;q=0"], ["Accept-Encoding: br, gzip"],
                     ["Accept-Encoding: identity"], ["Range: bytes=0-9"], ["Range: bytes=20-"], ["Range: bytes=-5"], ["Range: bytes=90-150"],
                     ["If-None-Match: \"v0-1\""], ["If-None-Match: *"], ["If-Modified-Since: Mon, 01 Jan 2035 00:00:00 GMT"],
                     ["Range: bytes=0-1, 5-9"], ["If-Match: \"none\""], ["Cache-Control: no-cache"], ["Pragma: no-cache"],
                     ["Upgrade: h2c", "Connection: Upgrade"]]
ODD = ("{0}?", "/{0}", "/.{0}", "{0}%2f", "{0}//", "{0}#x", "/x/..{0}", "{0}?a=%2e&b", "{0}?B=2&a=1")


class Generator:
    def __init__(self, seed, only=None, without=()):
        self.parts = [p for p in PARTS if (not only or p.__name__ in only) and p.__name__ not in without]
        self.seed, self.random = seed, random.Random(seed)
        self.http, self.server, self.servers = [], [], []
        self.pages, self.targets, self.one_name = {}, [], []
        self.names = 0
        self.valid_anywhere = self.named_in_server = False
        self.mode = self.pick("http", "server", "server", "location", "location", "location")

    # ---- dice ---------------------------------------------------------------------------------------------------
    def pick(self, *choices):
        return self.random.choice(choices)

    def chance(self, p):
        return self.random.random() < p

    def some(self, p, *nodes):
        return list(nodes) if self.chance(p) else []

    # ---- what parts ask for ---------------------------------------------------------------------------------------
    def name(self):
        self.names += 1
        return "abcdefghijklmnoqrstuvwxyz"[self.names % 25] + str(self.names)

    def page(self):
        return self.random.randrange(1, 5)

    def special(self, **row):
        """A page with properties of its own; where the rest of its row allows strangers, it forbids sharing."""
        number = 10 + len(self.pages)
        page = self.page_row()
        page.update({"status": 200, **{k: v for k, v in row.items() if v is not None}})
        if row.get("users"):
            page.update(self.pick({"cc": "private"}, {"cc": "no-store"}, {"xae": "0", "cc": ""}, {"vary": "Cookie", "cc": "max-age=60"}))
        if row.get("ssi"):               # who refuses gzip from an origin that looks for the word gets no parts either
            page.pop("gzip", None)
        if row.get("range") or row.get("accel"):
            for key in ("gzip", "cut", "framing", "split"):
                page.pop(key, None)
        if row.get("range"):
            for key in ("vary", "set_cookie", "xae"):
                page.pop(key, None)
        self.pages[number] = page
        return number

    def backend(self):
        return self.pick("b0", "b0", "b1", "b2")

    def named(self, *children):
        name = self.name()
        self.server.append(node(f"location @{name}", *self.cache(), *children))
        return name

    def target(self):
        """Where error_page may lead."""
        kind = self.pick("named", "named", "uri", "static", "absolute")
        if kind == "named":
            return "@" + self.named(node(f"proxy_pass http://<{self.pick('b3', 'b1')}>"))
        if kind == "uri":
            name = self.name()
            self.server.append(node(f"location /{name}/", *self.cache(), node(f"proxy_pass http://<{self.pick('b3', 'b1')}>")))
            return f"/{name}/p{self.page()}"
        return "/a.txt" if kind == "static" else "http://elsewhere.test/"

    def auth(self):
        if not any(n[0] == "location = /auth" for n in self.server):
            self.server.append(node("location = /auth", node("internal"), *self.some(.5, node("slab_cache off")),
                                    node("proxy_pass_request_body off"), node("proxy_set_header Content-Length \"\""),
                                    node("proxy_pass http://<b3>")))

    def basic(self):
        return [node("auth_basic closed"), node("auth_basic_user_file <root>/htpasswd")]

    def keepalive(self):
        return self.some(.5, node("proxy_http_version 1.1"), node("proxy_set_header Connection \"\""))

    def aim(self, *targets):
        self.targets += [t for t in targets if t not in self.targets]

    def location(self, how, *children, content=True, valid=.15, key=True):
        if any(n[0] == f"location {how}" for n in self.server):
            return
        ours = self.cache(valid, key) if content else []
        more = self.some(.08, node("gzip on"), node("gzip_types *"), *self.some(.5, node("gzip_vary on"))) + self.some(.05, node("proxy_buffering off"))
        names = {c[0].split()[0] for c in children}
        self.server.append(node(f"location {how}", *ours, *children, *[m for m in more if m[0].split()[0] not in names], block=True))

    # ---- our own directives -----------------------------------------------------------------------------------------
    def cache(self, valid=.15, key=True):
        chosen = []
        if self.mode == "location" and self.chance(.85):
            chosen.append(node("slab_cache one"))
        elif self.mode != "location" and self.chance(.12):
            return [node("slab_cache off")]
        if self.chance(valid):
            chosen.append(node(self.pick("slab_cache_valid 60s", "slab_cache_valid 200 301 302 404 60s", "slab_cache_valid any 60s")))
        if key and self.chance(.07):
            chosen.append(node(f"slab_cache_key {self.name()}$scheme$proxy_host$host$request_uri|$uri$is_args$args"
                               f"{self.pick('', '$cookie_session')}|$http_x_tenant|$cookie_u|$http_accept_language"))
        for p, n in ((.08, "slab_cache_min_uses 2"), (.06, "slab_cache_lock off"), (.06, "slab_cache_vary max=2"), (.05, "slab_cache_methods GET HEAD"),
                     (.05, "slab_cache_status_header on"), (.05, "slab_cache_revalidate off"), (.04, "slab_cache_refresh beta=1"),
                     (.04, "slab_cache_background_update off"), (.03, "slab_cache_set_cookie refuse"), (.03, "slab_cache_use_stale off")):
            if self.chance(p):
                chosen.append(node(n))
        if self.chance(.12):
            var = self.pick("$cookie_session", "$http_authorization", "$arg_x")
            chosen += [node(f"slab_cache_bypass {var}")] * self.chance(.8) + [node(f"slab_no_cache {var}")] * self.chance(.8)
        if self.chance(.25):
            chosen.append(node("slab_cache_purge PURGE from 127.0.0.1"))
        return chosen

    # ---- pages ------------------------------------------------------------------------------------------------------
    def page_row(self):
        row = {"cc": self.pick(*CONTROLS)}
        for p, key, values in ((.15, "status", (301, 302, 404, 404, 500, 503, 410)), (.12, "vary", ("Cookie", "X-Lang", "Accept-Language", "*")),
                               (.08, "set_cookie", (True,)), (.08, "xae", ("0", "60")), (.4, "etag", (True,)), (.15, "gzip", (True,)),
                               (.3, "framing", ("chunked", "close")), (.25, "split", ("header", "body")), (.15, "think", (.02, .1)),
                               (.05, "cut", (10, 60)), (.3, "size", (30, 1000, 5000, 40000)), (.3, "type", ("text/html", "application/json")),
                               (.15, "post", (404, 303, 500, 403)), (.04, "charset", ("koi8-r",)), (.1, "modified", ("Mon, 01 Jan 2024 00:00:00 GMT",))):
            if self.chance(p):
                row[key] = self.pick(*values)
        if "split" in row:
            row["pause"] = self.pick(.01, .03)
        if row.get("gzip") and row.get("vary") == "*":
            row.pop("vary")
        return row

    # ---- servers ----------------------------------------------------------------------------------------------------
    def one_server(self, i, hosts):
        self.server = []
        if self.mode == "server" or self.chance(.05):
            self.server += [node("slab_cache one"), *self.some(.15, node("slab_cache_valid 60s"))]
        if self.chance(.2):
            self.server.append(node("slab_cache_purge PURGE from 127.0.0.1"))
        for directive in (self.some(.1, node("gzip on"), node("gzip_types *")) + self.some(.05, node("proxy_intercept_errors on")) +
                          self.some(.08, node("ssi on")) + self.some(.1, node("error_page 404 /404.html")) + self.some(.05, node("satisfy any")) +
                          self.some(.05, node("proxy_set_header Host $host"), node("proxy_set_header Connection \"\""))):
            self.server.append(directive)
        for make in self.random.sample(self.parts, min(len(self.parts), self.pick(1, 1, 2, 2, 3, 4))):
            make(self)
        if self.chance(.3) and not any(n[0] == "location /" for n in self.server):
            self.location("/", node(f"proxy_pass http://<{self.backend()}>"))
        head = [node(f"listen 127.0.0.1:<port>{' default_server' if i == 0 else ''}"), node(f"server_name {hosts}"), node("root <root>")]
        self.servers.append(node("server", *head, *self.server))

    def scenario(self):
        for number in range(5):
            self.pages[number] = self.page_row()
        for i, hosts in enumerate(self.pick(("a.test",), ("a.test",), ("a.test", "b.test"), ("a.test c.test", "b.test"), ("a.test", "*.test"))):
            self.one_server(i, hosts)
        common = list(HEADERS)
        if self.mode == "http":
            common += [node("slab_cache one"), *self.some(.1, node("slab_cache_valid 60s"))]
        self.servers.append(node("server", node("listen 127.0.0.1:<port>"), node("server_name api.test"), node(
            "location /_c/", node("slab_cache off"), node("slab_cache_api write=on"), node("allow 127.0.0.1"), node("deny all"))))
        return {"seed": self.seed, "workers": self.pick(1, 1, 2), "http": common + self.http + self.servers,
                "pages": {str(k): v for k, v in self.pages.items()}, "steps": self.steps()}

    # ---- requests ---------------------------------------------------------------------------------------------------
    def fill_in(self, target):
        target = target.replace("%p", f"p{self.page()}", 1)
        if "%m" in target:
            before, _, uri = target.partition("%m")
            target = before + base64.urlsafe_b64encode(hashlib.md5(b"k" + uri.encode()).digest()).decode().rstrip("=")
        return target

    def ask(self, target):
        method = self.pick(*["GET"] * 16, "HEAD", "HEAD", "POST", "PURGE", "PURGE", "PUT", "OPTIONS", "DELETE")
        headers = self.pick(*PEOPLE) + self.pick(*WISHES) + self.some(.05, "X-Lang: b")
        one_name = target.startswith(tuple(self.one_name)) if self.one_name else False
        if self.chance(.06) and not one_name:
            target = self.pick(*ODD).format(target)
        request = {"method": method, "host": self.pick("a.test", "a.test", "a.test", "b.test", "c.test"), "target": target, "headers": headers}
        if method in ("POST", "PUT"):
            request["body"] = f"body {self.random.randrange(1000)}"
        if self.chance(.03):
            request["version"] = "1.0"
        if one_name:
            request["host"] = "a.test"
        elif self.chance(.02):
            request["target"] = f"http://{request['host']}{target}"
        if self.chance(.1):
            request["keep"] = True
        return request

    def invalidate(self, plain):
        host, target = plain["host"].lower(), plain["target"]
        folder = target.partition("?")[0].rpartition("/")[0] + "/"
        return self.pick({"ask": {**plain, "method": "POST", "body": "new"}}, {"ask": {**plain, "method": self.pick("PUT", "DELETE")}},
                         {"ask": {**plain, "method": "PURGE"}}, {"purge": {"urls": [f"http://{host}{target}"]}},
                         {"purge": {"prefixes": [f"http://{host}{folder}"]}}, {"purge": {"hosts": [host]}}, {"purge": {"all": True}},
                         {"delete": f"http://{host}{target}"})

    def steps(self):
        wanted = [self.fill_in(self.pick(*self.targets)) for _ in range(self.pick(3, 4, 6))]
        hosts = self.pick(["a.test"], ["a.test"], ["a.test", "b.test"], ["a.test", "b.test", "A.test", "c.test"])
        steps = []
        for _ in range(self.pick(15, 25, 35)):
            dice, target = self.random.random(), self.pick(*wanted)
            if dice < .04:
                steps.append({"do": self.pick("edit", "break", "close", "mend", "wait")})
            elif dice < .08:
                ask = {**self.ask(target), "method": "GET"}
                ask.pop("body", None)
                steps.append({"burst": [{**ask, "headers": ask["headers"] if self.chance(.6) else self.pick(*PEOPLE)} for _ in range(self.pick(3, 6))]})
            elif dice < .10:
                steps.append({"abort": {**self.ask(target), "method": self.pick("GET", "GET", "HEAD")}})
            elif dice < .16:
                plain = {"method": "GET", "host": hosts[0], "target": target, "headers": self.pick([], [], ["Cookie: u=alice", "X-Real-IP: 10.0.0.1"])}
                steps += [{"ask": plain}, {"ask": plain}, self.invalidate(plain), {"ask": plain}]
            elif dice < .24:
                plain = {"method": "GET", "host": hosts[0], "target": target, "headers": []}
                between = [{"ask": {**plain, "headers": ["Cookie: session=s9"]}}] * self.chance(.3)
                steps += [{"ask": plain}, *between, {"ask": plain}, *between, {"ask": plain}]
            else:
                steps.append({"ask": {**self.ask(target), **({} if target.startswith(tuple(self.one_name) or "-") else {"host": self.pick(*hosts)})}})
        return steps


def scenario(seed, only=None, without=()):
    return Generator(seed, only, without).scenario()
