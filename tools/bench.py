"""One table: icl beside PyTorch, torch.compile and ONNX Runtime, as far as they are installed.

    python3 tools/bench.py [--sizes tiny,small,standard] [--rounds 5] [--threads 2]
                           [--no-compile] [--isa avx512|avx2|c] [--csv build/bench.csv] [--md]

All run the same weights: a checkpoint that this script writes.  Before anything is timed, each
peer's predictions are compared with `icl predict`'s.  A round runs everything once, one after the
other, so that all meet the same noise of the machine; a cell is the median over the rounds of the
median of a round.  Peak is what the processor's multiply-adds give, measured in every round; share
of peak counts 2 * parameters operations a token (nominal; training three times that).
Installs nothing; without numpy it measures icl alone.
"""
import argparse
import csv
import json
import math
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("KMP_BLOCKTIME", "0")        # idle threads of a peer must not spin beside us
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

ICL = os.path.join(os.path.dirname(__file__), "..", "build", "icl")
SIZES = {"tiny": (3, 2, 64), "small": (6, 4, 128), "standard": (12, 8, 256)}
D, P, B = 20, 41, 64
ISA = []                                           # --isa NAME, where the caller chose
UNIT = {"train": ("ms", 1), "forward": ("ms", 1), "query": ("ms", 1e-3), "append": ("ms", 1e-3),
        "queries": ("ms", 1)}


def tensors(L, H, C):
    """Names and shapes of the tensors of a checkpoint."""
    yield "_read_in.weight", (C, D)
    yield "_read_in.bias", (C,)
    yield "_backbone.wpe.weight", (2 * P + 1, C)
    for l in range(L):
        for name, k, n in (("attn.c_attn", C, 3 * C), ("attn.c_proj", C, C), ("mlp.c_fc", C, 4 * C),
                           ("mlp.c_proj", 4 * C, C)):
            yield f"_backbone.h.{l}.{name}.weight", (k, n)
            yield f"_backbone.h.{l}.{name}.bias", (n,)
        for name in ("ln_1", "ln_2"):
            yield f"_backbone.h.{l}.{name}.weight", (C,)
            yield f"_backbone.h.{l}.{name}.bias", (C,)
    yield "_backbone.ln_f.weight", (C,)
    yield "_backbone.ln_f.bias", (C,)
    yield "_read_out.weight", (1, C)
    yield "_read_out.bias", (1,)


def random_weights(size, numpy):
    rng = numpy.random.default_rng(1)
    weights = {}
    for name, shape in tensors(*size):
        x = rng.normal(size=shape) * (0.3 if len(shape) == 1 else shape[0] ** -0.5)
        weights[name] = (x + (".ln_" in name and name.endswith("weight"))).astype("float32")
    return weights


def write_checkpoint(path, weights, n_head):
    header, at = {"__metadata__": {"n_head": str(n_head)}}, 0
    for name, x in weights.items():
        header[name] = {"dtype": "F32", "shape": list(x.shape), "data_offsets": [at, at + x.nbytes]}
        at += x.nbytes
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for x in weights.values(): f.write(x.tobytes())


def machine():
    """The lines with processor and kernels."""
    out = subprocess.run([ICL, "bench", "--what", "peak", *ISA], check=True, capture_output=True,
                         text=True).stdout
    return ", ".join(out.splitlines()[:2])


def icl_bench(size, what, threads, *more):
    """{name: milliseconds, or the figure of a line NAME VALUE}"""
    L, H, C = size
    out = subprocess.run([ICL, "bench", "--layers", str(L), "--heads", str(H), "--width", str(C),
                          "--dims", str(D), "--pairs", str(P), "--batch", str(B), "--threads",
                          str(threads), "--what", what, *ISA, *more],
                         check=True, capture_output=True, text=True).stdout
    found = {}
    for line in out.splitlines():
        words = line.split()
        if words[0] not in ("processor", "kernels"):
            found[words[0]] = (float(words[2]) * UNIT[words[0]][1] if words[1] == "median"
                               else float(words[1]))
    return found


