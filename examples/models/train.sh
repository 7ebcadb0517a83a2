#!/bin/sh
# Trains the bundled models from scratch with build/icl: `make models`, or one of them by name:
# `sh examples/models/train.sh build curves`.  The result does not depend on the number of threads.  Stop it
# at any time: the next call goes on.
cd "$(dirname "$0")/../.." || exit 1
make -s build/icl || exit 1
out=${1:-build}
threads=${THREADS:-2}

# recipe NAME DIMS TASK: prompts as people's data are, six layers of width 96
recipe() {
  build/icl train --resume --threads "$threads" -o "$out/$1.f32.safetensors" --dims "$2" --task "$3" \
    --x data --order --standardize --positions alternating --tokens joint \
    --quantiles 0.025,0.05,0.1,0.25,0.5,0.75,0.9,0.95,0.975 \
    --pairs 65 --pairs-start 16 --pairs-add 7 --pairs-every 1000 --batch 64 --steps 8000 --seed "${SEED:-1}" \
    --layers 6 --heads 4 --width 96 --init-sd 0.1 --optimizer muon --lr 0.006 --schedule cosine --warmup 200 \
    --clip 1 || exit 1
  build/icl quantize "$out/$1.f32.safetensors" --dtype f16 --typical 8192 --force -o "$out/$1.safetensors" || exit 1
}

# one input: curves that people meet, alone or two at once, with every kind of noise
smooth="gp(length=0.15..4)"
rest="0.14*wave(fmin=0.05, fmax=1.5) + 0.08*logistic + 0.1*decay + 0.06*peak + 0.06*power + 0.06*hinge"
[ "${2:-curves}" != curves ] || recipe curves 1 "noisy(
  0.22*$smooth + 0.09*gp(length=0.15..4, nu=1.5) + 0.09*gp(length=0.15..4, nu=2.5) + 0.09*affine
  + 0.06*poly(degree=2..4) + 0.1*wave(fmin=0.05, fmax=0.6) + 0.03*wave(fmin=0.6, fmax=1.5) + 0.07*logistic
  + 0.09*decay + 0.06*peak + 0.06*power + 0.06*hinge + 0.04*monotone
  + 0.45*convex(0.4*$smooth + 0.12*affine + $rest,
                0.3*$smooth + 0.2*affine + $(echo "$rest" | sed s/0.14/0.16/)),
  sd=0.003..2, share=0.65, tails=0.2, hetero=0.15, outliers=0.1)"

# one to ten inputs: linear, alone or with something that is not
linear="decaying(keep=0.3..1, rate=0.4..1)"
[ "${2:-table}" != table ] || recipe table 10 "noisy(
  0.4*$linear + 0.05*gp(length=0.7..5, ard=1) + 0.04*gp(length=0.7..5, nu=2.5, ard=1)
  + 0.03*additive(terms=1..6) + 0.03*products(terms=1..4) + 0.02*link + 0.02*splits(depth=1..4)
  + 0.41*convex($linear, 0.3*gp(length=0.7..5, ard=1) + 0.15*gp(length=0.7..5, nu=2.5, ard=1)
                + 0.2*additive(terms=1..6) + 0.15*products(terms=1..4) + 0.1*link + 0.1*splits(depth=1..4)),
  sd=0.01..2.5, share=0.85, tails=0.2, hetero=0.1, outliers=0.1)"
