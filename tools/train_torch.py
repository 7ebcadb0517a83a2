#!/usr/bin/env python3
"""The recipe of `icl train` in PyTorch, for machines with a GPU; writes a checkpoint of icl.h.

    python3 tools/train_torch.py --task 'garg(dense)' --dims 20 --pairs 41 --layers 12 --heads 8 \\
        --width 256 --steps 500000 --dims-start 5 --dims-every 2000 --pairs-start 11 --pairs-every 2000 \\
        --precision bf16 --compile --minutes 9 --resume -o dense.safetensors

Options have the names, meanings and defaults of `icl train`'s, which is asked for what is not given.  Prompts and first weights are the same bits, drawn
by icl_train.h itself on the CPU, one step ahead; so the losses are the same but for rounding.  The state is
a folder of files of at most 16 MiB, replaced as a whole: with --minutes and --resume a long run is done in
pieces, on the CPU to the same bits as in one go.  Needs torch, numpy, make and a C compiler, --from also
safetensors.
"""
import concurrent.futures
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
import zlib
from types import SimpleNamespace

from torch_model import (ACTIVATIONS, POSITIONS, TOKENS, Model, Parser, Task, check_levels, check_weights,
                         command, draws, fused_attention, level_text, losses, make, number, raw, read_checkpoint,
                         read_levels, replace_file, shapes, token_size, typical, write_checkpoint)
import torch

PIECE = 16 << 20                                                    # bytes of a file of the state
FORMAT = "icl train_torch 2"
INIT = 1 << 40                                                      # stream of the first weights

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
                           n_positions=r["n_positions"], act=r["activation"],
                           pos="absolute" if r["positions"] == "learned" else r["positions"],
                           ln_eps=r["layer_norm_epsilon"], tokens=r["tokens"],
                           quantiles=read_levels(r["quantiles"]) if r["quantiles"] else ())

def task_of(r):
    """The mixture of a recipe, with the way its prompts are drawn as icl_sampling_parse reads it."""
    how = [f"inputs={r['x']}", f"x_scale={number(r['x_scale'])}", f"y_scale={number(r['y_scale'])}",
           f"order={r['order']:d}", f"standardize={r['standardize']:d}"]
    return Task(r["task"], r["dims"], " ".join(how))

def recipe_text(r, step):
    """icl.recipe, as icl_train.h writes it."""
    return (f"steps={number(step)} batch={number(r['batch'])} pairs={number(r['pairs'])} "
            f"optimizer={r['optimizer']} lr={number(r['lr'])} schedule={r['schedule']} "
            f"warmup={number(r['warmup'])} init_sd={number(r['init_sd'])} seed={number(r['seed'])}"
            + (f" hint={number(r['hint'])} hint_layer={r['hint_layer']}" if r["hint"] else "")
            + " from=another-model" * bool(r["from"]))

def split(c, flat):
    """One block of floats as tensors by name, in the order of the checkpoint."""
    table = shapes(c)
    parts = flat.split([math.prod(s) for s in table.values()])
    return {name: part.view(shape) for (name, shape), part in zip(table.items(), parts)}

def first_weights(c, r):
    """Normal(init_sd), what ends a residual branch / sqrt(2 L); read-in and read-out uniform(1 /
    sqrt(inputs)).  Those of icl train bit for bit, computed in float32 like there."""
    sd, found = torch.tensor(r["init_sd"]), []
    for i, (name, shape) in enumerate(shapes(c).items()):
        n = math.prod(shape)
        if name.startswith("_read"):
            root = torch.tensor(float(c.C if "out" in name else token_size(c))).sqrt()
            t = (2 * draws("uniform", r["seed"], INIT, i, n) - 1) / root
        elif name.endswith("bias") or len(shape) == 1:
            t = torch.full((n,), float(not name.endswith("bias")))
        else:
            scale = sd / torch.tensor(2.0 * c.L).sqrt() if "c_proj" in name else sd
            t = scale * draws("normal", r["seed"], INIT, i, n)
        found.append(t)
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

