#!/usr/bin/env python3
"""compare.py A.json B.json ... [--output FOLDER]: runs of nibble_bench on several machines or commits, in one table and one picture.

B / A is the speed of B beside A: above 1 B is faster. p is the probability that repetitions of equal speed differ as much in rank (Mann
and Whitney's test, two-sided); a difference with p above 0.05, or of less than 2 %, is called noise. Files whose newest backends differ
are compared by these. Google Benchmark's own compare.py (Debian: libbenchmark-tools) reads the same files.
"""
import argparse
import functools
import math
import os
import sys

import pictures
import results

SIGNIFICANT = 0.05
SMALL = 0.02


@functools.lru_cache(maxsize=None)
def arrangements(m, n, u):
    """How many orders of m and n values have the statistic u."""
    if u < 0 or (m == 0 or n == 0) and u > 0:
        return 0
    if m == 0 or n == 0:
        return 1
    return arrangements(m - 1, n, u - n) + arrangements(m, n - 1, u)


def mann_whitney(a, b):
    """The two-sided probability; exact for few values without ties, by the normal distribution else."""
    m, n = len(a), len(b)
    if m == 0 or n == 0:
        return 1.0
    u = sum((x > y) + 0.5 * (x == y) for x in a for y in b)
    u = min(u, m * n - u)
    values = sorted(a + b)
    ties = [values.count(v) for v in dict.fromkeys(values)]
    if max(m, n) <= 20 and max(ties) == 1:
        return min(1.0, 2 * sum(arrangements(m, n, i) for i in range(int(u) + 1)) / math.comb(m + n, m))
    total = m + n
    variance = m * n / 12 * (total + 1 - sum(t ** 3 - t for t in ties) / (total * (total - 1)))
    return 1.0 if variance == 0 else min(1.0, math.erfc(max(0.0, m * n / 2 - u - 0.5) / math.sqrt(2 * variance)))


def class_of(row):
    """Products by their weights and threads, the rest by family."""
    if row.family not in ("gemm", "gemv"):
        return row.family
    return f"{row.what}, {row.threads} thread{'s' if row.threads > 1 else ''}"


def matched(runs):
    """{name: [row of each file or None]}, of nibble's rows in the order of the first file that has them."""
    newest = [(run.backends() or [""])[0] for run in runs]
    by_newest = len(set(newest)) > 1
    found = {}
    for i, run in enumerate(runs):
        for name, row in run.rows.items():
            if row.peer or row.limit or not row.times or (by_newest and row.who != newest[i]):
                continue
            key = name.replace(f"/{row.who}/", "/newest/") if by_newest else name
            found.setdefault(key, [None] * len(runs))[i] = row
    return found


def geometric_mean(values):
    return math.exp(sum(math.log(v) for v in values) / len(values))


def compare(runs, names):
    """The page, and what the picture is made of."""
    found = matched(runs)
    letters = [chr(ord("A") + i) if i < 26 else str(i) for i in range(len(runs))]
    out = []
    for letter, name, run in zip(letters, names, runs):
        cpu, compiler, commit, date = (run.context.get(key, "") for key in ("cpu", "compiler", "commit", "date"))
        out.append(f"- {letter}: {name}: {cpu}, {compiler}, commit {commit}, {date}" + (f" **{run.busy()}**" if run.busy() else ""))
    head = ["GOP/s, GB/s or ms"] + letters
    for letter in letters[1:]:
        head += [f"{letter} / A", "p"]
    lines, classes = [], {}
    for key, rows in found.items():
        some = next(row for row in rows if row)
        line = [key.removesuffix("/real_time")] + [results.number(results.speed(row)) + ("" if not row.marks else " ~") if row else ""
                                                  for row in rows]
        for i, row in enumerate(rows[1:]):
            if not row or not rows[0]:
                line += ["", ""]
                continue
            ratio, p = rows[0].time / row.time, mann_whitney(rows[0].times, row.times)
            noise = p > SIGNIFICANT or abs(ratio - 1) < SMALL
            line += [f"{ratio:.3f}", f"{p:.3f}" + (" noise" if noise else "")]
            classes.setdefault(class_of(some), [[] for _ in runs[1:]])[i].append(ratio)
        lines.append(line)
    out += ["", results.table(head, lines)]
    if classes:
        every = {"all": [[ratio for ratios in classes.values() for ratio in ratios[i]] for i in range(len(runs) - 1)]}
        out.append(results.table(["geometric mean (benchmarks)"] + [f"{letter} / A" for letter in letters[1:]], [
            [what] + [f"{geometric_mean(each):.3f} ({len(each)})" if each else "" for each in ratios]
            for what, ratios in (classes | every).items()]))
    out.append("~: a marked row: noisy, not from memory, or slower than with one thread.\n")
    return "\n".join(out), classes


def main():
    parser = argparse.ArgumentParser(description="Runs of nibble_bench on several machines or commits, side by side.")
    parser.add_argument("files", nargs="+", metavar="FILE.json")
    parser.add_argument("--output", default="build/bench", help="folder of comparison.md and comparison.svg")
    options = parser.parse_args()
    if len(options.files) < 2:
        sys.exit("two files or more are compared")
    runs = [results.load(file) for file in options.files]
    text, classes = compare(runs, options.files)
    if not classes:
        sys.exit("no benchmark is in the first file and in another one")
    try:
        os.makedirs(options.output, exist_ok=True)
        for name, content in (("comparison.md", text), ("comparison.svg", pictures.comparison(options.files, classes))):
            with open(os.path.join(options.output, name), "w", encoding="utf-8") as file:
                file.write(content)
    except OSError as error:
        sys.exit(f"{options.output}: {error.strerror}: a folder is needed here")
    print(text)
    print(f"{options.output} has comparison.md and comparison.svg", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
