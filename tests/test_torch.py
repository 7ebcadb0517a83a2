#!/usr/bin/env python3
"""The way from PyTorch to icl.h and back: tools/export_torch.py, import_torch.py and train_torch.py.

    python3 tests/test_torch.py [build/icl]

Ends with "torch: N passed, N failed, N skipped"; exit 1 if anything failed.  Needs torch, transformers,
safetensors, numpy and pyyaml; without them everything is skipped.
"""
import contextlib
import ctypes
import io
import math
import os
import re
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ICL = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "icl").resolve()
GOLDEN = ROOT / "tests" / "golden"
sys.path.insert(0, str(ROOT / "tools"))
sys.dont_write_bytecode = True
os.environ.setdefault("OMP_NUM_THREADS", "1")

try:
    import numpy
    import torch
    import transformers
    import yaml
    from safetensors.torch import save_file
except ImportError as e:
    print(f"skipped: all tests: {e}\ntorch: 0 passed, 0 failed, 1 skipped")
    sys.exit(0)

import export_torch
import import_torch
import torch_model
import train_torch

torch.set_num_threads(1)
T = Path(tempfile.mkdtemp())

def run_tool(tool, *args):
    """Exit status and stderr of a tool's main(), run in this process."""
    err, argv = io.StringIO(), sys.argv
    sys.argv, status = [tool.__name__, *map(str, args)], 0
    try:
        with contextlib.redirect_stderr(err):
            status = tool.main() or 0
    except SystemExit as e:
        if isinstance(e.code, str):                                 # what the interpreter would do
            err.write(e.code + "\n")
        status = e.code if isinstance(e.code, int) else 1
    finally:
        sys.argv = argv
    return status, err.getvalue()

def works(tool, *args):
    status, err = run_tool(tool, *args)
    assert status == 0, f"{tool.__name__} {args}: {status}: {err}"
    return err

def refuses(tool, code, word, *args):
    """One line on stderr that has the word in it, and this exit status."""
    status, err = run_tool(tool, *args)
    assert status == code and err.count("\n") == 1 and word in err, f"{args}: {status}: {err!r}"

def info(path):
    out = subprocess.run([ICL, "info", path], check=True, capture_output=True, text=True).stdout
    return {l[:20].strip(): l[20:] for l in out.splitlines()}

def predictions(path, xs, ys):
    """What icl_batch_predict says: xs [B, P, d], ys [B, P] -> [B, P]."""
    lib, report, preds = torch_model.library(), torch_model.Report(), torch.empty_like(ys)
    model, batch = ctypes.c_void_p(), ctypes.c_void_p()
    assert not lib.icl_load(ctypes.byref(model), os.fsencode(path), ctypes.byref(report)), report.text
    assert not lib.icl_batch_new(ctypes.byref(batch), model, xs.shape[1], 1)
    assert not lib.icl_batch_predict(batch, len(xs), *(ctypes.c_void_p(t.data_ptr()) for t in (xs, ys, preds)))
    lib.icl_batch_delete(batch)
    lib.icl_unload(model)
    return preds

def same_predictions(path, model, d, P):
    """After every number of pairs."""
    g = torch.Generator().manual_seed(5)
    xs, ys = torch.randn(2, P, d, generator=g), torch.randn(2, P, generator=g)
    with torch.no_grad():
        error = (model(xs, ys) - predictions(path, xs, ys)).abs().max().item()
    assert error < 2e-5, f"{path}: off by {error}"

class GargModel(torch.nn.Module):
    """The tensors of Garg et al.'s TransformerModel: GPT2Model with its whole vocabulary."""
    def __init__(self, d, pairs, C, L, H):
        super().__init__()
        config = transformers.GPT2Config(n_positions=2 * pairs, n_embd=C, n_layer=L, n_head=H,
                                         resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, use_cache=False)
        self._read_in = torch.nn.Linear(d, C)
        self._backbone = transformers.GPT2Model(config)
        self._read_out = torch.nn.Linear(C, 1)
    def forward(self, xs, ys):
        zs = torch.zeros(len(xs), 2 * xs.shape[1], xs.shape[2])
        zs[:, ::2], zs[:, 1::2, 0] = xs, ys
        return self._read_out(self._backbone(inputs_embeds=self._read_in(zs)).last_hidden_state)[:, ::2, 0]

CONFIG = {"model": {"family": "gpt2", "n_dims": 3, "n_positions": 6, "n_embd": 16, "n_layer": 2,
                    "n_head": 2},
          "training": {"task": "sparse_linear_regression", "task_kwargs": {"sparsity": 3},
                       "data": "gaussian", "num_tasks": None, "num_training_examples": None}}

