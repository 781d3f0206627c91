"""What ./go bench measured: reads the JSON of Google Benchmark, says which rows are worth nothing, and makes tables.

A benchmark is called FAMILY/WHAT/WHO/SHAPE/threads:N[/memory]; WHO is a backend of nibble, peer:NAME/KERNEL, or limit:NAME.
"""
import collections
import json
import math
import re
import statistics
import sys

NOISY = 0.10         # half of the repetitions are further apart than this part of the median
FASTER_THAN_READ = 1.05  # more bytes a second than the best reading loop: they do not come from memory
BUSY_CPUS = 0.2      # CPUs that other processes use

# Products whose peers multiply something else that is the nearest there is.
NEAREST = {"float_x_half": ["float_x_float"], "float_x_bfloat16": ["float_x_float"], "float_x_int8_reduced": ["float_x_int8"],
           "float_x_int8": ["float_x_q8_0"], "float_x_q8_0_reduced": ["float_x_q8_0"], "float_x_int4": ["float_x_int4_g128"],
           "float_x_int4_g32": ["float_x_q4_0", "float_x_q4_K"]}
FAMILIES = ["gemm", "gemv", "conv", "quantize", "convert", "blocks", "accuracy"]
PRODUCTS = ["float_x_float", "float_x_half", "float_x_bfloat16", "float_x_int8", "float_x_int8_reduced", "uint8_x_int8_to_int32",
            "int8_x_int8_to_int32", "uint7_x_int8_to_int32", "float_x_int4", "float_x_int4_g128", "float_x_int4_g32", "float_x_q8_0",
            "float_x_q8_0_reduced", "float_x_q4_0", "float_x_q4_K", "float_x_q6_K", "float_x_iq4_nl", "float_x_mxfp4"]
BACKENDS = ["avx512amx", "avx512vnni", "avx512", "avx2", "neon_i8mm", "neon_dotprod", "neon", "scalar"]  # newest first
PEERS = {"onnxruntime": "ONNX Runtime", "openblas": "OpenBLAS", "onednn": "oneDNN", "eigen": "Eigen", "xnnpack": "XNNPACK"}


def place_in(names, name):
    return names.index(name) if name in names else len(names)


class Row:
    """One benchmark: all its repetitions."""

    def __init__(self, name):
        self.name = name
        parts = name.removesuffix("/real_time").split("/")
        self.family, self.what, self.who = parts[:3]
        rest = parts[3:]
        self.peer = self.who.removeprefix("peer:") if self.who.startswith("peer:") else ""
        self.limit = self.who.startswith("limit:")
        self.kernel = rest.pop(0) if self.peer else ""
        self.memory = rest[-1] == "memory"
        if self.memory:
            rest.pop()
        self.threads = int(rest.pop().removeprefix("threads:"))
        self.shape = "/".join(rest)
        self.times, self.counters, self.wrong, self.label = [], {}, "", ""
        self.marks, self.one_thread = [], None

    def add(self, run):
        if run.get("error_occurred"):
            self.wrong = run.get("error_message", "wrong")
            return
        self.label = run.get("label", "")
        self.times.append(run["real_time"] * {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}[run["time_unit"]])
        for counter in ("ops", "bytes", "of_peak", "of_read"):
            if counter in run:
                self.counters.setdefault(counter, []).append(run[counter])

    @property
    def time(self):
        return statistics.median(self.times) if self.times else math.nan

    def get(self, counter):
        return statistics.median(self.counters[counter]) if counter in self.counters else None

    @property
    def spread(self):
        """How far the middle half of the repetitions reaches, as a part of the median."""
        if len(self.times) < 3:
            return 0.0
        low, _, high = statistics.quantiles(self.times, n=4, method="inclusive")
        return (high - low) / self.time

    @property
    def size(self):
        """The shape as people write it: 16 x 4096 x 4096."""
        values = dict(part.split(":") for part in self.shape.split("/")) if self.shape else {}
        if self.family == "conv" and "kernel" in values:
            kernel, stride, size = values["kernel"], values["stride"], values["size"]
            return f"{kernel} x {kernel} / {stride}, {size} x {size} x {values['in']} to {values['out']}"
        return " x ".join(values.values()) + (" *" if self.memory else "")

    @property
    def peer_name(self):
        return f"{PEERS.get(self.peer, self.peer)} {self.kernel}"

    @property
    def place(self):
        """Where it stands in tables: products as PRODUCTS has them, the rest by name, sizes as numbers."""
        return (place_in(FAMILIES, self.family), place_in(PRODUCTS, self.what), self.what, self.threads, not self.memory,
                [int(n) for n in re.findall(r"\d+", self.shape)], place_in(BACKENDS, self.who), self.who, self.kernel)


