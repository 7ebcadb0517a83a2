"""What the defaults of `icl predict` rest on: the bundled models on fresh prompts of their own
mixtures, which decide on mirror images, refinement, intervals and ridge regression; real data do not.

    python3 tools/validate.py [--icl build/icl] [--prompts 140] [--seed 901] [--parts A,B,..]

Prompts come from `icl sample` with the task that a model was trained on and inputs as data have
them.  A context is the first k pairs, scaled by them; 60 others are asked (interpolation), or with
one input the largest third of x, from pairs below (extrapolation).  Errors are root mean squares over
the deviation of y: geometric mean (0.005 at least) and mean (2 at most) over contexts.  Parts: looks,
pairs, interval, ridge, surprise; and with one input, of tools/bars.py, exact (functions that are known
exactly) and gp (beside the optimum) and thermistor
(of docs/models.md); time.  Needs numpy and a C compiler.
SPDX-License-Identifier: MIT
"""
import argparse
import ctypes
import multiprocessing
import os
import re
import subprocess
import time

import bars
import real
from real import address, handle, np, ridge

ASKED = 60
KINDS = {"1d": ("curves", 1), "tab": ("table", 10)}
PATHS = {name: os.path.join(real.ROOT, "examples", folder, name + ".safetensors")
         for name, folder in (("curves", "models"), ("table", "models"), ("sensors", "mcu"))}


class Looks(real.Library):
    """One look, a second and a third, by the data and by each of their mirror images."""

    def give(self, x, y):
        x, y = self.padded(x), y.astype(np.float32)
        self.call("icl_rewind", handle(self.c), 0)
        for name in ("icl_standardize", "icl_add_batch"):
            self.call(name, handle(self.c), len(y), address(x), address(y))

    def give_raw(self, x, y):
        """The rows as they are; no scale is set before."""
        x, y = self.padded(x), y.astype(np.float32)
        self.call("icl_rewind", handle(self.c), 0)
        self.call("icl_add_batch", handle(self.c), len(y), address(x), address(y))

    def batch(self, context, queries):
        out = np.empty(len(queries), np.float32)
        self.call("icl_predict_batch", handle(context), len(queries), address(queries), address(out))
        return out

    def looks(self, x, y, queries, images):
        """[image][5][query]: first answer, its interval's ends, what a second and a third look add."""
        self.give(x, y)
        queries, found = np.ascontiguousarray(self.padded(queries)), []
        for i in range(images):
            if i:
                self.call("icl_mirror", handle(self.images[i]), handle(self.c), i)
            out = np.empty((3, len(queries)), np.float32)
            self.call("icl_predict_interval", handle(self.images[i]), len(queries), address(queries),
                      ctypes.c_float(real.LEVEL), *map(address, out))
            self.call("icl_refine", handle(self.rests[0]), handle(self.images[i]))
            self.call("icl_refine", handle(self.rests[1]), handle(self.rests[0]))
            found.append([*out, self.batch(self.rests[0], queries), self.batch(self.rests[1], queries)])
        return np.array(found, float)

    def shares(self, x, y):
        """{p: 1 / (1 + r^p)}: r is the model's error over ridge's, by tools/blend.h, where p is 8."""
        self.give(x, y)
        self.call("real_mix", handle(self.c), handle(self.rests[0]))
        ratio = max(1 / max(self.lib.real_share(), 1e-12) - 1, 1e-12) ** (1 / 8)
        return {p: 1 / (1 + ratio ** p) for p in (2, 4, 8, 12)}


# ----- prompts ------------------------------------------------------------------------------------

def drawn(a, name, d, pairs, *how):
    """x[prompt][pair][d], y[prompt][pair] of the task that a model was trained on, as icl sample draws them."""
    info = subprocess.run([a.icl, "info", PATHS[name]], capture_output=True, text=True, check=True).stdout
    text = subprocess.run(
        [a.icl, "sample", "--task", re.search(r"^task +(.*)$", info, re.M).group(1), "--dims", str(d),
         "--pairs", str(pairs), "--prompts", str(a.prompts), "--seed", str(a.seed), *how],
        capture_output=True, text=True, check=True).stdout
    rows = np.loadtxt(text.splitlines()[1:], delimiter=",").reshape(a.prompts, pairs, d + 2)
    return rows


