"""`make run` and what it is made of: what it says where something is missing, and what it leaves alone."""
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest
from harness.client import Connection
from harness.nginx import MODULE, NGINX, TOP, reserve_port
from harness.wait import wait_until

DEMO, DEPS, BUILD = TOP / "tools/run-demo.sh", TOP / "tools/deps.sh", TOP / "tools/build-module.sh"


def own_environment():
    """Without what a make around this test says to its children."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}


def run(*args, **environment):
    """Exit code, and what it said."""
    p = subprocess.run([str(a) for a in args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       check=False, env={**own_environment(), **environment})
    return p.returncode, p.stdout


def programs(directory, without=()):
    """A PATH with what is in /usr/bin and /bin, less some."""
    directory.mkdir()
    for name in {*os.listdir("/usr/bin"), *os.listdir("/bin")} - set(without):
        (directory / name).symlink_to(pathlib.Path("/usr/bin") / name)
    return directory


# ---- make run -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("port, words", [
    ("", "PORT is empty: make run PORT=8081"), ("abc", 'not "abc"'), ("0", 'not "0"'), ("65536", 'not "65536"'), ("8080 8081", 'not "8080 8081"'),
    ("999999", 'not "999999"'), ("80; true", 'not "80; true"')])
def test_a_port_that_is_none_is_told_in_a_sentence(port, words):
    for code, said in (run(DEMO, "check", PORT=port), run("make", "-s", "-C", TOP, "run", f"PORT={port}")):
        assert code != 0 and words in said and said.count("\n") <= 2, said


def test_a_port_that_is_taken_is_told_before_anything_else_with_another_one():
    with reserve_port() as sock:
        sock.listen()
        port = sock.getsockname()[1]
        for code, said in (run(DEMO, "check", PORT=str(port)), run("make", "-s", "-C", TOP, "run", f"PORT={port}")):
            assert code != 0 and f"Port {port} is taken" in said and f"make run PORT={port + 1}" in said
            assert "runs on" not in said and said.count("\n") <= 2, said


def test_nginx_that_does_not_start_is_told_and_nothing_is_said_to_run(tmp_path):
    """It passes -t, as it does where somebody took the port in between."""
    nginx = tmp_path / "nginx"
    nginx.write_text('#!/bin/sh\ncase " $* " in *" -t "*) exit 0 ;; esac\necho "bind() failed" >&2\nexit 1\n')
    nginx.chmod(0o755)
    with reserve_port() as sock:
        code, said = run(DEMO, MODULE, PORT=str(sock.getsockname()[1]), SLAB_NGINX=str(nginx))
    assert code == 1 and "bind() failed" in said and "nginx did not start on port" in said and "runs on" not in said


def test_the_demo_names_the_admin_page_first_serves_and_leaves_nothing(tmp_path):
    with reserve_port() as sock:
        port = sock.getsockname()[1]
        with open(tmp_path / "out", "wb") as out:
            p = subprocess.Popen([DEMO, MODULE], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
                                 env={**os.environ, "PORT": str(port), "SLAB_NGINX": NGINX})
        wait_until(lambda: "runs on" in (tmp_path / "out").read_text() or p.poll() is not None, "it says that it runs", 60)
        said = (tmp_path / "out").read_text()
        assert p.poll() is None, said
        urls = [word for word in said.split() if word.startswith("http://")]
        assert urls[0] == f"http://127.0.0.1:{port}/_cache/" and said.index("admin page") < said.index("runs on")
        with Connection(("127.0.0.1", port)) as c:
            assert [c.request(path, host=f"127.0.0.1:{port}").status for path in ("/_cache/", "/changing", "/_cache/v1/zones")] == [200] * 3
        own = re.search(r"/tmp/slab_cache_demo\.\w+", run("ps", "-o", "args=", "--ppid", str(p.pid))[1])[0]
        assert pathlib.Path(own).exists()
        os.killpg(p.pid, signal.SIGINT)             # Ctrl-C in a terminal
        assert p.wait(60) == 0
        assert not pathlib.Path(own).exists()


# ---- building -----------------------------------------------------------------------------------------------------

def test_a_path_with_a_blank_is_told_in_a_sentence(tmp_path):
    (tmp_path / "a b").mkdir()
    shutil.copytree(TOP / "tools", tmp_path / "a b/tools")
    code, said = run(tmp_path / "a b/tools/build-module.sh", "build")
    assert code == 1 and "has a blank in it" in said and str(tmp_path / "a b") in said and said.count("\n") == 1


def test_a_missing_compiler_is_told_with_what_installs_it(tmp_path):
    path = programs(tmp_path / "bin", without={"g++"})
    code, said = run(BUILD, tmp_path / "build", PATH=str(path))
    assert code == 1 and said == "no g++ here. Run: tools/deps.sh build\n"


# ---- what packages it installs, and how ----------------------------------------------------------------------------

APT = """#!/bin/sh
echo "apt-get $*" >> {d}/asked
ls {policy} >> {d}/asked 2>&1 && {policy} >> {d}/asked; echo "policy says $?" >> {d}/asked
exit {code}
"""


def machine(d, apt=0, root=True):
    """A PATH where nothing is installed, and apt-get writes down what it was asked."""
    path = programs(d / "bin", without={"apt-get", "dpkg-query", "sudo", "id", "systemctl"})
    scripts = {"apt-get": APT.format(d=d, policy=d / "policy-rc.d", code=apt), "dpkg-query": "#!/bin/sh\nexit 1\n",
               "id": f"#!/bin/sh\necho {0 if root else 1000}\n", "systemctl": f'#!/bin/sh\necho "systemctl $*" >> {d}/asked\n'}
    for name, text in scripts.items():
        (path / name).write_text(text)
        (path / name).chmod(0o755)
    return {"PATH": str(path), "POLICY_RC_D": str(d / "policy-rc.d")}


def test_packages_start_no_service_while_they_are_installed(tmp_path):
    code, said = run(DEPS, "run", **machine(tmp_path))
    asked = (tmp_path / "asked").read_text()
    assert code == 0 and "install" in asked and "nginx-dev" in asked and "policy says 101" in asked and "policy says 2" not in asked
    assert "the server that loads the module" in said and "no package starts a service" in said
    assert not (tmp_path / "policy-rc.d").exists()


def test_the_word_against_services_goes_also_where_the_installation_fails(tmp_path):
    code, _ = run(DEPS, "run", **machine(tmp_path, apt=1))
    assert code != 0 and "policy says 101" in (tmp_path / "asked").read_text() and not (tmp_path / "policy-rc.d").exists()


def test_what_is_installed_to_test_with_starts_at_no_boot_but_nginx_stays_as_it_is(tmp_path):
    wants = tmp_path / "units/multi-user.target.wants"
    wants.mkdir(parents=True)
    (wants / "cron.service").touch()            # was there before
    words = machine(tmp_path)
    apt, systemctl = tmp_path / "bin/apt-get", tmp_path / "bin/systemctl"
    apt.write_text(f"#!/bin/sh\ntouch {wants}/nginx.service {wants}/varnish.service {wants}/haproxy.service\n")
    systemctl.unlink(missing_ok=True)
    systemctl.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/told\n')
    systemctl.chmod(0o755)
    assert run(DEPS, "bench-peers", **words, SYSTEMD_UNITS=str(tmp_path / "units"))[0] == 0
    assert (tmp_path / "told").read_text() == "disable --quiet haproxy.service varnish.service\n"


def test_somebody_else_s_policy_stays(tmp_path):
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 104\n")
    policy.chmod(0o755)
    assert run(DEPS, "run", **machine(tmp_path))[0] == 0
    assert policy.read_text() == "#!/bin/sh\nexit 104\n" and "policy says 104" in (tmp_path / "asked").read_text()


def test_without_root_and_sudo_it_says_what_root_would_do(tmp_path):
    code, said = run(DEPS, "run", **machine(tmp_path, root=False))
    assert code == 1 and "As root: apt-get install" in said and "nginx-dev" in said and not (tmp_path / "asked").exists()


@pytest.mark.parametrize("group", ["build", "run", "test", "clang", "bench", "bench-peers", "static", "browser", "deb", "peers"])
def test_every_package_has_its_reason(group, tmp_path):
    code, said = run(DEPS, group, **machine(tmp_path))
    rows = [line.split(None, 1) for line in said.splitlines() if line.startswith("    ")]
    assert code == 0 and rows and all(len(row) == 2 for row in rows), said


# ---- .ci/run ---------------------------------------------------------------------------------------------------------

MAKE = """#!/bin/bash
source tools/results.sh
case $1 in
test) run "first part" true; run "second part of three" false ;;
lint) run "lint: a rule" true ;;
asan) run "unit tests" true; exit 2 ;;
tsan) skip "unit tests" "none" ;;
esac
summary
"""


def test_the_whole_check_names_what_failed_and_nothing_else(tmp_path):
    path = programs(tmp_path / "bin", without={"make"})
    shutil.copytree(TOP / ".ci", tmp_path / "top/.ci")
    (tmp_path / "top/tools").mkdir()
    shutil.copy(TOP / "tools/results.sh", tmp_path / "top/tools")
    for script, text in ((path / "make", MAKE), (tmp_path / "top/tools/deps.sh", "#!/bin/sh\n"),
                         (tmp_path / "top/tools/other-nginx-ci.sh", '#!/bin/bash\nsource tools/results.sh\nskip "another nginx" "none"\nsummary\n')):
        script.write_text(text)
        script.chmod(0o755)
    code, said = run(tmp_path / "top/.ci/run", PATH=str(path))
    steps = dict(step.split("\n", 1) for step in said.split("### make ")[1:])
    assert steps["test"].endswith("failed in:\n    second part of three\n1 passed, 1 failed\n")
    assert steps["lint"].endswith("1 passed, 0 failed\n") and "failed in" not in steps["lint"]
    assert code == 1 and said.endswith("failed in:\n    second part of three\n    make asan\n3 passed, 2 failed, 2 skipped\n"), said
