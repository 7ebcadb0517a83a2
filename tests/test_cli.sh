#!/bin/sh
# The command icl as its users meet it: exit codes, what goes to stdout and what to stderr, streaming,
# files that are wrong, signals and kills.
#
#     tests/test_cli.sh build/icl
#
# Ends with "cli: N passed, N failed, N skipped"; exit 1 if anything failed.
# SPDX-License-Identifier: MIT

. "$(dirname "$0")/command.sh"

# wait_for COMMAND...: until it succeeds, ten seconds at most.
wait_for() {
  tries=0
  until "$@"; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || return 1
    sleep 0.1
  done
}

input ''

# ----- usage --------------------------------------------------------------------------------------

for command in '' info predict check train eval repro bench quantize; do
  run $command --help
  ok "help of '$command': exit 0" exits 0
  ok "help of '$command' on stdout" says out "^usage: icl"
  ok "help of '$command': nothing on stderr" silent err
  misused "unknown option of '$command'" $command --bogus
done
for command in info check train eval repro quantize; do misused "$command without arguments" $command; done
run --version
ok "version" says out '^icl [0-9]*\.[0-9]*\.[0-9]*$'
misused "no command"
misused "no such command" bogus
misused "too many arguments" info "$model" "$model"
misused "quantize: nothing to do" quantize "$model"
misused "quantize: no dtype" quantize "$model" -o "$t/quant"
misused "quantize: nothing smaller" quantize "$model" -o "$t/quant" --dtype f32
misused "quantize: unknown dtype" quantize "$model" -o "$t/quant" --dtype i4
misused "quantize: no task" quantize "$model" --dtype i8 --prompts 2
misused "quantize: nothing to write typical figures to" quantize "$model" --typical 100
misused "quantize: typical figures of too few contexts" quantize "$model" --typical 99 -o "$t/quant"
misused "quantize: typical figures of no task" quantize "$model" --typical 100 -o "$t/quant"
for o in '--task dense' '--pairs 4' '--seed 1' '--kv f16'; do
  run quantize "$model" --dtype i8 -o "$t/quant" $o
  ok "quantize: $o without --prompts" eval 'exits 2 && says err "are for --prompts"'
done
misused "quantize: no such task" quantize "$model" --dtype i8 --prompts 2 --task bogus
misused "quantize: more pairs than the model takes" quantize "$model" --prompts 2 --task dense --pairs 12
misused "predict: unknown kind of keys" predict "$model" --kv i4
misused "option without its value" eval "$model" --pairs
misused "not a number" eval "$model" --pairs 3x
misused "out of range" eval "$model" --pairs 0
misused "number too long" eval "$model" --prompts 99999999999999999999999
misused "not among the choices" train --positions maybe
misused "flag with a value" predict "$model" --standardize=1
run eval "$model" --task=dense --pairs=2 --prompts=4
ok "--option=value" exits 0

# ----- info, and files that are no model ------------------------------------------------------------

run info "$model"
ok "info: exit 0" exits 0
ok "info: nothing on stderr" silent err
ok "info: inputs" says out '^n_dims  *5$'
ok "info: positions" says out '^positions  *learned$'
ok "info: bytes" says out "^file_bytes  *$(($(wc -c <"$model")))\$"
ok "info: no digest" says out '^digest  *none'
run info "$golden/sinusoidal.safetensors"
ok "info: other positions" says out '^positions  *sinusoidal$'

refuses "no such file" "$t/none" info "$t/none"
refuses "a folder" "$t" info "$t"
: >"$t/empty"
refuses "empty file" 'byte 0' info "$t/empty"
head -c 5000 "$model" >"$t/short"
refuses "half a file" '(byte [0-9]*)$' info "$t/short"
refuses "half a file, predict" '(byte [0-9]*)$' predict "$t/short"
{ cat "$model"; echo; } >"$t/long"
refuses "a byte too many" '(byte [0-9]*)$' info "$t/long"
if [ -c /dev/zero ]; then refuses "endless file" 'icl: /dev/zero' info /dev/zero
else skip "/dev/zero"; fi
mkdir "$t/a name" && cp "$model" "$t/a name/ü.safetensors"
run info "$t/a name/ü.safetensors"
ok "path with a space and UTF-8" exits 0

# ----- predict: rows ------------------------------------------------------------------------------

# The numbers as they are, in the order of the file: what scaling and shuffling do has its own tests.
ask() { run predict "$model" --raw --keep-order "$@"; }

pairs='1,2,3,4,5,0.5\n-1,0,.5,1e-1,2,-3\n'
input "${pairs}0.5,1,1,1,1,?\n1,0,0,0,0,\n"
ask
cp "$t/out" "$t/plain"
ok "predict: exit 0" exits 0
ok "predict: nothing on stderr" silent err
ok "predict: a row for each query" lines 2
ok "predict: inputs and answer" says out '^0\.5,1,1,1,1,-\{0,1\}[0-9.e-]*$'
ask -
ok "predict: - is stdin" same "$t/out" "$t/plain"
cp "$t/in" "$t/file.csv"
ask "$t/file.csv"
ok "predict: a file" same "$t/out" "$t/plain"

input "# a comment\n\n${pairs}  \n0.5,1,1,1,1,?\n#\n 1 ,0,\t0,0,0, \n"
ask
ok "blank lines, comments, blanks around fields" same "$t/out" "$t/plain"
input "$(printf '%s' "${pairs}0.5,1,1,1,1,?\n1,0,0,0,0,\n" | sed 's/\\n/\\r\\n/g')"
ask
ok "CRLF" same "$t/out" "$t/plain"
input "${pairs}0.5,1,1,1,1,?\n1,0,0,0,0,"
ask
ok "no end of the last line" same "$t/out" "$t/plain"
input "\357\273\277${pairs}0.5,1,1,1,1,?\n1,0,0,0,0,\n"
ask
ok "byte order mark" same "$t/out" "$t/plain"
input "a,b,c,d,e,y\n${pairs}0.5,1,1,1,1,?\n1,0,0,0,0,\n"
ask
ok "header is printed again" says out '^a,b,c,d,e,y$'
sed 1d "$t/out" >"$t/rows"
ok "header changes nothing else" same "$t/rows" "$t/plain"
input "${pairs}0.5,1,1,1,1,?\n1,0,0,0,0,\n9,9,9,9,9,9\n"
ask --stream
ok "--stream: pairs below do not matter" same "$t/out" "$t/plain"
input "${pairs}1,0,0,0,0,?\n"
ask --stream
tail -n 1 "$t/plain" >"$t/last"
ok "--stream: queries above do not matter" same "$t/out" "$t/last"

input '1,2,7\n3,4,8\n5,6,?\n'
ask
last_column "$t/out" >"$t/padded"
ok "padding: the row as it was given" says out '^5,6,'
input '1,2,0,0,0,7\n3,4,0,0,0,8\n5,6,0,0,0,?\n'
ask
last_column "$t/out" >"$t/zeros"
ok "padding with zeros" same "$t/padded" "$t/zeros"

input '1,2,3,4,5,6\n1,2,3,4,5,6,7\n'
refuses "too many inputs" 'line 2 ' predict "$model"
input '1,2,3\n\n1,2\n'
refuses "rows of different widths" 'line 3 ' predict "$model"
input '7\n'
refuses "only one field" 'line 1' predict "$model"
input 'x,y\n1,2\n# c\n1,oops\n'
run predict "$model"
ok "bad number: exit 1" exits 1
ok "bad number: line and field" says err 'line 4, field 2'
for bad in 1x x1 0x10 1,5x 1e 1e999 nan NaN inf -infinity '1 2' '--1' '"1"x'; do
  input "1,1\n$(printf '%s' "$bad"),2\n"
  run predict "$unbounded"
  ok "bad number $bad" exits 1
  ok "bad number $bad names its line" says err 'line 2'
done
printf '1,1\n1\0,2\n' >"$t/in"
refuses "NUL byte" 'line 2' predict "$model"
input '1,2\n1,?\n1,2,3,4\n'
ask --stream
ok "--stream: answers above a bad line stand" lines 1
input '1,2\n'
ask
ok "nothing asks: exit 0" exits 0
ok "nothing asks: said on stderr" one_line err
input ''
refuses "no rows" 'no rows' predict "$model"
refuses "predict: no such file" "$t/none" predict "$model" "$t/none"
refuses "predict: a folder" "$t" predict "$model" "$t"

