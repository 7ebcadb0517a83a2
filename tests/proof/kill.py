#!/usr/bin/env python3
"""kill -9 of a small training run, at random moments and at every system call.

    tests/proof/kill.py build/icl [N]       N kills at random moments (10000), and one at each system call

A killed run is resumed, killed again, and so on to its end, which must have the bytes of an undisturbed run,
and nothing else in the folder: no temporary file, no lock.  Closing line "kill: N passed, N failed, N
skipped"; each kill is one that passed, once the run that it was part of has ended as it should."""
import os
import random
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import faults                                               # noqa: E402

MADE = ('m.st', 'm.st.state', 'm.st.config')


def start(bench, args):
    """The process's number; it says nothing."""
    quiet = [(os.POSIX_SPAWN_OPEN, fd, '/dev/null', os.O_RDWR, 0) for fd in (0, 1, 2)]
    return os.posix_spawn(bench.icl, [bench.icl] + args, os.environ, file_actions=quiet)


def wrong_end(bench, status, after):
    """What is wrong with a run that ended by itself, or None."""
    if status != 0:
        return 'status %d' % status
    now = bench.files()
    for name in MADE:
        if now.get(name) != after[name]:
            return name + ' has other bytes'
    extra = set(now) - set(MADE)
    return extra.pop() + ' is left' if extra else None


def strike_at(bench, args, moment, kill):
    """A run that is killed after so many seconds.  Its status, or None: it was killed."""
    pid = start(bench, args)
    if kill:
        time.sleep(moment)
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    return None if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)


def at_random(bench, args, after, n, rng):
    """Moments are drawn from 0 to `length` seconds, which finds by itself how long a run takes here: most runs
    are killed, some end before."""
    length, kills, chain, ended, left = 0.02, 0, 0, 0, 0
    bench.fill({})
    while kills < n or chain:
        status = strike_at(bench, args, rng.random() * length, kills < n)
        if status is None:
            kills, chain, length = kills + 1, chain + 1, 1.01 * length
            left += any('.tmp.' in name for name in os.listdir(bench.folder))
            if kills % 1000 == 0:
                print('%d kills, %d of them left a temporary file; %d runs ended' % (kills, left, ended), flush=True)
            continue
        why = wrong_end(bench, status, after)
        if faults.report(not why, 'after %d kills' % chain, why):
            faults.passed += chain
        ended, chain, length = ended + 1, 0, 0.95 * length
        bench.fill({})
    print('%d kills at random moments, %d runs that ended; a temporary file was there after %d kills'
          % (kills, ended, left))


def at_each_call(bench, args, before, after, log):
    if os.path.exists(log):
        os.unlink(log)
    bench.fill(before)
    if bench.run(args, env={'SHIM_LOG': log})[0] == faults.UNAVAILABLE:
        faults.skip('system calls: no seccomp filter here')
        return
    with open(log, 'rb') as f:
        calls = [line.split(b' ', 1)[0].decode() for line in f]
    for i in range(1, len(calls) + 1):
        bench.fill(before)
        status = bench.run(args, env={'SHIM_FAULT': 'any:%d:kill' % i})[0]
        why = 'status %s, not killed' % status if status != -signal.SIGKILL else None
        if not why:
            why = wrong_end(bench, bench.run(args)[0], after)
        faults.report(not why, 'killed at call %d, %s' % (i, calls[i - 1]), why)
    print('%d kills, one at each system call' % len(calls), flush=True)


def main():
    if not 2 <= len(sys.argv) <= 3:
        raise SystemExit('usage: kill.py ICL [N]')
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 10000
    seed = int(os.environ.get('SEED', time.time()))
    scratch = tempfile.mkdtemp()                           # on a disk: fsync takes its time
    try:
        faults.build_shim(scratch)
        os.mkdir(os.path.join(scratch, 'run'))
        bench = faults.Bench(os.path.abspath(sys.argv[1]), os.path.join(scratch, 'run'))
        os.chdir(bench.folder)
        args = faults.TRAIN + ['--resume', '--threads', '2']
        args[args.index('--save-every') + 1] = '1'
        bench.fill({})
        bench.run(args)
        after = bench.files()
        half = list(args)
        half[half.index('--steps') + 1] = '2'
        bench.fill({})
        bench.run(half)
        halfway = bench.files()
        for before in ({}, halfway):
            at_each_call(bench, args, before, after, os.path.join(scratch, 'log'))
        print('seed %d' % seed, flush=True)
        at_random(bench, args, after, n, random.Random(seed))
    finally:
        os.chdir('/')
        shutil.rmtree(scratch)
    print('kill: %d passed, %d failed, %d skipped' % (faults.passed, faults.failed, faults.skipped))
    return faults.failed > 0


if __name__ == '__main__':
    sys.exit(main())
