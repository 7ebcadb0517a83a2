#!/usr/bin/env python3
"""Mutants of the loader, the digest, the snapshot and the CSV reader: one change each, and the tests must notice.

    tests/proof/mutants.py             all of them
    tests/proof/mutants.py N           N of them, drawn with a fixed seed
    tests/proof/mutants.py +WORD       those of functions and files whose name has WORD
    tests/proof/mutants.py @FILE       those that an earlier run printed
    tests/proof/mutants.py -quick      without the stages of SLOW

schemata.py puts all changes into one source, so that each test program is compiled once and a mutant costs
one process of it, which is forked from one that has started.  A mutant is killed if a program of STAGES fails, is
stopped by a signal, or takes more than its CPU time; they end at their first failed check.  The first stage replays
the corpora of tests/fuzz and compares their verdicts and messages, in milliseconds.

What a stage found is kept in build/mutants, by all that went into its program: a run that was stopped goes on where
it was, and after a change of one test only its stage runs again.
Survivors are printed; those in tests/proof/survivors.txt
("FILE | FUNCTION | LINE'S TEXT | CHANGE | REASON") were looked at and change nothing that a test could see.  The gate:
GATE percent of the others are killed.  A known survivor that is killed is out of date, and a failure, and so is one
that is no mutant any more.  Closing line "mutants: N passed, N failed, N skipped"."""
import hashlib
import itertools
import os
import random
import re
import resource
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import schemata

GATE = 99                                   # percent of those that change something
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PLACE = os.path.join(ROOT, 'build/mutants')
CLANG = next((c for c in ('clang-19', 'clang-14', 'clang') if shutil.which(c)), None)
# File, sections (None: all).
PARTS = [('icl.h', ('checkpoint', 'digest', 'snapshot')), ('tools/csv.c', None), ('tools/rows.c', None)]
ASAN = ['-g1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all']
QUICK = '-DICL_TEST_QUICK'
# Programs that mutants are shown to, in turn: name, source, flags, milliseconds of CPU (ten times what they take).
ENGINE = [('corpus', 'tests/proof/mutant.c', ['-O1', '-DMUTANT_ENGINE'], 300),
          ('parts', 'tests/test_parts.c', ['-O1'], 1000),
          ('parts-asan', 'tests/test_parts.c', ['-O1', *ASAN], 5000),
          ('paths', 'tests/test_paths.c', ['-O1', QUICK], 1000),
          ('asan', 'tests/proof/mutant.c', ['-O1', '-DMUTANT_ENGINE', *ASAN], 3000),
          ('short', 'tests/test_loader.c', ['-O1', QUICK, '-DICL_TEST_SHORT'], 3000),
          ('loader', 'tests/test_loader.c', ['-O1', QUICK], 25000)]
READER = [('corpus', 'tests/proof/mutant.c', ['-O1', '-DMUTANT_CSV'], 300),
          ('csv', 'tests/test_csv.c', ['-O1'], 2000),
          ('csv-asan', 'tests/test_csv.c', ['-O1', *ASAN], 5000),
          ('tools', 'tests/test_tools.c', ['-O1', QUICK], 3000),
          ('asan', 'tests/proof/mutant.c', ['-O1', '-DMUTANT_CSV', *ASAN], 3000)]
SLOW = ('paths', 'loader')                    # the first takes long to compile


def functions(text, sections):
    """The names of the functions of some sections, or of all."""
    inside, out = sections is None, set()
    for line in text.split('\n'):
        start = re.match(r' \* >>(\w+)', line)
        if start and sections is not None:
            inside = start.group(1) in sections
        m = inside and re.match(r'\w[\w *]*?\b(\w+)\(', line)
        if m:
            out.add(m.group(1))
    return out


def generate(folder):
    """Mutants, with the sources in folder that hold them all."""
    numbers, all_mutants = itertools.count(1), []
    with open(os.path.join(folder, 'top.c'), 'w') as f:
        f.write('#define ICL_IMPLEMENTATION\n#define ICL_NO_SIMD\n#include "icl.h"\n')
    for name, sections in PARTS:
        path = os.path.join(folder, name)
        text = open(path).read()
        assert text.isascii(), name                    # clang counts bytes
        source = schemata.Source(name, text, numbers, functions(text, sections))
        source.take(schemata.tree(CLANG, folder, 'top.c' if name == 'icl.h' else name, ['-I.']))
        mark = '#define ICL__IMPLEMENTED\n'
        new = source.result()
        with open(path, 'w') as f:
            f.write(new.replace(mark, mark + schemata.PRELUDE) if mark in new else schemata.PRELUDE + new)
        all_mutants += source.mutants
    return all_mutants


