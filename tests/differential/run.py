"""One scenario: both sides started, the steps taken on each, the judge asked. Returns what it found."""
import json
import urllib.parse

from harness.wait import wait_until
from judge import Judge, canonical, stripped, url_of
from sides import Refused, Side


class Finding:
    def __init__(self, kind, step=None, request=None, got=None, plain=None):
        self.kind, self.step, self.request, self.got, self.plain = kind, step, request, got, plain

    def text(self):
        where = f" at step {self.step}" if self.step is not None else ""
        shown = f"\n  asked: {self.request}\n  with:    {self.got.show()}\n  without: {self.plain.show() if self.plain else '-'}" if self.got else ""
        return f"{self.kind[:400]}{where}{shown}"


class Run:
    """Of one scenario. After go(): findings, invalid (nginx itself refuses), refused (the module does, and says what is missing)."""

    def __init__(self, scenario, origins, root, dead, itself=False):
        self.scenario, self.origins, self.world = scenario, origins, origins.world
        self.names = {**origins.names(), "<root>": str(root), "<dead>": dead}
        self.findings, self.invalid, self.refused, self.requests = [], None, None, 0
        self.cached, self.plain = Side(not itself), Side(False)

    def go(self):
        try:
            if self.start():
                self.judge = Judge(self.world, self.plain.ask, self.scenario["http"])
                self.origins.begin(self.scenario["pages"])
                self.take_steps()
                # How it died says more than which answer broke off.
                self.findings = [Finding(kind) for kind in self.cached.finish()] + self.findings
        finally:
            self.cached.clean_up()
            self.plain.clean_up()
        return self

    def start(self):
        try:
            self.plain.start(self.scenario, self.names)
        except Refused as e:
            self.invalid = str(e)
            return False
        try:
            self.cached.start(self.scenario, self.names)
        except Refused as e:
            if "slab_cache_key" in str(e):
                self.refused = str(e)
            else:
                self.findings.append(Finding(f"refused: {e}"))
            return False
        return True

    def take_steps(self):
        for i, step in enumerate(self.scenario["steps"]):
            if "do" in step:
                self.change(step["do"])
            elif "burst" in step:
                self.burst(i, step["burst"])
            elif "purge" in step or "delete" in step:
                self.purge(i, step)
            elif "abort" in step:
                self.abort(step["abort"])
            else:
                self.ask(i, step["ask"])
            if any(f.kind == "hang" or f.kind.startswith("broken") for f in self.findings) or len(self.findings) > 30:
                return               # what comes after is only slow, or follows from it

    def change(self, what):
        asked = {}
        if what == "wait":
            wait_until(self.origins.are_idle, "the origins have answered all that they were asked")
            return
        for step in self.scenario["steps"]:
            for r in [step["ask"]] if "ask" in step else step.get("burst", []):
                asked[str(stripped(r))] = r
        self.judge.remember(asked.values())
        if what == "edit":
            self.world.edit()
        elif what in ("break", "close"):
            self.world.broken = what
        else:
            self.world.broken = None
        self.judge.next_epoch()

    def ask(self, i, request):
        began = self.world.serial
        got = self.cached.ask(request)
        plain = self.plain.ask(request)
        self.requests += 1
        self.note(i, request, got, plain, began)

    def burst(self, i, requests):
        began = self.world.serial
        for request, got in zip(requests, self.cached.burst(requests)):
            self.requests += 1
            self.note(i, request, got, self.plain.ask(request), began, burst=True)

    def purge(self, i, step):
        """By the module's API, of what clients see in their address line."""
        if "purge" in step:
            answer = self.cached.api("POST", "v1/zones/one/purge", json.dumps(step["purge"]))
        else:
            answer = self.cached.api("DELETE", "v1/zones/one/entry?url=" + urllib.parse.quote(step["delete"], safe=""))
        if self.cached.cached and (answer.fault or answer.status not in (200, 404)):
            self.findings.append(Finding(f"purge answered {answer.fault or answer.status}", i, step, answer))
        if answer.status != 200:
            return
        what = step.get("purge", {"urls": [step.get("delete")]})
        for s in self.scenario["steps"]:
            for r in [s["ask"]] if "ask" in s else s.get("burst", []):
                host, target = url_of(r)
                url = f"http://{host}{target}"
                path = "http://" + host + target.partition("?")[0]
                if what.get("all") or host in what.get("hosts", []) or url in what.get("urls", []) or \
                        any(path.startswith(p) and "/." not in path and "//" not in path[7:] for p in what.get("prefixes", [])):
                    self.judge.note_purge({**r, "method": "PURGE"})

    def abort(self, request):
        try:
            self.cached.abort(request)
        except OSError:
            pass
        self.judge.first_after_purge.discard(canonical(url_of(request)))
        if request["method"] not in ("GET", "HEAD"):
            self.judge.purged.pop(url_of(request), None)

    def note(self, i, request, got, plain, began, burst=False):
        kinds = self.judge.judge(request, got, plain, began, burst)
        self.findings += [Finding(k, i, request, got, plain) for k in kinds]
