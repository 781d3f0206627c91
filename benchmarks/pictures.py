"""Pictures of results, in SVG."""
import math

import results

# What shares a colour: the beginnings of the names of products.
CLASSES = [("floats of 32 and 16 bits", "#4c78a8", ("float_x_float", "float_x_half", "float_x_bfloat16")),
           ("float x int8", "#e45756", ("float_x_int8",)),
           ("integers to int32", "#b279a2", ("uint8_x", "int8_x", "uint7_x")),
           ("float x int4", "#f58518", ("float_x_int4",)),
           ("ggml's blocks of 6 and 8 bits", "#8c6d31", ("float_x_q6", "float_x_q8")),
           ("ggml's blocks of 4 bits", "#54a24b", ("float_x_",))]
GREY, PALE, PEER, WRONG = "#777", "#e4e4e4", "#b8b8b8", "#d62728"


class Svg:
    def __init__(self, width, height):
        self.width, self.height, self.body = width, height, []
        self.rectangle(0, 0, width, height, "white")

    def rectangle(self, x, y, width, height, fill):
        self.body.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}"/>')

    def line(self, x1, y1, x2, y2, colour, width=1.0, dashes="none"):
        self.body.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}" '
                         f'stroke-dasharray="{dashes}"/>')

    def circle(self, x, y, radius, fill, stroke):
        self.body.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{fill}" stroke="{stroke}" stroke-width="1.5"/>')

    def text(self, x, y, words, size=13, fill="#222", anchor="start", bold=False, turned=0.0):
        words = words.replace("&", "&amp;").replace("<", "&lt;")
        self.body.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}" text-anchor="{anchor}" '
                         f'font-weight="{"bold" if bold else "normal"}"' +
                         (f' transform="rotate({turned:.1f} {x:.1f} {y:.1f})"' if turned else "") + f">{words}</text>")

    def __str__(self):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:.0f} {self.height:.0f}" width="{self.width:.0f}" '
                f'height="{self.height:.0f}" font-family="sans-serif">\n' + "\n".join(self.body) + "\n</svg>\n")


def apart(labels, distance):
    """Labels (y, words), moved down so that they stand clear of each other."""
    labels.sort()
    for i in range(1, len(labels)):
        labels[i] = (max(labels[i][0], labels[i - 1][0] + distance), labels[i][1])
    return labels


def roofline(run):
    """What the machine allows, and where the products of the newest backend stand, one thread."""
    backend = (run.backends("gemm") + run.backends("gemv") + run.backends() + [""])[0]
    left, right, top, bottom = 70, 770, 70, 630
    picture = Svg(1000, 700)
    picture.text(left, 30, f"{run.context.get('cpu', '')}: what it allows and what nibble reaches", 18, bold=True)
    picture.text(left, 52, f"{backend}, 1 thread, medians; a circle is a product of one shape, hollow if its weights come from memory",
                 fill=GREY)
    mixes = {key.split(": ", 1)[1].rsplit(", threads:", 1)[0]: float(value) * 1e-9 for key, value in run.context.items()
             if key.startswith(f"limit ops, {backend}: ") and key.endswith("threads:1")}
    most = max(mixes.values(), default=1000.0)
    low_x, high_x, low_y, high_y = 0.25, 16384, 10, 2 * most

    def at_x(v):
        return left + (right - left) * math.log(min(max(v, low_x), high_x) / low_x) / math.log(high_x / low_x)

    def at_y(v):
        return bottom - (bottom - top) * math.log(max(v, low_y) / low_y) / math.log(high_y / low_y)

    v = low_y
    while v <= high_y * 1.01:
        picture.line(left, at_y(v), right, at_y(v), PALE)
        picture.text(left - 8, at_y(v) + 4, f"{v:.0f}", anchor="end")
        v *= 10
    v = low_x
    while v <= high_x:
        picture.line(at_x(v), top, at_x(v), bottom, PALE)
        picture.text(at_x(v), bottom + 18, f"{v:.2f}" if v < 1 else f"{v:.0f}", anchor="middle")
        v *= 4
    picture.text((left + right) / 2, bottom + 44, "operations for a byte of weights (2 m n k / bytes)", anchor="middle")
    picture.text(22, (top + bottom) / 2, "GOP/s", anchor="middle", turned=-90)
    for gops in mixes.values():
        picture.line(left, at_y(gops), right, at_y(gops), "#222", 1.2, "6 3")
    labels = apart([(at_y(gops) + 4, f"{gops:.0f} {mix}") for mix, gops in mixes.items()], 16)
    for y, words in labels:
        picture.text(right + 8, y, words, 12)
    for level, at in (("memory", 0.3), ("L3", 0.9), ("L2", 0.3)):
        read = (run.best_read(1) if level == "memory" else run.limit(f"read, {level}", 1)) * 1e-9
        if not read:
            continue
        begin, end = max(low_x, low_y / read), min(high_x, most / read)
        picture.line(at_x(begin), at_y(begin * read), at_x(end), at_y(end * read), "#222", 1.2)
        angle = -math.degrees(math.atan2(at_y(100) - at_y(200), at_x(2) - at_x(1)))
        at = max(begin, at)
        picture.text(at_x(at), at_y(at * read) - 6, f"{level} {read:.0f} GB/s", 12, turned=angle)
    legend = max([300.0] + [y + 30 for y, _ in labels])
    products = [row for row in run.rows.values() if row.family in ("gemm", "gemv") and row.who == backend and row.threads == 1
                and row.get("ops")]
    for title, colour, names in CLASSES:
        of_class = [row for row in products if row.what.startswith(names)]
        products = [row for row in products if not row.what.startswith(names)]
        for row in of_class:
            x, y = at_x(row.get("ops") / row.get("bytes")), at_y(row.get("ops") * 1e-9)
            picture.circle(x, y, 4, "white" if row.memory else colour, colour)
        if of_class:
            picture.circle(right + 16, legend, 5, colour, colour)
            picture.text(right + 28, legend + 4, title)
            legend += 20
    return str(picture)


