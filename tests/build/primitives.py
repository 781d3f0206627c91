#!/usr/bin/env python3
"""primitives.py: simd/contract.md, the files of simd/ and tests/kernels/primitives.inl name the same primitives, for every instruction set."""
import re
import sys
from pathlib import Path

root = Path(__file__).resolve().parent.parent.parent
simd = root / "include/nibble/simd"

# Which files make the primitives of one instruction set. A new one is a line here.
SETS = {"scalar": ["scalar.inl"], "avx2": ["avx2.inl", "x86.inl"], "avx512": ["avx512.inl", "x86.inl"], "neon": ["neon.inl"]}
OF_XSIMD = {"V", "load_unaligned", "store_unaligned", "min", "max", "to_float"}  # xsimd's batches have them, and scalar.inl


def defined_in(files):
    text = "".join((simd / file).read_text() for file in files)
    return set(re.findall(r"^inline (?:[\w:]+(?:<[^()]*>)? )+(\w+)\(", text, re.M))


rows = re.findall(r"^\| (`.*?`) \|", (simd / "contract.md").read_text(), re.M)
written = {name for row in rows for name in re.findall(r"(\w+)(?:<[^<>]*>)?\(", row)} - OF_XSIMD
shared = defined_in(["shared.inl"])
defined = {name: defined_in(files) | shared for name, files in SETS.items()}
tested = set(re.findall(r"(\w+)(?:<[^<>()]*>)?\(", (root / "tests/kernels/primitives.inl").read_text()))

failures = []
for name, functions in defined.items():
    failures += [f"{function} is in contract.md, but not for {name}" for function in sorted(written - functions)]
everywhere = set.intersection(*defined.values())
helpers = {"load_lanes"}  # of load_part
for function in sorted(everywhere - written - helpers - OF_XSIMD):
    failures.append(f"{function} is a primitive of every instruction set, but not in contract.md")
failures += [f"{function} has no test in tests/kernels/primitives.inl" for function in sorted(written - tested)]
for failure in failures:
    print("FAILED:", failure)
print(f"{len(written)} primitives of {len(SETS)} instruction sets")
sys.exit(bool(failures) or len(written) < 60)
