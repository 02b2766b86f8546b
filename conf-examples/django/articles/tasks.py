"""A page made beforehand. With Celery publish_report() is a task of beat; without, cron runs `manage.py publish_report`."""
from django.conf import settings
from django.db.models import Count
from django.http import HttpResponse
from django.template.loader import render_to_string
from slab_cache import django_cache

from .models import Article

try:
    from celery import shared_task
except ImportError:

    def shared_task(function):
        function.delay = function
        return function


def report_page():
    top = Article.objects.annotate(comments=Count("comment")).order_by("-comments", "pk")[:10]
    return HttpResponse(render_to_string("report.html", {"top": top}))


@shared_task
def publish_report():
    """Purges, reads, renders, pushes; starts over if somebody purged meanwhile."""
    django_cache().publish(f"{settings.SITE}/report/", lambda: report_page().content, ttl=600, tags=["report"])
