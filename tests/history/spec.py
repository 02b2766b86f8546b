"""What a cache in front of an origin promises, as rules over what happened.

Nothing here knows how the cache works. A history is a list of events; each has a start and an end by one monotonic clock, since
what lies between is only known to whoever did it. Versions of a key only rise, and who changes a key raises its version before he
tells the cache: so of two versions the higher is the newer.

    Read   an answer that somebody got: which version of which key, from where, made when, good for how long
    Purge  an answered purge: which keys, and the version each had by then
    Push   an answered push: key and version, and the purge (its end) after which its data was read, if it says so
    Stuck  a request without an answer for longer than anybody waits
"""
import bisect
import collections
from typing import NamedTuple, Optional

SLACK = 2.0     # seconds: ages are whole seconds, on either side


class Read(NamedTuple):
    start: float
    end: float
    key: int
    wanted: str         # the variant asked for
    variant: str        # the variant got
    version: int
    whole: bool         # each byte is what the origin or a push made of that version
    source: str         # who made it: the origin, or a push
    cache: str          # HIT, MISS …
    made: float         # when the origin made it, and for how many seconds it may be used
    life: float
    current: int        # the origin's version when the request was sent


class Purge(NamedTuple):
    start: float
    end: float
    versions: dict      # key: version
    soft: bool
    how: str


class Push(NamedTuple):
    start: float
    end: float
    key: int
    variant: str
    version: int
    fenced: Optional[float]     # when the purge was answered whose number it carries


class Stuck(NamedTuple):
    start: float
    end: float
    what: str


class Floors:
    """The highest version that was settled before a moment, for each of many things."""

    def __init__(self):
        self.settled = collections.defaultdict(list)

    def add(self, thing, end, version):
        self.settled[thing].append((end, version))

    def close(self):
        for thing, list_ in self.settled.items():
            list_.sort()
            high, out = 0, []
            for end, version in list_:
                high = max(high, version)
                out.append((end, high))
            self.settled[thing] = out
        return self

    def before(self, thing, moment):
        list_ = self.settled.get(thing, ())
        at = bisect.bisect_left(list_, (moment, 0))
        return list_[at - 1][1] if at else 0


def of(history, kind):
    return [e for e in history if isinstance(e, kind)]


def floors_of_purges(history, fresh_only):
    floors = Floors()
    for p in of(history, Purge):
        if not p.soft or fresh_only:
            for key, version in p.versions.items():
                floors.add(key, p.end, version)
    return floors.close()


# ---- the rules: each yields what breaks it -------------------------------------------------------------------------------
def every_answer_is_whole_and_of_what_was_asked_for(history):
    yield from (r for r in of(history, Read) if not r.whole or r.variant != r.wanted)


def nothing_is_older_than_its_last_hard_purge(history):
    floors = floors_of_purges(history, fresh_only=False)
    yield from (r for r in of(history, Read) if r.version < floors.before(r.key, r.start))


def nothing_is_fresh_that_is_older_than_its_last_soft_purge(history):
    floors = floors_of_purges(history, fresh_only=True)
    yield from (r for r in of(history, Read) if r.cache == "HIT" and r.version < floors.before(r.key, r.start))


def nothing_of_the_origin_is_older_than_what_was_pushed(history):
    """Of two pushes the later one counts, whatever it says; of a push and a fetch the one who asked later."""
    floors = Floors()
    for p in of(history, Push):
        floors.add((p.key, p.variant), p.end, p.version)
    floors.close()
    yield from (r for r in of(history, Read) if r.source == "origin"
                and r.version < floors.before((r.key, r.variant), r.start))


def no_push_passes_a_purge_that_came_after_its_fence(history):
    purges = collections.defaultdict(list)
    for p in of(history, Purge):
        for key in p.versions:
            purges[key].append((p.start, p.end))
    for push in of(history, Push):
        if push.fenced is not None and any(start > push.fenced and end < push.start for start, end in purges[push.key]):
            yield push


def a_miss_is_as_new_as_the_origin_was(history):
    yield from (r for r in of(history, Read) if r.cache == "MISS" and r.version < r.current)


def nothing_is_fresh_for_longer_than_it_was_given(history):
    yield from (r for r in of(history, Read) if r.cache == "HIT" and r.start > r.made + r.life + SLACK)


def everybody_is_answered(history):
    yield from of(history, Stuck)


RULES = (every_answer_is_whole_and_of_what_was_asked_for, nothing_is_older_than_its_last_hard_purge,
         nothing_is_fresh_that_is_older_than_its_last_soft_purge, nothing_of_the_origin_is_older_than_what_was_pushed,
         no_push_passes_a_purge_that_came_after_its_fence, a_miss_is_as_new_as_the_origin_was,
         nothing_is_fresh_for_longer_than_it_was_given, everybody_is_answered)


def judge(history):
    """{rule: what breaks it}, the rules that are broken only."""
    found = {rule.__name__: list(rule(history)) for rule in RULES}
    return {name: events for name, events in found.items() if events}
