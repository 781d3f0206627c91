#!/usr/bin/python3
"""Train the byte-level language model of this example and write it as a GGUF file.

The model has the Llama architecture (RMSNorm, rotary positions, SwiGLU, no
biases) and reads bytes: a token's number is the byte's value, 256 in all, and
there is no tokenizer.  It is trained on the King James text.

Needs (Debian 12):
    apt install python3-torch python3-numpy bible-kjv bible-kjv-text
    apt install libopenblas0-openmp         # not required, but far faster

Usage:
    ./train.py                              train, write kjv-f16.gguf
    ./train.py --steps 300 --output x.gguf  a quick, worse model of the same shapes
    ./train.py --resume                     go on from the last checkpoint
    ./train.py --evaluate kjv-f16.gguf      validation loss of a file, and a sample
    ./train.py --text prepared.txt          only write the prepared text

The text, exactly:
    1. Run `bible -f gen1:1-rev22:21`.  It prints one verse a line, each line
       being a reference such as `Ge1:1`, one space, and the verse.
    2. From every line, drop everything up to and including the first space.
       The line's newline stays, so the result ends with a newline.
    3. With n = the number of bytes, the first floor(n * 95 / 100) bytes are
       the training text; the rest is the validation text.

The validation loss: the validation text is cut, from its start, into windows
of CONTEXT bytes that do not overlap (a shorter rest is dropped).  In each
window every byte but the first is predicted from the bytes before it in the
window; the loss is the mean of -ln(probability), in nats per byte, and the
perplexity is its exponential.
"""

import argparse
import math
import os
import struct
import subprocess
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

# The model.  All rows of all matrices are multiples of 256 long, so that every
# block format of GGUF fits.
VOCABULARY = 256
EMBEDDING = 256
LAYERS = 2
HEADS = 4
HEAD = EMBEDDING // HEADS
FEED_FORWARD = 768
CONTEXT = 256
RMS_EPSILON = 1e-5
ROPE_BASE = 10000.0

# The training.
SEED = 1611
STEPS = 8000
BATCH = 8
WARM_UP = 200
LEARNING_RATE = 1.5e-3
FINAL_RATE = 0.05  # of LEARNING_RATE
BETAS = (0.9, 0.99)
WEIGHT_DECAY = 0.1
CLIP = 1.0


# ---------------------------------------------------------------- the text


def prepared_text():
    """The whole text as bytes, prepared as the head of this file says."""
    raw = subprocess.run(["bible", "-f", "gen1:1-rev22:21"], check=True, stdout=subprocess.PIPE).stdout
    return b"".join(line.split(b" ", 1)[1] for line in raw.splitlines(keepends=True))


def split_text(text):
    """(training, validation), as tensors of byte values."""
    values = torch.from_numpy(np.frombuffer(text, dtype=np.uint8).astype(np.int64))
    cut = len(text) * 95 // 100
    return values[:cut], values[cut:]


# --------------------------------------------------------------- the model


class RMSNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(EMBEDDING))

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + RMS_EPSILON) * self.weight


def rotary_tables():
    """cos and sin of position * base^(-2i / HEAD), each [CONTEXT, 1, HEAD / 2]."""
    frequency = ROPE_BASE ** (-torch.arange(0, HEAD, 2) / HEAD)
    angle = torch.arange(CONTEXT)[:, None, None] * frequency
    return angle.cos(), angle.sin()


COS, SIN = rotary_tables()


def rotate(x):
    """Rotary positions on x [batch, time, heads, HEAD]: turns the pairs (2i, 2i + 1)."""
    even, odd = x[..., 0::2], x[..., 1::2]
    cos, sin = COS[: x.shape[1]], SIN[: x.shape[1]]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


def linear(inputs, outputs):
    return nn.Linear(inputs, outputs, bias=False)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn_norm = RMSNorm()
        self.attn_q = linear(EMBEDDING, EMBEDDING)
        self.attn_k = linear(EMBEDDING, EMBEDDING)
        self.attn_v = linear(EMBEDDING, EMBEDDING)
        self.attn_output = linear(EMBEDDING, EMBEDDING)
        self.ffn_norm = RMSNorm()
        self.ffn_gate = linear(EMBEDDING, FEED_FORWARD)
        self.ffn_up = linear(EMBEDDING, FEED_FORWARD)
        self.ffn_down = linear(FEED_FORWARD, EMBEDDING)

    def forward(self, x, mask):
        batch, length, _ = x.shape
        heads = (batch, length, HEADS, HEAD)
        h = self.attn_norm(x)
        q = rotate(self.attn_q(h).view(heads)).transpose(1, 2)
        k = rotate(self.attn_k(h).view(heads)).transpose(1, 2)
        v = self.attn_v(h).view(heads).transpose(1, 2)
        scores = (q * HEAD**-0.5) @ k.transpose(-1, -2) + mask
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, EMBEDDING)
        x = x + self.attn_output(mixed)
        h = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(h)) * self.ffn_up(h))


