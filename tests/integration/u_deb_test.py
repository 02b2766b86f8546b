"""The Debian packages: what is in them, and in a fresh Debian (debootstrap): installed, used, removed, purged. `make deb-test`."""
import gzip
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest
from harness.client import Connection
from harness.debian import fresh_debian, needs
from harness.nginx import TOP, reserve_port

DEB = TOP / "build/deb"
MODULE, TOOLS = "libnginx-mod-http-slab-cache", "slab-cache-tools"


def packages():
    return {name: next(iter(sorted(DEB.glob(f"{name}_*.deb"))), None) for name in (MODULE, TOOLS)}


def why_not():
    if not os.environ.get("SLAB_DEB"):
        return "takes a minute and the network: make deb-test"
    return needs() or ("" if all(packages().values()) else "no packages: make deb")


built = pytest.mark.skipif(not os.environ.get("SLAB_DEB"), reason="needs the packages as they are now: make deb-test")


# ---- what needs no package built ----------------------------------------------------------------------------------

def test_versions_agree():
    version = re.search(r"\(([\d.]+)\)", (TOP / "debian/changelog").read_text())[1]
    assert f'__version__ = "{version}"' in (TOP / "clients/python/slab_cache.py").read_text()


@pytest.mark.skipif(not shutil.which("man"), reason="no man-db")
@pytest.mark.parametrize("page", sorted((TOP / "debian/man").glob("*")), ids=lambda p: p.name)
def test_man_pages_are_without_warnings(page):
    p = subprocess.run(["man", "--warnings", "-l", page], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
                       env={**os.environ, "MANROFFSEQ": "", "MANWIDTH": "80", "LC_ALL": "C.UTF-8"})
    assert p.returncode == 0 and not p.stderr and page.stem.upper() in p.stdout.upper()


@pytest.mark.parametrize("page, program", [("slab-cache-migrate.1", "migrate"), ("slab-cache-top.1", "slab-cache-top")])
def test_man_pages_name_every_option(page, program):
    out = subprocess.run(["/usr/bin/python3", TOP / "tools" / program, "--help"], capture_output=True, text=True, check=True).stdout
    text = (TOP / "debian/man" / page).read_text().replace("\\-", "-")
    assert all(option in text for option in set(re.findall(r"--[a-z][a-z-]+", out)) - {"--help"})


# ---- in a Debian of its own ---------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def debian():
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with fresh_debian() as c:
        for name, deb in packages().items():
            shutil.copy(deb, c.path / f"{name}.deb")
        yield c


