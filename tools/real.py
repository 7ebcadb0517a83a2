"""How good the bundled models are on real small data, beside what a practitioner would use.

    python3 tools/real.py [--curves MODEL] [--table MODEL] [--refine] [--markdown] [--domains]
    python3 tools/real.py --command build/icl              asks `icl predict`, as a user would
    python3 tools/real.py --recompute --rivals build/r.csv.gz   the other methods anew

A context is k random rows of a task of examples/real; up to 60 other rows are asked.  Its score is
the root mean squared error there over the standard deviation of all y of the task: 1 is no better
than a constant.  Interpolation asks rows from everywhere, extrapolation the largest third of x from
rows below.  A cell (task, setting, k) is the median over its splits.  Needs numpy and a C compiler;
--recompute needs scikit-learn and scipy, and takes a quarter of an hour.
SPDX-License-Identifier: MIT
"""
import argparse
import csv
import ctypes
import functools
import gzip
import io
import multiprocessing
import os
import subprocess
import sys
import time
import warnings
import zlib

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
try:
    import numpy as np
except ImportError:
    print("real: skipped: needs numpy")
    sys.exit(0)

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DATA = os.path.join(ROOT, "examples", "real")
PAIRS = {"1d": (4, 8, 12, 16, 32), "tab": (10, 20, 40)}
SPLITS = {"1d": 6, "tab": 10}
ASKED = 60
LEVEL = 0.9
PARTS = (("1d", "interp", "One input, interpolation"), ("1d", "extrap", "One input, extrapolation"),
         ("tab", "interp", "Several inputs"))
RIVALS = ["mean", "ridge", "poly2", "knn3", "rf", "gp_rbf", "gp_matern", "pchip", "spline",
          "bayes_ridge"]
GP_INTERVAL = ("gp_cover90", "gp_width90")
KEY = ["task", "setting", "k", "split"]
OURS = ["icl", "cover", "width", "surprise", "interval", "loo", "doubt", "doubt_at", "sorted"]


# ----- tasks and contexts -------------------------------------------------------------------------

def load_tasks(names):
    with open(os.path.join(DATA, "index.csv"), encoding="utf-8") as f:
        tasks = [r for r in csv.DictReader(f) if not names or r["name"] in names]
    for t in tasks:
        path = os.path.join(DATA, "data", t["kind"], t["name"] + ".csv")
        rows = np.loadtxt(path, delimiter=",", skiprows=1)
        t["x"], t["y"] = rows[:, :-1], rows[:, -1]
    return tasks


def generator(task, setting, k, split, *more):
    """Random numbers that depend on the context's name alone, not on what else is run."""
    return np.random.default_rng([zlib.crc32(task["name"].encode()), setting == "extrap", k, split,
                                  *more])


