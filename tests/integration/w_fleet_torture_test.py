"""A short run of the torture of three machines inside the suite; `make fleet-torture SECONDS=n` runs it for longer."""
import os
import pathlib
import subprocess

PROGRAM = pathlib.Path(__file__).resolve().parents[1] / "torture" / "fleet_torture.py"


def test_ten_seconds_of_torture_of_three_machines_violate_nothing():
    p = subprocess.run(["/usr/bin/python3", PROGRAM, os.environ.get("TORTURE_SECONDS", "10")], stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=300, check=False)
    assert p.returncode == 0, p.stdout + p.stderr