def garg_run(name, change=None, state=None, file="state.pt"):
    """The folder of a run of theirs, with what older versions of transformers leave in it."""
    folder = T / name
    folder.mkdir()
    torch.manual_seed(1)
    model = GargModel(3, 6, 16, 2, 2).eval()
    for p in model.parameters():
        p.data += 0.1 * torch.randn_like(p)
    tensors = dict(model.state_dict())
    for l in range(2):
        tensors[f"_backbone.h.{l}.attn.bias"] = torch.ones(1, 1, 12, 12, dtype=torch.uint8).tril()
        tensors[f"_backbone.h.{l}.attn.masked_bias"] = torch.tensor(-1e4)
    tensors |= state or {}
    torch.save({"model_state_dict": tensors, "optimizer_state_dict": {}, "train_step": 7}
               if file == "state.pt" else tensors, folder / file)
    conf = {k: dict(v) for k, v in CONFIG.items()}
    for (section, key), value in (change or {}).items():
        conf[section][key] = value
    (folder / "config.yaml").write_text(yaml.dump(conf, default_flow_style=False))
    return folder, model

# ----- export --------------------------------------------------------------------------------------

def test_export():
    folder, model = garg_run("garg")
    assert works(export_torch, folder) == f"wrote {folder}/state.safetensors\n"
    said = info(folder / "state.safetensors")
    assert said["digest"] == "verified" and said["task"] == "garg(sparse(nnz=3))", said
    assert said["n_positions"] == "12" and said["positions"] == "learned" and said["n_head"] == "2", said
    same_predictions(folder / "state.safetensors", model, 3, 5)

def test_export_of_a_step():
    folder, _ = garg_run("steps", file="model_200.pt")
    bare = torch.load(folder / "model_200.pt", weights_only=True)
    torch.save({k: 0 * t if k == "_read_out.bias" else t for k, t in bare.items()}, folder / "model_1000.pt")
    works(export_torch, folder, "-o", T / "last.safetensors")
    assert torch_model.read_checkpoint(T / "last.safetensors")[1]["_read_out.bias"] == 0
    works(export_torch, folder / "model_200.pt", "-o", T / "first.safetensors")
    assert torch_model.read_checkpoint(T / "first.safetensors")[1]["_read_out.bias"] != 0

def test_tasks():
    """Garg et al.'s functions in icl.h's words; the command reads each of them."""
    def of(task, data="gaussian", **kwargs):
        return export_torch.task_of({"model": {"n_dims": 5}, "training": {
            "task": task, "task_kwargs": kwargs, "data": data}})[0]
    assert of("linear_regression") == of("linear_regression", scale=1) == "garg(dense)"
    assert of("sparse_linear_regression") == "garg(sparse(nnz=3))"
    assert of("relu_2nn_regression", hidden_layer_size=4) == "garg(relu(hidden=4))"
    assert of("decision_tree", depth=3) == "garg(tree(depth=3))"
    assert of("quadratic_regression") == "garg(quadratic)"
    assert of("noisy_linear_regression", noise_std=0.5) == "noisy(garg(dense), sd=0.5, renorm=0)"
    for unknown in (of("linear_classification"), of("linear_regression", scale=2),
                    of("noisy_linear_regression", renormalize_ys=True),
                    of("linear_regression", data="skewed")):
        assert unknown is None, unknown
    folder, _ = garg_run("pool", {("training", "num_tasks"): 100})
    assert "num_tasks=100" in works(export_torch, folder)
    assert info(folder / "state.safetensors")["task"] == "(not said)"

def test_surprise():
    folder, _ = garg_run("surprise")
    works(export_torch, folder, "--surprise", 4)
    assert info(folder / "state.safetensors")["surprise"] == "available"

