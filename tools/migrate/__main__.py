"""Rewrites an nginx configuration that caches with proxy_cache (fastcgi, uwsgi, scgi) for slab_cache.

Prints the changes and a list of what they mean. Exit code 0: all moved; 1: written, with open questions; 2: nothing written.
"""
import argparse
import difflib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from typing import Dict, List, Optional

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import vcl                                                   # noqa: E402
from check import leaks                                      # noqa: E402
from model import Configuration                              # noqa: E402
from plan import Features, Note, Options, SEVERITIES         # noqa: E402
from reader import ConfigError                               # noqa: E402
from rewrite import Rewrite                                  # noqa: E402

HEADINGS = {"leaks": "Leaks: somebody may get what is not his", "loses": "Loses: something is not cached or purged any more",
            "differs": "Differs: seen by those who look", "nothing": "For your information"}


def arguments() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="slab-cache-migrate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("configuration", nargs="?", default="/etc/nginx/nginx.conf")
    where = p.add_mutually_exclusive_group()
    where.add_argument("--dry-run", action="store_true", help="only print (this is the default)")
    where.add_argument("--out", metavar="DIR", help="write the new files below DIR, with migrate.md; what is not changed is copied")
    where.add_argument("--in-place", action="store_true", help="write over the files; each old one stays as FILE.before-slab-cache")
    where.add_argument("--check", action="store_true", help="change nothing; look for leftovers that leak: an X_cache_bypass or "
                       "X_no_cache beside slab_cache that no slab_cache_bypass or slab_no_cache repeats")
    where.add_argument("--vcl", metavar="FILE", help="list what a Varnish configuration does by idiom, with the directive to write; change nothing")
    p.add_argument("--module", metavar="PATH", help="the module, as load_module is to name it")
    # An ordinary user's PATH has no sbin.
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin") or "nginx"
    p.add_argument("--nginx", metavar="PATH", default=found, help="tests what is written (nginx -t); empty: no test")
    p.add_argument("--size", metavar="SIZE", default="", help="of each zone, instead of a guess")
    p.add_argument("--modern", action="store_true", help="keep slab_cache's own defaults where nothing was said")
    return p


# Who stores slices warns of these.
TOO_LARGE_SLICES = """slab_cache_zone zone=probe:16m; server { listen unix:DIRECTORY/socket;
    location /probe { slab_cache probe; slice 16m; proxy_set_header Range $slice_range; proxy_pass http://127.0.0.1:1; } }"""


def probe(nginx: str, module: str) -> Features:
    """Asks the module itself what it knows, by nginx -t."""
    def takes(line: str, warning: str = "") -> bool:
        with tempfile.TemporaryDirectory(prefix="migrate_") as d:
            conf = pathlib.Path(d, "nginx.conf")
            conf.write_text(f"load_module {module};\npid {d}/pid;\nevents {{}}\nhttp {{ access_log off; {line} }}\n".replace("DIRECTORY", d))
            try:
                test = subprocess.run([nginx, "-t", "-q", "-p", d, "-c", str(conf), "-e", "/dev/null"], stdin=subprocess.DEVNULL,
                                      capture_output=True, check=False)
                return test.returncode == 0 and warning.encode() in test.stderr
            except OSError:
                return False
    if not nginx or not os.path.isabs(module):
        return Features()
    return Features(force=takes("slab_cache_use_stale error force;"), convert_head=takes("slab_cache_convert_head off;"),
                    keyed=takes("slab_cache_authorization keyed;"), slices=takes(TOO_LARGE_SLICES, "takes objects of up to"))


def diff_of(path: str, old: str, new: str) -> str:
    def lines(text: str) -> List[str]:
        return text.encode("latin-1").decode("utf-8", "replace").splitlines(keepends=True)
    return "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n"
                   for line in difflib.unified_diff(lines(old), lines(new), path, path))


def summary(rewrite: Rewrite, notes: List[Note]) -> str:
    out = ["# From nginx's caches to slab_cache", ""]
    locations = [f"- moved: {c.block.place} `location {' '.join(c.block.args)}` ({c.family}_cache {c.zone})" for c in rewrite.moving]
    locations += [f"- stays: {c.block.place} `location {' '.join(c.block.args)}`: {c.stays}" for c in rewrite.found if c.stays]
    out += dict.fromkeys(locations)         # a block that is included twice is told once
    for severity in SEVERITIES:
        mine = [n for n in notes if n.severity == severity]
        if mine:
            out += ["", f"## {HEADINGS[severity]}", ""] + [f"- {n.place}: {n.text}" for n in mine]
    return "\n".join(out) + "\n"