def prompts(a, kind, pairs):
    """x[prompt][pair][d], y[prompt][pair]."""
    rows = drawn(a, *KINDS[kind], pairs, "--x", "data")
    return [(x[:, x.std(0) > 0], y) for x, y in zip(rows[:, :, 1:-1], rows[:, :, -1])
            if y.std() > 0 and x.std(0).max() > 0]


def contexts(kind, x, y, sizes, room=64):
    """Yields setting, k, order, rows of the context, rows asked: `room` pairs are for contexts."""
    for setting in ("interp", "extrap") if kind == "1d" else ("interp",):
        known, asked = np.arange(room), np.arange(room, room + ASKED)
        if setting == "extrap":
            cut = np.sort(x[:, 0])[len(y) - len(y) // 3]
            known, asked = np.flatnonzero(x[:, 0] < cut), np.flatnonzero(x[:, 0] >= cut)[:ASKED]
        for k in sizes:
            rows = known[:k]
            if len(rows) < k or not y[rows].std() > 0 or not x[rows].std(0).max() > 0:
                continue
            yield setting, k, "drawn", rows, asked
            if k >= 32:
                yield setting, k, "sorted", rows[np.argsort(x[rows, 0], kind="stable")], asked


def model(kind, pairs=64):
    if (kind, pairs) not in MODELS:
        MODELS[kind, pairs] = Looks(PATHS[KINDS[kind][0]], real.build_library(), True, pairs)
    return MODELS[kind, pairs]


MODELS = {}


def error(answer, truth, sd):
    return float(np.sqrt(np.mean((answer - truth) ** 2)) / sd)


def summary(errors):
    return [real.geometric(errors), float(np.minimum(errors, 2).mean())] if len(errors) else ["-", "-"]


# ----- looks and images, intervals, ridge ------------------------------------------------------------

def variants(found):
    """{name: answer} of found[image][5][query]."""
    first, second, third = found[:, 0], found[:, 0] + found[:, 3], found[:, 0] + found[:, 3] + found[:, 4]
    answers = {"one look": first[0], "two looks": second[0], "three looks": third[0]}
    if len(found) > 1:
        answers.update({"one look, -x": first[[0, 1]].mean(0), "one look, -y": first[[0, 2]].mean(0),
                        "one look, four images": first.mean(0), "two looks, -x": second[[0, 1]].mean(0),
                        "two looks, -y": second[[0, 2]].mean(0), "two looks, four images": second.mean(0),
                        "three looks, four images": third.mean(0)})
    return answers


def intervals(found, k):
    """{name: (answer, low, high)}: around two looks."""
    move = found[:, 3]
    y, low, high = ((found[:, i] + move).mean(0) for i in range(3))
    wide, more = np.abs(move).mean(0), 1 + 1 / k
    return {"moved along": (y, low, high), "and wider by half the move": (y, low - wide / 2, high + wide / 2),
            "and wider by the move": (y, low - wide, high + wide),
            "times 1 + 1/k": (y, y - more * (y - low), y + more * (high - y)),
            "from the least to the largest of the images":
                (y, (found[:, 1] + move).min(0), (found[:, 2] + move).max(0))}


def study(job):
    """Of one prompt: rows (setting, order, k, {variant: error}, {interval: figures}, doubt)."""
    kind, x, y = job
    icl, rows = model(kind), []
    for setting, k, order, known, asked in contexts(kind, x, y, (4, 8, 16, 32) if kind == "1d" else (10, 20, 40)):
        found = icl.looks(x[known], y[known], x[asked], 4 if kind == "1d" else 1)
        errors = {name: error(v, y[asked], y.std()) for name, v in variants(found).items()}
        other = ridge(x[known], y[known], x[asked])
        errors["ridge"] = error(other, y[asked], y.std())
        answer = variants(found).get("two looks, four images")
        if kind == "tab":
            for power, share in icl.shares(x[known], y[known]).items():
                mixed = share * variants(found)["two looks"] + (1 - share) * other
                errors[f"two looks and ridge, 1 / (1 + r^{power})"] = error(mixed, y[asked], y.std())
                answer = mixed if power == 8 else answer
        covers = {}
        for name, (_, low, high) in intervals(found, k).items():
            out = np.maximum(low - y[asked], 0) + np.maximum(y[asked] - high, 0)
            covers[name] = (np.mean(out == 0), np.mean(high - low) / y.std(),
                            min(np.mean(high - low + 2 / (1 - real.LEVEL) * out) / y.std(), 30))
        foretells = (np.nan, np.nan, np.nan)
        if order == "drawn" and k <= 40:
            missed, theirs = icl.left_out(x[known], y[known]), real.ridge_left_out(x[known], y[known])
            foretells = (np.sqrt(np.mean(missed ** 2) / max(np.mean(theirs ** 2), 1e-6 * y[known].var())),
                         real.doubt(missed, theirs, y[known].std()))
            foretells += (real.doubt_at(foretells[1], answer, other,
                                        *intervals(found, k)["and wider by the move"][1:], y[known].std()),)
        rows.append((setting, order, k, errors, covers, foretells))
    return rows


def report_looks(rows):
    columns = [(s, o) for s in ("interp", "extrap") for o in ("drawn", "sorted")
               if any(r[0] == s and r[1] == o for r in rows)]
    header = ["geometric mean; mean"] + [f"{s}, {o}" for s, o in columns]
    table = []
    for name in rows[0][3]:
        cells = [summary([r[3][name] for r in rows if (r[0], r[1]) == c]) for c in columns]
        table.append([name] + [f"{g:.4f}; {m:.3f}" for g, m in cells])
    real.show("Looks and images", header, table, True)


def report_intervals(rows):
    table = []
    for setting in ("interp", "extrap"):
        part = [r for r in rows if r[0] == setting and r[1] == "drawn"]
        for name in part[0][4] if part else ():
            v = np.array([r[4][name] for r in part])
            d = v[:, 2] - np.array([r[4]["moved along"][2] for r in part])
            table.append([f"{setting}: {name}", *map(float, v.mean(0)), f"{d.mean():+.3f} +- {d.std() / len(d) ** 0.5:.3f}"])
    real.show("Intervals of 90 %", ["", "cover", "width", "interval score", "against the first"], table, True)


def report_ridge(rows):
    table = []
    for setting in ("interp", "extrap"):
        part = [r for r in rows if r[0] == setting and r[5][0] == r[5][0]]
        if part:
            best = "two looks, four images" if "two looks, four images" in part[0][3] else "two looks and ridge, 1 / (1 + r^8)"
            bad = np.array([r[3][best] > r[3]["ridge"] for r in part])
            table += [[f"{setting}: {name}", real.auc(np.array([r[5][i] for r in part]), bad), float(bad.mean())]
                      for i, name in enumerate(("root mean square", "mean absolute",
                                                 "mean absolute, and how far ridge is from the model"))]
    real.show("Leave-one-out error over ridge's foretells that ridge is better", ["", "AUC", "ridge better"],
              table, True)


# ----- pairs, surprise ---------------------------------------------------------------------------

SIZES = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)


