#!/bin/sh
# Fuzzes the targets of this folder under ASan and UBSan with libFuzzer, from the committed corpora on.
# Says the executions of each; an input that breaks a property is kept as build/fuzz/NAME-crash-*.
# Closing line "fuzz_targets: N passed, N failed, N skipped".
#
#     tests/fuzz/run.sh                     all, FUZZ_SECONDS each (20)
#     tests/fuzz/run.sh header rows         some
#     FUZZ_MERGE=1 tests/fuzz/run.sh ...    afterwards keeps few inputs that reach all that was reached as the
#                                           corpus; FUZZ_COUNTERS=1: and as often; then: test_fuzz verdicts
#     FUZZ_ENGINE=afl tests/fuzz/run.sh     the same with AFL++: header alone, unless others are named
cd "$(dirname "$0")/../.." || exit 1
seconds=${FUZZ_SECONDS:-20} dir=build/fuzz
mkdir -p $dir
export ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0 UBSAN_OPTIONS=print_stacktrace=1
flags='-O2 -g1 -fno-sanitize-recover=all -DFUZZ_ALL -DICL_TRAIN_THREADS -I.'

# Sets clang to one with libFuzzer.
find_clang() {
  clang=
  for c in clang-19 clang-14 clang clang-15 clang-16 clang-17 clang-18; do
    echo 'int LLVMFuzzerTestOneInput(const char *p, long n) { return n > 9 && p[0] == 1; }' \
      | $c -fsanitize=fuzzer,address -x c - -o $dir/probe 2> /dev/null && clang=$c && break
  done
}

# Seeds and the corpus of target $1 as files in build/fuzz/seeds-NAME.
unpack() {
  rm -rf "$dir/seeds-$1"; mkdir -p "$dir/seeds-$1" "$dir/corpus-$1"
  build/test_fuzz unpack "$1" "$dir/seeds-$1"
}

# Few inputs that reach all lines and branches that those of both folders reach.
merge() {
  rm -rf "$dir/merged-$1"; mkdir -p "$dir/merged-$1"
  FUZZ_TARGET=$1 $dir/all -set_cover_merge=1 -use_counters="${FUZZ_COUNTERS:-0}" -verbosity=0 -max_len=4096 \
    "$dir/merged-$1" "$dir/corpus-$1" "$dir/seeds-$1" > "$dir/merge-$1.log" 2>&1
  for big in "$dir/seeds-$1"/big*; do [ ! -f "$big" ] || cp "$big" "$dir/merged-$1"; done
  build/test_fuzz pack "$1" "$dir/merged-$1"
}

# libFuzzer on target $1.
fuzz() {
  unpack "$1"
  if FUZZ_TARGET=$1 $dir/all -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=512 \
       -max_len=4096 -verbosity=0 -print_final_stats=1 -artifact_prefix="$dir/$1-" "$dir/corpus-$1" "$dir/seeds-$1" \
       > "$dir/$1.log" 2>&1; then
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$dir/$1.log")
    echo "$1 $runs" >> $dir/executions
    echo "ok       $1: $runs executions in $seconds s"
    [ -z "$FUZZ_MERGE" ] || merge "$1"
  else
    echo "FAILED   $1"; grep -vE '^(Uses|stat|INFO)' "$dir/$1.log" | tail -n 30
  fi
}

# Number NAME of AFL++'s figures.
afl_stat() { sed -n "s/^$1 *: //p" "$stats" 2> /dev/null; }

# AFL++ on target $1, which goes on where it was stopped the last time: build/fuzz/afl-out-NAME.  What it finds
# stays found until somebody removes that folder.
afl() {
  unpack "$1"
  stats=$dir/afl-out-$1/default/fuzzer_stats
  before=$(afl_stat execs_done) ran=$(afl_stat run_time)
  FUZZ_TARGET=$1 ASAN_OPTIONS=abort_on_error=1:symbolize=0:detect_leaks=0 AFL_SKIP_CPUFREQ=1 AFL_NO_UI=1 \
    AFL_NO_AFFINITY=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_IGNORE_SEED_PROBLEMS=1 AFL_AUTORESUME=1 \
    AFL_FAST_CAL=1 AFL_HANG_TMOUT=10000 \
    afl-fuzz -V "$seconds" -m none -t 2000 -G 4096 -x $dir/words -i "$dir/seeds-$1" -o "$dir/afl-out-$1" $dir/afl \
    > "$dir/afl-$1.log" 2>&1
  all=$(afl_stat execs_done) runs=$((${all:-0} - ${before:-0}))
  if [ "$runs" -le 0 ]; then echo "FAILED   $1: AFL++ ran nothing"; tail -n 20 "$dir/afl-$1.log"; return; fi
  echo "afl-$1 $runs" >> $dir/executions
  found=$(ls -d "$dir/afl-out-$1"/default/crashes*/id* "$dir/afl-out-$1"/default/hangs*/id* 2> /dev/null)
  if [ -z "$found" ]; then
    echo "ok       $1: $runs executions of AFL++ in $(($(afl_stat run_time) - ${ran:-0})) s; $all in all, $(afl_stat edges_found) edges"
  else echo "FAILED   $1: see $found"; fi
}

# All targets in one program, which runs the one that FUZZ_TARGET names.  Comparisons are not traced: that
# halves the speed, and the mutator knows the words.
compile() {
  if [ $engine = afl ]; then
    command -v afl-fuzz > /dev/null && command -v afl-clang-fast > /dev/null || { missing=afl++; return 1; }
    build/test_fuzz words > $dir/words
    [ ! -x $dir/afl ] || [ -n "$(find icl.h icl_train.h tools tests/test_fuzz.c tests/fuzz -name '*.[ch]' -newer $dir/afl)" ] \
      || return 0
    AFL_QUIET=1 AFL_USE_ASAN=1 AFL_USE_UBSAN=1 afl-clang-fast $flags -DFUZZ_AFL -fsanitize=fuzzer -o $dir/afl \
      tests/test_fuzz.c -lm -lpthread
  else
    find_clang
    [ -n "$clang" ] || { missing='clang with libFuzzer'; return 1; }
    $clang $flags -fsanitize=fuzzer,address,undefined -fno-sanitize-coverage=trace-cmp -o $dir/all \
      tests/test_fuzz.c -lm -lpthread
  fi
}

make -s build/test_fuzz || exit 1
engine=fuzz
[ "$FUZZ_ENGINE" != afl ] || engine=afl
if [ $# -eq 0 ] && [ $engine = afl ]; then set -- header; fi
[ $# -gt 0 ] || set -- header life restore text resume rows
missing=
if ! compile > $dir/compile.log 2>&1; then
  if [ -z "$missing" ]; then tail -n 20 $dir/compile.log; echo "fuzz_targets: 0 passed, 1 failed, 0 skipped"; exit 1; fi
  echo "skipped  all: needs $missing"; echo "fuzz_targets: 0 passed, 0 failed, $# skipped"; exit 0
fi
for t; do $engine "$t"; done | tee $dir/all.log
awk '/^ok/ { p++ } /^FAILED/ { f++ } /^skipped/ { s++ }
     END { printf "fuzz_targets: %d passed, %d failed, %d skipped\n", p, f, s; exit f > 0 || p + s == 0 }' $dir/all.log