class Run:
    """A file: context and rows, with their marks."""

    def __init__(self, content, path=""):
        self.path, self.context = path, content["context"]
        self.rows = {}
        for run in content["benchmarks"]:
            if run.get("run_type", "iteration") == "iteration":
                self.rows.setdefault(run["name"], Row(run["name"])).add(run)
        self.rows = dict(sorted(self.rows.items(), key=lambda item: item[1].place))
        self.mark()

    def limit(self, kind, threads):
        """The greatest value of a limit in the context, as "read, memory"."""
        values = [float(value) for key, value in self.context.items()
                  if key.startswith(f"limit {kind}") and key.endswith(f", threads:{threads}")]
        return max(values, default=0.0)

    def best_read(self, threads):
        """Bytes a second that the best reading loop got from memory, of those at the start and those beside the products."""
        beside = [b for row in self.rows.values() if row.limit and row.memory and row.threads == threads for b in row.counters["bytes"]]
        return max([self.limit("read, memory", threads)] + beside)

    def mark(self):
        reads = {threads: self.best_read(threads) for threads in {row.threads for row in self.rows.values()}}
        for row in self.rows.values():
            if row.wrong or row.limit:
                continue
            if row.spread > NOISY:
                row.marks.append(f"noisy, {100 * row.spread:.0f} %")
            read = reads[row.threads]
            if row.memory and read and row.get("bytes") and row.get("bytes") > FASTER_THAN_READ * read:
                row.marks.append("not from memory")
            if row.threads > 1:
                one = self.rows.get(row.name.replace(f"/threads:{row.threads}", "/threads:1"))
                if one and one.times and row.time > 1.05 * one.time:
                    row.one_thread = one
                    row.marks.append("slower than with one thread")

    def busy(self):
        """A sentence if the machine did other work."""
        cpus = float(self.context.get("busy_cpus", 0))
        return f"Other processes kept {cpus:.1f} CPUs busy: these figures are worth little." if cpus > BUSY_CPUS else ""

    def backends(self, family=None):
        names = {row.who for row in self.rows.values() if not row.peer and not row.limit and family in (None, row.family)}
        return sorted(names, key=lambda name: place_in(BACKENDS, name))

    def peers_of(self, row):
        """What a row is compared with: right peers of the same product and threads. One whose threads slow it down counts as with one."""
        found = []
        if "not from memory" in row.marks:
            return found
        for what in [row.what] + NEAREST.get(row.what, []):
            for other in self.rows.values():
                if (other.peer and other.times and not other.wrong and other.what == what and "not from memory" not in other.marks
                        and (other.family, other.shape, other.threads, other.memory) == (row.family, row.shape, row.threads, row.memory)):
                    found.append(other.one_thread or other)
        return found

    def fastest_peer(self, row):
        return min(self.peers_of(row), key=lambda peer: peer.time, default=None)


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            return Run(json.load(file), path)
    except OSError as error:
        sys.exit(f"cannot read {path}: {error.strerror}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        sys.exit(f"{path} is no result of ./go bench: {type(error).__name__} {error}")


def stored(content):
    """The repetitions alone, a line each: short, and still what compare.py reads."""
    keep = ["name", "run_type", "repetitions", "repetition_index", "threads", "iterations", "real_time", "cpu_time", "time_unit", "label",
            "ops", "bytes", "of_peak", "of_read", "error_occurred", "error_message"]
    lines = []
    for run in content["benchmarks"]:
        if run.get("run_type", "iteration") == "iteration" and not (run.get("error_occurred") and run.get("repetition_index", 0) > 0):
            short = {key: float(f"{run[key]:.4g}") if isinstance(run[key], float) else run[key] for key in keep if key in run}
            lines.append(json.dumps(short, separators=(",", ":")))
    context = {key: value for key, value in content["context"].items() if key not in ("host_name", "executable")}
    return '{"context": ' + json.dumps(context, indent=1) + ',\n"benchmarks": [\n' + ",\n".join(lines) + "\n]}\n"


def number(value):
    """Three digits: 0.123, 1.23, 12.3, 123, 1230."""
    return "" if value is None or math.isnan(value) else f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f}" if value > 0 else "0"