def test_bad_runs():
    folder, model = garg_run("bad")
    (folder / "config.yaml").rename(T / "config.yaml")
    refuses(export_torch, 1, "config.yaml: not there: --config", folder)
    works(export_torch, folder, "--config", T / "config.yaml")
    refuses(export_torch, 1, "nothing", T / "nothing.pt", "--config", T / "config.yaml")
    refuses(export_torch, 1, "not a state dict", T / "config.yaml")
    empty = T / "empty"
    empty.mkdir()
    refuses(export_torch, 1, "neither", empty)
    refuses(export_torch, 2, "required")
    refuses(export_torch, 2, "--nonsense", folder, "--nonsense")
    for i, (change, word) in enumerate((
            ({("model", "family"): "lstm"}, "family 'lstm'"),
            ({("model", "n_embd"): 32}, "_read_in.weight is [16, 3]"),
            ({("model", "n_layer"): 3}, "there is no _backbone.h.2"),
            ({("model", "n_layer"): 1}, "unknown tensor"),
            ({("model", "n_positions"): 7}, "_backbone.wpe.weight"), ({("model", "n_head"): 3}, "3 heads"),
            ({("model", "n_head"): "2"}, "n_head"))):
        refuses(export_torch, 1, word, garg_run(f"bad{i}", change)[0])
    nan = {"_backbone.ln_f.bias": torch.full((16,), float("nan"))}
    refuses(export_torch, 1, "NaN or infinity in _backbone.ln_f.bias", garg_run("nan", state=nan)[0])
    torch.save(model, folder / "state.pt")                          # a pickle that could run anything
    refuses(export_torch, 1, f"not a state dict: Unsupported global: GLOBAL {__name__}.GargModel was not an "
            "allowed global", folder / "state.pt", "--config", T / "config.yaml")
    (folder / "state.pt").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 1\n")
    refuses(export_torch, 1, "git-lfs", folder, "--config", T / "config.yaml")
    torch.save({"weights": bare_state(model), "epoch": 3}, folder / "state.pt")
    refuses(export_torch, 1, "not a state dict: it has epoch, weights", folder, "--config", T / "config.yaml")

def bare_state(model):
    return {k: t for k, t in model.state_dict().items() if "wte" not in k}

def test_other_files():
    """A state dict under the keys and prefixes of other programs, with their numbers beside it."""
    folder, model = garg_run("others")
    works(export_torch, folder)
    state, want = bare_state(model), (folder / "state.safetensors").read_bytes()
    for i, thing in enumerate((
            {"state_dict": {f"model.{k}": t for k, t in state.items()}, "epoch": 3, "optimizer_states": []},
            {"state_dict": state}, {"model": state, "step": 5},
            {"model_state_dict": {f"_orig_mod.model.{k}": t for k, t in state.items()}},
            {"model_state_dict": state, "loss": numpy.float64(0.5), "step": numpy.int64(3),
             "losses": numpy.zeros(3, numpy.float32)})):
        torch.save(thing, folder / f"{i}.ckpt")
        works(export_torch, folder / f"{i}.ckpt")
        assert (folder / f"{i}.safetensors").read_bytes() == want, i

def test_no_torch():
    """Without torch each command says so in one line; as a module the error is Python's own."""
    (T / "none").mkdir()
    (T / "none" / "torch.py").write_text("raise ImportError('No module named torch')")
    for tool in ("export_torch", "import_torch", "train_torch"):
        run = subprocess.run([sys.executable, ROOT / "tools" / f"{tool}.py"], capture_output=True, text=True,
                             env=os.environ | {"PYTHONPATH": str(T / "none")})
        assert run.returncode == 1 and run.stderr == f"{tool}: No module named torch: pip install torch numpy\n", run

# ----- import, and round trips ---------------------------------------------------------------------

def test_round_trip():
    """Every golden checkpoint: same tensors bit for bit, same configuration; icl's own: same bytes."""
    for path in sorted(GOLDEN.glob("*.safetensors")):
        state, out = T / path.stem / "state.pt", T / path.name
        works(import_torch, path, "-o", state)
        works(export_torch, state, "-o", out)
        c, weights, _ = torch_model.read_checkpoint(path)
        c2, weights2, _ = torch_model.read_checkpoint(out)
        assert c == c2 and info(out)["digest"] == "verified", path
        for name in weights:
            assert weights[name].dtype == weights2[name].dtype, name
            assert torch_model.raw(weights[name]) == torch_model.raw(weights2[name]), name
        works(import_torch, out, "-o", T / "again" / path.stem / "model_1.pt")
        works(export_torch, T / "again" / path.stem, "-o", T / "again.safetensors")
        assert (T / "again.safetensors").read_bytes() == out.read_bytes(), path

def test_bytes_of_icl():
    """A file that icl_write made comes back byte for byte, with task and icl.typical; but for the
    version, which is that of the last writer."""
    paths = list((ROOT / "examples" / "models").glob("*.safetensors"))
    assert paths
    for path in paths:
        works(import_torch, path, "-o", T / "own" / path.stem / "state.pt")
        works(export_torch, T / "own" / path.stem, "-o", T / "own.safetensors")
        version = b'"icl.version":"' + torch_model.icl_version().encode() + b'"'
        expected = re.sub(rb'"icl.version":"\d\.\d\.\d"', version, path.read_bytes(), count=1)
        assert (T / "own.safetensors").read_bytes() == expected, path

