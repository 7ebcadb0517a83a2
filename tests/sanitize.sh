#!/bin/sh
# The test programs again: under ASan + UBSan, with the plain C kernels, and some of them under TSan
# (what has threads), MSan and valgrind, these two at -O0, where no optimizer removes the reading of
# values that nobody has set.  What goes over every byte or bit of something runs in full under make test;
# here it takes steps (ICL_TEST_QUICK), but for the loader's tests under ASan and in plain C, and tests/fuzz
# goes over the same code under ASan + UBSan with damaged inputs.  The longest come first, so that the last
# ones end together.  Closing line "sanitize: N passed, N failed, N skipped".
#
#     tests/sanitize.sh               all, as many at once as there are processors
#     tests/sanitize.sh asan loader   one; what follows goes to the program: tsan threads long
cd "$(dirname "$0")/.." || exit 1
mkdir -p build/sanitize

# check KIND TEST [ARGUMENT]
check() {
  name=$1-$2 exe=build/sanitize/$1-$2 log=build/sanitize/$1-$2.log runner=
  case $1 in
    asan) flags='-O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer'
          [ "$2" = loader ] || flags="$flags -DICL_TEST_QUICK" ;;        # hostile files, whole
    plain) flags='-O2 -DICL_NO_SIMD'
           case $2 in kernels | golden | loader) ;; *) flags="$flags -DICL_TEST_QUICK" ;; esac ;;
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
         > "$log" 2>&1 && $runner "$exe" $3 >> "$log" 2>&1; then
    echo "ok       $name: $(tail -n 1 "$log")"
  else
    echo "FAILED   $name"; tail -n 30 "$log"
  fi
}

if [ $# -ge 2 ]; then check "$1" "$2" "$3"; exit; fi
{
  echo asan train; echo msan api; echo tsan train; echo asan features; echo valgrind features
  echo asan api; echo asan baselines; echo valgrind api; echo asan loader; echo msan loader; echo asan sampler
  echo plain train; echo plain features; echo asan kernels; echo tsan features; echo plain kernels
  echo plain api; echo asan bits; echo plain baselines; echo plain sampler; echo plain loader; echo asan golden; echo asan fuzz
  for t in "tsan golden" "valgrind golden" "valgrind0 golden" "msan golden" "plain golden" "asan tools" \
    "asan misuse" "asan sequences" "asan memory" "asan numbers" "asan soak" "tsan threads"; do
    echo $t
  done
} | xargs -P "$(nproc)" -n 2 sh "$0" | tee build/sanitize/all.log
awk '/^ok/ { p++ } /^FAILED/ { f++ } /^skipped/ { s++ }
     END { printf "sanitize: %d passed, %d failed, %d skipped\n", p, f, s; exit f > 0 || p + s == 0 }' \
  build/sanitize/all.log