def icl_predict(path, xs, ys):
    """The last prediction of a prompt, from the command."""
    rows = [",".join(map(repr, map(float, x))) + f",{float(y)!r}" for x, y in zip(xs[:-1], ys)]
    rows.append(",".join(map(repr, map(float, xs[-1]))) + ",?")
    command = [ICL, "predict", path, "--raw", "--keep-order", "--no-refine", "--no-mirror",
               "--digits", "9"]
    out = subprocess.run(command, input="\n".join(rows) + "\n", check=True, capture_output=True,
                         text=True).stdout
    return float(out.strip().split(",")[-1])


def median_time(work, least=5, seconds=0.7):
    times = []
    while len(times) < least or sum(times) < seconds:
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def load_peers(size, weights, xs, ys, threads, compiled):
    found = []
    for module in ("bench_torch", "bench_onnx"):
        try:
            found += __import__(module).peers(size + (D, P), weights, xs, ys, threads)
        except Exception as e:                         # missing, or it cannot export: said, skipped
            print(f"skipped: {module}: {type(e).__name__}: {e}".splitlines()[0], file=sys.stderr)
    return [p for p in found if compiled or p.name != "compile"]


def load_checked_peers(name, args):
    """The peers of a size, after a look at whether they compute the same."""
    try:
        import numpy
    except ImportError:
        print("skipped: all peers: numpy is missing", file=sys.stderr)
        return []
    size = SIZES[name]
    rng = numpy.random.default_rng(0)
    xs = rng.normal(size=(B, P, D)).astype("float32")
    ys = rng.normal(size=(B, P)).astype("float32")
    weights = random_weights(size, numpy)
    peers = load_peers(size, weights, xs, ys, args.threads, not args.no_compile)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "m.safetensors")
        write_checkpoint(path, weights, size[1])
        ours = icl_predict(path, xs[0], ys[0])
    for p in peers:
        theirs = float(p.query()[0])
        if abs(ours - theirs) > 1e-4 * max(1, abs(ours)):
            sys.exit(f"{name}: {p.name} predicts {theirs}, icl {ours}: not the same model")
        if hasattr(p, "fill_cache"):
            p.fill_cache()
    return peers


def bench_size(name, args):
    size, peers = SIZES[name], load_checked_peers(name, args)
    cells = {}
    def note(what, who, value):
        cells.setdefault((what, who), []).append(value)
    for r in range(args.rounds + 1):                   # round 0 warms up, and compiles
        for what in ("train", "forward", "query", "append"):
            peak = icl_bench(size, what + ",peak", args.threads)
            for key, value in peak.items():
                if r: note(what if key == what else key + ":" + what, "icl", value)
            for p in peers:
                if not hasattr(p, what): continue
                t = median_time(getattr(p, what), *(() if r else (2, 0)))
                if r: note(what, p.name, t)
                time.sleep(0.2)
        if r:
            for key, value in icl_bench(size, "queries,peak", args.threads).items():
                note(key if key != "peak_gflops" else "peak_gflops:queries", "icl", value)
            for key, value in icl_bench(size, "train,forward,query", 1).items():
                note(key + "@1", "icl", value)
            note("bandwidth_gbs", "icl", icl_bench(size, "bandwidth", 1)["bandwidth_gbs"])
            for kind in ("f16", "bf16"):
                found = icl_bench(size, "append", args.threads, "--weights", kind)
                note("append", "icl " + kind, found["append"])
    medians = {key: statistics.median(v) for key, v in cells.items()}
    n_params = sum(math.prod(shape) for _, shape in tensors(*size))
    return medians, [p.name for p in peers], n_params


def rows_of(name, medians, peers, n_params):
    """Rows of the table: what, ours, peers', ratio to the best of them, share of peak."""
    flop = {"train": 6e-6 * n_params * B * 2 * P, "forward": 2e-6 * n_params * B * 2 * P,
            "queries": 2e-6 * n_params * 1000}
    for what in ("train", "forward", "query", "append", "queries"):
        ours = medians[what, "icl"]
        theirs = [medians.get((what, p)) for p in peers]
        known = [t for t in theirs if t]
        peak = medians.get(("peak_gflops:" + what, "icl"))
        share = flop[what] / ours / peak if what in flop and peak else None
        yield [name, what, ours, *theirs, min(known) / ours if known else None, share]


