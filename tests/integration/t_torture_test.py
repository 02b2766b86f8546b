"""A short run of tests/torture inside the suite; `make torture SECONDS=n` runs it for longer."""
import os
import pathlib
import subprocess

PROGRAM = pathlib.Path(__file__).resolve().parents[1] / "torture" / "torture.py"


def torture():
    p = subprocess.run(["/usr/bin/python3", PROGRAM, os.environ.get("TORTURE_SECONDS", "10")], stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=300, check=False)
    print(p.stdout + p.stderr)
    return p


def only_cut_short(p):
    """Whether all it found are answers that broke off: no wrong byte, nothing stale, nothing stuck, audits clean."""
    found = [line for line in p.stdout.splitlines() if "VIOLATION" in line]
    return bool(found) and all(") : failed" in line or "): failed w" in line for line in found)


def test_ten_seconds_of_torture_violate_nothing():
    p = torture()
    if p.returncode != 0 and only_cut_short(p):
        # Who joined a stream within 10 ms of its filler's death has its answer cut too (decision 0013). That is seldom: 2 in
        # 276,351 requests with 1,928 kills. It must not be seen twice running.
        p = torture()
    assert p.returncode == 0, p.stdout + p.stderr
