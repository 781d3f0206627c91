#!/usr/bin/env python3
"""summary.py [--write]: docs/pictures/summary.svg shows what benchmarks/results/zen5/result.json and docs/accuracy.md say. --write makes it."""
import re
import sys
from pathlib import Path

root = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(root / "benchmarks"))
import results  # noqa: E402

picture = Path(__file__).resolve().parent / "summary.svg"
BACKEND = "avx512vnni"

STYLE = """<style>
  text { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; font-size: 14px; fill: #1f2328 }
  .card { fill: #ffffff; stroke: #d0d7de }
  .title { font-weight: 600 }
  .small, .soft { font-size: 12.5px; fill: #59636e }
  .bar { fill: #2f6fb7 }
  .peer { fill: #b4bcc6 }
  .axis { stroke: #8c959f }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .card { fill: #161b22; stroke: #30363d }
    .small, .soft { fill: #9aa4af }
    .bar { fill: #5b9ee8 }
    .peer { fill: #57606a }
    .axis { stroke: #6e7681 }
  }
</style>"""


def speeds():
    """For each type of weights and number of rows: nibble's GOP/s, those of the fastest peer whose result is right, and its name."""
    run = results.load(root / "benchmarks/results/zen5/result.json")
    found = {}
    for name, what in (("FP32", "float_x_float"), ("INT8", "float_x_int8"), ("INT4", "float_x_int4_g32")):
        for family, m in (("gemv", 1), ("gemm", 16)):
            own = run.rows[f"{family}/{what}/{BACKEND}/m:{m}/n:4096/k:4096/threads:1/memory/real_time"]
            best = run.fastest_peer(own)
            found[name, m] = own.get("ops") / 1e9, best.get("ops") / 1e9, results.PEERS.get(best.peer, best.peer)
    return found


def accuracy():
    """Bytes and perplexities of the language model."""
    text = (root / "docs/accuracy.md").read_text()
    plain = float(re.search(r"FP32 has ([0-9]+\.[0-9]+)\)", text).group(1))
    size = {"FP32": int(re.search(r"FP32 has ([0-9]+) bytes", text).group(1))}
    worse = {"FP32": [("", 0.0)]}
    for name, row in (("INT8", "INT8, per channel"), ("INT4", "INT4, groups of 32")):
        size[name] = int(re.search(rf"^\| {row} \| ([0-9]+) \|", text, re.M).group(1))
        cells = re.search(rf"^\| {row} \| ([0-9.]+), [0-9.]+ \|(.*)\|$", text, re.M)
        gptq = cells.group(2).split("|")[3].split(",")[0]
        worse[name] = [("nearest", float(cells.group(1)) / plain - 1), ("GPTQ", float(gptq) / plain - 1)]
    return size, worse


def draw():
    speed, (size, worse) = speeds(), accuracy()
    lines, left, widths, top = [], (70, 215, 420, 640), 82, 86
    out = lines.append

    def bar(x, y, width, height, kind, label, soft=""):
        out(f'<rect class="{kind}" x="{x}" y="{y}" width="{max(width, 1):.1f}" height="{height}"/>')
        soft = f' <tspan class="soft">{soft}</tspan>' if soft else ""
        out(f'<text x="{x + max(width, 1) + 6:.1f}" y="{y + height / 2 + 5:.1f}">{label}{soft}</text>')

    heads = (("Weights", "megabytes"), ("Speed, 1 row", "GOP/s"), ("Speed, 16 rows", "GOP/s"), ("Loss", "perplexity above FP32"))
    for x, (head, unit) in zip(left, heads):
        out(f'<text class="title" x="{x}" y="38">{head}</text><text class="small" x="{x}" y="57">{unit}</text>')
    fastest = {m: max(max(v[:2]) for (_, rows), v in speed.items() if rows == m) for m in (1, 16)}
    worst = max(w for marks in worse.values() for _, w in marks)
    for i, name in enumerate(("FP32", "INT8", "INT4")):
        y = top + 62 * i
        out(f'<text class="title" x="20" y="{y + 19}">{name}</text>')
        times = "" if name == "FP32" else f"{size['FP32'] / size[name]:.1f} x smaller"
        bar(left[0], y, widths * size[name] / size["FP32"], 18, "bar", f"{size[name] / 1e6:.2f}")
        if times:
            out(f'<text class="small" x="{left[0]}" y="{y + 34}">{times}</text>')
        for x, m in zip(left[1:3], (1, 16)):
            own, peer, who = speed[name, m]
            bar(x, y, widths * own / fastest[m], 18, "bar", f"{own:.0f}")
            bar(x, y + 20, widths * peer / fastest[m], 10, "peer", "", f"{peer:.0f} {who}")
        for j, (method, loss) in enumerate(worse[name]):
            label = f"{100 * loss:.2f} %" if loss else "0"
            bar(left[3], y + 20 * j, widths * loss / worst, 18 if j == 0 else 10, "bar", "" if j else label,
                f"{label} by {method}" if j else "")
    height = top + 62 * 3 + 44
    note = (f"Blue: nibble on {BACKEND}. Grey: the fastest other library with right results. One thread of a shared Zen 5 server,",
            "matrices of 4096 x 4096, weights from memory. Loss and size: a language model of 1.8 million weights.")
    for i, line in enumerate(note):
        out(f'<text class="small" x="20" y="{height - 34 + 18 * i}">{line}</text>')
    described = "Size, speed and loss of FP32, INT8 and INT4 weights"
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 {height}" width="800" height="{height}" role="img" '
            f'aria-label="{described}">\n<title>{described}</title>\n{STYLE}\n'
            f'<rect class="card" x="0.5" y="0.5" width="799" height="{height - 1}" rx="8"/>\n' + "\n".join(lines) + "\n</svg>\n")


if "--write" in sys.argv[1:]:
    picture.write_text(draw())
elif picture.read_text() != draw():
    sys.exit(f"FAILED: the figures behind {picture.name} are others now; docs/pictures/summary.py --write draws them")
