"""A new user on a fresh Debian (debootstrap), with README and the guide and nothing else: each step, as it stands there, with its time.

`make trial`; the times stand in build/trial.txt. The blocks of docs/guide.md are carried out to the letter, but for what the
guide itself says: as root without sudo, and without systemd.
"""
import contextlib
import os
import re
import shutil
import subprocess
import time

import pytest
from harness.client import Connection
from harness.debian import fresh_debian, needs
from harness.documents import blocks
from harness.nginx import TOP, reserve_port
from harness.wait import wait_until

pytestmark = pytest.mark.skipif(not os.environ.get("SLAB_TRIAL") or bool(needs()), reason="takes minutes and the network: make trial")
END = "end-of-command"


class Shell:
    """bash in there, with /proc and /dev/shm of its own. What it started ends with it."""

    def __init__(self, debian, user=None):
        mount = ('mount -t proc proc "$1/proc" && mount -t tmpfs none "$1/dev/shm" && shift 0; '
                 f'exec chroot "$1" {f"su - {user} -s /bin/bash" if user else "bash"}')
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        self.p = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", mount, "sh", debian.path], text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)

    def run(self, command, code=0):
        self.p.stdin.write(f"({command}\n) < /dev/null; code=$?; echo; echo {END} $code\n")
        self.p.stdin.flush()
        said = []
        for line in self.p.stdout:
            if line.startswith(END):
                break
            said.append(line)
        text = "".join(said).removesuffix("\n")
        assert line.startswith(END), text
        assert code is None or int(line.split()[1]) == code, f"{command}\n{text[-3000:]}"
        return text

    def start(self, command):
        """In the background; what it says goes into /tmp/started."""
        self.run(f"cd ~/slab_cache && {command} > /tmp/started 2>&1 & echo $! > /tmp/started.pid")

    def close(self):
        self.p.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.p.wait(5)
        self.p.kill()
        self.p.wait()


class Times:
    def __init__(self):
        self.rows, self.begin = [], time.monotonic()

    @contextlib.contextmanager
    def step(self, name):
        start = time.monotonic()
        yield
        now = time.monotonic()
        self.rows.append(f"{now - start:8.1f} s   {now - self.begin:8.1f} s   {name}")

    def save(self, title):
        with open(TOP / "build/trial.txt", "a", encoding="utf-8") as f:
            f.write(f"{title}\n   the step    since begin\n" + "\n".join(self.rows) + "\n\n")


@pytest.fixture(scope="module", autouse=True)
def no_old_times():
    (TOP / "build/trial.txt").unlink(missing_ok=True)


@pytest.fixture
def debian():
    with fresh_debian() as c:
        # A clone has what is committed: what is worked on is there too.
        names = subprocess.run(["git", "ls-files", "-z", "--modified", "--others", "--exclude-standard"], cwd=TOP, check=True,
                               capture_output=True, text=True).stdout.split("\0")
        for home in ("root", "srv"):
            clone = c.path / home / "slab_cache"
            subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{TOP}", clone], check=True, stdin=subprocess.DEVNULL)
            for name in filter(None, names):
                (clone / name).parent.mkdir(parents=True, exist_ok=True)
                if (TOP / name).exists():
                    shutil.copy2(TOP / name, clone / name, follow_symlinks=False)
        yield c


def as_root_without_systemd(command):
    """What the guide says of such a machine."""
    command = re.sub(r"\bsudo ", "", command)
    return re.sub(r"systemctl (reload|restart) nginx", "nginx", command)


def carry_out(shell, block, debian):
    if block.kind == "nginx":
        debian.write(block.file, block.text + "\n")
    elif block.kind == "sh":
        for command in block.text.splitlines():
            shell.run("cd ~/slab_cache && " + re.sub(r"apt-get install", "apt-get install -y -q", as_root_without_systemd(command)))
    else:
        for command, printed in re.findall(r"^\$ (.*)\n?((?:(?!\$ ).*\n?)*)", block.text, re.M):
            said = shell.run("cd ~/slab_cache && " + as_root_without_systemd(command)).replace("\r", "").strip("\n")
            form = re.escape(printed.rstrip("\n")).replace("…", "(?s:.*?)")
            assert not printed.strip() or re.fullmatch(form, said), f"{block}: {command}\nprints\n{said}\nand should\n{printed}"


