#!/usr/bin/env python3
"""pages.py [--write]: the tables of README.md and docs/performance.md between <!-- results of TABLE --> and <!-- end --> are those that
benchmarks/results give; --write puts them there. TABLE is speed or headline, of all machines, or the name of a folder in results and a function below.
"""
import re
import sys
from pathlib import Path

import results

root = Path(__file__).resolve().parent.parent
PAGES = [root / "README.md", root / "docs/performance.md"]
MARKED = re.compile(r"(<!-- results of (.+?) -->)(.*?)(<!-- end -->)", re.S)
MAIN = ["float_x_float", "float_x_int8", "uint8_x_int8_to_int32", "float_x_int4_g32", "float_x_int4_g128", "float_x_q4_K"]
ANCHORS = [("m:1/n:4096/k:4096", True), ("m:16/n:4096/k:4096", True), ("m:1024/n:1024/k:1024", False)]
MODELS = [("Llama 3 8B, one token", ["m:1/n:4096/k:4096", "m:1/n:14336/k:4096", "m:1/n:4096/k:14336"]),
          ("Llama 3 8B, 512 tokens", ["m:512/n:4096/k:4096"]),
          ("Llama 3.2 1B, one token", ["m:1/n:2048/k:2048", "m:1/n:8192/k:2048"]), ("Llama 3.2 1B, 512 tokens", ["m:512/n:2048/k:2048"]),
          ("Qwen3 30B-A3B, an expert, one token", ["m:1/n:768/k:2048"]), ("the same, 32 tokens", ["m:32/n:768/k:2048"]),
          ("BERT base, 384 tokens", ["m:384/n:768/k:768", "m:384/n:3072/k:768"]),
          ("no round sizes", ["m:3/n:1023/k:1023", "m:7/n:1021/k:1019", "m:127/n:1021/k:1019"]),
          ("their round neighbours", ["m:4/n:1024/k:1024", "m:8/n:1024/k:1024", "m:128/n:1024/k:1024"])]


def words_of(what):
    """uint8 x int8 to int32; float x int4, groups of 32"""
    words = what.replace("_x_", " x ").replace("_to_", " to ").replace("_g32", ", groups of 32").replace("_g128", ", groups of 128")
    return words.replace("_reduced", ", 7 bits")


def size_of(shape, memory=False):
    return " x ".join(part.split(":")[1] for part in shape.split("/")) + (" *" if memory else "")


def find(run, what, shape, threads=1, who=None, memory=None):
    """nibble's row on the newest backend that has it."""
    for name in [who] if who else run.backends():
        for row in run.rows.values():
            if (row.what, row.shape, row.threads, row.who) == (what, shape, threads, name) and row.times and memory in (None, row.memory):
                return row
    return None


def cell(run, row, with_name=True):
    """478 (2.07 of ggml); ~ where it is marked"""
    if row is None:
        return ""
    peer = run.fastest_peer(row)
    ratio = f" ({peer.time / row.time:.2f}" + (f" of {results.PEERS.get(peer.peer, peer.peer)})" if with_name else ")") if peer else ""
    return results.number(results.speed(row)) + ("~" if row.marks else "") + ratio


def name_of(run):
    return run.context.get("short_name") or run.context.get("microarchitecture", "").split(",")[0]


def speed(runs):
    """Four products on every machine, the latest first."""
    shapes = [ANCHORS[2], ANCHORS[1]]
    kinds = ["float_x_int8", "uint8_x_int8_to_int32", "float_x_int4_g32", "float_x_float"]
    columns = [[f"{name_of(run)}, {size_of(*shape)}"] + [cell(run, find(run, what, shape[0], memory=shape[1])) for what in kinds]
               for run in runs.values() for shape in shapes]
    columns = [[""] + [words_of(what) for what in kinds]] + [column for column in columns if any(column[1:])]
    head, *lines = zip(*columns)
    return results.table(list(head), [list(line) for line in lines])


def headline(runs):
    """The README's first claim, of the latest machine that has it."""
    one, sixteen = "m:1/n:4096/k:4096", "m:16/n:4096/k:4096"
    for run in runs.values():
        plain, row, rows = (find(run, what, shape, memory=True) for what, shape in (
            ("float_x_float", one), ("float_x_int4_g32", one), ("float_x_int4_g32", sixteen)))
        if plain and row and rows and run.fastest_peer(rows):
            return (f"- **Fast.** With 4-bit weights, one row times a 4096 x 4096 layer runs {plain.time / row.time:.1f} times as fast as with "
                    f"floats.\n  16 rows run {run.fastest_peer(rows).time / rows.time:.1f} times as fast as in the fastest other library "
                    f"(one thread of a {name_of(run)};\n  [all figures](#how-fast)).\n")
    return ""


def machine(run):
    c = run.context
    busy = run.busy() or ("No other process was busy." if "busy_cpus" in c else "")
    return (f"{c.get('cpu', '')} ({c.get('microarchitecture', '')}), {c.get('cores', '')} CPUs, last-level cache {c.get('cache_L3', '')}, "
            f"{c.get('compiler', '')}, {c.get('flags', '')}, nibble at commit "
            f"{c.get('commit', '')}, {c.get('date', '')[:10]}. {busy} {c.get('note', '')}").rstrip() + "\n"


