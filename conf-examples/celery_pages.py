"""Pages that a Celery worker makes, and nginx serves out of Redis (tier.conf, docs/tier.md): no visitor waits for one.

    celery -A celery_pages worker                             the worker
    python3 celery_pages.py http://127.0.0.1:8080 1 2 3       asks it for these reports, as the application does

When data has changed: purge first, once the transaction is committed, then have the page made anew. Until it is there a
visitor's request goes to the application, as ever.

    transaction.on_commit(lambda: changed("https://example.org", 7))
"""
import datetime
import os
import pathlib
import sys

import redis
from celery import Celery

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "clients/python"))   # where it is not installed
from slab_cache_fleet import Fleet  # noqa: E402
from slab_cache_tier import Tier  # noqa: E402

REDIS = os.environ.get("REDIS", "redis://127.0.0.1:6379")
fleet = Fleet(redis.Redis.from_url(f"{REDIS}/0"), stream="slab")                  # slab_cache_fleet … stream=
tier = Tier(redis.Redis.from_url(f"{REDIS}/1"), prefix="slab:", fleet=fleet)      # slab_cache_tier … prefix= fleet=
app = Celery("celery_pages", broker=f"{REDIS}/2")


def report(number):
    """Stands in for yours: reads its data itself, makes the page."""
    return f"<!doctype html><title>Report {number}</title><p>made by a worker, {datetime.datetime.now()}\n"


# Twice is harmless, so a page that a dying worker had begun is made by another one. A store that is away is tried again.
@app.task(acks_late=True, autoretry_for=(redis.ConnectionError,), retry_backoff=True, ignore_result=True)
def publish(site, number):
    """Takes the stream's position, makes the page, puts it. What is purged meanwhile wins over it, on each machine."""
    tier.publish(f"{site}/report/{number}", lambda: report(number), max_age=300, tags=[f"report-{number}", "reports"])


def changed(site, number):
    """For the application: the data of this report is another."""
    fleet.purge(tags=[f"report-{number}"])
    publish.delay(site, number)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    for each in sys.argv[2:]:
        changed(sys.argv[1].rstrip("/"), each)
