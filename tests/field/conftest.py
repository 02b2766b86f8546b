"""Shares the harness of the integration tests; prints the list of differences at the end."""
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

from differences import DIFFERENCES  # noqa: E402
from harness.nginx import MODULE     # noqa: E402


def pytest_sessionstart(session):
    if not MODULE.exists():
        pytest.exit(f"{MODULE} is not built: run make", returncode=1)


@pytest.fixture
def record_ratio(request):
    """record_ratio(site, seed, what stood before it, what came of the walk): printed at the end."""
    def record(site, seed, front, ratio, requests, **wrong):
        found = "".join(f"{len(wrong.get(kind, [])):9}" for kind in ("foreign", "csrf", "old"))
        request.config.ratios.append(f"{site:10} {front:36} {seed:4} {ratio:8.1%} {requests:9}{found}")
    return record


def pytest_configure(config):
    config.ratios = []


def pytest_terminal_summary(terminalreporter):
    """How many of the visitors' requests the application was spared; the list of differences, by reason."""
    if ratios := terminalreporter.config.ratios:
        terminalreporter.section("120 visitors: hits, and what was wrong")
        terminalreporter.write_line("site       before it                            seed     hits  requests  foreign     CSRF      old")
        terminalreporter.write_line("\n".join(ratios))
    terminalreporter.section(f"where slab_cache differs from nginx's own cache: {len(DIFFERENCES)} steps")
    reasons = {}
    for (framework, step), (nginx, ours, why) in DIFFERENCES.items():
        reasons.setdefault(why, []).append(f"    {framework}: {step}: {nginx} -> {ours}")
    for why, rows in reasons.items():
        terminalreporter.write_line("\n".join([why, *rows]))