def test_installed_used_removed_and_purged(debian):
    before = {str(p.relative_to(debian.path)) for p in debian.path.rglob("*slab*cache*")}
    debian.apt("install", "nginx", "curl", f"/{MODULE}.deb", f"/{TOOLS}.deb")
    enabled = "/etc/nginx/modules-enabled/50-mod-http-slab-cache.conf"
    assert debian.exists(enabled) and "successful" in debian.run("nginx", "-t")

    # It caches, as README's first lines say, and its tools work.
    sock = reserve_port()
    port = sock.getsockname()[1]
    debian.run("rm", "/etc/nginx/sites-enabled/default")
    debian.write("/etc/nginx/conf.d/site.conf", f"""
slab_cache_zone zone=pages:16m;
server {{
    listen 127.0.0.1:{port};
    location / {{ slab_cache pages; slab_cache_valid 1m; slab_cache_purge PURGE from 127.0.0.1; root /var/www/html;
                 add_header X-Cache $slab_cache_status; }}
    location /_cache/ {{ slab_cache_api write=on; allow 127.0.0.1; deny all; }}
}}
""")
    debian.write("/var/www/html/x", "page")
    debian.start(port)
    try:
        def get():
            with Connection(("127.0.0.1", port)) as c:
                answer = c.request("/x")
            assert answer.status == 200, answer
            return answer.cache
        assert [get(), get()] == ["MISS", "HIT"]
        script = f"import slab_cache, slab_cache_fleet, slab_cache_tier; slab_cache.Cache('http://127.0.0.1:{port}/_cache/', zone='pages').purge('http://localhost/x')"
        debian.run("python3", "-c", script)
        assert get() == "MISS"
        assert "zone pages" in debian.run("slab-cache-top", "--once", f"http://127.0.0.1:{port}/_cache/")
    finally:
        debian.stop()
        sock.close()
    assert "nothing here is cached" in debian.run("slab-cache-migrate", code=2)
    assert debian.run("python3", "/usr/share/doc/libnginx-mod-http-slab-cache/examples/push.py", "http://127.0.0.1:1", "z", "/x", code=1)

    # Removed: nginx goes on without it, where no configuration asks for it; installed again: it is back.
    debian.write("/etc/nginx/conf.d/site.conf", f"server {{ listen 127.0.0.1:{port}; }}\n")
    debian.apt("remove", MODULE)
    assert not debian.exists(enabled) and not debian.exists("/usr/lib/nginx/modules/ngx_http_slab_cache_module.so")
    assert "successful" in debian.run("nginx", "-t")
    debian.apt("install", f"/{MODULE}.deb")
    assert debian.exists(enabled) and "successful" in debian.run("nginx", "-t")

    # An administrator's choice survives an installation anew.
    debian.run("rm", enabled)
    debian.apt("install", "--reinstall", f"/{MODULE}.deb")
    assert not debian.exists(enabled)

    # Purged: nothing is left of it.
    debian.apt("purge", MODULE, TOOLS)
    left = {str(p.relative_to(debian.path)) for p in debian.path.rglob("*slab*cache*")} - before
    assert {p for p in left if not p.startswith(("var/lib/dpkg", "var/cache", "var/log", MODULE, TOOLS))} == set()


def test_when_nginx_itself_is_purged_and_comes_back_it_fares_as_debian_s_own_modules(debian):
    def fate(package):
        state = debian.run("dpkg-query", "-W", "-f", "${db:Status-Abbrev}", package, code=None).strip()
        links = debian.run("sh", "-c", f"ls /etc/nginx/modules-enabled 2>/dev/null | grep {package[len('libnginx-'):]}", code=None)
        return state.replace(package, ""), links.replace(package[len("libnginx-"):], "")

    peer = "libnginx-mod-http-echo"
    debian.run("rm", "-f", "/etc/nginx/conf.d/site.conf")
    debian.apt("install", "nginx", peer, f"/{MODULE}.deb")
    assert fate(MODULE) == fate(peer)
    debian.apt("purge", "nginx")
    assert fate(MODULE) == fate(peer)
    debian.apt("install", "nginx", peer, f"/{MODULE}.deb")
    assert fate(MODULE) == fate(peer) and "50-" in fate(MODULE)[1]
    assert "successful" in debian.run("nginx", "-t")


@built
def test_lintian_finds_no_error():
    log = DEB / "lintian.log"
    if not log.exists():
        pytest.skip("no lintian: tools/deps.sh deb")
    assert not re.findall(r"^E: .*", log.read_text(), re.M)


@built
def test_everything_is_in_the_packages():
    with tempfile.TemporaryDirectory() as d:
        for deb in packages().values():
            subprocess.run(["dpkg-deb", "-x", deb, d], check=True)
        pages = sorted(pathlib.Path(d).glob("usr/share/man/man*/*.gz"))
        assert [p.name for p in pages] == ["slab-cache-migrate.1.gz", "slab-cache-top.1.gz", "ngx_http_slab_cache_module.7.gz"]
        assert all(b".SH NAME" in gzip.decompress(p.read_bytes()) for p in pages)
        assert {p.name for p in pathlib.Path(d).rglob("migrate/*.py")} == {p.name for p in (TOP / "tools/migrate").glob("*.py")}
