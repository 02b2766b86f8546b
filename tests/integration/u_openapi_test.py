"""docs/openapi.json is the API: a real nginx answers as it says. `make lint` compares its routes with src/ngx/api/api_route.cpp."""
import json
import re
import urllib.parse

import pytest
from harness.nginx import TOP

DOCUMENT = json.loads((TOP / "docs/openapi.json").read_text())
METHODS = ("get", "put", "post", "delete")
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "null": type(None)}


def resolve(what):
    while "$ref" in what:
        node = DOCUMENT
        for step in what["$ref"].lstrip("#/").split("/"):
            node = node[step]
        what = node
    return what


def mistakes(value, schema, where="$"):
    """Where a value is not what a schema says: types, required and unknown members, enumerations."""
    schema = resolve(schema)
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(isinstance(value, TYPES[t]) and not (t == "integer" and isinstance(value, bool)) for t in types):
        return [f"{where} is {value!r}, not {types}"]
    found = [f"{where} is not in {schema['enum']}"] if "enum" in schema and value not in schema["enum"] else []
    if isinstance(value, dict):
        known, more = schema.get("properties", {}), schema.get("additionalProperties", True)
        found += [f"{where}.{name} is missing" for name in schema.get("required", []) if name not in value]
        found += [f"{where}.{name} is unknown" for name in value if name not in known and more is False]
        for name, member in value.items():
            inner = known.get(name, more if isinstance(more, dict) else {})
            found += mistakes(member, inner, f"{where}.{name}")
    if isinstance(value, list):
        found += [m for i, item in enumerate(value) for m in mistakes(item, schema.get("items", {}), f"{where}[{i}]")]
    return found


def operations():
    return [(path, method, item[method]) for path, item in DOCUMENT["paths"].items() for method in METHODS if method in item]


def test_what_writes_can_be_signed_and_what_reads_need_not_be():
    for path, method, operation in operations():
        assert ("security" in operation) == (method != "get"), (path, method)
        assert {"403"} <= set(operation["responses"]), path


def test_references_lead_somewhere():
    for reference in re.findall(r'"(#/[^"]+)"', json.dumps(DOCUMENT)):
        resolve({"$ref": reference})


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    from harness.nginx import Nginx
    n = Nginx()
    try:
        n.start("""location / { slab_cache one; slab_cache_valid 1m; return 200 x; }
                   location /_cache/ { slab_cache_api write=on; allow 127.0.0.1; deny all; }
                   location /read/ { slab_cache_api; allow 127.0.0.1; deny all; }
                   location /closed/ { slab_cache_api write=on; deny all; }""")
        yield n
    finally:
        n.stop()
        n.clean_up(False)


def request_of(path, method, operation, leave_out=()):
    """Target, headers and body of an operation, from its examples."""
    item = DOCUMENT["paths"][path]
    query, headers = [], []
    for p in map(resolve, item.get("parameters", []) + operation.get("parameters", [])):
        if p["name"] in leave_out or "example" not in p:
            continue
        if p["in"] == "path":
            path = path.replace("{" + p["name"] + "}", urllib.parse.quote(str(p["example"]), safe=""))
        elif p["in"] == "query":
            query.append((p["name"], str(p["example"])))
    body = None
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        body = content["example"] if isinstance(content["example"], str) else json.dumps(content["example"])
        headers.append(f"Content-Type: {'text/html' if kind == '*/*' else kind}")
    return path + ("?" + urllib.parse.urlencode(query) if query else ""), headers, None if body is None else body.encode()


def check(answer, operation):
    assert str(answer.status) in operation["responses"], answer
    said = resolve(operation["responses"][str(answer.status)])["content"]
    kind = answer.header("Content-Type").partition(";")[0]
    assert kind in said, answer
    if kind.endswith("json"):
        assert not mistakes(json.loads(answer.body), said[kind]["schema"])


@pytest.mark.parametrize("path, method, operation", operations(), ids=lambda x: x if isinstance(x, str) else "")
def test_nginx_answers_as_it_says(api, path, method, operation):
    target, headers, body = request_of(path, method, operation)
    answer = api.request("/_cache" + target, method.upper(), headers=headers, body=body)
    assert answer.status in (200, 201)
    check(answer, operation)
    check(api.request("/closed" + target, method.upper(), headers=headers, body=body) if "content" not in
          resolve(operation["responses"]["403"]) else answer, operation)


@pytest.mark.parametrize("path, method, operation", operations(), ids=lambda x: x if isinstance(x, str) else "")
def test_errors_are_as_it_says(api, path, method, operation):
    target, headers, body = request_of(path, method, operation)
    if "{zone}" in path and not path.startswith(("/service", "/client")):
        check(api.request("/_cache" + target.replace("/one", "/nosuch"), method.upper(), headers=headers, body=body), operation)
    if method != "get":
        answer = api.request("/read" + target, method.upper(), headers=headers, body=body)
        assert answer.status == 403
        check(answer, operation)
    if operation.get("requestBody", {}).get("content", {}).get("application/json"):
        answer = api.request("/_cache" + target, method.upper(), headers=headers, body=b"nonsense")
        assert answer.status == 400
        check(answer, operation)
    required = [p["name"] for p in map(resolve, DOCUMENT["paths"][path].get("parameters", []) + operation.get("parameters", []))
                if p["in"] == "query" and p.get("required")]
    for name in required:
        target, headers, body = request_of(path, method, operation, leave_out=[name])
        answer = api.request("/_cache" + target, method.upper(), headers=headers, body=body)
        assert answer.status == 400, name
        check(answer, operation)


@pytest.mark.parametrize("path", DOCUMENT["paths"])
def test_methods_that_it_does_not_name_are_refused(api, path):
    item = DOCUMENT["paths"][path]
    named = [m for m in METHODS if m in item]
    target, headers, _ = request_of(path, named[0], item[named[0]])
    for method in set(METHODS) - set(named):
        answer = api.request("/_cache" + target, method.upper(), headers=headers, body=b"{}" if method != "get" else None)
        assert answer.status == 405 and set(answer.header("Allow").split(", ")) - {"HEAD"} == {m.upper() for m in named}


@pytest.mark.parametrize("path", ["/v2", "/v1", "/v1/zones/one/nosuch", "/metrics/x", "/service/one/nosuch"])
def test_other_paths_are_not_there(api, path):
    answer = api.get("/_cache" + path)
    assert answer.status == 404 and not mistakes(json.loads(answer.body), {"$ref": "#/components/schemas/Problem"})


def test_the_purge_request_s_fields_are_those_of_the_source():
    source = (TOP / "src/cache/purge_json.cpp").read_text()
    lists = set(re.findall(r'\{"(\w+)", select_\w+[,}]', source))
    others = set(re.findall(r'name == "(\w+)"', source))
    assert set(DOCUMENT["components"]["schemas"]["PurgeRequest"]["properties"]) == lists | others
