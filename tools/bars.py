"""What the bundled model of one input makes of functions that are known exactly.

    python3 tools/bars.py [MODEL] [--no-refine]

Rows of an exact line, parabola and sine period, in order: the error of the next value, and the worst
and mean error of a gap, in standard deviations of y.  Then 300 smooth functions without noise (RBF
kernel, length 0.5 to 4) with up to 256 pairs: the root mean squared error between the pairs.
Needs numpy and a C compiler.
SPDX-License-Identifier: MIT
"""
import os
import sys

import real
from real import np


def rows(f, n):
    """Errors of the next value, and of each row from the second to the last but one as a gap."""
    x, gaps = np.arange(n, dtype=float), []
    y, next_y = f(x, n), f(np.array([float(n)]), n)[0]
    def error(kept, at, truth):
        answer = model.ask(x[kept][:, None], y[kept], np.array([[at]]))[0][0][0]
        return abs(answer - truth) / y.std()
    for i in range(1, n - 1):
        gaps.append(error(np.delete(np.arange(n), i), float(i), y[i]))
    return error(np.arange(n), float(n), next_y), max(gaps), sum(gaps) / len(gaps)


def smooth(rng, i):
    """x[296] and y[296] of a smooth function; the first 40 are queries."""
    w = rng.standard_normal(40) / np.exp(rng.uniform(np.log(0.5), np.log(4)))
    b, a = rng.uniform(0, 2 * np.pi, 40), rng.standard_normal(40)
    x = rng.uniform(-1.7, 1.7, 296) if i % 3 else rng.standard_normal(296)
    return x, np.cos(np.outer(x, w) + b) @ a


def main():
    print("rows,n,next,worst_gap,mean_gap")
    for name, f in (("line", lambda x, n: 2 * x + 1), ("parabola", lambda x, n: 0.3 * (x - n / 3) ** 2),
                    ("sine period", lambda x, n: np.sin(2 * np.pi * x / n))):
        for n in (8, 12, 16, 24, 32, 48, 64):
            print(f"{name},{n}," + ",".join(f"{e:.4f}" for e in rows(f, n)))
    rng, errors = np.random.default_rng(0), {}
    for i in range(300):
        x, y = smooth(rng, i)
        for k in (8, 16, 32, 64, 128, 256):
            c = x[40:40 + k]
            q = np.flatnonzero((x[:40] >= c.min()) & (x[:40] <= c.max()))
            if not len(q):
                continue
            answers = model.ask(c[:, None], y[40:40 + k], x[q][:, None])[0][0]
            errors.setdefault(k, []).append(np.sqrt(np.mean((answers - y[q]) ** 2)) / y.std())
    print("smooth without noise: k,median,mean")
    for k, e in errors.items():
        print(f"{k},{np.median(e):.4f},{np.mean(e):.4f}")


path = [a for a in sys.argv[1:] if not a.startswith("-")]
path = path[0] if path else os.path.join(real.ROOT, "examples", "models", "curves.safetensors")
model = real.Library(path, real.build_library(), "--no-refine" not in sys.argv, 256)
main()
