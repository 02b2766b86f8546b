"""Rules as tables: a path of the origin for each case, and one nginx for the whole table."""
import time
from email.utils import formatdate

from .origin import Reply


def http_date(from_now=0, form="imf", zone="GMT"):
    """A date that many seconds from now, in one of HTTP's three formats."""
    t = time.time() + from_now
    imf = formatdate(t, usegmt=True)                        # Mon, 23 Nov 2026 08:49:37 GMT
    if form == "imf":
        return imf.replace("GMT", zone)
    fields = time.gmtime(t)
    if form == "rfc850":
        return time.strftime("%A, %d-%b-%y %H:%M:%S ", fields) + zone
    day = f"{fields.tm_mday:2d}"                            # asctime: Mon Nov  2 08:49:37 2026
    return time.strftime(f"%a %b {day} %H:%M:%S %Y", fields)


def second_answers(n, origin, cases, **kw):
    """What $slab_cache_status says of a second GET, for each case of {name: header lines of the origin}.

    `kw` goes to every Reply; a case may be a Reply itself."""
    seen = {}
    for i, (name, case) in enumerate(cases.items()):
        path = f"/case{i}"
        reply = case if isinstance(case, Reply) else Reply("body", headers=case, **kw)
        origin.sequence(path, reply)
        n.get(path)
        seen[name] = n.get(path).cache
    return seen


def hits(n, origin, cases, **kw):
    """The names of the cases whose second GET is a hit."""
    return {name for name, status in second_answers(n, origin, cases, **kw).items() if status == "HIT"}


def all_of(cases):
    return set(cases)
