"""Modules of the distribution's nginx. They load into its binary alone; for another, and where they are not installed, they
are missing, and tests say so. SLAB_NGINX_MODULES is a directory of modules that were built for SLAB_NGINX, SLAB_LUA_PATH where its
lua-resty-core is."""
import ctypes
import ctypes.util
import os
import pathlib

import pytest

from .nginx import NGINX

BUILT = os.environ.get("SLAB_NGINX_MODULES", "")
DIRECTORY = pathlib.Path(BUILT or "/usr/lib/nginx/modules")
# What each must be loaded behind.
NEEDS = {"http_lua": ["ndk_http"]}
FILES = {"ndk_http": "ndk_http_module.so", "nchan": "ngx_nchan_module.so"}
PACKAGES = {"nchan": "libnginx-mod-nchan"}


def _file(name):
    return DIRECTORY / FILES.get(name, f"ngx_{name}_module.so")


def has(name):
    return (BUILT or NGINX == "/usr/sbin/nginx") and all(_file(m).exists() for m in [*NEEDS.get(name, []), name])


def need(*names):
    """Skips the test where one of them is missing, and says which package has it."""
    for name in names:
        if not has(name):
            package = PACKAGES.get(name, "libnginx-mod-" + name.replace("_", "-"))
            pytest.skip(f"{package} is not installed, or is of another nginx: NOT TESTED")


def load(*names):
    """load_module directives for those that are there, in an order that works."""
    files = []
    for name in names:
        if has(name):
            files += [f for m in [*NEEDS.get(name, []), name] if (f := _file(m)) not in files]
    return "".join(f"load_module {f};\n" for f in files)


LUA_PATH = f'lua_package_path "{os.environ.get("SLAB_LUA_PATH", "/usr/share/lua/5.1")}/?.lua;/usr/share/lua/5.1/?.lua;;";'


def brotli_decode(data):
    library = ctypes.CDLL(ctypes.util.find_library("brotlidec") or "libbrotlidec.so.1")
    out = ctypes.create_string_buffer(4 << 20)
    size = ctypes.c_size_t(len(out))
    if library.BrotliDecoderDecompress(ctypes.c_size_t(len(data)), data, ctypes.byref(size), out) != 1:
        raise ValueError(f"not brotli: {data[:40]!r}")
    return out.raw[:size.value]
