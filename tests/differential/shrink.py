"""Makes a failing scenario small: drops steps, servers, locations, directives, page properties, header lines while it still fails the same way."""
import copy
import re
import time

from conf import at, unwrapped, walk, without


def kind_of(text):
    """What a finding is called, without what is particular to one run."""
    text = re.sub(r"logged: .*(exited on signal \d+).*", r"logged: \1", text.split("\n")[0])
    if text.startswith("logged: "):
        return re.sub(r"[*#]?\b\d+\b", "N", text)[:70]
    if text.startswith("status"):
        return text
    return re.split(r": ", text)[0][:80]


def keeps_sessions_apart(tree, path):
    """Without what says so, X-Sess makes pages that nobody keeps apart, and a finding that is none."""
    siblings = at(tree, path[:-1])[1] if len(path) > 1 else tree
    return at(tree, path)[0].startswith("slab_") and any(n[0].startswith("proxy_set_header X-Sess") for n in siblings)


class Shrinker:
    """fails(scenario) -> the kinds it is found guilty of."""

    def __init__(self, fails, kind, seconds):
        self.fails, self.kind, self.end = fails, kind, time.monotonic() + seconds
        self.tries = 0

    def still(self, scenario):
        if time.monotonic() > self.end:
            return False
        self.tries += 1
        return self.kind in self.fails(scenario)

    def shrink(self, scenario, step):
        """step: where it was found, if that is known."""
        scenario = copy.deepcopy(scenario)
        cut = {**scenario, "steps": scenario["steps"][:(step if step is not None else len(scenario["steps"])) + 1]}
        scenario = self.steps(cut if self.still(cut) else scenario)
        before = None
        while before != scenario and time.monotonic() < self.end:
            before = copy.deepcopy(scenario)
            scenario = self.steps(self.requests(self.pages(self.config(scenario))))
        return scenario

    # ---- steps ------------------------------------------------------------------------------------------------------
    def steps(self, s):
        size = max(len(s["steps"]) // 2, 1)
        while True:
            i = 0
            while i < len(s["steps"]):
                smaller = {**s, "steps": s["steps"][:i] + s["steps"][i + size:]}
                if smaller["steps"] and self.still(smaller):
                    s = smaller
                else:
                    i += size
            if size == 1:
                return s
            size //= 2

    def requests(self, s):
        for i, step in enumerate(s["steps"]):
            s = self.one_step(s, i, step)
        return s

    def one_step(self, s, i, step):
        if len(step.get("burst", [])) > 2:
            s = self.take(s, i, {"burst": step["burst"][:2]})
        for r in [s["steps"][i].get("ask")]:
            if r is None:
                continue
            for change in [{"headers": []}, {"keep": None}, {"host": "a.test"}, {"method": "GET", "body": None}] + \
                          [{"headers": [h for h in r["headers"] if h is not gone]} for gone in r["headers"]]:
                now = s["steps"][i]["ask"]
                smaller = {k: v for k, v in {**now, **change}.items() if v is not None}
                if smaller != now:
                    s = self.take(s, i, {"ask": smaller})
        return s

    def take(self, s, i, step):
        smaller = {**s, "steps": s["steps"][:i] + [step] + s["steps"][i + 1:]}
        return smaller if self.still(smaller) else s

    # ---- the configuration ------------------------------------------------------------------------------------------
    def config(self, s):
        i = 0
        while i < len(paths := list(walk(s["http"]))):
            path = paths[i]
            smaller = {**s, "http": without(s["http"], path)}
            if keeps_sessions_apart(s["http"], path):
                i += 1
                continue
            if not at(s["http"], path)[0].startswith(("listen", "add_header X-", "proxy_pass_header")) and self.still(smaller):
                s = smaller
                continue
            text, children = at(s["http"], path)
            if children and text.startswith(("if", "limit_except")):
                smaller = {**s, "http": unwrapped(s["http"], path)}
                if self.still(smaller):
                    s = smaller
                    continue
            i += 1
            if time.monotonic() > self.end:
                break
        smaller = {**s, "workers": 1}
        return smaller if s["workers"] != 1 and self.still(smaller) else s

    # ---- pages ------------------------------------------------------------------------------------------------------
    def pages(self, s):
        for number in list(s["pages"]):
            smaller = {**s, "pages": {k: v for k, v in s["pages"].items() if k != number}}
            if smaller["pages"] and self.still(smaller):
                s = smaller
                continue
            for key in list(s["pages"][number]):
                row = {k: v for k, v in s["pages"][number].items() if k != key}
                smaller = {**s, "pages": {**s["pages"], number: row}}
                if not (key == "pause" and "split" in row) and self.still(smaller):
                    s = smaller
        return s
