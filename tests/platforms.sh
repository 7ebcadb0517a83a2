#!/bin/sh
# The test programs on other processors, under qemu's user mode: AArch64 and armv7 (32 bits) with
# NEON, big-endian s390x, and, in plain C, riscv64 and i686 (32 bits; x86-64 runs it itself); and as
# WebAssembly with SIMD128 under node, but for the trainer's, which need POSIX files and threads.
# The trainer's and those of features run on AArch64, s390x and i686; the loader's not on riscv64.
# Closing line "platforms: N passed, N failed, N skipped".
#
#     tests/platforms.sh               all, as many at once as there are processors
#     tests/platforms.sh s390x loader  one
cd "$(dirname "$0")/.." || exit 1
mkdir -p build/platforms
flags='-O2 -static -DICL_TRAIN_THREADS -DICL_TEST_QUICK -I.'

# check ARCH TEST: cross-compiles, and runs
check() {
  name=$1-$2 gcc=$1-linux-gnu-gcc qemu=qemu-$1-static options=
  case $1 in
    aarch64) options='-DICL_TEST_ISA="neon"' ;;
    armv7) gcc=arm-linux-gnueabihf-gcc qemu=qemu-arm-static
           options='-mfpu=neon-vfpv4 -DICL_TEST_ISA="neon"' ;;
    i686) options='-msse2 -mfpmath=sse' qemu=qemu-i386-static
          [ "$(uname -m)" != x86_64 ] || qemu=env ;;
  esac
  exe=build/platforms/$name log=build/platforms/$name.log
  if ! command -v "$gcc" > /dev/null || ! command -v "$qemu" > /dev/null; then
    echo "skipped  $name: needs $gcc and $qemu"
  elif "$gcc" $options $flags -o "$exe" "tests/test_$2.c" -lm -lpthread > "$log" 2>&1 \
       && "$qemu" "$exe" >> "$log" 2>&1; then
    echo "ok       $name: $(tail -n 1 "$log")"
  else
    echo "FAILED   $name"; tail -n 30 "$log"
  fi
}

# check_wasm TEST: the same with clang, for WASI.  Linked without -O, which would call wasm-opt.
check_wasm() {
  name=wasm-$1 exe=build/platforms/wasm-$1 log=build/platforms/wasm-$1.log
  clang="${WASM_CLANG:-clang-14} --target=wasm32-unknown-wasi"
  emulated='-lwasi-emulated-signal -lwasi-emulated-mman -lwasi-emulated-process-clocks'
  if ! command -v node > /dev/null \
     || ! echo 'int main(void) { return 0; }' | $clang -x c - -o "$exe.wasm" > /dev/null 2>&1; then
    echo "skipped  $name: needs node, ${clang%% *}, lld-14, wasi-libc and libclang-rt-14-dev-wasm32"
  elif $clang -O2 -msimd128 -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_MMAN -D_WASI_EMULATED_PROCESS_CLOCKS \
         -DICL_TEST_QUICK -I. -c -o "$exe.o" "tests/test_$1.c" > "$log" 2>&1 \
       && $clang -Wl,-z,stack-size=1048576 -o "$exe.wasm" "$exe.o" $emulated -lm >> "$log" 2>&1 \
       && node --no-warnings tests/web/wasi.mjs "$exe.wasm" >> "$log" 2>&1; then
    echo "ok       $name: $(tail -n 1 "$log")"
  else
    echo "FAILED   $name"; tail -n 30 "$log"
  fi
}

if [ $# -eq 2 ] && [ "$1" = wasm ]; then check_wasm "$2"; exit; fi
if [ $# -eq 2 ]; then check "$1" "$2"; exit; fi
for t in train loader kernels bits golden api baselines sampler features; do
  echo aarch64 $t; echo s390x $t; echo i686 $t
  case $t in train | baselines | features) ;; *) echo armv7 $t ;; esac
  case $t in train | baselines | features | loader) ;; *) echo riscv64 $t ;; esac
  case $t in train | features) ;; *) echo wasm $t ;; esac
done | xargs -P "$(nproc)" -n 2 sh "$0" | tee build/platforms/all.log
sh tests/neon_loop.sh | grep -v '^neon_loop' | sed 's/^neon[-a-z0-9]*:/ok       &/' | tee -a build/platforms/all.log
awk '/^ok/ { p++ } /^FAILED/ { f++ } /^skipped/ { s++ }
     END { printf "platforms: %d passed, %d failed, %d skipped\n", p, f, s; exit f > 0 || p + s == 0 }' \
  build/platforms/all.log
