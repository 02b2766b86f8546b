"""`X_cache_purge ZONE KEY` in a location of its own: what comes there is sent on to this server as PURGE."""
import re
from typing import TYPE_CHECKING, List, Optional, Tuple

from edit import replaced
from model import FAMILIES, Scope
from reader import Directive

if TYPE_CHECKING:
    from rewrite import Rewrite


def purge_locations(rewrite: "Rewrite") -> None:
    zones = {c.zone for c in rewrite.moving}
    done = set()
    for scope in rewrite.config.scopes("location"):
        for family in FAMILIES:
            for d in scope.own(f"{family}_cache_purge"):
                if len(d.args) >= 2 and d.args[0] in zones and id(d) not in done:
                    done.add(id(d))
                    _send_on(rewrite, scope, d)


def _send_on(rewrite: "Rewrite", scope: Scope, d: Directive) -> None:
    server = next((s for s in scope.up() if s.kind == "server"), None)
    address = _address(server)
    match = scope.directive.args if scope.directive is not None else []
    if not address or not match or not match[0].startswith("~") or "(" not in match[-1] or not d.args[-1].endswith("$1"):
        rewrite.notes.add("loses", d.place, "purges by this location end: send PURGE to the URL itself")
        rewrite._edit(d.file, replaced(d, ["return 410;"]))
        return
    scheme, where = address
    lines = ["proxy_method PURGE;", "proxy_set_header Host $host;"]
    lines += ["proxy_ssl_server_name on;", "proxy_ssl_name $host;"] if scheme == "https" else []
    if not scope.own("allow") and not scope.own("deny"):
        lines = ["allow 127.0.0.1;", "deny all;"] + lines
        rewrite.notes.add("differs", d.place, "anybody could purge; now 127.0.0.1 can: name the addresses of who may")
    rewrite._edit(d.file, replaced(d, lines + [f"proxy_pass {scheme}://{where}$1$is_args$args;"]))
    rewrite.notes.add("differs", d.place, "answers 200 also where nothing was stored")
    # At the server's level: the PURGE comes to the location of its URL, and try_files or index lead on from there only for a GET.
    if any(c.zone == d.args[0] and any(s is server for s in c.scope.up()) for c in rewrite.moving):
        assert server is not None and server.directive is not None
        rewrite._open(server.directive, ["slab_cache_purge PURGE from 127.0.0.1;"])


def _address(server: Optional[Scope]) -> Optional[Tuple[str, str]]:
    """How this very server is reached from this machine: plainly if it can be."""
    found: List[Tuple[str, str]] = []
    for d in server.own("listen") if server is not None else []:
        m = re.fullmatch(r"(?:(\*|[\d.]+):)?(\d+)", d.args[0]) or re.fullmatch(r"([\d.]+)", d.args[0])
        if not m or "quic" in d.args:
            continue
        host = m[1] if m[1] not in (None, "*", "0.0.0.0") else "127.0.0.1"
        port = m[2] if m.lastindex == 2 else "80"
        found.append(("https" if "ssl" in d.args else "http", f"{host}:{port}"))
    if server is not None and not server.own("listen"):
        found.append(("http", "127.0.0.1:80"))
    return min(found, default=None)
