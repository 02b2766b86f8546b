"""The seconds since boot, by which nginx's zones count, run ahead at will: minutes pass without waiting for them. Or the machine has just
booted, for nginx."""
import mmap
import os
import pathlib
import struct
import subprocess
import tempfile
import time

from .wait import wait_until

SOURCE = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile long* ahead;     // of the time since boot
static const volatile long* younger;   // the machine is that much younger than it is

__attribute__((constructor)) static void open_file(void) {
    const char* path = getenv("SLAB_BOOT_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void* p = fd < 0 ? MAP_FAILED : mmap(0, 2 * sizeof(long), PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0) close(fd);
    if (p != MAP_FAILED) {
        ahead = p;
        younger = ahead + 1;
    }
}

int clock_gettime(clockid_t clock, struct timespec* t) {
    int rc = (int) syscall(SYS_clock_gettime, clock, t);
    if (rc == 0 && ahead) {
        if (clock == CLOCK_BOOTTIME) t->tv_sec += *ahead;
        if (clock == CLOCK_BOOTTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE) t->tv_sec -= *younger;
    }
    return rc;
}
"""


class BootClock:
    """To be made before nginx is started, whose environment then preloads it."""

    def __init__(self, directory, monkeypatch):
        self.directory = pathlib.Path(directory)
        library, file = self.directory / "boot_clock.so", self.directory / "boot_clock"
        (self.directory / "boot_clock.c").write_text(SOURCE)
        subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", library, self.directory / "boot_clock.c"], check=True, capture_output=True)
        file.write_bytes(bytes(16))
        with open(file, "r+b") as f:
            self.ahead = mmap.mmap(f.fileno(), 16)
        before = os.environ.get("SLAB_PRELOAD")
        monkeypatch.setenv("SLAB_PRELOAD", f"{before}:{library}" if before else str(library))
        monkeypatch.setenv("SLAB_BOOT_CLOCK", str(file))

    @classmethod
    def fixture(cls, monkeypatch):
        with tempfile.TemporaryDirectory(prefix="slab_clock_", dir="/dev/shm") as d:
            yield cls(d, monkeypatch)

    def forward(self, seconds):
        ahead, younger = struct.unpack("ll", self.ahead)
        self.ahead[:] = struct.pack("ll", ahead + seconds, younger)
        set_at = time.monotonic()
        wait_until(lambda: time.monotonic() > set_at + 0.002, "workers look at the clock once in a millisecond")

    def boot(self, seconds_ago):
        """To be called before nginx is started."""
        self.ahead[:] = struct.pack("ll", 0, int(time.clock_gettime(time.CLOCK_MONOTONIC)) - seconds_ago)
