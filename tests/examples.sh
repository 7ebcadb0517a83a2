#!/bin/sh
# The numbered examples, each compiled by the line on its top and run; what they print is what tests/examples/NAME.txt
# says: the same words, and numbers within 2 % or 0.02 (of trained models 0.2: they differ between processors).
#
#     tests/examples.sh [NAME...]          --update first: writes tests/examples anew
#
# Ends with "examples: N passed, N failed, N skipped"; exit 1 if anything failed.
# SPDX-License-Identifier: MIT

cd "$(dirname "$0")/.." || exit 1
update=0
if [ "$1" = --update ]; then update=1; shift; fi
passed=0 failed=0 skipped=0
mkdir -p build
t=build/examples.txt

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

[ $# -gt 0 ] || set -- $(cd examples && ls 0*.c 0*.cpp | sed 's/\..*//')
for name; do
  file=$(ls examples/"$name".c*) expected=tests/examples/$name.txt within=0.02
  [ "$name" != 05_mpi ] || { skipped=$((skipped + 1)); continue; }        # make mpi runs it
  case $name in 03* | 04*) within=0.2 ;; esac
  case $file in *.cpp)
    command -v c++ > /dev/null || { skipped=$((skipped + 1)); echo "skipped  $name: no c++"; continue; } ;;
  esac
  [ "$(wc -l < "$file")" -le 80 ] || { failed=$((failed + 1)); echo "FAILED   $name: longer than 80 lines"; }
  commands "$file" | sed 's/ -O2/ -O2 -Wall -Wextra -Werror/; s/\(icl embed .*\)/\1 --force/' > build/examples.sh
  if sh -e build/examples.sh > $t 2> build/examples.log && [ -s $t ]; then
    grep -v '^wrote ' $t | sed 's|kernels: .*|kernels: those of the processor|' > $t.said
    [ $update -eq 0 ] || cp $t.said "$expected"
    if same "$expected" $t.said $within > build/examples.log 2>&1; then passed=$((passed + 1)); continue; fi
  fi
  failed=$((failed + 1))
  echo "FAILED   $name"
  tail -n 8 build/examples.log
done
echo "examples: $passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
