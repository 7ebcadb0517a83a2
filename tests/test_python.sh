#!/bin/sh
# The Python binding as its users get it: pip install tools/python into an environment of its own, then
# tests/python/test_icl.py there, with scikit-learn's check_estimator, and the example.
#
#     tests/test_python.sh build/icl
#
# Ends with "python: N passed, N failed, N skipped"; exit 1 if anything failed.
# SPDX-License-Identifier: MIT

cd "$(dirname "$0")/.." || exit 1
icl=${1:-build/icl} env=build/python
skip() { echo "skipped  python: $1"; echo "python: 0 passed, 0 failed, 1 skipped"; exit 0; }
broken() { echo "FAILED   python: $1"; tail -n 12 build/python.log; echo "python: 0 passed, 1 failed, 0 skipped"; exit 1; }

command -v python3 > /dev/null || skip "needs python3"
mkdir -p build
if [ ! -x $env/bin/python ]; then
  python3 -m venv $env > build/python.log 2>&1 || skip "needs python3-venv"
fi
$env/bin/python -c 'import numpy, sklearn' 2> /dev/null || $env/bin/pip install -q numpy scikit-learn > build/python.log 2>&1 \
  || $env/bin/pip install -q numpy >> build/python.log 2>&1 || skip "needs numpy from pip"
$env/bin/pip install -q --force-reinstall --no-deps tools/python > build/python.log 2>&1 || broken "pip install tools/python"
rm -rf tools/python/build tools/python/*.egg-info
${CC:-cc} -std=c99 -O2 -Wall -Wextra -fPIC -shared tests/python/loop.c -o build/python-loop.so || exit 1
grep -m 1 'model name' /proc/cpuinfo 2> /dev/null
PATH="$PWD/$env/bin:$PATH" $env/bin/python tests/python/test_icl.py "$icl" build/python-loop.so .
