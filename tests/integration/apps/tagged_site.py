"""A Django site of one file that names tags and purges on commit: SITE_DIR has its database, CACHE_API the cache's API."""
import os
import pathlib
import sys

import django
from django.conf import settings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "clients/python"))
DIRECTORY = os.environ["SITE_DIR"]
settings.configure(
    SECRET_KEY="tests", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, INSTALLED_APPS=[], DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{DIRECTORY}/db"}},
    MIDDLEWARE=["slab_cache.CacheTagsMiddleware", "django.middleware.common.CommonMiddleware"],
    SLAB_CACHE={"nodes": [os.environ["CACHE_API"]], "zone": "one"},
    LOGGING={"version": 1, "handlers": {"file": {"class": "logging.FileHandler", "filename": f"{DIRECTORY}/log"}},
             "loggers": {"slab_cache": {"handlers": ["file"]}}},
)
django.setup()

from django.core.wsgi import get_wsgi_application   # noqa: E402
from django.db import connection, models, transaction  # noqa: E402
from django.http import HttpResponse                # noqa: E402
from django.urls import path                        # noqa: E402
from slab_cache import add_tags, cache_tags, purge_on_commit  # noqa: E402


class Article(models.Model):
    text = models.CharField(max_length=50)

    class Meta:
        app_label = "site"


def make_tables():
    with connection.schema_editor() as editor:
        editor.create_model(Article)
    Article.objects.create(pk=1, text="old")
    Article.objects.create(pk=2, text="old")


def answer(text):
    return HttpResponse(text, headers={"Cache-Control": "max-age=600"})


@cache_tags("site", "article-{pk}", lambda request, **kw: [f"lang-{request.GET.get('lang', 'en')}"])
def article(request, pk):
    return answer(Article.objects.get(pk=pk).text)


@cache_tags("site", "async-{pk}")
async def async_article(request, pk):
    add_tags("from-within")
    return answer(f"async {pk}")


def listing(request):
    for a in Article.objects.all():
        add_tags(f"article-{a.pk}")
    return answer(" ".join(a.text for a in Article.objects.all()))


def change(request, pk):
    """Changes an article and purges its tag, in a transaction that ends as `?how=` says."""
    how = request.GET["how"]
    try:
        with transaction.atomic():
            if how == "savepoint":
                purge_on_commit(tags=["article-3"])
                try:
                    with transaction.atomic():
                        purge_on_commit(tags=["article-2"])
                        raise ValueError
                except ValueError:
                    pass
            Article.objects.filter(pk=pk).update(text="new")
            purge_on_commit(tags=[f"article-{pk}"])
            purge_on_commit("http://localhost/never", tags=["other"])
            if how == "rollback":
                raise ValueError
    except ValueError:
        pass
    return HttpResponse("done")


def change_outright(request, pk):
    Article.objects.filter(pk=pk).update(text="new")
    purge_on_commit(tags=[f"article-{pk}"])
    return HttpResponse("done")


def reset(request):
    Article.objects.update(text="old")
    return HttpResponse("done")


urlpatterns = [path("reset", reset), path("article/<int:pk>", article), path("async/<int:pk>", async_article), path("list", listing),
               path("change/<int:pk>", change), path("change-outright/<int:pk>", change_outright)]
application = get_wsgi_application()