def orthogonalize(x):
    """x [m, n], m <= n, to a matrix with the same singular vectors and singular values near 1: five times
    A = X X';  X = a X + (b A + c A A) X  with the coefficients of Jordan et al. (Muon, 2024)."""
    for _ in range(5):
        A = x @ x.T
        B = -4.7750 * A + 2.0315 * (A @ A)
        B.diagonal().add_(3.4445)
        x = B @ x
    return x

def muon_step(w, m, g, lr, mu, decay):
    """Updates w and m [rows, cols] in place, as icl__muon_step:  m = mu m + g;
    O = orthogonalize(g + mu m);  w = (1 - lr decay) w - lr 0.2 sqrt(max(rows, cols)) O."""
    m.mul_(mu).add_(g)
    x = g + mu * m
    x = x if x.shape[0] <= x.shape[1] else x.T
    norm = x.norm()
    x = orthogonalize(x / torch.where(norm > 0, norm, 1.0))
    x = x if g.shape[0] <= g.shape[1] else x.T
    new = (1 - lr * decay) * w - lr * 0.2 * math.sqrt(max(g.shape)) * x
    w.copy_(torch.where(norm > 0, new, w))

class Trainer:
    """Weights, gradient and moments are one block of floats each; the model's tensors look into them."""
    def __init__(self, r, device, compiled, weights=None):
        self.r, self.device, self.c = r, torch.device(device), shape_of(r)
        self.task, self.model = task_of(r), Model(self.c).to(device)
        weights = first_weights(self.c, r) if weights is None else weights
        self.w = weights.clone().to(device)
        self.grad, self.m, self.v = (torch.zeros_like(self.w) for _ in range(3))
        self.ahead, self.coming = concurrent.futures.ThreadPoolExecutor(1), None
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
    def loss(self, xs, ys, hints=None):
        """What is minimized, and the squared error."""
        told = None
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.r["precision"] == "bf16"):
            if hints is None:
                answers = self.model.answers(xs, ys)
            else:
                answers, told = self.model.answers_and_hint(xs, ys, self.r["hint_layer"])
        total, squared = losses(self.c, answers.float(), ys)
        if told is not None:
            off = told.float()[:, :, :hints.shape[1]] - hints[:, None]
            total = total + self.r["hint"] / ys.numel() * off.square().sum()
        return total, squared
    def draw(self, step):
        dims, pairs = curriculum(self.r, step)
        probe = self.r["x_scale"] if self.r["hint"] else 0
        return step, self.task.sample(self.r["seed"], step, 0, self.r["batch"], pairs, dims, probe)
    def batch(self):
        """The prompts of this step; those of the next one are drawn meanwhile."""
        step, prompts = self.coming.result() if self.coming else (None, None)
        if step != self.step:
            _, prompts = self.draw(self.step)
        self.coming = self.ahead.submit(self.draw, self.step + 1)
        return (t.to(self.device) for t in prompts)
    def train_step(self):
        """One batch and one update; the squared error before it, a tensor."""
        prompts = self.batch()
        self.grad.zero_()
        loss, squared = self.loss_of(*prompts)
        loss.backward()
        squared = squared.detach()
        self.update(squared, learning_rate(self.r, self.step))
        self.step += 1
        return squared
    @torch.no_grad()
    def update(self, loss, lr):
        """One step of Adam or Muon; one that is not finite changes nothing."""
        norm = self.grad.norm()
        ok = loss.isfinite() & (norm <= 1e30)
        self.counts += torch.stack([ok, ~ok, ~ok])
        self.counts[2] *= ~ok
        self.most_bad = torch.maximum(self.most_bad, self.counts[2])
        g = self.grad
        if self.r["clip"]:
            g = g * torch.where(norm > self.r["clip"], self.r["clip"] / (norm + 1e-6), 1.0)
        w, m, v = self.adam(g, lr)
        if self.r["optimizer"] == "muon":
            self.muon(w, m, v, g, lr)
        for old, new in ((self.w, w), (self.m, m), (self.v, v)):
            old.copy_(torch.where(ok, new, old))
    def adam(self, g, lr):
        """New weights and moments, as PyTorch counts them, decoupled decay:
        p -= lr wd p;  p -= lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)."""
        r = self.r
        c1, c2 = (1 - beta ** self.counts[0].clamp(min=1) for beta in (r["beta1"], r["beta2"]))
        m = self.m + (1 - r["beta1"]) * (g - self.m)
        v = r["beta2"] * self.v + (1 - r["beta2"]) * g * g
        w = self.w * (1 - lr * r["weight_decay"])
        return w - (lr / c1).float() * m / (v.sqrt() / c2.sqrt().float() + r["epsilon"]), m, v
    def muon(self, w, m, v, g, lr):
        """Muon's weights and momentum for the matrices of the blocks, in place of Adam's in w, m and v.
        Queries, keys and values are three matrices in one tensor."""
        old_w, old_m, g, w, m, v = (split(self.c, t) for t in (self.w, self.m, g, w, m, v))
        for name in w:
            if not name.startswith("_backbone.h.") or w[name].dim() < 2:
                continue
            w[name].copy_(old_w[name])
            m[name].copy_(old_m[name])
            v[name].zero_()
            for part in zip(*(t[name].chunk(3 if "c_attn" in name else 1, dim=1) for t in (w, m, g))):
                muon_step(*part, lr, self.r["momentum"], self.r["weight_decay"])
    def save(self, folder):
        meta = {"recipe": self.r, "step": self.step, "counts": self.counts.tolist()}
        save_state(folder, meta, {"w": self.w, "m": self.m, "v": self.v})
    def load(self, folder):
        meta, tensors = load_state(folder)
        for key, value in self.r.items():
            was = meta["recipe"].get(key, 0 if key in ("hint", "hint_layer") else None)   # older states have none
            if was != value and (key != "steps" or self.r["schedule"] in ("cosine", "linear")):
                raise ValueError(f"{folder} is of a run with {key} {was}, not {value}")
        for kind, t in tensors.items():
            getattr(self, kind).copy_(t)
        self.step = meta["step"]
        self.counts.copy_(torch.tensor(meta["counts"]))

