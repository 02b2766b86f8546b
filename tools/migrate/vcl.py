"""What a Varnish configuration does, by idiom, and what says it here. Nothing is rewritten: VCL is a program."""
import re
from typing import Iterator, List, Tuple

# (what is looked for, what to write, what is different); an empty second: there is no counterpart.
IDIOMS: List[Tuple[str, str, str]] = [
    (r"std\.querysort|querysort\.", "slab_cache_key_args sort;", "the origin gets the sorted order too"),
    (r"regsub(all)?\(req\.url, *\"[^\"]*(utm_|gclid|fbclid)", "slab_cache_key_args drop=utm_*,gclid,fbclid;", "they do not reach the origin either"),
    (r"regsub(all)?\(req\.http\.host", "slab_cache_key $scheme $host $slab_cache_uri;", "$host has no port"),
    (r"unset req\.http\.cookie", 'proxy_set_header Cookie "";', "in the location of what needs none"),
    (r"regsuball\(req\.http\.cookie", "slab_cache_vary Cookie=NAME,NAME;", "names the cookies that count where the response says Vary: Cookie"),
    (r"cookie\.(keep|filter|get|parse)", "slab_cache_vary Cookie=NAME,NAME;", "names the cookies that count where the response says Vary: Cookie"),
    (r"hash_data\(", "slab_cache_key …;", "a field for each hash_data()"),
    (r"beresp\.ttl *=|set beresp\.ttl", "slab_cache_valid CODES TIME;", "for other URLs: a location of their own; or slab_cache_ttl min= max="),
    (r"beresp\.(grace|keep) *=", "slab_cache_stale while=TIME if_error=TIME;", "not against s-maxage and must-revalidate"),
    (r"std\.healthy|req\.grace", "slab_cache_stale while=10s if_error=6h;", "a failing origin is told from a healthy one by itself"),
    (r"beresp\.uncacheable *= *true|return *\((hit_for_pass|hit_for_miss)\)", "slab_no_cache …;", "what is uncacheable is remembered by itself, for 10 s"),
    (r"return *\(pass\)", "slab_cache_bypass …; slab_no_cache …;", "with the condition in a map"),
    (r"return *\(purge\)", "slab_cache_purge PURGE from ADDRESSES;", "addresses, not names"),
    (r"acl +\w+ *\{", "slab_cache_purge … from ADDRESSES;", "addresses, not names"),
    (r"\bban\(.*obj\.http\.(x-)?(cache-?tags?|xkey|x-magento-tags)", "slab_cache_tags $upstream_http_…;", "and a purge by tag"),
    (r"\bban\(.*(req\.url|obj\.http\.x-url)", "PURGE /path/*, or a pattern with *", "no regular expressions"),
    (r"\bban\(", "", "a ban on other fields has no counterpart: let the application name tags"),
    (r"xkey\.(purge|softpurge)", "slab_cache_purge PURGE from ADDRESSES;", "xkey-purge and xkey-softpurge are understood"),
    (r"do_esi", "", "ESI has no counterpart; nginx has SSI"),
    (r"do_gzip|do_gunzip", "gzip on;", "compresses each hit, or Vary: Accept-Encoding keeps two variants"),
    (r"do_stream", "", "not needed: it streams by itself"),
    (r"directors\.|\bprobe\b", "upstream { server …; }", "least_conn, hash, backup, max_fails; no active probes"),
    (r"\.max_connections", "server … max_conns=N;", ""),
    (r"return *\((retry|restart)\)", "proxy_next_upstream …;", "or slab_cache_bypass, which refreshes"),
    (r"req\.hash_always_miss", "slab_cache_bypass …;", "refreshes what is stored"),
    (r"return *\(pipe\)|req\.http\.upgrade", "", "not needed: WebSockets pass by themselves"),
    (r"return *\(synth|synthetic", "return CODE TEXT;", ""),
    (r"(unset|set) resp\.http\.", "add_header …, more_clear_headers …;", "add_header adds a line, headers-more replaces one"),
    (r"beresp\.http\.set-cookie", "slab_cache_set_cookie strip;", "only where no visitor needs the cookie"),
    (r"regsub(all)?\(beresp\.http\.location", "proxy_redirect …;", ""),
    (r"req\.http\.x-forwarded-for", "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;", ""),
    (r"std\.log|std\.syslog", "log_format …;", ""),
]


def without_comments(text: str) -> str:
    """The same text with blanks for comments, so that lines keep their numbers; strings stay."""
    pattern = r'"(?:[^"\n])*"|\{"(?:.|\n)*?"\}|//[^\n]*|#[^\n]*|/\*(?:.|\n)*?\*/'
    return re.sub(pattern, lambda m: m[0] if m[0][0] in '"{' else re.sub(r"[^\n]", " ", m[0]), text)


def recognised(text: str) -> Iterator[Tuple[int, str, str, str]]:
    """(line, what stands there, what to write, what is different), in the order of the lines."""
    for number, line in enumerate(without_comments(text).splitlines(), 1):
        found = [(pattern, write, note) for pattern, write, note in IDIOMS if re.search(pattern, line, re.I)]
        if any(write != "" for _, write, _ in found):
            found = [f for f in found if f[1] or not f[0].startswith(r"\bban")]
        for _, write, note in found:
            yield number, line.strip(), write, note


def report(path: str, text: str) -> str:
    rows = list(recognised(text))
    out = [f"# {path}: what it does, and what says it to slab_cache", ""]
    for number, line, write, note in rows:
        out.append(f"- {path}:{number}: `{line}` -> " + (f"`{write}`" if write else "no counterpart") + (f" ({note})" if note else ""))
    if not rows:
        out.append("nothing that is known here")
    if not re.search(r"beresp\.ttl", text):
        out += ["", "Varnish keeps what names no lifetime for 120 s: `slab_cache_valid 200 203 300 301 302 304 307 404 410 120s;`"]
    return "\n".join(out) + "\n"
