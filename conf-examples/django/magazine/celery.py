"""celery -A magazine worker --beat"""
import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "magazine.settings")
app = Celery("magazine")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
