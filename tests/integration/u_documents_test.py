"""Documents say what is true: each configuration in them is taken, each command does what stands beside it."""
import re

import pytest
from harness.documents import IN_HTTP, IN_SERVER, WHOLE, Machine, blocks, documents, top_level
from harness.nginx import TOP

CONFIGURATIONS = [b for d in documents() for b in blocks(d, ["nginx"])]
# Commands that are run by another test, which is named.
ELSEWHERE = {
    r"docker ": "u_docker_test.py",
    r"(sudo )?\./configure ": "tools/build-static.sh",
    r"make (run|test)\b": "u_make_test.py, .ci/run",
    r"python3 (tools/migrate|manage\.py) ": "u_migrate_test.py, tests/field/recipes_test.py",
}
# Documents whose blocks are run in their order.
RUN = ["docs/guide.md", "docs/operations.md", "docs/troubleshooting.md", "docs/security.md", "docs/migration.md", "README.md"]


@pytest.fixture
def machine(nginx):
    m = Machine(nginx)
    yield m
    m.close()


def framed(m, block):
    """The block as a whole configuration, with a zone and an application where it has none."""
    text, names = m.here(block.text), top_level(block.text)
    if names & WHOLE:
        assert names <= WHOLE, f"{block}: of more than one level: {names}"
        events = "\n" if "events" in names else "\nevents { }\n"
        text = re.sub(r"^http \{", f"http {{ access_log off; {m.temp}", re.sub(r"^load_module .*\n", "", text, flags=re.M), flags=re.M)
        return m.main.partition("events")[0] + text + events
    if not names & IN_HTTP and not names & IN_SERVER:
        text = f"location / {{\n{text}\n}}"
    if not names & IN_HTTP:
        text = f"server {{\n{text}\n}}"
    unknown = set(re.findall(r"\bslab_cache (\w+);", text)) - {"off"} if "slab_cache_zone" not in names else set()
    zone = "\n".join(f"slab_cache_zone zone={name}:64m;" for name in sorted(unknown))
    return re.sub(r"^\s*include .*\n", "", m.main, flags=re.M).replace("access_log off;", f"access_log off;\n{zone}\n{text}\n")


def test_there_are_documents_and_blocks():
    assert len(documents()) > 20 and len(CONFIGURATIONS) > 10
    assert {b.document for b in CONFIGURATIONS} >= {"README.md", "docs/guide.md", "docs/operations.md", "docs/security.md"}


@pytest.mark.parametrize("block", CONFIGURATIONS, ids=str)
def test_configurations_are_taken_without_a_warning(machine, block):
    machine.check(framed(machine, block))


def is_elsewhere(command):
    return any(re.match(pattern, command.strip()) for pattern in ELSEWHERE)


@pytest.mark.parametrize("document", RUN)
def test_commands_do_what_stands_beside_them(machine, document):
    if document != "docs/guide.md":
        site_of_the_guide(machine)
    for block in blocks(document):
        if block.kind != "sh" or not is_elsewhere(block.text):
            machine.run(block)


def site_of_the_guide(machine):
    for block in blocks("docs/guide.md", ["nginx"]):
        machine.write(block)
    machine.command("ln -s ../sites-available/site ../sites-available/app /etc/nginx/sites-enabled/")
    machine.reload()


def test_no_document_has_a_command_that_is_not_run():
    left = [f"{b}: {b.text}" for d in documents() if d not in RUN for b in blocks(d, ["sh", "console"])
            if not is_elsewhere(b.text)]
    assert left == []


def test_every_reason_has_a_remedy():
    words = re.findall(r'SLAB_REASON\(\w+,\s+"(\w+)"', (TOP / "src/http/reason.def").read_text())
    page = (TOP / "docs/troubleshooting.md").read_text()
    assert len(words) > 30 and [w for w in words if not re.search(rf"^\|[^|]*`{w}`[^|]*\|", page, re.M)] == []


def test_every_alert_has_a_remedy():
    alerts = re.findall(r"- alert: (\w+)", (TOP / "conf-examples/prometheus/slab_cache.rules.yml").read_text())
    page = (TOP / "docs/operations.md").read_text()
    assert alerts and [a for a in alerts if f"| `{a}` |" not in page] == []


def test_metrics_that_documents_name_are_there(cached):
    there = set(re.findall(r"^# TYPE (\w+)", cached().get("/_cache/metrics").text, re.M))
    metric = r"`(slab_cache_\w+_(?:total|seconds|bytes|entries|slots|info))\b"
    named = {(d, name) for d in documents() for name in re.findall(metric, (TOP / d).read_text())}
    assert len(named) > 10 and {x for x in named if x[1] not in there} == set()
