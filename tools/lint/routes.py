#!/usr/bin/env python3
"""docs/openapi.json and README's table of calls have the rows of src/ngx/api/api_route.cpp: routes.py"""
import json
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
METHODS = ("get", "put", "post", "delete")


def rows():
    """(path, method, arguments or None) of each row; paths as the document has them."""
    table = re.search(r"kCalls\[\] = \{(.*?)\n\};", (TOP / "src/ngx/api/api_route.cpp").read_text(), re.S)[1]
    for path, methods, arguments in re.findall(r'\{"([^"]*)", ([^,]+), [^,]+, (nullptr|"[^"]*"),', table):
        for method in re.findall(r"NGX_HTTP_(\w+)", methods.replace("kRead", "NGX_HTTP_GET")):
            yield "/" + path, method.lower(), None if arguments == "nullptr" else {a.rstrip("*") for a in arguments.strip('"').split()}


def main():
    document = json.loads((TOP / "docs/openapi.json").read_text())
    readme = (TOP / "README.md").read_text()
    said = {(path, method): (item, item[method]) for path, item in document["paths"].items() for method in METHODS if method in item}
    known, bad = set(), []
    for path, method, arguments in rows():
        written = path.replace("{id}", "{zone}")
        known.add((written, method))
        if (written, method) not in said:
            bad.append(f"docs/openapi.json does not have {method} {written}")
            continue
        parameters = [p for part in said[written, method] for p in part.get("parameters", [])]
        parameters = [document["components"]["parameters"][p["$ref"].rpartition("/")[2]] if "$ref" in p else p for p in parameters]
        named = {p["name"] for p in parameters if p["in"] == "query"}
        if arguments is not None and named != arguments:
            bad.append(f"docs/openapi.json: {method} {written} has the arguments {sorted(named)}, its row {sorted(arguments)}")
        if "{id}" not in path and not re.search(f"`{method.upper()} …{re.escape(path)}[?`]", readme):
            bad.append(f"README.md does not have {method.upper()} …{path}")
    bad += [f"docs/openapi.json has {method} {path}, which is no row" for path, method in sorted(said.keys() - known)]
    if len(known) < 10:
        bad.append("src/ngx/api/api_route.cpp: the rows are not where they were")
    print("\n".join(bad), end="\n" if bad else "")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
