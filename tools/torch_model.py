"""What the PyTorch tools share: the model, its checkpoints, and the prompts of icl_train.h.

The model is the wrapper of Garg et al. 2022 (arXiv 2208.01066) around a GPT-2, which is either Hugging
Face's GPT2Model or the same written out below (all kinds of positions, no transformers needed).
A configuration c has: d inputs, C width, H heads, L layers, n_positions tokens, n_out, act
(gelu_new, gelu, relu), ln_eps, pos (absolute, sinusoidal, none, alternating), tokens (apart, joint) and
quantiles, a tuple of levels.  Checkpoints are icl.h's, byte for byte.  Prompts come from the C sampler, by
way of build/libicl_train.so, which make builds when it is first needed.
"""
import argparse
import ctypes
import json
import math
import os
import re
import struct
import subprocess
import sys
from types import SimpleNamespace

try:
    import torch
    from torch import nn
    from torch.nn import functional as F
except ImportError as e:
    tool = os.path.basename(sys.argv[0])
    if not tool.endswith("_torch.py"):                              # not one of the commands
        raise
    sys.exit(f"{tool[:-3]}: {e}: pip install torch numpy")

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
ACTIVATIONS = {"gelu_new": lambda u: F.gelu(u, approximate="tanh"), "gelu": F.gelu, "relu": F.relu}
POSITIONS = ("absolute", "sinusoidal", "none", "alternating")
TOKENS = ("apart", "joint")
MAX_POSITIONS = 1 << 24                                             # ICL__MAX_POSITIONS
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
    except ImportError as e:
        package = {"yaml": "pyyaml"}.get(e.name, e.name)
        sys.exit(f"{prog}: {e}: pip install {package}")
    except (OSError, ValueError) as e:
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

class Alternating(nn.Embedding):
    """Two learned positions, in turn: one for x tokens and one for y tokens."""
    def __init__(self, C):
        super().__init__(2, C)
    def forward(self, ids):
        return super().forward(ids % 2)

class PlainBackbone(nn.Module):
    """GPT2Model written out, with all kinds of positions."""
    def __init__(self, c):
        super().__init__()
        self.pos = c.pos
        if has_wpe(c):
            self.wpe = Alternating(c.C) if c.pos == "alternating" else nn.Embedding(c.n_positions, c.C)
        self.h = nn.ModuleList(Block(c) for _ in range(c.L))
        self.ln_f = nn.LayerNorm(c.C, eps=c.ln_eps)
    def forward(self, inputs_embeds, layer=0):                                      # [B, T, C]
        """What comes out; and with a layer, what comes out of that block."""
        x = inputs_embeds
        if self.pos == "sinusoidal":
            x = x + sinusoids(*x.shape[1:], x.device).to(x.dtype)
        elif self.pos != "none":
            x = x + self.wpe(torch.arange(x.shape[1], device=x.device))
        for i, block in enumerate(self.h, 1):
            x = block(x)
            if i == layer:
                behind = x
        return (self.ln_f(x), behind) if layer else self.ln_f(x)

def gpt2_backbone(c):
    """Hugging Face's GPT2Model, fed with embedded tokens; it has no vocabulary.  Positions that it lacks
    are tables that do not learn."""
    from transformers import GPT2Config, GPT2Model
    gpt2 = GPT2Model(GPT2Config(
        vocab_size=1, bos_token_id=None, eos_token_id=None, n_positions=table_rows(c), n_embd=c.C,
        n_layer=c.L, n_head=c.H, activation_function=c.act, layer_norm_epsilon=c.ln_eps,
        use_cache=False, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, attn_implementation="eager"))
    del gpt2.wte
    if c.pos == "alternating":
        gpt2.wpe = Alternating(c.C)
    elif c.pos != "absolute":
        gpt2.wpe.weight.requires_grad_(False).copy_(position_table(c, table_rows(c)))
    return gpt2

def has_wpe(c):
    return c.pos in ("absolute", "alternating")

def table_rows(c):
    """Rows of a position table for code that cannot do without one.  Only learned positions have a true
    limit; for others n_positions may be anything."""
    return c.n_positions if c.pos == "absolute" else min(c.n_positions, 4096)

