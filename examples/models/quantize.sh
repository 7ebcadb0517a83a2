#!/bin/sh
# What smaller weights, and smaller keys and values, cost: learning curves on three models to
# build/quantize/*.csv, and a table to stdout.  Some minutes; PROMPTS=256 is quicker.
cd "$(dirname "$0")/../.." || exit 1
make -s build/icl || exit 1
out=build/quantize
mkdir -p "$out"

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

echo '| | as stored | weights F16 | BF16 | I8 | keys and values F16 | I8 | all I8 |'
echo '|---|---|---|---|---|---|---|---|'
curves curves examples/models/curves.safetensors '1 2 12 32'
curves 'dense, eight inputs' examples/paper/models/dense-tiny.safetensors '4 8 16'
curves 'dense and sparse, eight inputs' examples/paper/models/mix.safetensors '4 8 16'
