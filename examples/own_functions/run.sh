#!/bin/sh
# A model of functions that were measured: each year of CO2 at Mauna Loa (1959 to 1997) and of the temperature
# at Nottingham (1920 to 1939) is one function of the month.  From some months of a year the model tells the
# others.  Sources and terms of the data: examples/data/README.md.  Half a minute on two cores.
cd "$(dirname "$0")/../.." || exit 1
make -s build/icl || exit 1
awk -F, 'FNR > 1 { split(FILENAME, name, /[\/.]/)
                   printf "%s%d,%d,%s\n", name[3], ($1 - 1) / 12, ($1 - 1) % 12 + 1, $2 }' \
  examples/data/co2.csv examples/data/nottem.csv | (echo year,month,y; cat) > build/years.csv || exit 1
build/icl train --data build/years.csv --steps 1000 --keep-best --patience 6 --force -o build/years.safetensors || exit 1

echo 'years held out, squared error over the variance of the first months:'
build/icl eval build/years.safetensors --data build/years.csv --with examples/models/curves.safetensors \
  --baselines knn:1,zero
