#!/usr/bin/python3
"""interop.py PROGRAM: .npy files against NumPy, in both directions; GPTQ's and AWQ's tensors against weights packed here.

No package of others that unpacks such checkpoints is to be had from Debian or npm. So this packs them by the layouts that AutoGPTQ and AutoAWQ
publish, in NumPy, without anything of nibble's. Of .npy headers that were changed at random, what nibble reads NumPy reads alike; what
nibble refuses NumPy refuses, or has types or a way of writing that nibble says it does not have.
"""
import collections
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import warnings

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
    """The last dimension's codes in int32s, the first lowest."""
    if bits == 3:  # bit by bit: 32 codes fill three int32s
        single = (codes[..., None] >> np.arange(3) & 1).astype(np.uint8).reshape(codes.shape[:-1] + (-1,))
        return np.packbits(single, axis=-1, bitorder="little").view(np.int32)
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


def npy_file(text, data, version=(1, 0)):
    return b"\x93NUMPY" + bytes(version) + len(text).to_bytes(2 if version[0] == 1 else 4, "little") + text.encode("latin1") + data


def random_headers(count):
    """Headers that NumPy's readers or writers know, and such with something changed."""
    choose = random.Random(2)
    pick = choose.choice
    orders = ["<", ">", "|", "=", ""]
    kinds = ["b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8"]
    odd = ["c16", "f16", "S3", "U2", "V4", "O", "M8[ns]", "f3", "b2", "?", "b", "B", "h", "H", "i", "I", "q", "Q", "e", "f", "d", "F", "g"]
    names = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64", "complex64"]
    files = []
    for _ in range(count):
        space = lambda: pick([""] * 8 + [" ", "\n", "\t", "  "])
        quote = pick(["'", '"'])
        string = lambda s: pick(["", "", "", "", "u"]) + quote + s + quote
        descr = string(pick(orders) + pick(kinds) if choose.random() < 0.8 else pick(orders) + pick(odd) if choose.random() < 0.7 else pick(names))
        if choose.random() < 0.05:
            descr = pick(["('<f4', (2,))", "[('x', '<f4'), ('y', '<i2')]", "'2f4'", "'(2,)f4'", "b'<f4'", "None", "'f4,f4'"])
        shape = [pick([0, 1, 1, 2, 2, 3, 4]) for _ in range(pick([0, 1, 1, 2, 2, 3, 4, 9]))]
        if choose.random() < 0.03:
            shape[:2] = [pick([2**31, 2**62, 2**63 - 1, 2**63, 10**25]) for _ in shape[:2]]
        sizes = [str(n) + pick(["", "", "", "", "L", " L"]) for n in shape]
        tuple_ = "(" + space() + (space() + "," + space()).join(sizes) + pick([",", ""]) * (len(sizes) > 0) + space() + ")"
        items = [("descr", descr), ("fortran_order", pick(["True", "False"])), ("shape", tuple_)]
        choose.shuffle(items)
        text = space() + "{" + space() + ", ".join(string(k) + space() + ":" + space() + v for k, v in items) + pick([",", ", ", ""]) + "}" + pick(
            ["", "\n", "     \n"])
        for _ in range(pick([0, 0, 0, 0, 1, 2])):
            i, new = choose.randrange(len(text)), pick("'\"{}(),:[] \n\tL01239<>=|fiubcx_-+.#TrueFalse\\")
            text = pick([text[:i] + text[i + 1:], text[:i] + new + text[i:], text[:i] + new + text[i + 1:]])
        version = pick([(1, 0)] * 4 + [(2, 0)] * 2 + [(3, 0)] * 2 + [pick([(1, 1), (0, 1), (4, 0), (3, 7)])])
        data = bytes(choose.randrange(256) for _ in range(pick([700, 700, 700, 700, 100, 3])))
        files.append(npy_file(text, data, version))
    return files


