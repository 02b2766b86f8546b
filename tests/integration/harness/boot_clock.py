"""The seconds since boot, by which nginx's zones count, run ahead at will: minutes pass without waiting for them."""
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

static const volatile long* ahead;

__attribute__((constructor)) static void open_file(void) {
    const char* path = getenv("SLAB_BOOT_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void* p = fd < 0 ? MAP_FAILED : mmap(0, sizeof(long), PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0) close(fd);
    if (p != MAP_FAILED) ahead = p;
}

int clock_gettime(clockid_t clock, struct timespec* t) {
    int rc = (int) syscall(SYS_clock_gettime, clock, t);
    if (rc == 0 && clock == CLOCK_BOOTTIME && ahead) t->tv_sec += *ahead;
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
        file.write_bytes(bytes(8))
        with open(file, "r+b") as f:
            self.ahead = mmap.mmap(f.fileno(), 8)
        before = os.environ.get("SLAB_PRELOAD")
        monkeypatch.setenv("SLAB_PRELOAD", f"{before}:{library}" if before else str(library))
        monkeypatch.setenv("SLAB_BOOT_CLOCK", str(file))

    @classmethod
    def fixture(cls, monkeypatch):
        with tempfile.TemporaryDirectory(prefix="slab_clock_", dir="/dev/shm") as d:
            yield cls(d, monkeypatch)

    def forward(self, seconds):
        self.ahead[:] = struct.pack("l", struct.unpack("l", self.ahead)[0] + seconds)
        set_at = time.monotonic()
        wait_until(lambda: time.monotonic() > set_at + 0.002, "workers look at the clock once in a millisecond")