def position_table(c, n, wpe=None):
    """What stands in for wpe [n, C] where there is none, or two rows in turn."""
    if c.pos == "alternating":
        return wpe.repeat((n + 1) // 2, 1)[:n]
    return sinusoids(n, c.C).float() if c.pos == "sinusoidal" else torch.zeros(n, c.C)

def joint_tokens(xs, ys):
    """(x_1, 0), (x_1, y_1), (x_2, 0), ...: [B, 2P, d + 1]."""
    return torch.stack([F.pad(xs, (0, 1)), torch.cat([xs, ys[:, :, None]], dim=2)], dim=2).flatten(1, 2)

def apart_tokens(xs, ys):
    """x_1, (y_1, 0, ..), x_2, ...: [B, 2P, d]."""
    return torch.stack([xs, F.pad(ys[:, :, None], (0, xs.shape[2] - 1))], dim=2).flatten(1, 2)

class Model(nn.Module):
    """Garg et al.'s wrapper: tokens in; at each x token the answer about its y out."""
    def __init__(self, c, backbone=PlainBackbone):
        super().__init__()
        self.n_tokens = c.n_positions if c.pos == "absolute" else None
        self.tokens = joint_tokens if c.tokens == "joint" else apart_tokens
        self._read_in = nn.Linear(token_size(c), c.C)
        self._backbone = backbone(c)
        self._read_out = nn.Linear(c.C, c.n_out)
    def answers(self, xs, ys):
        """xs [B, P, d], ys [B, P] -> [B, P, n_out]: the prediction, and the quantiles where there are any."""
        tokens = self.tokens(xs, ys)[:, :self.n_tokens]    # the last y, which is for nobody, may lack a place
        hidden = self._backbone(inputs_embeds=self._read_in(tokens))
        hidden = getattr(hidden, "last_hidden_state", hidden)                       # [B, T, C]
        return self._read_out(hidden)[:, ::2]
    def answers_and_hint(self, xs, ys, layer):
        """The answers, and what the tokens of y tell behind block `layer`, [B, P - 1, d]."""
        hidden, behind = self._backbone(self._read_in(self.tokens(xs, ys)[:, :-1]), layer)
        return self._read_out(hidden)[:, ::2], behind[:, 1::2, :xs.shape[2]]
    def forward(self, xs, ys):
        """The predictions [B, P]."""
        return self.answers(xs, ys)[:, :, 0]

def losses(c, answers, ys):
    """What is minimized, and the mean squared error, which is what icl train shows.  The first is
    (p - y)^2 + 2/Q sum of max(a_i (y - q_i), (a_i - 1) (y - q_i)) over the quantiles q_i of levels a_i."""
    squared = (answers[:, :, 0] - ys).square().mean()
    if not c.quantiles:
        return squared, squared
    levels = torch.tensor(c.quantiles, dtype=ys.dtype, device=ys.device)
    off = ys[:, :, None] - answers[:, :, 1:]                                        # [B, P, Q]
    return squared + 2 * torch.maximum(levels * off, (levels - 1) * off).mean(), squared

# ----- checkpoints ---------------------------------------------------------------------------------

def token_size(c):
    """Numbers of a token: x, and y after it where tokens are joint."""
    return c.d + (c.tokens == "joint")

def shapes(c):
    """Names and shapes of all tensors, in the order in which icl.h writes them."""
    C, found = c.C, {"_read_in.weight": (c.C, token_size(c)), "_read_in.bias": (c.C,)}
    if has_wpe(c):
        found["_backbone.wpe.weight"] = (2 if c.pos == "alternating" else c.n_positions, C)
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
    outputs = (1 + len(c.quantiles),) if c.quantiles else (1, c.d)
    if min(c.d, c.C, c.H, c.L, c.n_positions) < 1 or c.C % c.H or c.n_out not in outputs:
        raise ValueError(f"impossible sizes: {c.d} inputs, width {c.C}, {c.H} heads, {c.L} layers, "
                         f"{c.n_positions} positions, {c.n_out} outputs")
    if c.act not in ACTIVATIONS or c.pos not in POSITIONS or not 0 < c.ln_eps < 1:
        raise ValueError(f"not a model of icl.h: {c.act}, {c.pos} positions, epsilon {c.ln_eps}")
    if c.tokens not in TOKENS:
        raise ValueError(f"tokens are apart or joint, not {c.tokens}")
    check_levels(c.quantiles)
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

def read_levels(text):
    """Levels of quantiles, with commas between them, as float32."""
    try:
        return tuple(float32(v) for v in text.split(","))
    except ValueError:
        raise ValueError(f"quantiles {text!r}: not numbers with commas between them") from None

def check_levels(levels):
    """They rise, between 0 and 1; 15 at most."""
    if len(levels) > 15 or not all(a < b for a, b in zip((0, *levels), (*levels, 1))):
        raise ValueError(f"quantiles {','.join(map(number, levels))}: not 1 to 15 rising levels between 0 and 1")

def digest(c, data, texts):
    """icl.digest (>>digest in icl.h): sizes and options, the tensors' data, then the texts by key, in
    little-endian words."""
    parts = [struct.pack("<8If", c.d, c.C, c.H, c.L, c.n_positions, c.n_out, POSITIONS.index(c.pos),
                         list(ACTIVATIONS).index(c.act), c.ln_eps)]
    parts += [b"joint"] * (c.tokens == "joint") + [struct.pack("<f", v) for v in c.quantiles]
    parts += [data] + [texts[k].encode() for k in ("task", "typical") if k in texts]
    for k in ("sampling", "recipe"):
        if texts.get(k):
            parts += [struct.pack("<Q", len(texts[k])), texts[k].encode()]
    h = 0x69636C2E68000001
    for part in parts:
        for (word,) in struct.iter_unpack("<Q", part + bytes(-len(part) % 8)):
            h = (h ^ word) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
            h ^= h >> 32
    return f"{h:016x}"

def float32(v):
    """v, a number or its text, rounded to float32."""
    return struct.unpack("<f", struct.pack("<f", float(v)))[0]

def shortest(x):
    """Digits m and exponent e of the shortest m * 10^e that reads back as float32 x > 0."""
    for n in range(1, 10):
        m, e = f"{x:.{n - 1}e}".split("e")
        if struct.pack("<f", float(f"{m}e{e}")) == struct.pack("<f", x) or n == 9:
            m = m.replace(".", "")
            digits = m.rstrip("0") or "0"
            return digits, int(e) - n + 1 + len(m) - len(digits)

def number(v):
    """The fewest digits that read back as float32 v >= 0, written as icl_train.h does."""
    if not v:
        return "0"
    m, x = shortest(v)
    if len(m) + x > 9 or len(m) + x < -3:
        return f"{m}e{x}" if x else m
    if x >= 0:
        return m + "0" * x
    m = m.rjust(1 - x, "0")
    return m[:x] + "." + m[x:]

def level_text(x):
    """A level as icl.h writes it: the shortest 0.DIGITS that reads back as float32 x."""
    texts = [f"{x:.{n}f}" for n in range(1, 10)]
    return next((t for t in texts if float32(t) == x), texts[-1])

def epsilon_text(x):
    """x, 0 < x < 1, as icl.h writes it: the fewest digits that read back as float32 x."""
    x = float32(x)
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
    with open(os.path.join(ROOT, "icl.h")) as f:
        return re.search(r'#define ICL_VERSION "(.*)"', f.read()).group(1)

TEXTS = ("task", "sampling", "recipe", "typical")                   # metadata under icl., in this order

def texts_of(meta):
    """The texts that say what a model was trained on and how, by their keys without icl."""
    return {k: meta[f"icl.{k}"] for k in TEXTS if meta.get(f"icl.{k}")}

def write_checkpoint(path, c, weights, texts):
    """The file that icl_write of icl.h makes of these weights and texts; only the dtypes stay."""
    weights = check_weights(c, weights)
    data = b"".join(map(raw, weights.values()))
    texts = {k: texts[k] for k in TEXTS if texts.get(k)}
    for k, text in texts.items():
        if not re.fullmatch(r'[ !#-\[\]-~]*', text):
            raise ValueError(f"icl.{k} is not plain ASCII: {text!r}")
    meta = {"n_head": str(c.H), "activation_function": c.act, "layer_norm_epsilon": epsilon_text(c.ln_eps),
            "position_embedding_type": c.pos, "n_positions": str(c.n_positions)}
    meta |= {"icl.tokens": c.tokens} if c.tokens != "apart" else {}
    meta |= {"icl.quantiles": ",".join(map(level_text, c.quantiles))} if c.quantiles else {}
    meta |= {"icl.version": icl_version(), "icl.digest": digest(c, data, texts)}
    meta |= {f"icl.{k}": text for k, text in texts.items()}
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
        pos, tokens = meta.get("position_embedding_type", "absolute"), meta.get("icl.tokens", "apart")
        c = SimpleNamespace(
            d=first.shape[1] - (tokens == "joint"), C=first.shape[0], n_out=out.shape[0],
            H=int(meta["n_head"]),
            L=1 + max((int(k.split(".")[2]) for k in weights if k.startswith("_backbone.h.")), default=0),
            n_positions=wpe.shape[0] if pos == "absolute" else
            int(meta.get("n_positions", MAX_POSITIONS) if pos == "alternating" else meta["n_positions"]),
            act=meta.get("activation_function", "gelu_new"),
            ln_eps=float(meta.get("layer_norm_epsilon", 1e-5)), pos=pos, tokens=tokens,
            quantiles=read_levels(meta["icl.quantiles"]) if "icl.quantiles" in meta else ())
        weights = check_weights(c, weights)
    except (AttributeError, IndexError, KeyError, ValueError) as e:
        raise ValueError(f"{path}: " + (f"no {e}" if isinstance(e, KeyError) else
                                        str(e) if isinstance(e, ValueError) else
                                        "the read-in, read-out or wpe is missing")) from None
    return c, weights, meta

# ----- prompts -------------------------------------------------------------------------------------
# From build/libicl_train.so, the two headers as a library.  Its structs are opaque here: room enough, and
# the first field of icl_sampling.

class Report(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("offset", ctypes.c_size_t), ("text", ctypes.c_char * 96)]

class Sampling(ctypes.Structure):
    _fields_ = [("dims_active", ctypes.c_int), ("rest", ctypes.c_char * 252)]

TASK_BYTES, RNG_BYTES = 1 << 20, 256                                # more than icl_task and icl_rng have

def make(name):
    """Calls make where build/`name` is missing or older than the headers; returns its path."""
    path = os.path.join(ROOT, "build", name)
    headers = [os.path.join(ROOT, name) for name in ("icl.h", "icl_train.h")]
    if not os.path.exists(path) or os.path.getmtime(path) < max(map(os.path.getmtime, headers)):
        made = subprocess.run(["make", "-s", "-C", ROOT, f"build/{name}"], capture_output=True, text=True)
        if made.returncode:
            raise OSError(f"make build/{name}: {made.stderr}")
    return path

_library = None

def library():
    """The C library, with the types of what is called."""
    global _library
    if not _library:
        lib, pointer, word = ctypes.CDLL(make("libicl_train.so")), ctypes.c_void_p, ctypes.c_uint64
        for name, result, *args in (
                ("icl_task_parse", ctypes.c_int, pointer, ctypes.c_char_p, ctypes.c_int, pointer,
                 ctypes.c_int, pointer),
                ("icl_task_print", ctypes.c_size_t, pointer, ctypes.c_char_p, ctypes.c_size_t),
                ("icl_sampling_parse", ctypes.c_int, pointer, ctypes.c_char_p),
                ("icl_sampling_print", ctypes.c_size_t, pointer, ctypes.c_char_p, ctypes.c_size_t),
                ("icl_prompt_scratch", ctypes.c_size_t, pointer),
                ("icl_prompt_sample", ctypes.c_int, pointer, pointer, pointer, ctypes.c_int, pointer,
                 pointer, pointer, pointer),
                ("icl_function_eval", ctypes.c_float, pointer, pointer, pointer),
                ("icl_rng_init", None, pointer, word, word, word),
                ("icl_rng_uniform", ctypes.c_float, pointer), ("icl_rng_normal", ctypes.c_float, pointer)):
            getattr(lib, name).restype, getattr(lib, name).argtypes = result, args
        _library = lib
    return _library

def draws(kind, seed, stream, index, n):
    """n numbers, "uniform" or "normal", of sequence `index` of a stream: a tensor [n]."""
    rng, draw = ctypes.create_string_buffer(RNG_BYTES), getattr(library(), f"icl_rng_{kind}")
    library().icl_rng_init(rng, seed, stream, index)
    return torch.tensor([draw(rng) for _ in range(n)], dtype=torch.float32)

def printed(print_to, thing):
    """The text that a function of the library writes."""
    text = ctypes.create_string_buffer(print_to(thing, None, 0) + 1)
    print_to(thing, text, len(text))
    return text.value.decode()

class Task:
    """A mixture of function classes and how its prompts are drawn, from texts in the language of
    icl_train.h; as a string, the mixture with every argument spelled out."""
    def __init__(self, text, d, sampling=""):
        lib, report = library(), Report()
        self.d, self.task, self.sampling = d, ctypes.create_string_buffer(TASK_BYTES), Sampling()
        if lib.icl_task_parse(self.task, text.encode(), d, None, 0, ctypes.byref(report)):
            raise ValueError(f"--task, character {report.offset + 1}: {report.text.decode()}")
        if lib.icl_sampling_parse(ctypes.byref(self.sampling), sampling.encode()):
            raise ValueError(f"not a way to draw prompts: {sampling!r}")
        self.scratch = lib.icl_prompt_scratch(self.task)
        self.how = printed(lib.icl_sampling_print, ctypes.byref(self.sampling))
    def __str__(self):
        return printed(library().icl_task_print, self.task)
    def sample(self, seed, stream, first, n, P, dims=0, probe=0):
        """Prompts first .. first + n - 1 of a stream, those of icl_train.h bit for bit: xs [n, P, d] and
        ys [n, P].  Of the inputs only the first dims are in use; 0: all.  With a probe, also the functions
        at probe times the unit vectors of these inputs, [n, dims]."""
        lib, how = library(), Sampling.from_buffer_copy(self.sampling)
        xs, ys, scratch = torch.empty(n, P, self.d), torch.empty(n, P), torch.empty(self.scratch)
        rng, how.dims_active = ctypes.create_string_buffer(RNG_BYTES), dims
        hints, units = torch.zeros(n, self.d if probe else 0), probe * torch.eye(self.d)
        for i in range(n):
            lib.icl_rng_init(rng, seed, stream, first + i)
            if lib.icl_prompt_sample(self.task, ctypes.byref(how), rng, P, xs.data_ptr() + 4 * i * P * self.d,
                                     ys.data_ptr() + 4 * i * P, None, scratch.data_ptr()):
                ys[i] = math.nan                                    # the step will be skipped
            for j in range(dims or self.d if probe else 0):
                hints[i, j] = lib.icl_function_eval(scratch.data_ptr(), units[j].data_ptr(), self.task)
        return (xs, ys, hints[:, :dims or self.d]) if probe else (xs, ys)

def whole_contexts(task, n, seed, first, count):
    """Prompts of n pairs that all set their scale and, where prompts have orders, in an order of their own: a third
    each drawn, rising, falling by the first input (>>typical in icl_train.h)."""
    xs, ys = task.sample(seed, 1 << 41, first, count, n)
    if "standardize=1" in task.how:
        for v in (xs, ys):
            sd = v.std(1, unbiased=False, keepdim=True)
            v.sub_(v.mean(1, keepdim=True)).div_(torch.where(sd > 1e-6, sd, 1.0))
    for i in range(count if "order=1" in task.how else 0):
        order, turn = torch.randperm(n, generator=torch.Generator().manual_seed(first + i)), (first + i) % 3 - 1
        order = order if turn == 0 else order[torch.argsort(turn * xs[i, order, 0], stable=True)]
        xs[i], ys[i] = xs[i, order].clone(), ys[i, order].clone()
    return xs, ys

def measured_lengths(P):
    """Each number of pairs up to 8, then two in every doubling, and P."""
    return sorted({n for e in range(30) for n in (e + 1 if e < 8 else 0, 8 << e, 12 << e) if 0 < n < P} | {P})

@torch.no_grad()
def typical(model, task, P, seed, device="cpu", N=2048, batch=64):
    """icl.typical (>>surprise in icl.h), from N contexts: after 1 .. P pairs the median and the 99th percentile of
    the mean log(residual^2 + 1e-4) of all but the first third - log(mean y^2 + 0.1), in thousandths."""
    couples, lengths = {}, measured_lengths(P)
    for n in lengths:
        figures, whole = [], max(n, min(4, P))
        for i in range(0, N, batch):
            xs, ys = (t.to(device) for t in whole_contexts(task, whole, seed, i, batch))
            late, size = ((model(xs, ys) - ys).square() + 1e-4).log().cpu().double(), ys.square().cpu().double()
            figures.append(late[:, n // 3:n].mean(1) - (size[:, :n].mean(1) + 0.1).log())
        figures = torch.cat(figures).sort().values
        couples[n] = float(figures[N // 2]), float(figures[N - N // 100])
    text = []
    for n in range(1, P + 1):
        a, b = max(k for k in lengths if k <= n), min(k for k in lengths if k >= n)
        part = math.log(n / a) / math.log(b / a) if b > a else 0
        middle, high = (u + part * (v - u) for u, v in zip(couples[a], couples[b]))
        text += [middle, max(high, middle + 0.01)]
    return " ".join(str(round(1000 * max(-1000, min(1000, v)))) for v in text)
