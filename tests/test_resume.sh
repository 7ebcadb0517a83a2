#!/bin/sh
# A training run that is killed at any moment, resumed, killed again, and so on to its end, leaves
# the same bytes as one that nobody disturbed: checkpoint and training state, whatever the number of
# threads.
#
#     tests/test_resume.sh build/icl
#
# With strace, it is also killed at each single system call of a save.
# Ends with "resume: N passed, N failed, N skipped"; exit 1 if anything failed.
# SPDX-License-Identifier: MIT

[ $# -eq 1 ] || { echo "usage: $0 ICL" >&2; exit 2; }
icl=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
t=$(mktemp -d) || exit 1
pid=
trap '[ -z "$pid" ] || kill -KILL $pid 2>/dev/null; rm -rf "$t"' EXIT
trap 'exit 1' HUP INT TERM
cd "$t" || exit 1

how= passed=0 failed=0 skipped=0

pass() { passed=$((passed + 1)); }
fault() {
  failed=$((failed + 1))
  echo "FAILED: $1"
  [ ! -s err ] || sed 's/^/    stderr: /' err | tail -n 3
}
skip() { skipped=$((skipped + 1)); echo "skipped: $1"; }

# ok NAME COMMAND...: passes if the command succeeds
ok() {
  name=$1
  shift
  if "$@"; then pass; else fault "$name"; fi
}

# The run: everything that can change from step to step does.
train() {   # train STEPS OUT OPTIONS...
  steps=$1 out=$2
  shift 2
  $how "$icl" train --task '0.5*dense + 0.5*noisy(sparse(nnz=2), sd=0.1)' --dims 3 --pairs 9 \
    --layers 2 --heads 2 --width 16 --batch 15 --steps "$steps" --lr 0.003 --schedule cosine \
    --warmup 20 --clip 1 --weight-decay 0.01 --dims-start 1 --dims-every 50 --pairs-start 3 \
    --pairs-every 40 --seed 5 --save-every 5 -o "$out" "$@" > out 2> err
}

# same A B: their checkpoints and states are the same bytes
same() { cmp "$1" "$2" && cmp "$1.state" "$2.state"; }

# Numbers from 0 to $1 - 1, from a seed that a failure prints
seed=$(date +%s)$$
random() {
  seed=$(awk -v s="$seed" 'BEGIN { srand(s % 1000003); printf "%d", rand() * 1000000007 }')
  echo $((seed % $1))
}

# start STEPS OUT OPTIONS...: in the background.  The command itself is $pid, not a shell around it.
start() { how=exec; train "$@" & pid=$!; how=; }

# ----- the undisturbed runs ----------------------------------------------------------------------

ok "the whole run" train 500 whole.safetensors --threads 2
ok "the short run" train 40 short.safetensors --threads 1

# ----- kill -9 at random moments -----------------------------------------------------------------

first_seed=$seed kills=0 attempt=0
while [ $attempt -lt 8 ]; do
  attempt=$((attempt + 1))
  threads=$((attempt % 3 + 1))
  n=$(random 60)
  start 500 killed.safetensors --resume --threads $threads
  sleep "$(printf '0.%03d' $((n + 5)))"
  kill -KILL $pid 2>/dev/null
  wait $pid 2>/dev/null
  status=$?
  pid=
  [ $status -ne 137 ] || kills=$((kills + 1))
  case $status in 0 | 137) ;; *) fault "killed and resumed: exit $status (seed $first_seed)" ;; esac
  [ $status -ne 0 ] || break
done
if [ $kills -gt 0 ]; then
  what="kill -9, $kills times (seed $first_seed)"
  ok "$what: resumes" train 500 killed.safetensors --resume --threads 2
  ok "$what: the same bytes" same killed.safetensors whole.safetensors
else
  skip "kill -9: training was faster than its killer"
fi

# ----- signals -----------------------------------------------------------------------------------

