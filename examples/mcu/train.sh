#!/bin/sh
# Trains examples/mcu/sensors.safetensors from scratch: `sh examples/mcu/train.sh`, some five minutes of
# one core of a desktop processor.  Writes build/sensors.safetensors; the result does not depend on the
# number of threads.
cd "$(dirname "$0")/../.." || exit 1
make -s build/icl || exit 1
# what sensors of one quantity look like over their range: lines, bends, saturation, and a little noise
build/icl train --resume --threads "${THREADS:-2}" -o "${1:-build}/sensors.safetensors" \
  --task "noisy(0.2*affine + 0.25*poly(degree=2) + 0.25*poly(degree=3) + 0.3*saturate, sd=0.03)" \
  --dims 1 --pairs 33 --layers 3 --heads 2 --width 64 --batch 64 --steps 5000 --seed 1 --x uniform \
  --optimizer adam --tokens apart --lr 0.002 --schedule cosine --warmup 300 --clip 1 --init-sd 0.125 \
  --pairs-start 9 --pairs-add 2 --pairs-every 120
