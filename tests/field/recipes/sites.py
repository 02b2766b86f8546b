"""The applications of conf-examples: how each is started, where its pages are, what a page shows of its reader."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from harness.example import EXAMPLES
from harness.wait import wait_until
from recipes.browser import Forms
from recipes.visitors import names_in
from servers import PHP_FPM

HERE = pathlib.Path(__file__).parent
FPM = """[global]
error_log = {log}
daemonize = no
[www]
listen = {socket}
pm = static
pm.max_children = 3
clear_env = yes
env[WP_DIR] = {directory}
env[WP_PURGE] = {purge}
{user}
"""


class Application:
    """A process on a unix socket; `asked` is known once it has ended."""

    def __init__(self, command, socket, log, directory, environment):
        with open(log, "ab") as out:
            self.process = subprocess.Popen(
                [str(c) for c in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=directory,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
            )
        wait_until(lambda: socket.exists() or self.process.poll() is not None, "the application listens", 60)
        assert self.process.poll() is None, log.read_text()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)


class Site:
    """What all have in common: markup, and a log of which steps the application was asked."""

    name = ""
    program = application = None
    host = api = "127.0.0.1:1"  # nobody listens there
    session = "sessionid"
    secret_cookies = ("sessionid", "csrftoken")
    login, account, report = "/login/", "/account/", "/report/"
    login_fields, comment_fields, name_field = ("username", "password"), ("name", "text"), "name"

    @property
    def example(self):
        return (EXAMPLES / self.name / "nginx.conf").read_text()

    family, http = "proxy", ""

    @property
    def skip(self):
        """What nginx's own cache is told by to pass by."""
        return f"$cookie_{self.session}"

    @property
    def directives(self):
        return f"proxy_set_header Host $http_host; proxy_pass http://unix:/tmp/slab_cache_{self.name}.sock;"

    def locations(self, cache):
        """The site's locations, with these directives of a cache."""
        return f"location / {{ {cache} {self.directives} }}"

    def gunicorn(self, example, socket, application):
        """The command that runs an example's application, and logs which steps it was asked."""
        own = ["--chdir", EXAMPLES / example, "--bind", f"unix:{socket}", "--workers", "1", "--worker-tmp-dir", self.directory]
        log = ["--access-logfile", self.asked_log, "--access-logformat", "%({x-step}i)s"]
        return ["/usr/bin/python3", self.program, *own, *log, application]

    def clean_up(self):
        pass

    def start(self, before):
        """Behind that front, whose directory has the socket."""
        self.address, self.host, self.directory = before.address, before.host, before.directory
        self.api = before.host if before.has_api else Site.api
        self.asked_log, log = self.directory / "asked", self.directory / f"{self.name}.log"
        if self.family == "uwsgi":
            self.asked_log = log  # it has no other place for its list of requests
        self.application = self.run(self.directory / f"{self.name}.sock", log)

    def stop(self):
        self.application.stop()

    def asked(self):
        """The steps that came to the application, which ends."""
        self.stop()
        return {int(line) for line in self.asked_log.read_text().split() if line.isdigit()}

    def front_query(self, number, campaign):
        query = "&".join(q for q in (f"page={number}" if number > 1 else "", campaign) if q)
        return f"?{query}" if query else ""

    def front(self, number, campaign):
        return "/" + self.front_query(number, campaign)

    def article(self, number, campaign=""):
        return f"/articles/{number}/" + (f"?{campaign}" if campaign else "")

    def comment(self, number):
        return f"/articles/{number}/comment/"

    def credentials(self, user):
        return {"username": user, "password": user[:6]}

    def comment_values(self, visitor, text):
        return {"name": visitor.name, "text": text}

    def thanks(self, name):
        return f"Success: {name}"

    def title_of(self, language, number, edition):
        return f"{'Artikel' if language == 'de' else 'Article'} {number}" + (f", edition {edition}" if edition else "")

    # ---- what a page shows
    def titles(self, text):
        return [(int(n), t) for n, t in re.findall(r'<li><a href="/articles/(\d+)/">([^<]*)</a>', text)]

    def title(self, text):
        return names_in(r"<h1>([^<]*)</h1>", text)[0]

    def user(self, text):
        return (names_in(r'<a href="/account/">\S+ ([^<]*)</a>', text) or [None])[0]

    def language(self, text):
        return re.search(r'<html lang="(\w+)', text)[1]

    def messages(self, text):
        return names_in(r'<p class="message">([^<]*)</p>', text)

    def language_of(self, visitor):
        """In which he is to see the site."""
        return visitor.language

    def offered_name(self, text):
        """Which stands in the form for a comment, where there is one."""
        forms = [f["fields"] for f in Forms(text).forms if set(self.comment_fields) <= set(f["fields"])]
        return forms[0].get(self.name_field, "") if forms else ""

    def log_out(self, browser, page):
        return browser.submit(page, ())


