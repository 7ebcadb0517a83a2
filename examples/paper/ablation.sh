#!/bin/sh
# What do learning and the paper's failures depend on?  Lines and sinusoids in equal parts, as in figures 4 to 6, from
# prompts of 17 pairs: a model of 3 layers and width 64 for 2,000 steps, and others that change one thing and do as many
# floating-point operations.
#
#     sh examples/paper/ablation.sh            (from the root, after make; half an hour of one core)
#
# One line for each run into examples/paper/ablation.csv: mean squared error with 16 pairs in context on lines, on
# sinusoids, on convex combinations of the two, and on waves of frequencies from 3 to 5 with a phase.
# SPDX-License-Identifier: MIT
set -e
cd "$(dirname "$0")/../.."
out=examples/paper/ablation.csv
icl=${ICL:-build/icl}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

ask() { "$icl" eval "$dir/m.safetensors" --task "$1" --pairs 17 --prompts 4096 --seed 7 --threads 1 | awk -F, '$1 == 16 { print $2 }'; }
run() {   # run NAME STEPS OPTIONS...
  name=$1 steps=$2; shift 2
  for seed in 1 2 3; do
    "$icl" train --task '0.5*dense + 0.5*sine' --dims 1 --pairs 17 --steps "$steps" --positions alternating --seed $seed \
      --threads 1 --force -o "$dir/m.safetensors" "$@" 2> /dev/null
    echo "$name,$steps,$seed,$(ask dense),$(ask sine),$(ask 'convex(dense, sine)'),$(ask 'wave(fmin=3, fmax=5, offset=0)')" | tee -a "$out"
  done
}

echo "change,steps,seed,lines,sinusoids,convex,waves_3_to_5" | tee "$out"
run "none" 2000
run "positions learned" 2000 --positions learned
run "positions sinusoidal" 2000 --positions sinusoidal
run "positions none" 2000 --positions none
run "tokens apart" 2000 --tokens apart
run "width 32" 8000 --width 32
run "width 128" 500 --width 128
run "1 layer" 6000 --layers 1
run "6 layers" 1000 --layers 6
run "pairs from 5" 2000 --pairs-start 5 --pairs-add 2 --pairs-every 100
run "adam" 2000 --optimizer adam
run "batch 16" 8000 --batch 16
run "batch 256" 500 --batch 256