def export(path, r, w, step, device="cpu"):
    """Weights w [n] as a checkpoint, with what icl train says in it."""
    c, task = shape_of(r), task_of(r)
    weights = check_weights(c, split(c, w))
    model = Model(c).to(device)
    model.load_state_dict(weights)
    figures = typical(model, task, r["pairs"], r["seed"], device)
    write_checkpoint(path, c, weights, {"task": str(task), "sampling": task.how, "typical": figures,
                                        "recipe": recipe_text(r, step)})

def export_state(folder, path):
    """The checkpoint of a state folder, of which state.json and the files w.* are enough."""
    meta, tensors = load_state(folder, "w")
    export(path, meta["recipe"], tensors["w"], meta["step"])

# ----- the command ---------------------------------------------------------------------------------

def parser():
    """The parser, and the options that a recipe is made of with their types.  What is not given is None: icl
    train has the defaults."""
    p = Parser("train_torch", description=__doc__.split("\n\n")[0])
    recipe = {}
    def add(name, kind, text, low=0, high=math.inf, **more):
        def checked(text):
            v = kind(text)
            if not low <= v <= high:
                raise ValueError
            return v
        checked.__name__ = {int: "whole number", float: "number"}.get(kind, "text")
        recipe[name.strip("-").replace("-", "_")] = kind
        if kind is bool:
            p.add_argument(name, action="store_true", default=None, help=text)
        else:
            p.add_argument(name, type=kind if kind is str else checked, help=text, **more)
    add("--task", str, "function classes, in the language of icl_train.h", required=True)
    add("--dims", int, "inputs of a function; needed without --from", 1, 4096)
    add("--pairs", int, "pairs of a prompt", 1, 1 << 20, required=True)
    add("--steps", int, "optimizer steps", 1, 1 << 40)
    add("--from", str, "start from the weights of this model, which has the shape", metavar="MODEL")
    add("--seed", int, "of weights and prompts", 0, 2 ** 64 - 1)
    add("--layers", int, "decoder blocks", 1, 512)
    add("--heads", int, "attention heads, a divisor of the width", 1, 4096)
    add("--width", int, "width of the residual stream", 1, 1 << 16)
    add("--positions", str, "position embedding", choices=("learned", *POSITIONS[1:]))
    add("--tokens", str, "the token of y carries y alone, or x and y", choices=TOKENS)
    add("--quantiles", str, "learn these quantiles of y too: 0.05,0.25,0.5,0.75,0.95", metavar="LIST")
    add("--n-positions", int, "tokens that the model is made for; otherwise 2 PAIRS - 1", 1, 1 << 24)
    add("--activation", str, "of the MLP", choices=list(ACTIVATIONS))
    add("--n-out", int, "rows of the read-out, 1 or d; otherwise 1", 1, 4096)
    add("--layer-norm-epsilon", float, "of LayerNorm", 1e-30, 0.1)
    add("--init-sd", float, "of the first weights of the blocks", 1e-30, 10)
    add("--batch", int, "prompts a step", 1, 1 << 24)
    add("--lr", float, "learning rate, or its peak", 1e-30, 10)
    add("--schedule", str, "of the learning rate",
        choices=["constant", "inverse-sqrt", "cosine", "linear"])
    add("--warmup", int, "steps of linear warm-up; inverse-sqrt has 5000 otherwise")
    add("--lr-end", float, "cosine, linear: share of the rate at the last step", 0, 1)
    add("--optimizer", str, "Adam; or Muon for the matrices of the blocks", choices=["adam", "muon"])
    add("--momentum", float, "Muon", 1e-30, 0.999999)
    add("--beta1", float, "Adam", 1e-30, 0.999999)
    add("--beta2", float, "Adam", 1e-30, 0.999999)
    add("--epsilon", float, "Adam", 1e-30, 1)
    add("--weight-decay", float, "AdamW, decoupled", 0, 10)
    add("--clip", float, "largest norm of the gradient; 0 is no limit", 0, 1e9)
    add("--hint", float, "weight of the hint that icl_train.h explains; 0: none", 0, 1e30)
    add("--hint-layer", int, "... behind this block, the last but one unless given", 0, 511)
    add("--dims-start", int, "curriculum: inputs in use at first", 1, 4096)
    add("--dims-every", int, "... and one more every so many steps", 1)
    add("--pairs-start", int, "curriculum: pairs at first", 1, 1 << 20)
    add("--pairs-add", int, "... and so many more", 1, 1 << 20)
    add("--pairs-every", int, "... every so many steps", 1)
    add("--x", str, "distribution of inputs", choices=["normal", "uniform", "data"])
    add("--order", bool, "pairs in the orders that data come in")
    add("--standardize", bool, "scale each prompt by its first pairs")
    add("--x-scale", float, "inputs times this", 1e-30, 1e6)
    add("--y-scale", float, "outputs times this", 1e-30, 1e6)
    add("--precision", str, "of the matrix products", choices=["fp32", "tf32", "bf16"])
    keys = dict(recipe)
    add("--max-bad", int, "give up after so many steps in a row that are not finite", 1)
    add("--save-every", int, "steps between saves", 1)
    add("--log-every", int, "steps between lines; otherwise there is one in 5 s")
    add("--minutes", float, "stop after so many, with the state saved")
    p.add_argument("--recipe", choices=["laptop", "garg", "yadlowsky"], help="what is not given; otherwise laptop")
    p.add_argument("-o", metavar="OUT.safetensors", help="the checkpoint to write")
    p.add_argument("--state", metavar="FOLDER", help="of the training state; otherwise OUT.torch")
    p.add_argument("--resume", action="store_true", help="go on from the state, if it is there")
    p.add_argument("--force", action="store_true", help="start over where there is a state")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="(%(default)s)")
    p.add_argument("--threads", type=int, default=1, help="of PyTorch on the CPU (%(default)s)")
    p.add_argument("--compile", action="store_true", help="with torch.compile")
    return p, keys, recipe

