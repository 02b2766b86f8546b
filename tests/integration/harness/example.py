"""Files of conf-examples on the ports and in the directory of a test."""
import os
import re

from .nginx import TOP

EXAMPLES = TOP / "conf-examples"


def adapted(text, nginx, app_port=None):
    """In the foreground, with sockets in nginx's directory and with temporary files where anybody may write."""
    d = nginx.prefix
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{nginx.port}").replace("127.0.0.1:8081", f"127.0.0.1:{app_port}")
    text = text.replace("/tmp/slab_cache_demo/", f"{d}/").replace("/tmp/slab_cache_", f"{d}/")
    user = "user root;" if os.getuid() == 0 else ""
    text = text.replace("pid logs/nginx.pid;", f"daemon off; {user} pid {d}/nginx.pid;")
    if "proxy_temp_path" not in text:
        paths = " ".join(
            f"{kind}_temp_path {d}/tmp/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        text = re.sub(r"^http \{", f"http {{ {paths}", text, flags=re.M)
    return text


def read(name, nginx, app_port=None):
    return adapted((EXAMPLES / name).read_text(), nginx, app_port)