# interrupt NAME SIGNAL TIMES: after the first save; then with another number of threads to the end
interrupt() {
  start 500 "$1.safetensors" --threads 1
  i=0
  while [ ! -f "$1.safetensors.state" ] && [ $i -lt 6000 ]; do sleep 0.01; i=$((i + 1)); done
  i=0
  while [ $i -lt "$3" ]; do kill -"$2" $pid 2>/dev/null; i=$((i + 1)); done
  wait $pid 2>/dev/null
  status=$?
  pid=
  if [ $status -eq 0 ]; then skip "$1: training was faster than the signal"; return; fi
  case $1-$status in
    *-130 | twice-143) pass ;;
    *) fault "$1: exit $status, expected 130" ;;
  esac
  ok "$1: resumes" train 500 "$1.safetensors" --resume --threads 2
  ok "$1: the same bytes" same "$1.safetensors" whole.safetensors
}

interrupt interrupted INT 1
interrupt terminated TERM 1
interrupt twice INT 2
interrupt hangup HUP 1
interrupt user1 USR1 1
interrupt user2 USR2 1

# ----- kill -9 at every system call of a save ----------------------------------------------------

# strike CALL N: dies at the N-th of these calls.  0: it did, and the resumed run ended with the same
# bytes; 2: there was no such call
strike() {
  rm -f struck.safetensors*
  cp before.safetensors.state struck.safetensors.state
  icl_alone=$icl
  icl=strike_icl call=$1 when=$2
  train 40 struck.safetensors --resume --threads 1 2>/dev/null
  status=$?
  icl=$icl_alone
  [ $status -ne 0 ] || return 2
  train 40 struck.safetensors --resume --threads 1 && same struck.safetensors short.safetensors
}
strike_icl() {
  strace -qq -o strace.log -e "trace=$call" -e "inject=$call:signal=KILL:when=$when" \
    "$icl_alone" "$@"
}

if strace -qq -o /dev/null -e trace=none true 2>/dev/null; then
  start 40 before.safetensors --threads 1                   # a state from the middle
  i=0
  while [ ! -f before.safetensors.state ] && [ $i -lt 200 ]; do sleep 0.01; i=$((i + 1)); done
  kill -INT $pid 2>/dev/null
  wait $pid 2>/dev/null
  pid=
  for call in unlink rename fsync write close; do
    case $call in write) last=14 ;; close) last=8 ;; *) last=4 ;; esac
    n=0 bad=0 kills=0
    while [ $n -lt $last ]; do
      n=$((n + 1))
      strike $call $n 2>/dev/null
      case $? in 0) kills=$((kills + 1)) ;; 2) break ;; *) bad=$((bad + 1)) ;; esac
    done
    if [ $bad -gt 0 ]; then fault "killed at $call: $bad of $n times other bytes after --resume"
    elif [ $kills -gt 0 ]; then pass
    else skip "killed at $call: the run makes no such call"; fi
  done
else
  skip "kills at every system call: strace is missing or may not trace"
fi

# ----- faults that are no end ----------------------------------------------------------------------

# faulty NAME OUT INJECT...: the run of 40 steps, saved every 5, under strace's faults, ends with the
# same bytes
faulty() {
  name=$1 out=$2
  shift 2
  icl_alone=$icl inject=$*
  icl=faulty_icl
  train 40 "$out" --threads 1
  status=$?
  icl=$icl_alone
  ok "$name: exit 0" [ $status = 0 ]
  ok "$name: the same bytes" same "$out" short.safetensors
}
faulty_icl() { strace -qq -f -o strace.log $inject "$icl_alone" "$@"; }

if strace -qq -o /dev/null -e trace=none true 2>/dev/null; then
  faulty "folders cannot be flushed" nofolder.safetensors -e trace=fsync -e inject=fsync:error=EINVAL:when=2+2
  faulty "permissions cannot be set" nochmod.safetensors -e trace=fchmod -e inject=fchmod:error=EPERM
  faulty "the disk is full for a while" full.safetensors -e trace=fsync -e inject=fsync:error=ENOSPC:when=5..7
  ok "the disk is full for a while: said" grep -q 'No space left on device; training goes on' err
  faulty "signals in system calls" again.safetensors -e trace=fsync,rename \
    -e inject=fsync:error=EINTR:when=3 -e inject=rename:error=EINTR:when=4
  rm -f nofolder.* nochmod.* full.* again.*
