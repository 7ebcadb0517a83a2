#!/bin/sh
# Trains the bundled models from scratch with build/icl: `make models`.  On two idle cores some 40 minutes; the
# result does not depend on the number of threads.  Stop it at any time: the next call goes on.
cd "$(dirname "$0")/../.." || exit 1
make -s build/icl || exit 1
out=${1:-build}
threads=${THREADS:-2}

# ten inputs: dense and sparse linear functions, and noisy ones
build/icl train --resume --threads "$threads" -o "$out/linear.safetensors" \
  --task "0.4*dense + 0.2*sparse(nnz=2) + 0.2*noisy(sd=0.3, renorm=1) + 0.2*noisy(sd=1, renorm=1)" \
  --dims 10 --pairs 41 --layers 6 --heads 4 --width 64 --batch 64 --steps 16000 --seed 1 \
  --lr 0.002 --schedule cosine --warmup 500 --clip 1 --init-sd 0.125 \
  --dims-start 3 --dims-every 600 --pairs-start 11 --pairs-add 2 --pairs-every 300 || exit 1

# one input: what a person would meet, with and without noise
build/icl train --resume --threads "$threads" -o "$out/curves.safetensors" \
  --task "0.15*affine + 0.15*poly(degree=2) + 0.25*wave(fmin=0.1, fmax=1) + 0.15*saturate
          + 0.3*noisy(affine + poly(degree=2) + 2*wave(fmin=0.1, fmax=1, offset=0.3) + saturate, sd=0.25)" \
  --dims 1 --pairs 33 --layers 4 --heads 4 --width 64 --batch 64 --steps 12000 --seed 1 \
  --lr 0.002 --schedule cosine --warmup 500 --clip 1 --init-sd 0.125 \
  --pairs-start 9 --pairs-add 2 --pairs-every 200 || exit 1
