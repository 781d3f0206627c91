#!/usr/bin/env python3
"""layers.py: no folder of include/nibble includes one that stands above it, and nothing there but reference/ includes reference/."""
import os
import re
import sys
from pathlib import Path

include = Path(__file__).resolve().parent.parent.parent / "include" / "nibble"

# From the ground up. A folder includes itself and those before it.
LAYERS = ["core", "backend", "simd", "quantize", "calibrate", "blocks", "gemm", "tflite", "onnx", "gguf", "interop", "evaluate", "ptq", "qat",
          "c_api", "reference"]

failures = 0
for path in sorted(include.rglob("*")):
    if path.suffix not in (".hpp", ".inl", ".inc", ".h") or path.parent == include:
        continue
    name = path.relative_to(include).as_posix()
    folder = name.split("/")[0]
    if folder not in LAYERS:
        sys.exit(f"FAILED: {folder}/ has no place in LAYERS")
    for included in re.findall(r'^#include "([^"]+)"', path.read_text(), re.M):
        target = os.path.relpath(path.parent / included, include).split("/")[0]
        if target == "nibble.h":  # the C interface, which c_api/ implements
            target = "c_api"
        if target not in LAYERS or LAYERS.index(target) > LAYERS.index(folder):
            print(f"FAILED: {name} includes {included}, which stands above it")
            failures += 1
if 'include "reference/' in (include / "nibble.hpp").read_text():
    print("FAILED: nibble.hpp includes reference/, which is for tests and for users who ask")
    failures += 1
definitions = (include / "reference" / "reference.hpp").read_text()
for path in sorted((include / "reference").glob("*.hpp")):
    if path.name != "reference.hpp" and f'#include "{path.name}"' not in definitions:
        print(f"FAILED: reference/reference.hpp does not include {path.name}")
        failures += 1
print(f"{len(LAYERS)} layers")
sys.exit(failures != 0)