def contexts(task, splits):
    """Yields (setting, k, split, rows of the context, rows asked).  Tasks of one input are sorted
    by x; rows that share the x of the cut are held out with those above it."""
    x, n = task["x"], len(task["y"])
    for setting in ("interp", "extrap") if task["kind"] == "1d" else ("interp",):
        known, held = np.arange(n), None
        if setting == "extrap":
            above = x[:, 0] >= x[n - n // 3, 0]
            known, held = np.flatnonzero(~above), np.flatnonzero(above)
        for k in PAIRS[task["kind"]]:
            if k + (4 if held is None else 0) > len(known):
                continue
            for split in range(min(splits or 99, SPLITS[task["kind"]])):
                rng = generator(task, setting, k, split)
                rows = rng.permutation(known)
                asked = rows[k:] if held is None else rng.permutation(held)
                yield setting, k, split, rows[:k], asked[:ASKED]


# ----- icl ----------------------------------------------------------------------------------------

ENGINE = '#define ICL_IMPLEMENTATION\n#include "icl.h"\n'
MIX = """
static blend mix;
int real_mix(icl_ctx *c, icl_ctx *spare) { blend_free(&mix); return blend_fit(&mix, c, spare); }
double real_share(void) { return mix.share; }
void real_mixed(int n, const float *xs, float *ys, float *lo, float *hi)
{
  blend_answers(&mix, n, xs, ys, lo, hi);
}
"""


def build_library():
    """icl.h and tools/blend.c as a shared library.  Returns its path."""
    out = os.path.join(ROOT, "build", "real_icl.so")
    parts = [os.path.join(ROOT, "tools", name + ".c") for name in ("solve", "ridge", "blend")]
    newest = max(map(os.path.getmtime, (os.path.join(ROOT, "icl.h"), __file__, *parts)))
    if not os.path.exists(out) or os.path.getmtime(out) < newest:
        os.makedirs(os.path.dirname(out), exist_ok=True)
        source = (ENGINE + "".join(f'#include "{path}"\n' for path in parts)
                  + "int real_dims(const icl_model *m) { return m->config.n_dims; }\n" + MIX)
        subprocess.run([*os.environ.get("CC", "cc").split(), "-O2", "-shared", "-fPIC", "-I", ROOT,
                        "-x", "c", "-", "-o", f"{out}.{os.getpid()}", "-lm"],
                       input=source, text=True, check=True)
        os.replace(f"{out}.{os.getpid()}", out)
    return out


def address(a):
    return ctypes.c_void_p(a.ctypes.data)


def handle(context):
    return ctypes.c_void_p(context)


class Library:
    """A model by way of the C interface."""

    def __init__(self, path, library, refine, pairs=64, ridge=True):
        self.lib, self.path, self.refine = ctypes.CDLL(library), path, refine
        self.lib.icl_error_string.restype = ctypes.c_char_p
        model, self.images, self.rests = ctypes.c_void_p(), (ctypes.c_void_p * 4)(), (ctypes.c_void_p * 4)()
        self.call("icl_load", ctypes.byref(model), os.fsencode(path), None)
        self.lib.real_share.restype = ctypes.c_double
        self.d, self.most = self.lib.real_dims(model), self.lib.icl_max_pairs(model)
        self.ridge = ridge and refine and self.d > 1
        for contexts_of in (self.images, self.rests):
            for i in range(4):
                c = ctypes.c_void_p()
                self.call("icl_ctx_new", ctypes.byref(c), model, min(self.most, pairs), 64)
                contexts_of[i] = c
        self.c = self.images[0]
        x, y = np.zeros(self.d, np.float32), np.zeros((3, 1), np.float32)
        self.quantiles = self.lib.icl_predict_interval(
            handle(self.c), 1, address(x), ctypes.c_float(LEVEL), *map(address, y)) == 0

    def call(self, name, *args):
        error = getattr(self.lib, name)(*args)
        if error:
            raise RuntimeError(f"{self.path}: {name}: {self.lib.icl_error_string(error).decode()}")

    def padded(self, x):
        return np.pad(x, ((0, 0), (0, self.d - x.shape[1]))).astype(np.float32)

    def ask(self, x, y, queries):
        """Answers [3][n] (y, lo, hi; NaN without quantiles), surprise."""
        x, y, queries = self.padded(x), y.astype(np.float32), self.padded(queries)
        out, n = np.full((3, len(queries)), np.nan, np.float32), len(queries)
        self.call("icl_rewind", handle(self.c), 0)
        for name in ("icl_standardize", "icl_add_batch"):
            self.call(name, handle(self.c), len(y), address(x), address(y))
        level, answers = ctypes.c_float(LEVEL), [address(a) for a in out]
        if self.refine:
            kept = self.look_again(self.d == 1)
            self.call("icl_predict_mean", kept, self.images, self.rests, n, address(queries), level,
                      answers[0], *(answers[1:] if self.quantiles else (None, None)))
            if self.ridge:
                self.lib.real_mixed(n, address(queries), answers[0],
                                    *(answers[1:] if self.quantiles else (None, None)))
        elif self.quantiles:
            self.call("icl_predict_interval", handle(self.c), n, address(queries), level, *answers)
        else:
            self.call("icl_predict_batch", handle(self.c), n, address(queries), answers[0])
        return out.astype(float), self.figure("icl_surprise")

    def look_again(self, mirrored):
        """Mirror images that count, and the residuals of each, as `icl predict` has them.  Returns
        the number of images."""
        kept = ctypes.c_int(1)
        if mirrored:
            self.call("icl_mirror_images", self.images, ctypes.byref(kept))
        elif self.ridge:
            self.call("real_mix", handle(self.c), handle(self.rests[0]))
        for i in range(kept.value):
            self.call("icl_refine", handle(self.rests[i]), handle(self.images[i]))
        return kept.value

    def figure(self, name):
        """icl_surprise or icl_check of the context; NaN where the model does not say."""
        value = ctypes.c_float()
        return np.nan if getattr(self.lib, name)(handle(self.c), ctypes.byref(value)) else value.value

    def check(self):
        return self.figure("icl_check")

    def left_out(self, x, y):
        """What the first look misses at each row, predicted from the others, which set the scale."""
        missed, out = np.empty(len(y)), np.empty((1, 1), np.float32)
        x, y32 = self.padded(x), y.astype(np.float32)
        for i in range(len(y)):
            kept = np.arange(len(y)) != i
            xs, ys, query = x[kept], y32[kept], x[i:i + 1].copy()
            self.call("icl_rewind", handle(self.c), 0)
            for name in ("icl_standardize", "icl_add_batch"):
                self.call(name, handle(self.c), len(ys), address(xs), address(ys))
            self.call("icl_predict_batch", handle(self.c), 1, address(query), address(out))
            missed[i] = out[0, 0] - y[i]
        return missed


class Command:
    """A model by way of `icl predict`, with the rows as a user's file."""

    most = 1 << 22

    def __init__(self, path, command):
        self.line = [command, "predict", path, "-", "--standardize", "--surprise"]
        with_interval = self.line + ["--interval", str(LEVEL)]
        self.quantiles = not subprocess.run(with_interval, input="1,1\n2,2\n3,?\n", text=True,
                                            capture_output=True, check=False).returncode
        self.line = with_interval if self.quantiles else self.line

    def ask(self, x, y, queries):
        rows = [[*map(repr, map(float, a)), repr(float(b))] for a, b in zip(x, y)]
        rows += [[*map(repr, map(float, a)), "?"] for a in queries]
        done = subprocess.run(self.line, input="\n".join(map(",".join, rows)) + "\n", text=True,
                              capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(" ".join(self.line) + ": " + done.stderr.strip())
        answers = [[float(v or "nan") for v in line.split(",")[x.shape[1]:]]
                   for line in done.stdout.splitlines()]
        out = np.full((3, len(queries)), np.nan)
        width = 3 if self.quantiles else 1
        out[:width] = np.array(answers)[:, :width].T
        return out, answers[0][width] if len(answers[0]) > width else np.nan

    def check(self):
        return np.nan

    def left_out(self, _, y):
        return np.full(len(y), np.nan)


@functools.lru_cache(maxsize=None)
def engine(path, command, library, refine, ridge):
    return Command(path, command) if command else Library(path, library, refine, 64, ridge)


def ridge_left_out(x, y):
    """What ridge misses at each row, predicted from the others, with the penalty whose leave-one-out
    error is least."""
    x_std, least = x.std(0), None
    x = (x - x.mean(0)) / np.where(x_std > 0, x_std, 1)
    values, vectors = np.linalg.eigh(x @ x.T)
    for penalty in 10.0 ** np.linspace(-3, 3, 13):
        hat = vectors * (values / (values + penalty)) @ vectors.T
        missed = (y - y.mean() - hat @ (y - y.mean())) / (1 - np.minimum(np.diag(hat) + 1 / len(y), 0.999))
        if least is None or np.mean(missed ** 2) < np.mean(least ** 2):
            least = missed
    return least


def ridge(x, y, queries):
    """Ridge regression's answers, penalty by leave-one-out."""
    mean, sd = x.mean(0), np.where(x.std(0) > 0, x.std(0), 1)
    a, b = (x - mean) / sd, (queries - mean) / sd
    left, values, right = np.linalg.svd(a, full_matrices=False)
    best, answer = np.inf, None
    for penalty in 10.0 ** np.linspace(-3, 3, 13):
        shrunk = values / (values ** 2 + penalty)
        hat = (left * (values * shrunk)) @ left.T
        missed = (y - y.mean() - hat @ (y - y.mean())) / (1 - np.minimum(np.diag(hat) + 1 / len(y), 0.999))
        if np.mean(missed ** 2) < best:
            best = np.mean(missed ** 2)
            answer = y.mean() + b @ (right.T @ (shrunk * (left.T @ (y - y.mean()))))
    return answer


def doubt(model_missed, ridge_missed, scale):
    """Mean absolute leave-one-out error over ridge's: above 1, ridge may well do better here."""
    return np.abs(model_missed).mean() / max(np.abs(ridge_missed).mean(), 1e-3 * scale)


def doubt_at(figure, answer, other, low, high, scale):
    """That figure where certain queries are asked: over how far ridge's answers are from the model's, in widths of
    the model's interval.  A model that is sure of itself, and contradicts ridge, is right more often."""
    apart, width = (max(np.sqrt(np.mean(v ** 2)), 1e-3 * scale) for v in (answer - other, high - low))
    return figure * width / apart


def measure(job):
    """The rows of one task: KEY and OURS."""
    task, a = job
    icl = engine(a.models[task["kind"]], a.command, a.library, a.refine,
                 not a.no_ridge)
    x, y, rows, took = task["x"], task["y"], [], []

    def score(context, asked):
        began = time.process_time()
        out, surprise = icl.ask(x[context], y[context], x[asked])
        took.append(1000 * (time.process_time() - began))
        return np.sqrt(np.mean((out[0] - y[asked]) ** 2)) / y.std(), out, surprise

    for setting, k, split, context, asked in contexts(task, a.splits):
        if k > icl.most:
            continue
        by_x = context[np.argsort(x[context, 0], kind="stable")]
        if a.order == "sorted":
            context = by_x
        elif a.order == "random":
            context = generator(task, setting, k, split, 1).permutation(context)
        error, (answer, lo, hi), surprise = score(context, asked)
        row = dict(zip(KEY, (task["name"], setting, k, split)), icl=error, surprise=surprise,
                   ms=took[-1])
        spread = y[context].std() or 1.0
        if icl.quantiles:
            row["cover"] = np.mean((y[asked] >= lo) & (y[asked] <= hi))
            row["width"] = np.mean(hi - lo) / y.std()
            row["interval"] = np.mean(hi - lo) / spread
        row["loo"] = icl.check() / spread
        row["doubt"] = doubt(icl.left_out(x[context], y[context]),
                             ridge_left_out(x[context], y[context]), spread)
        row["doubt_at"] = doubt_at(row["doubt"], answer, ridge(x[context], y[context], x[asked]), lo, hi, spread)
        row["mean"] = np.sqrt(np.mean((y[context].mean() - y[asked]) ** 2)) / y.std()
        if task["kind"] == "1d" and k == 32 and a.order != "sorted":
            row["sorted"] = score(by_x, asked)[0]
        rows.append({name: v for name, v in row.items() if v == v})
    return rows


# ----- the other methods --------------------------------------------------------------------------

def measure_rivals(job):
    """The rows of one task: KEY and RIVALS, as text.  All is standardised by the context."""
    import real_rivals
    task, a = job
    warnings.filterwarnings("ignore")
    x, y, rows = task["x"], task["y"], []
    for setting, k, split, context, asked in contexts(task, a.splits):
        x_mean, x_std = x[context].mean(0), x[context].std(0)
        y_mean, y_std = y[context].mean(), y[context].std() or 1.0
        xs, truth = (x - x_mean) / np.where(x_std > 0, x_std, 1), (y[asked] - y_mean) / y_std
        answers, sd = real_rivals.answers(xs[context], (y[context] - y_mean) / y_std, xs[asked])
        row = dict(zip(KEY, (task["name"], setting, k, split)))
        for name, found in answers.items():
            row[name] = f"{np.sqrt(np.mean((found - truth) ** 2)) * y_std / y.std():.4g}"
        row["gp_cover90"] = f"{np.mean(np.abs(truth - answers['gp_matern']) < 1.645 * sd):.3g}"
        row["gp_width90"] = f"{3.29 * sd.mean() * y_std / y.std():.4g}"
        rows.append(row)
    print(task["name"], file=sys.stderr, flush=True)
    return rows


def write_rivals(path, rows):
    text = io.StringIO()
    out = csv.DictWriter(text, KEY + RIVALS + list(GP_INTERVAL), lineterminator="\n")
    out.writeheader()
    out.writerows(sorted(rows, key=lambda r: [r[name] for name in KEY]))
    with open(path, "wb") as f:
        f.write(gzip.compress(text.getvalue().encode(), 9, mtime=0))


def read_rivals(path):
    with gzip.open(path, "rt", encoding="utf-8") as f:
        return {(r["task"], r["setting"], int(r["k"]), int(r["split"])):
                {name: float(v) for name, v in r.items() if name not in KEY and v}
                for r in csv.DictReader(f)}


def join(rows, rivals, path):
    """Adds the rivals' scores to ours.  The mean's score, which both know, tells whether they are
    of the same rows: numpy's generator may change one day."""
    for r in rows:
        theirs = rivals.get(tuple(r[name] for name in KEY), {})
        if abs(theirs.get("mean", np.inf) - r["mean"]) > 1e-3 * r["mean"]:
            raise RuntimeError(f"{path}: not of the contexts of {r['task']}: see --recompute")
        r.update(theirs)


# ----- tables -------------------------------------------------------------------------------------

def show(title, header, rows, markdown):
    rows = [[v if isinstance(v, str) else f"{v:.3f}" for v in r] for r in [header, *rows]]
    if markdown:
        rows.insert(1, ["---"] + ["---:"] * (len(header) - 1))
        lines = ["| " + " | ".join(r) + " |" for r in rows]
        print(f"\n**{title}**\n", *lines, sep="\n")
        return
    wide = [max(map(len, column)) for column in zip(*rows)]
    print("\n" + title)
    for r in rows:
        print("  " + r[0].ljust(wide[0]), *(v.rjust(w) for v, w in zip(r[1:], wide[1:])), sep="  ")


def geometric(values):
    return float(np.exp(np.mean(np.log(np.maximum(values, 0.005)))))


def make_cells(rows):
    """{(task, k): {column: median over the splits}}; of intervals the mean."""
    groups = {}
    for r in rows:
        groups.setdefault((r["task"], r["k"]), []).append(r)
    means = ("cover", "width", *GP_INTERVAL)
    return {key: {name: float((np.mean if name in means else np.median)([r[name] for r in group]))
                  for name in group[0] if all(name in r for r in group) and name not in KEY}
            for key, group in groups.items()}


def ratio(cells, rival):
    """Of geometric means, icl's to the rival's, and its 95 % interval: bootstrap over tasks."""
    by_task = {}
    for (task, _), c in cells.items():
        by_task.setdefault(task, []).append(np.log(max(c["icl"], 0.005) / max(c[rival], 0.005)))
    sums = np.array([[sum(v), len(v)] for v in by_task.values()])
    drawn = sums[np.random.default_rng(0).integers(len(sums), size=(2000, len(sums)))].sum(1)
    ends = np.percentile(drawn[:, 0] / drawn[:, 1], [2.5, 97.5])
    return [f"{v:.2f}" for v in np.exp([sums[:, 0].sum() / sums[:, 1].sum(), *ends])]


def auc(figure, bad):
    """How often the figure of a bad context is above that of another one; ties count half."""
    good, ill = np.sort(figure[~bad]), figure[bad]
    if not len(good) or not len(ill):
        return "-"
    below = np.searchsorted(good, ill, "left") + np.searchsorted(good, ill, "right")
    return float(below.mean() / 2 / len(good))


def by_group(title, names, cells, methods, of, markdown):
    rows = []
    for name in names:
        inside = [c for key, c in cells.items() if of(key) == name]
        if inside:
            rows.append([str(name), str(len(inside)),
                         *(geometric([c[m] for c in inside]) for m in methods)])
    show(title, ["", "cells", *methods], rows, markdown)


def report(title, rows, tasks, a):
    cells = make_cells(rows)
    methods = ["icl"] + [m for m in RIVALS if all(m in c for c in cells.values())]
    score = {m: np.array([c[m] for c in cells.values()]) for m in methods}
    mine, table = score["icl"], []
    for m in sorted(methods, key=lambda m: (geometric(score[m]), m)):
        v = score[m]
        won, lost = np.sum(mine < 0.97 * v), np.sum(mine > v / 0.97)
        table.append([m, np.median(v), np.minimum(v, 2).mean(), geometric(v),
                      "" if m == "icl" else f"{won}-{len(v) - won - lost}-{lost}"])
    print(("\n### " if a.markdown else "\n===== ")
          + f"{title} (tasks: {len({task for task, _ in cells})}, cells: {len(cells)})")
    show("Error", ["method", "median", "mean, at most 2", "geometric mean", "icl won-tied-lost"],
         table, a.markdown)
    show("Geometric mean of icl over that of", ["method", "ratio", "95 %, over tasks"],
         [[m, r, f"{lo} to {hi}"] for m in ("gp_matern", "ridge") if m in methods
          for r, lo, hi in [ratio(cells, m)]], a.markdown)
    by_group("Geometric mean by pairs", sorted({k for _, k in cells}), cells, methods,
             lambda key: key[1], a.markdown)
    domain = {t["name"]: t["domain"] for t in tasks}
    if a.domains:
        by_group("Geometric mean by domain", sorted({domain[task] for task, _ in cells}), cells,
                 methods, lambda key: domain[key[0]], a.markdown)
    if a.per_task:
        by_group("Geometric mean by task", sorted({task for task, _ in cells}), cells, methods,
                 lambda key: key[0], a.markdown)
    if a.time:
        show("Milliseconds of one processor for the context and up to 60 queries", ["pairs", "median", "largest cell"],
             [[str(k), float(np.median(ms)), max(ms)] for k in sorted({k for _, k in cells})
              for ms in [[c["ms"] for key, c in cells.items() if key[1] == k]]], a.markdown)
    report_doubt(rows, cells, a)


def report_doubt(rows, cells, a):
    """Intervals, the order of rows, and what foretells an error above that of ridge."""
    full = [c for c in cells.values() if "cover" in c]
    if full:
        pairs = (("icl", "cover", "width"), ("gp_matern", *GP_INTERVAL))
        columns = [(m, np.array([[c[p], c[q]] for c in full])) for m, p, q in pairs]
        show("Intervals of 90 %; width in standard deviations of y",
             ["method", "cover", "mean width", "median width"],
             [[m, *v.mean(0), np.median(v[:, 1])] for m, v in columns], a.markdown)
    both = [c for c in cells.values() if "sorted" in c]
    if both:
        show("32 pairs by the order of rows, geometric mean", ["order", "icl", "gp_matern"],
             [[text, *(geometric([c[m] for c in both]) for m in (mine, "gp_matern"))]
              for text, mine in ((a.order, "icl"), ("sorted by x", "sorted"))], a.markdown)
    table = []
    for name, text in (("surprise", "surprise"), ("interval", "width of the interval"),
                       ("loo", "leave-one-out error"),
                       ("doubt", "mean absolute leave-one-out error over ridge's"),
                       ("doubt_at", "and over ridge's distance from the model")):
        known = [r for r in rows if name in r]
        if known:
            bad = np.array([r["icl"] > r["ridge"] for r in known])
            table.append([text, auc(np.array([r[name] for r in known]), bad), bad.mean(),
                          str(len(known))])
    if table:
        show("Does it foretell that ridge does better here?  0.5 is chance",
             ["figure", "AUC", "ridge better", "contexts"], table, a.markdown)


# ----- the command --------------------------------------------------------------------------------

def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    bundled = {name: os.path.join(ROOT, "examples", "models", name + ".safetensors")
               for name in ("curves", "table")}
    p.add_argument("--curves", metavar="MODEL", help="for one input [examples/models]")
    p.add_argument("--table", metavar="MODEL", help="for several inputs [examples/models]")
    p.add_argument("--command", metavar="ICL", help="ask `ICL predict` instead of the library")
    p.add_argument("--refine", action="store_true",
                   help="as icl predict does: icl_refine after the first look; with one input mirror images,"
                        " with several ridge regression too")
    p.add_argument("--no-ridge", action="store_true", help="but not ridge regression")
    p.add_argument("--order", choices=("drawn", "sorted", "random"), default="drawn",
                   help="of a context's rows: as drawn, by the first input, drawn once more")
    p.add_argument("--tasks", metavar="A,B,..", help="these only")
    p.add_argument("--splits", type=int, default=0, metavar="N", help="at most N a cell [6 and 10]")
    p.add_argument("--domains", action="store_true", help="errors by domain too")
    p.add_argument("--per-task", action="store_true", help="errors by task too")
    p.add_argument("--markdown", action="store_true", help="tables for a README")
    p.add_argument("--time", action="store_true", help="how long it takes too: processor time, best on a quiet machine")
    p.add_argument("--csv", metavar="OUT", help="every context's figures")
    p.add_argument("--rivals", metavar="FILE", default=os.path.join(DATA, "rivals.csv.gz"),
                   help="scores of the other methods [examples/real/rivals.csv.gz]")
    p.add_argument("--recompute", action="store_true", help="make that file first")
    p.add_argument("--jobs", type=int, default=2, metavar="N", help="processes [2]")
    a = p.parse_args()
    a.jobs = 1 if a.time else a.jobs
    if a.splits < 0 or a.jobs < 1:
        p.error("--splits is 0 or more, --jobs 1 or more")
    if a.command and a.refine:
        p.error("--refine needs the library, not --command")
    if a.recompute and (a.tasks or a.splits) and a.rivals == p.get_default("rivals"):
        p.error("--recompute of a part would replace the whole file: give --rivals FILE")
    a.models = {"1d": a.curves or bundled["curves"], "tab": a.table or bundled["table"]}
    a.names = set(a.tasks.split(",")) if a.tasks else set()
    return p, a


def main():
    p, a = arguments()
    tasks = load_tasks(a.names)
    unknown = a.names - {t["name"] for t in tasks}
    if unknown:
        p.error("no task " + ", ".join(sorted(unknown)) + ": see examples/real/index.csv")
    for kind, given in (("1d", a.curves), ("tab", a.table)):
        if not os.path.exists(a.models[kind]) and any(t["kind"] == kind for t in tasks):
            if given:
                p.error(f"{given}: no such file")
            print(f"skipped: {os.path.relpath(a.models[kind], ROOT)} is missing")
            a.models[kind] = None
    a.library = None if a.command else build_library()
    with multiprocessing.Pool(a.jobs) as pool:
        if a.recompute:
            found = pool.map(measure_rivals, [(t, a) for t in tasks], chunksize=1)
            write_rivals(a.rivals, [r for rows in found for r in rows])
        found = pool.map(measure, [(t, a) for t in tasks if a.models[t["kind"]]], chunksize=1)
    rows = [r for part in found for r in part]
    join(rows, read_rivals(a.rivals), a.rivals)
    if a.csv:
        with open(a.csv, "w", encoding="utf-8", newline="") as f:
            out = csv.DictWriter(f, KEY + OURS, extrasaction="ignore", lineterminator="\n")
            out.writeheader()
            out.writerows({name: v if name in KEY else f"{v:.6g}" for name, v in r.items()}
                          for r in rows)
    kinds = {t["name"]: t["kind"] for t in tasks}
    for kind, setting, title in PARTS:
        part = [r for r in rows if kinds[r["task"]] == kind and r["setting"] == setting]
        if part:
            report(title, part, tasks, a)


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, OSError, subprocess.CalledProcessError) as e:
        sys.exit(f"real: {e}")