def test_load():
    """HF's GPT2Model says what icl says, for all kinds of positions and activations."""
    for name, d, P in (("gpt2", 5, 9), ("gpt2_erf", 3, 11), ("gpt2_relu", 1, 10), ("sinusoidal", 4, 8),
                       ("none", 2, 7), ("bf16", 5, 9), ("joint", 3, 8)):
        path = GOLDEN / f"{name}.safetensors"
        model = import_torch.load(path)
        assert isinstance(model._backbone, transformers.GPT2Model)
        same_predictions(path, model, d, P)

def test_their_model_loads_ours():
    """The state dict fits Garg et al.'s model, also where positions are none."""
    for path in (GOLDEN / "adamw.safetensors", GOLDEN / "none.safetensors",
                 ROOT / "examples" / "paper" / "models" / "mix.safetensors"):         # odd: 33 positions
        name = path.stem
        works(import_torch, path, "-o", T / "theirs" / name / "state.pt")
        conf = yaml.safe_load((T / "theirs" / name / "config.yaml").read_text())["model"]
        model = GargModel(conf["n_dims"], conf["n_positions"], conf["n_embd"], conf["n_layer"], conf["n_head"])
        state = torch.load(T / "theirs" / name / "state.pt", weights_only=True)["model_state_dict"]
        model.load_state_dict(state)                                # strict
        same_predictions(path, model.eval(), conf["n_dims"], 7)
    assert (T / "theirs" / "none" / "state.pt").stat().st_size < 200000       # no vocabulary in it

def test_bad_checkpoints():
    works(import_torch, GOLDEN / "gpt2.safetensors", "-o", T / "kept" / "state.pt")
    refuses(import_torch, 1, "--force", GOLDEN / "gpt2.safetensors", "-o", T / "kept" / "state.pt")
    refuses(import_torch, 1, "nothing", T / "nothing.safetensors")
    refuses(import_torch, 2, "required")
    folder, _ = garg_run("flip")
    works(export_torch, folder)
    data = bytearray((folder / "state.safetensors").read_bytes())
    (T / "cut.safetensors").write_bytes(data[:-1])
    refuses(import_torch, 1, "cut.safetensors", T / "cut.safetensors")
    data[-1] ^= 1
    (T / "flipped.safetensors").write_bytes(data)
    refuses(import_torch, 1, "icl.digest", T / "flipped.safetensors")
    save_file({"x": torch.zeros(3)}, T / "other.safetensors", {"n_head": "1"})
    refuses(import_torch, 1, "missing", T / "other.safetensors")

# ----- prompts -------------------------------------------------------------------------------------

def test_prompts():
    """A prompt depends on seed, step and number alone; texts are icl_train.h's own, canonical."""
    task = torch_model.Task("0.5*dense + noisy(gp(length=0.3..2), sd=1)", 4, "inputs=data y_scale=2 order=1")
    assert str(task) == "0.5*dense + noisy(gp(length=0.3..2, nu=0, ard=0), sd=1, renorm=0)", str(task)
    assert task.how == "inputs=data y_scale=2 order=1"
    whole, first, second = (task.sample(7, 5, i, n, 9) for i, n in ((0, 6), (0, 2), (2, 4)))
    for a, b, c in zip(whole, first, second):
        assert torch.equal(a, torch.cat([b, c])) and a.isfinite().all() and a.std() > 0.1
    assert not any(torch.equal(whole[1], task.sample(*other, 0, 6, 9)[1]) for other in ((7, 6), (8, 5)))
    xs, _ = torch_model.Task("sparse(nnz=2)", 6).sample(1, 2, 0, 8, 12, 4)
    assert (xs[:, :, 4:] == 0).all() and (xs[:, :, :4] != 0).all()
    for text, where, word in (("", 1, "class"), ("denze", 1, "perhaps dense"), ("dense)", 6, ""),
                              ("sparse(nnz=4)", 12, "nnz"), ("convex(dense)", 1, "convex")):
        refuses(train_torch, 2, word, "--task", text, "--dims", 3, "--pairs", 2, "--steps", 1,
                "--state", T / "no")
        assert f"--task, character {where}:" in run_tool(
            train_torch, "--task", text, "--dims", 3, "--pairs", 2, "--steps", 1, "--state", T / "no")[1], text

# ----- the same run in icl and here ----------------------------------------------------------------

def weights_in(path):
    """Configuration, all weights [n] and metadata.  Biases of keys, whose gradients are 0 but for rounding,
    count as 0: where Adam and Muon take them is an accident."""
    c, weights, meta = torch_model.read_checkpoint(path)
    for name, t in weights.items():
        if name.endswith("c_attn.bias"):
            t[c.C:2 * c.C] = 0
    return c, torch.cat([t.flatten() for t in weights.values()]), meta