# ----- predict: pairs, scale, surprise --------------------------------------------------------------

rows() {   # rows N: N pairs of an affine function of two inputs
  awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) { x = sin(i); z = cos(3 * i)
    printf "%.6f,%.6f,%.6f\n", x, z, 2 * x - z + 1 } }'
}
{ rows 10; echo '1,1,?'; } >"$t/in"
run predict "$model"
ok "as many pairs as the model takes" exits 0
rows 11 >"$t/in"
refuses "--stream: one pair more" 'line 11' predict "$model" --stream
{ rows 3; echo '1,1,?'; } >"$t/in"
run predict "$model" --pairs 3
ok "--pairs: enough" exits 0
refuses "--pairs: one more" 'line 3' predict "$model" --pairs 2
misused "--pairs: more than the model takes" predict "$model" --pairs 11
{ rows 200; echo '1,1,?'; } >"$t/in"
run predict "$unbounded" --raw
cp "$t/out" "$t/once"
ok "200 pairs without positions" exits 0
rows 200 | awk '{ print } NR % 50 == 7 { print "0,0,?" } END { print "1,1,?" }' >"$t/in"
run predict "$unbounded" --raw --stream
tail -n 1 "$t/out" >"$t/last"
ok "a context that grows says the same" same "$t/last" "$t/once"

{ rows 8; echo '0.3,0.2,?'; } >"$t/in"
run predict "$model" --digits 9
last_column "$t/out" >"$t/a"
awk -F, -v OFS=, '{ y = $3 == "?" ? "?" : 50 * $3 - 700; print 10 * $1 + 3, $2 / 4 - 9, y }' \
  "$t/in" >"$t/scaled" && mv "$t/scaled" "$t/in"
run predict "$model" --standardize --digits 9
last_column "$t/out" >"$t/b"
close() { paste "$t/a" "$t/b" | awk '{ d = $2 - (50 * $1 - 700); exit !(d * d < 1e-3) }'; }
ok "scaled: units do not matter" close
input '2,2,5\n2,3,5\n2,2,?\n'
run predict "$model"
ok "scaled: constant columns" exits 0
input '2,2,?\n2,3,5\n2,3,?\n'
run predict "$model"
ok "scaled: one pair" exits 0
refuses "--stream: no pairs above" 'line 1 ' predict "$model" --stream

input '2,2,5\n1,3,6\n1,2,?\n'
run predict "$model" --surprise
ok "--surprise not available: exit 0" exits 0
ok "--surprise not available: empty column" says out ',$'
ok "--surprise not available: one note" one_line err

# ----- streams ------------------------------------------------------------------------------------

if mkfifo "$t/fifo"; then
  "$icl" predict "$model" --stream <"$t/fifo" >"$t/out" 2>"$t/err" &
  pid=$!
  exec 3>"$t/fifo"
  (printf '1,2,3\n1,2,?\n' >&3) 2>/dev/null      # in a subshell: it dies of a closed pipe
  ok "an answer comes before the input ends" wait_for test -s "$t/out"
  (printf '2,2,?\n' >&3) 2>/dev/null
  exec 3>&-
  wait $pid
  status=$?
  ok "streaming: exit 0" exits 0
  ok "streaming: both answers" lines 2
else
  skip "streaming: no mkfifo"
fi
input '1,2\n2,3\n1,?\n'
"$icl" predict "$model" <&- >"$t/out" 2>"$t/err"
status=$?
ok "stdin closed: exit 1" exits 1
ok "stdin closed: one line" one_line err
"$icl" predict "$model" <"$t/in" >&- 2>"$t/err"
status=$?
ok "stdout closed: exit 1" exits 1
"$icl" predict "$model" <"$t/in" >"$t/out" 2>&-
status=$?
ok "stderr closed: exit 0" exits 0
{ { echo 1,2; yes '1,?'; } 2>/dev/null | "$icl" predict "$model" --stream 2>"$t/err"; echo $? >"$t/status"; } | head -n 1 >"$t/out"
wait_for test -s "$t/status"
status=$(cat "$t/status")
ok "closed pipe: exit 1" exits 1
if [ -c /dev/full ]; then
  for command in "predict $model" "info $model" "eval $model --task dense --prompts 2" \
    "bench --layers 1 --repeat 1 --what append" "--help" "train --help"; do
    $icl $command <"$t/in" >/dev/full 2>"$t/err"
    status=$?
    ok "full disk: exit 1: $command" exits 1
    ok "full disk: one line: $command" one_line err
  done
else
  skip "/dev/full"
fi

# A locale with a decimal comma.  Made here if need be; useless unless it really has the comma.
input "${pairs}0.5,1,1,1,1,?\n1,0,0,0,0,\n"
localedef -i de_DE -f UTF-8 "$t/de_DE.UTF-8" >/dev/null 2>&1 && LOCPATH=$t && export LOCPATH
if [ "$(LC_ALL=de_DE.UTF-8 locale decimal_point 2>/dev/null)" = , ]; then
  LC_ALL=de_DE.UTF-8 "$icl" predict "$model" --raw --keep-order <"$t/in" >"$t/out" 2>"$t/err"
  ok "decimal comma in the locale" same "$t/out" "$t/plain"
else
  skip "no locale with a decimal comma"
fi
unset LOCPATH

# ----- eval ---------------------------------------------------------------------------------------

