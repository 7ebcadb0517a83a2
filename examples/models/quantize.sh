#!/bin/sh
# What smaller weights, and smaller keys and values, cost: learning curves on three models to
# build/quantize/*.csv, and the table of README.md to stdout.  Some minutes, most of them for the
# third model's training.  PROMPTS=256 is quicker.
cd "$(dirname "$0")/../.." || exit 1
make -s build/icl || exit 1
out=build/quantize
mkdir -p "$out"

# a third model: eight inputs, dense and sparse functions
d8=$out/d8.safetensors
[ -f "$d8" ] || build/icl train -o "$d8" --threads "${THREADS:-2}" --seed 1 \
  --task '0.5*dense + 0.5*sparse(nnz=2)' --dims 8 --pairs 17 --layers 3 --heads 4 --width 64 \
  --batch 64 --steps 5000 --optimizer adam --tokens apart --lr 0.004 --schedule cosine --warmup 300 --clip 1 --init-sd 0.125 \
  --dims-start 2 --dims-every 250 --pairs-start 5 --pairs-add 2 --pairs-every 250 || exit 1

# curves NAME MODEL "K K .." [--task SPEC]: all columns, then rows K and the largest excess
curves() {
  name=$1 model=$2 ks=$3
  shift 3
  for o in '--dtype f16' '--dtype bf16' '--dtype i8' '--kv f16' '--kv i8' '--dtype i8 --kv i8'; do
    csv=$out/$(echo "$name" | tr ' ' -)-$(echo "$o" | tr -d ' -').csv
    build/icl quantize "$model" $o --prompts "${PROMPTS:-2048}" --seed 5 "$@" > "$csv" || exit 1
    echo "$csv"
  done > "$out/list"
  paste -d, $(cat "$out/list") | awk -F, -v name="$name" -v ks=" $ks " '
    NR == 1 { next }
    { for (i = 1; i <= 6; i++) { e = $(3 * i) - $2; if (e > worst[i]) worst[i] = e } }
    index(ks, " " $1 " ") {
      row = sprintf("| %s, k = %d | %.5f |", name, $1, $2)
      for (i = 1; i <= 6; i++) row = row sprintf(" %.5f |", $(3 * i))
      print row
    }
    END {
      row = sprintf("| %s, largest excess at any k | |", name)
      for (i = 1; i <= 6; i++) row = row sprintf(" %.5f |", worst[i])
      print row
    }'
}

echo '| | F32 | weights F16 | BF16 | I8 | keys and values F16 | I8 | all I8 |'
echo '|---|---|---|---|---|---|---|---|'
models=examples/models
curves linear examples/paper/models/linear.safetensors '10 20 30 40'
curves 'linear on dense' examples/paper/models/linear.safetensors '10 20 30 40' --task dense
curves curves $models/curves.safetensors '1 2 12 32'
curves d8 "$d8" '4 8 16'