def trained(name, *args):
    """Trains with icl and with PyTorch; weights and metadata of both, and the losses in their lines."""
    args, found = [*map(str, args), "--log-every", "1", "--threads", "1", "--force"], []
    ours, theirs = T / f"{name}.safetensors", T / f"{name}_torch.safetensors"
    lines = subprocess.run([ICL, "train", *args, "-o", ours], check=True, capture_output=True, text=True).stderr
    for path, text in ((ours, lines), (theirs, works(train_torch, *args, "-o", theirs, "--device", "cpu"))):
        found.append([float(x) for x in re.findall(r"^step .*  loss (\S+)", text, re.M)])
    return weights_in(ours), weights_in(theirs), found

def same_run(name, *args, start=None):
    """Losses agree in all digits of the lines but the last, weights in all but a small part of their way:
    Muon makes all directions equally long, those too whose gradient is hardly more than rounding."""
    (c, w, meta), (c2, w2, meta2), (losses, losses2) = trained(name, *args)
    assert c == c2 and meta["n_head"] == meta2["n_head"] and len(losses) == len(losses2) == 10
    for a, b in zip(losses, losses2):
        assert abs(a - b) < 1.01 * 10 ** (math.floor(math.log10(a)) - 3), f"{name}: {losses}, {losses2}"
    start = first_weights_of(*args) if start is None else start
    way, off = (w - start).abs().max().item(), (w - w2).abs().max().item()
    assert way > 1e-3 and off < 5e-2 * way, f"{name}: weights moved by {way}, differ by {off}"
    for key in ("icl.task", "icl.sampling", "icl.recipe"):
        assert meta.get(key) == meta2.get(key), (key, meta.get(key), meta2.get(key))
    figures, figures2 = (list(map(int, m["icl.typical"].split())) for m in (meta, meta2))
    assert max(abs(a - b) for a, b in zip(figures, figures2, strict=True)) <= 100, (figures, figures2)
    return w

def first_weights_of(*args):
    r = train_torch.options([*map(str, args), "--state", "x"])[1]
    return train_torch.first_weights(train_torch.shape_of(r), r)

RUN = ["--dims", 3, "--pairs", 6, "--batch", 8, "--steps", 10, "--lr", 3e-3, "--seed", 3, "--optimizer", "adam",
       "--schedule", "constant", "--warmup", 0, "--clip", 0]      # icl train has defaults of its own
SHAPED = ["--layers", 2, "--heads", 2, "--width", 16, "--init-sd", 0.25, "--tokens", "apart"]

def test_first_weights():
    """Bit for bit those of icl train; a rate of 1e-30 moves nothing but zeros."""
    args = ["--task", "dense", *RUN, *SHAPED, "--lr", 1e-30, "--steps", 1, "--tokens", "joint", "--positions",
            "alternating"]
    subprocess.run([ICL, "train", *map(str, args), "--threads", "1", "-o", T / "first_weights.safetensors"],
                   check=True, capture_output=True)
    w, first = weights_in(T / "first_weights.safetensors")[1], first_weights_of(*args)
    assert (w - first).abs().max() < 1e-29 and torch.equal(w[first != 0], first[first != 0])
    assert (first != 0).double().mean() > 0.8

def test_same_run_adam():
    same_run("adam", "--task", "0.5*garg(dense) + 0.5*noisy(sparse(nnz=1), sd=0.1)", *RUN, *SHAPED,
             "--dims-start", 2, "--dims-every", 3, "--pairs-start", 3, "--pairs-every", 2, "--clip", 1,
             "--weight-decay", 0.01, "--schedule", "cosine", "--warmup", 3, "--lr-end", 0.1, "--x", "uniform")

def test_same_run_muon():
    """With the first weights of another run, and activations and positions of other kinds."""
    start = same_run("start", "--task", "dense", *RUN, *SHAPED, "--positions", "sinusoidal", "--activation",
                     "relu", "--optimizer", "muon", "--momentum", 0.9, "--lr", 0.01)
    w = same_run("muon", "--task", "sine + tree(depth=2)", *RUN, "--from", T / "start.safetensors", "--clip", 0.5,
                 "--optimizer", "muon", "--weight-decay", 0.1, "--schedule", "linear", "--lr", 0.02, start=start)
    assert weights_in(T / "muon.safetensors")[2]["icl.recipe"].endswith(" from=another-model"), w

def test_same_run_without_options():
    """The command of docs/training.md, shorter: every default is icl train's, and so are ten losses."""
    (c, _, meta), (c2, _, meta2), (losses, losses2) = trained(
        "defaults", "--task", "dense", "--dims", 5, "--pairs", 16, "--steps", 10)
    assert c == c2 and c.tokens == "joint" and meta["icl.recipe"] == meta2["icl.recipe"]
    assert "optimizer=muon" in meta["icl.recipe"] and len(losses) == len(losses2) == 10
    assert max(abs(a - b) for a, b in zip(losses, losses2)) <= 1.01e-4, (losses, losses2)

