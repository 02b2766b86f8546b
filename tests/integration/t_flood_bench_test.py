"""A small run of tests/flood inside the suite: counts, no times. `make flood` runs all of it."""
import pathlib
import subprocess

PROGRAM = pathlib.Path(__file__).resolve().parents[1] / "flood" / "flood.py"


def test_floods_do_no_more_harm_than_with_nginx_own_cache():
    p = subprocess.run(["/usr/bin/python3", PROGRAM, "--short", "reset", "bound", "large", "posts-404"], stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=300, check=False)
    print(p.stdout + p.stderr)
    assert p.returncode == 0, p.stdout + p.stderr
