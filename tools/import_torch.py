#!/usr/bin/env python3
"""Loads a checkpoint of icl.h into Hugging Face's GPT2Model, within Garg et al.'s wrapper.

    from import_torch import load                       # model(xs [B, P, d], ys [B, P]) -> [B, P]
    model = load("examples/paper/models/mix.safetensors")  # model._backbone is the GPT2Model

As a command it writes a run for Garg et al.'s code, weights and config.yaml, from which
tools/export_torch.py makes the same checkpoint again:

    python3 tools/import_torch.py MODEL.safetensors [-o RUN/state.pt]

Needs torch and safetensors, load() also transformers, the command pyyaml.
"""
import os
import re
import sys

from torch_model import (Model, Parser, command, digest, gpt2_backbone, level_text, position_table, raw,
                         read_checkpoint, table_rows, texts_of)
import torch

VOCABULARY = 50257                                                  # of the GPT-2 that Garg et al. build

def load(path):
    """The model in evaluation mode: _read_in, _backbone (a GPT2Model), _read_out; float32."""
    c, weights, _ = read_checked(path)
    model = Model(c, gpt2_backbone)
    if c.pos in ("sinusoidal", "none"):
        weights["_backbone.wpe.weight"] = position_table(c, table_rows(c))
    model.load_state_dict(weights)
    return model.eval()

def read_checked(path):
    """A checkpoint whose data match its digest, if it has one."""
    c, weights, meta = read_checkpoint(path)
    if "icl.digest" in meta:
        from safetensors import safe_open
        with safe_open(path, "pt") as f:                            # as the data lie, skipped ones too
            data = b"".join(raw(f.get_tensor(k)) for k in f.offset_keys())
        if digest(c, data, texts_of(meta)) != meta["icl.digest"].lower():
            raise ValueError(f"{path}: the data do not match icl.digest")
    return c, weights, meta

def garg_task(text):
    """icl.task as training.task and task_kwargs of Garg et al., or nothing."""
    for pattern, task, key in ((r"garg\(dense\)", "linear_regression", None),
                               (r"garg\(sparse\(nnz=(\d+)\)\)", "sparse_linear_regression", "sparsity"),
                               (r"garg\(relu\(hidden=(\d+)\)\)", "relu_2nn_regression", "hidden_layer_size"),
                               (r"garg\(tree\(depth=(\d+)\)\)", "decision_tree", "depth")):
        m = re.fullmatch(pattern, text)
        if m:
            return {"task": task, "task_kwargs": {key: int(m[1])} if key else {}, "data": "gaussian"}
    return {}

def run_of(path):
    """State dict and config.yaml of a run that export_torch.py turns into this checkpoint."""
    c, weights, meta = read_checked(path)
    pairs = (table_rows(c) + 1) // 2
    table = weights.get("_backbone.wpe.weight")
    if c.pos != "absolute":
        table = position_table(c, 2 * pairs, table)
    weights["_backbone.wpe.weight"] = torch.cat([table, table.new_zeros(2 * pairs - len(table), c.C)])
    # What GPT2Model has and nobody reads, one zero in the file.
    weights["_backbone.wte.weight"] = torch.zeros(1, 1).expand(VOCABULARY, c.C)
    ours = {"n_positions": c.n_positions, "activation_function": c.act, "layer_norm_epsilon": c.ln_eps,
            "position_embedding_type": c.pos, "tokens": c.tokens if c.tokens != "apart" else None,
            "quantiles": ",".join(map(level_text, c.quantiles)) or None, **texts_of(meta)}
    return weights, {
        "model": {"family": "gpt2", "n_dims": c.d, "n_positions": pairs, "n_embd": c.C, "n_layer": c.L,
                  "n_head": c.H},
        "training": garg_task(meta.get("icl.task", "")),
        "icl": {k: v for k, v in ours.items() if v is not None}}

def write_run(path, out, force):
    import yaml
    weights, conf = run_of(path)
    folder = os.path.dirname(out) or "."
    config = os.path.join(folder, "config.yaml")
    for name in (out, config):
        if os.path.exists(name) and not force:
            raise ValueError(f"{name} is there already: --force overwrites it")
    os.makedirs(folder, exist_ok=True)
    bare = os.path.basename(out).startswith("model_")               # as Garg et al. name them
    torch.save(weights if bare else {"model_state_dict": weights}, out)
    with open(config, "w") as f:
        yaml.safe_dump(conf, f, default_flow_style=False, width=1 << 20)
    print(f"wrote {out} and {config}", file=sys.stderr)
    said, n_out = conf["icl"], len(weights["_read_out.weight"])
    if (said["activation_function"] != "gelu_new" or said["layer_norm_epsilon"] != 1e-5 or n_out > 1
            or "tokens" in said):
        print("import_torch: Garg et al.'s TransformerModel knows gelu_new, epsilon 1e-5, tokens of x or y "
              "and one output only; load() of this file has all", file=sys.stderr)

def main():
    p = Parser("import_torch", description=__doc__.split("\n\n")[0])
    p.add_argument("model", metavar="MODEL.safetensors")
    p.add_argument("-o", metavar="FILE.pt", help="otherwise MODEL/state.pt; config.yaml goes beside it")
    p.add_argument("--force", action="store_true", help="overwrite what is there")
    o = p.parse_args()
    out = o.o or os.path.join(os.path.splitext(o.model)[0], "state.pt")
    torch.set_num_threads(1)                                        # idle ones would spin
    command("import_torch", lambda: write_run(o.model, out, o.force))

if __name__ == "__main__":
    main()