def show(rows, peers, markdown):
    head = ["size", "what", "icl ms", *(p + " ms" for p in peers), "ratio", "of peak"]
    text = [[r[0], r[1], *(f"{v:.4g}" if v else "-" for v in r[2:-2]),
             f"{r[-2]:.2f}x" if r[-2] else "-", f"{100 * r[-1]:.0f} %" if r[-1] else "-"]
            for r in rows]
    if markdown:
        for line in [head, ["---"] * len(head), *text]:
            print("| " + " | ".join(line) + " |")
    else:
        for line in [head, *text]:
            print("".join(f"{c:>12}" for c in line))


def peak_memory(command):
    """MB that a process had at most: VmHWM of Linux, read until it ends."""
    process, most = subprocess.Popen(command, stdout=subprocess.DEVNULL), 0
    while process.poll() is None:
        try:
            with open(f"/proc/{process.pid}/status") as f:
                most = max(most, *(int(l.split()[1]) for l in f if l.startswith("VmHWM")), 0)
        except OSError:
            pass
        time.sleep(0.01)
    return most / 1024


def memory_rows(args):
    """A standard training step in processes of their own."""
    L, H, C = SIZES["standard"]
    shape = f"({L}, {H}, {C}, {D}, {P})"
    torch = ("import sys; sys.path.insert(0, %r); import numpy, bench_torch, torch\n"
             "torch.set_num_threads(%d)\nbench_torch.Model.load = lambda m, w: m\n"
             "p = bench_torch.Peer('torch', %s, None, numpy.zeros((%d, %d, %d), 'f'),"
             " numpy.zeros((%d, %d), 'f'), False)\n"
             "if %%d: p.train(), p.train()\n") % (os.path.dirname(os.path.abspath(__file__)),
                                                  args.threads, shape, B, P, D, B, P)
    ours = peak_memory([ICL, "bench", "--layers", str(L), "--heads", str(H), "--width", str(C),
                        "--dims", str(D), "--threads", str(args.threads), "--what", "train",
                        "--repeat", "2"])
    print(f"\npeak memory of a standard training step: icl {ours:.0f} MB", end="")
    try:
        __import__("torch")
        theirs = peak_memory([sys.executable, "-c", torch % 1])
        idle = peak_memory([sys.executable, "-c", torch % 0])
        print(f", PyTorch {theirs:.0f} MB (before its first step {idle:.0f} MB)")
    except ImportError:
        print()


def main():
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("--sizes", default="tiny,small,standard")
    parse.add_argument("--rounds", type=int, default=5)
    parse.add_argument("--threads", type=int, default=2)
    parse.add_argument("--no-compile", action="store_true")
    parse.add_argument("--isa", help="kernels of icl by name")
    parse.add_argument("--csv", default="build/bench.csv")
    parse.add_argument("--md", action="store_true", help="print the table as Markdown")
    args = parse.parse_args()
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    if args.isa: ISA.extend(["--isa", args.isa])
    print(machine(), flush=True)
    table, rest, peers = [], [], []
    for name in args.sizes.split(","):
        medians, peers, n_params = bench_size(name, args)
        table += rows_of(name, medians, peers, n_params)
        scaling = [f"{what} {medians[what + '@1', 'icl'] / medians[what, 'icl']:.2f}x"
                   for what in ("train", "forward", "query")]
        weights_ms = 4e-6 * n_params / medians["bandwidth_gbs", "icl"]
        rest.append(f"{name}: {args.threads} threads against 1: {', '.join(scaling)}; peak "
                    f"{medians['peak_gflops:train', 'icl']:.0f} GFLOP/s, one thread reads memory at "
                    f"{medians['bandwidth_gbs', 'icl']:.1f} GB/s,\n  all weights once in "
                    f"{weights_ms:.3g} ms; append from F16 {medians['append', 'icl f16']:.3g} ms, "
                    f"BF16 {medians['append', 'icl bf16']:.3g} ms")
    show(table, peers, args.md)
    print()
    print("\n".join(rest))
    memory_rows(args)
    with open(args.csv, "w", newline="") as f:
        out = csv.writer(f)
        out.writerow(["size", "what", "icl_ms", *(p + "_ms" for p in peers), "ratio",
                      "share_of_peak"])
        out.writerows([[*r[:2], *(f"{v:.6g}" if v else "" for v in r[2:])] for r in table])


if __name__ == "__main__":
    main()
