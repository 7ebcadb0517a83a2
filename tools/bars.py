"""What the bundled model of one input makes of functions that are known exactly.

    python3 tools/bars.py [MODEL] [--no-refine] [--gp]           (make validate VALIDATE='--parts exact,gp')

--gp, and only then: functions of the class gp, which the exact posterior mean predicts best; with
build/icl.

Rows of an exact line, parabola and sine period, in order: the error of the next value, and the worst
and mean error of a gap, in standard deviations of y.  Then 300 smooth functions without noise (RBF
kernel, length 0.5 to 4) with up to 256 pairs: the root mean squared error between the pairs.
Needs numpy and a C compiler.
SPDX-License-Identifier: MIT
"""
import os
import subprocess
import sys

import real
from real import np


def rows(model, f, n):
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


def exact(model):
    print("rows,n,next,worst_gap,mean_gap")
    for name, f in (("line", lambda x, n: 2 * x + 1), ("parabola", lambda x, n: 0.3 * (x - n / 3) ** 2),
                    ("sine period", lambda x, n: np.sin(2 * np.pi * x / n))):
        for n in (8, 12, 16, 24, 32, 48, 64):
            print(f"{name},{n}," + ",".join(f"{e:.4f}" for e in rows(model, f, n)))
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


# ----- the class gp and its optimum ---------------------------------------------------------------

LENGTHS = np.exp(np.linspace(np.log(0.15), np.log(4), 49)[1::2])


def optimum(x, y, queries, sd):
    """The posterior mean under gp(length=0.15..4) and noise of this deviation: of 24 lengths, by their likelihood."""
    means, likelihoods = [], []
    for length in LENGTHS:
        kernel = lambda a, b: np.exp(-np.subtract.outer(a, b) ** 2 / (2 * length ** 2))
        factor = np.linalg.cholesky(kernel(x, x) + (sd ** 2 + 1e-7) * np.eye(len(x)))
        half = np.linalg.solve(factor, np.column_stack([y, kernel(x, queries)]))
        means.append(half[:, 1:].T @ half[:, 0])
        likelihoods.append(-half[:, 0] @ half[:, 0] / 2 - np.log(np.diag(factor)).sum())
    weights = np.exp(np.array(likelihoods) - max(likelihoods))
    return weights @ np.array(means) / weights.sum()


def gp_class(model, sd, prompts=300, asked=16):
    text = subprocess.run(
        [os.path.join(real.ROOT, "build", "icl"), "sample", "--dims", "1", "--pairs", str(64 + asked),
         "--prompts", str(prompts), "--seed", "5", "--task",
         f"noisy(gp(length=0.15..4), sd={sd})" if sd else "gp(length=0.15..4)"],
        capture_output=True, text=True, check=True).stdout
    rows = np.loadtxt(text.splitlines()[1:], delimiter=",").reshape(prompts, 64 + asked, 3)
    print(f"gp, noise of {sd}: k,model,optimum,ratio (root mean squared errors)")
    for k in (1, 2, 4, 8, 12, 16, 24, 32, 48, 64):
        errors = np.zeros(2)
        for x, y in zip(rows[:, :, 1], rows[:, :, 2]):
            queries, truth = x[-asked:], y[-asked:]
            mine = model.ask(x[:k, None], y[:k], queries[:, None])[0][0]
            errors += np.mean((mine - truth) ** 2), np.mean((optimum(x[:k], y[:k], queries, sd) - truth) ** 2)
        mine, best = np.sqrt(errors / prompts)
        print(f"{k},{mine:.4f},{best:.4f},{mine / best:.2f}")


def gp(model):
    for deviation in (0, 0.1, 0.3):
        gp_class(model, deviation)


def main():
    path = [a for a in sys.argv[1:] if not a.startswith("-")]
    path = path[0] if path else os.path.join(real.ROOT, "examples", "models", "curves.safetensors")
    model = real.Library(path, real.build_library(), "--no-refine" not in sys.argv, 256)
    (gp if "--gp" in sys.argv else exact)(model)


if __name__ == "__main__":
    main()
