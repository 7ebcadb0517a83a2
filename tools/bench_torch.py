"""The same model in PyTorch, for tools/bench.py: eager, and through torch.compile.

Written for speed: fused attention, fused Adam, keys and values kept in buffers of fixed size.
It installs nothing; import fails where PyTorch is missing.
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, C, H):
        super().__init__()
        self.H = H
        self.ln_1, self.ln_2 = nn.LayerNorm(C), nn.LayerNorm(C)
        self.qkv, self.proj = nn.Linear(C, 3 * C), nn.Linear(C, C)
        self.fc, self.mlp = nn.Linear(C, 4 * C), nn.Linear(4 * C, C)

    def heads(self, u):                                             # [B, T, C] -> [B, H, T, D]
        return u.unflatten(2, (self.H, -1)).transpose(1, 2)

    def behind(self, x, mixed):                                     # what follows the attention
        x = x + self.proj(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp(F.gelu(self.fc(self.ln_2(x)), approximate="tanh"))

    def forward(self, x):                                           # [B, T, C]
        q, k, v = map(self.heads, self.qkv(self.ln_1(x)).chunk(3, dim=2))
        return self.behind(x, F.scaled_dot_product_attention(q, k, v, is_causal=True))

    def append(self, x, keys, values, at, mask):                    # [1, H, T, D], T tokens there
        q, k, v = map(self.heads, self.qkv(self.ln_1(x)).chunk(3, dim=2))
        n = at + x.shape[1]
        keys[:, :, at:n] = k
        values[:, :, at:n] = v
        return self.behind(x, F.scaled_dot_product_attention(q, keys[:, :, :n], values[:, :, :n],
                                                             attn_mask=mask))


class Model(nn.Module):
    """Garg et al.'s decoder; weights are icl.h's, by name."""
    def __init__(self, L, H, C, d, P):
        super().__init__()
        self.P, self.H, self.C, self.d = P, H, C, d
        self.read_in, self.read_out = nn.Linear(d, C), nn.Linear(C, 1)
        self.wpe = nn.Parameter(torch.zeros(2 * P + 1, C))
        self.h = nn.ModuleList(Block(C, H) for _ in range(L))
        self.ln_f = nn.LayerNorm(C)

    def load(self, w):
        names = {"ln_1": "ln_1", "qkv": "attn.c_attn", "proj": "attn.c_proj", "ln_2": "ln_2",
                 "fc": "mlp.c_fc", "mlp": "mlp.c_proj"}
        def put(module, name, transposed=False):
            weight = torch.tensor(w[name + ".weight"])
            module.weight.data.copy_(weight.T if transposed else weight)
            module.bias.data.copy_(torch.tensor(w[name + ".bias"]))
        put(self.read_in, "_read_in")
        put(self.read_out, "_read_out")
        put(self.ln_f, "_backbone.ln_f")
        self.wpe.data.copy_(torch.tensor(w["_backbone.wpe.weight"]))
        for l, block in enumerate(self.h):
            for ours, theirs in names.items():
                put(getattr(block, ours), f"_backbone.h.{l}.{theirs}", "c_" in theirs)
        return self

    def tokens(self, xs, ys):                                       # [B, P, d], [B, P]
        y = F.pad(ys[:, :, None], (0, self.d - 1))
        return torch.stack([xs, y], dim=2).flatten(1, 2)[:, :-1]    # the last y is for nobody

    def forward(self, xs, ys):                                      # -> [B, P]
        tokens = self.tokens(xs, ys)
        x = self.read_in(tokens) + self.wpe[:tokens.shape[1]]
        for block in self.h:
            x = block(x)
        return self.read_out(self.ln_f(x[:, ::2]))[:, :, 0]

    def append(self, tokens, cache, at, mask):                      # [1, n, d] -> prediction
        x = self.read_in(tokens) + self.wpe[at:at + tokens.shape[1]]
        for block, (keys, values) in zip(self.h, cache):
            x = block.append(x, keys, values, at, mask)
        return self.read_out(self.ln_f(x[:, :1]))[:, 0, 0]


class Peer:
    """One way to run it; work() gives what tools/bench.py times."""
    def __init__(self, name, size, weights, xs, ys, compiled):
        L, H, C, d, P = size
        self.name, self.P, self.d = name, P, d
        wrap = (lambda f: torch.compile(f, dynamic=False)) if compiled else (lambda f: f)
        self.model = Model(L, H, C, d, P).load(weights)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-4, fused=True)
        self.xs, self.ys = torch.tensor(xs), torch.tensor(ys)
        self.cache = [(torch.zeros(1, H, 2 * P, C // H), torch.zeros(1, H, 2 * P, C // H))
                      for _ in range(L)]
        self.mask = torch.ones(2, 2 * P).tril(2 * P - 2).bool()
        self._loss = wrap(lambda xs, ys: F.mse_loss(self.model(xs, ys), ys))
        self._forward = wrap(self.model)
        self._append = wrap(self.model.append)

    def train(self):
        loss = self._loss(self.xs, self.ys)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    @torch.inference_mode()
    def forward(self):
        return self._forward(self.xs, self.ys)

    @torch.inference_mode()
    def query(self):
        return self._forward(self.xs[:1], self.ys[:1])[:, -1]

    @torch.inference_mode()
    def append(self):
        tokens = self.model.tokens(self.xs[:1, -1:], self.ys[:1, -1:])
        tokens = torch.cat([tokens, F.pad(self.ys[:1, -1:, None], (0, self.d - 1))], dim=1)
        return self._append(tokens, self.cache, 2 * self.P - 2, self.mask)

    def fill_cache(self):
        """The first P-1 pairs, so that append() has what it follows."""
        with torch.inference_mode():
            n = 2 * self.P - 2
            tokens = self.model.tokens(self.xs[:1], self.ys[:1])[:, :n]
            mask = torch.ones(n, n).tril().bool()
            self.model.append(tokens, self.cache, 0, mask)


def peers(size, weights, xs, ys, threads):
    torch.set_num_threads(threads)
    return [Peer("torch", size, weights, xs, ys, False),
            Peer("compile", size, weights, xs, ys, True)]
