#!/bin/sh
# Trains examples/mcu/sensors.safetensors from scratch: `sh examples/mcu/train.sh`, some ten minutes of
# one core of a desktop processor.  Writes build/sensors.safetensors; the result does not depend on the
# number of threads.
cd "$(dirname "$0")/../.." || exit 1
make -s build/icl || exit 1
# what sensors of one quantity look like over their range: lines, bends, saturation, sigmoids, and a
# little noise; readings in any order
build/icl train --resume --threads "${THREADS:-2}" -o "${1:-build}/sensors.f32.safetensors" \
  --task "noisy(0.2*affine + 0.2*poly(degree=2) + 0.2*poly(degree=3) + 0.2*saturate
          + 0.2*logistic(smin=0.5, smax=3), sd=0.003..0.1)" \
  --dims 1 --pairs 33 --layers 3 --heads 2 --width 64 --batch 64 --steps 5000 --seed 1 --x uniform --order \
  --positions alternating --tokens joint --optimizer muon --lr 0.008 --schedule cosine --warmup 200 \
  --clip 1 --init-sd 0.125 || exit 1
# what surprise compares with, on more contexts than train takes
build/icl quantize "${1:-build}/sensors.f32.safetensors" --typical 8192 --force -o "${1:-build}/sensors.safetensors"