def sections(document):
    """[(heading, blocks)], in the order of the page."""
    lines = (TOP / document).read_text().splitlines()
    heads = [(i, line[3:]) for i, line in enumerate(lines, 1) if line.startswith("## ")]
    found = blocks(document)
    return [(name, [b for b in found if at < b.line < after]) for (at, name), (after, _) in zip(heads, [*heads[1:], (len(lines) + 1, "")])]


def test_the_guide_from_nothing_to_the_first_why_not(debian):
    shell, times = Shell(debian), Times()
    try:
        for heading, parts in sections("docs/guide.md"):
            if parts:
                with times.step(heading):
                    for block in parts:
                        carry_out(shell, block, debian)
        times.save("docs/guide.md, as root")
    finally:
        shell.close()


def demo(shell, times, sudo):
    with reserve_port() as sock:
        port = sock.getsockname()[1]
    with times.step("make run: installed, built, serves"):
        shell.start(f"make run PORT={port}")

        def serves():
            assert shell.run("kill -0 $(cat /tmp/started.pid)", None) == "", shell.run("cat /tmp/started")
            return "In another terminal" in shell.run("cat /tmp/started")
        wait_until(serves, "the demo serves", 1200)
        with Connection(("127.0.0.1", port)) as c:
            assert c.request("/_cache/", host=f"127.0.0.1:{port}").status == 200
    said = shell.run("cat /tmp/started")
    # Nothing is said of services where somebody's policy-rc.d is there already, as in these roots.
    assert "The admin page: " in said and "policy-rc.d" in shell.run("ls /usr/sbin/policy-rc.d")
    with times.step("first miss, hit, purge and miss, as it prints them"):
        for command, word in zip(re.findall(r"^    (curl (?:-i|-X PURGE) .*?) +#", said, re.M), ("MISS", "HIT", None, "MISS")):
            answer = shell.run(command)
            assert word is None or re.search(rf"^X-Cache: {word}\r?$", answer, re.M), (command, answer)
    shell.run(f"{sudo}pkill -INT -f '[r]un-demo'; {sudo}pkill -f '[n]ginx: master'", None)


def test_make_run_as_root(debian):
    shell, times = Shell(debian), Times()
    try:
        with times.step("git and make, as README says"):
            shell.run("apt-get install -y -q --no-install-recommends git make")
        demo(shell, times, "")
        times.save("make run, as root")
    finally:
        shell.close()


def test_make_run_and_tests_as_an_ordinary_user_with_sudo(debian):
    debian.apt("install", "git", "make", "sudo")
    debian.run("useradd", "-m", "-s", "/bin/bash", "reader")
    debian.write("/etc/sudoers.d/reader", "reader ALL=(ALL) NOPASSWD: ALL\n")
    debian.run("mv", "/srv/slab_cache", "/home/reader/slab_cache")
    debian.run("chown", "-R", "reader:", "/home/reader")
    shell, times = Shell(debian, "reader"), Times()
    try:
        assert shell.run("id -un").strip() == "reader"
        demo(shell, times, "sudo ")
        with times.step("make deps-test: what tests need"):
            shell.run("cd ~/slab_cache && make deps-test")
        with times.step("make integration: the basics and what users hold in their hands"):
            said = shell.run('cd ~/slab_cache && make integration ARGS="-k b_basic or b_examples or u_make or u_documents"')
        assert re.search(r"\d+ passed", said) and " failed" not in said, said[-3000:]
        times.save("make run and tests, as an ordinary user with sudo")
    finally:
        shell.close()