def table(head, lines):
    """Markdown whose columns are aligned."""
    lines = [[str(cell) for cell in line] for line in lines]
    widths = [max(len(line[i]) for line in [head] + lines) for i in range(len(head))]
    out = ["| " + " | ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths))) + " |"
           for line in [head] + lines]
    out.insert(1, "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|")
    return "\n".join(out) + "\n"


def speed(row):
    """GOP/s of what counts operations, else GB/s, else milliseconds."""
    if row.get("ops"):
        return row.get("ops") * 1e-9
    return row.get("bytes") * 1e-9 if row.get("bytes") else row.time * 1e3


def unit(row):
    return "GOP/s" if row.get("ops") else "GB/s" if row.get("bytes") else "ms"


def of_limit(run, row):
    """What is reached of the limit that is nearer."""
    peak, read = row.get("of_peak"), None
    if row.memory and run.best_read(row.threads):
        read = row.get("bytes") / run.best_read(row.threads)
    if read and (peak is None or read > peak):
        return f"{100 * read:.0f} % read"
    return f"{100 * peak:.0f} % peak" if peak else ""


def groups(rows):
    """(family, what, threads): rows by shape, in the order of the file."""
    found = {}
    for row in rows:
        found.setdefault((row.family, row.what, row.threads), {}).setdefault((row.shape, row.memory), []).append(row)
    return found


def products(run):
    """Tables of products and convolutions: a line a shape, a column a backend, the fastest right peer and the ratio to it."""
    out = []
    everything = groups([row for row in run.rows.values() if row.family in ("gemm", "gemv", "conv") and not row.limit and
                         (row.get("ops") or row.wrong)])
    merged = {}
    for (family, what, threads), shapes in everything.items():  # gemv and gemm of the same weights are one table
        merged.setdefault(("conv" if family == "conv" else "gemm", what, threads), []).extend(shapes.values())
    for (family, what, threads), shapes in sorted(merged.items(), key=lambda item: item[1][0][0].place[1:]):
        shapes.sort(key=lambda rows: rows[0].place[4:6])
        backends = [b for b in run.backends() if any(row.who == b for rows in shapes for row in rows)]
        if not backends:
            continue
        some = next(row for rows in shapes for row in rows if row.who == backends[0])
        head = [f"{what}, {threads} thread{'s' if threads > 1 else ''}, {unit(some)}"] + backends + [
            "spread", "of limit", "fastest right peer", "peer", "ratio", "marks"]
        lines = []
        for rows in shapes:
            own = {row.who: row for row in rows if not row.peer}
            first = next((own[b] for b in backends if b in own), None)
            if first is None:
                continue
            peer = run.fastest_peer(first)
            marks = [f"{who}: {'WRONG' if row.wrong else ', '.join(row.marks)}" for who, row in own.items() if row.marks or row.wrong]
            for mark in ("not from memory", "slower than with one thread"):
                if names := [row.peer_name for row in rows if row.peer and mark in row.marks]:
                    marks.append(f"{mark}: {', '.join(names)}")
            marks += [f"{row.peer_name}: {row.wrong}" for row in rows if row.peer and row.wrong]
            lines.append([first.size] + [number(speed(own[b])) if b in own and own[b].times else "" for b in backends] + [
                f"{100 * first.spread:.0f} %", of_limit(run, first), peer.peer_name if peer else "", number(speed(peer)) if peer else "",
                f"{peer.time / first.time:.2f}" if peer else "", "; ".join(marks)])
        out.append(table(head, lines))
    return out


