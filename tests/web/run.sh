#!/bin/sh
# Makes build/icl.html and tests it in headless Chromium: `make web-test`.  Playwright comes from npm, or out of
# pip's package, which has the same script inside, and goes to build/web.
# Closing line "web: N passed, N failed, N skipped".
cd "$(dirname "$0")/../.." || exit 1
here=$(pwd)
skip() { echo "skipped  web: needs $1"; echo "web: 0 passed, 0 failed, 1 skipped"; exit 0; }
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
clang=${WASM_CLANG:-clang-14}

command -v node > /dev/null || skip 'node'
command -v python3 > /dev/null || skip 'python3'
command -v "$clang" > /dev/null || skip "$clang (or WASM_CLANG)"
mkdir -p build/web/playwright
printf '#include <math.h>\nint main(void) { return 0; }\n' \
  | "$clang" --target=wasm32-unknown-wasi -x c - -o build/web/probe.wasm > /dev/null 2>&1 \
  || skip 'wasi-libc, libclang-rt-14-dev-wasm32 and lld-14'
[ -n "$chromium" ] || skip 'chromium'
npm=build/web/playwright/node_modules/playwright-core pip=build/web/playwright/playwright/driver/package
if [ ! -d $npm ] && [ ! -d $pip ]; then
  { cd build/web/playwright && npm install --no-audit --no-fund --fetch-retries 0 --prefix . playwright-core; } \
    > "$here/build/web/npm.log" 2>&1
  cd "$here" || exit 1
  [ -d $npm ] || python3 -m pip install -q --no-deps --target build/web/playwright playwright > build/web/pip.log 2>&1
fi
[ -d $npm ] || npm=$pip
[ -d "$npm" ] || skip 'playwright-core from npm, or playwright from pip'

make -s build/icl && python3 examples/web/build.py > build/web/build.log 2>&1
built=$?
grep -v '^+' build/web/build.log
if [ $built -ne 0 ]; then echo "web: 0 passed, 1 failed, 0 skipped"; exit 1; fi
python3 examples/web/build.py --same || { echo "FAILED   docs/icl.html"; stale=1; }
node tests/web/test.mjs "$npm" "$chromium"
rc=$?
if [ -n "$stale" ]; then echo "web: 0 passed, 1 failed, 0 skipped (docs/icl.html)"; exit 1; fi
[ $rc -le 1 ] || echo "web: 0 passed, 1 failed, 0 skipped"
exit $rc
