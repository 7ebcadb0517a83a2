"""The same model in ONNX Runtime, for tools/bench.py, from an export of tools/bench_torch.py's.

It installs nothing; import fails where onnxruntime, or what torch.onnx needs, is missing.
"""
import os
import tempfile

import onnxruntime
import torch

import bench_torch


class Append(torch.nn.Module):
    """Two tokens behind a cache [L, 2, H, T, D] that comes in and, longer, goes out."""
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, tokens, cache):
        m, n = self.model, cache.shape[3]
        x = m.read_in(tokens) + m.wpe[n:n + 2]
        mask = torch.ones(2, n + 2).tril(n).bool()
        news = []
        for l, block in enumerate(m.h):
            q, k, v = map(block.heads, block.qkv(block.ln_1(x)).chunk(3, dim=2))
            keys, values = torch.cat([cache[l, :1], k], 2), torch.cat([cache[l, 1:], v], 2)
            news.append(torch.cat([k, v]))
            x = block.behind(x, torch.nn.functional.scaled_dot_product_attention(
                q, keys, values, attn_mask=mask))
        return m.read_out(m.ln_f(x[:, :1]))[:, 0, 0], torch.stack(news)


class Peer:
    """Forward passes only: ONNX Runtime does not train these."""
    name = "onnx"

    def __init__(self, size, weights, xs, ys, threads):
        L, H, C, d, P = size
        model = bench_torch.Model(*size).load(weights).eval()
        x, y = torch.tensor(xs), torch.tensor(ys)
        tokens = torch.zeros(1, 2, d)
        cache = torch.zeros(L, 2, H, 2 * P - 2, C // H)
        self.all = self._session(model, (x, y), threads)
        self.one = self._session(model, (x[:1], y[:1]), threads)
        self.two = self._session(Append(model), (tokens, cache), threads)
        self.xs, self.ys, self.tokens, self.cache = xs, ys, tokens.numpy(), cache.numpy()

    @staticmethod
    def _session(module, inputs, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.onnx")
            torch.onnx.export(module, inputs, path, dynamo=True, verbose=False)
            return onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])

    @staticmethod
    def _run(session, *values):
        return session.run(None, {i.name: v for i, v in zip(session.get_inputs(), values)})[0]

    def forward(self):
        return self._run(self.all, self.xs, self.ys)

    def query(self):
        return self._run(self.one, self.xs[:1], self.ys[:1])[:, -1]

    def append(self):
        return self._run(self.two, self.tokens, self.cache)


def peers(size, weights, xs, ys, threads):
    return [Peer(size, weights, xs, ys, threads)]
