#!/bin/sh
# examples/05_mpi.c under mpirun: the same bytes from 1, 2 and 3 ranks; all stop after the same step where
# one gets SIGTERM; killed with -9 and resumed, also with another number of ranks; a rank with another
# seed, another state or a folder that is gone ends all of them with a reason.
#
#     tests/test_mpi.sh
#
# Ends with "mpi: N passed, N failed, N skipped"; exit 1 if anything failed.  CC, CFLAGS as in Makefile.
# SPDX-License-Identifier: MIT

cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0 job=
done_with() {
  echo "mpi: $passed passed, $failed failed, $1 skipped"
  [ $failed -eq 0 ]
  exit
}
for tool in mpicc mpirun; do
  command -v $tool > /dev/null || { echo "skipped: no $tool (Debian: openmpi-bin libopenmpi-dev)"; done_with 1; }
done
t=$(mktemp -d) || exit 1
trap '[ -z "$job" ] || kill -KILL $job 2> /dev/null; rm -rf "$t"' EXIT
trap 'exit 1' HUP INT TERM
mpicc -std=gnu99 -O2 -Wall -Wextra -Werror -DICL_TRAIN_THREADS -I. examples/05_mpi.c -lm -lpthread -o "$t/mpi" \
  || { failed=1; done_with 0; }
cd "$t" || exit 1

# More ranks than processors, as root in a container, and none of them spinning.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1
case $(mpirun --version 2>&1) in
  *"Open MPI"*) mpirun="timeout 60 mpirun --oversubscribe --bind-to none" ;;
  *) mpirun="timeout 60 mpirun" ;;
esac

ok() {   # ok NAME COMMAND...: passes if the command succeeds
  name=$1
  shift
  if "$@"; then passed=$((passed + 1)); return; fi
  failed=$((failed + 1))
  echo "FAILED: $name"
  sed 's/^/    /' log | head -n 8
}

# A rank writes its process number beside the files.
cat > rank.sh <<'END'
echo $$ > pid.$1.tmp && mv pid.$1.tmp pid.$1
shift
exec "$@"
END
part() { echo "-n 1 sh rank.sh $1 ./mpi $2 $3 $4"; }   # part PLACE NAME STEPS SEED: one rank

# ranks N NAME STEPS: leaves log and $status
ranks() {
  $mpirun -n "$1" ./mpi "$2" "$3" > log 2>&1
  status=$?
}
# mixed PARTS: ranks that differ
mixed() {
  $mpirun $* > log 2>&1
  status=$?
}
background() { $mpirun $* > log 2>&1 & job=$!; }

same() { cmp "$1.state" "$2.state" && cmp "$1.safetensors" "$2.safetensors"; }
exits() { [ "$status" -eq "$1" ]; }
fails() { [ "$status" -ne 0 ] && [ "$status" -ne 124 ]; }     # 124: somebody waited for ever
said() { [ "$(grep -c -e "$2" log)" -eq "$1" ]; }            # said N TEXT: so many lines

# Waits for a file, 20 s at most.
await() {
  i=0
  while [ ! -e "$1" ] && [ $i -lt 400 ]; do sleep 0.05; i=$((i + 1)); done
  [ -e "$1" ]
}

STEPS=80                           # a state is written every 20
ranks 1 one $STEPS
ok "one rank" exits 0
for n in 2 3; do
  ranks $n "m$n" $STEPS
  ok "$n ranks: exit 0" exits 0
  ok "$n ranks: all done" said $n "ok, step $STEPS"
  ok "$n ranks: the bytes of one" same one "m$n"
done

# SIGTERM to rank 1 only.
background "$(part 0 stop $STEPS 0) : $(part 1 stop $STEPS 0)"
await stop.state && await pid.1 && kill -TERM "$(cat pid.1)"
wait $job
status=$? job=
ok "stop: exit 0" exits 0
ok "stop: before the end" said 0 "step $STEPS"
ok "stop: both after the same step" [ "$(sed -n 's/.*ok, step //p' log | sort -u | wc -l)" -eq 1 ]
rm -f pid.*
ranks 3 stop $STEPS
ok "stop: three go on to the same bytes" same one stop

# kill -9 of rank 1: mpirun ends the other.
background "$(part 0 kill $STEPS 0) : $(part 1 kill $STEPS 0)"
await kill.state && await pid.1 && kill -KILL "$(cat pid.1)"
wait $job
status=$? job=
ok "kill: fails" fails
ok "kill: nobody was done" said 0 "ok, step"
rm -f pid.*
cp kill.state older.state
ranks 3 kill $STEPS
ok "kill: three go on" exits 0
ok "kill: to the same bytes" same one kill
ranks 1 older $STEPS
ok "kill: one goes on to the same bytes" same one older

# Ranks that do not belong together.
mixed "$(part 0 odd $STEPS 0) : $(part 1 odd $STEPS 7)"
ok "another seed: fails" fails
ok "another seed: both say who" said 2 "rank 1 has seed 7, rank 0 has seed 0"
mixed "$(part 0 odd 60 0) : $(part 1 odd 60 0) : $(part 2 odd 70 0)"
ok "other steps: fails" fails
ok "other steps: all say who" said 3 "rank 2 has steps 70, rank 0 has steps 60"
mixed "$(part 0 one $STEPS 0) : $(part 1 new $STEPS 0)"
ok "an older state: fails" fails
ok "an older state: both say where" said 2 "rank 1 is at step 0, rank 0 at $STEPS"
head -c 1000 one.state > bad.state
mixed "$(part 0 one $STEPS 0) : $(part 1 bad $STEPS 0)"
ok "a damaged state: fails" fails
ok "a damaged state: both say so" said 2 "rank 1: .*the training state is damaged"
ok "nothing was written" same one m2

# A folder that is not there, and one that goes away.
ranks 2 gone/out $STEPS
ok "no folder: fails" fails
ok "no folder: both say so" said 2 "cannot lock"
mkdir gone
background -n 2 ./mpi gone/out $STEPS
await gone/out.state && rm -rf gone
wait $job
status=$? job=
ok "failed save: fails" fails
ok "failed save: rank 1 knows" said 1 "rank 1: rank 0: cannot create"
ok "failed save: after the last step" said 2 "step $STEPS\$"

done_with 0
