#!/usr/bin/env python3
"""Mutants of the loader, the digest, the snapshot and the CSV reader: one change each to an operator, a
constant, a condition or a jump, and the tests must notice.

    tests/proof/mutants.py             all of them
    tests/proof/mutants.py N           N of them, drawn with a fixed seed

A mutant is killed if it does not compile, or if tests/proof/mutant.c, which replays the corpora of
tests/fuzz and compares their verdicts, fails or runs longer than 10 s.  What that leaves is shown to
tests/test_loader.c and tests/test_api.c (or tests/test_tools.c) in their quick form.  Survivors are printed;
those in tests/proof/survivors.txt ("FILE | FUNCTION | LINE'S TEXT | CHANGE | REASON") are known to change
nothing that can be seen.  Closing line "mutants: N passed, N failed, N skipped"; 'passed' are killed or known."""
import os
import random
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CC = os.environ.get('CC', 'cc').split()
PARTS = [('icl.h', ('checkpoint', 'digest', 'snapshot')), ('tools/csv.c', None)]
SWAPS = [('<=', '<'), ('>=', '>'), (' < ', ' <= '), (' > ', ' >= '), (' == ', ' != '), (' != ', ' == '),
         (' && ', ' || '), (' || ', ' && '), (' + 1', ' + 2'), (' + 1', ''), (' - 1', ' - 2'), ('++', '--'),
         (' + ', ' - '), (' - ', ' + '), (' * ', ' + '), (' | ', ' & '), (' & ', ' | '), (' << ', ' >> '),
         ('return 0;', 'return 1;'), ('return 1;', 'return 0;'), ('continue;', 'break;'), ('break;', ';'),
         ('1 << 53', '1 << 54'), ('0x20', '0x21'), ('0x80', '0x81')]


def section_lines(lines, names):
    """The numbers of the lines of the sections, or all."""
    inside, out = names is None, []
    for i, line in enumerate(lines):
        start = re.match(r'(?: \*|/\* -----) >>(\w+)', line)
        if start and names is not None:
            inside = start.group(1) in names
        if inside:
            out.append(i)
    return out


def code_lines(lines, numbers):
    """Without comments, preprocessor lines and tables."""
    comment, wanted = False, set(numbers)
    for i, s in enumerate(lines):
        if comment:
            comment = '*/' not in s
            continue
        code = re.sub(r'/\*.*?\*/', lambda m: ' ' * len(m.group(0)), s)
        if '/*' in code:
            code, comment = code[:code.index('/*')], True
        if i in wanted and code.strip() and not code.lstrip().startswith(('#', 'typedef', 'enum', 'static const', '{"')):
            yield i, code


def candidates(name, sections):
    """(file, line, column, old, new)"""
    lines = open(os.path.join(ROOT, name)).read().split('\n')
    for i, code in code_lines(lines, section_lines(lines, sections)):
        for old, new in SWAPS:
            for m in re.finditer(re.escape(old), code):
                if code.count('"', 0, m.start()) % 2 or (old == ' * ' and re.search(r'\w \* ?\w+[;,)=]', code)):
                    continue
                yield name, i, m.start(), old, new
        if re.match(r'\s*(?:else )?if \(', code):
            yield name, i, code.index('if (') + 4, '', '0 && '
            yield name, i, code.index('if (') + 4, '', '1 || '
        if re.match(r'  +[\w>.\[\]-]+ [|+-]?= [^=].*;$', code.rstrip()):
            yield name, i, len(code) - len(code.lstrip()), code.strip(), ';'


def function_of(lines, i):
    while i > 0 and not re.match(r'\w.*\(', lines[i]):
        i -= 1
    m = re.search(r'(\w+)\(', lines[i])
    return m.group(1) if m else '-'


def run(command, folder, limit):
    try:
        return subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              timeout=limit).returncode
    except subprocess.TimeoutExpired:
        return -1


def build(folder, source, flags, out):
    return run(CC + ['-w', '-DICL_NO_SIMD', *flags, '-I.', '-o', out, source, '-lm', '-lpthread'], folder, 300) == 0


def killed(folder, name):
    which = '-DMUTANT_CSV' if name.endswith('csv.c') else '-DMUTANT_ENGINE'
    if not build(folder, 'tests/proof/mutant.c', ['-O0', which], 'mutant') or run(['./mutant'], folder, 10):
        return 'corpus'
    for test in ['tools'] if name.endswith('csv.c') else ['loader', 'api']:
        if not build(folder, 'tests/test_%s.c' % test, ['-O1', '-DICL_TEST_QUICK'], 'slow') or run(['./slow'], folder, 120):
            return test
    return None


def known_survivors():
    path, known = os.path.join(ROOT, 'tests/proof/survivors.txt'), set()
    for line in open(path) if os.path.exists(path) else []:
        if line.strip() and not line.startswith('#'):
            known.add(tuple(s.strip() for s in line.split(' | ')[:4]))
    return known


def main():
    every = [c for name, sections in PARTS for c in candidates(name, sections)]
    random.Random(20261126).shuffle(every)
    chosen = every[:int(sys.argv[1])] if len(sys.argv) > 1 else every
    known, by, left = known_survivors(), {}, []
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run('cp -r icl.h icl_train.h tools "%s"; mkdir "%s/tests"; cp -r tests/*.c tests/*.h tests/fuzz '
                       'tests/proof tests/golden "%s/tests"' % (folder, folder, folder), shell=True, cwd=ROOT, check=True)
        for name in ('icl.h', 'tools/csv.c'):
            how = killed(folder, name)
            if how:
                print('mutants: 0 passed, 1 failed, 0 skipped: %s fails without a mutant (%s)' % (name, how))
                return 1
        for n, (name, i, at, old, new) in enumerate(chosen):
            lines = open(os.path.join(ROOT, name)).read().split('\n')
            text = lines[i].strip()
            key = (name, function_of(lines, i), text, '%s -> %s' % (old.strip(), new.strip()))
            lines[i] = lines[i][:at] + new + lines[i][at + len(old):]
            open(os.path.join(folder, name), 'w').write('\n'.join(lines))
            how = killed(folder, name)
            subprocess.run(['cp', os.path.join(ROOT, name), os.path.join(folder, name)], check=True)
            by[how] = by.get(how, 0) + 1
            if how is None:
                state = 'known' if key in known else 'SURVIVED'
                left.append(key)
                print('%s | %s' % (' | '.join(key), state), flush=True)
            if os.environ.get('MUTANTS_VERBOSE') and n % 20 == 19:
                print(n + 1, by, flush=True)
    unknown = [k for k in left if k not in known]
    print('%d of %d candidates: %s killed, %d left, of which %d are known: %.1f %%'
          % (len(chosen), len(every), {k: v for k, v in by.items() if k}, len(left), len(left) - len(unknown),
             100.0 * (len(chosen) - len(left)) / len(chosen)))
    print('mutants: %d passed, %d failed, 0 skipped' % (len(chosen) - len(unknown), len(unknown)))
    return bool(unknown)


sys.exit(main())
