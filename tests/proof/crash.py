#!/usr/bin/env python3
"""Power loss: the file operations of saves are logged (shim.c), and every state that a disk may be in after
a crash is made from the log, put into a folder, and given to the command.

    tests/proof/crash.py build/icl            every state
    tests/proof/crash.py build/icl --short    CI: every state is judged, each 40th is given to the command

A crash after any operation of the log; then, whatever the order in which things reach the disk:
  - what was written and not yet flushed (fsync of the file) is there, missing, cut, or zeros;
  - names that were made, renamed and removed since the folder was last flushed are each there or not, in
    every combination; a rename is there as a whole, and may be there before the data of its file.
In each state every output must be, byte for byte, the last version that was flushed with its folder or a
later one whose rename had begun: never a mix.  Then the command runs again, and must end with the bytes of
an undisturbed run and nothing else in the folder.  That the check can fail is checked too: the same log
without its flushes must have bad states.  Closing line "crash: N passed, N failed, N skipped"."""
import itertools
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import faults                                               # noqa: E402

O_CREAT, FOLDER = 0o100, 'folder'


# ----- the log ------------------------------------------------------------------------------------


class Log:
    """Operations on the files of one folder: (what, name or file, ...)."""

    def __init__(self, before):
        self.operations, self.open, self.names, self.contents = [], {}, {}, []
        for name, data in sorted(before.items()):
            self.names[name] = self.new_file(data)
        self.first = dict(self.names)

    def new_file(self, data=b''):
        self.contents.append(data)
        return len(self.contents) - 1

    def add(self, line):
        call, result, *a = line.split()
        done = int(result)
        text = [bytes.fromhex(v[1:]).decode('latin1') if v.startswith('x') else int(v) for v in a]
        if done >= 0 and hasattr(self, 'on_' + call):
            getattr(self, 'on_' + call)(done, *text)
        elif done >= 0 and call in ('pwrite', 'writev', 'open', 'link', 'mkdir', 'unlinkat', 'renameat2', 'fdatasync'):
            raise SystemExit('crash.py: does not know ' + call)

    def on_openat(self, fd, _folder, name, flags):
        self.open.pop(fd, None)
        if name == '.':
            self.open[fd] = [FOLDER, 0]
        elif '/' not in name:
            if name not in self.names:
                assert flags & O_CREAT
                self.names[name] = self.new_file()
                self.operations.append(('make', name, self.names[name]))
            self.open[fd] = [self.names[name], 0]

    def on_close(self, _result, fd):
        self.open.pop(fd, None)

    def on_write(self, _result, fd, data, _size):
        if fd in self.open:
            file, at = self.open[fd]
            self.operations.append(('write', file, at, data.encode('latin1')))
            self.open[fd][1] += len(data)

    def on_ftruncate(self, _result, fd, size):
        self.operations.append(('cut', self.open[fd][0], size))

    def on_fsync(self, _result, fd):
        self.operations.append(('flush', self.open[fd][0]))

    def on_rename(self, _result, old, new):
        self.operations.append(('rename', old, new, self.names[old]))
        self.names[new] = self.names.pop(old)

    def on_unlink(self, _result, name):
        self.operations.append(('remove', name, self.names.pop(name)))


def logged(bench, args, before, log):
    bench.fill(before)
    if os.path.exists(log):
        os.unlink(log)
    status, _, err = bench.run(args, env={'SHIM_LOG': log})
    if status == faults.UNAVAILABLE:
        return None
    assert status == 0, err
    out = Log(before)
    with open(log) as f:
        for line in f:
            out.add(line)
    return out


# ----- the states ---------------------------------------------------------------------------------


def write_into(data, op):
    """data after a write or a cut."""
    if op[0] == 'cut':
        return data[:op[2]].ljust(op[2], b'\0')
    return data[:op[2]].ljust(op[2], b'\0') + op[3] + data[op[2] + len(op[3]):]