def test_defaults():
    """Those of icl train, recipe by recipe."""
    for recipe in ("laptop", "garg", "yadlowsky"):
        argv = ["--task", "dense", "--dims", "20", "--pairs", "41", "--recipe", recipe]
        said = subprocess.run([ICL, "train", *argv, "-o", "x", "--settings"], check=True, capture_output=True,
                              text=True).stdout
        said = dict(line.split(" ", 1) for line in said.splitlines() if " " in line)
        r = train_torch.options([*argv, "-o", "x"])[1]
        for key in ("steps", "batch", "lr", "warmup", "clip", "epsilon", "init-sd", "schedule", "optimizer", "layers",
                    "heads", "width", "positions", "tokens", "activation", "dims-start", "dims-every", "pairs-start",
                    "pairs-add", "pairs-every", "momentum", "beta1", "beta2", "hint", "hint-layer"):
            assert str(r[key.replace("-", "_")]) == said[key] or r[key.replace("-", "_")] == float(said[key]), (key, r)

def test_same_run_with_hints():
    """The second loss, of functions that are scaled, with noise that it does not see."""
    hint = ["--hint", 0.5, "--x-scale", 2, "--layers", 3, "--heads", 2, "--width", 16, "--init-sd", 0.25]
    hint += ["--dims-start", 2, "--dims-every", 4]
    same_run("hint", "--task", "0.5*garg(dense) + 0.5*noisy(relu(hidden=4), sd=0.3)", *RUN, *hint, "--clip", 1)
    same_run("hint1", "--task", "sparse(nnz=1)", *RUN, *hint, "--hint-layer", 1, "--optimizer", "muon")
    meta = weights_in(T / "hint.safetensors")[2]
    assert " seed=" in meta["icl.recipe"] and meta["icl.recipe"].endswith(" hint=0.5 hint_layer=2"), meta["icl.recipe"]
    for word, *wrong in (("--hint-layer is", "--hint-layer", 3), ("not scaled", "--standardize"),
                         ("not scaled", "--x", "data"), ("--hint needs", "--width", 2, "--heads", 1)):
        refuses(train_torch, 2, word, "--task", "dense", "--dims", 3, "--pairs", 5, "--steps", 2, "-o", T / "w",
                "--layers", 3, "--hint", 1, *wrong)

def test_same_run_as_data():
    """Data prompts, joint tokens, alternating positions, quantiles; and such a file comes back byte for byte."""
    same_run("data", "--task", "noisy(gp(length=0.5..2) + hinge, sd=0.1..1, tails=0.5)", *RUN, *SHAPED,
             "--x", "data", "--order", "--standardize", "--y-scale", 1.5, "--tokens", "joint", "--positions",
             "alternating", "--quantiles", "0.05,0.25,0.5,.9", "--optimizer", "muon", "--clip", 1)
    for name in ("data", "muon"):
        path = T / f"{name}.safetensors"
        works(import_torch, path, "-o", T / f"{name}_run" / "state.pt")
        works(export_torch, T / f"{name}_run", "-o", T / f"{name}_again.safetensors")
        assert (T / f"{name}_again.safetensors").read_bytes() == path.read_bytes(), name
        assert info(T / f"{name}_torch.safetensors")["digest"] == "verified"
    meta = weights_in(T / "data.safetensors")[2]
    assert meta["icl.quantiles"] == "0.05,0.25,0.5,0.9" and meta["icl.tokens"] == "joint"
    assert meta["icl.sampling"] == "inputs=data y_scale=1.5 order=1 standardize=1", meta["icl.sampling"]

def test_bundled_commands():
    """Every training command that examples/models/train.sh runs is understood here."""
    text = (ROOT / "examples" / "models" / "train.sh").read_text()
    text = re.sub(r"^(cd|make) .*", ":", text, flags=re.M).replace("build/icl", "record")
    record = r"""record() { [ "$1" = train ] || return 0; shift; printf '%s\0' "$@"; printf '\1'; }
"""
    said = subprocess.run(["sh", "-c", record + text], capture_output=True, text=True, check=True).stdout
    commands = [c.split("\0")[:-1] for c in said.split("\1")[:-1]]
    assert len(commands) == 2, commands
    for words in commands:
        o, r, _ = train_torch.options(words)
        assert o.resume and r["steps"] >= 1000 and o.o.endswith(".f32.safetensors"), words

