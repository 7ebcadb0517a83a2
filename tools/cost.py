"""The cost model of README.md, "What it costs", against the clock: FLOP and bytes of a cold query,
an append and a training step, and what `icl bench` measures on one thread.

    make && python3 tools/cost.py [--md]

"model" is the larger of FLOP over the processor's peak and, for models of more than 24 MB, bytes
over the memory's bandwidth: no machine can do it in less.  Needs nothing but Python.
"""
import os
import subprocess
import sys

ICL = os.path.join(os.path.dirname(__file__), "..", "build", "icl")
CACHE = 24e6                       # bytes that stay in the last cache from one call to the next

# name, layers, heads, width, inputs, pairs, prompts of a training step
SIZES = [("tiny", 3, 2, 64, 20, 41, 64), ("small", 6, 4, 128, 20, 41, 64),
         ("standard", 12, 8, 256, 20, 41, 16), ("wide", 4, 16, 1024, 20, 41, 8),
         ("long", 3, 2, 64, 20, 1001, 2)]


def query_flop(L, C, d, n):
    """A cold prompt: n pairs and a query, T = 2 n + 1 tokens.  The last layer computes keys and
    values of all tokens, and the rest for x tokens alone."""
    T = 2 * n + 1
    products = 24 * C * C * L * T - 18 * C * C * n + 2 * d * C * T
    scores = 4 * C * ((L - 1) * T * (T + 1) / 2 + (n + 1) ** 2)
    return products + scores


def append_flop(L, C, d, n):
    """Two tokens behind n pairs."""
    return 2 * (24 * C * C * L + 2 * d * C) - 18 * C * C + 4 * C * (L * (4 * n + 3) - (2 * n + 2))


def append_bytes(L, C, n):
    """Weights and cached keys and values, once each."""
    return 4 * 12 * L * C * C + 16 * L * C * n


def train_flop(L, C, d, pairs, B):
    """Forward, gradient of inputs, gradient of weights."""
    return 3 * B * query_flop(L, C, d, pairs - 1)


def context_bytes(L, C, n):
    """Keys and values of n pairs: what icl_ctx_bytes grows by."""
    return 16 * L * C * n


def bench(L, H, C, d, P, B, what):
    out = subprocess.run([ICL, "bench", "--threads", "1", "--what", what] + sum(
        (["--" + k, str(v)] for k, v in dict(layers=L, heads=H, width=C, dims=d, pairs=P,
                                             batch=B).items()), []),
        check=True, capture_output=True, text=True).stdout.splitlines()
    found = {l.split()[0]: l.split() for l in out}
    unit = {"ms": 1e-3, "us": 1e-6}
    return {k: float(v[2]) * unit[v[5]] if v[1] == "median" else float(v[1])
            for k, v in found.items()}


def main():
    rows = []
    for name, L, H, C, d, P, B in SIZES:
        t = bench(L, H, C, d, P, B, "query,append,train,peak,bandwidth")
        peak, bandwidth = 1e9 * t["peak_gflops"], 1e9 * t["bandwidth_gbs"]
        cost = {"query": (query_flop(L, C, d, P - 1), 48 * L * C * C),
                "append": (append_flop(L, C, d, P - 1), append_bytes(L, C, P - 1)),
                "train": (train_flop(L, C, d, P, B), 0)}
        for what, (flop, size) in cost.items():
            model = max(flop / peak, size / bandwidth if size > CACHE else 0)
            rows.append([f"{name} {L}/{H}/{C}", str(P - 1), what, f"{flop / 1e6:.4g}",
                         f"{size / 1e6:.3g}" if size else "-", f"{1e3 * model:.3g}",
                         f"{1e3 * t[what]:.3g}", f"{t[what] / model:.2f}"])
    head = ["model", "pairs", "what", "MFLOP", "MB", "model ms", "measured ms", "ratio"]
    if "--md" in sys.argv:
        for line in [head, ["---"] * len(head), *rows]: print("| " + " | ".join(line) + " |")
    else:
        for line in [head, *rows]: print("".join(f"{c:>18}" for c in line))


if __name__ == "__main__":
    main()
