"""What changes is purged, once it is committed, wherever the change was made: in a view, the admin, a shell, a task."""
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_out
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from slab_cache import purge_on_commit

from .models import Article, Comment


@receiver([post_save, post_delete], sender=Article)
def article_changed(instance, **kw):
    purge_on_commit(tags=[f"article-{instance.pk}", "articles"])


@receiver([post_save, post_delete], sender=Comment)
def comment_changed(instance, **kw):
    purge_on_commit(tags=[f"article-{instance.article_id}"])


@receiver([post_save, post_delete], sender=get_user_model())
def user_changed(instance, **kw):
    purge_on_commit(tags=[f"user-{instance.pk}"])


@receiver(user_logged_out)
def logged_out(user, **kw):
    """Pages of a session that has ended: who kept the cookie gets none of them."""
    if user is not None:
        purge_on_commit(tags=[f"user-{user.pk}"])
