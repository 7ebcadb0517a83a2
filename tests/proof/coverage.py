#!/usr/bin/env python3
"""How much of icl.h the test programs run: lines, branches and MC/DC of each section, with clang 19.

    tests/proof/coverage.py               builds and runs all of PROGRAMS: a table, and the gate
    tests/proof/coverage.py -v            and every place that is missing
    tests/proof/coverage.py loader fuzz   of some programs alone: no gate; -k: of others as they ran last

A branch is an outcome of a condition, true or false; MC/DC counts the conditions that a test has shown to
decide on their own.  The union over the programs goes by place in the source; of a decision it is taken
condition by condition, so a pair of tests counts only where one program has both.  Conditions that cannot
come out otherwise are marked ICL__ALWAYS and ICL__NEVER, constants here (-DICL_COVERAGE), each with its reason.  Kernels for
other machines are not compiled in; AVX2, AVX-512 (where this machine has it) and plain C are.
Closing line "coverage: N passed, N failed, N skipped"."""
import bisect
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OUT = os.path.join(ROOT, 'build/coverage')
# Program, flags: the plain kernels compile in a third of the time.
PROGRAMS = [('loader', ['-DICL_NO_SIMD']), ('parts', ['-DICL_NO_SIMD']), ('fuzz', ['-DICL_NO_SIMD']), ('paths', []),
            ('api', ['-DICL_NO_SIMD']), ('features', ['-DICL_NO_SIMD']), ('golden', ['-DICL_NO_SIMD']), ('kernels', ['-DICL_TEST_QUICK']),
            ('bits', [])]
STRICT = ('checkpoint', 'digest', 'snapshot')
MACHINE = ('kernels', 'dispatch')            # what a machine's instruction sets are there for
REST, METAL = 'the rest', 'the metal'        # neither; and MACHINE together
# Percent of lines, branches, MC/DC: what a change must not fall below, and what is wanted.
BARS = {**{s: (100, 100, 100) for s in STRICT}, REST: (0, 99, 97), METAL: (0, 99, 97)}
GATE = {**BARS, METAL: (0, 90, 80)}


nested = set()                               # lines of decisions that clang has no MC/DC for


def run(command, **more):
    return subprocess.run(command, cwd=ROOT, **more)


def build_and_run(name, flags):
    """1 if the tests pass."""
    program, raw = os.path.join(OUT, name), os.path.join(OUT, name + '.raw')
    built = run(['clang-19', '-O1', '-w', '-fprofile-instr-generate', '-fcoverage-mapping', '-fcoverage-mcdc',
                 '-DICL_COVERAGE', '-DICL_TRAIN_THREADS', *flags, '-I.', '-o', program, 'tests/test_%s.c' % name,
                 '-lm', '-lpthread'], stderr=subprocess.PIPE, text=True)
    nested.update(re.findall(r'\bicl\.h:(\d+):\d+: warning: unsupported MC/DC', built.stderr))
    if built.returncode:
        print(built.stderr)
        return False
    with open(os.path.join(OUT, name + '.log'), 'w') as log:
        bad = run([program], env={**os.environ, 'LLVM_PROFILE_FILE': raw}, stdout=log, stderr=log).returncode
    if bad:
        print('%s fails: see build/coverage/%s.log' % (name, name))
        return False
    run(['llvm-profdata-19', 'merge', '-sparse', raw, '-o', raw + '.prof'], check=True)
    return True


def read(name):
    """The JSON of llvm-cov for icl.h."""
    program, raw = os.path.join(OUT, name), os.path.join(OUT, name + '.raw')
    out = run(['llvm-cov-19', 'export', '-skip-expansions', '-skip-functions', '-instr-profile', raw + '.prof',
               program, 'icl.h'], check=True, stdout=subprocess.PIPE).stdout
    return next(f for f in json.loads(out)['data'][0]['files'] if f['filename'].endswith('/icl.h'))


def lines_of(segments):
    """{line: it ran}, as llvm-cov counts: by the regions that begin on it and the one it lies in."""
    out, wrapped, by_line = {}, None, {}
    for s in segments:
        by_line.setdefault(s[0], []).append(s)
    if not by_line:
        return out
    for line in range(min(by_line), max(by_line) + 1):
        here = by_line.get(line, [])
        begins = [s for s in here if s[3] and s[4] and not s[5]]
        if not (here and here[0][4] and not here[0][3]) and ((wrapped and wrapped[3]) or begins):
            out[line] = any(s[2] for s in begins) or bool(wrapped and wrapped[3] and wrapped[2])
        wrapped = here[-1] if here else wrapped
    return out