def by_pairs(job):
    """{k: error} with the defaults of icl predict: the same 60 queries for each k."""
    kind, x, y = job
    icl = model(kind, 256)
    return {k: error(icl.ask(x[rows], y[rows], x[asked])[0][0], y[asked], y.std())
            for setting, k, order, rows, asked in contexts(kind, x, y, SIZES, 256)
            if (setting, order) == ("interp", "drawn")}


def report_pairs(kind, found):
    found = [f for f in found if len(f) == len(SIZES)]
    table = [[str(k), *summary([f[k] for f in found])] for k in SIZES]
    real.show(f"{KINDS[kind][0]}: {len(found)} prompts, by pairs", ["pairs", "geometric mean", "mean, at most 2"],
              table, True)


def orders(x, rng):
    rising = np.argsort(x[:, 0], kind="stable")
    blocks = np.array_split(rising, 4)
    near = np.argsort(np.abs(x[:, 0] - x[rng.integers(len(x)), 0]), kind="stable")
    return {"drawn": np.arange(len(x)), "rising": rising, "falling": rising[::-1],
            "in blocks": np.concatenate([blocks[i] for i in rng.permutation(4)]), "nearest first": near}


ORDERS = ("drawn", "rising", "falling", "in blocks", "nearest first")


def plain(name, pairs):
    """A model without a second look."""
    if name not in MODELS:
        MODELS[name] = Looks(PATHS[name], real.build_library(), False, pairs)
    return MODELS[name]


