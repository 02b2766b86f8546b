"""Fixtures: `nginx` (one instance), `make_nginx` (several), `origin` (scripted), `cached` (nginx in front of origin)."""
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness import example as examples  # noqa: E402
from harness.fleet import Fleet           # noqa: E402
from harness.nginx import MODULE, Nginx   # noqa: E402
from harness.origin import Origin         # noqa: E402


def pytest_sessionstart(session):
    if not MODULE.exists():
        pytest.exit(f"{MODULE} is not built: run make", returncode=1)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call":
        item.failed_call = report.failed


@pytest.fixture
def make_nginx(request):
    """Makes instances; the end of the test stops them and looks at what they logged."""
    made = []

    def make():
        made.append(Nginx())
        return made[-1]

    yield make
    complaints = []
    failed = getattr(request.node, "failed_call", True)
    for n in made:
        try:
            n.stop()
        except AssertionError as e:
            complaints.append(str(e))
        complaints += n.complaints()
        if failed or complaints:
            print(f"--- configuration ({n.prefix})\n{n.text}\n--- error.log\n{n.error_log()[-6000:]}\n{n.output()[-2000:]}")
        n.clean_up(keep=bool(failed or complaints))
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def nginx(make_nginx):
    return make_nginx()


@pytest.fixture
def origin():
    o = Origin()
    yield o
    o.stop()
    assert not o.errors, o.errors


@pytest.fixture
def cached(nginx, origin):
    """cached("more directives", workers=2): nginx with `location /` cached in front of the scripted origin."""

    def start(directives="", **kw):
        return nginx.start(location=f"""
        location / {{
            slab_cache one;
            slab_cache_purge PURGE from 127.0.0.1;
            {directives}
            proxy_pass http://{origin.address};
        }}
        location /_cache/ {{ slab_cache_api write=on; allow 127.0.0.1; deny all; }}
        """, **kw)

    return start


@pytest.fixture
def fleet(request):
    """Several nginx, one Redis (harness/fleet.py)."""
    f = Fleet()
    yield f
    f.stop(keep=getattr(request.node, "failed_call", True))


@pytest.fixture
def example(nginx):
    """example("minimal.conf"): starts a file of conf-examples on ports of this test, in its directory."""
    app_port = nginx.another_port()

    def start(name):
        return nginx.start(text=examples.read(name, nginx, app_port))

    return start


@pytest.fixture(scope="session")
def certificate():
    """Paths of a self-signed certificate for localhost and of its key."""
    d = pathlib.Path(tempfile.mkdtemp(prefix="sc_cert_", dir="/tmp"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-keyout", d / "key.pem", "-out", d / "cert.pem"], check=True, capture_output=True)
    yield d / "cert.pem", d / "key.pem"
    shutil.rmtree(d, ignore_errors=True)