def take_defaults(p, o, kinds):
    """What is not given, from icl train."""
    name, argv = "icl", ["train", "-o", "x", "--settings"]
    for key in [*kinds, "recipe"]:
        value = getattr(o, key)
        if value is not None and key not in ("precision", "minutes"):
            argv += [f"--{key}".replace("_", "-"), *([] if value is True else [str(value)])]
    found = subprocess.run([make(name), *argv], capture_output=True, text=True)
    if found.returncode:
        p.error(found.stderr.strip().splitlines()[0].removeprefix("icl train: "))
    said = dict(line.split(" ", 1) for line in found.stdout.splitlines() if " " in line)
    for key, kind in kinds.items():
        if getattr(o, key) is None:
            text = said.get(key.replace("_", "-"))
            setattr(o, key, False if kind is bool else kind(text) if text else "" if kind is str else 0)
    o.precision = o.precision or "fp32"

def take_shape(p, o, model):
    """The shape from the options; or from the model of --from, whose weights [n] come back."""
    if not model:
        o.n_positions = o.n_positions or 2 * o.pairs - 1
        o.quantiles = ",".join(map(level_text, read_levels(o.quantiles))) if o.quantiles else ""
        o.n_out = o.n_out or 1 + len(shape_of(vars(o)).quantiles)
        return None
    c, weights, _ = model
    o.dims, o.layers, o.heads, o.width, o.activation, o.n_out = c.d, c.L, c.H, c.C, c.act, c.n_out
    o.positions, o.tokens = "learned" if c.pos == "absolute" else c.pos, c.tokens
    o.n_positions, o.layer_norm_epsilon, o.init_sd = c.n_positions, c.ln_eps, 0.02
    o.quantiles = ",".join(map(level_text, c.quantiles))
    weights = torch.cat([t.float().flatten() for t in weights.values()])
    setattr(o, "from", f"{zlib.crc32(raw(weights)):08x}")           # says which weights; the path may change
    return weights

