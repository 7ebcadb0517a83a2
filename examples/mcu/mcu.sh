#!/bin/sh
# `make mcu`: main.c for Cortex-M4F, M7, M55 (with Helium) and M3 (soft float), each run by QEMU and
# held to its budgets.  A line per core; closing line "mcu: N passed, N failed, N skipped".
# Needs gcc-arm-none-eabi, libnewlib-arm-none-eabi and qemu-system-arm, by their names in Debian.
cd "$(dirname "$0")/../.." || exit 1
here=examples/mcu out=build/mcu
arm=arm-none-eabi
passed=0 failed=0

if ! command -v $arm-gcc > /dev/null || ! command -v qemu-system-arm > /dev/null; then
  echo "skipped: needs $arm-gcc and qemu-system-arm"
  echo "mcu: 0 passed, 0 failed, 1 skipped"
  exit 0
fi

# expect NAME COMMAND...: a check
expect() {
  name=$1; shift
  if said=$("$@" 2>&1); then passed=$((passed + 1)); return 0; fi
  failed=$((failed + 1))
  echo "FAILED   $core: $name"
  echo "$said" | head -n 8
  return 1
}

silent() { said=$("$@" 2>&1); code=$?; [ -z "$said" ] || echo "$said"; [ $code -eq 0 ] && [ -z "$said" ]; }

# The budgets are link.ld's regions: 24 KB for the engine, and 29 KB on the M55 with Helium's kernels; 128 KB
# of RAM, of which 4 KB are stack.  Engine and all the rest but the model: 34 KB.
build() {
  for file in main engine startup; do
    silent $arm-gcc $flags -c $here/$file.c -o $dir/$file.o || return 1
  done
  silent $arm-gcc $flags $dir/main.o $dir/engine.o $dir/startup.o -o $dir/main.elf \
    -nostartfiles --specs=nano.specs -T $here/link.ld \
    -Wl,--gc-sections,--defsym=ENGINE_SIZE=$engine,--defsym=RAM_SIZE=128K,--defsym=STACK_SIZE=4K \
    -Wl,--defsym=MODEL_ORIGIN="$model" -lm
}

# -icount makes the count of instructions the same each time, whatever the host does meanwhile.
run() {
  timeout 300 qemu-system-arm -M "$machine" -display none -monitor none -serial null \
    -chardev stdio,id=text -semihosting-config enable=on,target=native,chardev=text \
    -icount shift=5 -kernel $dir/main.elf > $dir/out.txt 2>&1 < /dev/null
  code=$?
  grep FAILED $dir/out.txt
  [ $code -eq 0 ] && grep -q '^all well$' $dir/out.txt
}

# The same lines as on this machine, numbers within 1e-4; lines with # are about the core.
same_as_host() {
  grep -v '^#' $dir/out.txt | paste -d '|' $out/host.txt - | awk -F '|' '
    { n = split($1, a, " "); if (n != split($2, b, " ") || n == 0) { print; exit bad = 1 }
      for (i = 1; i <= n; i++) {
        if (a[i] == b[i]) continue
        numbers = a[i] b[i] ~ /^[-0-9.]*$/
        d = a[i] - b[i]
        if (!numbers || d > 1e-4 || d < -1e-4) { print; bad = 1 }
      } }
    END { exit bad || NR < 20 }'
}

# No printf, no malloc, nothing of double precision: no instructions in the engine, and where the
# core has no such unit no functions that stand in for it.
bare() {
  $arm-nm $dir/main.elf | awk '{ print $NF }' > $dir/names.txt
  grep -E 'printf|malloc|calloc|realloc|^_?free|sbrk|fopen|fwrite|puts|^abort' $dir/names.txt && return 1
  if $double; then :; else grep -E '__aeabi_(d|f2d|[a-z]*2d)|df[23]$' $dir/names.txt && return 1; fi
  $arm-objdump -d -j .engine $dir/main.elf > $dir/engine.s
  [ "$(wc -l < $dir/engine.s)" -gt 1000 ] && ! grep '\.f64' $dir/engine.s
}

