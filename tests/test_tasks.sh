#!/bin/sh
# icl tasks and icl sample, and what icl eval says of errors: the list of classes is complete, its
# examples run, prompts are what they are said to be.
#
#     tests/test_tasks.sh build/icl
#
# Ends with "tasks: N passed, N failed, N skipped"; exit 1 if anything failed.
# SPDX-License-Identifier: MIT

[ $# -eq 1 ] || { echo "usage: $0 ICL" >&2; exit 2; }
icl=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
here=$(cd "$(dirname "$0")" && pwd)
model=$here/golden/gpt2.safetensors    # d = 5, room for 10 pairs and a query
t=$(mktemp -d) || exit 1
trap 'rm -rf "$t"' EXIT
trap 'exit 1' HUP INT TERM

passed=0 failed=0

# ok NAME COMMAND...: passes if the command succeeds.
ok() {
  name=$1
  shift
  if "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAILED: $name"
    sed 's/^/    stdout: /' "$t/out" 2>/dev/null | head -n 3
    sed 's/^/    stderr: /' "$t/err" 2>/dev/null | head -n 3
  fi
}

# run ARGS...: the command; leaves $t/out, $t/err and $status.
run() {
  "$icl" "$@" </dev/null >"$t/out" 2>"$t/err"
  status=$?
}

exits() { [ "$status" -eq "$1" ]; }
matches() { expr "$1" : "$2" >"$t/length"; }
silent() { [ ! -s "$t/$1" ]; }
says() { grep -q -e "$2" "$t/$1"; }
lines() { [ "$(wc -l <"$t/out")" -eq "$1" ]; }
same() { cmp -s "$1" "$2"; }
all() { awk -F, "NR > 1 && !($1) { bad = 1 } END { exit bad || NR < 2 }" "$t/out"; }

# misused NAME ARGS...: exit 2, nothing on stdout, one line on stderr.
misused() {
  name=$1
  shift
  run "$@"
  ok "$name: exit 2" exits 2
  ok "$name: nothing on stdout" silent out
  ok "$name: one line on stderr" [ "$(wc -l <"$t/err")" -eq 1 ]
}

for command in tasks sample; do
  run $command --help
  ok "help of $command" eval 'exits 0 && silent err && says out "^usage: icl $command"'
done

# ----- tasks --------------------------------------------------------------------------------------

# the rows of the table of classes, in its order
names=$(sed -n 's/^  {"\([a-z]*\)", {.*/\1/p' "$here/../icl_train.h")
ok "the table of classes is found" [ "$(echo "$names" | wc -l)" -ge 26 ]
run tasks
cp "$t/out" "$t/list"
ok "tasks: exit 0" exits 0
ok "tasks: nothing on stderr" silent err
sed '/^$/,$d; s/[( ].*//' "$t/list" >"$t/first"
echo "$names" >"$t/names"
ok "tasks: one line for each class, in the order of the table" same "$t/first" "$t/names"
ok "tasks: defaults and limits" grep -q '^gp(length=1\[0.01..100\], nu=0\[0..2.5\], ard=0\[0..1\])  ' "$t/list"
ok "tasks: whole limits in full" grep -q '^pool(size=1024\[1..1048576\], seed=0\[0..16777215\])  ' "$t/list"
ok "tasks: a limit of d" grep -q '^sparse(nnz=2\[0..d\])  ' "$t/list"
for class in $names; do
  run tasks "$class"
  ok "tasks $class: exit 0" exits 0
  ok "tasks $class: starts with its name" says out "^$class: "
  command=$(sed -n 's/^example: icl //p' "$t/out")
  ok "tasks $class: has an example of itself" matches "$command" "sample --task .*$class"
  eval "run $command"
  ok "tasks $class: the example runs" exits 0
  ok "tasks $class: the example prints ten pairs" lines 11
done
misused "tasks: no such class" tasks dens
misused "tasks: two classes" tasks dense sine

# ----- sample -------------------------------------------------------------------------------------

ask="sample --task 0.5*dense+0.5*noisy(sparse,sd=0.1) --dims 3 --pairs 7 --prompts 4"
run $ask --seed 3
cp "$t/out" "$t/four"
ok "sample: exit 0" exits 0
ok "sample: nothing on stderr" silent err
ok "sample: header" says out '^prompt,x1,x2,x3,y$'
ok "sample: rows" lines 29
ok "sample: fields" all 'NF == 5'
ok "sample: prompts from 1 to 4" [ "$(sed 1d "$t/out" | cut -d, -f1 | uniq -c | awk '{ printf "%s:%s ", $2, $1 }')" = "1:7 2:7 3:7 4:7 " ]
run $ask --seed 3
ok "sample: the same again" same "$t/out" "$t/four"
run $ask --seed 4
ok "sample: another seed" eval '! same "$t/out" "$t/four"'
run $ask --seed 3 --prompts 9
head -n 29 "$t/out" >"$t/head"
ok "sample: the first prompts of more" same "$t/head" "$t/four"
run $ask --seed 3 --pairs 12 --prompts 1
sed 1d "$t/out" | head -n 7 >"$t/head"
sed -n 2,8p "$t/four" >"$t/one"
ok "sample: the first pairs of more" same "$t/head" "$t/one"
run $ask --seed 3 --class --prompts 40
ok "sample: --class, header" says out '^prompt,x1,x2,x3,y,class$'
ok "sample: --class is 1 or 2" all '$6 == 1 || $6 == 2'
ok "sample: --class, both" eval 'says out ",1$" && says out ",2$"'
run sample --task dense --dims 1 --pairs 20 --prompts 3
ok "sample: dense is y = b x" all '$1 != last && (last = $1) && (b = $3 / $2) || ($3 - b * $2) ^ 2 < 1e-8'
run sample --task dense --dims 2 --pairs 50 --x uniform
ok "sample: --x uniform" all '$2 ^ 2 < 3.001 && $3 ^ 2 < 3.001'
run sample --task dense --dims 4 --pairs 20 --prompts 20 --x data --order --standardize
ok "sample: as data are" eval 'exits 0 && lines 401'
ok "sample: standardized within bounds" all '$2 ^ 2 <= 64 && $6 ^ 2 <= 36'
for missing in '--dims 2 --pairs 2' '--task dense --pairs 2' '--task dense --dims 2'; do
  misused "sample: only $missing" sample $missing
done
misused "sample: no such class" sample --task dens --dims 2 --pairs 2
ok "sample: says where" says err 'character 1'
misused "sample: no such distribution" sample --task dense --dims 2 --pairs 2 --x maybe
misused "sample: an operand" sample --task dense --dims 2 --pairs 2 more

# ----- eval: standard errors, and when bayes is the optimum ---------------------------------------

ask="eval $model --pairs 5 --prompts 60"
run $ask --task dense --baselines ols,zero --se --paired zero
ok "eval: --se --paired: exit 0" exits 0
ok "eval: --se --paired: header" says out '^k,model,ols,zero,model_se,ols_se,zero_se,model-zero,model-zero_se,ols-zero,ols-zero_se$'
ok "eval: --paired is the difference of the means" all '($10 - ($3 - $4)) ^ 2 < 1e-12 && ($8 - ($2 - $4)) ^ 2 < 1e-12'
ok "eval: without pairs ols is zero" eval 'sed -n 2p "$t/out" | grep -q ",0,0$"'
ok "eval: standard errors" all '$5 > 0 && $6 > 0 && $7 > 0 && $7 < $4'
run $ask --task dense --baselines zero --se --prompts 1
ok "eval: --se of one prompt is empty" says out ',,$'
misused "eval: --paired with no such column" $ask --task dense --paired ols
run $ask --task 'noisy(gp(length=1..2), sd=0.1..0.3)' --prompts 3 --baselines bayes --order
ok "eval: bayes of gp, in any order" eval 'exits 0 && lines 6'
misused "eval: bayes of standardized prompts" $ask --task dense --baselines bayes --standardize
misused "eval: bayes of a share of noise" $ask --task 'noisy(share=0.5)' --baselines bayes
misused "eval: bayes of sparse of some inputs" $ask --task sparse --baselines bayes --x data
misused "eval: bayes of a ranged argument" $ask --task 'sparse(nnz=1..2)' --baselines bayes

echo "tasks: $passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
