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


def pytest_terminal_summary(terminalreporter):
    """The list of differences, by reason."""
    terminalreporter.section(f"where slab_cache differs from nginx's own cache: {len(DIFFERENCES)} steps")
    reasons = {}
    for (framework, step), (nginx, ours, why) in DIFFERENCES.items():
        reasons.setdefault(why, []).append(f"    {framework}: {step}: {nginx} -> {ours}")
    for why, rows in reasons.items():
        terminalreporter.write_line("\n".join([why, *rows]))