ask="eval $model --task dense --prompts 40"
run $ask --pairs 5 --baselines ols,knn:3,zero
cp "$t/out" "$t/table"
ok "eval: exit 0" exits 0
ok "eval: nothing on stderr" silent err
ok "eval: header" says out '^k,model,ols,knn:3,zero$'
ok "eval: k from 0 to P - 1" lines 6
knows_nothing() { awk -F, 'NR == 2 { exit !($3 == $5 && $5 > 0.3 && $5 < 3) }' "$t/out"; }
ok "eval: without pairs, baselines say 0" knows_nothing
run $ask --pairs 5 --baselines ols,knn:3,zero --threads 3
ok "eval: the same for any number of threads" same "$t/out" "$t/table"
run $ask --pairs 5 --baselines ols,knn:3,zero --seed 1
ok "eval: another seed, other prompts" eval '! same "$t/out" "$t/table"'
run $ask
ok "eval: all pairs that the model takes" says out '^10,'
run $ask --pairs 3 --median
ok "eval: --median" says out '^k,model,model_median$'
run $ask --pairs 3 --baselines ols --plot "$t/p.svg"
ok "eval: SVG" grep -q '^<svg' "$t/p.svg"
ok "eval: SVG has its labels" grep -q 'pairs in context' "$t/p.svg"
misused "eval: --log-y without --plot" $ask --pairs 3 --log-y
run $ask --pairs 3 --baselines ols --plot "$t/p.png" --log-y
png_ok() { [ "$(head -c 8 "$t/p.png" | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ]; }
if grep -q 'builds with libstb-dev' "$t/err" 2>/dev/null; then skip "eval: PNG, built without libstb-dev"
else ok "eval: PNG" png_ok; fi
run $ask --pairs 3 --holdout 0.2
ok "eval: --holdout without --data" eval 'exits 2 && says err "^icl eval: --holdout is for --data"'
misused "eval: other kind of picture" $ask --plot "$t/p.jpg"
misused "eval: model without a task" eval "$model"
misused "eval: unknown task" eval "$model" --task dens
misused "eval: unknown baseline" $ask --baselines ols,foo
misused "eval: bayes of what has none" eval "$model" --task tree --baselines bayes
misused "eval: more pairs than the model takes" $ask --pairs 12
run $ask --plot "$t/none/p.svg"
ok "eval: picture cannot be written" exits 1
run $ask --pairs 5 --baselines ols,knn:3,zero --last
tail -n 1 "$t/table" > "$t/last"
tail -n 1 "$t/out" > "$t/only"
ok "eval: --last is the last line" eval 'lines 2 && same "$t/last" "$t/only"'
misused "eval: a plot of one point" $ask --last --plot "$t/p.svg"
run $ask --pairs 5 --with "$model" --baselines ols --band
ok "eval: --band" says out '^k,model,.*,ols,model_low,.*,ols_low,model_high,.*,ols_high$'
bands_hold() {   # low <= mean <= high, and the same model twice is the same column twice
  awk -F, 'NR > 1 && !($2 == $3 && $5 <= $2 && $2 <= $8 && $5 < $8 && $7 <= $4 && $4 <= $10) { bad = 1 }
           END { exit bad }' "$t/out"
}
ok "eval: bands hold the means" bands_hold
cp "$t/out" "$t/table"
run $ask --pairs 5 --with "$model" --baselines ols --band --threads 3
ok "eval: bands are the same for any number of threads" same "$t/out" "$t/table"
run eval "$model" --task dense --prompts 40 --with "$t/none" --pairs 3
ok "eval: --with a missing file" exits 1
for shape in quadrants orthogonal overlapping half-subspace skewed; do
  run $ask --pairs 8 --baselines ols --distribution $shape
  cp "$t/out" "$t/$shape"
  run $ask --pairs 8 --baselines ols --distribution $shape --threads 3
  ok "eval: $shape is the same for any number of threads" same "$t/out" "$t/$shape"
done
# columns k, model, ols: what is known of least squares in five inputs
least() { awk -F, -v k=$2 -v from=$3 -v to=$4 '$1 == k && $3 >= from && $3 <= to { ok = 1 } END { exit !ok }' "$t/$1"; }
ok "eval: half-subspace: solved after three pairs" least half-subspace 3 0 1e-6
ok "eval: half-subspace: not before" least half-subspace 2 0.01 9
ok "eval: skewed: solved after five pairs" least skewed 5 0 1e-6
ok "eval: overlapping: known from the first pair on" least overlapping 1 0 1e-6
ok "eval: quadrants: solved after five pairs" least quadrants 5 0 1e-4
ok "eval: orthogonal: nothing to be known" least orthogonal 4 0.3 3
ok "eval: orthogonal: no query from k = d on" says orthogonal '^5,,$'
misused "eval: two distributions" $ask --distribution skewed --x uniform

# ----- repro --------------------------------------------------------------------------------------

run repro list
ok "repro: list has all figures of the paper" eval 'for i in 1 2 3 4 5 6 7 8 9; do says out "^fig$i " || exit 1; done'
ok "repro: list has the recipes" says out '^mix .*0.5\*dense + 0.5\*sparse(nnz=2)$'
ok "repro: what is not in the repository" says out '^two-small .* not kept: '
run repro --list
ok "repro: --list too" says out "^fig9 "
run repro list --scale paper
ok "repro: the paper's recipe" says out '^mix  *12 layers, 8 heads, width 256, 1000000 steps'
misused "repro: unknown figure" repro fig99
refuses "repro: --no-train" "missing or unfinished" repro fig1 --dir "$t/none" --no-train
refuses "repro: no such models at paper scale" "laptop scale only" repro bands --dir "$t/none" --scale paper
mkdir -p "$t/apart/models"
run train --task dense --dims 1 --pairs 17 --steps 2 --tokens apart --positions learned -o "$t/apart/models/line.safetensors"
rm -f "$t/apart/models/line.safetensors.state"
refuses "repro: a model with other tokens" "another recipe" repro fig4 --dir "$t/apart" --no-train
models=$(cd "$(dirname "$0")/.." && pwd)/examples/paper/models
have_models() {
  for m in $("$icl" repro list | sed '1,/^Models/d; / not kept: /d; /[23] kept/ { h; s/ .*/-2/; p; g; }; /3 kept/ { h; s/ .*/-3/; p; g; }; s/ .*//')
  do [ -s "$models/$m.safetensors" ] || return 1; done
}
if have_models; then
  mkdir -p "$t/paper"
  ln -s "$models" "$t/paper/models"
  run repro all --dir "$t/paper" --no-train --prompts 16 --threads 2
  ok "repro: all figures from the models of the repository" exits 0
  ok "repro: a verdict for each" eval '[ "$(grep -c "^measured" "$t/out")" = 21 ]'
  figure_is_whole() {
    for f in csv svg txt; do [ -s "$t/paper/$1.$f" ] || return 1; done
    grep -q '^panel,series,x,y,low,high$' "$t/paper/$1.csv" && grep -q '</svg>' "$t/paper/$1.svg"
  }
  for f in fig1 fig2 fig3 fig4 fig5 fig6 fig7 fig8 fig9 diversity surprise garg-linear garg-sparse garg-relu garg-tree \
           garg-ood raventos noise rare-family garg20 bands; do
    ok "repro: $f" figure_is_whole $f
  done
  cp "$t/paper/fig3.csv" "$t/fig3.csv"
  run repro fig3 --dir "$t/paper" --no-train --prompts 16 --threads 1 --force
  ok "repro: the same for any number of threads" same "$t/paper/fig3.csv" "$t/fig3.csv"
  run repro fig1 --dir "$t/paper" --no-train --prompts 16 --force
  ok "repro: the seeds that are there" says out 'dense only [0-9.]* ([0-9.]* to [0-9.]*)'
  run repro fig1 --dir "$t/paper" --no-train --prompts 16 --force --seeds 1
  ok "repro: --seeds 1" eval 'says out "dense only [0-9.]* / [0-9.]*$" && ! says out " to "'
  refuses "repro: --seeds, where one is not there" "missing or unfinished" \
    repro rare-family --dir "$t/paper" --no-train --prompts 16 --force --seeds 2
  rm "$t/paper/models"
  mkdir "$t/paper/models"
  cp "$models/dense.safetensors" "$t/paper/models/mix-tiny.safetensors"
  refuses "repro: a model of another recipe" "another recipe" repro fig8 --dir "$t/paper" --no-train --force
else
  skip "repro: the figures; examples/paper/models is not complete"
fi

# ----- train --------------------------------------------------------------------------------------

small="train --task dense --dims 2 --pairs 6 --layers 1 --heads 2 --width 16 --batch 8 --seed 7 --schedule constant --lr 0.001"
run $small --steps 60 -o "$t/m"
ok "train: exit 0" exits 0
ok "train: nothing on stdout" silent out
ok "train: the last step" says err 'step 60/60'
run info "$t/m"
ok "train: digest" says out '^digest  *verified$'
ok "train: task" says out '^task  *dense$'

for dtype in f16 bf16 i8; do
  input ''
  run quantize "$t/m" -o "$t/q-$dtype" --dtype $dtype
  ok "quantize $dtype: exit 0" exits 0
  ok "quantize $dtype: nothing on stdout" silent out
  ok "quantize $dtype: says how large" says err " $(wc -c <"$t/q-$dtype") bytes\$"
  ok "quantize $dtype: smaller" test "$(wc -c <"$t/q-$dtype")" -lt "$(wc -c <"$t/m")"
  run info "$t/q-$dtype"
  ok "quantize $dtype: info" says out "^weights  *$dtype\$"
  ok "quantize $dtype: digest" says out '^digest  *verified$'
  ok "quantize $dtype: task" says out '^task  *dense$'
  input '1,2,3\n2,1,3\n1,2,?\n'
  run predict "$t/q-$dtype" --surprise
  ok "quantize $dtype: predicts, with surprise" says out '^1,2,[-0-9.e]*,[-0-9.e]*$'
done
input ''
run quantize "$t/m" --typical 100 -o "$t/q-typical"
ok "quantize --typical: exit 0" exits 0
ok "quantize --typical: all weights in f32" test "$(wc -c <"$t/q-typical")" -gt "$(wc -c <"$t/q-f16")"
ok "quantize --typical: other figures" sh -c "! cmp -s '$t/m' '$t/q-typical'"
input '1,2,3\n2,1,3\n1,2,?\n'
run predict "$t/m"
cp "$t/out" "$t/before"
run predict "$t/q-typical"
ok "quantize --typical: the same predictions" same "$t/before" "$t/out"
cp "$t/q-i8" "$t/quant"
input ''
refuses "quantize: output exists" "$t/quant: is there already" quantize "$t/m" -o "$t/quant" --dtype f16
ok "quantize: and it is as it was" same "$t/q-i8" "$t/quant"
run quantize "$t/m" -o "$t/quant" --dtype f16 --force
ok "quantize --force: exit 0" exits 0
ok "quantize --force: the same file again" same "$t/q-f16" "$t/quant"
ok "quantize: no other file left" test ! -e "$t/quant.tmp"
refuses "quantize: no folder" "$t/none/quant" quantize "$t/m" -o "$t/none/quant" --dtype i8
refuses "quantize: no model" "$t/none" quantize "$t/none" -o "$t/r" --dtype i8
run quantize "$t/m" --dtype i8 --kv i8 --prompts 3 --pairs 5
ok "quantize: curves" exits 0
ok "quantize: header of the curves" says out '^k,model,quantized$'
ok "quantize: a line for each k" lines 6
run quantize "$t/m" --prompts 3 --pairs 5
ok "quantize: nothing chosen, nothing changed" sh -c "awk -F, 'NR > 1 && \$2 != \$3 { bad = 1 } END { exit bad }' '$t/out'"
run eval "$t/m" --prompts 3 --pairs 5
cp "$t/out" "$t/eval"
run quantize "$t/m" --prompts 3 --pairs 5
ok "quantize: the errors of eval" sh -c "paste -d, '$t/eval' '$t/out' |
  awk -F, 'NR > 1 { d = \$2 - \$4; if (d * d > 1e-8) bad = 1 } END { exit bad || NR != 6 }'"
run quantize "$t/m" --dtype i8 --prompts 3 --pairs 5
cp "$t/out" "$t/curves"
run eval "$t/q-i8" --prompts 3 --pairs 5
ok "quantize: the errors of eval on what was written" sh -c "paste -d, '$t/curves' '$t/out' |
  awk -F, 'NR > 1 { d = \$3 - \$5; if (d * d > 1e-8 || \$2 == \$3) bad = 1 }
           END { exit bad || NR != 6 }'"
input '1,2,3\n2,1,4\n1,2,?\n'
for kv in f16 bf16 i8; do
  run predict "$t/m" --digits 9 --kv $kv
  ok "predict --kv $kv: exit 0" exits 0
  cp "$t/out" "$t/kv-$kv"
done
run predict "$t/m" --digits 9
ok "predict: --kv f16 is another answer" sh -c "! cmp -s '$t/out' '$t/kv-f16'"
ok "predict: and near" sh -c "paste -d, '$t/out' '$t/kv-f16' '$t/kv-i8' |
  awk -F, '{ exit (\$3 - \$6)^2 > 1e-4 || (\$3 - \$9)^2 > 1e-2 }'"

input '1,2,3\n1,2,?\n'
run predict "$t/m" --surprise
ok "train: predicts, with surprise" says out '^1,2,[-0-9.e]*,[-0-9.e]*$'
run eval "$t/m" --prompts 4
ok "train: eval knows the task" exits 0
refuses "train: does not overwrite" 'is there already' $small --steps 60 -o "$t/m"
run $small --steps 60 -o "$t/m" --force
ok "train: --force" exits 0
run $small --steps 60 -o "$t/m3" --threads 3
ok "train: the same for any number of threads" same "$t/m" "$t/m3"
run $small --steps 60 -o "$t/m5" --schedule linear --warmup 30
run $small --steps 60 -o "$t/m6" --schedule cosine --warmup 30
ok "train: --schedule linear is not cosine" eval 'exits 0 && ! same "$t/m5" "$t/m6"'
run $small --steps 60 -o "$t/m4" --lr 0.01
ok "train: options matter" eval '! same "$t/m" "$t/m4"'
refuses "train --from: no model" "$t/none" train --from "$t/none" --task dense --pairs 6 --steps 1 -o "$t/f"
for o in '--layers 1' '--heads 1' '--width 8' '--positions none' '--n-positions 20' '--activation relu' \
    '--n-out 1' '--layer-norm-epsilon 1e-5' '--init-sd 0.1' '--dims 99'; do
  misused "train --from: $o" train --from "$t/m" $o --task dense --pairs 6 --steps 1 -o "$t/f"
done
misused "train --from: fewer positions than tokens" train --from "$t/m" --task dense --pairs 99 --steps 1 -o "$t/f"
run train --from "$t/m" --task 'sparse(nnz=1)' --pairs 6 --steps 3 --batch 4 -o "$t/f"
ok "train --from: exit 0" exits 0
run info "$t/f"
ok "train --from: the other model's shape" says out '^n_layer  *1$'
ok "train --from: the task of its own" says out '^task  *sparse(nnz=1)$'
misused "train: no task" train --dims 2 --pairs 3 --steps 1 -o "$t/q"
misused "train: no output" train --task dense --dims 2 --pairs 3 --steps 1
misused "train: unknown task" train --task dens --dims 2 --pairs 3 --steps 1 -o "$t/q"
misused "train: heads" $small --steps 1 -o "$t/q" --heads 3
misused "train: --lr-end without a schedule that ends" $small --steps 1 -o "$t/q" --lr-end 0.1
misused "train: operand" $small --steps 1 -o "$t/q" more
ok "train: bad usage writes nothing" test ! -e "$t/q"
run $small --steps 1 -o "$t/none/q"
ok "train: no such folder" exits 1
run $small --steps 30 -o "$t/part"
run $small --steps 60 -o "$t/part" --resume
ok "train: longer with --resume" same "$t/part" "$t/m"
run $small --steps 60 -o "$t/part" --resume --lr 0.02
ok "train: --resume with other options" exits 1
head -c 300 "$t/part.state" >"$t/half" && cp "$t/half" "$t/part.state"
run $small --steps 60 -o "$t/part" --resume
ok "train: damaged state" exits 1
run $small --steps 60 -o "$t/fresh" --resume
ok "train: --resume without a state starts" same "$t/fresh" "$t/m"

# In the background, a shell without job control has SIGINT ignored; the command takes it anyway.
long="$small --batch 16 --steps 4000 --save-every 50"
run $long -o "$t/whole"
for signal in KILL INT TERM; do
  for try in 1 2; do
    rm -f "$t/$signal" "$t/$signal.state"
    "$icl" $long -o "$t/$signal" >"$t/out" 2>"$t/err" &
    pid=$!
    wait_for test -e "$t/$signal.state"
    if ! kill -$signal $pid 2>/dev/null; then
      wait $pid
      skip "SIG$signal: training was faster than its killer"
      continue
    fi
    wait $pid 2>/dev/null
    status=$?
    ok "SIG$signal: nothing on stdout" silent out
    if [ $signal = KILL ]; then ok "SIGKILL: no model yet" test ! -e "$t/$signal"
    else ok "SIG$signal: exit 130" exits 130; fi
    run $long -o "$t/$signal" --resume
    ok "SIG$signal: --resume: exit 0" exits 0
    ok "SIG$signal: --resume: the same bytes" same "$t/$signal" "$t/whole"
  done
done
leftovers() { ls "$t" | grep -q '^[mIT].*tmp'; }
ok "train: orderly ends leave no temporary files" eval '! leftovers'

# ----- files that are written ---------------------------------------------------------------------

# All commands write alike: not over what is there, unless --force, and never over what they read.
cp "$t/m" "$t/copy"
printf 'precious\n' >"$t/precious"
for write in "embed $t/m -o" "quantize $t/m --dtype i8 -o" "$small --steps 2 -o" \
  "eval $t/m --prompts 2 --pairs 3 --plot"; do
  ending= ; case $write in *plot) ending=.svg ;; esac
  cp "$t/precious" "$t/there$ending"
  refuses "overwriting: $write" 'is there already: .*--force' $write "$t/there$ending"
  ok "overwriting: nothing happened: $write" same "$t/there$ending" "$t/precious"
  chmod 600 "$t/there$ending"
  ln -sf "there$ending" "$t/link$ending"
  run $write "$t/link$ending" --force
  ok "overwriting: --force: $write" exits 0
  ok "overwriting: through a link: $write" test -L "$t/link$ending"
  ok "overwriting: something new: $write" eval '! same "$t/there$ending" "$t/precious"'
  ok "overwriting: permissions: $write" sh -c "ls -l '$t/there$ending' | grep -q '^-rw-------'"
  rm -f "$t"/there* "$t"/link*
  if mkfifo "$t/pipe$ending" 2>/dev/null; then
    run $write "$t/pipe$ending" --force
    ok "a pipe is no output: exit 1: $write" exits 1
    ok "a pipe is no output: it stays: $write" test -p "$t/pipe$ending"
    rm -f "$t/pipe$ending" "$t"/pipe*
  fi
done
misused "embed onto its input" embed "$t/copy" -o "$t/copy" --force
misused "quantize onto its input" quantize "$t/copy" --dtype i8 -o "$t/copy" --force
ln "$t/copy" "$t/hard"
misused "quantize onto its input, by another name" quantize "$t/copy" --dtype i8 -o "$t/hard" --force
for how in --force --resume; do
  misused "train onto what it starts from $how" train --from "$t/copy" --task dense --pairs 6 --steps 2 \
    -o "$t/copy" $how
done
ok "the input is as it was" same "$t/copy" "$t/m"
ok "no state was begun" test ! -e "$t/copy.state"
mkdir "$t/sub"
for o in "$t/sub" "$t/sub/" "$t/none/q"; do
  for how in '' --force; do
    run $small --steps 2 -o "$o" $how
    ok "train -o '$o' $how: exit 1" exits 1
    ok "train -o '$o' $how: before training" eval '! says err step'
  done
done
misused "train -o ''" $small --steps 2 -o ''
ok "no files beside bad names" sh -c "! ls -a '$t' '$t/sub' | grep -e '^\\.[a-z]' -e '^sub\\.'"
[ ! -c /dev/null ] || { run $small --steps 2 -o /dev/null --force; ok "train -o /dev/null" exits 1; }
ok "/dev/null is what it was" test -c /dev/null

# A symbolic link of the old temporary name is followed by nobody.
printf 'precious\n' >"$t/victim"
ln -s victim "$t/small.tmp"
run quantize "$t/m" --dtype i8 -o "$t/small"
ok "quantize: exit 0" exits 0
ok "quantize: a link beside it is left alone" same "$t/victim" "$t/precious"

# Names in C
name_is() { run embed "$1"; ok "embed: $1: $2" says out "^static const size_t $2_size = "; }
mkdir "$t/names"
for f in '2 models-v1.0.safetensors' '__x__.safetensors' 'a--b.safetensors' 'mödel.safetensors' '.hidden' '-.st'; do
  cp "$t/m" "$t/names/$f"
done
name_is "$t/names/2 models-v1.0.safetensors" model_2_models_v1_0_model
name_is "$t/names/__x__.safetensors" x_model
name_is "$t/names/a--b.safetensors" a_b_model
name_is "$t/names/mödel.safetensors" m_del_model
name_is "$t/names/.hidden" hidden_model
name_is "$t/names/-.st" model
for bad in '' 9x 'a b' x-y while class __x _X a__b ü 'a;b'; do
  misused "embed --name '$bad'" embed "$t/m" --name "$bad"
done
run embed "$t/m" --name good_1 -o "$t/good.h"
ok "embed --name" exits 0
if cc=$(command -v cc); then
  printf '#include "good.h"\n#include "good.h"\nunsigned f(void) { return good_1[0] + (unsigned)good_1_size; }\n' >"$t/good.c"
  ok "embed: included twice" $cc -Wall -Werror -c "$t/good.c" -o "$t/good.o"
else
  skip "embed: no cc"
fi

# ----- what a state says ----------------------------------------------------------------------------

run $small --steps 60 -o "$t/say"
refuses_state() {   # refuses_state TEXT OPTIONS...
  text=$1
  shift
  run $small --steps 60 -o "$t/say" --resume "$@"
  ok "--resume $*: exit 1" exits 1
  ok "--resume $*: says $text" says err "say.state: $text\$"
}
refuses_state 'lr was 0.001, is 0.002' --lr 0.002
refuses_state 'batch was 8, is 9; beta1 was 0.9, is 0' --batch 9 --beta1 0
refuses_state 'task was dense, is sine(norm=0)' --task sine
run $small --steps 60 -o "$t/say" --resume
ok "--resume of a run that is done: exit 0" exits 0
ok "--resume of a run that is done: nothing was trained" says err 'all 60 steps were done before: nothing was trained'

# ----- numbers, names and limits ---------------------------------------------------------------------

for n in 60 6e1 0.06k 60.0 0.6e2; do
  run $small --steps $n -o "$t/n" --force
  ok "--steps $n" same "$t/n" "$t/say"
done
for n in 6.5 1e99 -3 60K k 6ek 0x3c ' 60' 1e-3 nan; do misused "--steps '$n'" $small --steps "$n" -o "$t/n9"; done
misused "--seed 1e3: digits only" $small --steps 1 --seed 1e3 -o "$t/n9"
for o in '--lr 11:lr must be above 0 and below 10, not 11' '--lr 10:lr must be above 0 and below 10, not 10' \
  '--lr 0:lr must be above 0' '--epsilon 1:epsilon must be' '--init-sd 10:init_sd must be' '--beta1 1:beta1 must be' \
  '--batch 0:batch must be from 1 to' '--threads 0:threads must be from 1 to' '--clip -1:clip must be' \
  '--hint -1:hint must be finite and at least 0, not -1' \
  "--hint 1:must be from 1 to below n_layer: 'hint_layer'"; do
  misused "${o%%:*}" $small --steps 2 -o "$t/n9" ${o%%:*}
  ok "${o%%:*}: says the range" says err "${o#*:}"
done
run $small --steps 2 -o "$t/n9" --optimizer muon --momentum 0 --beta1 0 --beta2 0
ok "zeros that are meant" exits 0
misused "mistyped command" trian
ok "mistyped command: a hint" says err 'perhaps train '
misused "mistyped option" eval "$t/m" --promts 3
ok "mistyped option: a hint" says err 'perhaps --prompts '
misused "mistyped option with a value" $small --stpes=3 -o "$t/n10"
ok "mistyped option with a value: a hint" says err 'perhaps --steps '
misused "nothing like an option" eval "$t/m" --zzzzzzzz
ok "nothing like an option: no hint" eval '! says err perhaps'
for command in '' info train embed; do
  run $command --help
  cp "$t/out" "$t/help"
  run $command -h
  ok "-h of '$command'" same "$t/out" "$t/help"
  run help $command
  ok "help $command" eval 'exits 0 && same "$t/out" "$t/help"'
done
misused "help of nothing" help bogus
misused "help of two" help info train
if command -v taskset >/dev/null && taskset -c 0 true 2>/dev/null; then
  taskset -c 0 "$icl" $small --steps 1 -o "$t/one" 2>"$t/err"
  ok "threads: as many as the affinity leaves" says err ', 1 thread$'
else
  skip "taskset"
fi
refuses "message: a path is said once" "^icl: $t/none: cannot open: No such file or directory\$" info "$t/none"

# ----- the log of a run ------------------------------------------------------------------------------

columns='step,loss,grad_norm,lr,dims,pairs,skipped,tokens_per_s,seconds,eval,eval_last'
run $small --steps 20 -o "$t/whole-log" --log "$t/whole.csv" --eval-every 8 --eval-prompts 16
ok "train --log: exit 0" exits 0
ok "train --eval-every: said" says err '^step 16  error on new prompts [0-9.e-]*, [0-9.e-]* with 5 pairs$'
ok "train --log: its columns" eval '[ "$(head -n 1 "$t/whole.csv")" = "$columns" ]'
ok "train --log: a row for each step" eval '[ "$(sed 1d "$t/whole.csv" | cut -d, -f1 | tr "\n" " ")" = "$(seq -s " " 20) " ]'
ok "train --log: what was evaluated" eval \
  '[ "$(awk -F, "NR > 1 && \$10 > 0 && \$11 > 0 { print \$1 }" "$t/whole.csv" | tr "\n" " ")" = "8 16 20 " ]'
run $small --steps 20 -o "$t/other-log" --threads 2
ok "train --log: changes nothing" same "$t/whole-log" "$t/other-log"
run eval "$t/whole-log" --prompts 16 --seed 1000007 --pairs 6 --last
ok "train --eval-every: the prompts of eval" eval \
  '[ "$(awk -F, "END { printf \"%.4f\", \$2 }" "$t/out")" = "$(awk -F, "END { printf \"%.4f\", \$11 }" "$t/whole.csv")" ]'
# Rows of steps that the state does not have are dropped by --resume, and no other ones.
run $small --steps 12 -o "$t/part-log" --log "$t/part.csv" --eval-every 8 --eval-prompts 16
printf '13,9,9,9,2,6,0,1,99,,\n14,9' >>"$t/part.csv"
run $small --steps 20 -o "$t/part-log" --log "$t/part.csv" --eval-every 8 --eval-prompts 16 --resume
ok "train --log --resume: exit 0" exits 0
of_run() { cut -d, -f1-7 "$1" | sed 's/$/./'; }
of_run "$t/part.csv" >"$t/a"
of_run "$t/whole.csv" >"$t/b"
ok "train --log --resume: the rows of a whole run" same "$t/a" "$t/b"
ok "train --log --resume: seconds go on" sh -c "sed 1d '$t/part.csv' | cut -d, -f9 | sort -n -c"
refuses "train --log: does not overwrite" 'is there already' $small --steps 2 -o "$t/new-log" --log "$t/part.csv"
echo precious >"$t/mine.csv"
refuses_log() { run $small --steps 25 -o "$t/part-log" --resume --log "$t/mine.csv"; ok "train --log: of something else" exits 1; }
refuses_log
ok "train --log: which stays" eval '[ "$(cat "$t/mine.csv")" = precious ]'
misused "train --log onto OUT" $small --steps 2 -o "$t/new-log" --log "$t/new-log"
run $small --steps 20 -o "$t/few-log" --log "$t/few.csv" --log-every 7
ok "train --log --log-every" eval '[ "$(sed 1d "$t/few.csv" | cut -d, -f1 | tr "\n" " ")" = "7 14 20 " ]'
if [ -c /dev/full ]; then
  ln -s /dev/full "$t/full.csv"
  run $small --steps 20 -o "$t/full-log" --log "$t/full.csv" --force
  ok "train --log: a device is refused" exits 1
fi
# ----- defaults, recipes, options in a file ----------------------------------------------------------

tiny="--task dense --dims 3 --pairs 11 --layers 1 --width 16 --seed 3"
run train $tiny --steps 40 -o "$t/p11"
ok "train: the fewest options" exits 0
run eval "$t/p11" --pairs 11 --prompts 8
ok "eval: the --pairs of train" eval 'exits 0 && lines 12 && says out "^0," && says out "^10,"'
cp "$t/out" "$t/p11.csv"
run eval "$t/p11" --prompts 8
ok "eval: and without it" same "$t/out" "$t/p11.csv"
run quantize "$t/p11" --prompts 2 --pairs 11
ok "quantize: the --pairs of train" eval 'exits 0 && lines 12 && says out "^10,"'
run train $tiny --pairs 1 --steps 2 -o "$t/p1"
run eval "$t/p1" --prompts 8
ok "eval: prompts of one pair" eval 'exits 0 && lines 2'
misused "quantize: prompts of one pair" quantize "$t/p1" --prompts 2
run info "$t/p11"
ok "recipe laptop: Muon, cosine, 1 / sqrt(width)" says out \
  '^recipe  *steps=40 batch=64 pairs=11 optimizer=muon lr=.* schedule=cosine warmup=2 init_sd=0.25 seed=3$'
ok "recipe laptop: joint tokens" says out '^tokens  *joint$'
run train $tiny --layers 3 --steps 4 --hint 0.5 -o "$t/hint"
run info "$t/hint"
ok "--hint: the recipe says it" says out ' seed=3 hint=0.5 hint_layer=2$'
cp "$t/hint" "$t/hint1"
run train "@$t/hint.config" -o "$t/hint" --force
ok "--hint: again from its .config" same "$t/hint" "$t/hint1"
run train $tiny --layers 3 --steps 4 --hint 0.5 --hint-layer 1 -o "$t/hint" --resume
ok "--hint-layer: another run" eval 'exits 1 && says err "hint_layer was 2, is 1"'
misused "--hint of scaled prompts" train $tiny --layers 3 --steps 4 --hint 0.5 --standardize -o "$t/hint9"
run train $tiny --recipe garg --heads 2 --steps 2 --width 32 -o "$t/garg"
run info "$t/garg"
ok "recipe garg" says out 'batch=64 pairs=11 optimizer=adam lr=0.0001 schedule=constant warmup=0 init_sd=0.02 '
ok "recipe garg: tokens apart" says out '^tokens  *apart$'
run train $tiny --recipe yadlowsky --heads 2 --steps 1 --batch 2 -o "$t/yad"
run info "$t/yad"
ok "recipe yadlowsky" says out 'batch=2 pairs=11 optimizer=adam lr=.* schedule=inverse-sqrt warmup=5000 init_sd=0.02 '
ok "recipe yadlowsky: its shape" eval 'says out "^positions  *sinusoidal$" && says out "^activation  *relu$"'
misused "no such recipe" train $tiny --recipe sgd -o "$t/no"
run train @"$t/p11.config" -o "$t/again"
ok "@OUT.config: the same run" eval 'exits 0 && same "$t/again" "$t/p11"'
run train --config "$t/p11.config" --force --seed 4 -o "$t/again"
ok "--config: the line wins" eval 'exits 0 && ! same "$t/again" "$t/p11"'
run train --seed 3 --config="$t/p11.config" --force -o "$t/again"
ok "--config=: in any order" eval 'exits 0 && same "$t/again" "$t/p11"'
(cd "$t" && "$icl" train --task dense --dims 1 --pairs 3 --steps 1 --width 8 --heads 1 --layers 1 -o @m.safetensors) >"$t/out" 2>"$t/err"
ok "a value that begins with @ names no options" test -s "$t/@m.safetensors"
printf '# mine\n\n--task  dense\ndims=3\npairs 11\nstepz 3\n' >"$t/mine.config"
refuses "config: a line that is none" "line 6: no option 'stepz'" train @"$t/mine.config" -o "$t/no"
printf 'keep-best yes\n' >"$t/mine.config"
refuses "config: a flag with a value" 'line 1: --keep-best wants no value' train @"$t/mine.config" -o "$t/no"
refuses "config: no such file" "$t/none" train @"$t/none" -o "$t/no"
echo precious >"$t/kept.config"
refuses "config: somebody's file" 'is there already' train $tiny --steps 1 -o "$t/kept"
ok "config: which stays" eval '[ "$(cat "$t/kept.config")" = precious ] && [ ! -e "$t/kept" ]'
for o in '--tokens apart' '--quantiles 0.1,0.9' '--positions none'; do
  misused "train --from: $o" train --from "$t/p11" $o --task dense --pairs 6 --steps 1 -o "$t/no"
  ok "train --from: $o: says it" says err "${o%% *} and --from contradict each other"
done

# ----- the best of a run, and when it ends -----------------------------------------------------------

best="train $tiny --steps 60 --lr 0.02 --eval-every 5 --eval-prompts 64"
run $best -o "$t/best" --keep-best --log "$t/best.csv" --log-every 100
ok "--keep-best: exit 0" exits 0
least() { sed 1d "$1" | cut -d, -f2 | sort -g | head -n 1; }
mean_of() { run eval "$1" --prompts 64 --seed 1000003; awk -F, 'NR > 1 { s += $2; n++ } END { printf "%.6f", s / n }' "$t/out"; }
ok "--keep-best: OUT is the best of the evaluations" eval \
  '[ "$(mean_of "$t/best")" = "$(printf %.6f "$(least "$t/best.evals.csv")")" ]'
ok "--keep-best: twelve of them" eval '[ "$(wc -l <"$t/best.evals.csv")" -eq 13 ]'
run $best --eval-prompts 8 -o "$t/best" --keep-best --resume
ok "--keep-best: goes on with as many prompts" eval 'exits 1 && says err "eval-prompts 64 goes on with it"'
echo mine >"$t/hist.evals.csv"
refuses "--keep-best: OUT.evals.csv of others" 'is there already, and no file of icl train' $best -o "$t/hist" --keep-best
ok "--keep-best: which stays" eval '[ "$(cat "$t/hist.evals.csv")" = mine ]'
run $best -o "$t/patient" --patience 1 --schedule constant --lr 0.3
ok "--patience: ends early" eval 'exits 0 && says err "^--patience ended it after step [0-9]*$"'
cp "$t/patient" "$t/copy"
run $best -o "$t/patient" --patience 1 --schedule constant --lr 0.3 --resume
ok "--patience: and stays ended" eval 'exits 0 && says err "nothing was trained" && same "$t/patient" "$t/copy"'
run $best -o "$t/aim" --target 100
ok "--target: ends at the first evaluation" says err '^--target ended it after step 5$'
cp "$t/aim" "$t/copy"
cp "$t/best" "$t/aim"
run $best -o "$t/aim" --target 100 --resume
ok "--target: goes on from there: OUT again" eval 'exits 0 && says err "nothing was trained" && same "$t/aim" "$t/copy"'
rm "$t/aim" "$t/aim.state"
run $best -o "$t/aim" --target 1e-9 --eval-every 30 --resume
ok "--resume, nothing to go on from: a history of its own" eval '[ "$(wc -l <"$t/aim.evals.csv")" -eq 3 ]'
run $best -o "$t/aim2" --minutes 1e-6
ok "--minutes: ends" eval 'exits 0 && says err "^--minutes ended it after step 1$"'
run $best -o "$t/aim2" --resume
run $best -o "$t/whole2"
ok "--minutes: and goes on to the same bits" same "$t/aim2" "$t/whole2"
run $best -o "$t/part2" --keep-best --minutes 1e-6
run $best -o "$t/part2" --keep-best --resume
ok "--keep-best: stopped and resumed, the same bits" same "$t/part2" "$t/best"
run $best -o "$t/ema" --ema 0.9
ok "--ema: other weights" eval 'exits 0 && ! same "$t/ema" "$t/whole2"'
run $best -o "$t/ema2" --ema 0.9 --minutes 1e-6
run $best -o "$t/ema2" --ema 0.9 --resume
ok "--ema: stopped and resumed, the same bits" same "$t/ema2" "$t/ema"
run $best -o "$t/ema2" --ema 0.99 --resume
ok "--ema: another one is another run" says err 'ema was 0.9, is 0.99$'
run $best --recipe garg --pairs 41 --pairs-add 3 --settings -o "$t/no"
ok "--pairs-add: beside a recipe's curriculum" says out '^pairs-add  *3$'
misused "--ema: 1" $best -o "$t/no" --ema 1
run $best -o "$t/s.safetensors" --seeds 2
ok "--seeds: header" says out '^k,mean,min,max,seed_3,seed_4$'
ok "--seeds: a row for each k" lines 12
ok "--seeds: the same in a file" same "$t/out" "$t/s.seeds.csv"
ok "--seeds: mean, min and max" eval "awk -F, 'NR > 1 && ((\$2 - (\$5 + \$6) / 2) ^ 2 > 1e-12 || \$3 > \$5 ||
  \$4 < \$6 || \$3 != (\$5 < \$6 ? \$5 : \$6)) { bad = 1 } END { exit bad }' '$t/out'"
