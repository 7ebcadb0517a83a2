#!/usr/bin/env python3
"""The recipe of `icl train` in PyTorch, for machines with a GPU; writes a checkpoint of icl.h.

    python3 tools/train_torch.py --task 'garg(dense)' --dims 20 --pairs 41 --layers 12 --heads 8 \\
        --width 256 --steps 500000 --dims-start 5 --dims-every 2000 --pairs-start 11 --pairs-every 2000 \\
        --precision bf16 --compile --minutes 9 --resume -o dense.safetensors

Options have the names and meanings of `icl train`'s; prompts and first weights come from other random
numbers.  The state is a folder of files of at most 16 MiB, replaced as a whole: with --minutes and
--resume a long run is done in pieces, on the CPU to the same bits as in one go.  Needs torch and numpy.
"""
import json
import math
import os
import re
import signal
import sys
import time
import zlib
from types import SimpleNamespace

import torch
from torch import nn

from torch_model import (ACTIVATIONS, POSITIONS, Model, Parser, Task, check_weights, command, fused_attention,
                         generator, normal, raw, replace_file, shapes, typical, uniform, write_checkpoint)

PIECE = 16 << 20                                                    # bytes of a file of the state
FORMAT = "icl train_torch 1"
INIT, MEASURE = 1 << 40, 1 << 41                                    # streams beyond those of the steps

# ----- the state -----------------------------------------------------------------------------------

def save_state(folder, meta, tensors):
    """Every tensor in pieces under names of this step, then state.json, which makes them valid."""
    os.makedirs(folder, exist_ok=True)
    files = {}
    for kind, t in tensors.items():
        data = memoryview(raw(t))
        files[kind] = []
        for i in range(0, len(data), PIECE):
            piece = data[i:i + PIECE]
            name = f"{kind}.{meta['step']}.{i // PIECE}.bin"
            replace_file(os.path.join(folder, name), piece)
            files[kind].append([name, len(piece), zlib.crc32(piece)])
    text = json.dumps({"format": FORMAT, **meta, "files": files}, indent=1)
    replace_file(os.path.join(folder, "state.json"), text.encode())
    kept = {"state.json"}.union(name for pieces in files.values() for name, _, _ in pieces)
    ours = re.compile(r"([wmv]\.\d+\.\d+\.bin|state\.json)(\.tmp(\.[0-9a-f]{16})?)?")
    for name in os.listdir(folder):
        if ours.fullmatch(name) and name not in kept:
            os.remove(os.path.join(folder, name))

def load_state(folder, kinds="wmv"):
    """What state.json says, and the tensors [n] of these kinds: weights, first and second moments."""
    path, tensors = os.path.join(folder, "state.json"), {}
    with open(path) as f:
        try:
            meta = json.load(f)
        except ValueError as e:
            raise ValueError(f"{path}: not JSON: {e}") from None
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise ValueError(f"{path}: not a state of this program")
    for kind in kinds:
        data = bytearray()
        for name, size, crc in meta["files"][kind]:
            with open(os.path.join(folder, os.path.basename(name)), "rb") as f:
                piece = f.read()
            if len(piece) != size or zlib.crc32(piece) != crc:
                raise ValueError(f"{folder}/{name}: damaged")
            data += piece
        words = torch.frombuffer(data, dtype=torch.uint8).reshape(-1, 4)
        words = words if sys.byteorder == "little" else words.flip(1).contiguous()
        tensors[kind] = words.view(torch.float32).flatten()
    return meta, tensors

# ----- the recipe ----------------------------------------------------------------------------------

def shape_of(r):
    """The configuration of a recipe's model."""
    return SimpleNamespace(d=r["dims"], C=r["width"], H=r["heads"], L=r["layers"], n_out=r["n_out"],
                           n_positions=r["n_positions"], act=r["activation"], pos=r["positions"],
                           ln_eps=r["layer_norm_epsilon"])

def split(c, flat):
    """One block of floats as tensors by name, in the order of the checkpoint."""
    table = shapes(c)
    parts = flat.split([math.prod(s) for s in table.values()])
    return {name: part.view(shape) for (name, shape), part in zip(table.items(), parts)}

def first_weights(c, r):
    """Normal(init_sd), what ends a residual branch / sqrt(2 L); read-in and read-out uniform."""
    g, found = generator("cpu", r["seed"], INIT), []
    for name, shape in shapes(c).items():
        if name.startswith("_read"):
            t = (2 * uniform(g, *shape) - 1) / math.sqrt(c.C if "out" in name else c.d)
        elif name.endswith("bias"):
            t = torch.zeros(shape)
        elif len(shape) == 1:
            t = torch.ones(shape)
        else:
            t = r["init_sd"] / (math.sqrt(2 * c.L) if "c_proj" in name else 1) * normal(g, *shape)
        found.append(t.flatten())
    return torch.cat(found)

