# What the tests of the command share: `. tests/command.sh` with the command as $1.  A test leaves its
# files in $t; its last lines are done_with NAME.
# SPDX-License-Identifier: MIT

[ $# -eq 1 ] || { echo "usage: $0 ICL" >&2; exit 2; }
icl=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
golden=$(cd "$(dirname "$0")" && pwd)/golden
model=$golden/gpt2.safetensors         # d = 5, room for 10 pairs and a query
unbounded=$golden/none.safetensors     # d = 2, no positions: any number of pairs
t=$(mktemp -d) || exit 1
trap 'rm -rf "$t"' EXIT
trap 'exit 1' HUP INT TERM

passed=0 failed=0 skipped=0

# ok NAME COMMAND...: passes if the command succeeds.
ok() {
  name=$1
  shift
  if "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAILED: $name"
    sed 's/^/    stdout: /' "$t/out" 2>/dev/null | head -n 3
    sed 's/^/    stderr: /' "$t/err" 2>/dev/null | head -n 3
  fi
}

skip() {
  skipped=$((skipped + 1))
  echo "skipped: $1"
}

# run ARGS...: the command on $t/in; leaves $t/out, $t/err and $status.
run() {
  "$icl" "$@" <"$t/in" >"$t/out" 2>"$t/err"
  status=$?
}

# input TEXT: what run reads; printf's escapes work.
input() { printf "$1" >"$t/in"; }

exits() { [ "$status" -eq "$1" ]; }
silent() { [ ! -s "$t/$1" ]; }
one_line() { [ "$(wc -l <"$t/$1")" -eq 1 ]; }
says() { grep -q -e "$2" "$t/$1"; }
lines() { [ "$(wc -l <"$t/out")" -eq "$1" ]; }
last_column() { sed 's/.*,//' "$1"; }
same() { cmp -s "$1" "$2"; }

# refuses NAME TEXT ARGS...: exit 1, nothing on stdout, one line with TEXT on stderr.
refuses() {
  name=$1 text=$2
  shift 2
  run "$@"
  ok "$name: exit 1" exits 1
  ok "$name: nothing on stdout" silent out
  ok "$name: one line on stderr" one_line err
  ok "$name: says '$text'" says err "$text"
}

# misused NAME ARGS...: exit 2, nothing on stdout, one line on stderr.
misused() {
  name=$1
  shift
  run "$@"
  ok "$name: exit 2" exits 2
  ok "$name: nothing on stdout" silent out
  ok "$name: one line on stderr" one_line err
}

# done_with NAME: the closing line, and the exit status.
done_with() {
  echo "$1: $passed passed, $failed failed, $skipped skipped"
  [ $failed -eq 0 ]
}
