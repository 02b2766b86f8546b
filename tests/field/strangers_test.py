"""What each recipe of conf-examples says of who shares what: somebody logs in, comments, and a stranger looks."""
import os
import pathlib
import re
import subprocess
import types

import pytest
from harness import celery
from harness.example import EXAMPLES
from recipes.browser import Browser, counter
from recipes.fronts import NginxFront
from recipes.sites import Django, Flask, WordPress

SITES = {"django": Django, "flask": Flask, "wordpress": WordPress}


class Scene:
    """A site behind its nginx.conf, and people."""

    def __init__(self, kind):
        if not pathlib.Path(kind.program or "php-fpm").exists():
            pytest.skip(f"no {kind.program}: tools/deps.sh test")
        self.site = kind()
        self.before = NginxFront(self.site, self.site.example)
        self.nginx = self.before.nginx
        self.site.start(self.before)
        self.before.start()
        self.steps, self.sent = counter(), {}
        self.articles = iter(range(1, 40))  # one for each test: nobody has been there

    def somebody(self, *headers):
        return Browser(self.before.address, self.before.host, self.steps, self.sent, headers)

    def reader(self, name):
        b = self.somebody()
        page = b.submit(b.fetch(self.site.login), self.site.login_fields, **self.site.credentials(name))
        assert self.site.user(page.text) == name
        return b

    def end(self):
        self.site.stop()
        complaints = self.before.stop()
        self.site.clean_up()
        assert not complaints, complaints


@pytest.fixture(scope="module", params=SITES)
def scene(request):
    s = Scene(SITES[request.param])
    yield s
    s.end()


@pytest.fixture
def path(scene):
    return scene.site.article(next(scene.articles))


def test_a_page_that_a_member_read_first_is_not_a_stranger_s(scene, path):
    member, stranger = scene.reader("reader1"), scene.somebody()
    assert scene.site.user(member.fetch(path).text) == "reader1"
    first, second = stranger.fetch(path), scene.somebody("Cookie: _ga=GA1.1.7").fetch(path)
    assert [scene.site.user(p.text) for p in (first, second)] == [None, None]
    assert [first.cache, second.cache] == ["MISS", "HIT"]
    assert scene.site.user(member.fetch(path).text) == "reader1"
    assert scene.site.user(scene.reader("reader2").fetch(path).text) == "reader2"


def test_a_page_that_a_stranger_read_first_is_not_a_member_s(scene, path):
    assert scene.somebody().fetch(path).cache == "MISS"
    assert scene.site.user(scene.reader("reader1").fetch(path).text) == "reader1"
    assert scene.somebody().fetch(path).cache == "HIT"


def test_a_comment_is_seen_at_once_and_its_author_is_known_to_nobody_else(scene, path):
    author, stranger = scene.somebody(), scene.somebody()
    assert [stranger.fetch(path).cache for _ in range(2)] == ["MISS", "HIT"]
    number = int("".join(c for c in path if c.isdigit()))
    me = types.SimpleNamespace(name="Jane Roe", user=None)
    done = author.submit(
        author.fetch(scene.site.comment(number)),
        scene.site.comment_fields,
        **scene.site.comment_values(me, "I was here"),
    )
    assert done.status == 200 and "I was here" in done.text
    author.fetch(path)  # with whatever cookies he has now
    for page in (stranger.fetch(path), scene.somebody().fetch(path), stranger.fetch(scene.site.comment(number))):
        assert scene.site.messages(page.text) == [] and scene.site.offered_name(page.text) == ""
        assert "@example.org" not in page.text
    assert "I was here" in stranger.fetch(path).text and stranger.fetch(path).cache == "HIT"


def test_an_account_is_never_kept(scene):
    member = scene.reader("reader3")
    assert "reader3" in member.fetch(scene.site.account).text and "reader3" in member.fetch(scene.site.account).text
    answer = scene.somebody().fetch(scene.site.account, follow=0)
    assert answer.status == 302 and "reader3" not in answer.text
    assert "HIT" not in {a.cache for p, _, a in scene.sent.values() if p == scene.site.account}


def test_who_logs_out_is_a_stranger(scene, path):
    member = scene.reader("reader4")
    member.fetch(path)
    scene.site.log_out(member, member.fetch(scene.site.account))
    assert scene.site.user(member.fetch(path).text) is None


def test_a_session_under_an_odd_name_does_not_reach_strangers(scene, path):
    """Servers drop blanks around a cookie's name; the page that the application makes then is a member's."""
    name = next(iter(scene.site.secret_cookies)) if scene.site.name == "wordpress" else scene.site.session
    value = scene.reader("reader5").cookies[name]
    for i, cookie in enumerate(
        (
            f"{name} ={value}",
            f"{name}\t={value}",
            f" {name}={value}",
            f"{name}=x; {name}={value}",
            f"{name}={value}; {name}=x",
            f"_ga=1; {name} ={value}",
        )
    ):
        page = f"{path}?odd={i}"
        scene.somebody(f"Cookie: {cookie}").fetch(page)
        assert scene.site.user(scene.somebody().fetch(page).text) is None, cookie


def test_marketing_arguments_make_no_difference(scene, path):
    assert scene.somebody().fetch(path).cache == "MISS"
    for query in ("?utm_source=a&utm_medium=b", "?fbclid=1", "?gclid=2&utm_campaign=c"):
        assert scene.somebody().fetch(path + query).cache == "HIT", query


