#!/usr/bin/python3
"""interop.py PROGRAM: .npy files against NumPy, in both directions; GPTQ's and AWQ's tensors against weights packed here.

No package of others that unpacks such checkpoints is to be had from Debian or npm. So this packs them by the layouts that AutoGPTQ and AutoAWQ
publish, in NumPy, without anything of nibble's.
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

rng = np.random.default_rng(1)
failures = 0
NAMES = {"?": "BOOL", "B": "U8", "b": "I8", "H": "U16", "h": "I16", "I": "U32", "i": "I32", "L": "U64", "l": "I64", "e": "F16", "f": "F32",
         "d": "F64", "F": "C64"}


def expect(good, what):
    global failures
    if not good:
        print("FAILED:", what)
        failures += 1


def write_safetensors(path, tensors):
    header, data = {"__metadata__": {"format": "np"}}, b""
    kinds = {"int32": "I32", "float16": "F16"}
    for name, a in tensors.items():
        header[name] = {"dtype": kinds[str(a.dtype)], "shape": list(a.shape), "data_offsets": [len(data), len(data) + a.nbytes]}
        data += a.tobytes()
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text + data)


def int32_of(codes, bits):
    """The last dimension's codes, 32 / bits to an int32, the first lowest."""
    codes = codes.astype(np.uint32).reshape(codes.shape[:-1] + (-1, 32 // bits))
    return np.bitwise_or.reduce(codes << np.arange(0, 32, bits, dtype=np.uint32), axis=-1).view(np.int32)


def layer(folder, method, bits, n, k, group, shuffled):
    """weight[input, output] = scale * (code - zero), each group of inputs with its own."""
    groups = -(-k // group)
    g_idx = np.arange(k, dtype=np.int32) // group
    if shuffled:
        g_idx = rng.permutation(g_idx)
    codes = rng.integers(0, 1 << bits, (k, n))
    zeros = rng.integers(1 if method == "gptq1" else 0, 1 << bits, (groups, n))
    scales = (rng.random((groups, n)) + 0.5).astype(np.float16)
    tensors = {"layer.scales": scales}
    if method == "awq":
        lanes = [0, 2, 4, 6, 1, 3, 5, 7]  # lane i of an int32 holds output lanes[i] of eight

        def pack(a):
            return int32_of(a.reshape(len(a), -1, 8)[:, :, lanes].reshape(a.shape), 4)

        tensors["layer.qweight"], tensors["layer.qzeros"] = pack(codes), pack(zeros)
    else:
        tensors["layer.qweight"] = np.ascontiguousarray(int32_of(codes.T, bits).T)  # along the inputs
        tensors["layer.qzeros"] = int32_of(zeros - 1 if method == "gptq1" else zeros, bits)
        tensors["layer.g_idx"] = g_idx
    name = f"{method}-{bits}-{n}-{k}-{group}" + ("-shuffled" if shuffled else "")
    write_safetensors(os.path.join(folder, name + ".safetensors"), tensors)
    return name, (scales[g_idx].astype(np.float32) * (codes - zeros[g_idx]).astype(np.float32)).T


def main():
    with tempfile.TemporaryDirectory() as folder:
        arrays, refused, weights = {}, set(), {}
        for kind in NAMES:
            for shape in [(), (0,), (7,), (2, 3), (0, 7), (3, 0), (37, 5), (1, 1), (2, 3, 4), (1, 2, 1, 2, 1, 2, 1, 2)]:
                bits = rng.integers(0, 256, (*shape, np.dtype(kind).itemsize), dtype=np.uint8)
                a = bits[..., 0] % 2 == 0 if kind == "?" else bits.view(kind)[..., 0]
                for version in [(1, 0), (2, 0), (3, 0)]:
                    name = f"{NAMES[kind]}-{'x'.join(map(str, shape))}-{version[0]}.npy"
                    with open(os.path.join(folder, name), "wb") as f:
                        np.lib.format.write_array(f, np.ascontiguousarray(a).reshape(shape), version=version)
                    arrays[name] = np.asarray(a)
        for name, a in {"big_endian": np.zeros(3, ">f4"), "fortran": np.asfortranarray(np.zeros((2, 3))), "text": np.array(["ab", "c"]),
                        "fields": np.zeros(2, [("x", "<f4"), ("y", "<i2")]), "nine": np.zeros((1,) * 9), "c128": np.zeros(2, "<c16")}.items():
            np.save(os.path.join(folder, name + ".npy"), a)
            refused.add(name + ".npy")
        for method, bits in [("gptq1", 4), ("gptq2", 4), ("gptq1", 8), ("gptq2", 8), ("awq", 4)]:
            for n, k, group in [(8, 64, 32), (40, 96, 32), (16, 128, 128), (32, 200, 64)]:
                for shuffled in [False, True] if method != "awq" else [False]:
                    name, w = layer(folder, method, bits, n, k, group, shuffled)
                    weights[name] = w

        run = subprocess.run([sys.argv[1], folder], stdout=subprocess.PIPE, text=True)
        if run.returncode != 0:
            sys.exit(f"the program failed: {run.stdout[-200:]}")
        said = dict(line.split(" ", 1) for line in run.stdout.splitlines() if ".npy " in line)
        for name in refused:
            expect(said.get(name) == "refused", f"{name} is refused")
        for name, a in arrays.items():
            expect(said.get(name) == " ".join([NAMES[a.dtype.char], *map(str, a.shape)]), f"{name} is read: {said.get(name)}")
            again = os.path.join(folder, name[:-4] + ".again")
            if a.ndim == 2 and a.dtype.char != "F":
                b = np.load(again)
                expect(b.dtype == a.dtype and b.shape == a.shape and b.tobytes() == a.tobytes(), f"{name} is written again, and NumPy reads it")
            else:
                with open(again, "rb") as f:
                    expect(f.read() == a.tobytes(), f"{name} has the elements that NumPy wrote")
        for name, w in weights.items():
            expect(np.array_equal(np.load(os.path.join(folder, name + ".weights.npy")), w), f"{name} has the weights that were packed")
        print(f"NumPy {np.__version__}: {len(arrays)} arrays, {len(refused)} refused; {len(weights)} layers of checkpoints")
    sys.exit(failures > 0)


main()