else
  skip "faults that are no end: strace is missing or may not trace"
fi

# A limit on the size of files is an error, not the end of the process; and nothing stays.
(ulimit -f 1; train 40 limited.safetensors --threads 1)
status=$?
ok "ulimit -f: exit 1" [ $status = 1 ]
ok "ulimit -f: says why" grep -q 'File too large' err
ok "ulimit -f: leaves nothing" sh -c '! ls | grep limited'

# What a killed save left is removed by the next run.
start 500 litter.safetensors --threads 1
i=0
while [ ! -f litter.safetensors.state ] && [ $i -lt 6000 ]; do sleep 0.01; i=$((i + 1)); done
kill -KILL $pid 2>/dev/null
wait $pid 2>/dev/null
pid=
for file in litter.safetensors litter.safetensors.state; do
  echo half > $file.tmp.0123456789abcdef
  echo mine > $file.tmp.mine
done
train 500 litter.safetensors --resume --threads 1
ok "left-over temporary files go" [ ! -e litter.safetensors.tmp.0123456789abcdef ]
ok "left-over temporary files go, of the state" [ ! -e litter.safetensors.state.tmp.0123456789abcdef ]
ok "other files stay" cmp -s litter.safetensors.tmp.mine litter.safetensors.state.tmp.mine
ok "left-over temporary files: the same bytes" same litter.safetensors whole.safetensors
rm -f litter.*

# A pipe in place of the state.
if mkfifo pipe.safetensors.state 2>/dev/null; then
  train 40 pipe.safetensors --resume --threads 1 & pid=$!
  i=0
  while kill -0 $pid 2>/dev/null && [ $i -lt 1000 ]; do sleep 0.01; i=$((i + 1)); done
  ok "a pipe as the state: no waiting" [ $i -lt 1000 ]
  kill -KILL $pid 2>/dev/null
  wait $pid 2>/dev/null
  status=$?
  pid=
  ok "a pipe as the state: exit 1" [ $status = 1 ]
  ok "a pipe as the state: said" grep -q 'not a regular file' err
  rm -f pipe.*
fi

# --force puts the new state over the old one only when it is there.
cp whole.safetensors.state forced.safetensors.state
cp whole.safetensors forced.safetensors
(ulimit -f 1; train 40 forced.safetensors --force --threads 1)
ok "--force on a full disk keeps the old files" same forced.safetensors whole.safetensors
rm -f forced.*

# ----- two at once -------------------------------------------------------------------------------

# Two processes on the same files: the second one says who has them, and touches nothing.
start 500 twins.safetensors --force --threads 1
i=0
while [ ! -f twins.safetensors.state ] && [ $i -lt 6000 ]; do sleep 0.01; i=$((i + 1)); done
kill -STOP $pid
for how_again in --resume --force; do
  cp twins.safetensors.state seen.state
  train 500 twins.safetensors $how_again --threads 2
  second=$?
  ok "two at once: the second one is refused, $how_again" [ $second = 1 ]
  ok "two at once: it names the first, $how_again" grep -q "in use by process $pid on " err
  ok "two at once: the state is as it was, $how_again" cmp -s twins.safetensors.state seen.state
done
kill -CONT $pid
wait $pid
first=$?
pid=
ok "two at once: the first one ends" [ $first = 0 ]
ok "two at once: the same bytes" same twins.safetensors whole.safetensors
ok "two at once: no lock is left" [ ! -e twins.safetensors.state.lock ]
rm -f seen.state

# Nothing is left but what was asked for, wherever nobody was killed (a second signal kills).
rm -f killed.* struck.* twice.*
ok "no temporary files" sh -c '! ls | grep tmp'

echo "resume: $passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
