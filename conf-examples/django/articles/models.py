from django.db import models
from django.utils.translation import get_language


class Article(models.Model):
    title_en = models.CharField(max_length=100)
    title_de = models.CharField(max_length=100)
    text = models.TextField()
    changed = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-pk"]

    @property
    def title(self):
        return self.title_de if get_language() == "de" else self.title_en

    def __str__(self):
        return self.title


class Comment(models.Model):
    article = models.ForeignKey(Article, models.CASCADE)
    name = models.CharField(max_length=50)
    text = models.TextField()

    class Meta:
        ordering = ["pk"]
