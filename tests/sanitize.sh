#!/bin/sh
# The test programs again: under ASan + UBSan, with the plain C kernels, the trainer under TSan, and the
# engine under valgrind.  Closing line "sanitize: N passed, N failed, N skipped".
cd "$(dirname "$0")/.." || exit 1
mkdir -p build/sanitize
CC=${CC:-cc}
passed=0 failed=0 skipped=0
pass() { passed=$((passed + 1)); echo "ok       $1"; }
fault() { failed=$((failed + 1)); echo "FAILED   $1"; tail -n 30 "$2"; }
skip() { skipped=$((skipped + 1)); echo "skipped  $1: $2"; }

# check NAME FLAGS TEST [RUNNER...]: builds tests/test_TEST.c and runs it
check() {
  name=$1-$3 flags=$2 test=$3; shift 3
  exe=build/sanitize/$name log=build/sanitize/$name.log
  if $CC -g $flags -DICL_TRAIN_THREADS -I. -o "$exe" "tests/test_$test.c" -lm -lpthread > "$log" 2>&1 \
     && "$@" "$exe" >> "$log" 2>&1; then pass "$name"; else fault "$name" "$log"; fi
}

tests=$(cd tests && ls test_*.c | sed 's/test_//; s/\.c//')
for t in $tests; do
  check asan "-O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer" "$t"
  check plain "-O2 -DICL_NO_SIMD" "$t"
done
for t in golden; do check tsan "-O1 -fsanitize=thread" "$t"; done
if command -v valgrind > /dev/null; then
  for t in golden; do
    check valgrind "-O1 -DICL_TEST_QUICK" "$t" valgrind -q --error-exitcode=99 --leak-check=full
  done
else
  skip valgrind "not installed"
fi
echo "sanitize: $passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