class Model(nn.Module):
    """Parameter names are those of GGUF's llama architecture, see gguf_name."""

    def __init__(self):
        super().__init__()
        self.token_embd = nn.Embedding(VOCABULARY, EMBEDDING)
        self.blk = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.output_norm = RMSNorm()
        self.output = linear(EMBEDDING, VOCABULARY)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                deviation = EMBEDDING**-0.5 * (0.5 if name.endswith(("attn_output.weight", "ffn_down.weight")) else 1)
                nn.init.normal_(parameter, std=deviation)

    def forward(self, tokens):
        """Logits [batch, time, VOCABULARY] of the byte after each given one."""
        length = tokens.shape[1]
        mask = torch.full((length, length), -math.inf).triu(1)
        x = self.token_embd(tokens)
        for layer in self.blk:
            x = layer(x, mask)
        return self.output(self.output_norm(x))


@torch.no_grad()
def evaluate(model, text):
    """Mean loss in nats per byte, as the head of this file defines it."""
    windows = text[: len(text) // CONTEXT * CONTEXT].view(-1, CONTEXT)
    total = 0.0
    for part in windows.split(16):
        logits = model(part)[:, :-1]
        total += F.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten(), reduction="sum").item()
    return total / (len(windows) * (CONTEXT - 1))


@torch.no_grad()
def generate(model, prompt, count, temperature=0.7):
    """The prompt (bytes) with `count` sampled bytes after it."""
    generator = torch.Generator().manual_seed(SEED)
    tokens = list(prompt)
    for _ in range(count):
        logits = model(torch.tensor([tokens[-CONTEXT:]]))[0, -1]
        tokens.append(torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator).item())
    return bytes(tokens)


# -------------------------------------------------------------------- GGUF

GGUF_U32, GGUF_F32, GGUF_STRING = 4, 6, 8  # types of metadata values
TENSOR_F32, TENSOR_F16 = 0, 1  # types of tensors
ALIGNMENT = 32

METADATA = (
    ("general.architecture", "llama"),
    ("general.name", "King James byte model"),
    ("general.file_type", 1),  # mostly F16
    ("general.quantization_version", 2),
    ("llama.context_length", CONTEXT),
    ("llama.embedding_length", EMBEDDING),
    ("llama.block_count", LAYERS),
    ("llama.feed_forward_length", FEED_FORWARD),
    ("llama.attention.head_count", HEADS),
    ("llama.attention.head_count_kv", HEADS),
    ("llama.rope.dimension_count", HEAD),
    ("llama.vocab_size", VOCABULARY),
    ("llama.attention.layer_norm_rms_epsilon", RMS_EPSILON),
    ("llama.rope.freq_base", ROPE_BASE),
    ("tokenizer.ggml.model", "none"),
)


def gguf_string(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()


def gguf_value(value):
    if isinstance(value, str):
        return struct.pack("<I", GGUF_STRING) + gguf_string(value)
    return struct.pack("<II", GGUF_U32, value) if isinstance(value, int) else struct.pack("<If", GGUF_F32, value)


def padding(length):
    return bytes(-length % ALIGNMENT)


def write_gguf(path, model):
    """GGUF version 3, little-endian: matrices as F16, vectors as F32."""
    tensors = list(model.state_dict().items())
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(METADATA))
    for key, value in METADATA:
        head += gguf_string(key) + gguf_value(value)
    data = b""
    for name, tensor in tensors:
        kind, dtype = (TENSOR_F16, "<f2") if tensor.dim() == 2 else (TENSOR_F32, "<f4")
        sizes = tensor.shape[::-1]  # innermost first
        head += gguf_string(name) + struct.pack("<I", len(sizes)) + struct.pack("<%dQ" % len(sizes), *sizes)
        head += struct.pack("<IQ", kind, len(data))
        values = tensor.numpy().astype(dtype).tobytes()
        data += values + padding(len(values))
    with open(path + ".part", "wb") as file:
        file.write(head + padding(len(head)) + data)
    os.replace(path + ".part", path)