class Django(Site):
    name = "django"
    program = "/usr/bin/gunicorn"

    def __init__(self):
        """The database is made once, and copied for each walk."""
        self.fresh = pathlib.Path(tempfile.mkdtemp(prefix="sc_django_", dir="/tmp"))
        for command in ("migrate", "demo"):
            self.manage(self.fresh, command)

    def clean_up(self):
        shutil.rmtree(self.fresh, ignore_errors=True)

    def environment(self, directory):
        return {
            "MAGAZINE_DIR": str(directory),
            "CACHE_API": f"http://{self.api}/_cache/",
            "SITE": f"http://{self.host}",
            "DJANGO_SETTINGS_MODULE": "magazine.settings",
        }

    def manage(self, directory, *args):
        p = subprocess.run(
            ["/usr/bin/python3", EXAMPLES / "django/manage.py", *args],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **self.environment(directory)},
        )
        assert p.returncode == 0, p.stdout + p.stderr
        return p.stdout

    def run(self, socket, log):
        shutil.copy(self.fresh / "magazine.sqlite3", self.directory)
        return Application(
            self.gunicorn("django", socket, "magazine.wsgi"),
            socket,
            log,
            self.directory,
            self.environment(self.directory),
        )

    def language_cookie(self, code):
        return {"django_language": code}

    def messages(self, text):
        return [m.replace("Erfolgreich", "Success") for m in super().messages(text)]

    def log_in_editor(self, editor):
        page = editor.submit(editor.fetch("/admin/"), self.login_fields, username="editor", password="editor")
        assert page.status == 200 and "editor" in page.text, page.text

    def edit(self, editor, number, edition):
        page = editor.fetch(f"/admin/articles/article/{number}/change/")
        page = editor.submit(
            page, ("title_en", "title_de"), **{f"title_{c}": self.title_of(c, number, edition) for c in ("en", "de")}
        )
        assert page.status == 200 and "successfully" in page.text, page.text


class Flask(Site):
    name, session, family = "flask", "session", "uwsgi"
    secret_cookies = ("session", "token")
    program = "/usr/bin/uwsgi_python3"
    directives = "include /etc/nginx/uwsgi_params; uwsgi_pass unix:/tmp/slab_cache_flask.sock;"

    def run(self, socket, log):
        return Application(
            [
                self.program,
                "--chdir",
                EXAMPLES / "flask",
                "--socket",
                socket,
                "--module",
                "app:app",
                "--master",
                "--die-on-term",
                "--buffer-size",
                "16384",
                "--log-format",
                "%(var.HTTP_X_STEP)",
            ],
            socket,
            log,
            self.directory,
            {"CACHE_API": f"http://{self.api}/_cache/"},
        )

    def language_cookie(self, code):
        return {"language": code}

    def log_in_editor(self, editor):
        assert (
            "editor"
            in editor.submit(editor.fetch("/login/"), self.login_fields, username="editor", password="editor").text
        )

    def edit(self, editor, number, edition):
        page = editor.submit(
            editor.fetch(f"/articles/{number}/edit/"),
            ("en", "de"),
            **{c: self.title_of(c, number, edition) for c in ("en", "de")},
        )
        assert page.status == 200, page.text


