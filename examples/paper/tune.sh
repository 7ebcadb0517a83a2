#!/bin/sh
# Which learning rate leaves the plateau?  Functions of one of five inputs, from prompts of seven pairs: a problem
# with the plateau of the sparse models (least squares before sparsity) that a core is through with in a minute.
#
#     sh examples/paper/tune.sh            (from the root, after make)
#
# One line per run into examples/paper/tune.csv: mean squared error with 3 pairs in context after the same
# number of steps, each with a cosine to 0.  Least squares has 0.4 there, the optimum 0.
# SPDX-License-Identifier: MIT
set -e
cd "$(dirname "$0")/../.."
out=examples/paper/tune.csv
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
steps=${STEPS:-2000}

run() {   # run LAYERS OPTIMIZER LR BATCH STEPS
  build/icl train --task 'sparse(nnz=1)' --dims 5 --pairs 7 --layers "$1" --heads 4 --width 64 --tokens apart \
    --optimizer "$2" --lr "$3" \
    --batch "$4" --steps "$5" --schedule cosine --warmup 200 --clip 1 --init-sd 0.125 --seed 1 --threads "${THREADS:-2}" \
    --force -o "$dir/m.safetensors" 2> /dev/null
  error=$(build/icl eval "$dir/m.safetensors" --task 'sparse(nnz=1)' --pairs 7 --prompts 4096 --seed 7 --threads "${THREADS:-2}" |
          awk -F, '$1 == 3 { print $2 }')
  echo "$1,$2,$3,$4,$5,$error" | tee -a "$out"
}

echo "layers,optimizer,lr,batch,steps,error_3_pairs" | tee "$out"
for lr in 0.016 0.008 0.004 0.002 0.001; do run 3 muon $lr 64 "$steps"; done
for lr in 0.004 0.002 0.001 0.0005; do run 3 adam $lr 64 "$steps"; done
run 6 muon 0.002 64 $((steps / 2))
run 3 muon 0.002 256 $((steps / 4))
run 3 muon 0.001 16 $((steps * 4))
