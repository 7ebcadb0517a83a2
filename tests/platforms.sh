#!/bin/sh
# The test programs on other processors, under qemu's user mode: AArch64 with NEON, and big-endian s390x
# for the loader and everything else that reads or writes files.  Closing line
# "platforms: N passed, N failed, N skipped".
cd "$(dirname "$0")/.." || exit 1
mkdir -p build/platforms
passed=0 failed=0 skipped=0

# check ARCH TEST: cross-compiles, statically, and runs
check() {
  name=$1-$2 gcc=$1-linux-gnu-gcc qemu=qemu-$1-static
  exe=build/platforms/$name log=build/platforms/$name.log
  if ! command -v "$gcc" > /dev/null || ! command -v "$qemu" > /dev/null; then
    skipped=$((skipped + 1)); echo "skipped  $name: needs $gcc and $qemu"; return
  fi
  if "$gcc" -O2 -static -DICL_TRAIN_THREADS -DICL_TEST_QUICK -I. -o "$exe" "tests/test_$2.c" -lm -lpthread \
       > "$log" 2>&1 && "$qemu" "$exe" >> "$log" 2>&1
  then passed=$((passed + 1)); echo "ok       $name: $(tail -n 1 "$log")"
  else failed=$((failed + 1)); echo "FAILED   $name"; tail -n 30 "$log"; fi
}

for t in golden kernels loader api; do
  [ -f "tests/test_$t.c" ] || continue
  check aarch64 "$t"
  check s390x "$t"
done
echo "platforms: $passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
