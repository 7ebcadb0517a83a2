"""What the PyTorch tools share: the model, its checkpoints, and the sampler of function classes.

The model is the wrapper of Garg et al. 2022 (arXiv 2208.01066) around a GPT-2, which is either Hugging
Face's GPT2Model or the same written out below (all three kinds of positions, no transformers needed).
A configuration c has: d inputs, C width, H heads, L layers, n_positions tokens, n_out, act
(gelu_new, gelu, relu), ln_eps, pos (absolute, sinusoidal, none).  Checkpoints are icl.h's, byte for byte.
"""
import argparse
import json
import math
import os
import re
import struct
import sys
from types import SimpleNamespace

import torch
from torch import nn
from torch.nn import functional as F

ACTIVATIONS = {"gelu_new": lambda u: F.gelu(u, approximate="tanh"), "gelu": F.gelu, "relu": F.relu}
POSITIONS = ("absolute", "sinusoidal", "none")
DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}

# ----- commands ------------------------------------------------------------------------------------

class Parser(argparse.ArgumentParser):
    """Bad usage is one line on stderr and exit 2."""
    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\n")

def command(prog, main):
    """A run that fails is one line on stderr and exit 1."""
    try:
        return main()
    except (OSError, ValueError, ImportError) as e:
        sys.exit(f"{prog}: {' '.join(str(e).split())}")

def replace_file(path, *parts):
    """Writes all parts to path: the whole file or nothing.  As in icl_train.h, links are followed,
    permissions kept, and a folder that cannot be flushed is no failure."""
    path = os.path.realpath(path)
    temporary = f"{path}.tmp.{os.urandom(8).hex()}"
    mode = os.stat(path).st_mode & 0o777 if os.path.exists(path) else 0o666
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as f:
            for part in parts:
                f.write(part)
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    try:
        folder = os.open(os.path.dirname(path), os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(folder)
    except OSError:
        pass
    os.close(folder)

# ----- the model -----------------------------------------------------------------------------------

class Conv1D(nn.Module):
    """A linear layer with weight [n_in, n_out], as in GPT-2."""
    def __init__(self, n_out, n_in):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.zeros(n_in, n_out)), nn.Parameter(torch.zeros(n_out))
    def forward(self, x):                                                           # [.., n_in]
        return torch.addmm(self.bias, x.reshape(-1, x.shape[-1]), self.weight).view(*x.shape[:-1], -1)

def attention(q, k, v):                                             # [B, H, T, D] -> the same
    """softmax(q k' / sqrt(D)) v over the past, as the formula says: for the golden files."""
    scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[3])                          # [B, H, T, T]
    future = torch.ones(*scores.shape[2:], dtype=torch.bool, device=q.device).triu(1)
    return scores.masked_fill(future, -math.inf).softmax(-1) @ v