touch "$t/l-4.safetensors"
refuses "--seeds: a later OUT that is there" 'l-4.safetensors: is there already' $best -o "$t/l.safetensors" --seeds 2
ok "--seeds: ... is told at once" eval '! [ -e "$t/l-3.safetensors.state" ]'
run $best -o "$t/k.safetensors" --seeds 2 --keep-best
run train @"$t/k-4.safetensors.config" -o "$t/k4"
ok "--seeds: a configuration makes its model" eval 'exits 0 && same "$t/k4" "$t/k-4.safetensors"'
for f in "" .state .config .evals.csv; do
  misused "--log: OUT$f" $best -o "$t/own_log" --keep-best --log "$t/./own_log$f"
done
run train $tiny --steps 1 --seed 123456789 -o "$t/seed"
run info "$t/seed"
ok "info: the seed, whole" says out 'seed=123456789$'
ok "--seeds: the models of their seeds" eval 'same "$t/s-3.safetensors" "$t/whole2" && [ -e "$t/s-4.safetensors" ]'

# ----- functions of one's own ------------------------------------------------------------------------

# 40 lines a x + b in raw units, their rows mixed; 12 rows each
awk 'BEGIN { srand(1); print "id,x,y"
  for (f = 0; f < 40; f++) { a[f] = 4 * rand() - 2; b[f] = 100 * rand() }
  for (i = 0; i < 12; i++) for (f = 0; f < 40; f++) { x = 50 * rand(); printf "line%d,%.6g,%.6g\n", f, x, a[f] * x + b[f] } }' \
  >"$t/lines.csv"