# ---- Django alone -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def django():
    s = Scene(Django)
    yield s
    s.end()


def test_the_language_is_that_of_the_cookie_then_that_of_the_browser(django):
    for cookie, accept, language in (
        (None, "de-AT,de;q=0.9", "de"),
        (None, "fr, nl;q=0.3", "en"),
        (None, "EN-gb, de", "en"),
        (None, None, "en"),
        ("django_language=de", "en", "de"),
        ("a=1; django_language=en; b=2", "de", "en"),
        ("xdjango_language=de", "en", "en"),
        ("django_language_x=de", "en", "en"),
        # What Django makes of these is its own affair: they pass by.
        ("django_language=de; django_language=en", "de", None),
        ("django_language=de-at", "en", None),
        ("django_language =de", "en", None),
        ("django_language=xx", "de", None),
    ):
        for _ in range(2):
            headers = [*([f"Cookie: {cookie}"] if cookie else []), *([f"Accept-Language: {accept}"] if accept else [])]
            page = django.somebody(*headers).fetch("/?page=2")
            assert page.status == 200
            if language is None:
                assert page.cache == "BYPASS", cookie
            else:
                assert django.site.language(page.text) == language, (cookie, accept)
    assert {
        django.site.language(django.somebody(f"Accept-Language: {c}").fetch("/?page=2").text) for c in ("de", "en")
    } == {"de", "en"}
    assert all(django.somebody(f"Accept-Language: {c}").fetch("/?page=2").cache == "HIT" for c in ("de", "en"))


def test_what_is_changed_in_the_admin_is_seen_at_once(django):
    editor = django.somebody()
    django.site.log_in_editor(editor)
    for path in ("/articles/40/", "/"):
        assert [django.somebody().fetch(path).cache for _ in range(2)] == ["MISS", "HIT"]
    django.site.edit(editor, 40, 7)
    assert django.site.title(django.somebody().fetch("/articles/40/").text) == "Article 40, edition 7"
    assert (40, "Article 40, edition 7") in django.site.titles(django.somebody().fetch("/").text)
    assert "HIT" not in {a.cache for p, _, a in django.sent.values() if p.startswith("/admin/")}


def test_who_kept_the_cookie_of_a_session_that_ended_gets_none_of_its_pages(django):
    member = django.reader("reader6")
    kept = dict(member.cookies)
    assert [member.fetch("/articles/39/").cache for _ in range(2)] == ["MISS", "HIT"]
    django.site.log_out(member, member.fetch("/account/"))
    thief = django.somebody()
    thief.cookies = kept
    assert django.site.user(thief.fetch("/articles/39/").text) is None


def report(django):
    """What everybody gets, and whether Django was asked."""
    page = django.somebody().fetch("/report/")
    return page.cache, page.text


def test_its_readme_names_commands_that_there_are(django):
    known = django.site.manage(django.site.directory, "help", "--commands").split()
    named = re.findall(r"manage\.py (\w+)", (EXAMPLES / "django/README.md").read_text())
    assert {"migrate", "demo", "publish_report"} <= set(named) <= set(known)


def test_the_management_command_pushes_the_report(django):
    django.site.manage(django.site.directory, "publish_report")
    assert report(django)[0] == "HIT" and "<ol>" in report(django)[1]
    assert django.reader("reader7").fetch("/report/").cache == "HIT"


TASK = """
import django; django.setup()
from articles import tasks
print(type(tasks.publish_report).__module__.split(".")[0])
{call}
"""


def in_django(django, script, **environment):
    p = subprocess.run(
        ["/usr/bin/python3", "-c", script],
        cwd=EXAMPLES / "django",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "1",
            **django.site.environment(django.site.directory),
            **environment,
        },
    )
    assert p.returncode == 0, p.stdout + p.stderr
    return p.stdout.split()


def test_without_celery_the_task_is_a_function(django):
    django.site.manage(
        django.site.directory,
        "shell",
        "-c",
        "from slab_cache import django_cache; django_cache().purge(tags=['report'])",
    )
    assert in_django(
        django, "import sys; sys.modules['celery'] = None" + TASK.format(call="tasks.publish_report.delay()")
    ) == ["builtins"]
    assert report(django)[0] == "HIT"


@pytest.mark.skipif(not celery.is_here(), reason=celery.WHY_NOT)
def test_with_celery_a_worker_runs_the_task(django, tmp_path):
    """A real worker; the broker is a directory."""
    settings = tmp_path / "with_broker.py"
    (tmp_path / "queue").mkdir()
    settings.write_text(
        "from magazine.settings import *\nCELERY_BROKER_URL = 'filesystem://'\nCELERY_BROKER_TRANSPORT_OPTIONS = "
        f"dict(data_folder_in={str(tmp_path / 'queue')!r}, data_folder_out={str(tmp_path / 'queue')!r})\n"
    )
    environment = {"DJANGO_SETTINGS_MODULE": "with_broker", "PYTHONPATH": str(tmp_path)}
    django.site.manage(
        django.site.directory,
        "shell",
        "-c",
        "from slab_cache import django_cache; django_cache().purge(tags=['report'])",
    )
    assert in_django(django, TASK.format(call="tasks.publish_report.delay()"), **environment) == ["celery"]
    site = django.site.environment(django.site.directory)
    with celery.worker(EXAMPLES / "django", "magazine", tmp_path / "log", **{**site, **environment}) as w:
        w.wait_for("succeeded")
    assert report(django)[0] == "HIT"