class WordPress(Site):
    """On a stand-in with WordPress' cookies and headers; it has one language, and no flash messages."""

    name, family, program = "wordpress", "fastcgi", PHP_FPM
    skip, report = "$personal", None
    secret_cookies = (
        "wordpress_logged_in_d41d8cd98f00b204e9800998ecf8427e",
        "wordpress_sec_d41d8cd98f00b204e9800998ecf8427e",
    )
    login, account = "/wp-login.php", "/wp-admin/"
    login_fields, comment_fields, name_field = ("log", "pwd"), ("comment",), "author"
    http = """map $http_cookie $personal {
            default ""; "~*comment_author|wordpress_[a-f0-9]+|wp-postpass|wordpress_logged_in" 1; }
        root /tmp/slab_cache_wordpress; index index.php;"""
    directives = """include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
        fastcgi_pass unix:/tmp/slab_cache_php.sock;"""

    def locations(self, cache):
        return f"""location / {{ try_files $uri $uri/ /index.php$is_args$args; }}
            location ~ \\.php$ {{ {cache} {self.directives} }}"""

    def run(self, socket, log):
        shutil.copytree(HERE / "wordpress", self.directory / "wordpress")
        conf = self.directory / "fpm.conf"
        conf.write_text(
            FPM.format(
                log=log,
                socket=self.directory / "php.sock",
                directory=self.directory,
                purge=self.api if self.api != Site.api else "nobody",
                user="user = root\ngroup = root" if os.getuid() == 0 else "",
            )
        )
        root = ["-R"] if os.getuid() == 0 else []
        return Application(
            [self.program, *root, "-F", "-n", "-y", conf], self.directory / "php.sock", log, self.directory, {}
        )

    def front(self, number, campaign):
        return (f"/page/{number}/" if number > 1 else "/") + (f"?{campaign}" if campaign else "")

    def article(self, number, campaign=""):
        return f"/article-{number}/" + (f"?{campaign}" if campaign else "")

    def comment(self, number):
        return self.article(number)

    def comment_values(self, visitor, text):
        if visitor.user:
            return {"comment": text}
        return {
            "author": visitor.name,
            "email": f"{visitor.name}@example.org",
            "comment": text,
            "wp-comment-cookies-consent": "yes",
        }

    def credentials(self, user):
        return {"log": user, "pwd": user[:6]}

    def log_out(self, browser, page):
        return browser.fetch("/wp-login.php?action=logout")

    def thanks(self, name):
        return None

    def language_of(self, visitor):
        return "en"

    def language_cookie(self, code):
        return {}

    def log_in_editor(self, editor):
        page = editor.submit(editor.fetch(self.login), self.login_fields, **self.credentials("editor"))
        assert self.user(page.text) == "editor", page.text

    def edit(self, editor, number, edition):
        page = editor.fetch("/wp-admin/", {"post_ID": number, "post_title": self.title_of("en", number, edition)})
        assert page.status == 200, page.text

    # ---- what a page shows
    def titles(self, text):
        return [(int(n), t) for n, t in re.findall(r'<li><a href="/article-(\d+)/">([^<]*)</a>', text)]

    def user(self, text):
        return (names_in(r'<span class="display-name">([^<]*)</span>', text) or [None])[0]


class Api(Site):
    """The REST API; it has no pages."""

    name, program = "rest-api", "/usr/bin/gunicorn"
    directives = "proxy_set_header Host $http_host; proxy_pass http://unix:/tmp/slab_cache_api.sock;"

    def run(self, socket, log):
        return Application(
            self.gunicorn("rest-api", self.directory / 'api.sock', "api:app"),
            self.directory / "api.sock",
            log,
            self.directory,
            {"CACHE_API": f"http://{self.api}/_cache/"},
        )
