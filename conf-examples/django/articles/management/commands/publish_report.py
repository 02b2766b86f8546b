from articles.tasks import publish_report
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Renders the report and puts it into the cache."

    def handle(self, **options):
        publish_report()