def surprises(job):
    """{(order, k): surprise} of the first k pairs of a prompt, which set their scale."""
    name, raw, sizes, x, y = job
    icl, rng, found = plain(name, len(y)), np.random.default_rng(0), {}
    for k in sizes:
        if k > len(y):
            continue
        for order, rows in orders(x[:k], rng).items():
            if raw:
                icl.give_raw(x[rows], y[rows])
            else:
                icl.give(x[rows], y[rows])
            found[order, k] = icl.figure("icl_surprise")
    return found


def surprise_jobs(a, name):
    """Prompts with inputs, noise and scale as in training, in drawn order; those of sensors are not scaled."""
    sizes = [int(k) for k in a.lengths.split(",")]
    if name == "sensors":
        return [(name, True, sizes, r[:, 1:-1], r[:, -1]) for r in drawn(a, name, 1, 32, "--x", "uniform")]
    d = dict(KINDS.values())[name]
    return [(name, False, sizes, r[:, 1:-1], r[:, -1])
            for r in drawn(a, name, d, 64, "--x", "data", "--standardize")]


def report_surprise(name, found):
    sizes = sorted({k for _, k in found[0]})
    table = [[order, *(f"{100 * np.mean([f[order, k] > 1 for f in found]):.2f} %" for k in sizes)]
             for order in ORDERS]
    real.show(f"{name}: surprise above 1 in fresh contexts of the mixture, of {len(found)}; 1 % is meant",
              ["order", *(f"{k} pairs" for k in sizes)], table, True)


# ----- time ------------------------------------------------------------------------------------------

def milliseconds(job, repeats=15):
    """The least processor time of one thread that job takes."""
    def once():
        began = time.process_time()
        job()
        return 1000 * (time.process_time() - began)
    return min(once() for _ in range(repeats))


def report_time(kind):
    """What a context of k rows and 60 queries cost, and what each ingredient adds."""
    rng, table, d = np.random.default_rng(3), [], KINDS[kind][1]
    for k in (8, 16, 32, 64):
        x = rng.standard_normal((k + ASKED, d))
        y = np.sin(1.5 * x).sum(1) + 0.1 * rng.standard_normal(k + ASKED)
        one, icl = plain(KINDS[kind][0], 64), model(kind)
        def ask(how, ridge):
            how.ridge = ridge
            how.ask(x[:k], y[:k], x[k:])
        def two_looks():
            icl.give(x[:k], y[:k])
            icl.call("icl_refine", handle(icl.rests[0]), handle(icl.images[0]))
            out, queries = np.empty((3, ASKED), np.float32), icl.padded(x[k:])
            icl.call("icl_predict_refined", handle(icl.images[0]), handle(icl.rests[0]), ASKED, address(queries),
                     ctypes.c_float(real.LEVEL), *map(address, out))
        costs = [milliseconds(lambda: one.give(x[:k], y[:k])), milliseconds(lambda: ask(one, False)),
                 milliseconds(two_looks), milliseconds(lambda: ask(icl, d > 1))]
        table.append([str(k), *(f"{c:.2f}" for c in costs)])
    real.show(f"{KINDS[kind][0]}: milliseconds of one thread's processor time, the least of 15",
              ["pairs", "context alone", "and 60 queries", "two looks",
               "and four images" if kind == "1d" else "and ridge regression"], table, True)


# ----- a model of one's own ------------------------------------------------------------------------------

