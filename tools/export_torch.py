#!/usr/bin/env python3
"""Turns a run of Garg et al.'s code (github.com/dtsip/in-context-learning), or the state of
tools/train_torch.py, into a checkpoint of icl.h.

    python3 tools/export_torch.py RUN_DIR [-o OUT.safetensors]

A run has state.pt or model_STEP.pt (a state dict, read with weights_only) and beside it config.yaml,
which says what the tensors do not: heads, and the function class.  Needs torch and pyyaml.
"""
import os
import re
import sys
from types import SimpleNamespace

import torch

from torch_model import Model, Parser, Task, clean, command, typical, write_checkpoint

def find_weights(path):
    """The file of a run: state.pt, or else the model_STEP.pt of the last step."""
    if not os.path.isdir(path):
        return path
    state = os.path.join(path, "state.pt")
    steps = {int(f[6:-3]): f for f in os.listdir(path) if re.fullmatch(r"model_\d+\.pt", f)}
    if not os.path.exists(state) and not steps:
        raise ValueError(f"{path}: neither state.pt nor model_STEP.pt is there")
    return state if os.path.exists(state) else os.path.join(path, steps[max(steps)])

def read_weights(path):
    """The state dict of state.pt or model_STEP.pt."""
    with open(path, "rb"):
        pass                                                        # missing: as for any file
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:
        raise ValueError(f"{path}: not a state dict: {str(e).splitlines()[0]}") from None
    state = state.get("model_state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(t, torch.Tensor) for t in state.values()):
        raise ValueError(f"{path}: not a state dict")
    return clean(state)

def read_config(path):
    """config.yaml as Garg et al.'s train.py writes it."""
    import yaml
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
    out = weights.get("_read_out.weight")
    return SimpleNamespace(
        d=m["n_dims"], C=m["n_embd"], H=m["n_head"], L=m["n_layer"], n_out=1 if out is None else len(out),
        n_positions=ours.get("n_positions", 2 * m["n_positions"]),  # they count pairs
        act=ours.get("activation_function", "gelu_new"), ln_eps=float(ours.get("layer_norm_epsilon", 1e-5)),
        pos=ours.get("position_embedding_type", "absolute"))

# Garg et al.'s task, and what its keyword arguments mean and are by default.
TASKS = {
    "linear_regression": ("garg(dense)", {}),
    "sparse_linear_regression": ("garg(sparse(nnz={sparsity}))", {"sparsity": 3}),
    "relu_2nn_regression": ("garg(relu(hidden={hidden_layer_size}))", {"hidden_layer_size": 100}),
    "decision_tree": ("garg(tree(depth={depth}))", {"depth": 4}),
    "quadratic_regression": ("garg(quadratic)", {}),
    "noisy_linear_regression": ("noisy(garg(dense), sd={noise_std})", {"noise_std": 0}),
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
    return str(Task(text.format(**args | kwargs), conf["model"]["n_dims"])), None

def export_run(path, config, out, surprise):
    path = find_weights(path)
    config = config or os.path.join(os.path.dirname(path), "config.yaml")
    conf, weights = read_config(config), read_weights(path)
    c, ours = shape_of(conf, weights), conf.get("icl") or {}
    if c.pos != "absolute":
        weights.pop("_backbone.wpe.weight", None)                   # the table that stood in for it
    elif "_backbone.wpe.weight" in weights and "n_positions" in ours:
        weights["_backbone.wpe.weight"] = weights["_backbone.wpe.weight"][:c.n_positions]
    weights = {k: t.float() if t.dtype == torch.float64 else t for k, t in weights.items()}
    task, why = (ours["task"], None) if "icl" in conf and ours.get("task") else task_of(conf)
    if why and "icl" not in conf:
        print(f"export_torch: no icl.task: {why}", file=sys.stderr)
    out = out or os.path.splitext(path)[0] + ".safetensors"
    figures = ours.get("typical")
    if surprise:
        if not task:
            raise ValueError("--surprise needs a run whose task is known")
        model = Model(c).eval()
        model.load_state_dict(weights)
        figures = typical(model, Task(task, c.d), min(surprise, c.n_positions // 2), 0)
    write_checkpoint(out, c, weights, task, figures)
    return out, c

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
            out, _ = export_run(o.run, o.config, o.o, o.surprise)
        print(f"wrote {out}", file=sys.stderr)
    torch.set_num_threads(1)                                        # idle ones would spin
    command("export_torch", run)

if __name__ == "__main__":
    main()
