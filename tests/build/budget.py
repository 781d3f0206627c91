#!/usr/bin/env python3
"""budget.py COMPILER [--all] [--write]: what programs that use nibble cost to compile, held against a budget of twice the goal.

Seconds are user and system time of one core, memory is the most that the compiler held. Seconds are divided by how much longer than on the
machine of the goals a file without nibble takes, which is compiled before and after, so that a slow or busy machine does not fail the
test. Whatever the clock says, a program must hold the kernels that it calls and no others.

--all adds the programs that take a minute. --write puts the table into docs/embedding.md.
"""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

root = Path(__file__).resolve().parent.parent.parent
folder = Path(__file__).resolve().parent / "budget"
page = root / "docs" / "embedding.md"

# File: what it does, goals in seconds and megabytes, kernels that it holds (None: all of them), whether it takes long.
PROGRAMS = {
    "quantize_nothing": ("`quantize/quantize.hpp`, nothing called", 1.5, 400, [], False),
    "nothing": ("`nibble.hpp`, nothing called", 3, 500, [], False),
    "quantize": ("quantize, `quantize/quantize.hpp`", 4, 500, ["quantize_8"], False),
    "quantize_all_headers": ("quantize, `nibble.hpp`", 6, 500, ["quantize_8"], False),
    "one_product": ("one int8 product", 12, 1000, ["gemm_w8", "pack_f32"], False),
    "../readme": ("the README's program, a layer of 4 bits", 16, 1000, ["gemm_w4", "pack_f32"], False),
    "all_products": ("a product with each type of weights", 45, 1000,
                     ["gemm_bfloat16", "gemm_f32", "gemm_half", "gemm_w4", "gemm_w8", "pack_f32"], True),
    "all_kernels": ("all kernels in one file", 60, 2000, None, True),
}
# Headers of the standard library and of xsimd, in seconds of the machine on which the goals were set: a quiet Zen 5 server.
CALIBRATION = {"g++": 0.6, "clang++": 0.6}


def compile_file(compiler, source, out):
    """Seconds and megabytes."""
    command = [compiler, "-O2", "-std=c++17", "-I", str(root / "include"), "-c", str(source), "-o", out]
    process = subprocess.Popen(command)
    _, status, used = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"FAILED: {' '.join(command)}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def all_kernels():
    names = []
    for line in (root / "include/nibble/all_kernels.inc").read_text().splitlines():
        if line.startswith("#include"):
            text = (root / "include/nibble" / line.split('"')[1]).read_text()
            names += re.findall(r"^NIBBLE_KERNEL\((\w+),", text, re.M)
    return sorted(names)


def kernels_in(object_file, kernels):
    """Those whose scalar variant is in the file."""
    names = subprocess.run(["nm", "-C", object_file], stdout=subprocess.PIPE, text=True, check=True).stdout
    found = set(re.findall(r"::scalar::(\w+)<void>\(", names))
    return sorted(found & set(kernels))


def main():
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    if len(arguments) != 1:
        sys.exit(__doc__)
    compiler, kernels, failures, rows = arguments[0], all_kernels(), 0, []
    with tempfile.TemporaryDirectory() as work:
        out = os.path.join(work, "a.o")

        def calibrate():
            return min(compile_file(compiler, folder / "calibration.cpp", out)[0] for _ in range(3))

        before = calibrate()
        measured = {}
        for name, (_, _, _, expected, long) in PROGRAMS.items():
            if long and "--all" not in sys.argv:
                continue
            measured[name] = compile_file(compiler, folder / f"{name}.cpp", out)
            held = kernels_in(out, kernels)
            if held != (kernels if expected is None else expected):
                print(f"FAILED: {name}.cpp holds {held}")
                failures += 1
        slower = max(1.0, (before + calibrate()) / 2 / CALIBRATION[re.sub(r"-\d+$", "", os.path.basename(compiler))])
        for name, (seconds, megabytes) in measured.items():
            what, goal, memory, _, _ = PROGRAMS[name]
            seconds /= slower
            print(f"{name:<22} {seconds:6.1f} s of {2 * goal:5.1f}   {megabytes:5.0f} MB of {2 * memory}", flush=True)
            rows.append((what, goal, seconds, megabytes))
            if seconds > 2 * goal or megabytes > 2 * memory:
                print(f"FAILED: {name}.cpp costs more than twice the goal of {goal} s and {memory} MB")
                failures += 1
    print(f"the machine takes {slower:.2f} times as long as the one of the goals")
    if "--write" in sys.argv:
        write(compiler, rows)
    sys.exit(failures != 0)


def write(compiler, rows):
    version = subprocess.run([compiler, "-dumpfullversion", "-dumpversion"], stdout=subprocess.PIPE, text=True, check=True).stdout.split(".")[0]
    title = f"{os.path.basename(compiler)} {version}"
    table = [f"| {title} | seconds | megabytes |", "|---|---|---|"]
    table += [f"| {what} | {seconds:.1f} | {megabytes:.0f} |" for what, _, seconds, megabytes in rows]
    text = page.read_text()
    pattern = re.compile(r"\| %s [0-9]+ \| seconds .*?\n(?!\|)" % re.escape(os.path.basename(compiler)), re.S)
    if not pattern.search(text):
        sys.exit(f"FAILED: {page} has no table that begins with | {os.path.basename(compiler)}")
    page.write_text(pattern.sub("\n".join(table) + "\n", text))


main()