def learning_rate(r, step):
    """At the update that follows `step` others."""
    s, lr, warmup = step + 1, r["lr"], r["warmup"]
    if s <= warmup:
        return lr * s / warmup
    if r["schedule"] == "inverse-sqrt":
        return lr * math.sqrt(warmup / s)
    if r["schedule"] == "constant":
        return lr
    x = min(1, (s - warmup) / max(1, r["steps"] - warmup))
    left = 1 - x if r["schedule"] == "linear" else 0.5 * (1 + math.cos(math.pi * x))
    return lr * (r["lr_end"] + (1 - r["lr_end"]) * left)

def curriculum(r, step):
    """Inputs in use and pairs of the prompts of a step."""
    dims = r["dims_start"] + step // r["dims_every"] if r["dims_start"] else r["dims"]
    pairs = r["pairs_start"] + step // r["pairs_every"] * r["pairs_add"] if r["pairs_start"] else r["pairs"]
    return min(dims, r["dims"]), min(pairs, r["pairs"])

class Trainer:
    """Weights, gradient and moments are one block of floats each; the model's tensors look into them."""
    def __init__(self, r, device, compiled):
        self.r, self.device, self.c = r, torch.device(device), shape_of(r)
        self.task, self.model = Task(r["task"], r["dims"]), Model(self.c).to(device)
        self.w = first_weights(self.c, r).to(device)
        self.grad, self.m, self.v = (torch.zeros_like(self.w) for _ in range(3))
        tensors, grads = split(self.c, self.w), split(self.c, self.grad)
        for name, p in self.model.named_parameters():
            p.data, p.grad = tensors[name], grads[name]
        for block in self.model._backbone.h:
            block.attend = fused_attention
        self.step = 0
        # updates, skipped steps, and those in a row; on the device, so that no step waits for it
        self.counts = torch.zeros(3, dtype=torch.float64, device=device)
        self.most_bad = torch.zeros((), dtype=torch.float64, device=device)    # in a row, so far
        torch.set_float32_matmul_precision("high" if r["precision"] == "tf32" else "highest")
        self.loss_of = torch.compile(self.loss) if compiled else self.loss
    def loss(self, xs, ys):
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.r["precision"] == "bf16"):
            preds = self.model(xs, ys)
        return (preds.float() - ys).square().mean()
    def train_step(self):
        """One batch and one update; the loss before it, a tensor."""
        dims, pairs = curriculum(self.r, self.step)
        g = generator(self.device, self.r["seed"], self.step)
        xs, ys = self.task.sample(g, self.r["batch"], pairs, dims)
        self.grad.zero_()
        loss = self.loss_of(xs, ys)
        loss.backward()
        self.update(loss.detach(), learning_rate(self.r, self.step))
        self.step += 1
        return loss.detach()
    @torch.no_grad()
    def update(self, loss, lr):
        """Adam as PyTorch counts it, decoupled decay; a step that is not finite changes nothing:
        p -= lr wd p;  p -= lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)."""
        r, norm = self.r, self.grad.norm()
        ok = loss.isfinite() & (norm <= 1e30)
        self.counts += torch.stack([ok, ~ok, ~ok])
        self.counts[2] *= ~ok
        self.most_bad = torch.maximum(self.most_bad, self.counts[2])
        c1, c2 = (1 - beta ** self.counts[0].clamp(min=1) for beta in (r["beta1"], r["beta2"]))
        g = self.grad
        if r["clip"]:
            g = g * torch.where(norm > r["clip"], r["clip"] / (norm + 1e-6), 1.0)
        m = self.m + (1 - r["beta1"]) * (g - self.m)
        v = r["beta2"] * self.v + (1 - r["beta2"]) * g * g
        w = self.w * (1 - lr * r["weight_decay"])
        w = w - (lr / c1).float() * m / (v.sqrt() / c2.sqrt().float() + r["epsilon"])
        for old, new in ((self.w, w), (self.m, m), (self.v, v)):
            old.copy_(torch.where(ok, new, old))
    def save(self, folder):
        meta = {"recipe": self.r, "step": self.step, "counts": self.counts.tolist()}
        save_state(folder, meta, {"w": self.w, "m": self.m, "v": self.v})
    def load(self, folder):
        meta, tensors = load_state(folder)
        for key, value in self.r.items():
            was = meta["recipe"].get(key)
            if was != value and (key != "steps" or self.r["schedule"] in ("cosine", "linear")):
                raise ValueError(f"{folder} is of a run with {key} {was}, not {value}")
        for kind, t in tensors.items():
            getattr(self, kind).copy_(t)
        self.step = meta["step"]
        self.counts.copy_(torch.tensor(meta["counts"]))

