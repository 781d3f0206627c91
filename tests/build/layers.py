#!/usr/bin/env python3
"""layers.py: no folder of include/nibble includes one that stands above it, and nothing but reference/ includes reference/."""
import os
import re
import sys
from pathlib import Path

include = Path(__file__).resolve().parent.parent.parent / "include" / "nibble"

# From the ground up. A folder includes itself and those before it.
LAYERS = ["core", "backend", "simd", "quantize", "calibrate", "blocks", "gemm", "tflite", "onnx", "gguf", "interop", "evaluate", "ptq", "qat",
          "c_api", "reference"]

# These still take scalar arithmetic from the definitions. A file that no longer does is struck off; none is added.
STILL_INCLUDE_REFERENCE = {
    "blocks/blocks.hpp", "ptq/outliers.hpp", "tflite/pooling.hpp", "tflite/quantize.hpp", "tflite/softmax.hpp", "tflite/tables.hpp",
}

failures, still = 0, set()
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
        if target == "reference" != folder and name in STILL_INCLUDE_REFERENCE:
            still.add(name)
        elif target not in LAYERS or LAYERS.index(target) > LAYERS.index(folder):
            print(f"FAILED: {name} includes {included}, which stands above it")
            failures += 1
for name in sorted(STILL_INCLUDE_REFERENCE - still):
    print(f"FAILED: {name} no longer includes reference/: strike it off")
    failures += 1
print(f"{len(LAYERS)} layers, {len(still)} files that still include reference/")
sys.exit(failures != 0)
