#!/usr/bin/env python3
"""Turns a run of Garg et al.'s code (github.com/dtsip/in-context-learning), or the state of
tools/train_torch.py, into a checkpoint of icl.h.

    python3 tools/export_torch.py RUN_DIR [-o OUT.safetensors]

A run has state.pt or model_STEP.pt and beside it config.yaml, which says what the tensors do not: heads,
and the function class.  The file of weights may also be another one, such as Lightning's .ckpt: a state
dict, bare or under state_dict or model.  It is read with weights_only.  Needs torch and pyyaml.
"""
import contextlib
import os
import re
import sys
from types import SimpleNamespace

from torch_model import (Model, Parser, Task, clean, command, number, read_levels, typical,
                         write_checkpoint)
import torch

def find_weights(path):
    """The file of a run: state.pt, or else the model_STEP.pt of the last step."""
    if not os.path.isdir(path):
        return path
    state = os.path.join(path, "state.pt")
    steps = {int(f[6:-3]): f for f in os.listdir(path) if re.fullmatch(r"model_\d+\.pt", f)}
    if not os.path.exists(state) and not steps:
        raise ValueError(f"{path}: neither state.pt nor model_STEP.pt is there")
    return state if os.path.exists(state) else os.path.join(path, steps[max(steps)])

def numpy_allowed():
    """While torch.load reads: numpy's numbers and arrays, which programs save beside the weights."""
    try:
        import numpy
        from numpy._core import multiarray
    except ImportError:                                             # none in the file, or an old numpy
        return contextlib.nullcontext()
    kinds = [type(numpy.dtype(code)) for code in "?bBhHiIlLqQefd"]
    found = [(f, f"{module}.{f.__name__}") for module in ("numpy._core.multiarray", "numpy.core.multiarray")
             for f in (multiarray.scalar, multiarray._reconstruct)]
    return torch.serialization.safe_globals([*found, numpy.ndarray, numpy.dtype, *set(kinds)])

def reason(e):
    """What torch.load has to say, in one line: of a refused pickle, which object it is."""
    lines = [" ".join(l.split()) for l in re.sub(r"\x1b\[[0-9;]*m", "", str(e)).splitlines() if l.strip()]
    lines = [l for l in lines if not l.startswith("Check the documentation")] or [type(e).__name__]
    return lines[-1].removeprefix("WeightsUnpickler error: ").split(" Please use")[0]

def load_file(path):
    """What torch.load makes of a file that may hold nothing but tensors and plain data."""
    with open(path, "rb") as f:
        start = f.read(20)                                          # missing: as for any file
    if start.startswith(b"version https://git"):
        raise ValueError(f"{path}: a pointer of git-lfs, not the file itself: git lfs pull fetches it")
    try:
        with numpy_allowed():
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:
        raise ValueError(f"{path}: not a state dict: {reason(e)}") from None