def fused_attention(q, k, v):
    """The same in one kernel: for training."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)

class Block(nn.Module):
    """x += attention(LayerNorm(x)); x += mlp(LayerNorm(x))."""
    attend = staticmethod(attention)
    def __init__(self, c):
        super().__init__()
        self.H, self.act = c.H, ACTIVATIONS[c.act]
        self.ln_1, self.ln_2 = (nn.LayerNorm(c.C, eps=c.ln_eps) for _ in range(2))
        self.attn = nn.ModuleDict(dict(c_attn=Conv1D(3 * c.C, c.C), c_proj=Conv1D(c.C, c.C)))
        self.mlp = nn.ModuleDict(dict(c_fc=Conv1D(4 * c.C, c.C), c_proj=Conv1D(c.C, 4 * c.C)))
    def forward(self, x):                                                           # [B, T, C]
        B, T, C = x.shape
        qkv = self.attn["c_attn"](self.ln_1(x))                                     # [B, T, 3C]
        q, k, v = (u.view(B, T, self.H, C // self.H).transpose(1, 2) for u in qkv.split(C, dim=2))
        mixed = self.attend(q, k, v)                                                # [B, H, T, D]
        x = x + self.attn["c_proj"](mixed.transpose(1, 2).reshape(B, T, C))
        return x + self.mlp["c_proj"](self.act(self.mlp["c_fc"](self.ln_2(x))))

def sinusoids(T, C, device=None):
    """Praxis's positions [T, C]: sines in the first half of the channels, cosines in the second."""
    rates = 10000.0 ** (-torch.arange(C // 2, device=device).double() / (C // 2 - 1))
    angles = torch.arange(T, device=device).double()[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)

class PlainBackbone(nn.Module):
    """GPT2Model written out, with all three kinds of positions."""
    def __init__(self, c):
        super().__init__()
        self.pos = c.pos
        if self.pos == "absolute":
            self.wpe = nn.Embedding(c.n_positions, c.C)
        self.h = nn.ModuleList(Block(c) for _ in range(c.L))
        self.ln_f = nn.LayerNorm(c.C, eps=c.ln_eps)
    def forward(self, inputs_embeds):                                               # [B, T, C]
        x = inputs_embeds
        if self.pos == "absolute":
            x = x + self.wpe.weight[:x.shape[1]]
        elif self.pos == "sinusoidal":
            x = x + sinusoids(*x.shape[1:], x.device).to(x.dtype)
        for block in self.h:
            x = block(x)
        return self.ln_f(x)

def gpt2_backbone(c):
    """Hugging Face's GPT2Model, fed with embedded tokens; it has no vocabulary.  Positions that it lacks
    are tables that do not learn."""
    from transformers import GPT2Config, GPT2Model
    gpt2 = GPT2Model(GPT2Config(
        vocab_size=1, bos_token_id=None, eos_token_id=None, n_positions=c.n_positions, n_embd=c.C,
        n_layer=c.L, n_head=c.H, activation_function=c.act, layer_norm_epsilon=c.ln_eps,
        use_cache=False, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, attn_implementation="eager"))
    del gpt2.wte
    if c.pos != "absolute":
        gpt2.wpe.weight.requires_grad_(False).copy_(position_table(c, c.n_positions))
    return gpt2

def position_table(c, n):
    """What stands in for wpe [n, C] where there is none."""
    return sinusoids(n, c.C).float() if c.pos == "sinusoidal" else torch.zeros(n, c.C)

class Model(nn.Module):
    """Garg's wrapper: tokens x_1, [y_1, 0, ...], x_2, ... in; at each x token its y out."""
    def __init__(self, c, backbone=PlainBackbone):
        super().__init__()
        self.n_positions = c.n_positions
        self._read_in = nn.Linear(c.d, c.C)
        self._backbone = backbone(c)
        self._read_out = nn.Linear(c.C, c.n_out)
    def forward(self, xs, ys):                                                      # [B, P, d], [B, P]
        y_tokens = F.pad(ys[:, :, None], (0, xs.shape[2] - 1))
        tokens = torch.stack([xs, y_tokens], dim=2).flatten(1, 2)                   # [B, 2P, d]
        tokens = tokens[:, :self.n_positions]        # the last y, which is for nobody, may lack a place
        hidden = self._backbone(inputs_embeds=self._read_in(tokens))
        hidden = getattr(hidden, "last_hidden_state", hidden)                       # [B, T, C]
        return self._read_out(hidden)[:, ::2, 0]

# ----- checkpoints ---------------------------------------------------------------------------------

def shapes(c):
    """Names and shapes of all tensors, in the order in which icl.h writes them."""
    C, found = c.C, {"_read_in.weight": (c.C, c.d), "_read_in.bias": (c.C,)}
    if c.pos == "absolute":
        found["_backbone.wpe.weight"] = (c.n_positions, C)
    block = {"ln_1": [(C,), (C,)], "attn.c_attn": [(C, 3 * C), (3 * C,)], "attn.c_proj": [(C, C), (C,)],
             "ln_2": [(C,), (C,)], "mlp.c_fc": [(C, 4 * C), (4 * C,)], "mlp.c_proj": [(4 * C, C), (C,)]}
    for l in range(c.L):
        for name, pair in block.items():
            found |= zip((f"_backbone.h.{l}.{name}.weight", f"_backbone.h.{l}.{name}.bias"), pair)
    return found | {"_backbone.ln_f.weight": (C,), "_backbone.ln_f.bias": (C,),
                    "_read_out.weight": (c.n_out, C), "_read_out.bias": (c.n_out,)}

def clean(tensors):
    """Without what wrappers put in front of the names, and without the buffers that nobody reads."""
    named = {re.sub(r"^((module|_orig_mod)\.)+", "", k): t for k, t in tensors.items()}
    return {k: t for k, t in named.items()
            if k != "_backbone.wte.weight" and not re.search(r"\.attn\.(masked_)?bias$", k)}

def check_weights(c, weights):
    """The weights in the order of shapes(c), or ValueError with what does not fit."""
    if min(c.d, c.C, c.H, c.L, c.n_positions) < 1 or c.C % c.H or c.n_out not in (1, c.d):
        raise ValueError(f"impossible sizes: {c.d} inputs, width {c.C}, {c.H} heads, {c.L} layers, "
                         f"{c.n_positions} positions, {c.n_out} outputs")
    if c.act not in ACTIVATIONS or c.pos not in POSITIONS or not 0 < c.ln_eps < 1:
        raise ValueError(f"not a model of icl.h: {c.act}, {c.pos} positions, epsilon {c.ln_eps}")
    for name, shape in shapes(c).items():
        if name not in weights:
            raise ValueError(f"there is no {name}")
        if tuple(weights[name].shape) != shape:
            raise ValueError(f"{name} is {list(weights[name].shape)}, the configuration says {list(shape)}")
        if weights[name].dtype not in DTYPES.values():
            raise ValueError(f"{name} is {weights[name].dtype}, not float32, float16 or bfloat16")
        if not weights[name].isfinite().all():
            raise ValueError(f"NaN or infinity in {name}")
    extra = weights.keys() - shapes(c).keys()
    if extra:
        raise ValueError(f"unknown tensor {min(extra)}")
    return {name: weights[name] for name in shapes(c)}

def raw(t):
    """The bytes of a tensor, little-endian."""
    data = t.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
    if sys.byteorder == "big":
        data = data.reshape(-1, t.element_size())[:, ::-1]
    return data.tobytes()

def digest(c, parts):
    """icl.digest (>>digest in icl.h): sizes and options, then each part, in little-endian words."""
    config = struct.pack("<8If", c.d, c.C, c.H, c.L, c.n_positions, c.n_out, POSITIONS.index(c.pos),
                         list(ACTIVATIONS).index(c.act), c.ln_eps)
    h = 0x69636C2E68000001
    for part in (config, *parts):
        for (word,) in struct.iter_unpack("<Q", part + bytes(-len(part) % 8)):
            h = (h ^ word) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
            h ^= h >> 32
    return f"{h:016x}"

def shortest(x):
    """Digits m and exponent e of the shortest m * 10^e that reads back as float32 x > 0."""
    for n in range(1, 10):
        m, e = f"{x:.{n - 1}e}".split("e")
        if struct.pack("<f", float(f"{m}e{e}")) == struct.pack("<f", x) or n == 9:
            m = m.replace(".", "")
            digits = m.rstrip("0") or "0"
            return digits, int(e) - n + 1 + len(m) - len(digits)

def epsilon_text(x):
    """x, 0 < x < 1, as icl.h writes it: the fewest digits that read back as float32 x."""
    (x,) = struct.unpack("<f", struct.pack("<f", x))
    for n in range(1, 10):
        v, e = x, 0
        while v < 10.0 ** (n - 1):
            v, e = v * 10, e + 1
        for off in (0, 1, -1):
            text = f"{int(v + 0.5) + off}e-{e}"
            if struct.pack("<f", float(text)) == struct.pack("<f", x):
                return text
    raise ValueError(f"layer_norm_epsilon is {x}")

def icl_version():
    header = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "icl.h")
    with open(header) as f:
        return re.search(r'#define ICL_VERSION "(.*)"', f.read()).group(1)

def write_checkpoint(path, c, weights, task=None, typical=None):
    """The file that icl_write of icl.h makes of these weights, but for their dtypes, which stay."""
    weights = check_weights(c, weights)
    data = b"".join(map(raw, weights.values()))
    said = [text for text in (task, typical) if text]
    if not all(re.fullmatch(r'[ !#-\[\]-~]*', text) for text in said):
        raise ValueError("the task's text is not plain ASCII")
    meta = {"n_head": str(c.H), "activation_function": c.act, "layer_norm_epsilon": epsilon_text(c.ln_eps),
            "position_embedding_type": c.pos, "n_positions": str(c.n_positions),
            "icl.version": icl_version(),
            "icl.digest": digest(c, [data, *(text.encode() for text in said)])}
    meta |= {"icl.task": task} if task else {}
    meta |= {"icl.typical": typical} if typical else {}
    header, at = {"__metadata__": meta}, 0
    for name, t in weights.items():
        end = at + t.numel() * t.element_size()
        dtype = next(k for k, v in DTYPES.items() if v == t.dtype)
        header[name] = {"dtype": dtype, "shape": list(t.shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % 64)
    replace_file(path, struct.pack("<Q", len(text)), text, data)

def read_checkpoint(path):
    """c, weights and metadata of a checkpoint of icl.h's."""
    from safetensors import SafetensorError, safe_open
    try:
        with safe_open(path, "pt") as f:
            meta = f.metadata() or {}
            weights = clean({k: f.get_tensor(k) for k in f.keys()})
    except SafetensorError as e:
        raise ValueError(f"{path}: {e}") from None
    try:
        first, out, wpe = (weights.get(k) for k in ("_read_in.weight", "_read_out.weight",
                                                     "_backbone.wpe.weight"))
        c = SimpleNamespace(
            d=first.shape[1], C=first.shape[0], n_out=out.shape[0], H=int(meta["n_head"]),
            L=1 + max((int(k.split(".")[2]) for k in weights if k.startswith("_backbone.h.")), default=0),
            n_positions=int(meta["n_positions"]) if wpe is None else wpe.shape[0],
            act=meta.get("activation_function", "gelu_new"),
            ln_eps=float(meta.get("layer_norm_epsilon", 1e-5)),
            pos=meta.get("position_embedding_type", "absolute"))
        weights = check_weights(c, weights)
    except (AttributeError, IndexError, KeyError, ValueError) as e:
        raise ValueError(f"{path}: " + (f"no {e}" if isinstance(e, KeyError) else
                                        str(e) if isinstance(e, ValueError) else
                                        "the read-in or read-out is missing")) from None
    return c, weights, meta

# ----- function classes ----------------------------------------------------------------------------
# The classes of icl_train.h (formulas there) for a batch at once.  A drawing is called with inputs
# xs [B, P, d] of which `dims` are in use, a generator and the arguments by name; it returns ys [B, P].

def normal(g, *shape):
    return torch.randn(*shape, generator=g, device=g.device)

def uniform(g, *shape):
    return torch.rand(*shape, generator=g, device=g.device)

def dot(xs, b):                                                     # [B, P, d], [B, d] -> [B, P]
    return (xs * b[:, None]).sum(-1)                                # never in TF32, as a product would be

def dense(xs, dims, g):
    return dot(xs, normal(g, *xs[:, 0].shape)) / math.sqrt(xs.shape[2])

def quadratic(xs, dims, g):
    return dense(xs * xs, dims, g) / math.sqrt(3)

def sparse(xs, dims, g, nnz):
    keys = uniform(g, *xs[:, 0].shape)
    keys[:, dims:] = 2                                              # the nnz smallest are the support
    chosen = keys.argsort(1).argsort(1) < nnz
    return dot(xs, normal(g, *keys.shape) * chosen) / math.sqrt(nnz or 1)

def relu(xs, dims, g, hidden):
    B, P, d = xs.shape
    W, b = normal(g, B, hidden, d), normal(g, B, hidden)
    inside = (xs[:, :, None] * W[:, None]).sum(-1)                  # [B, P, hidden]
    return dot(inside.relu(), b) * math.sqrt(2 / (d * hidden))

def sine(xs, dims, g, norm):
    u = normal(g, *xs[:, 0].shape)
    u[:, dims:] = 0
    z = dot(xs, u / u.norm(dim=1, keepdim=True))
    w = -(1 - uniform(g, len(xs), 6)).log().sum(1, keepdim=True) / 6             # Gamma(6, 1/6)
    return (1.41402192 if norm else 1) * normal(g, len(xs), 1) * (2 * math.pi * w * z).cos()

def tree(xs, dims, g, depth):
    B, P, d = xs.shape
    splits = torch.randint(dims, (B, 2 ** depth), generator=g, device=g.device)
    leaves, at = normal(g, B, 2 ** depth), torch.zeros(B, P, dtype=torch.long, device=g.device)
    for _ in range(depth):
        right = xs.gather(2, splits.gather(1, at)[:, :, None])[:, :, 0] > 0
        at = 2 * at + 1 + right
    return leaves.gather(1, at - (2 ** depth - 1))

WHOLE = dict(nnz=0, hidden=1, norm=0, depth=0, renorm=0)            # arguments that are, from where
MOST = dict(hidden=4096, norm=1, depth=16, renorm=1, alpha=1, sd=1000)
# name: (drawing, arguments and their defaults, classes inside, factor under garg())
CLASSES = {
    "dense": (dense, {}, 0, lambda d, a: math.sqrt(d)),
    "sparse": (sparse, {"nnz": 2}, 0, lambda d, a: math.sqrt(a["nnz"])),
    "relu": (relu, {"hidden": 100}, 0, lambda d, a: math.sqrt(d)),
    "sine": (sine, {"norm": 0}, 0, None),
    "tree": (tree, {"depth": 4}, 0, None),
    "quadratic": (quadratic, {}, 0, lambda d, a: math.sqrt(d)),
    "noisy": (None, {"sd": 0.5, "renorm": 0}, 1, None),
    "convex": (None, {"alpha": None}, 2, None),
    "garg": (None, {}, 1, None),
}

def number(v):
    """The fewest digits that read back as float32 v >= 0, written as icl.h does."""
    if not v:
        return "0"
    m, x = shortest(v)
    if len(m) + x > 9 or len(m) + x < -3:
        return f"{m}e{x}" if x else m
    if x >= 0:
        return m + "0" * x
    m = m.rjust(1 - x, "0")
    return m[:x] + "." + m[x:]

class Task:
    """A mixture of classes, from text in the language of icl_train.h:  term { "+" term }."""
    def __init__(self, text, d):
        self.d, self.text = d, text
        self.tokens = re.findall(r"[A-Za-z_]\w*|\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|\S", text)
        self.tokens = self.tokens[::-1]                             # the next one is the last
        self.terms = self.read_sum()
        if self.tokens:
            raise ValueError(f"--task: did not expect {self.tokens[-1]!r} in {text!r}")
    def next(self):
        return self.tokens.pop() if self.tokens else "the end"
    def skip(self, sign):
        return bool(self.tokens and self.tokens[-1] == sign and self.tokens.pop())
    def read_number(self, what):
        try:
            return float(self.next())
        except ValueError:
            raise ValueError(f"--task: {what} wants a number in {self.text!r}") from None
    def read_sum(self):
        terms = [self.read_term()]
        while self.skip("+"):
            terms.append(self.read_term())
        return [t | {"weight": 1.0} for t in terms] if len(terms) == 1 else terms
    def read_term(self):
        weight = 1.0
        if self.tokens and re.match(r"[\d.]", self.tokens[-1]):
            weight = self.read_number("a weight")
            if not 0 < weight <= 1e9 or not self.skip("*"):
                raise ValueError(f"--task: expected a weight above 0, * and a class in {self.text!r}")
        name = self.next()
        if name not in CLASSES:
            raise ValueError(f"--task: {name!r} is not one of {' '.join(CLASSES)}, the classes known here")
        term, args = {"name": name, "weight": weight, "inside": []}, {}
        if self.skip("("):
            while not self.skip(")"):
                if len(self.tokens) > 1 and self.tokens[-2] == "=":
                    key = self.next()
                    self.next()
                    if key not in CLASSES[name][1] or key in args:
                        raise ValueError(f"--task: {name} does not take {key!r} here")
                    args[key] = self.read_number(key)
                else:
                    term["inside"].append(self.read_sum())
                if self.tokens and self.tokens[-1] not in ",)":
                    raise ValueError(f"--task: expected , or ), not {self.next()!r}")
                if not self.tokens or self.skip(",") and self.skip(")"):
                    raise ValueError(f"--task: {name}( does not end in {self.text!r}")
        if name == "noisy" and not term["inside"]:
            term["inside"] = [[{"name": "dense", "weight": 1.0, "inside": [], "args": {}}]]
        if len(term["inside"]) != CLASSES[name][2]:
            raise ValueError(f"--task: {name} wants {CLASSES[name][2]} classes inside")
        return term | {"args": self.checked(CLASSES[name][1] | args)}
    def checked(self, args):
        for key, v in args.items():
            if v is None:
                continue
            most = MOST.get(key, self.d)
            if not WHOLE.get(key, 0) <= v <= most or key in WHOLE and v != int(v):
                raise ValueError(f"--task: {key} must be from {WHOLE.get(key, 0)} to {most}")
            args[key] = int(v) if key in WHOLE else v
        return args
    def __str__(self):
        """As icl_task_print writes it, every argument spelled out."""
        def write(terms):
            return " + ".join((number(t["weight"]) + "*") * (t["weight"] != 1) + write_one(t) for t in terms)
        def write_one(t):
            items = [*map(write, t["inside"]),
                     *(f"{k}={number(v)}" for k, v in t["args"].items() if v is not None)]
            return t["name"] + (f"({', '.join(items)})" if items else "")
        return write(self.terms)
    def sample(self, g, B, P, dims=None):
        """A batch of prompts: xs [B, P, d], of which the first dims inputs are in use, and ys [B, P]."""
        dims = dims or self.d
        xs = normal(g, B, P, self.d)
        xs[:, :, dims:] = 0
        return xs, self.draw(self.terms, xs, dims, g)[0]
    def draw(self, terms, xs, dims, g):
        """ys [B, P] of a mixture, and what garg() multiplies each prompt's with, [B, 1]."""
        ys, scale = zip(*(self.draw_one(t, xs, dims, g) for t in terms))
        if len(terms) == 1:
            return ys[0], scale[0]
        ends = torch.tensor([t["weight"] for t in terms], device=g.device).cumsum(0)
        which = torch.searchsorted(ends, uniform(g, len(xs)) * ends[-1], right=True)
        which = which.clamp(max=len(terms) - 1)[None, :, None]
        pick = lambda parts: torch.stack(parts).gather(0, which.expand(1, *parts[0].shape))[0]
        return pick(ys), pick(scale)
    def draw_one(self, t, xs, dims, g):
        draw, _, _, garg = CLASSES[t["name"]]
        a = t["args"]
        if draw:
            scale = garg(self.d, a) if garg else 1.0
            return draw(xs, dims, g, **a), torch.full((len(xs), 1), scale, device=g.device)
        (ys, scale), *more = (self.draw(inside, xs, dims, g) for inside in t["inside"])
        if t["name"] == "garg":
            return ys * scale, scale
        if t["name"] == "noisy":
            return (ys + a["sd"] * normal(g, *ys.shape)) / math.sqrt(1 + a["renorm"] * a["sd"] ** 2), scale
        alpha = uniform(g, len(xs), 1) if a["alpha"] is None else a["alpha"]
        return alpha * ys + (1 - alpha) * more[0][0], scale

def generator(device, seed, stream):
    """Of one training step, or of another stream: a function of its arguments, so that a run that goes
    on needs no state.  Neighbouring streams must differ in the low 32 bits, all that the CPU's uses."""
    h = (seed + 1) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
    h = (h ^ h >> 31) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    return torch.Generator(device).manual_seed((h ^ h >> 29) + stream & 0x7FFFFFFFFFFFFFFF)

@torch.no_grad()
def typical(model, task, P, seed, stream=0, device="cpu", N=2048, batch=64):
    """icl.typical (>>surprise in icl.h), from N prompts: after 1 .. P pairs the median and the 99th percentile of
    the mean log(residual^2 + 1e-4) of all but the first third - log(mean y^2 + 0.1), in thousandths."""
    figures = []
    for i in range(0, N, batch):
        xs, ys = task.sample(generator(device, seed, stream + i), batch, P)
        late, size = ((model(xs, ys) - ys).square() + 1e-4).log().cpu().double(), ys.square().cpu().double()
        figures.append(torch.stack([late[:, n // 3:n].mean(1) - (size[:, :n].mean(1) + 0.1).log()
                                    for n in range(1, P + 1)], dim=1))
    figures = torch.cat(figures).sort(0).values                                                     # [N, P]
    middle = figures[N // 2]
    high = torch.maximum(figures[N - N // 100], middle + 0.01)
    return " ".join(str(round(1000 * max(-1000, min(1000, v)))) for v in
                    torch.stack([middle, high], dim=1).flatten().tolist())
