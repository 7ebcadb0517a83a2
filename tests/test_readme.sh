#!/bin/sh
# Every program and command line of README.md and docs: see readme.py.
# SPDX-License-Identifier: MIT
cd "$(dirname "$0")/.." || exit 1
if command -v python3 > /dev/null; then python3 tests/readme.py "$@"
else echo 'skipped  readme: needs python3'; echo 'readme: 0 passed, 0 failed, 1 skipped'; fi
