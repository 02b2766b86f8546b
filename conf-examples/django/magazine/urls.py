from articles import views
from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path

urlpatterns = [
    path("", views.front, name="front"),
    path("articles/<int:pk>/", views.article, name="article"),
    path("articles/<int:pk>/comment/", views.comment, name="comment"),
    path("account/", views.account, name="account"),
    path("login/", auth.LoginView.as_view(template_name="form.html"), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("language/", include("django.conf.urls.i18n")),
    path("report/", views.report, name="report"),
    path("admin/", admin.site.urls),
]
