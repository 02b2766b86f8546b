"""The machine under the figures: cores, time on them, memory, load."""
import contextlib
import os
import pathlib
import platform
import re
import subprocess
import time

SERVERS, CLIENTS = 0, 1     # cores


@contextlib.contextmanager
def on_core(core):
    """What is started meanwhile runs on that core, all its threads and children too."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def family(pid):
    """The process and what it has started."""
    try:
        children = "".join(t.read_text() for t in pathlib.Path(f"/proc/{pid}/task").glob("*/children"))
    except OSError:
        return []
    return [pid, *(p for child in children.split() for p in family(int(child)))]


def cpu_us(pids):
    """{pid: user and system time of all its threads}, to the microsecond: what /proc/PID/stat has in ticks. Without those that have
    ended: nginx's cache loader does so after a minute."""
    times = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            # The clock of another process, as clock_getcpuclockid(3) makes it.
            times[pid] = time.clock_gettime_ns((~pid << 3) | 2) / 1000
    return times


def memory_bytes(pids, directories):
    """Memory of the processes, what they share counted once, and the blocks of files in the directories."""
    rollups = [pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    kept = sum(int(re.search(r"^Pss:\s+(\d+)", r, re.M)[1]) * 1024 for r in rollups)
    return kept + sum(p.lstat().st_blocks * 512 for d in directories for p in pathlib.Path(d).rglob("*"))


def wrk(port, path, duration, script=None):
    """Requests answered, and a second; fails where one was not answered by 2xx."""
    command = ["taskset", "-c", str(CLIENTS), "wrk", "-t1", "-c64", "--timeout", "30s", f"-d{duration}s",
               *(["-s", script] if script else []), f"http://127.0.0.1:{port}{path}"]
    out = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in out and "Socket errors" not in out, out
    return int(re.search(r"(\d+) requests in", out)[1]), float(re.search(r"Requests/sec:\s+(\S+)", out)[1])


def description():
    """One line: what it is."""
    cpuinfo = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", cpuinfo)
    memory = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1]) // (1 << 20)
    release = re.search(r'PRETTY_NAME="(.*)"', pathlib.Path("/etc/os-release").read_text())
    return (f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores, {memory} GB, Linux "
            f"{platform.release()}, {release[1] if release else 'unknown'}")
