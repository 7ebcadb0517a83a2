#!/bin/sh
# The inner loops of the product's kernels as gcc compiles them: 6 x 16 on AArch64, 24 multiply-adds
# of four numbers, and 2 x 16 on 32-bit ARM, 8 of them.  All accumulators stay in registers (nothing
# goes to the stack); and what the loops cost beside the multiply-adds.
# Closing line "neon_loop: N passed, N failed, N skipped".
cd "$(dirname "$0")/.." || exit 1
mkdir -p build/platforms
passed=0 failed=0 skipped=0

# loop NAME TOOLS OPTIONS KERNEL N: the loop of N multiply-adds in a kernel
loop() {
  object=build/platforms/alone-$1.o
  if ! command -v "$2-gcc" > /dev/null || ! command -v "$2-objdump" > /dev/null; then
    echo "skipped  $1: needs $2-gcc and $2-objdump"
    skipped=$((skipped + 1))
  elif "$2-gcc" -std=c99 -O2 $3 -I. -c -o "$object" tests/compile/alone.c \
       && "$2-objdump" -d --no-show-raw-insn "$object" | inner "$1" "$4" "$5"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
  fi
}

# inner NAME KERNEL N: says what the loop is made of, which it finds by the branch back
inner() {
  awk -v name="$1" -v kernel="<$2>:" -v wanted="$3" '
  $2 == kernel { on = 1; next }
  on && /^$/ { exit }
  on { code[++n] = $0; address = $1; sub(":", "", address); at[address] = n }
  END {
    for (i = 1; i <= n; i++) {
      if (code[i] !~ /\tb\.?ne(\.n)?\t/) continue
      split(code[i], word, /[ \t]+/)
      start = at[word[4]] ? at[word[4]] : at[word[3]]
      fma = stack = 0
      for (k = start; start && k <= i; k++) {
        if (code[k] ~ /fmla|vfma/) fma++
        if (code[k] ~ /\[sp/) stack++
      }
      if (fma == wanted) {
        printf (stack ? "FAILED   " : "") "%s: %d instructions for %d multiply-adds of four (%.2f each), %d on the stack\n", \
          name, i - start + 1, fma, (i - start + 1) / fma, stack
        found = 1
        good = stack == 0
      }
    }
    if (!found) printf "FAILED   %s: no loop of %d multiply-adds\n", name, wanted
    exit !(found && good)
  }'
}

loop neon aarch64-linux-gnu "" icl__v8_tile6 24
loop neon-armv7 arm-linux-gnueabihf -mfpu=neon-vfpv4 icl__v8_tile2 8
echo "neon_loop: $passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