class Union:
    """What any of the programs ran, by place."""

    def __init__(self, text):
        self.text = text
        self.lines, self.branches, self.mcdc = {}, {}, {}

    def without_marked(self, at, hits):
        """A marked condition, whose macro hides where it stands, is none that could decide."""
        source = '\n'.join(self.text[at[0] - 1:at[2]])[at[1] - 1:]
        for _ in re.findall(r'ICL__(?:ALWAYS|NEVER)\(', source):
            if False in hits:
                hits = hits[:hits.index(False)] + hits[hits.index(False) + 1:]
        return hits

    def constant(self, b):
        """1 for a condition of constants alone: the size of vectors, the system, what is marked."""
        source = self.text[b[0] - 1][b[1] - 1:b[3] - 1 if b[0] == b[2] else None]
        return bool(re.match(r'!?ICL__(ALWAYS|NEVER)\b', source) or re.fullmatch(r'[A-Z0-9_ ()=<>!&|]*[A-Z][A-Z0-9_ ()=<>!&|]*',
                                                                              source))

    def add(self, file):
        for line, ran in lines_of(file['segments']).items():
            self.lines[line] = self.lines.get(line, False) or ran
        for b in file['branches']:
            if self.constant(b):
                continue
            at, old = tuple(b[:4]), self.branches.get(tuple(b[:4]), (0, 0))
            self.branches[at] = (old[0] + b[4], old[1] + b[5])
        conditions = sorted(b for b in file['branches'] if b[-1] == 6)
        for m in file['mcdc_records']:
            at, new = tuple(m[:4]), m[-1]
            inside = [b for b in conditions if at[:2] <= tuple(b[:2]) and tuple(b[2:4]) <= at[2:]]
            if len(inside) == len(new):
                new = [ok for ok, b in zip(new, inside) if not self.constant(b)]
            new = self.without_marked(at, new)
            old = self.mcdc.get(at, [False] * len(new))
            self.mcdc[at] = new if len(new) < len(old) else [a or b for a, b in zip(old, new)]


def sections(text):
    """[(first line, name)]"""
    out = [(1, 'api')]
    for i, line in enumerate(text):
        m = re.match(r' \* >>(\w+)', line)
        if m:
            out.append((i + 1, m.group(1)))
    return out


def tally(union, where):
    """{section: [[ran, all] of lines, branches, MC/DC]}, and the places that are missing."""
    starts = [n for n, _ in where]
    section = lambda line: where[bisect.bisect_right(starts, line) - 1][1]
    table, missing = {}, []

    def count(line, kind, hits, what):
        row = table.setdefault(section(line), [[0, 0], [0, 0], [0, 0]])
        row[kind][0] += sum(hits)
        row[kind][1] += len(hits)
        if not all(hits):
            missing.append((line, what, hits))
    for line, ran in union.lines.items():
        count(line, 0, [ran], 'line')
    for at, (t, f) in union.branches.items():
        count(at[0], 1, [t > 0, f > 0], at)
    for at, conditions in union.mcdc.items():
        count(at[0], 2, conditions, at)
    return table, sorted(missing, key=lambda m: m[0])


def explain(missing, text):
    for line, what, hits in missing:
        source = text[line - 1]
        if what == 'line':
            print('%d: not run: %s' % (line, source.strip()))
        elif len(hits) == 2 and what[0] == what[2] and not re.search(r'&&|\|\|', source[what[1] - 1:what[3] - 1]):
            print('%d: never %s: %s in %s' % (line, 'true' if not hits[0] else 'false',
                                              source[what[1] - 1:what[3] - 1], source.strip()))
        else:
            end = what[3] - 1 if what[0] == what[2] else None
            print('%d: decides alone %s: %s' % (line, ''.join('.x'[not h] for h in hits), source[what[1] - 1:end]))


def percent(pair):
    return 100.0 * pair[0] / pair[1] if pair[1] else 100.0


def show(name, row, gate=None, bar=None):
    cells = ['%5d/%-5d %5.1f %%' % (*p, percent(p)) for p in row]
    note = ''
    if gate:
        note = 'at least ' + ', '.join('%g' % g for g in gate)
        note += '' if gate == bar else '; wanted ' + ', '.join('%g' % g for g in bar)
    print('%-12s %s  %s' % (name, '  '.join(cells), note))


def main():
    keep = '-k' in sys.argv
    options = [a for a in sys.argv[1:] if not a.startswith('-')]
    for tool in ('clang-19', 'llvm-cov-19', 'llvm-profdata-19'):
        if not shutil.which(tool):
            print('skipped: needs ' + tool)
            print('coverage: 0 passed, 0 failed, 1 skipped')
            return 0
    os.makedirs(OUT, exist_ok=True)
    text = open(os.path.join(ROOT, 'icl.h')).read().split('\n')
    union, failed = Union(text), 0
    there = [p for p in PROGRAMS if os.path.exists(os.path.join(ROOT, 'tests/test_%s.c' % p[0]))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        ran = dict(pool.map(lambda p: (p[0], build_and_run(*p)),
                            [p for p in there if not options or p[0] in options]))
    for name, _ in there:
        if name in ran:
            failed += not ran[name]
        if ran.get(name, keep and os.path.exists(os.path.join(OUT, name + '.raw.prof'))):
            union.add(read(name))
    table, missing = tally(union, sections(text))
    if '-v' in sys.argv:
        explain(missing, text)
    print('%-12s %-20s %-20s %-20s' % ('section', 'lines', 'branches', 'MC/DC'))
    sums, passed = {REST: [[0, 0]] * 3, METAL: [[0, 0]] * 3}, 0
    for _, name in sections(text):
        row = table.pop(name, None)
        if not row:
            continue
        show(name, row, GATE.get(name), BARS.get(name))
        if name not in STRICT:
            kind = METAL if name in MACHINE else REST
            sums[kind] = [[a + c, b + d] for (a, b), (c, d) in zip(sums[kind], row)]
        else:
            sums[name] = row
    for name in (REST, METAL):
        show(name, sums[name], GATE[name], BARS[name])
    print('Not compiled in: kernels for other machines than this one.  Decisions without MC/DC, since clang cannot '
          'tell it of a condition within a condition: line %s.' % ', '.join(sorted(nested, key=int)))
    for name, row in sums.items() if not options else ():
        good = all(percent(p) >= g for p, g in zip(row, GATE[name]))
        passed, failed = passed + good, failed + (not good)
    print('coverage: %d passed, %d failed, 0 skipped' % (passed, failed))
    return failed > 0


sys.exit(main())