# ----- training ------------------------------------------------------------------------------------

SMALL = ["--task", "0.5*garg(dense) + 0.5*noisy(sparse(nnz=1), sd=0.1)", "--dims", 3, "--pairs", 6,
         "--layers", 2, "--heads", 2, "--width", 16, "--batch", 8, "--lr", 3e-3, "--init-sd", 0.25,
         "--dims-start", 2, "--dims-every", 6, "--pairs-start", 3, "--pairs-every", 4, "--clip", 1,
         "--weight-decay", 0.01, "--schedule", "inverse-sqrt", "--warmup", 5, "--device", "cpu", "--optimizer",
         "adam", "--tokens", "apart"]

def weights_of(folder):
    return b"".join(torch_model.raw(t) for t in train_torch.load_state(folder)[1].values())

def test_resume():
    """20 steps are 10 and 10 more, bit for bit, with a state of many files."""
    train_torch.PIECE = 4096
    works(train_torch, *SMALL, "--steps", 20, "-o", T / "once.safetensors")
    works(train_torch, *SMALL, "--steps", 10, "-o", T / "twice.safetensors")
    half = weights_of(T / "twice.safetensors.torch")
    refuses(train_torch, 1, "--resume", *SMALL, "--steps", 20, "-o", T / "twice.safetensors")
    err = works(train_torch, *SMALL, "--steps", 20, "-o", T / "twice.safetensors", "--resume")
    assert "from step 10" in err
    once, twice = (weights_of(T / f"{n}.safetensors.torch") for n in ("once", "twice"))
    assert once == twice and once != half
    assert (T / "once.safetensors").read_bytes() == (T / "twice.safetensors").read_bytes()
    files = list((T / "twice.safetensors.torch").iterdir())
    assert len(files) > 10 and all(f.stat().st_size <= 4096 for f in files if f.suffix == ".bin")
    assert {f.name.split(".")[1] for f in files if f.suffix == ".bin"} == {"20"}    # none older

def test_pieces_of_time():
    """--minutes ends a run in order; of the state, the weights are enough for a checkpoint."""
    state = T / "timed"
    err = works(train_torch, *SMALL, "--steps", 20, "--state", state, "--minutes", 0)
    assert "stopped after step 0" in err and train_torch.load_state(state)[0]["step"] == 0
    works(train_torch, *SMALL, "--steps", 20, "--state", state, "--resume")
    for f in [*state.glob("m.*"), *state.glob("v.*")]:
        f.unlink()
    works(export_torch, state, "-o", T / "timed.safetensors")
    assert (T / "timed.safetensors").read_bytes() == (T / "once.safetensors").read_bytes()
    refuses(train_torch, 1, "m.20.0.bin", *SMALL, "--steps", 21, "--state", state, "--resume")

def test_bad_states():
    state = T / "damaged"
    works(train_torch, *SMALL, "--steps", 1, "--state", state)
    refuses(train_torch, 1, "seed 0, not 1", *SMALL, "--steps", 2, "--state", state, "--resume", "--seed", 1)
    piece = state / "v.1.0.bin"
    piece.write_bytes(piece.read_bytes()[:-4] + b"abcd")
    refuses(train_torch, 1, "damaged", *SMALL, "--steps", 2, "--state", state, "--resume")
    for args, word in ((["--heads", 3], "--heads"), (["--dims-start", 0], "--dims-start"),
                       (["--lr", "x"], "--lr"), (["--pairs-start", 9], "--pairs-start"),
                       (["--resume", "--force"], "contradict"), (["--device", "nonsense"], "nonsense"),
                       (["--n-positions", 5], "--n-positions"), (["--lr-end", 0.1], "--lr-end"),
                       (["--quantiles", "0.5,0.2"], "rising"), (["--quantiles", "a"], "--quantiles wants"),
                       (["--quantiles", "0.1,0.9", "--n-out", 2], "--n-out"),
                       (["--from", GOLDEN / "gpt2.safetensors"], "--layers")):
        refuses(train_torch, 2, word, *SMALL, "--steps", 2, "--state", state, *args)