def wrong_options(o):
    """What does not go together, in words; None where all is well."""
    for a, b in (("dims_start", "dims_every"), ("pairs_start", "pairs_every")):
        if not getattr(o, a) != (not getattr(o, b)):
            return f"--{a} and --{b} go together".replace("_", "-")
    outputs = (1 + o.quantiles.count(",") + 1,) if o.quantiles else (1, o.dims)
    for wrong, text in ((not o.state, "-o or --state is required"),
                        (o.lr_end and o.schedule not in ("cosine", "linear"),
                         "--lr-end is for --schedule cosine or linear"),
                        (o.width % o.heads, "--heads does not divide --width"),
                        (o.dims_start > o.dims, "--dims-start is above --dims"),
                        (o.hint and (o.standardize or o.x == "data"), "--hint is for prompts that are not scaled"),
                        (o.hint and not 0 < o.hint_layer < o.layers, "--hint-layer is from 1 to below --layers"),
                        (o.hint and o.width < o.dims, "--hint needs a --width of --dims or more"),
                        (o.pairs_start > o.pairs, "--pairs-start is above --pairs"),
                        (o.positions == "learned" and o.n_positions < 2 * o.pairs - 1,
                         "fewer --n-positions than tokens"),
                        (o.positions == "sinusoidal" and (o.width % 2 or o.width < 4),
                         "sinusoidal positions need an even width of 4 or more"),
                        (o.n_out not in outputs, "--n-out is neither 1 nor --dims, nor 1 + quantiles"),
                        (o.resume and o.force, "--resume and --force contradict each other")):
        if wrong:
            return text
    return None