def export(path, r, w, device="cpu"):
    """Weights w [n] as a checkpoint, with the task and icl.typical."""
    c, task = shape_of(r), Task(r["task"], r["dims"])
    weights = check_weights(c, split(c, w))
    model = Model(c).to(device)
    model.load_state_dict(weights)
    figures = typical(model, task, r["pairs"], r["seed"], MEASURE, device)
    write_checkpoint(path, c, weights, str(task), figures)

def export_state(folder, path):
    """The checkpoint of a state folder, of which state.json and the files w.* are enough."""
    meta, tensors = load_state(folder, "w")
    export(path, meta["recipe"], tensors["w"])

# ----- the command ---------------------------------------------------------------------------------

def options(argv):
    p = Parser("train_torch", description=__doc__.split("\n\n")[0])
    recipe = {}
    def add(name, kind, default, text, low=0, high=math.inf, **more):
        def checked(text):
            v = kind(text)
            if not low <= v <= high:
                raise ValueError
            return v
        checked.__name__ = {int: "whole number", float: "number"}.get(kind, "text")
        key = name.strip("-").replace("-", "_")
        text = text if default in (None, 0) else f"{text} (%(default)s)"
        p.add_argument(name, type=kind if kind is str else checked, default=default, help=text, **more)
        recipe[key] = None
    add("--task", str, None, "function classes, in the language of icl_train.h", required=True)
    add("--dims", int, None, "inputs of a function", 1, 4096, required=True)
    add("--pairs", int, None, "pairs of a prompt", 1, 1 << 20, required=True)
    add("--steps", int, None, "optimizer steps", 1, 1 << 40, required=True)
    add("--seed", int, 0, "of weights and prompts", 0, 2 ** 64 - 1)
    add("--layers", int, 3, "decoder blocks", 1, 512)
    add("--heads", int, 2, "attention heads, a divisor of the width", 1, 4096)
    add("--width", int, 64, "width of the residual stream", 1, 1 << 16)
    add("--positions", str, "absolute", "position embedding", choices=POSITIONS)
    add("--n-positions", int, 0, "tokens that the model is made for; otherwise 2 PAIRS - 1", 1, 1 << 24)
    add("--activation", str, "gelu_new", "of the MLP", choices=list(ACTIVATIONS))
    add("--n-out", int, 1, "rows of the read-out, 1 or d", 1, 4096)
    add("--layer-norm-epsilon", float, 1e-5, "of LayerNorm", 1e-30, 0.1)
    add("--init-sd", float, 0.02, "of the first weights of the blocks", 1e-30, 10)
    add("--batch", int, 64, "prompts a step", 1, 1 << 24)
    add("--lr", float, 1e-4, "learning rate, or its peak", 1e-30, 10)
    add("--schedule", str, "constant", "of the learning rate",
        choices=["constant", "inverse-sqrt", "cosine", "linear"])
    add("--warmup", int, 0, "steps of linear warm-up; inverse-sqrt has 5000 otherwise")
    add("--lr-end", float, 0, "cosine, linear: share of the rate at the last step", 0, 1)
    add("--beta1", float, 0.9, "Adam", 0, 0.999999)
    add("--beta2", float, 0.999, "Adam", 0, 0.999999)
    add("--epsilon", float, 1e-8, "Adam", 1e-30, 1)
    add("--weight-decay", float, 0, "AdamW, decoupled", 0, 10)
    add("--clip", float, 0, "largest norm of the gradient; 0 is no limit", 0, 1e9)
    add("--dims-start", int, 0, "curriculum: inputs in use at first", 1, 4096)
    add("--dims-every", int, 0, "... and one more every so many steps", 1)
    add("--pairs-start", int, 0, "curriculum: pairs at first", 1, 1 << 20)
    add("--pairs-add", int, 2, "... and so many more", 1, 1 << 20)
    add("--pairs-every", int, 0, "... every so many steps", 1)
    add("--precision", str, "fp32", "of the matrix products", choices=["fp32", "tf32", "bf16"])
    keys = list(recipe)
    add("--max-bad", int, 10, "give up after so many steps in a row that are not finite", 1)
    add("--save-every", int, 1000, "steps between saves", 1)
    add("--minutes", float, None, "stop after so many, with the state saved")
    p.add_argument("-o", metavar="OUT.safetensors", help="the checkpoint to write")
    p.add_argument("--state", metavar="FOLDER", help="of the training state; otherwise OUT.torch")
    p.add_argument("--resume", action="store_true", help="go on from the state, if it is there")
    p.add_argument("--force", action="store_true", help="start over where there is a state")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="(%(default)s)")
    p.add_argument("--threads", type=int, default=1, help="of PyTorch on the CPU (%(default)s)")
    p.add_argument("--compile", action="store_true", help="with torch.compile")
    o = p.parse_args(argv)
    for a, b in (("dims_start", "dims_every"), ("pairs_start", "pairs_every")):
        if not getattr(o, a) != (not getattr(o, b)):
            p.error(f"--{a} and --{b} go together".replace("_", "-"))
    o.n_positions = o.n_positions or 2 * o.pairs - 1
    o.warmup = o.warmup or (5000 if o.schedule == "inverse-sqrt" else 0)
    o.state = o.state or o.o and o.o + ".torch"
    for wrong, text in ((not o.state, "-o or --state is required"),
                        (o.lr_end and o.schedule not in ("cosine", "linear"),
                         "--lr-end is for --schedule cosine or linear"),
                        (o.width % o.heads, "--heads does not divide --width"),
                        (o.dims_start > o.dims, "--dims-start is above --dims"),
                        (o.pairs_start > o.pairs, "--pairs-start is above --pairs"),
                        (o.positions == "absolute" and o.n_positions < 2 * o.pairs - 1,
                         "fewer --n-positions than tokens"),
                        (o.positions == "sinusoidal" and (o.width % 2 or o.width < 4),
                         "sinusoidal positions need an even width of 4 or more"),
                        (o.n_out not in (1, o.dims), "--n-out is neither 1 nor --dims"),
                        (o.resume and o.force, "--resume and --force contradict each other")):
        if wrong:
            p.error(text)
    try:
        o.task = str(Task(o.task, o.dims))
        torch.empty(0, device=o.device)
    except (ValueError, RuntimeError, AssertionError) as e:
        p.error(str(e).splitlines()[0])
    return o, {k: getattr(o, k) for k in keys}