own="train --data $t/lines.csv --steps 300 --width 32 --layers 2 --batch 32 --eval-every 100"
run $own -o "$t/own"
ok "--data: exit 0" exits 0
ok "--data: says the split" says err '^40 functions, 4 of them held out$'
ok "--data: measures what was held out" says err '^step 300  error on functions held out '
run info "$t/own"
ok "--data: d and P from the file" eval 'says out "^n_dims  *1$" && says out "pairs=12 .*prompts=own"'
ok "--data: surprise" says out '^surprise  *available$'
ok "--data: no task" eval '! says out "^task  *[a-z]"'
run eval "$t/own" --data "$t/lines.csv" --baselines ols,zero --prompts 200
ok "eval --data: exit 0" exits 0
ok "eval --data: lines are learned" eval "awk -F, 'END { exit !(\$2 < 0.3 * \$4) }' '$t/out'"
cp "$t/out" "$t/held"
run eval "$t/own" --data "$t/lines.csv" --baselines ols,zero --prompts 200 --threads 3
ok "eval --data: the same for any number of threads" same "$t/out" "$t/held"
run eval "$t/own" --data "$t/lines.csv" --baselines ols,zero --prompts 200 --holdout 1
ok "eval --data --holdout 1: all functions" eval 'exits 0 && ! same "$t/out" "$t/held"'
misused "eval: a model that has no task" eval "$t/own"
misused "eval --data: --task" eval "$t/own" --data "$t/lines.csv" --task dense
run eval "$t/own" --data "$t/lines.csv" --baselines bayes
ok "eval --data: no bayes" eval 'exits 2 && says err "bayes wants a --task"'
run $own -o "$t/own3" --threads 3
ok "--data: the same for any number of threads" same "$t/own3" "$t/own"
run $own -o "$t/own4" --minutes 1e-6
run $own -o "$t/own4" --resume
ok "--data: stopped and resumed, the same bits" same "$t/own4" "$t/own"
sed 's/^line7,/line70,/' "$t/lines.csv" >"$t/other.csv"
run train --data "$t/other.csv" --steps 300 --width 32 --layers 2 --batch 32 -o "$t/own4" --resume
ok "--data: other data are another run" eval 'exits 1 && says err "data was [0-9]*, is [0-9]*"'
{ echo '# measured'
  sed 's/,/;/g; s/[.]/,/g; s/^\(line[0-9]*\)/"\1"/; 2,9s/$/;/' "$t/lines.csv"; } >"$t/semicolons.csv"
