"""Twenty configurations as people write them, each walked through four times: plain nginx, nginx's own cache, slab_cache, and what
tools/migrate makes of the second."""
import dataclasses
import importlib
import pathlib

import pytest
from differences import DIFFERENCES, MIGRATED
from servers import Servers
from site_walk import Site, repeated
from steps import faults, field_faults
from translate import MODES

NAMES = sorted(p.stem for p in (pathlib.Path(__file__).parent / "frameworks").glob("[a-z]*.py"))


@dataclasses.dataclass
class Walk:
    framework: object
    answers: dict                  # mode -> list of Answer
    complaints: dict               # mode -> list

    def steps(self, last="slab"):
        """(step, plain, nginx, slab) for each that was taken with slab_cache; a crowd is a step for each."""
        for step, *answers in zip(self.framework.steps, *(self.answers[m] for m in ("plain", "nginx", last)), strict=True):
            if answers[2] is None:
                continue
            if not step.crowd:
                yield step, *answers
            for i, each in enumerate(zip(*(a.crowd for a in answers), strict=True) if step.crowd else ()):
                yield dataclasses.replace(step, name=f"{step.name}, number {i}"), *each


@pytest.fixture(scope="session")
def servers():
    s = Servers()
    yield s
    s.stop()


@pytest.fixture(scope="module", params=NAMES)
def walk(request, servers):
    framework = importlib.import_module(f"frameworks.{request.param}").FRAMEWORK
    if framework.server and (program := servers.missing(framework.server)):
        pytest.skip(f"no {program}: tools/deps.sh test")
    answers, complaints = {}, {}
    for mode in (*MODES, "migrated"):
        site = Site(framework, mode, servers)
        try:
            answers[mode] = site.walk()
        except AssertionError as e:
            site.clean_up()
            pytest.fail(f"{mode}: {e}", pytrace=False)
        complaints[mode] = site.complaints
        if site.complaints:
            print(f"--- {mode}: {site.nginx.prefix}\n{site.nginx.error_log()[-4000:]}\n{servers.logs()}")
        site.clean_up(keep=bool(site.complaints))
    return Walk(framework, answers, complaints)


def failing(lines):
    if lines:
        pytest.fail(f"{len(lines)} wrong:\n" + "\n".join(lines), pytrace=False)


def test_steps_have_names_of_their_own(walk):
    assert not repeated(s.name for s in walk.framework.steps)


def test_nginx_lives_through_it_and_ends(walk):
    failing([f"{mode}: {c}" for mode, complaints in walk.complaints.items() for c in complaints])


def test_the_scene_is_sound(walk):
    """With nginx's own cache too, everybody gets his own: else it is no measure."""
    failing([f"{step.name}: {f}" for step, plain, nginx, _ in walk.steps() if not step.only and not step.nginx_errs
             for f in ([plain.failure] if plain.failure else []) + faults(dataclasses.replace(step, fresh=False), plain, nginx)])


def test_everybody_gets_what_nginx_alone_would_give(walk):
    failing([f"{step.name}: {f}" for step, plain, _, slab in walk.steps() for f in faults(step, plain, slab)])


def test_fields_are_those_of_nginx_with_or_without_its_cache(walk):
    failing([f"{step.name}: {f}" for step, plain, nginx, slab in walk.steps() if step.only is None
             for f in field_faults(plain, nginx, slab)])


def test_the_cache_does_what_nginx_s_does_or_the_difference_is_listed(walk):
    wrong = []
    for step, plain, nginx, slab in walk.steps():
        if step.only or step.crowd:
            continue
        theirs, ours = nginx.outcome(plain), slab.outcome(plain)
        row = DIFFERENCES.get((walk.framework.name, step.name))
        if row is None and theirs != ours:
            wrong.append(f"    {step.name}: {theirs} -> {ours} ({slab.reason}): not listed")
        elif row is not None and row[:2] != (theirs, ours):
            wrong.append(f"    {step.name}: {theirs} -> {ours} ({slab.reason}): listed as {row[0]} -> {row[1]}")
    failing(wrong)


def test_a_migrated_configuration_gives_what_nginx_alone_would(walk):
    """Where nginx's own cache errs, what was made of it may: the key is the same."""
    failing([f"{step.name}: {f}" for step, plain, nginx, migrated in walk.steps("migrated")
             if not (step.nginx_errs and migrated.outcome(plain) == nginx.outcome(plain)) for f in faults(step, plain, migrated)])


def test_a_migrated_configuration_asks_the_origins_what_they_were_asked_or_the_difference_is_listed(walk):
    wrong = []
    for step, plain, nginx, migrated in walk.steps("migrated"):
        before, after = nginx.outcome(plain), migrated.outcome(plain)
        row = MIGRATED.get((walk.framework.name, step.name), (before, before))
        if not step.crowd and row[:2] != (before, after):
            wrong.append(f"    {step.name}: {before} -> {after}: {'listed as ' + ' -> '.join(row[:2]) if row[0] != row[1] else 'not listed'}")
    failing(wrong)


def test_every_listed_difference_has_its_step(walk):
    names = {s.name for s in walk.framework.steps}
    failing([f"{f}: {name}" for f, name in [*DIFFERENCES, *MIGRATED] if f == walk.framework.name and name not in names])


def test_the_list_names_frameworks_that_are_there():
    assert {f for f, _ in [*DIFFERENCES, *MIGRATED]} <= set(NAMES)