def source_folder(name):
    return os.path.join(PLACE, 'engine' if name == 'icl.h' else 'reader')


def make_sources():
    """The mutants; build/mutants/engine has the changed icl.h and build/mutants/reader the changed tools."""
    shutil.rmtree(PLACE + '/new', ignore_errors=True)
    for part in ('engine', 'reader'):
        f = '%s/new/%s' % (PLACE, part)
        os.makedirs(f + '/tests')
        subprocess.run('cp -r icl.h icl_train.h tools "%s"; cp -r tests/*.c tests/*.h tests/fuzz tests/proof '
                       'tests/golden tests/csv "%s/tests"' % (f, f), shell=True, cwd=ROOT, check=True)
        path = f + '/tests/test.h'                                   # the first failed check ends a program
        text = open(path).read()
        new = text.replace('if (++test_bad > 10) return 0;', 'exit(3);')
        new = new.replace('#include <stdio.h>', '#include <stdio.h>\n#include <stdlib.h>')
        assert 'exit(3)' in new
        open(path, 'w').write(new)
    every = generate(PLACE + '/new/engine')
    for name in ('tools/csv.c', 'tools/rows.c'):
        shutil.copy('%s/new/engine/%s' % (PLACE, name), '%s/new/reader/%s' % (PLACE, name))
        shutil.copy(os.path.join(ROOT, name), '%s/new/engine/%s' % (PLACE, name))
    for part in ('engine', 'reader'):
        old, f = PLACE + '/' + part, '%s/new/%s' % (PLACE, part)
        os.makedirs(old, exist_ok=True)
        for binary in os.listdir(old):
            if binary.startswith('bin-'):
                os.rename(old + '/' + binary, f + '/' + binary)
        shutil.rmtree(old)
        os.rename(f, old)
    return every


def compile_line(stage):
    return [CLANG, '-w', '-DICL_NO_SIMD', '-DICL_TRAIN_THREADS', *stage[2], '-I.']


def stage_key(folder, stage):
    """A hash of all that goes into a stage: its sources, flags and corpora."""
    made = subprocess.run([*compile_line(stage), '-MM', stage[1]], cwd=folder, stdout=subprocess.PIPE, check=True)
    files = made.stdout.decode().replace('\\\n', ' ').split()[1:]
    if stage[1].endswith('mutant.c'):
        files += ['tests/fuzz/' + f for f in os.listdir(folder + '/tests/fuzz') if f.endswith(('corpus', 'verdicts'))]
    h = hashlib.sha256(repr((compile_line(stage), stage[3])).encode())
    for f in sorted(files):
        h.update(f.encode() + b'\0' + open(os.path.join(folder, f), 'rb').read())
    return h.hexdigest()[:24]


class Stage:
    """A program, compiled where it changed, and what it said of mutants."""

    def __init__(self, name, stage):
        self.folder, self.stage, self.server = source_folder(name), stage, None
        self.key = stage_key(self.folder, stage)
        self.binary = os.path.join(self.folder, 'bin-%s-%s' % (stage[0], self.key))
        self.path = os.path.join(PLACE, 'results-%s-%s' % (os.path.basename(self.folder), self.key))
        self.known = {}
        if os.path.exists(self.path):
            for line in open(self.path):
                verdict, _, key = line.rstrip('\n').partition(' ')
                self.known[key] = verdict == '1'
        self.results = open(self.path, 'a')

    def start(self):
        name, source, _, most = self.stage
        for old in os.listdir(self.folder):
            if old.startswith('bin-%s-' % name) and not self.binary.endswith(old):
                os.remove(os.path.join(self.folder, old))
        if not os.path.exists(self.binary):
            subprocess.run([*compile_line(self.stage), '-o', self.binary + '.new', source, '-lm', '-lpthread'],
                           cwd=self.folder, check=True)
            os.rename(self.binary + '.new', self.binary)
        env = {**os.environ, 'MUTANT_MS': str(most), 'ASAN_OPTIONS': 'detect_leaks=0:hard_rss_limit_mb=2000'}

        def limits():
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if 'asan' not in name:
                resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
        self.server = subprocess.Popen([self.binary], cwd=self.folder, env=env, stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=limits)
        if self.ask(0):
            sys.exit('mutants: 0 passed, 1 failed, 0 skipped: %s fails without a mutant' % name)

    def ask(self, number):
        self.server.stdin.write(b'%d\n' % number)
        self.server.stdin.flush()
        return int(self.server.stdout.readline()) != 0

    def kills(self, m):
        key = ' | '.join(m.key())
        if key not in self.known:
            if not self.server:
                self.start()
            self.known[key] = self.ask(m.number)
            self.results.write('%d %s\n' % (self.known[key], key))
            self.results.flush()
        return self.known[key]

    def end(self):
        self.results.close()
        if self.server:
            self.server.stdin.close()
            self.server.wait()