def read_gguf(path):
    """The model in a file that write_gguf wrote."""
    with open(path, "rb") as file:
        content = file.read()
    at = 0

    def take(layout):
        nonlocal at
        values = struct.unpack_from("<" + layout, content, at)
        at += struct.calcsize("<" + layout)
        return values if len(values) > 1 else values[0]

    def take_string():
        return take("%ds" % take("Q")).decode()

    magic, version, tensors, entries = take("4sIQQ")
    assert magic == b"GGUF" and version == 3, "not a GGUF file of version 3"
    for _ in range(entries):
        key = take_string()
        value = {GGUF_U32: lambda: take("I"), GGUF_F32: lambda: take("f"), GGUF_STRING: take_string}[take("I")]()
        expected = dict(METADATA).get(key, value)
        same = value == (np.float32(expected) if isinstance(expected, float) else expected)
        assert same, "%s is %r, this script's model has %r" % (key, value, expected)
    infos = []
    for _ in range(tensors):
        name, dimensions = take_string(), take("I")
        infos.append((name, [take("Q") for _ in range(dimensions)][::-1], take("I"), take("Q")))
    start = at + len(padding(at))
    state = {}
    for name, shape, kind, offset in infos:
        dtype = {TENSOR_F16: "<f2", TENSOR_F32: "<f4"}[kind]
        values = np.frombuffer(content, dtype, math.prod(shape), start + offset).astype(np.float32)
        state[name] = torch.from_numpy(values.reshape(shape))
    model = Model()
    model.load_state_dict(state)
    return model


# ---------------------------------------------------------------- training


def learning_rate(step, steps):
    """Linear warm-up, then a cosine from LEARNING_RATE to FINAL_RATE of it."""
    warm_up = min(WARM_UP, steps // 5)
    if step < warm_up:
        return LEARNING_RATE * (step + 1) / warm_up
    done = (step - warm_up) / max(1, steps - warm_up)
    return LEARNING_RATE * (FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * done)))


def batch_of(text, step):
    """The inputs and targets of one step; they depend on SEED and the step only."""
    generator = torch.Generator().manual_seed(SEED * 1000000 + step)
    starts = torch.randint(len(text) - CONTEXT, (BATCH, 1), generator=generator)
    windows = text[starts + torch.arange(CONTEXT + 1)]
    return windows[:, :-1], windows[:, 1:]


def train(arguments):
    training, validation = split_text(prepared_text())
    print("%d training bytes, %d validation bytes" % (len(training), len(validation)))
    torch.manual_seed(SEED)
    model = Model()
    print("%d parameters" % sum(p.numel() for p in model.parameters()))
    matrices = [p for p in model.parameters() if p.dim() == 2]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=BETAS)
    first = 0
    if arguments.resume:
        saved = torch.load(arguments.checkpoint)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        first = saved["step"]

    began, running = time.time(), 0.0
    for step in range(first, arguments.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, arguments.steps)
        inputs, targets = batch_of(training, step)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()

        done = step + 1
        running += loss.item()
        if done % 100 == 0:
            print("step %5d  training %.4f  %.0f s" % (done, running / 100, time.time() - began), flush=True)
            running = 0.0
        if done % arguments.validate == 0 or done == arguments.steps:
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": done},
                       arguments.checkpoint)
            print("step %5d  validation %.4f" % (done, evaluate(model, validation)), flush=True)
    write_gguf(arguments.output, model)


def report(path):
    """Validation loss of a file's weights, and a sample."""
    model = read_gguf(path)
    loss = evaluate(model, split_text(prepared_text())[1])
    print("%s: %d bytes" % (path, os.path.getsize(path)))
    print("validation %.5f nats per byte, perplexity %.5f" % (loss, math.exp(loss)))
    print(generate(model, b"And the LORD said unto ", 500).decode("latin-1"))


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description="Train the byte-level language model, or check its file.")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--output", default=os.path.join(here, "kjv-f16.gguf"))
    parser.add_argument("--checkpoint", default="/tmp/kjv-checkpoint.pt")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument("--validate", type=int, default=1000, help="steps between validations and checkpoints")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--evaluate", metavar="GGUF", help="only check this file")
    parser.add_argument("--text", metavar="FILE", help="only write the prepared text")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.text:
        with open(arguments.text, "wb") as file:
            file.write(prepared_text())
    elif arguments.evaluate:
        report(arguments.evaluate)
    else:
        train(arguments)
        report(arguments.output)


if __name__ == "__main__":
    main()
