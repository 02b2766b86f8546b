"""docs/features.md: a row for every directive and variable of nginx's caches, and every name of ours in it exists."""
import re

import pytest
from harness.nginx import NGINX, TOP

PAGE = (TOP / "docs/features.md").read_text()
OWN_DIRECTIVES = set(re.findall(r'ngx_string\("(slab_\w+)"\)', (TOP / "src/ngx/module/directive_table.cpp").read_text()))
OWN_DIRECTIVES |= {"slab_cache_" + field for field in re.findall(r"^SLAB_\w+\((\w+), ", (TOP / "src/ngx/conf/plain.def").read_text(), re.M)}
OWN_VARIABLES = set(re.findall(r'ngx_string\("(slab_\w+)"\)', (TOP / "src/ngx/request/variables.cpp").read_text()))
KINDS = ("proxy", "fastcgi", "uwsgi", "scgi")
VERDICTS = {"same", "better", "differs", "none"}


def rows(section):
    """The cells of each row of a section's table."""
    text = re.search(rf"\n## {re.escape(section)}\n(.*?)(?=\n## |\Z)", PAGE, re.S)[1]
    lines = [line for line in text.splitlines() if line.startswith("| ")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def in_binary(pattern):
    """Names that the nginx under test knows: strings of their own in its binary."""
    with open(NGINX, "rb") as f:
        return {m[1].decode() for m in re.finditer(rb"\0(?=(" + pattern.encode() + rb")\0)", f.read())}


def first_cells(section):
    return {name for row in rows(section) for name in re.findall(r"`([^`]+)`", row[0])}


def test_each_directive_of_the_caches_of_this_nginx_has_a_row():
    known = in_binary(r"(?:proxy|fastcgi|uwsgi|scgi|grpc|tunnel)_(?:cache(?:_\w+)?|no_cache|ignore_headers|force_ranges|store(?:_access)?)")
    assert {f"{k}_cache" for k in KINDS} <= known and len(known) > 50
    listed = {name.replace("X_", f"{k}_") for name in first_cells("Directives") for k in KINDS} | first_cells("Directives")
    assert sorted(known - listed) == []


def test_each_row_stands_for_something_that_nginx_has():
    known = in_binary(r"\w+")
    for name in first_cells("Directives") - {"X_cache_purge", "slice"}:
        assert any(name.replace("X_", f"{k}_") in known for k in KINDS), name


def test_each_parameter_of_the_path_of_this_nginx_has_a_row():
    known = {name[:-1] for name in in_binary(r"(?:levels|use_temp_path|keys_zone|inactive|max_size|min_free|\w+_(?:files|sleep|threshold)|purger)=")}
    assert {"keys_zone", "levels"} <= known
    assert sorted(known - first_cells("Parameters of `X_cache_path`")) == []


def test_each_variable_of_the_caches_of_this_nginx_has_a_row():
    known = in_binary(r"upstream_cache_\w+")
    assert "upstream_cache_status" in known
    assert sorted(f"${name}" for name in known) == sorted(set(f"${name}" for name in known) & first_cells("Variables"))


@pytest.mark.parametrize("section", ["Directives", "Parameters of `X_cache_path`", "Variables", "What nginx does with an answer"])
def test_each_row_has_a_verdict_and_where_it_is_not_the_same_says_why(section):
    for row in rows(section):
        assert len(row) == 4 and row[2] in VERDICTS, row
        assert row[2] == "same" or row[3].strip(), row


def test_each_name_of_ours_exists_and_each_of_ours_is_there():
    named = set(re.findall(r"(?<![\w$])(slab_\w+)", PAGE.replace("`slab_cache`,", "")))
    assert sorted(named - OWN_DIRECTIVES) == []
    assert sorted(OWN_DIRECTIVES - named) == []
    variables = set(re.findall(r"\$(slab_\w+)", PAGE))
    assert sorted(variables ^ OWN_VARIABLES) == []


def test_parameters_of_our_zone_exist():
    readme = re.search(r"\| `slab_cache_zone` \| `([^`]+)`", (TOP / "README.md").read_text())[1]
    for row in rows("Parameters of `X_cache_path`"):
        for name in re.findall(r"`(\w+=)`", row[1]):
            assert name in readme, row