def run_stages(name, stages, mutants, known):
    """Which stage kills which mutant: {mutant: name of the stage or None}.  Known survivors come last."""
    mutants = sorted(mutants, key=lambda m: m.key() in known)
    how = {m: None for m in mutants}
    for stage in stages:
        left = [m for m in mutants if how[m] is None]
        s = Stage(name, stage) if left else None
        for m in left:
            if s.kills(m):
                how[m] = stage[0]
        if s:
            s.end()
        print('%s, %s: %d of %d killed' % ('engine' if name == 'icl.h' else 'reader', stage[0],
                                           sum(how[m] == stage[0] for m in left), len(left)), flush=True)
    return how


def known_survivors():
    path, known = os.path.join(ROOT, 'tests/proof/survivors.txt'), set()
    for line in open(path) if os.path.exists(path) else []:
        if line.strip() and not line.startswith('#'):
            known.add(tuple(s.strip() for s in line.split(' | ')[:4]))
    return known


def choose(every, arguments):
    words = [a[1:] for a in arguments if a.startswith('+')]
    counts = [int(a) for a in arguments if a.isdigit()]
    for a in arguments:
        if a.startswith('@'):
            listed = {tuple(line.split(' | ')[:4]) for line in open(a[1:])}
            every = [m for m in every if m.key() in {tuple(s.strip() for s in k) for k in listed}]
    chosen = [m for m in every if not words or any(w in m.file or w in m.function for w in words)]
    random.Random(20261126).shuffle(chosen)
    return chosen[:counts[0]] if counts else chosen


def main():
    if not CLANG:
        print('skipped: needs clang\nmutants: 0 passed, 0 failed, 1 skipped')
        return 0
    known, how = known_survivors(), {}
    every = make_sources()
    keys = {m.key() for m in every}
    chosen = choose(every, sys.argv[1:])
    for name, stages in (('icl.h', ENGINE), ('reader', READER)):
        stages = [s for s in stages if '-quick' not in sys.argv or s[0] not in SLOW]
        how.update(run_stages(name, stages, [m for m in chosen if (m.file == 'icl.h') == (name == 'icl.h')], known))
    left = [m for m in chosen if how[m] is None]
    unknown = [m for m in left if m.key() not in known]
    stale = [m for m in chosen if how[m] and m.key() in known]
    for m in unknown:
        print('%s | SURVIVED' % ' | '.join(m.key()))
    for m in stale:
        print('%s | known to survive, but %s killed it' % (' | '.join(m.key()), how[m]))
    gone = [k for k in known if k not in keys]
    for k in gone:
        print('%s | known to survive, but is no mutant' % ' | '.join(k))
    for f in [p[0] for p in PARTS]:
        of = [m for m in chosen if m.file == f]
        if of:
            n = sum(how[m] is not None for m in of)
            same = sum(how[m] is None and m.key() in known for m in of)
            print('%-12s %4d mutants: %4d killed, %3d that change nothing, %3d others left; %.1f %%' % (
                f, len(of), n, same, len(of) - n - same, 100.0 * n / max(1, len(of) - same)))
    killed, others = len(chosen) - len(left), len(chosen) - len(left) + len(unknown)
    print('%d of %d mutants: %d killed, %d left, of which %d change nothing; %.1f %% of the others killed (at least %d)' % (
        len(chosen), len(every), killed, len(left), len(left) - len(unknown), 100.0 * killed / max(1, others), GATE))
    good = 100 * killed >= GATE * others and not stale and not gone
    print('mutants: %d passed, %d failed, 0 skipped' % (good, not good))
    return not good


if __name__ == '__main__':
    sys.exit(main())
