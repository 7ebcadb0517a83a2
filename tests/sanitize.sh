#!/bin/sh
# The test programs again: under ASan + UBSan, with the plain C kernels, and some of them under TSan
# (what has threads), MSan and valgrind, these two at -O0, where no optimizer removes the reading of
# values that nobody has set.  Closing line "sanitize: N passed, N failed, N skipped".
#
#     tests/sanitize.sh               all, as many at once as there are processors
#     tests/sanitize.sh asan loader   one
cd "$(dirname "$0")/.." || exit 1
mkdir -p build/sanitize

# check KIND TEST
check() {
  name=$1-$2 exe=build/sanitize/$1-$2 log=build/sanitize/$1-$2.log runner=
  case $1 in
    asan) flags='-O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer' ;;
    plain) flags='-O2 -DICL_NO_SIMD' ;;
    tsan) flags='-O1 -fsanitize=thread -DICL_TEST_QUICK' ;;
    valgrind) flags='-O1 -DICL_TEST_QUICK' runner='valgrind -q --error-exitcode=99 --leak-check=full' ;;
    valgrind0) flags='-O0 -DICL_TEST_QUICK' runner='valgrind -q --error-exitcode=99' ;;
    msan) flags='-O0 -fsanitize=memory -fno-omit-frame-pointer -DICL_TEST_QUICK'
          [ "$2" != api ] || flags="-O1 ${flags#-O0}" ;;             # which takes a quarter of an hour
  esac
  cc=${CC:-cc}
  if [ "$1" = msan ]; then
    cc=
    for c in clang clang-14 clang-15 clang-16 clang-17 clang-18 clang-19; do
      echo 'int main(void) { return 0; }' | $c -fsanitize=memory -x c - -o "$exe" 2> /dev/null && cc=$c && break
    done
  fi
  if [ -z "$cc" ]; then
    echo "skipped  $name: needs clang with MemorySanitizer"
  elif [ "${1#valgrind}" != "$1" ] && ! command -v valgrind > /dev/null; then
    echo "skipped  $name: needs valgrind"
  elif $cc -g $flags -DICL_TRAIN_THREADS -I. -o "$exe" "tests/test_$2.c" -lm -lpthread \
         > "$log" 2>&1 && $runner "$exe" >> "$log" 2>&1; then
    echo "ok       $name: $(tail -n 1 "$log")"
  else
    echo "FAILED   $name"; tail -n 30 "$log"
  fi
}

if [ $# -eq 2 ]; then check "$1" "$2"; exit; fi
{
  echo tsan train; echo tsan golden; echo valgrind api; echo valgrind golden; echo valgrind0 golden
  echo msan loader; echo msan golden; echo msan api
  echo tsan features; echo valgrind features
  for t in train loader kernels golden api baselines sampler features; do echo asan $t; echo plain $t; done
  echo asan tools
} | xargs -P "$(nproc)" -n 2 sh "$0" | tee build/sanitize/all.log
awk '/^ok/ { p++ } /^FAILED/ { f++ } /^skipped/ { s++ }
     END { printf "sanitize: %d passed, %d failed, %d skipped\n", p, f, s; exit f > 0 || p + s == 0 }' \
  build/sanitize/all.log
