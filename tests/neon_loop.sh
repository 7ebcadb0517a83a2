#!/bin/sh
# The inner loop of the 6 x 16 product kernel as gcc compiles it for AArch64: its 24 multiply-adds
# keep all accumulators in registers (nothing goes to the stack), and what it costs beside them.
# Closing line "neon_loop: N passed, N failed, N skipped".
cd "$(dirname "$0")/.." || exit 1
gcc=aarch64-linux-gnu-gcc objdump=aarch64-linux-gnu-objdump
if ! command -v $gcc > /dev/null || ! command -v $objdump > /dev/null; then
  echo "skipped  neon_loop: needs $gcc and $objdump"
  echo "neon_loop: 0 passed, 0 failed, 1 skipped"
  exit 0
fi
mkdir -p build/platforms
$gcc -std=c99 -O2 -I. -c -o build/platforms/alone.o tests/compile/alone.c || exit 1
$objdump -d --no-show-raw-insn build/platforms/alone.o | awk '
  /^[0-9a-f]+ <icl__tile6>:/ { on = 1; next }
  on && /^$/ { exit }
  on { code[++n] = $0; address = $1; sub(":", "", address); at[address] = n }
  END {
    for (i = 1; i <= n; i++) {                     # the loop: from the target of a branch back
      if (code[i] !~ /\tb\.ne\t/) continue
      split(code[i], word, /[ \t]+/)
      start = at[word[4]] ? at[word[4]] : at[word[3]]
      fma = stack = 0
      for (k = start; start && k <= i; k++) {
        if (code[k] ~ /fmla/) fma++
        if (code[k] ~ /\[sp/) stack++
      }
      if (fma == 24) {
        printf "neon: %d instructions for %d multiply-adds of four (%.2f each), %d on the stack\n", \
          i - start + 1, fma, (i - start + 1) / fma, stack
        found = 1
        good = stack == 0
      }
    }
    if (!found) print "FAILED   neon: no loop of 24 multiply-adds"
    printf "neon_loop: %d passed, %d failed, 0 skipped\n", found && good, !(found && good)
    exit !(found && good)
  }'
