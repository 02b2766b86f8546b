"""One configuration, three ways: as people write it for nginx's own cache, without any cache, and with slab_cache.

The files in conf/ use proxy_cache, fastcgi_cache or uwsgi_cache as it stands in nginx. Who knows these knows ours: the same
directive under another prefix. Two marks say what is not the same:

    #slab: directive …;     in the third way only: what nginx has no word for (purging), or has to be told and we need not
    directive …; #nginx     in the second way only
"""
import re

from harness.nginx import MODULE

MODES = ("plain", "nginx", "slab")
CACHE_LINE = re.compile(r"\s*(?:proxy|fastcgi|uwsgi)_(?:cache\w*|no_cache|ignore_headers)\s")
PATH_LINE = re.compile(r"\s*(?:proxy|fastcgi|uwsgi)_cache_path\s.*keys_zone=([\w-]+):")
NAMES = {"cache": "slab_cache", "no_cache": "slab_no_cache", "ignore_headers": "slab_cache_ignore_headers"}
STATUS = {"plain": '"-"', "nginx": "$upstream_cache_status", "slab": "$slab_cache_status"}


def _slab_name(match):
    word = match[2]
    return match[1] + NAMES.get(word, "slab_" + word)


def _slab_line(line):
    if zone := PATH_LINE.match(line):
        return f"slab_cache_zone zone={zone[1]}:64m;"     # slices of 1m fit
    return re.sub(r"^(\s*)(?:proxy|fastcgi|uwsgi)_(cache\w*|no_cache|ignore_headers)(?=\s)", _slab_name, line)


def _is_known(line):
    """A directive that this module does not have yet is left out: what it is for then fails by itself, and only that."""
    words = re.findall(r"\bslab_cache\w*", line)
    return not words or words[-1].encode() in MODULE.read_bytes()


def translate(text, mode):
    """The text of a file of conf/ for one mode. A directive of the cache stands on a line of its own."""
    lines = []
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith("#slab:"):
            lines += [bare[len("#slab:"):]] if mode == "slab" and _is_known(bare) else []
        elif bare.endswith("#nginx"):
            lines += [line] if mode == "nginx" else []
        elif CACHE_LINE.match(line):
            lines += {"plain": [], "nginx": [line], "slab": [_slab_line(line)]}[mode]
        else:
            lines.append(line)
    return "\n".join(lines).replace("$upstream_cache_status", STATUS[mode])