def test_schedules():
    """The learning rate and the curriculum of icl train."""
    r = dict(lr=1.0, warmup=4, schedule="cosine", steps=14, lr_end=0.1, dims=5, pairs=9, dims_start=3,
             dims_every=2, pairs_start=4, pairs_every=3, pairs_add=2)
    near = lambda a, b: abs(a - b) < 1e-12
    assert near(train_torch.learning_rate(r, 0), 0.25) and near(train_torch.learning_rate(r, 3), 1)
    assert near(train_torch.learning_rate(r, 8), 0.1 + 0.9 * 0.5)
    assert near(train_torch.learning_rate(r, 13), 0.1)
    assert near(train_torch.learning_rate(r | {"schedule": "linear"}, 6), 0.1 + 0.9 * 0.7)
    assert near(train_torch.learning_rate(r | {"schedule": "linear"}, 13), 0.1)
    assert near(train_torch.learning_rate(r | {"schedule": "inverse-sqrt"}, 15), 0.5)
    assert near(train_torch.learning_rate(r | {"schedule": "constant"}, 15), 1)
    assert [train_torch.curriculum(r, s) for s in (0, 1, 2, 3, 9)] == [(3, 4), (3, 4), (4, 4), (4, 6), (5, 9)]

def recipe(*args):
    """The recipe of SMALL with other options."""
    return train_torch.options([str(a) for a in [*SMALL, "--steps", 9, "--state", "x", *args]])[1]

def test_optimizer():
    """Ten updates are PyTorch's AdamW after clip_grad_norm_; one that is not finite changes nothing."""
    t = train_torch.Trainer(recipe("--clip", 0.01, "--weight-decay", 0.1), "cpu", False)
    theirs = torch.nn.Parameter(t.w.clone())
    adam = torch.optim.AdamW([theirs], lr=1e-2, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1)
    g = torch.Generator().manual_seed(2)
    for i in range(10):
        t.grad.copy_((1e-5 if i % 3 else 1) * torch.randn(t.w.shape, generator=g))
        theirs.grad = t.grad.clone()
        torch.nn.utils.clip_grad_norm_([theirs], 0.01)
        adam.step()
        t.update(torch.tensor(1.0), 1e-2)
    assert (t.w - theirs).abs().max() < 2e-6
    before = t.w.clone(), t.m.clone(), t.v.clone()
    t.grad[3] = float("nan")
    t.update(torch.tensor(1.0), 1e-2)
    t.grad.zero_()
    t.update(torch.tensor(float("inf")), 1e-2)
    assert all(torch.equal(a, b) for a, b in zip(before, (t.w, t.m, t.v)))
    assert t.counts.tolist() == [10, 2, 2]

def test_muon():
    """Singular values go to 1 for any shape; a gradient of 0 changes nothing."""
    g = torch.Generator().manual_seed(4)
    for shape in ((16, 16), (16, 64), (64, 16)):
        w, m = torch.zeros(shape), torch.zeros(shape)
        train_torch.muon_step(w, m, torch.randn(shape, generator=g), 1.0, 0.95, 0.0)
        values = torch.linalg.svdvals(w) / (0.2 * math.sqrt(max(shape)))
        assert values.max() < 1.3 and values.median() > 0.6, (shape, values)
    before = w.clone()
    train_torch.muon_step(w, torch.zeros(shape), torch.zeros(shape), 1.0, 0.95, 0.1)
    assert torch.equal(w, before)

def test_training():
    """The loss falls, in float32 and bfloat16, and the checkpoint says in icl what it says here."""
    def loss(t):
        with torch.no_grad():
            return t.loss(*t.task.sample(77, 1 << 35, 0, 2048, 6))[1].item()
    for precision in ("fp32", "bf16"):
        r = recipe("--precision", precision, "--task", "dense", "--dims", 1, "--dims-start", 1,
                   "--pairs-start", 6, "--batch", 32, "--lr", 5e-3, "--schedule", "constant",
                   "--weight-decay", 0, "--warmup", 0)
        t = train_torch.Trainer(r, "cpu", False)
        before = loss(t)
        for _ in range(450):
            t.train_step()
        assert before > 0.9 and loss(t) < 0.6, f"{precision}: {before} -> {loss(t)}"
    train_torch.export(T / "toy.safetensors", r, t.w, t.step)
    said = info(T / "toy.safetensors")
    assert said["digest"] == "verified" and said["task"] == "dense" and said["surprise"] == "available", said
    same_predictions(T / "toy.safetensors", t.model, 1, 6)
    out = subprocess.run([ICL, "eval", T / "toy.safetensors", "--task", "dense", "--pairs", "6",
                          "--prompts", "1024"], check=True, capture_output=True, text=True).stdout
    curve = [float(line.split(",")[1]) for line in out.splitlines()[1:]]
    assert curve[0] > 0.8 and curve[-1] < 0.5, curve

def main():
    passed = failed = 0
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            try:
                test()
                passed += 1
            except Exception:
                failed += 1
                print(f"FAILED: {name}")
                print("    " + "\n    ".join(traceback.format_exc().splitlines()[-4:]))
    print(f"torch: {passed} passed, {failed} failed, 0 skipped")
    return failed > 0

if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        subprocess.run(["rm", "-rf", str(T)])
