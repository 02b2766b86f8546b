"""Short runs of the tortures of three machines inside the suite; `make fleet-torture`, `make tier-torture SECONDS=n` run for longer."""
import os
import pathlib
import subprocess

import pytest

TORTURE = pathlib.Path(__file__).resolve().parents[1] / "torture"


@pytest.mark.parametrize("program, seed", [("fleet_torture.py", []), ("tier_torture.py", ["2"]), ("tier_torture.py", ["1"])],
                         ids=["fleet", "tier-redis", "tier-memcached"])
def test_seconds_of_torture_of_three_machines_violate_nothing(program, seed):
    p = subprocess.run(["/usr/bin/python3", TORTURE / program, os.environ.get("TORTURE_SECONDS", "10"), *seed], stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=300, check=False)
    assert p.returncode == 0, p.stdout + p.stderr
