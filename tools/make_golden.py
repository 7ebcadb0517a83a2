#!/usr/bin/env python3
"""Makes tests/golden/: small checkpoints, and what PyTorch says they predict and how they train.

    pip install torch==2.13.0 && pip install transformers safetensors numpy
    python3 tools/make_golden.py [FOLDER]   # the same bytes every time; takes seconds

The model is the wrapper of Garg et al. 2022 (arXiv 2208.01066) around Hugging Face's GPT2Model. For
positions that do not learn (sinusoidal, none) it is written out in torch_model.py; wherever both
can run, all results have to agree to 1e-12. Weights (float32, float16 or bfloat16) and data (float32)
are rounded first; predictions, gradients and losses are then computed in float64.

For each case NAME this writes NAME.safetensors, a checkpoint, and NAME.golden, little-endian:

    char[8]  "ICLGOLD1"
    int32    B, P, d, n_steps                    prompts, pairs a prompt, inputs, Adam steps
    float32  lr, beta1, beta2, eps, weight_decay, clip         clip 0: none
    float32  xs[B][P][d], ys[B][P]
    float32  preds[B][P][1 + Q]                  of each y, from its x and the pairs before it: the
                                                 prediction, and the model's Q quantiles, rising
    float32  loss                                mean over B and P of (prediction - y)^2
    int32    n_tensors, and for each parameter:
        int32 length, char name[length]          without prefix, no NUL
        int64 count, float32 grad[count]         d loss / d tensor, layout as in the checkpoint; the
                                                 loss of quantiles (losses in torch_model.py) added
    float32  losses[n_steps]                     before each full-batch step on these prompts

The optimizer is torch.optim.Adam, or AdamW over all tensors where weight_decay > 0, after
clip_grad_norm_ where clip > 0: gradients times min(1, clip / (norm + 1e-6)).
"""
import json
import math
import re
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from torch_model import Model, PlainBackbone, float32, gpt2_backbone, has_wpe, losses as losses_of

# Gradients that are 0 but for rounding in float64 (those of key biases are), and so differ from one
# processor to the next, are written as 0.
NOTHING = 1e-12

OUT = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent / "tests" / "golden"

DEFAULTS = dict(B=3, P=9, n_out=1, act="gelu_new", ln_eps=1e-5, pos="absolute", steps=10, lr=1e-3,
                betas=(0.9, 0.999), adam_eps=1e-8, wd=0.0, clip=0.0, dtype=torch.float32, prefix="",
                spare=0, legacy=False, meta="", tokens="apart", quantiles=())
GPT2 = dict(seed=1, C=32, H=4, L=2, d=5, spare=4)

# meta: what the metadata give beside n_head (act, eps, pos, n), so that defaults are tested as well.
# spare: positions beyond the 2P in use. legacy: keep the buffers that a reader has to skip.
CASES = {
    "gpt2": GPT2,
    "gpt2_erf": dict(seed=2, C=24, H=4, L=1, d=3, P=11, n_out=3, act="gelu", ln_eps=1e-3, legacy=True,
                     meta="act eps pos n"),
    "gpt2_relu": dict(seed=3, C=30, H=5, L=1, d=1, P=10, act="relu", meta="act"),
    "sinusoidal": dict(seed=4, C=36, H=2, L=1, d=4, P=8, n_out=4, act="relu", pos="sinusoidal",
                       adam_eps=1e-9, spare=2, meta="act pos n"),
    "none": dict(seed=5, C=20, H=2, L=2, d=2, P=7, pos="none", spare=2, meta="eps pos n"),
    "adamw": dict(seed=6, C=16, H=1, L=3, d=2, P=8, lr=3e-3, betas=(0.9, 0.95), wd=0.1, clip=0.2,
                  meta="n"),
    "wide": dict(seed=7, C=72, H=3, L=1, d=20, P=20, meta="act"),
    "joint": dict(seed=8, C=24, H=3, L=2, d=3, P=8, n_out=5, pos="alternating", tokens="joint",
                  quantiles=(0.05, 0.25, 0.5, 0.9), spare=1, meta="pos n tokens levels"),
    "f16": GPT2 | dict(steps=3, dtype=torch.float16, prefix="module."),
    "bf16": GPT2 | dict(steps=3, dtype=torch.bfloat16, prefix="_orig_mod."),
}

def random_weights(c):
    """All parameters by name, far enough from any initialisation to show each one's effect."""
    rng = np.random.default_rng(c.seed)
    weights = {}
    for name, p in Model(c, PlainBackbone).state_dict().items():
        noise = torch.from_numpy(rng.standard_normal(tuple(p.shape), dtype=np.float32))
        fan_in = p.shape["_read" in name and p.dim() > 1]       # nn.Linear is [out, in], Conv1D [in, out]
        sd = 0.1 if p.dim() == 1 else 0.3 if "wpe" in name else 1 / math.sqrt(fan_in)
        noise = 1 + 0.2 * noise if re.search(r"ln_\w+\.weight", name) else sd * noise
        weights[name] = noise.to(c.dtype)
    return weights