SHOWN = [("m:1/n:4096/k:4096", True), ("m:16/n:4096/k:4096", True), ("m:1024/n:1024/k:1024", False)]
KINDS = ["float_x_float", "float_x_int8", "uint8_x_int8_to_int32", "float_x_int4_g32", "float_x_int4_g128", "float_x_q8_0", "float_x_q4_0",
         "float_x_q4_K", "float_x_q6_K", "float_x_iq4_nl", "float_x_mxfp4"]


def peers(run):
    """nibble beside its peers, one thread."""
    backend = (run.backends("gemm") + run.backends("gemv") + [""])[0]
    panel, names, line, top = 320, 172, 17, 96
    bars = panel - names - 44

    def rows_of(what, shape, memory):
        rows = [row for row in run.rows.values() if row.what == what and (row.shape, row.memory) == (shape, memory) and row.threads == 1
                and not row.limit and (row.peer or row.who == backend)]
        return sorted(rows, key=lambda row: (bool(row.peer), not row.times, row.time))

    heights = {what: max(len(rows_of(what, *shown)) for shown in SHOWN) for what in KINDS}
    picture = Svg(1000, top + sum(line * h + 40 for h in heights.values() if h) + 20)
    picture.text(20, 30, f"{run.context.get('cpu', '')}: nibble ({backend}) beside other libraries, GOP/s", 18, bold=True)
    picture.text(20, 52, "1 thread, medians of repetitions in random order, longer is faster. Red: its result is wrong. "
                 "Grey text: not from memory.", fill=GREY)
    for c, (shape, memory) in enumerate(SHOWN):
        size = " x ".join(part.split(":")[1] for part in shape.split("/"))
        picture.text(20 + 325 * c, 80, size + (", from memory" if memory else ", in cache"), 14, bold=True)
    y = top
    for what in KINDS:
        for c, shown in enumerate(SHOWN):
            rows = rows_of(what, *shown)
            if not rows:
                continue
            x = 20 + 325 * c
            picture.text(x, y + 14, what, fill=GREY, bold=True)
            longest = max([results.speed(row) for row in rows if row.times] or [1])
            for i, row in enumerate(rows):
                at, own = y + 22 + line * i, not row.peer
                name = "nibble" if own else f"{results.PEERS.get(row.peer, row.peer)} {row.kernel}".replace("ONNX Runtime", "ORT")
                for long, short in (("MatMulInteger_", ""), ("DynamicQuantizeMatMul", "dynamic"), (" product", ""), (" matmul", ""),
                                    ("_repacked", ", repacked"), ("_x_", " x ")):
                    name = name.replace(long, short)
                fill = WRONG if row.wrong else GREY if "not from memory" in row.marks else "#222"
                picture.text(x + names - 8, at + 10, name, 12, fill, "end", own)
                if not row.times:
                    picture.text(x + names, at + 10, "wrong", 12, fill)
                    continue
                length = bars * results.speed(row) / longest
                picture.rectangle(x + names, at, length, line - 4, CLASSES[0][1] if own else PEER)
                picture.text(x + names + length + 4, at + 10, results.number(results.speed(row)), 12, fill, bold=own)
        y += line * heights[what] + 40 if heights[what] else 0
    return str(picture)


def comparison(names, classes):
    """classes: {class: [[ratio to the first, ...] of each other file]}; a bar to the geometric mean, a dot for every benchmark."""
    left, right, line = 250, 880, 18
    height = 90 + 20 * len(names) + sum(line * len(ratios) + 10 for ratios in classes.values())
    picture = Svg(1000, height)
    picture.text(20, 30, f"Speed beside {names[0]}", 18, bold=True)
    picture.text(20, 52, "A bar ends at the geometric mean of a class, dots are its benchmarks; right of the line is faster.", fill=GREY)
    for i, name in enumerate(names[1:]):
        picture.rectangle(20, 64 + 20 * i, 13, 13, CLASSES[i % len(CLASSES)][1])
        picture.text(40, 75 + 20 * i, name)
    reach = max([1.2] + [max(r, 1 / r) for ratios in classes.values() for each in ratios for r in each])

    def at_x(ratio):
        return left + (right - left) * (math.log(ratio) / math.log(reach) + 1) / 2

    y = 80 + 20 * len(names)
    for ratio in (1 / reach, 1, reach):
        picture.line(at_x(ratio), y - 10, at_x(ratio), height - 10, PALE if ratio != 1 else "#222")
        picture.text(at_x(ratio), y - 14, f"{ratio:.2f}", 12, anchor="middle")
    for what, ratios in classes.items():
        picture.text(left - 12, y + line * len(ratios) / 2 + 4, what, 12, anchor="end")
        for i, each in enumerate(ratios):
            colour = CLASSES[i % len(CLASSES)][1]
            if each:
                mean = math.exp(sum(math.log(r) for r in each) / len(each))
                picture.rectangle(min(at_x(1), at_x(mean)), y, abs(at_x(mean) - at_x(1)), line - 5, colour)
                for ratio in each:
                    picture.circle(at_x(ratio), y + (line - 5) / 2, 2, "white", "#444")
                picture.text(right + 12, y + 10, f"{mean:.2f}", 12)
            y += line
        y += 10
    return str(picture)
