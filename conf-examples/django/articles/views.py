from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from slab_cache import cache_tags

from .models import Article, Comment
from .tasks import report_page


@cache_tags("articles")
def front(request):
    page = Paginator(Article.objects.all(), 10).get_page(request.GET.get("page"))
    return render(request, "front.html", {"page": page})


@cache_tags("article-{pk}")
def article(request, pk):
    return render(request, "article.html", {"article": get_object_or_404(Article, pk=pk)})


class CommentForm(forms.ModelForm):
    class Meta:
        model = Comment
        fields = ["name", "text"]


def comment(request, pk):
    """On a page of its own: a page with a form has a token in it, which is one visitor's, and cannot be shared."""
    form = CommentForm(request.POST or None, initial={"name": request.user.get_username()})
    if form.is_valid():
        form.instance.article = get_object_or_404(Article, pk=pk)
        form.save()
        messages.success(request, f"{_('Success')}: {form.instance.name}")
        return redirect("article", pk)
    return render(request, "form.html", {"form": form})


@login_required
@never_cache
def account(request):
    return render(request, "account.html")


def report(request):
    """The same for everybody. Mostly it is pushed (tasks.py), and nobody comes here."""
    return report_page()