def random_prompts(c):
    """Noisy linear functions: xs [B, P, d] and ys [B, P], float32 values held as float64."""
    rng = np.random.default_rng(1000 + c.seed)
    xs, w, noise = (torch.from_numpy(rng.standard_normal((c.B, *shape), dtype=np.float32)).double()
                    for shape in [(c.P, c.d), (c.d, 1), (c.P,)])
    return xs, ((xs @ w)[:, :, 0] / math.sqrt(c.d) + 0.1 * noise).float().double()

def results(c, backbone, weights, xs, ys, hyper):
    """Predictions, loss, the gradient of each tensor, and the losses before each optimizer step."""
    lr, beta1, beta2, eps, wd, clip = hyper
    model = Model(c, backbone).double()
    model.load_state_dict({k: w.double() for k, w in weights.items()})
    kind, decay = (torch.optim.AdamW, dict(weight_decay=wd)) if wd > 0 else (torch.optim.Adam, {})
    optimizer = kind(model.parameters(), lr=lr, betas=(beta1, beta2), eps=eps, **decay)
    losses = []
    for step in range(c.steps):
        optimizer.zero_grad()
        answers = model.answers(xs, ys)
        loss, squared = losses_of(c, answers, ys)
        loss.backward()
        if step == 0:
            grads = {k: p.grad.clone() for k, p in model.named_parameters()}
            quantiles = answers[:, :, 1:1 + len(c.quantiles)].sort(2).values
            first = [torch.cat([answers[:, :, :1], quantiles], dim=2), squared] + [grads[k] for k in weights]
        losses.append(squared.item())
        if clip > 0:
            norm = nn.utils.clip_grad_norm_(model.parameters(), clip)
            assert norm > 1.1 * clip, "the case is there to show clipping"
        optimizer.step()
    return first + [torch.tensor(losses, dtype=torch.float64)]

def checkpoint(c, weights):
    """The safetensors file, its metadata sorted: save() leaves them in random order."""
    n = c.n_positions
    tensors = {c.prefix + name: w for name, w in weights.items()}
    if c.legacy:                                                # what older transformers leave behind
        tensors["_backbone.wte.weight"] = torch.full((1, c.C), 0.5)
        tensors["_backbone.h.0.attn.bias"] = torch.ones(1, 1, n, n, dtype=torch.uint8).tril()
        tensors["_backbone.h.0.attn.masked_bias"] = torch.tensor(-1e4)
    meta = dict(act=("activation_function", c.act), eps=("layer_norm_epsilon", repr(c.ln_eps)),
                pos=("position_embedding_type", c.pos), n=("n_positions", str(n)),
                tokens=("icl.tokens", c.tokens), levels=("icl.quantiles", ",".join(map(str, c.levels))))
    blob = save(tensors, metadata=dict([meta[k] for k in c.meta.split()], n_head=str(c.H)))
    size = struct.unpack_from("<Q", blob)[0]
    header = json.loads(blob[8:8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode().ljust(size)
    return blob[:8] + text + blob[8 + size:]

def make(name, options):
    """Writes both files of one case."""
    c = SimpleNamespace(**DEFAULTS | options)
    c.n_positions = 2 * c.P + c.spare
    c.levels, c.quantiles = c.quantiles, tuple(map(float32, c.quantiles))
    weights, (xs, ys) = random_weights(c), random_prompts(c)
    # The optimizer gets these as the file holds them.
    hyper = np.array([c.lr, *c.betas, c.adam_eps, c.wd, c.clip], "<f4")
    found = results(c, PlainBackbone, weights, xs, ys, hyper.tolist())
    if has_wpe(c):
        expected = results(c, gpt2_backbone, weights, xs, ys, hyper.tolist())
        assert all((a - b).abs().max() < 1e-12 for a, b in zip(found, expected, strict=True))
    xs, ys, preds, loss, *grads, losses = (t.detach().numpy().astype("<f4") for t in [xs, ys, *found])

    parts = [b"ICLGOLD1", struct.pack("<4i", c.B, c.P, c.d, c.steps), hyper, xs, ys, preds, loss,
             struct.pack("<i", len(weights))]
    for key, grad in zip(weights, grads):
        grad[abs(grad) < NOTHING] = 0
        parts += [struct.pack("<i", len(key)), key.encode(), struct.pack("<q", grad.size), grad]
    (OUT / f"{name}.golden").write_bytes(b"".join(map(bytes, parts + [losses])))
    (OUT / f"{name}.safetensors").write_bytes(checkpoint(c, weights))
    print(f"{name:10s} {len(weights):3d} tensors, loss {losses[0]:.4f} -> {losses[-1]:.4f}")

if __name__ == "__main__":
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    for name, options in CASES.items():
        make(name, options)
