#!/bin/sh
# Runs the test programs of folder $1 and the scripts that test the command, as many at once as there are
# processors, and adds up their closing lines "name: N passed, N failed, N skipped" to the one that
# `make test` promises.
#
#     tests/run.sh build golden kernels ..     all of these, and the scripts
#     tests/run.sh build --one golden          one
build=$1; shift
logs=$build/logs

# one NAME COMMAND...: a program that dies before its closing line counts as a failure
one() {
  name=$1; shift
  began=$(date +%s)
  "$@" > "$logs/$name.log" 2>&1; rc=$?
  if line=$(grep -E '^[a-z_]+: [0-9]+ passed, [0-9]+ failed' "$logs/$name.log" | tail -n 1) && [ -n "$line" ]; then
    grep -vE '^[a-z_]+: [0-9]+ passed, [0-9]+ failed' "$logs/$name.log" | head -n 40 > "$logs/$name.said"
    if [ $rc -ne 0 ] && echo "$line" | grep -q ' 0 failed'; then line="$line
$name: 0 passed, 1 failed (exit status $rc)"; fi
  else
    head -n 40 "$logs/$name.log" > "$logs/$name.said"
    line="$name: 0 passed, 1 failed (exit status $rc)"
  fi
  echo "$line" > "$logs/$name.sum"
  echo "$(($(date +%s) - began)) s $name" > "$logs/$name.slow"
  cat "$logs/$name.said" "$logs/$name.sum"
}

if [ "$1" = --one ]; then
  if [ -f "tests/test_$2.c" ]; then one "$2" "$build/test_$2"; else one "$2" sh "tests/test_$2.sh" "$build/icl"; fi
  exit
fi
rm -rf "$logs"; mkdir -p "$logs"
scripts=
for s in cli resume predict real tasks; do
  [ ! -x "$build/icl" ] || [ ! -f "tests/test_$s.sh" ] || scripts="$scripts $s"
done
for t in $scripts "$@"; do echo "$t"; done | xargs -P "$(nproc 2> /dev/null || echo 2)" -n 1 sh "$0" "$build" --one
echo "slowest: $(cat "$logs"/*.slow | sort -rn | head -n 4 | tr '\n' ',' | sed 's/,$//; s/,/, /g')"
awk '{ for (i = 2; i < NF; i++) {
         if ($(i+1) ~ /^passed/) p += $i; if ($(i+1) ~ /^failed/) f += $i; if ($(i+1) ~ /^skipped/) s += $i } }
     END { if (s) printf "%d passed, %d failed, %d skipped\n", p, f, s; else printf "%d passed, %d failed\n", p, f
           exit f > 0 || p == 0 }' "$logs"/*.sum
