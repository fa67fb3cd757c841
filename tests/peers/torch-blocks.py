#!/usr/bin/env python3
"""The same functions in clade and in PyTorch (Debian's python3-torch), checked equal, then timed in turn.

    tests/peers/torch-blocks.py [--clade build/clade] [--threads 2] [--rounds 5]

For each function: weights and an input made here, written as safetensors and .npy, run through `clade run`, compared with
PyTorch's result; then rounds in which both are timed one after the other, each in a process of its own, whose luck with
memory moves PyTorch's time by a tenth. Printed is the median of the rounds' ratios (clade's time over PyTorch's), so that a
machine whose speed drifts is fair to both. Not part of the test suite.
"""
import argparse
import json
import math
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clade", default="build/clade")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--torch-only", nargs=4, metavar=("FUNCTION", "MODE", "WIDTH", "LENGTH"),
                        help="print PyTorch's seconds for one of them and end")
    return parser.parse_args()


# OpenBLAS and OpenMP count their threads when they are loaded: too late once numpy and torch are imported.
ARGUMENTS = parse()
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(ARGUMENTS.threads)
os.environ["OMP_WAIT_POLICY"] = "passive"

import numpy  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402


def write_safetensors(path, tensors):
    header, offset, blobs = {}, 0, []
    for name, tensor in tensors.items():
        data = tensor.detach().contiguous().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
        blobs.append(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def weight(*shape):
    return torch.randn(*shape) / math.sqrt(shape[-1])


def softmax_attention(w, x, heads):
    batch, length, width = x.shape
    q, k, v = (F.linear(x, w[f"mixer.{n}_proj.weight"], w.get(f"mixer.{n}_proj.bias")).view(batch, length, heads, -1)
               .transpose(1, 2) for n in "qkv")
    scores = q @ k.transpose(2, 3) / math.sqrt(width // heads)
    scores = scores.masked_fill(torch.ones(length, length, dtype=torch.bool).triu(1), float("-inf"))
    o = (scores.softmax(3) @ v).transpose(1, 2).reshape(batch, length, width)
    return F.linear(o, w["mixer.o_proj.weight"], w.get("mixer.o_proj.bias"))


def gpt_weights(width, length):
    w = {"position.weight": torch.randn(length, width) * 0.02}
    for n in "qkvo":
        w[f"mixer.{n}_proj.weight"], w[f"mixer.{n}_proj.bias"] = weight(width, width), torch.zeros(width)
    for norm in ("norm_1", "norm_2"):
        w[f"{norm}.weight"], w[f"{norm}.bias"] = torch.ones(width), torch.zeros(width)
    w["ffn.up_proj.weight"], w["ffn.up_proj.bias"] = weight(4 * width, width), torch.zeros(4 * width)
    w["ffn.down_proj.weight"], w["ffn.down_proj.bias"] = weight(width, 4 * width), torch.zeros(width)
    return w


def gpt(w, x, heads):
    width = x.shape[2]
    x = x + w["position.weight"][: x.shape[1]]
    x = x + softmax_attention(w, F.layer_norm(x, (width,), w["norm_1.weight"], w["norm_1.bias"]), heads)
    h = F.layer_norm(x, (width,), w["norm_2.weight"], w["norm_2.bias"])
    h = F.gelu(F.linear(h, w["ffn.up_proj.weight"], w["ffn.up_proj.bias"]))
    return x + F.linear(h, w["ffn.down_proj.weight"], w["ffn.down_proj.bias"])


def linear_attention(w, x, heads):
    """The masked form: eager PyTorch has no scan, and all running sums of outer products together do not fit."""
    batch, length, width = x.shape

    def project(name):
        y = F.linear(x, w[f"{name}_projection.weight"], w[f"{name}_projection.bias"])
        return y.view(batch, length, heads, -1).transpose(1, 2)

    q, k, v = F.elu(project("query")) + 1, F.elu(project("key")) + 1, project("value")
    scores = (q @ k.transpose(2, 3)).tril()
    o = (scores @ v) / (scores.sum(3, keepdim=True) + 1e-6)
    return F.linear(o.transpose(1, 2).reshape(batch, length, width), w["out_projection.weight"], w["out_projection.bias"])


def linear_weights(width, length):
    names = ("query_projection", "key_projection", "value_projection", "out_projection")
    w = {f"{n}.weight": weight(width, width) for n in names}
    w.update({f"{n}.bias": torch.zeros(width) for n in names})
    return w


# name: (variant, slot or None for the whole block, options, function, weights)
FUNCTIONS = {
    "gpt block": ("gpt", None, ["mixer.projections=separate", "mixer.bias=true", "mixer.output_bias=true", "activation=gelu"],
                  gpt, gpt_weights),
    "linear attention": ("linear-transformer", "mixer", [], linear_attention, linear_weights),
}


def options(names):
    return [word for name in ["mixer.heads=8", *names] for word in ("--set", name)]


def clade_seconds(arguments, variant, slot, names, mode, width, length):
    command = [arguments.clade, "bench", variant, "--mode", mode, "--length", str(length), "--width", str(width), "--threads",
               str(arguments.threads), "--budget", "0.5", "--json", "--no-store", *options(names)]
    results = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["results"]
    return results[0]["median_s"]


def difference(arguments, variant, slot, names, function, w, x, folder):
    """Relative distance between `clade run` and PyTorch on the same weights and input."""
    write_safetensors(f"{folder}/w.safetensors", w)
    numpy.save(f"{folder}/x.npy", x.detach().numpy())
    command = [arguments.clade, "run", variant, "--weights", f"{folder}/w.safetensors", "--input", f"{folder}/x.npy", "--output",
               f"{folder}/y.npy", *options(names)]
    if slot:
        command += ["--slot", slot]
    else:
        command += ["--set", f"position.length={x.shape[1]}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    ours, theirs = numpy.load(f"{folder}/y.npy"), function(w, x, 8).detach().numpy()
    return float(numpy.linalg.norm(ours - theirs) / numpy.linalg.norm(theirs))


def print_torch_seconds(name, mode, width, length):
    function, make = FUNCTIONS[name][3:]
    w, x = make(width, length), torch.randn(1, length, width)

    def once():
        if mode == "prefill":
            with torch.no_grad():
                function(w, x, 8)
        else:
            for tensor in [x, *w.values()]:
                tensor.requires_grad_(True)
                tensor.grad = None
            function(w, x, 8).sum().backward()

    once()
    times = []
    for _ in range(7):
        start = time.perf_counter()
        once()
        times.append(time.perf_counter() - start)
    print(statistics.median(times))


def torch_seconds(arguments, name, mode, width, length):
    command = [sys.executable, __file__, "--threads", str(arguments.threads), "--torch-only", name, mode, str(width),
               str(length)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    arguments = ARGUMENTS
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    if arguments.torch_only:
        name, mode, width, length = arguments.torch_only
        print_torch_seconds(name, mode, int(width), int(length))
        return
    settings = [("gpt block", "prefill", 512, 512), ("gpt block", "prefill", 512, 2048), ("gpt block", "train", 512, 512)]
    print("functions on the same tensors, relative difference:")
    with tempfile.TemporaryDirectory() as folder:
        for name, (variant, slot, names, function, make) in FUNCTIONS.items():
            w, x = make(512, 256), torch.randn(1, 256, 512)
            distance = difference(arguments, variant, slot, names, function, w, x, folder)
            print(f"  {name}: {distance:.1e}")
            if not distance < 1e-4:
                raise SystemExit(f"{name}: clade and PyTorch compute different functions")
    print(f"{'function':18} {'mode':8} {'width':>5} {'length':>6} {'clade':>10} {'torch':>10} {'ratio':>6}")
    for name, mode, width, length in settings:
        variant, slot, names = FUNCTIONS[name][:3]
        ours, theirs = [], []
        for _ in range(arguments.rounds):
            ours.append(clade_seconds(arguments, variant, slot, names, mode, width, length))
            theirs.append(torch_seconds(arguments, name, mode, width, length))
        ratio = statistics.median(a / b for a, b in zip(ours, theirs))
        print(f"{name:18} {mode:8} {width:5} {length:6} {statistics.median(ours) * 1e3:8.2f}ms "
              f"{statistics.median(theirs) * 1e3:8.2f}ms {ratio:6.2f}")


if __name__ == "__main__":
    main()
