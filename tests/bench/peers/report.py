"""The figures as a table, as JSON, as a drawing, and as the block of docs/comparison.md."""
import html
import json

BEGIN, END = "<!-- figures: make bench-peers ARGS=document -->", "<!-- end of figures -->"
FILES = ("about", "hits", "misses", "waiting", "memory", "purges")
NOTHING = "-"


def save(directory, figures):
    directory.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (directory / f"{name}.json").write_text(json.dumps(figures[name], indent=1) + "\n")


def load(directory):
    return {name: json.loads((directory / f"{name}.json").read_text()) for name in FILES}


def _number(x, digits=1):
    return NOTHING if x is None else f"{x:,.{digits}f}"


def rows(figures):
    """A list of words for each server, dearest last; the first row names the columns."""
    sizes = list(figures["hits"])
    middle = "4 KB"
    out = [["", *(f"hit, {s}" for s in sizes), "hits/s, 4 KB", "miss, 4 KB", "asked", "spread, ms", "purge, µs", "B/object"]]
    for name in sorted(figures["hits"][middle], key=lambda n: figures["hits"][middle][n]["us"]):
        row = [name]
        for size in sizes:
            f = figures["hits"][size][name]
            row.append(f"{f['us']:.1f} ({f['ratio']:.2f})")
        row.append(_number(figures["hits"][middle][name]["rate"], 0))
        miss, waits = figures["misses"].get(name), figures["waiting"].get(name)
        row.append(f"{miss['us']:.1f} ({miss['ratio']:.2f})" if miss else NOTHING)
        row += [_number(waits["asked"], 0), _number(waits["spread_ms"])] if waits else [NOTHING, NOTHING]
        purge, memory = figures["purges"].get(name), figures["memory"].get(name)
        lost = f" ({purge['lost']} of {purge['of']} lost)" if purge and purge["lost"] else ""
        row += [_number(purge and purge["us"], 0) + lost, _number(memory and memory["bytes"], 0)]
        out.append(row)
    return out


def table(figures):
    lines = rows(figures)
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(f"{line[0]:{widths[0]}}" + "".join(f"  {cell:>{w}}" for cell, w in zip(line[1:], widths[1:])) for line in lines)


# ---- docs/comparison.md ---------------------------------------------------------------------------------------------
def block(figures):
    """What stands between the marks."""
    about, lines = figures["about"], rows(figures)
    head = ["server", *lines[0][1:]]
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    out = [f"Measured on {about['date']}.", f"Machine: {about['machine']}.", f"Versions: {versions}.",
           f"Medians of {about['rounds']} interleaved rounds of {about['seconds']} s, 64 connections.", "",
           "| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    out += ["| " + " | ".join(f"**{c}**" if line[0] == "slab_cache" and i == 0 else c for i, c in enumerate(line)) + " |" for line in lines[1:]]
    return "\n".join(out)


def put_into(page, figures):
    """The page with the figures between its marks."""
    before, found, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    assert found and ended, f"the page lacks {BEGIN} … {END}"
    return f"{before}{BEGIN}\n\n{block(figures)}\n\n{END}{after}"


# ---- a drawing ------------------------------------------------------------------------------------------------------
STYLE = """text{font:13px system-ui,sans-serif;fill:#222}.small{font-size:11px;fill:#555}.ours{font-weight:600}
.a{fill:#9db8d9}.b{fill:#4a7ebb}.c{fill:#1f4e86}.o.a{fill:#f2b98a}.o.b{fill:#dd7a2c}.o.c{fill:#a24c0c}.page{fill:#fff}.grid{stroke:#ddd}
@media(prefers-color-scheme:dark){text{fill:#ddd}.small{fill:#aaa}.page{fill:#161616}.grid{stroke:#333}}"""
LEFT, WIDTH, BAR, GAP, TOP = 210, 560, 12, 16, 64


def nice_step(most):
    """Of the lines of a grid: at most eight of them."""
    return next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000, 10**9) if most / step <= 8)


def drawing(figures):
    """Hits of all servers, by size: CPU µs a request."""
    sizes = list(figures["hits"])
    names = sorted(figures["hits"]["4 KB"], key=lambda n: figures["hits"]["4 KB"][n]["us"])
    most = max(f["us"] for by_name in figures["hits"].values() for f in by_name.values())
    step, scale = nice_step(most), WIDTH / most
    row = BAR * len(sizes) + GAP
    height = TOP + row * len(names) + 34
    about = figures["about"]
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 120} {height}" role="img">',
           f"<title>CPU for a hit, of {len(names)} servers</title><style>{STYLE}</style>",
           f'<rect class="page" width="{LEFT + WIDTH + 120}" height="{height}"/>',
           '<text x="12" y="24" font-weight="600">CPU for a hit, µs; in brackets, of 4 KB, the ratio to `return 200`</text>',
           f'<text class="small" x="12" y="44">{html.escape(about["date"] + ", " + about["machine"])}</text>']
    for i in range(int(most / step) + 1):
        x = LEFT + i * step * scale
        out.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{height - 30}"/>'
                   f'<text class="small" x="{x:.1f}" y="{height - 14}" text-anchor="middle">{i * step}</text>')
    for r, name in enumerate(names):
        out += _bars(figures, name, sizes, TOP + r * row, scale)
    out.append("</svg>")
    return "\n".join(out) + "\n"


def _bars(figures, name, sizes, y, scale):
    ours = name == "slab_cache"
    weight = ' class="ours"' if ours else ""
    out = [f'<text x="{LEFT - 10}" y="{y + BAR * len(sizes) / 2 + 4:.0f}" text-anchor="end"{weight}>{html.escape(name)}</text>']
    for i, size in enumerate(sizes):
        f = figures["hits"][size][name]
        label = f"{size}: {f['us']:.1f}" + (f" ({f['ratio']:.2f})" if size == "4 KB" else "")
        top = y + i * BAR
        out.append(f'<rect class="{"o " if ours else ""}{"abc"[i]}" x="{LEFT}" y="{top}" width="{f["us"] * scale:.1f}" height="{BAR - 2}"/>'
                   f'<text class="small" x="{LEFT + f["us"] * scale + 6:.1f}" y="{top + 9}">{label}</text>')
    return out

