try:
    from .celery import app as celery_app
except ImportError:  # no Celery here: tasks are functions
    celery_app = None

__all__ = ["celery_app"]