for f in lines semicolons; do
  run train --data "$t/$f.csv" --steps 2 --width 16 --layers 1 --heads 2 --batch 8 -o "$t/of_$f"
  ok "--data: $f" exits 0
done
ok "--data: CSV as people write it" same "$t/of_lines" "$t/of_semicolons"
misused "--data and --task" train --data "$t/lines.csv" --task dense -o "$t/no"
misused "--data and --dims" train --data "$t/lines.csv" --dims 2 -o "$t/no"
misused "--data and --x" train --data "$t/lines.csv" --x data -o "$t/no"
run train --task dense --dims 1 --pairs 4 --steps 1 --holdout 0.2 -o "$t/no"
ok "--holdout without --data" eval 'exits 2 && says err "^icl train: --holdout is for --data"'
run train --data "$t/lines.csv" --raw --standardize -o "$t/no"
ok "--raw and --standardize" eval 'exits 2 && says err "contradict each other"'
cp "$t/lines.csv" "$t/copy.csv"
run train --data "$t/copy.csv" -o "$t/copy.csv" --force
ok "--data: it is OUT" eval 'exits 2 && says err "is what is read"'
run train --data "$t/copy.csv" -o "$t/no" --log "$t/copy.csv" --force
ok "--data: it is the log" eval 'exits 2 && says err "is what is read"'
for f in .state .config .evals.csv; do
  cp "$t/lines.csv" "$t/beside$f"
  run train --data "$t/beside$f" -o "$t/beside" --keep-best --force
  ok "--data: it is OUT$f" eval 'exits 2 && says err "is what is read" && same "$t/beside$f" "$t/lines.csv"'
  rm "$t/beside$f"
