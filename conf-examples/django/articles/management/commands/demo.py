from articles.models import Article
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = (
        "Forty articles; readers reader0 to reader119 and an editor, whose password is their name's first six letters."
    )

    def handle(self, **options):
        Article.objects.bulk_create(
            Article(title_en=f"Article {n}", title_de=f"Artikel {n}", text=f"Text {n}. " * 200) for n in range(1, 41)
        )
        password = make_password("reader")
        User.objects.bulk_create(User(username=f"reader{n}", password=password) for n in range(120))
        User.objects.bulk_create(
            [User(username="editor", password=make_password("editor"), is_staff=True, is_superuser=True)]
        )