def contents_after(flushed, pending):
    """What a file may hold: pending writes there or not, the last one cut, or zeros."""
    whole = flushed
    for op in pending:
        whole = write_into(whole, op)
    out = {flushed, whole, b'\0' * len(whole), whole[:len(whole) // 2], whole[:-1]}
    if len(pending) <= 5:
        chosen = itertools.product((0, 1), repeat=len(pending))
    else:
        n = len(pending)
        chosen = [[i < k for i in range(n)] for k in range(n)] + [[i != k for i in range(n)] for k in range(n)]
    for taken in chosen:
        data = flushed
        for op, there in zip(pending, taken):
            if there:
                data = write_into(data, op)
        out.add(data)
    return out


def names_after(names, pending):
    """Which file each name may lead to, in every combination of what has reached the disk."""
    out = {frozenset(names.items())}
    for op in pending:
        more = set()
        for before in out:
            now = dict(before)
            if op[0] == 'make':
                now[op[1]] = op[2]
            elif op[0] == 'remove':
                if now.get(op[1]) == op[2]:
                    del now[op[1]]
            else:
                now[op[2]] = op[3]
                if now.get(op[1]) == op[3]:
                    del now[op[1]]
            more.add(frozenset(now.items()))
        out |= more
    return out


class Disk:
    """What is surely on the disk, and what is on its way there."""

    def __init__(self, log):
        self.names, self.pending_names = dict(log.first), []
        self.flushed = dict(enumerate(log.contents))
        self.pending = {}

    def apply(self, op, flushes):
        if op[0] in ('write', 'cut'):
            self.pending.setdefault(op[1], []).append(op)
        elif op[0] != 'flush':
            self.pending_names.append(op)
        elif op[1] == FOLDER and flushes != 'no folder':
            self.names = self.latest()
            self.pending_names = []
        elif op[1] != FOLDER and flushes != 'no file':
            for w in self.pending.pop(op[1], []):
                self.flushed[op[1]] = write_into(self.flushed[op[1]], w)

    def latest(self):
        now = dict(self.names)
        for op in self.pending_names:
            if op[0] == 'make':
                now[op[1]] = op[2]
            elif op[0] == 'remove':
                now.pop(op[1], None)
            else:
                now[op[2]] = now.pop(op[1])
        return now

    def states(self):
        """Each as {name: bytes}.  The files vary one after the other, and all of them to their least."""
        held = {f: contents_after(self.flushed[f], p) for f, p in self.pending.items()}
        whole = {f: self.whole(f) for f in self.flushed}     # once: Python keeps the hash of each bytes object
        for names in names_after(self.names, self.pending_names):
            names = dict(names)
            wide = {n: f for n, f in names.items() if f in held}
            full = {n: whole[f] for n, f in names.items()}
            yield full
            for n, f in wide.items():
                for data in held[f]:
                    yield dict(full, **{n: data})
            yield {n: self.flushed[f] for n, f in names.items()}

    def whole(self, file):
        data = self.flushed[file]
        for op in self.pending.get(file, []):
            data = write_into(data, op)
        return data


def versions(log):
    """[(operation's number, name, bytes)]: what each output was meant to become."""
    disk, out = Disk(log), []
    for i, op in enumerate(log.operations):
        disk.apply(op, '')
        if op[0] == 'rename':
            out.append((i, op[2], disk.whole(op[3])))
    return out


def allowed(log, meant, outputs):
    """For each prefix of the log {name: contents that are right}; None stands for no file."""
    now = {n: [log.contents[log.first[n]] if n in log.first else None] for n in outputs}
    begun = {i: (n, d) for i, n, d in meant}
    yield {n: list(v) for n, v in now.items()}
    for i, op in enumerate(log.operations):
        if i in begun and begun[i][0] in now:
            now[begun[i][0]].append(begun[i][1])
        if op == ('flush', FOLDER):
            now = {n: v[-1:] for n, v in now.items()}
        if i == len(log.operations) - 1:
            now = {n: v[-1:] for n, v in now.items()}      # the command said that it had written
        yield {n: list(v) for n, v in now.items()}


def crash_states(log, outputs, flushes=''):
    """(states, bad ones): every different state of the disk as {name: bytes}."""
    seen, bad = {}, []
    disk, meant = Disk(log), versions(log)
    for i, right in enumerate(allowed(log, meant, outputs)):
        if i:
            disk.apply(log.operations[i - 1], flushes)
        for state in disk.states():
            wrong = [n for n in outputs if state.get(n) not in right[n]]
            if wrong:
                bad.append((i, wrong[0]))
            seen[frozenset(state.items())] = state
    return list(seen.values()), bad


# ----- the runs -----------------------------------------------------------------------------------


def again(bench, state, args, after, outputs):
    """What is wrong with the run that follows a crash, or None."""
    bench.fill(state)
    status, _, err = bench.run(args)
    if status != 0:
        return 'status %s: %s' % (status, err.decode(errors='replace')[-200:])
    now = bench.files()
    for name in outputs:
        if now.get(name) != after[name]:
            return name + ' has other bytes'
    extra = set(now) - set(after)
    return extra.pop() + ' is left' if extra else None


def prove(bench, what, args, before, outputs, rerun, log_path, every):
    log = logged(bench, args, before, log_path)
    if log is None:
        faults.skip(what + ': no seccomp filter here')
        return
    after = bench.files()
    states, bad = crash_states(log, outputs)
    faults.report(not bad, '%s: %d of the states are a mix' % (what, len(bad)), str(bad[:3]))
    for without in ('no file', 'no folder'):
        control = crash_states(log, outputs, without)[1]
        faults.report(control, '%s: without its flushes (%s) nothing would be found' % (what, without))
    tried = states[::every]
    for state in tried:
        why = again(bench, state, rerun, after, outputs)
        faults.report(not why, '%s: %s' % (what, {n: len(d) for n, d in state.items()}), why)
    print('%-16s %4d operations, %6d different states, %5d run again'
          % (what, len(log.operations), len(states), len(tried)), flush=True)


def main():
    if not 2 <= len(sys.argv) <= 3:
        raise SystemExit('usage: crash.py ICL [--short]')
    every = 40 if '--short' in sys.argv else 1
    scratch = tempfile.mkdtemp(dir='/dev/shm' if os.access('/dev/shm', os.W_OK | os.X_OK) else None)
    try:
        faults.build_shim(scratch)
        os.mkdir(os.path.join(scratch, 'run'))
        bench = faults.Bench(os.path.abspath(sys.argv[1]), os.path.join(scratch, 'run'))
        log = os.path.join(scratch, 'log')
        train, made = faults.TRAIN + ['--threads', '1'], ('m.st', 'm.st.state', 'm.st.config')
        half = list(train)
        half[half.index('--steps') + 1] = '3'
        bench.fill({})
        bench.run(half)
        halfway = bench.files()
        on = train + ['--resume']
        prove(bench, 'train', train, {}, made, on, log, every)
        prove(bench, 'train --resume', on, halfway, made, on, log, every)
        older = dict(halfway)
        prove(bench, 'train --force', train + ['--force'], older, made, train + ['--force'], log, every)
        model = {'in.st': halfway['m.st']}
        quantize = ['quantize', 'in.st', '--dtype', 'i8', '--force', '-o', 'q.st']
        prove(bench, 'quantize', quantize, dict(model, **{'q.st': halfway['m.st']}), ('q.st',), quantize, log, every)
        embed = ['embed', 'in.st', '--force', '-o', 'e.h']
        prove(bench, 'embed', embed, model, ('e.h',), embed, log, every)
    finally:
        shutil.rmtree(scratch)
    print('crash: %d passed, %d failed, %d skipped' % (faults.passed, faults.failed, faults.skipped))
    return faults.failed > 0


if __name__ == '__main__':
    sys.exit(main())
