"""A short run of tests/history inside the suite; `make history SECONDS=n` runs it for longer."""
import os
import pathlib
import subprocess

PROGRAM = pathlib.Path(__file__).resolve().parents[1] / "history" / "history.py"


def test_fifteen_seconds_of_history_break_no_rule():
    p = subprocess.run(["/usr/bin/python3", PROGRAM, os.environ.get("HISTORY_SECONDS", "15")], stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=300, check=False)
    print(p.stdout + p.stderr)
    assert p.returncode == 0, p.stdout + p.stderr
