"""What matters for the cache is at the end. From the environment: MAGAZINE_DIR (of the database), SECRET_KEY, CACHE_API, SITE."""
import os
import pathlib
import sys

BASE_DIR = pathlib.Path(__file__).resolve().parent.parent
sys.path.append(str(BASE_DIR.parent.parent / "clients/python"))  # where slab_cache.py is not installed

SECRET_KEY = os.environ.get("SECRET_KEY", "for this example only, on this machine only")
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "magazine.urls"
WSGI_APPLICATION = "magazine.wsgi.application"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": pathlib.Path(os.environ.get("MAGAZINE_DIR", BASE_DIR)) / "magazine.sqlite3",
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "articles",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.template.context_processors.i18n",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "static"
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
USE_I18N = USE_TZ = True
LOGIN_URL, LOGIN_REDIRECT_URL, LOGOUT_REDIRECT_URL = "login", "front", "front"

# ---- the cache ----
MIDDLEWARE = [
    "slab_cache.CacheTagsMiddleware",  # writes Surrogate-Key
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "articles.middleware.reader_tags",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
SLAB_CACHE = {"nodes": [os.environ.get("CACHE_API", "http://127.0.0.1:8080/_cache/")], "zone": "pages"}
SITE = os.environ.get("SITE", "http://127.0.0.1:8080")  # as visitors see it: what is pushed is pushed under such URLs

CELERY_BROKER_URL = os.environ.get("CELERY_BROKER", "redis://127.0.0.1/0")
CELERY_BEAT_SCHEDULE = {"report": {"task": "articles.tasks.publish_report", "schedule": 300}}