def others(run):
    """Tables of what has no products: a line an operation, a column a backend."""
    out = []
    for family in ("quantize", "convert", "blocks", "conv", "accuracy"):
        backends = run.backends(family)
        rows = [row for row in run.rows.values() if row.family == family and not row.limit and not row.peer and
                (family in ("accuracy", "blocks", "quantize", "convert") or not row.get("ops"))]
        if not rows:
            continue
        copy = next((row for row in run.rows.values() if row.family == family and row.who == "limit:memcpy"), None)
        names = list(dict.fromkeys((row.what, row.shape, unit(row)) for row in rows))
        head = [family + (f": part of memcpy, {number(speed(copy))} GB/s of float" if copy else "")] + backends + ["spread", "marks"]
        lines = []
        for what, shape, in_unit in names:
            own = {row.who: row for row in rows if (row.what, row.shape) == (what, shape)}
            first = next(own[b] for b in backends if b in own)
            peer = run.fastest_peer(first)
            marks = [f"{who}: {row.wrong or ', '.join(row.marks)}" for who, row in own.items() if row.marks or row.wrong]
            if peer:
                marks.append(f"{peer.peer_name} {peer.time * 1e3:.3g} ms, ratio {peer.time / first.time:.2f}")
            figures = {b: copy.time / own[b].time if copy else speed(own[b]) for b in backends if b in own and own[b].times}
            lines.append([what + ("" if copy else f", {first.size}, {in_unit}")] + [number(figures.get(b)) for b in backends] + [
                f"{100 * first.spread:.0f} %", "; ".join(marks)])
        out.append(table(head, lines))
    return out


def limits(run):
    lines = {}
    threads = sorted({int(m.group(1)) for key in run.context if (m := re.search(r"^limit .*threads:(\d+)$", key))})
    for key, value in run.context.items():
        if key.startswith("limit "):
            name, count = key.removeprefix("limit ").rsplit(", threads:", 1)
            lines.setdefault(name, {})[int(count)] = float(value) * 1e-9
    if not lines:
        return ""
    return table(["limits: GOP/s, GB/s"] + [f"threads:{t}" for t in threads],
                 [[name] + [number(values.get(t)) for t in threads] for name, values in lines.items()])


def report(run):
    """The whole page."""
    c = run.context
    load = ", ".join(f"{x:.1f}" for x in c.get("load_avg", []))
    out = [f"# nibble {c.get('nibble', '')} on {c.get('cpu', '')}\n",
           "{microarchitecture}, {cores} cores, caches L1d {cache_L1d}, L2 {cache_L2}, L3 {cache_L3}. {compiler}, {flags}, commit "
           "{commit}, {date}, load average {load}.\n".format_map(collections.defaultdict(str, c, load=load))]
    if run.busy():
        out.append(f"**{run.busy()}**\n")
    out += [f"- {key.removeprefix('peer ')}: {value}" for key, value in c.items() if key.startswith("peer ")]
    out.append("")
    read, half = c.get("limit read, memory, threads:1"), c.get("limit read, half_memory, threads:1")
    if read and half and float(half) > 1.1 * float(read):
        out.append("**Half of the memory was read more than a tenth faster: the machine was busy, or its caches hold too much of it.**\n")
    if text := limits(run):
        out.append(text)
    out.append("Medians of the repetitions. Spread: how far the middle half of them reaches. *: weights from memory. Of limit: of the "
               "loop that only multiplies (peak) or only reads (read), whichever is nearer. Ratio: time of the fastest peer whose result "
               "is right / time of the first backend; above 1 nibble is faster.\n")
    out += products(run) + others(run)
    return "\n".join(out)