# Frames known when compiling, none above 2048 bytes; and functions that call nothing but functions
# already struck off can be struck off until none is left: no recursion.  Calls through pointers
# (kernels, which call no others) are not followed.
frames() {
  awk -F '\t' '$2 > 2048 || $3 != "static" { print; bad = 1 } END { exit bad || NR < 100 }' $dir/*.su
}
no_recursion() {
  cat $dir/*.ci | awk -F '"' '
    /^edge/ && $4 != "__indirect_call" { calls[$2] = calls[$2] " " $4; all[$2]; edges++ }
    END {
      do {
        struck = 0
        for (f in all) {
          n = split(calls[f], to, " "); open = 0
          for (i = 1; i <= n; i++) if (to[i] in all) open = 1
          if (!open) { delete all[f]; struck = 1 }
        }
      } while (struck)
      for (f in all) { print "may call itself: " f; bad = 1 }
      exit bad || edges < 100
    }'
}

value() { awk -v name="$1" '$1 == name { print $2 }' $dir/out.txt; }
within() { awk "BEGIN { exit !($1 <= $2 && $1 > 0) }" || { echo "$1, at most $2"; return 1; }; }
counted_right() { within "$(value '#calibration')" 200200 && within 199800 "$(value '#calibration')"; }
size_of() { $arm-size -A $dir/main.elf | awk -v names=" $1 " 'index(names, " " $1 " ") { n += $2 } END { print n + 0 }'; }

# core NAME MACHINE PICOSECONDS-A-TICK MODEL-ORIGIN DOUBLE-UNIT INSTRUCTIONS-A-MULTIPLY-ADD FLAGS...
core() {
  core=$1 machine=$2 model=$4 double=$5 most=$6 dir=$out/$1 engine=24K
  [ "$core" != M55 ] || engine=29K
  flags="-DTICK_PS=$3"
  shift 6
  flags="$flags -mthumb $* -std=gnu99 -Os -fno-math-errno -ffunction-sections -fdata-sections -I. -I$out
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wundef -Wvla -Wdouble-promotion
    -Werror -fstack-usage -fcallgraph-info"
  mkdir -p $dir
  expect "compiles silently and fits" build || return
  expect "runs" run || return
  expect "the numbers of the host" same_as_host
  expect "no stdio, malloc, double" bare
  expect "stack frames" frames
  expect "no recursion" no_recursion
  expect "counts instructions" counted_right
  expect "all code" within "$(size_of '.engine .vectors .code .unwind .data')" 34816
  expect "stack in use" within "$(value '#stack')" 4096
  append=$(value '#append') query=$(value '#query')
  append_each=$(awk "BEGIN { printf \"%.3f\", $append / $(value append_multiply_adds) }")
  query_each=$(awk "BEGIN { printf \"%.3f\", $query / $(value query_multiply_adds) }")
  expect "instructions per multiply-add of a pair" within "$append_each" "$most"
  expect "instructions per multiply-add of a query" within "$query_each" "$most"
  printf '%-5s %-7s %6d  %5d  %6d  %6d  %5d  %8d  %6s  %8d  %6s\n' "$core" "$(value "#kernels")" \
    "$(size_of .engine)" "$(size_of '.vectors .code .unwind .data')" "$(size_of .model)" \
    "$(size_of '.stack .data .bss')" "$(value '#stack')" "$append" "$append_each" "$query" "$query_each"
}

mkdir -p $out
core=host
make -s build/icl && build/icl embed $here/sensors.safetensors --force -o $out/sensors_model.h || exit 1
cc -std=c99 -O2 -Wall -Wextra -DICL_NO_AVX512 -I. -I$out $here/main.c $here/engine.c $here/host.c -lm -o $out/host || exit 1
$out/host | grep -v '^#' > $out/host.txt
expect "runs" grep '^all well$' $out/host.txt

echo "bytes, and instructions (not cycles: QEMU has no pipeline, no caches, no wait states)"
echo "core  kernels engine   rest   model     RAM  stack    append    each     query    each"
m4='-mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16'
core M4F mps2-an386 40000 0x00100000 false 3 $m4
core M7  mps2-an500 40000 0x00100000 true 3 -mcpu=cortex-m7 -mfloat-abi=hard -mfpu=fpv5-d16
core M55 mps3-an547 31250 0x01000000 true 0.8 -mcpu=cortex-m55 -mfloat-abi=hard
core M3  mps2-an385 40000 0x00100000 false 1000 -mcpu=cortex-m3 -mfloat-abi=soft
echo "append: the 32nd pair; query: behind 32 pairs; each: per multiply-add of the network's products"
echo "mcu: $passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