def options(argv):
    """The options, the recipe, and the weights to start from or None."""
    p, keys, all_of_icl = parser()
    o = p.parse_args(argv)
    minutes = o.minutes
    take_defaults(p, o, all_of_icl)
    o.minutes = minutes
    o.state = o.state or o.o and o.o + ".torch"
    model = read_checkpoint(getattr(o, "from")) if getattr(o, "from") else None
    try:
        weights = take_shape(p, o, model)
        check_levels(shape_of(vars(o)).quantiles)
        o.task = str(task_of(vars(o)))
        torch.empty(0, device=o.device)
    except (ValueError, RuntimeError, AssertionError) as e:
        p.error(str(e).splitlines()[0])
    o.hint_layer = bool(o.hint) * (o.hint_layer or o.layers - 1)
    text = wrong_options(o)
    if text:
        p.error(text)
    return o, {k: getattr(o, k) for k in keys}, weights

class Progress:
    """The line that icl train shows, with the loss averaged over the last fifty steps or so."""
    KEEP = 0.98
    def __init__(self, t, every):
        self.t, self.every, self.first = t, every, t.step
        self.began = self.shown = time.monotonic()
        self.sum = torch.zeros(2, dtype=torch.float64, device=t.device)    # of losses and of their weights
    def add(self, loss):
        """After a step; says how many steps in a row were bad, as far as it looked."""
        new = torch.stack([torch.where(loss.isfinite(), loss, 0.0), loss.isfinite()]).double()
        self.sum = torch.where(loss.isfinite(), self.KEEP * self.sum + (1 - self.KEEP) * new, self.sum)
        t, now = self.t, time.monotonic()
        due = t.step % self.every == 0 if self.every else now - self.shown > 5
        if not due and t.step < t.r["steps"]:
            return 0
        self.shown = now
        return self.show(now)
    def show(self, now):
        t, (total, weight) = self.t, self.sum.tolist()
        skipped, bad = t.counts[1].item(), t.most_bad.item()
        rate = (t.step - self.first) / (now - self.began + 1e-9)
        print(f"step {t.step}/{t.r['steps']}  " + (f"loss {total / weight:.4g}  " if weight else "")
              + f"lr {learning_rate(t.r, t.step - 1):.3g}  " + f"skipped {skipped:.0f}  " * (skipped > 0)
              + f"{rate:.3g} steps/s  {(t.r['steps'] - t.step) / rate / 60:.1f} min left",
              file=sys.stderr, flush=True)
        return bad

def run(o, r, weights, started):
    there = os.path.exists(os.path.join(o.state, "state.json"))
    if there and not o.resume and not o.force:
        raise ValueError(f"{o.state} is there already: --resume goes on from it, --force starts over")
    torch.set_num_threads(max(1, o.threads))
    t, stop = Trainer(r, o.device, o.compile, weights), []
    if there and o.resume:
        t.load(o.state)
    for s in (signal.SIGINT, signal.SIGTERM):                       # the second one ends the process
        signal.signal(s, lambda n, _: (stop.append(n), signal.signal(n, signal.SIG_DFL)))
    print(f"{t.w.numel()} parameters on {o.device}, {r['precision']}, from step {t.step}", file=sys.stderr)
    progress, late = Progress(t, o.log_every), lambda: o.minutes is not None and (
        time.monotonic() - started > 60 * o.minutes)
    while t.step < r["steps"] and not stop and not late():
        if progress.add(t.train_step()) >= o.max_bad:
            t.save(o.state)                     # steps that are not finite change no weights
            raise ValueError("loss or gradient not finite too often; stopped, the last good weights "
                             f"are in {o.state}")
        if t.step % o.save_every == 0 and t.step < r["steps"]:
            t.save(o.state)
    t.save(o.state)
    if o.o:
        export(o.o, r, t.w, t.step, o.device)
        print(f"wrote {o.o}", file=sys.stderr)
    if t.step < r["steps"]:
        print(f"stopped after step {t.step}; --resume goes on from there", file=sys.stderr)
    return 130 if stop else 0

def main(argv=None):
    started = time.monotonic()
    o, recipe, weights = command("train_torch", lambda: options(argv))
    return command("train_torch", lambda: run(o, recipe, weights, started))

if __name__ == "__main__":
    sys.exit(main())