done
ok "--data: which stays" same "$t/copy.csv" "$t/lines.csv"
awk -F, 'NR > 1 { $0 = sprintf("%s,%s,%.9g", $1, $2, $3 * 1e-20) } 1' "$t/lines.csv" >"$t/small.csv"
run train --data "$t/small.csv" --pairs 6 --steps 2 --width 16 --layers 1 --heads 2 --batch 8 --eval-every 2 \
  -o "$t/tiny_y" --log "$t/small.log"
ok "--data: small numbers are numbers too" eval "awk -F, 'END { exit !(\$10 > 0.05) }' '$t/small.log'"
misused "--data: nothing to evaluate on" train --data "$t/lines.csv" --holdout 0 --keep-best -o "$t/no"
refuses "--data: more pairs than rows" 'a function has 12 rows, and prompts have 13 pairs' \
  train --data "$t/lines.csv" --pairs 13 -o "$t/no"
printf 'a,1,2\na,1,x\n' >"$t/bad.csv"
refuses "--data: no number" "line 2, column 3: 'x' is not a finite number" train --data "$t/bad.csv" -o "$t/no"
printf 'a,NA,2\na,1,2\n' >"$t/bad.csv"
refuses "--data: no number in the first line" "line 1, column 2: 'NA'" train --data "$t/bad.csv" -o "$t/no"
printf 'a,1,2\na,1\n' >"$t/bad.csv"
refuses "--data: a short line" 'line 2: 2 fields, and a row of this file has 3: function_id, 1 input, y' train --data "$t/bad.csv" -o "$t/no"
printf 'a,"1,5",2\na,1,2\n' >"$t/bad.csv"
refuses "--data: a first row that is no header" "line 1, column 2: '1,5' is not a finite number" train --data "$t/bad.csv" -o "$t/no"
printf 'a,1,2\na,1e39,2\n' >"$t/bad.csv"
refuses "--data: beyond float" "line 2, column 2: '1e39' is not a finite number" train --data "$t/bad.csv" -o "$t/no"
printf 'id,x,y\na,5 %%,2\n' >"$t/bad.csv"
refuses "--data: a second line of words" "line 2, column 2: '5 %' is not a finite number" \
  train --data "$t/bad.csv" -o "$t/no"