def read_weights(path):
    """The state dict of a file, which may be under a key, its names under Lightning's "model."."""
    state = load_file(path)
    for key in ("model_state_dict", "state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
            break
    if not isinstance(state, dict) or not all(isinstance(t, torch.Tensor) for t in state.values()):
        has = ": it has " + ", ".join(sorted(map(str, state))[:8]) if isinstance(state, dict) else ""
        raise ValueError(f"{path}: not a state dict{has}")
    return clean({re.sub(r"^((module|_orig_mod)\.)*model\.", "", k): t for k, t in state.items()})

def read_config(path):
    """config.yaml as Garg et al.'s train.py writes it."""
    import yaml
    if not os.path.exists(path):
        raise ValueError(f"{path}: not there: --config names the run's config.yaml")
    with open(path) as f:
        try:
            conf = yaml.safe_load(f)
        except yaml.YAMLError as e:
            raise ValueError(f"{path}: not YAML: {e}") from None
    model = conf.get("model") if isinstance(conf, dict) else None
    if not isinstance(model, dict):
        raise ValueError(f"{path}: no section model")
    if model.get("family") != "gpt2":
        raise ValueError(f"{path}: family {model.get('family')!r}; only gpt2 can be exported")
    for key in ("n_dims", "n_positions", "n_embd", "n_layer", "n_head"):
        if type(model.get(key)) is not int or model[key] < 1:
            raise ValueError(f"{path}: model.{key} is {model.get(key)!r}")
    return conf

def shape_of(conf, weights):
    """The configuration; tools/import_torch.py notes in section icl what Garg et al. cannot say."""
    m, ours = conf["model"], conf.get("icl") or {}
    out, levels = weights.get("_read_out.weight"), ours.get("quantiles")
    return SimpleNamespace(
        d=m["n_dims"], C=m["n_embd"], H=m["n_head"], L=m["n_layer"], n_out=1 if out is None else len(out),
        n_positions=ours.get("n_positions", 2 * m["n_positions"]),  # they count pairs
        act=ours.get("activation_function", "gelu_new"), ln_eps=float(ours.get("layer_norm_epsilon", 1e-5)),
        pos=ours.get("position_embedding_type", "absolute"), tokens=ours.get("tokens", "apart"),
        quantiles=read_levels(levels) if levels else ())

# Garg et al.'s task as icl_task_print writes it, and its keyword arguments with their defaults.
TASKS = {
    "linear_regression": ("garg(dense)", {}),
    "sparse_linear_regression": ("garg(sparse(nnz={sparsity}))", {"sparsity": 3}),
    "relu_2nn_regression": ("garg(relu(hidden={hidden_layer_size}))", {"hidden_layer_size": 100}),
    "decision_tree": ("garg(tree(depth={depth}))", {"depth": 4}),
    "quadratic_regression": ("garg(quadratic)", {}),
    "noisy_linear_regression": ("noisy(garg(dense), sd={noise_std}, renorm=0)", {"noise_std": 0}),
}

def task_of(conf):
    """The mixture in icl.h's language, or None and why there is none."""
    t = conf.get("training") or {}
    text, args = TASKS.get(t.get("task"), (None, {}))
    kwargs = {k: v for k, v in (t.get("task_kwargs") or {}).items() if (k, v) != ("scale", 1)}
    if kwargs.get("renormalize_ys") is False:
        del kwargs["renormalize_ys"]
    odd = kwargs.keys() - args.keys()
    if not text or odd or t.get("data", "gaussian") != "gaussian":
        said = ", ".join([f"task {t.get('task')}", f"data {t.get('data')}",
                          *(f"{k}={kwargs[k]}" for k in sorted(odd))])
        return None, f"icl.h has no word for {said}"
    for key in ("num_tasks", "num_training_examples"):
        if t.get(key) is not None:
            return None, f"{key}={t[key]}: trained on a fixed pool, not on a distribution"
    return text.format(**{k: number(v) for k, v in (args | kwargs).items()}), None

def export_run(path, config, out, surprise):
    path = find_weights(path)
    config = config or os.path.join(os.path.dirname(path), "config.yaml")
    conf, weights = read_config(config), read_weights(path)
    c, ours = shape_of(conf, weights), conf.get("icl") or {}
    if c.pos in ("sinusoidal", "none"):
        weights.pop("_backbone.wpe.weight", None)                   # the table that stood in for it
    elif "_backbone.wpe.weight" in weights and "n_positions" in ours:
        rows = 2 if c.pos == "alternating" else c.n_positions
        weights["_backbone.wpe.weight"] = weights["_backbone.wpe.weight"][:rows]
    weights = {k: t.float() if t.dtype == torch.float64 else t for k, t in weights.items()}
    texts, why = dict(ours), None
    if not texts.get("task"):
        texts["task"], why = task_of(conf)
    if why and "icl" not in conf:
        print(f"export_torch: no icl.task: {why}", file=sys.stderr)
    out = out or os.path.splitext(path)[0] + ".safetensors"
    if surprise:
        if not texts["task"]:
            raise ValueError("--surprise needs a run whose task is known")
        model = Model(c).eval()
        model.load_state_dict(weights)
        task = Task(texts["task"], c.d, texts.get("sampling", ""))
        texts["typical"] = typical(model, task, min(surprise, c.n_positions // 2), 0)
    write_checkpoint(out, c, weights, texts)
    return out

def main():
    p = Parser("export_torch", description=__doc__.split("\n\n")[0])
    p.add_argument("run", metavar="RUN", help="the folder of a run, one of its .pt files, or a state "
                   "folder of train_torch.py")
    p.add_argument("-o", metavar="OUT", help="otherwise beside the weights, .safetensors for .pt")
    p.add_argument("--config", metavar="FILE", help="otherwise config.yaml beside the weights")
    p.add_argument("--surprise", type=int, metavar="P", help="measure icl.typical on 2048 prompts of P "
                   "pairs, so that icl_surprise works")
    o = p.parse_args()
    if o.surprise is not None and o.surprise < 1:
        p.error("--surprise wants 1 pair or more")
    def run():
        if os.path.exists(os.path.join(o.run, "state.json")):
            from train_torch import export_state
            out = o.o or o.run.rstrip("/") + ".safetensors"
            export_state(o.run, out)
        else:
            out = export_run(o.run, o.config, o.o, o.surprise)
        print(f"wrote {out}", file=sys.stderr)
    torch.set_num_threads(1)                                        # idle ones would spin
    command("export_torch", run)

if __name__ == "__main__":
    main()