def report_thermistor(specimens=60):
    """10 kOhm thermistors below a resistor, R0 within 10 % and B within 5 %, readings with noise of 4 counts in 4095:
    root mean squared errors at 41 temperatures from 0 to 100 degrees, the median specimen."""
    own = os.path.join(real.ROOT, "build", "thermistor.safetensors")
    if not os.path.exists(own):
        print("thermistor: skipped: train it first, see docs/models.md")
        return
    models = {"curves": model("1d"), "thermistor": Looks(own, real.build_library(), True)}
    rng, table, asked = np.random.default_rng(4), [], np.linspace(0, 100, 41)
    for k in (4, 5, 6, 8, 12, 16):
        errors = {name: [] for name in (*models, "cubic")}
        for _ in range(specimens):
            r0, b = 1e4 * (1 + 0.1 * rng.uniform(-1, 1)), 3950 * (1 + 0.05 * rng.uniform(-1, 1))
            def counts(t):
                r = r0 * np.exp(b * (1 / (t + 273.15) - 1 / 298.15))
                return 4095 * r / (r + 1e4)
            x = np.sort(rng.uniform(0, 100, k))
            x[0], x[-1] = 0, 100
            y = counts(x) + rng.normal(0, 4, k)
            answers = {name: m.ask(x[:, None], y, asked[:, None])[0][0] for name, m in models.items()}
            answers["cubic"] = np.polyval(np.polyfit(x, y, min(3, k - 1)), asked)
            for name, found in answers.items():
                errors[name].append(np.sqrt(np.mean((found - counts(asked)) ** 2)))
        table.append([str(k), *(f"{np.median(e):.1f}" for e in errors.values())])
    real.show(f"counts of 4095, median of {specimens}", ["readings", *errors], table, True)


PARTS = ("looks", "interval", "ridge", "pairs", "surprise", "exact", "gp", "time", "thermistor")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("--icl", default=os.path.join(real.ROOT, "build", "icl"), help="the command [build/icl]")
    p.add_argument("--prompts", type=int, default=140, help="of each mixture [140]")
    p.add_argument("--seed", type=int, default=901, help="of the prompts [901]")
    p.add_argument("--parts", default=",".join(PARTS), help="which of them [all]")
    p.add_argument("--lengths", default="4,8,16,32,64", help="pairs of a context for surprise [4,8,16,32,64]")
    p.add_argument("--kind", choices=tuple(KINDS), help="one input or several, alone")
    p.add_argument("--jobs", type=int, default=2, help="processes [2]")
    a = p.parse_args()
    parts = set(a.parts.split(","))
    if parts - set(PARTS):
        p.error("--parts: of " + ",".join(PARTS))
    real.build_library()
    for kind in [a.kind] if a.kind else KINDS:
        print(f"\n## {KINDS[kind][0]}")
        with multiprocessing.Pool(a.jobs) as pool:
            if parts & {"looks", "interval", "ridge"}:
                jobs = [(kind, *xy) for xy in prompts(a, kind, 64 + ASKED)]
                rows = [r for found in pool.map(study, jobs, chunksize=1) for r in found]
                for name, report in (("looks", report_looks), ("interval", report_intervals), ("ridge", report_ridge)):
                    if name in parts:
                        report(rows)
            if "pairs" in parts:
                jobs = [(kind, *xy) for xy in prompts(a, kind, 256 + ASKED)]
                report_pairs(kind, pool.map(by_pairs, jobs, chunksize=1))
            for name in (KINDS[kind][0], "sensors") if kind == "1d" else (KINDS[kind][0],):
                if "surprise" in parts:
                    report_surprise(name, pool.map(surprises, surprise_jobs(a, name), chunksize=8))
        if "thermistor" in parts and kind == "1d":
            report_thermistor()
        if "time" in parts:
            report_time(kind)
        for name, report in (("exact", bars.exact), ("gp", bars.gp)) if kind == "1d" else ():
            if name in parts:
                print(f"\n{name}")
                report(real.Library(PATHS["curves"], real.build_library(), True, 256))


if __name__ == "__main__":
    main()