def targets(config: Configuration, out: Optional[str]) -> Dict[str, str]:
    """Where each file is written."""
    if out is None:
        return {p: p for p in config.files}
    result = {}
    for path in config.files:
        relative = os.path.relpath(path, config.directory)
        result[path] = os.path.join(out, relative if not relative.startswith("..") else "outside" + path)
    return result


def keep(config: Configuration, path: str) -> None:
    """The old text, beside the file; hidden where an include's pattern (sites-enabled/*) would take it."""
    folder, name = os.path.split(os.path.realpath(path))
    for beside in (f"{name}.before-slab-cache", f".{name}.before-slab-cache"):
        old = pathlib.Path(folder, beside)
        old.write_bytes(config.files[path].text.encode("latin-1"))
        if str(old) not in map(os.path.realpath, Configuration(config.path).files):
            return
        old.unlink()


def write(config: Configuration, texts: Dict[str, str], out: Optional[str]) -> None:
    for path, target in targets(config, out).items():
        data = texts[path].encode("latin-1")
        if out is None and texts[path] == config.files[path].text:
            continue
        if out is None:
            keep(config, path)
        pathlib.Path(target).parent.mkdir(parents=True, exist_ok=True)
        pathlib.Path(target).write_bytes(data)


def nginx_says(nginx: str, path: str, prefix: str) -> str:
    """What nginx -t complains of; empty: nothing."""
    try:
        p = subprocess.run([nginx, "-t", "-q", "-p", prefix, "-c", path, "-e", "stderr"], stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, errors="replace", check=False)
    except OSError as e:
        return f"{nginx}: {e.strerror}"
    return "" if p.returncode == 0 else p.stderr.strip()


def check(config: Configuration) -> int:
    found = leaks(config)
    for n in found:
        print(f"{n.place}: {n.text}")
    return 1 if found else 0


def migrate(options: argparse.Namespace) -> int:
    if options.vcl:
        try:
            text = pathlib.Path(options.vcl).read_text(errors="replace")
        except OSError as e:
            raise ConfigError(f"{options.vcl}: {e.strerror}") from e
        sys.stdout.write(vcl.report(options.vcl, text))
        return 0
    config = Configuration(options.configuration)
    if options.check:
        return check(config)
    module = options.module or "modules/ngx_http_slab_cache_module.so"
    features = probe(options.nginx, module)
    rewrite = Rewrite(config, Options(options.modern, module, options.size, features))
    texts = rewrite.texts()
    for path, text in texts.items():
        sys.stdout.write(diff_of(path, config.files[path].text, text))
    notes = rewrite.notes.list + leaks(Configuration(options.configuration, texts))
    sys.stdout.write(summary(rewrite, notes))
    if not rewrite.moving:
        found = rewrite.found or any("srcache" in n.text or "_pass is left" in n.text for n in notes)
        print("nothing written: " + ("nothing here moves" if found else "nothing here is cached"), file=sys.stderr)
        return 2
    questions = any(n.severity in ("leaks", "loses") for n in notes)
    if options.out or options.in_place:
        write(config, texts, options.out)
        main = targets(config, options.out)[config.path]
        if options.out:
            pathlib.Path(options.out, "migrate.md").write_text(summary(rewrite, notes))
        outside = [p for p, t in targets(config, options.out).items() if options.out and t.startswith(f"{options.out}/outside")]
        for path in outside:
            if texts[path] != config.files[path].text:
                print(f"{path} is outside {config.directory}: copy its new text from {options.out}/outside", file=sys.stderr)
                questions = True
        said = nginx_says(options.nginx, os.path.abspath(main), config.directory) if options.nginx else ""
        if said:
            print(f"nginx -t does not take it:\n{said}", file=sys.stderr)
            questions = True
    return 1 if questions else 0


def main() -> int:
    try:
        return migrate(arguments().parse_args())
    except ConfigError as e:
        print(re.sub(r"\s+", " ", str(e)) + "; nothing written", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
