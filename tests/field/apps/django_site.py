"""A Django site in one file: pages for all, sessions, a form with its token, private files by X-Accel-Redirect."""
import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, HttpResponseNotFound, HttpResponsePermanentRedirect, HttpResponseRedirect, JsonResponse
from django.urls import re_path
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import cache_control, never_cache
from field_state import State

settings.configure(
    DEBUG=False, SECRET_KEY="x" * 50, ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, USE_TZ=True, APPEND_SLASH=True,
    MIDDLEWARE=["django_site.logged", "django.middleware.security.SecurityMiddleware", "django.middleware.gzip.GZipMiddleware",
                "django.middleware.http.ConditionalGetMiddleware", "django.middleware.common.CommonMiddleware",
                "django.middleware.clickjacking.XFrameOptionsMiddleware"])
django.setup()


def logged(get_response):
    def middleware(request):
        request.state = State(request.headers["X-Field-State"])
        request.state.log(request.method, request.META["RAW_URI"])
        return get_response(request)
    return middleware


def show(request, user="nobody", text="", **kw):
    return HttpResponse(request.state.page(request.META["RAW_URI"], request.get_host(), user, text), **kw)


def whoever(request):
    return request.COOKIES.get("sessionid")


@cache_control(public=True, max_age=300)
def public(request):
    response = show(request)
    if whoever(request):
        response = show(request, whoever(request))
        response["Cache-Control"] = "private"
    patch_vary_headers(response, ["Cookie"])
    return response


@cache_control(max_age=0, public=True)
def ticker(request):
    return show(request)


def comment(request, number):
    if request.method != "POST":
        return public(request)
    if "csrftoken" not in request.COOKIES or request.COOKIES["csrftoken"] != request.POST.get("csrfmiddlewaretoken"):
        return HttpResponse("CSRF verification failed\n", status=403)
    request.state.changed()
    return HttpResponseRedirect(request.path)


@never_cache
def admin(request):
    if not whoever(request):
        return HttpResponseRedirect("/admin/login/?next=" + request.path)
    return show(request, whoever(request), "site administration")


@never_cache
def login(request):
    response = show(request, text="log in")
    response.set_cookie("csrftoken", "t1", samesite="Lax")
    patch_vary_headers(response, ["Cookie"])
    return response


def document(request, name):
    if not whoever(request):
        return HttpResponseRedirect("/admin/login/?next=" + request.path)
    response = HttpResponse(content_type="application/pdf")
    response["X-Accel-Redirect"] = f"/protected/{name}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def brochure(request):
    response = HttpResponse(content_type="application/pdf")
    response["X-Accel-Redirect"] = "/protected/brochure.pdf"
    response["Cache-Control"] = "public, max-age=600"
    return response


@cache_control(public=True, max_age=60)
def api(request):
    return JsonResponse({"path": request.get_full_path(), "text": "x" * 1500, "version": f"[[version {request.state.version}]]"})


@cache_control(public=True, max_age=60)
def moved(request):
    return HttpResponsePermanentRedirect("/articles/1/")


def broken(request):
    raise RuntimeError("broken")


def nothing(request, exception=None):
    return HttpResponseNotFound("<h1>Not Found</h1>" + "x" * 300)


handler404 = "django_site.nothing"
urlpatterns = [
    re_path(r"^$", public), re_path(r"^articles/$", public), re_path(r"^articles/(?P<number>\d+)/$", comment),
    re_path(r"^ticker/$", ticker),
    re_path(r"^admin/$", admin), re_path(r"^admin/login/$", login), re_path(r"^documents/(?P<name>[\w.]+)$", document),
    re_path(r"^brochure$", brochure), re_path(r"^api/", api), re_path(r"^moved/$", moved), re_path(r"^broken/$", broken)]
application = get_wsgi_application()