def say(t, first, started, losses):
    """A line; returns how many steps in a row were not finite, at most."""
    skipped = t.counts[1].item()
    rate = (t.step - first) / (time.monotonic() - started)
    print(f"step {t.step}/{t.r['steps']}  loss {torch.stack(losses).mean().item():.4g}  "
          f"lr {learning_rate(t.r, t.step - 1):.3g}  " + f"skipped {skipped:.0f}  " * (skipped > 0)
          + f"{rate:.3g} steps/s  {(t.r['steps'] - t.step) / rate / 60:.1f} min left",
          file=sys.stderr, flush=True)
    return t.most_bad.item()

def run(o, r, started):
    there = os.path.exists(os.path.join(o.state, "state.json"))
    if there and not o.resume and not o.force:
        raise ValueError(f"{o.state} is there already: --resume goes on from it, --force starts over")
    torch.set_num_threads(max(1, o.threads))
    t, stop = Trainer(r, o.device, o.compile), []
    if there and o.resume:
        t.load(o.state)
    for s in (signal.SIGINT, signal.SIGTERM):                       # the second one ends the process
        signal.signal(s, lambda n, _: (stop.append(n), signal.signal(n, signal.SIG_DFL)))
    first, began, shown, losses, bad = t.step, time.monotonic(), time.monotonic(), [], 0
    print(f"{t.w.numel()} parameters on {o.device}, {r['precision']}, from step {first}", file=sys.stderr)
    late = lambda: o.minutes is not None and time.monotonic() - started > 60 * o.minutes
    while t.step < r["steps"] and not stop and not late():
        losses = losses[-99:] + [t.train_step()]                    # the mean of the last hundred is shown
        if time.monotonic() - shown > 5 or t.step == r["steps"]:
            bad, shown = say(t, first, began, losses), time.monotonic()
        if bad >= o.max_bad:
            t.save(o.state)                     # steps that are not finite change no weights
            raise ValueError("loss or gradient not finite too often; stopped, the last good weights "
                             f"are in {o.state}")
        if t.step % o.save_every == 0 and t.step < r["steps"]:
            t.save(o.state)
    t.save(o.state)
    if o.o:
        export(o.o, r, t.w, o.device)
        print(f"wrote {o.o}", file=sys.stderr)
    if t.step < r["steps"]:
        print(f"stopped after step {t.step}; --resume goes on from there", file=sys.stderr)
    return 130 if stop else 0

def main(argv=None):
    started = time.monotonic()
    o, recipe = options(argv)
    return command("train_torch", lambda: run(o, recipe, started))

if __name__ == "__main__":
    sys.exit(main())