printf 'id;x;y\na;1,234;2\n#b;1;2\n' >"$t/bad.csv"
run train --data "$t/bad.csv" -o "$t/no"
ok "--data: what is in doubt is told" eval 'says err "numbers such as 1,234" && says err "could be rows: 1, the first in line 3"'
ok "--data: nothing was written" test ! -e "$t/no"
# ----- prompts as data are, quantiles -------------------------------------------------------------

like_data="--x data --order --standardize --tokens joint --positions alternating"
levels="0.1,0.25,0.5,0.75,0.9"
input ''
run train --task 'noisy(0.5*gp(length=0.5..2)+dense, sd=0.05..1, share=0.8, tails=0.2)' --dims 2 --pairs 6 \
  --layers 1 --heads 2 --width 16 --batch 8 --seed 7 --steps 20 $like_data --quantiles $levels -o "$t/d"
ok "train: as data: exit 0" exits 0
run info "$t/d"
ok "train: as data: verified" says out '^digest  *verified$'
ok "train: as data: task" says out '^task  *noisy(0.5\*gp(length=0.5..2, nu=0, ard=0) + dense, sd=0.05..1, '
ok "train: as data: tokens" says out '^tokens  *joint$'
ok "train: as data: positions" says out '^positions  *alternating$'
ok "train: as data: quantiles" says out "^quantiles  *$levels\$"
ok "train: as data: sampling" says out '^sampling  *inputs=data order=1 standardize=1$'
ok "train: as data: recipe" says out '^recipe  *steps=20 batch=8 pairs=6 optimizer=muon lr=.* seed=7$'
run info "$model"
ok "info: tokens apart" says out '^tokens  *apart$'
ok "info: no quantiles" eval '! says out "^quantiles"'
ok "info: no sampling" eval '! says out "^sampling"'
run eval "$t/d" --pairs 41 --prompts 8
ok "eval: beyond n_positions, which alternate" lines 42
ok "eval: says how it draws" says err 'prompts drawn as in training: inputs=data order=1 standardize=1$'
cp "$t/out" "$t/as_trained"
run eval "$t/d" --pairs 41 --prompts 8 --x data --order --standardize
ok "eval: the same said in options" eval 'exits 0 && says err "but for the options: inputs=data" && same "$t/out" "$t/as_trained"'
run eval "$t/d" --pairs 41 --prompts 8 --x normal
ok "eval: otherwise where --x says so" eval 'exits 0 && says err "but for the options" && ! same "$t/out" "$t/as_trained"'
run eval "$t/d" --pairs 4 --prompts 8 --task dense
ok "eval: a task of its own is drawn as ever" eval 'exits 0 && silent err'
run train $tiny --steps 5 --x-scale 3 -o "$t/wide"
run eval "$t/wide" --prompts 8 --x-scale 1
cp "$t/out" "$t/narrow"
run eval "$t/wide" --prompts 8 --task dense
ok "eval: --x-scale 1 where training had 3" same "$t/out" "$t/narrow"
run eval "$t/wide" --prompts 8 --distribution skewed
ok "eval: --distribution: says what is not used" says err 'nothing that training had: x_scale=3$'
misused "eval: --x and --distribution" eval "$t/d" --pairs 4 --x data --distribution skewed
misused "eval: bayes of noise that is not always there" eval "$t/d" --pairs 4 --task 'noisy(share=0.5)' --baselines bayes
run quantize "$t/d" --dtype f16 -o "$t/d16"
ok "quantize: as data: exit 0" exits 0
run info "$t/d16"
for key in tokens quantiles sampling recipe task positions; do
  "$icl" info "$t/d" | grep "^$key " >"$t/line"
  ok "quantize: keeps $key" eval 'grep -qxFf "$t/line" "$t/out"'
done
train="train --task dense --dims 2 --pairs 3 --layers 1 --heads 1 --width 8 --steps 1 -o $t/q"
misused "train: quantiles that fall" $train --quantiles 0.5,0.25
misused "train: quantiles beyond 1" $train --quantiles 0.5,1
misused "train: quantiles that are none" $train --quantiles 0.1,x
misused "train: too many quantiles" $train --quantiles .01,.02,.03,.04,.05,.06,.07,.08,.09,.1,.11,.12,.13,.14,.15,.16
misused "train: unknown tokens" $train --tokens both
misused "train: unknown inputs" $train --x datas
misused "train: a range that falls" train --task 'noisy(sd=2..1)' --dims 2 --pairs 3 --steps 1 -o "$t/q"
ok "train: misuse leaves no file" eval '[ ! -e "$t/q" ]'

# ----- bench --------------------------------------------------------------------------------------

number='[0-9][0-9.e+-]*'
shape="--layers 1 --heads 1 --width 16 --dims 3 --pairs 5 --batch 4"
run bench $shape --repeat 2
ok "bench: exit 0" exits 0
ok "bench: nothing on stderr" silent err
for what in "train median V min V ms" "forward median V min V ms" "query median V min V us" \
  "append median V min V us" "train_gflops V" "forward_gflops V"; do
  ok "bench: $what" says out "^$(echo "$what" | sed "s/V/$number/g")\$"
done
ok "bench: nothing else" lines 8
run bench $shape --repeat 2 --what append,forward
ok "bench: --what" lines 5
run bench $shape --repeat 2 --threads 2 --weights f16 --what append,queries,peak
for what in "append median V min V us" "queries median V min V ms" "queries_gflops V" \
  "peak_gflops V"; do
  ok "bench: from F16: $what" says out "^$(echo "$what" | sed "s/V/$number/g")\$"
done
ok "bench: from F16: nothing else" lines 6
misused "bench: unknown --weights" bench --weights f8
misused "bench: unknown --what" bench --what nothing
misused "bench: heads" bench --heads 3 --width 16

done_with cli
