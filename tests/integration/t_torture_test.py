"""A short run of tests/torture inside the suite; `make torture SECONDS=n` runs it for longer."""
import os
import pathlib
import subprocess

PROGRAM = pathlib.Path(__file__).resolve().parents[1] / "torture" / "torture.py"


def test_ten_seconds_of_torture_violate_nothing():
    p = subprocess.run(["/usr/bin/python3", PROGRAM, os.environ.get("TORTURE_SECONDS", "10")], stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=300, check=False)
    print(p.stdout + p.stderr)
    assert p.returncode == 0, p.stdout + p.stderr