def products(run, count=1):
    kinds = [what for what in results.PRODUCTS if any(find(run, what, shape, count) for shape, _ in ANCHORS)]
    return results.table([f"GOP/s, {count} thread{'s' if count > 1 else ''}"] + [size_of(*shape) for shape in ANCHORS],
                         [[words_of(what)] + [cell(run, find(run, what, shape, count, memory=memory)) for shape, memory in ANCHORS]
                          for what in kinds])


def threads(run):
    most = max(row.threads for row in run.rows.values())
    return products(run, most) if most > 1 else ""


def models(run):
    lines = []
    for name, shapes in MODELS:
        for shape in shapes:
            rows = [find(run, what, shape) for what in MAIN]
            if any(rows):
                memory = next(row for row in rows if row).memory
                lines.append([f"{name}: {size_of(shape, memory)}"] + [cell(run, row, False) for row in rows])
    return results.table(["GOP/s, 1 thread (ratio)"] + [words_of(what) for what in MAIN], lines) if lines else ""


def backends(run):
    names = [name for name in run.backends("gemm")]
    lines = [[f"{words_of(what)}, {size_of(shape, memory)}"] + [cell(run, find(run, what, shape, 1, name, memory), False) for name in names]
             for what in MAIN for shape, memory in ANCHORS]
    return results.table(["GOP/s, 1 thread (ratio)"] + names, [line for line in lines if any(line[1:])])


def convolutions(run):
    names = run.backends("conv")
    rows = list(dict.fromkeys((row.what, row.shape) for row in run.rows.values() if row.family == "conv" and row.get("ops")))
    return results.table(["GOP/s (ratio)"] + names, [
        [("depthwise " if what.startswith("depthwise") else "") + find(run, what, shape).size + (", 16x8" if what.endswith("16x8") else "")]
        + [cell(run, find(run, what, shape, 1, name), False) for name in names] for what, shape in rows])


def arrays(run):
    out = []
    for family in ("quantize", "convert", "blocks"):
        names = run.backends(family)
        copy = next((row for row in run.rows.values() if row.family == family and row.who == "limit:memcpy"), None)
        if not names or copy is None:
            continue
        whats = list(dict.fromkeys(row.what for row in run.rows.values() if row.family == family and not row.limit))
        out.append(results.table([f"{family}: part of memcpy, {results.number(results.speed(copy))} GB/s"] + names, [
            [what.replace("_", " ")] + [results.number(copy.time / row.time) + ("~" if row.marks else "") if (row := next(
                (r for r in run.rows.values() if r.family == family and (r.what, r.who) == (what, name) and r.times), None)) else ""
                for name in names] for what in whats]))
    return "\n".join(out)


def marks(run):
    """Peers that are left out of ratios, and why."""
    lines = {}
    for row in run.rows.values():
        if row.peer:
            for mark in ([row.wrong] if row.wrong else []) + [m for m in row.marks if not m.startswith("noisy")]:
                mark = "wrong sums" if mark.startswith("WRONG") else mark
                lines.setdefault((row.peer_name, mark), []).append(f"{words_of(row.what)}, {row.size}")
    noisy = sum(any(m.startswith("noisy") for m in row.marks) for row in run.rows.values())
    return "".join(f"- {peer}: {mark}: {'; '.join(cases[:4])}{f' and {len(cases) - 4} more' if len(cases) > 4 else ''}\n"
                   for (peer, mark), cases in lines.items()) + f"- {noisy} of {len(run.rows)} rows are noisy\n"


def made():
    """Every table by its name."""
    runs = [results.load(path) for path in (root / "benchmarks/results").glob("*/result.json")]
    runs = {run.path.parent.name: run for run in sorted(runs, key=lambda run: (run.context["date"], str(run.path)), reverse=True)}
    tables = {"speed": speed(runs), "headline": headline(runs)}
    for name, run in runs.items():
        for function in (machine, products, threads, models, backends, convolutions, arrays, marks):
            tables[f"{name} {function.__name__}"] = function(run)
    return tables


def filled(text, tables):
    def fill(match):
        begin, name, _, end = match.groups()
        if name not in tables:
            sys.exit(f"there is no table '{name}'; there are {', '.join(tables)}")
        return f"{begin}\n\n{tables[name].strip()}\n\n{end}"
    return MARKED.sub(fill, text)


def stale(pages=None, tables=None):
    """The pages whose tables are not those of the results."""
    tables = made() if tables is None else tables
    return [str(page) for page in pages or PAGES if filled(page.read_text(encoding="utf-8"), tables) != page.read_text(encoding="utf-8")]


def write(pages=None, tables=None):
    tables = made() if tables is None else tables
    for page in pages or PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8"), tables), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        write()
    elif sys.argv[1:]:
        sys.exit(__doc__)
    elif names := stale():
        sys.exit(f"FAILED: tables in {', '.join(names)} are others than benchmarks/results give; {sys.argv[0]} --write makes them")
