#!/usr/bin/env python3
"""The command under faults: each system call that a run makes fails once with each errno of the table, and
from then on; a full disk, limits, closed descriptors, another locale, another clock.

    tests/proof/faults.py build/icl            everything
    tests/proof/faults.py build/icl --short    CI: the first and the last call of each kind, less of the rest

A run under a fault must end by itself, with 0 and the output of an undisturbed run, or with 1 and a text on
stderr.  Every file is the old one or the new one; nothing else is left in the folder; a training run that is
resumed afterwards ends with the bits of an undisturbed one.  Closing line "faults: N passed, N failed, N
skipped"."""
import errno
import fcntl
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHIM, UNAVAILABLE, LIMIT = None, 77, 60      # seconds: longer is a hang

# What each call may say.  "short": one byte is read or written.
TABLE = {
    'openat': 'EACCES EMFILE ENOSPC EROFS EIO ENOMEM EINTR EDQUOT ENOENT',
    'read': 'EIO EINTR EAGAIN short',
    'pread': 'EIO EINTR short',
    'write': 'EIO ENOSPC EINTR EAGAIN EDQUOT EFBIG short',
    'close': 'EIO ENOSPC EINTR EDQUOT',
    'fsync': 'EIO ENOSPC EINTR EDQUOT EROFS',
    'rename': 'EIO ENOSPC EACCES EROFS EINTR EDQUOT EXDEV',
    'unlink': 'EIO EACCES EROFS',
    'newfstatat': 'EIO EACCES ENOMEM EOVERFLOW',
    'lseek': 'EIO EINVAL',
    'mmap': 'ENOMEM EAGAIN', 'mremap': 'ENOMEM', 'brk': 'ENOMEM',
    'ftruncate': 'EIO EINTR',
    'fchmod': 'EPERM EROFS EIO EINTR',
    'flock': 'EINTR ENOLCK ENOSYS',
    'fcntl': 'EMFILE EINTR',
    'ioctl': 'EIO',
    'readlink': 'EIO EACCES ENOMEM',
    'access': 'EIO EACCES ENOMEM', 'faccessat': 'EIO EACCES', 'faccessat2': 'EIO EACCES',
    'getdents64': 'EIO ENOENT',
    'getrandom': 'ENOSYS EAGAIN EINTR',
    'uname': 'EFAULT',
    'sched_getaffinity': 'EINVAL ENOSYS',
    'dup': 'EMFILE',
    'pthread_create': 'EAGAIN',
}
# ... and goes on to say.  Not EINTR, which is there to be tried again.
FOR_EVER = {'openat': 'EMFILE EIO', 'write': 'ENOSPC EIO', 'read': 'EIO short', 'fsync': 'EIO', 'mmap': 'ENOMEM',
            'brk': 'ENOMEM', 'rename': 'EACCES', 'newfstatat': 'EIO', 'close': 'EIO', 'unlink': 'EROFS'}

passed = failed = skipped = 0
tally = {}


def report(good, what, why=''):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print('FAILED: %s%s' % (what, ': ' + why if why else ''))
    return good


def skip(what):
    global skipped
    skipped += 1
    print('skipped: ' + what)


class Case:
    """A command, the files that it reads, those that it writes, and what is there before."""

    def __init__(self, name, args, inputs=(), outputs=(), old=False, stdin=None, resumes=None, refuses=None,
                 good=0):
        self.name, self.args, self.inputs, self.outputs = name, args, tuple(inputs), tuple(outputs)
        self.old, self.stdin, self.resumes, self.refuses = old, stdin, resumes, refuses
        self.good = 1 if refuses else good             # the status without a fault
        self.before, self.after, self.stdout = {}, {}, b''