def judge_header(file, said):
    """Whether nibble's line fits what NumPy reads, and in what respect."""
    if file[6] == 1:
        text = file[10:10 + int.from_bytes(file[8:10], "little")].decode("latin1")
    else:
        text = file[12:12 + int.from_bytes(file[8:12], "little")].decode("latin1")
    warnings.simplefilter("ignore")  # of sizes that overflow
    try:
        a = np.lib.format.read_array(io.BytesIO(file))
        name = NAMES.get(np.dtype(a.dtype.str[1:]).char) if a.dtype.names is None else None
    except Exception:  # whatever it is: NumPy raises more than ValueError
        a, name = None, None
    refused = said.startswith("refused")
    if name is None:
        # Python's grammar lets no line behind the dictionary begin with a space in version 3.
        return refused or (a is None and text.rstrip(" ") != text.rstrip()), "both refuse" if refused else "only nibble reads"
    if refused:
        # Of Python's literals nibble has no escape sequences, comments, signs, other bases, underscores and strings in pieces, no
        # parentheses but a shape's, and no key twice; of types no aliases, lists of one field and arrays of one element.
        odd = any(c in text for c in "\\#+-_") or text.count("(") > 1 or "element type" in said or any(
            text.count(key) > 1 for key in ["descr", "shape", "fortran"]) or any(x in text for x in ["0x", "0b", "0o", "''", '""', "r'", 'r"', "R'"])
        return odd, "only NumPy reads"
    a = np.ascontiguousarray(a).reshape(a.shape).astype(a.dtype.newbyteorder("<"))
    hash_ = 14695981039346656037
    for b in a.tobytes():
        hash_ = (hash_ ^ b) * 1099511628211 % 2**64
    return said == " ".join([name, *map(str, a.shape), f"{hash_:016x}"]), "both read"


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
                for order, name in [("F", "fortran"), (">", "big"), ("F>", "both")]:
                    b = np.asarray(a).astype(np.dtype(kind).newbyteorder(">")) if ">" in order else np.asarray(a)
                    b = np.asfortranarray(b).reshape(shape, order="F") if "F" in order else b
                    name += f"-{NAMES[kind]}-{'x'.join(map(str, shape))}.npy"
                    np.save(os.path.join(folder, name), b)
                    arrays[name] = np.asarray(a)
        for n in [9, 32]:
            np.save(os.path.join(folder, f"ones{n}.npy"), np.ones((1,) * n))
            arrays[f"ones{n}.npy"] = np.ones((1,) * n)
        for name, a in {"text": np.array(["ab", "c"]), "fields": np.zeros(2, [("x", "<f4"), ("y", "<i2")]), "c128": np.zeros(2, "<c16")}.items():
            np.save(os.path.join(folder, name + ".npy"), a)
            refused.add(name + ".npy")
        with open(os.path.join(folder, "sub_array.npy"), "wb") as f:
            f.write(npy_file("{'descr': ('<f4', (2,)), 'fortran_order': False, 'shape': (3, 2), }", bytes(48)))
        refused.add("sub_array.npy")
        headers = random_headers(20000)
        with open(os.path.join(folder, "headers.cases"), "wb") as f:
            for file in headers:
                f.write(len(file).to_bytes(4, "little") + file)
        for method, bits in [("gptq1", 2), ("gptq2", 2), ("gptq1", 3), ("gptq2", 3), ("gptq1", 4), ("gptq2", 4), ("gptq1", 8), ("gptq2", 8), ("awq", 4)]:
            for n, k, group in [(32, 64, 32), (96, 96, 32), (64, 128, 128), (32, 224, 64), (32, 32, 4)] if bits < 4 else [
                    (8, 64, 32), (40, 96, 32), (16, 128, 128), (32, 200, 64)]:
                for shuffled in [False, True] if method != "awq" else [False]:
                    name, w = layer(folder, method, bits, n, k, group, shuffled)
                    weights[name] = w

        run = subprocess.run([sys.argv[1], folder], stdout=subprocess.PIPE, text=True)
        if run.returncode != 0:
            sys.exit(f"the program failed: {run.stdout[-200:]}")
        said = dict(line.split(" ", 1) for line in run.stdout.splitlines() if ".npy " in line or line.startswith("case"))
        for name in refused:
            expect("element type" in said.get(name, ""), f"{name} is refused: {said.get(name)}")
        outcomes = collections.Counter()
        for i, file in enumerate(headers):
            good, outcome = judge_header(file, said.get(f"case{i}", ""))
            outcomes[outcome] += 1
            expect(good, f"{outcome}: {file[:200]}, nibble: {said.get(f'case{i}')}")
        expect(outcomes["both read"] > 5000 and outcomes["both refuse"] > 5000, f"headers of either kind: {outcomes}")
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
        print(f"NumPy {np.__version__}: {len(arrays)} arrays, {len(refused)} refused; {len(weights)} layers of checkpoints; headers: {dict(outcomes)}")
    sys.exit(failures > 0)


main()
