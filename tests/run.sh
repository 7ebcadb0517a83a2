#!/bin/sh
# Runs the test programs of folder $1, then the scripts that test the command, and adds up their
# closing lines "name: N passed, N failed, N skipped" to the one that `make test` promises.
build=$1; shift
out=$build/tests.log
: > "$out"
run() {   # a program that dies before its closing line counts as a failure
  name=$1; shift
  began=$(date +%s)
  "$@" > "$build/one.log" 2>&1; rc=$?
  cat "$build/one.log" >> "$out"
  if line=$(grep -E '^[a-z_]+: [0-9]+ passed, [0-9]+ failed' "$build/one.log" | tail -n 1) && [ -n "$line" ]; then
    grep -vE '^[a-z_]+: [0-9]+ passed, [0-9]+ failed' "$build/one.log" | head -n 40
    if [ $rc -ne 0 ] && echo "$line" | grep -q ' 0 failed'; then line="$line
$name: 0 passed, 1 failed (exit status $rc)"; fi
  else
    head -n 40 "$build/one.log"
    line="$name: 0 passed, 1 failed (exit status $rc)"
  fi
  echo "$line" | tee -a "$build/sums.log"
  echo "$(($(date +%s) - began)) s $name" >> "$build/slow.log"
}
: > "$build/sums.log"; : > "$build/slow.log"
for t; do run "$t" "$build/test_$t"; done
for s in cli predict tasks real resume; do
  [ -x "$build/icl" ] && [ -f "tests/test_$s.sh" ] && run "$s" sh "tests/test_$s.sh" "$build/icl"
done
echo "slowest: $(sort -rn "$build/slow.log" | head -n 4 | tr '\n' ',' | sed 's/,$//; s/,/, /g')"
awk '{ for (i = 2; i < NF; i++) {
         if ($(i+1) ~ /^passed/) p += $i; if ($(i+1) ~ /^failed/) f += $i; if ($(i+1) ~ /^skipped/) s += $i } }
     END { if (s) printf "%d passed, %d failed, %d skipped\n", p, f, s; else printf "%d passed, %d failed\n", p, f
           exit f > 0 || p == 0 }' "$build/sums.log"
