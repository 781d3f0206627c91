#!/usr/bin/python3
"""compile_cost.py [--includes] COMPILER...: what including nibble costs, and compiling its kernels: seconds of one core, memory, machine code.

Seconds are user and system time, of includes the least of five. Needs nothing but the compilers, xsimd's headers and nm. --includes leaves out
the kernels, which take some minutes.
"""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

include = Path(__file__).resolve().parent.parent / "include"
BACKENDS = ["scalar", "avx2", "avx512", "avx512vnni", "avx512amx", "neon", "neon_dotprod", "neon_i8mm"]
KERNELS = "#define NIBBLE_DEFINE_KERNELS\n#include <nibble/nibble.hpp>\n"


def compile_text(compiler, text, *flags, folder, optimize="-O2"):
    """Seconds and the most megabytes of memory; the object file is FOLDER/a.o."""
    source = os.path.join(folder, "a.cpp")
    with open(source, "w") as f:
        f.write(text)
    command = [compiler, optimize, "-std=c++17", *flags, "-I", str(include), "-c", source, "-o", os.path.join(folder, "a.o")]
    process = subprocess.Popen(command)
    _, status, used = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(command)} failed")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def code_of_backends(folder):
    """Kilobytes of the functions of each backend, and of all others."""
    sizes = dict.fromkeys(["others", *BACKENDS], 0)
    names = subprocess.run(["nm", "-S", "-C", os.path.join(folder, "a.o")], stdout=subprocess.PIPE, text=True, check=True).stdout
    for line in names.splitlines():
        found = re.match(r"[0-9a-f]+ ([0-9a-f]+) [tTwW] (.*)", line)
        if found:
            backend = re.search(r"::(%s)::|nibble_xsimd_([a-z0-9]+)" % "|".join(BACKENDS), found[2], re.I)
            name = (backend[1] or backend[2].lower()) if backend else "others"
            sizes[name] += int(found[1], 16) / 1000
    return {name: size for name, size in sizes.items() if size > 0}


def main():
    compilers = [a for a in sys.argv[1:] if a != "--includes"]
    if not compilers:
        sys.exit(__doc__)
    standard = set()
    for header in include.rglob("*.hpp"):
        standard.update(re.findall(r"^#include <([a-z_]+)>", header.read_text(), re.M))
    standard -= {"mdspan"}  # of C++23
    plain = "#include <xsimd/xsimd.hpp>\n" + "".join(f"#include <{name}>\n" for name in sorted(standard))
    with tempfile.TemporaryDirectory() as folder:
        for compiler in compilers:
            print(subprocess.run([compiler, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[0])
            times = {"xsimd and standard headers": [], "nibble, kernels declared only": []}
            for _ in range(5):
                times["xsimd and standard headers"].append(compile_text(compiler, plain, folder=folder)[0])
                times["nibble, kernels declared only"].append(
                    compile_text(compiler, "#include <nibble/nibble.hpp>\n", "-DNIBBLE_EXTERN_KERNELS", folder=folder)[0])
            for name, seconds in times.items():
                print(f"  {name:<32} {min(seconds):7.2f} s")
            a, b = (min(seconds) for seconds in times.values())
            print(f"  {'ratio':<32} {b / a:7.2f}", flush=True)
            if "--includes" in sys.argv:
                continue
            for flag in ["-DNIBBLE_SCALAR_ONLY", "-DNIBBLE_NO_AVX512", "-DNIBBLE_EXTERN_KERNELS"]:
                seconds, memory = compile_text(compiler, KERNELS, flag, "-DNIBBLE_EXTERN_KERNELS", folder=folder)
                name = "all kernels" if flag == "-DNIBBLE_EXTERN_KERNELS" else f"kernels, {flag[2:]}"
                print(f"  {name:<32} {seconds:7.1f} s {memory:6.0f} MB", flush=True)
            for name, size in code_of_backends(folder).items():
                print(f"  {'machine code, ' + name:<32} {size:7.0f} kB")


main()