class Bench:
    """A folder for the runs, and the files that they start from."""

    def __init__(self, icl, folder):
        self.icl, self.folder, self.store = icl, folder, {}

    def fill(self, names):
        for entry in os.listdir(self.folder):
            os.unlink(os.path.join(self.folder, entry))
        for name, data in names.items():
            with open(os.path.join(self.folder, name), 'wb') as f:
                f.write(data)

    def files(self):
        out = {}
        for entry in os.listdir(self.folder):
            with open(os.path.join(self.folder, entry), 'rb') as f:
                out[entry] = f.read()
        return out

    def run(self, args, stdin=None, env=None, limits=(), **descriptors):
        """(status, stdout, stderr); status None: it did not end."""
        extra = dict(os.environ)
        extra.update(env or {})
        if env and any(k.startswith('SHIM') for k in env):
            extra['LD_PRELOAD'] = SHIM
        before = (lambda: [resource.setrlimit(k, (v, v)) for k, v in limits]) if limits else None
        p = subprocess.Popen([self.icl] + args, cwd=self.folder, env=extra, preexec_fn=before,
                             stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                             stdout=descriptors.get('stdout', subprocess.PIPE),
                             stderr=descriptors.get('stderr', subprocess.PIPE))
        try:
            out, err = p.communicate(stdin, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            p.kill()
            p.communicate()
            return None, b'', b''
        return p.returncode, out or b'', err or b''


TRAIN = ['train', '--task', 'noisy(dense, sd=0.1)', '--dims', '1', '--pairs', '3', '--layers', '1', '--heads', '1',
         '--width', '2', '--batch', '2', '--steps', '4', '--lr', '0.01', '--warmup', '1', '--save-every', '2',
         '--seed', '5', '--schedule', 'constant', '--quantiles', '0.05,0.5,0.95', '-o', 'm.st']
CSV = b'x,y\n0.5,1\n1.5,2.25\n2.5,2.75\n-0.5,-1\n0.75,\n1.25,\n'


def make_cases(bench):
    """The cases, with what an undisturbed run makes of each."""
    made = ('m.st', 'm.st.state', 'm.st.config')
    again = TRAIN + ['--resume', '--threads', '1']
    bench.fill({})
    assert bench.run(TRAIN)[0] == 0
    trained = bench.files()
    bench.fill({})
    half = list(TRAIN)
    half[half.index('--steps') + 1] = '3'
    assert bench.run(half)[0] == 0
    halfway = bench.files()
    bench.fill({})
    store = {'in.st': trained['m.st'], 'in.csv': CSV}
    cases = [
        Case('train', TRAIN + ['--threads', '2'], (), made, resumes=again),
        Case('train --resume', again, (), made, old=halfway, resumes=again),
        Case('train --force', TRAIN + ['--force', '--threads', '1'], (), made, old=trained, resumes=again),
        Case('predict', ['predict', 'in.st', 'in.csv', '--raw'], ('in.st', 'in.csv')),
        Case('predict < stdin', ['predict', 'in.st', '-', '--raw'], ('in.st',), stdin=CSV),
        Case('predict --plot svg', ['predict', 'in.st', 'in.csv', '--plot', 'p.svg'], ('in.st', 'in.csv'), ('p.svg',)),
        Case('predict --plot png', ['predict', 'in.st', 'in.csv', '--plot', 'p.png', '--force'], ('in.st', 'in.csv'),
             ('p.png',), old={'p.png': b'an old picture'}),
        Case('predict, bundled', ['predict', 'in.csv'], ('in.csv',)),
        Case('check', ['check', 'in.st', 'in.csv'], ('in.st', 'in.csv'), good=3),        # a rival is better
        Case('info', ['info', 'in.st'], ('in.st',)),
        Case('quantize', ['quantize', 'in.st', '--dtype', 'i8', '-o', 'q.st'], ('in.st',), ('q.st',)),
        Case('quantize --force', ['quantize', 'in.st', '--dtype', 'f16', '-o', 'q.st', '--force'], ('in.st',), ('q.st',),
             old={'q.st': b'an old file'}),
        Case('quantize, refused', ['quantize', 'in.st', '--dtype', 'f16', '-o', 'q.st'], ('in.st',), ('q.st',),
             old={'q.st': b'an old file'}, refuses='q.st'),
        Case('train, refused', TRAIN, (), made, old={'m.st': b'a model of months', 'm.st.state': b'its state'},
             refuses='m.st'),
        Case('embed', ['embed', 'in.st', '-o', 'e.h'], ('in.st',), ('e.h',)),
        Case('eval', ['eval', 'in.st', '--task', 'dense', '--pairs', '3', '--prompts', '4', '--seed', '1', '--baselines',
                      'ols,knn:3', '--plot', 'e.svg'], ('in.st',), ('e.svg',)),
        Case('sample', ['sample', '--task', 'dense', '--dims', '1', '--pairs', '3', '--seed', '1'], ()),
        Case('train --data', ['train', '--data', 'd.csv', '--pairs', '3', '--layers', '1', '--heads', '1', '--width', '2',
                              '--batch', '1', '--steps', '2', '--seed', '1', '--log', 'd.log', '-o', 'm.st'], ('d.csv',),
             made + ('d.log',)),
    ]
    store['d.csv'] = b'function_id,x1,y\n' + b''.join(
        b'%d,%d,%d\n' % (f, k, f * k) for f in range(1, 11) for k in range(4))
    for c in cases:
        c.before = {n: store[n] for n in c.inputs}
        c.before.update(c.old or {})
        bench.fill(c.before)
        status, c.stdout, err = bench.run(c.args, c.stdin)
        c.after = bench.files()
        if not report(status == c.good, c.name + ' without a fault', err.decode()):
            raise SystemExit(1)
    return cases


def new_bytes(c, name, data):
    """1 if data are what a run may have put there: a training run also has states on the way."""
    if data == c.after.get(name) or name.endswith('.log'):             # seconds are in the log
        return True
    return name.endswith('.state') and data[:8] == b'ICLTRN03'      # whole: the resumed run proves it


def fault_in_result(c, bench, result, lies_still=False, speechless=False):
    """What is wrong with a run's end, or None.  lies_still: removing files failed."""
    status, out, err = result
    if status is None:
        return 'it did not end'
    if status == 127 and b'error while loading shared libraries' in err:
        return None                                        # it did not begin
    good = status == c.good and not c.refuses
    if not good and status != 1:                           # nor bad usage: that was none
        return 'status %d, %s' % (status, err.decode(errors='replace')[-200:])
    if not good and b'icl: ' not in err and not speechless:
        return 'no message: %r' % err[-200:]
    if good and out != c.stdout:
        return 'a good status, but another output'
    if not c.stdout.startswith(out):
        return 'wrong output: %r' % out[-80:]
    now = bench.files()
    for name in c.before:
        if name not in now:
            return name + ' is gone'
    for name, data in now.items():
        if c.refuses and name in c.before:
            if data != c.before[name]:
                return '%s was overwritten without --force' % name
        elif name in c.inputs:
            if data != c.before[name]:
                return name + ' was changed'
        elif name in c.outputs:
            if data != c.before.get(name) and not new_bytes(c, name, data):
                return '%s is neither old nor new, %d bytes' % (name, len(data))
            if good and not name.endswith('.log') and data != c.after[name]:
                return 'a good status, but %s differs' % name
        elif not lies_still:
            return name + ' is left'
    if good and set(c.outputs) - set(now):
        return 'a good status, but a file is missing'
    return None


def fault_after_resume(c, bench):
    """A training run goes on after the fault, to the same bits."""
    if not c.resumes:
        return None
    now = bench.files()
    args = c.resumes
    if 'm.st' in now and 'm.st.state' not in now:
        return 'a model without its state'
    status, _, err = bench.run(args)
    if status != 0:
        return 'cannot be resumed: ' + err.decode(errors='replace')[-200:]
    now = bench.files()
    for name in ('m.st', 'm.st.state'):
        if now.get(name) != c.after[name]:
            return 'resumed, but %s has other bits' % name
    extra = set(now) - set(c.outputs)
    return 'resumed, and %s is left' % extra.pop() if extra else None


def calls_of(c, bench, log):
    """How often the undisturbed run makes each call."""
    bench.fill(c.before)
    if os.path.exists(log):
        os.unlink(log)
    status, _, _ = bench.run(c.args, c.stdin, {'SHIM_LOG': log})
    if status == UNAVAILABLE:
        return None
    counts = {}
    with open(log, 'rb') as f:
        for line in f:
            name = line.split(b' ', 1)[0].decode()
            counts[name] = counts.get(name, 0) + 1
    return counts


def faults_for(counts, short):
    """(call, 'N' or 'N+', errno) for every call of a run."""
    for call in sorted(counts):
        n = counts[call]
        if call not in TABLE:
            raise SystemExit('faults.py: no errno for ' + call)
        which = list(range(1, n + 1)) if not short else sorted({1, n // 2 + 1, n})
        for i in which:
            for e in TABLE[call].split()[::2 if short else 1]:
                yield call, str(i), e
            for e in FOR_EVER.get(call, '').split()[:1 if short else None]:
                yield call, '%d+' % i, e


def strike(c, bench, call, n, e):
    fault = '%s:%s:%s' % (call, n, e if e == 'short' else getattr(errno, e))
    bench.fill(c.before)
    result = bench.run(c.args, c.stdin, {'SHIM_FAULT': fault})
    why = fault_in_result(c, bench, result, lies_still=call == 'unlink' or n.endswith('+'),
                          speechless=call == 'write')
    if not why:
        why = fault_after_resume(c, bench)
    tally.setdefault(call, [0, 0])[0 if result[0] == c.good else 1] += 1
    report(not why, '%s, %s number %s: %s' % (c.name, call, n, e), why)


def system_calls(cases, bench, log, short):
    for c in cases:
        counts = calls_of(c, bench, log)
        if counts is None:
            skip('system calls: no seccomp filter here')
            return
        began, so_far = time.time(), passed + failed
        for call, n, e in faults_for(counts, short):
            strike(c, bench, call, n, e)
        print('%-20s %5d faults, %4.0f s' % (c.name, passed + failed - so_far, time.time() - began), flush=True)
    print('call                 survived  refused')
    for call in sorted(tally):
        print('%-20s %8d %8d' % (call, *tally[call]))


def best_of_a_run(bench, log):
    """Each rename of a run with --keep-best fails once.  A best that is not written makes no difference where a
    better one follows; where it stays the best, the command says so and exits 1, and OUT is the best of the
    others."""
    args = TRAIN + ['--keep-best', '--eval-every', '4', '--eval-prompts', '64', '--threads', '1']
    args[args.index('--steps') + 1] = '32'
    case = Case('train --keep-best', args)
    counts = calls_of(case, bench, log)
    if counts is None:
        skip('a best that is not written: no seccomp filter here')
        return
    whole, ends = bench.files(), set()
    for n in range(1, counts['rename'] + 1):
        bench.fill({})
        status, _, err = bench.run(args, env={'SHIM_FAULT': 'rename:%d:%d' % (n, errno.EIO)})
        if b'goes on without these weights' not in err:
            continue
        ends.add(status)
        now = bench.files()
        why = None
        if 'm.st' not in now or set(now) - set(whole):
            why = 'files: %s' % sorted(now)
        elif status == 0 and now['m.st'] != whole['m.st']:
            why = 'a good status, but another model'
        elif status == 1 and (b'whose error is the least' not in err or now['m.st'] == whole['m.st']):
            why = repr(err[-200:])
        elif status not in (0, 1):
            why = 'status %s' % status
        report(not why, 'a best that is not written, rename number %d' % n, why)
    report(ends == {0, 1}, 'a best that is not written: both ends', 'ends: %s' % ends)


# ----- surroundings -------------------------------------------------------------------------------


def under(cases, bench, what, same=False, lies_still=False, speechless=False, **how):
    """Each case in other surroundings; same: nothing may change."""
    for c in cases:
        bench.fill(c.before)
        result = bench.run(c.args, c.stdin, **how)
        why = fault_in_result(c, bench, result, lies_still, speechless)
        if not why and same and result[0] != c.good:
            why = 'status %s: %s' % (result[0], result[2].decode(errors='replace')[-200:])
        if not why and how.get('stdout') is None and how.get('stderr') is None:
            why = fault_after_resume(c, bench)
        report(not why, '%s, %s' % (c.name, what), why)


def limits(cases, bench, short):
    step = 4 if short else 1
    for kib in range(0, 9, step):
        under(cases, bench, 'ulimit -f %d' % kib, limits=[(resource.RLIMIT_FSIZE, 1024 * kib)])
    for n in range(3, 10, step):
        under(cases, bench, 'ulimit -n %d' % n, speechless=n < 4, limits=[(resource.RLIMIT_NOFILE, n)])
    for kib in (64, 96, 128, 256)[::step // 2 or 1]:
        under(cases, bench, 'ulimit -s %d' % kib, limits=[(resource.RLIMIT_STACK, 1024 * kib)])
    for mib in range(4, 41, 12 if short else 2):
        under(cases, bench, 'ulimit -v %d' % mib, speechless=True, limits=[(resource.RLIMIT_AS, mib << 20)])


def descriptors(cases, bench):
    for closed in ('0', '1', '2', '01', '02', '12', '012'):
        for c in cases:
            bench.fill(c.before)
            line = ' '.join(d + ('<&-' if d == '0' else '>&-') for d in closed)
            p = subprocess.run(['sh', '-c', 'exec "$@" ' + line, 'sh', bench.icl] + c.args, cwd=bench.folder,
                               input=c.stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT)
            result = p.returncode, p.stdout, p.stderr
            if '1' in closed and result[0] == c.good and c.stdout:
                why = 'status 0, and the output is lost'
            elif '1' in closed and result[0] == c.good and not c.refuses:
                why = fault_in_result(c, bench, (c.good, c.stdout, b''))
            else:
                why = fault_in_result(c, bench, result, speechless='2' in closed)
            report(not why, '%s, %s' % (c.name, line), why)
    with open('/dev/full', 'wb') as full:
        for c in cases:
            bench.fill(c.before)
            status, _, err = bench.run(c.args, c.stdin, stdout=full)
            why = None
            if c.stdout and (status != 1 or b'No space left' not in err):
                why = 'status %s, %r' % (status, err[-100:])
            elif not c.stdout:
                why = fault_in_result(c, bench, (status, b'', err))
            report(not why, c.name + ' > /dev/full', why)
            bench.fill(c.before)
            status, out, _ = bench.run(c.args, c.stdin, stderr=full)
            report(not fault_in_result(c, bench, (status, out, b''), speechless=True), c.name + ' 2> /dev/full')


def closed_pipe(cases, bench):
    for c in cases:
        for which in ('stdout', 'stderr'):
            bench.fill(c.before)
            reading, writing = os.pipe()
            os.close(reading)
            result = bench.run(c.args, c.stdin, **{which: writing})
            os.close(writing)
            if which == 'stdout' and c.stdout and result[0] == c.good:
                why = 'status 0, and the output is lost'
            else:
                why = fault_in_result(c, bench, (result[0], c.stdout if which == 'stdout' else result[1], result[2]),
                                      speechless=which == 'stderr')
            report(not why, '%s, %s to nobody' % (c.name, which), why)


def full_disk(cases, bench, short):
    """In a file system with so many pages of memory."""
    if os.geteuid() or subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', bench.folder],
                                      stderr=subprocess.DEVNULL).returncode:
        skip('full disk: needs the right to mount')
        return
    try:
        for kib in range(4, 41, 12 if short else 4):
            for c in cases:
                subprocess.run(['mount', '-o', 'remount,size=64k', bench.folder], check=True)
                bench.fill(c.before)
                subprocess.run(['mount', '-o', 'remount,size=%dk' % kib, bench.folder], stderr=subprocess.DEVNULL)
                why = fault_in_result(c, bench, bench.run(c.args, c.stdin))
                report(not why, '%s on a disk of %d KiB' % (c.name, kib), why)
    finally:
        bench.fill({})
        subprocess.run(['umount', bench.folder])


def german(cases, bench, scratch, short):
    """A locale with a decimal comma: in the command's environment, and set in programs with the headers."""
    name = os.path.join(scratch, 'de_DE.UTF-8')
    if shutil.which('localedef') is None or subprocess.run(
            ['localedef', '-i', 'de_DE', '-f', 'UTF-8', name], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL).returncode not in (0, 1) or not os.path.isdir(name):
        skip('locale: needs localedef and its sources')
        return
    env = {'LOCPATH': scratch, 'LC_ALL': 'de_DE.UTF-8'}
    under(cases, bench, 'LC_ALL=de_DE', same=True, env=env)
    env['SHIM_LOCALE'] = '1'
    for test in ('golden', 'features') if short else ('golden', 'features', 'loader', 'api', 'train'):
        program = os.path.join(os.path.dirname(bench.icl), 'test_' + test)
        if not os.access(program, os.X_OK):
            skip('decimal comma: %s is not built' % program)
            continue
        p = subprocess.run([program], cwd=ROOT, env=dict(os.environ, LD_PRELOAD=SHIM, **env), stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT)
        report(p.returncode == 0, 'test_%s with a decimal comma' % test, p.stdout.decode()[-300:])


def temporary_files(cases, bench):
    """What a dead writer left goes with the next one; a living writer's file, which is locked, and others stay."""
    case = [c for c in cases if c.name == 'quantize'][:1]
    for c in case:
        dead, alive, other = 'q.st.tmp.00000000000000aa', 'q.st.tmp.00000000000000bb', 'q.st.tmp.bak'
        bench.fill(dict(c.before, **{dead: b'', alive: b'half', other: b'mine'}))
        with open(os.path.join(bench.folder, alive)) as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            status, _, err = bench.run(c.args)
        now = bench.files()
        report(status == 0 and dead not in now and now.get(alive) == b'half' and now.get(other) == b'mine',
               'temporary files of others', '%s %s %s' % (status, sorted(now), err[-100:]))


def clocks(cases, bench):
    for offset in ('-315576000', '315576000', '-1800000000', 'jump'):
        under(cases, bench, 'clock ' + offset, same=True, env={'SHIM_CLOCK': offset})


def build_shim(folder):
    global SHIM
    SHIM = os.path.join(folder, 'shim.so')
    subprocess.run(os.environ.get('CC', 'cc').split() + ['-O1', '-fPIC', '-shared', '-o', SHIM,
                   os.path.join(ROOT, 'tests/proof/shim.c'), '-ldl'], check=True)


def main():
    if not 2 <= len(sys.argv) <= 3:
        raise SystemExit('usage: faults.py ICL [--short]')
    icl, short = os.path.abspath(sys.argv[1]), '--short' in sys.argv
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)          # Python ignores both, and so would the runs
    scratch = tempfile.mkdtemp(dir='/dev/shm' if os.access('/dev/shm', os.W_OK | os.X_OK) else None)
    try:
        build_shim(scratch)
        os.mkdir(os.path.join(scratch, 'run'))
        bench = Bench(icl, os.path.join(scratch, 'run'))
        cases = make_cases(bench)
        only = os.environ.get('CASE')
        cases = [c for c in cases if not only or c.name == only]
        for part in (lambda: german(cases, bench, scratch, short), lambda: clocks(cases, bench),
                     lambda: temporary_files(cases, bench),
                     lambda: best_of_a_run(bench, os.path.join(scratch, 'log')),
                     lambda: descriptors(cases, bench), lambda: closed_pipe(cases, bench),
                     lambda: limits(cases, bench, short), lambda: full_disk(cases, bench, short),
                     lambda: system_calls(cases, bench, os.path.join(scratch, 'log'), short)):
            part()
    finally:
        shutil.rmtree(scratch)
    print('faults: %d passed, %d failed, %d skipped' % (passed, failed, skipped))
    return failed > 0


if __name__ == '__main__':
    sys.exit(main())
