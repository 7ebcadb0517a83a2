#!/bin/sh
# The numbered examples, each compiled by the line on its top and run; what they print is what tests/examples/NAME.txt
# says: the same words, and numbers within 2 % or 0.02 (of trained models 0.2: they differ between processors).
# The size of a context depends on the kernels and is not compared.
#
#     tests/examples.sh [NAME...]          --update first: writes tests/examples anew
#
# Ends with "examples: N passed, N failed, N skipped"; exit 1 if anything failed.
# SPDX-License-Identifier: MIT

cd "$(dirname "$0")/.." || exit 1
update=0
if [ "$1" = --update ]; then update=1; shift; fi
mkdir -p build/examples

# same EXPECTED FOUND WITHIN
same() {
  [ "$(wc -l < "$1")" -eq "$(wc -l < "$2")" ] || { echo "$(wc -l < "$2") lines"; return 1; }
  paste -d '|' "$1" "$2" | awk -F '|' -v within="$3" '
    { n = split($1, a, " "); if (n != split($2, b, " ")) { print; bad = 1; next }
      for (i = 1; i <= n; i++) {
        x = a[i]; y = b[i]
        gsub(/[,;:()]/, "", x); gsub(/[,;:()]/, "", y)
        if (x == y) continue
        d = x - y; size = x < 0 ? -x : x; size = size * 0.02 > within ? size * 0.02 : within
        if (x !~ /^-?[0-9.]+$/ || y !~ /^-?[0-9.]+$/ || d > size || d < -size) { print; bad = 1; break }
      } }
    END { exit bad }'
}

# The commands of the comment on top: cc and c++ lines, and those of build/icl before them, joined by &&.
commands() { awk '/^#|^\*\/|\*\/$/ { exit } /^ \*     (cc|c\+\+|build\/)/ { sub(/^ \* +/, ""); print }' "$1"; }

# one NAME: a line of "NAME passed|failed|skipped" in build/examples/NAME.end, after what there is to say
one() {
  file=$(ls examples/"$1".c*) expected=tests/examples/$1.txt within=0.02 t=build/examples/$1
  case $1 in
    03* | 04*) within=0.2 ;;
    05_mpi) echo "$1 skipped"; return ;;                     # tests of its own
    *) case $file in *.cpp) command -v c++ > /dev/null || { echo "no c++"; echo "$1 skipped"; return; } ;; esac ;;
  esac
  [ "$(wc -l < "$file")" -le 80 ] || { echo "longer than 80 lines"; echo "$1 failed"; return; }
  commands "$file" | sed 's/ -O2/ -O2 -Wall -Wextra -Werror/; s/\(icl embed .*\)/\1 --force/' > "$t.sh"
  if sh -e "$t.sh" > "$t.out" 2> "$t.err"; then
    grep -v '^wrote ' "$t.out" | sed 's|kernels: .*|kernels: those of the processor|
      s/context [0-9]* bytes/context so many bytes/; s/costs [0-9]* KB/costs so many KB/' > "$t.said"
    [ $update -eq 0 ] || cp "$t.said" "$expected"
    [ -s "$t.said" ] && same "$expected" "$t.said" $within && { echo "$1 passed"; return; }
  fi
  tail -n 8 "$t.err"
  echo "$1 failed"
}

[ $# -gt 0 ] || set -- $(cd examples && ls 0*.c 0*.cpp | sed 's/\..*//')
rm -f build/examples/*.end
n=0
for name; do                               # two at a time
  one "$name" > "build/examples/$name.end" 2>&1 &
  n=$((n + 1))
  [ $((n % 2)) -eq 0 ] && wait
done
wait
grep -hvE '^0[0-9a-z_]+ (passed|skipped)$' build/examples/*.end
count() { cat build/examples/*.end | grep -cE "^0[0-9a-z_]+ $1\$"; }
echo "examples: $(count passed) passed, $(count failed) failed, $(count skipped) skipped"
[ "$(count failed)" -eq 0 ] && [ "$(count passed)" -gt 0 ]
