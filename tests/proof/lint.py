#!/usr/bin/env python3
"""What analysers and stricter sanitizers say of the headers and the command.

    tests/proof/lint.py            what CI runs: clang-tidy, cppcheck, UBSan with integer and implicit conversions over
                                   four test programs, and the numerical sanitizer over predictions of the bundled
                                   models (lint_numbers.c)
    tests/proof/lint.py --full     also clang-tidy on every file of tools, gcc -fanalyzer on both headers, and UBSan over
                                   every test program
    tests/proof/lint.py PART...    some: tidy, tidy-tools, cppcheck, analyzer-icl, analyzer-train, ubsan-TEST, nsan

A finding is right, or lint.txt, beside this file, has it: "KIND | THE LINE'S TEXT | REASON", where KIND is the
check's name and \\| stands for |.  Closing line "lint: N passed, N failed, N skipped": a part without findings
has passed."""
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OUT = os.path.join(ROOT, 'build', 'lint')
SHORT = ['tidy', 'cppcheck', 'ubsan-golden', 'ubsan-api', 'ubsan-loader', 'ubsan-features', 'nsan']
TESTS = sorted(n[5:-2] for n in os.listdir(os.path.join(ROOT, 'tests')) if n.startswith('test_') and n.endswith('.c'))
FULL = (SHORT + ['tidy-tools'] + ['ubsan-' + t for t in TESTS if 'ubsan-' + t not in SHORT]
        + ['analyzer-icl', 'analyzer-train'])
DEFINES = ['-std=c99', '-I.', '-DICL_TRAIN_THREADS']
UBSAN = '-fsanitize=undefined,integer,implicit-conversion,float-cast-overflow,float-divide-by-zero,local-bounds'


def tool(*names):
    """The first of them that is there, or None."""
    for name in names:
        if shutil.which(name):
            return name
    return None


def exceptions():
    """{(kind, text of the line)}"""
    out = set()
    with open(os.path.join(ROOT, 'tests/proof/lint.txt')) as f:
        for line in f:
            fields = [v.strip().replace('\\|', '|') for v in line.split(' | ')]
            if len(fields) == 3:
                out.add((fields[0], fields[1]))
            elif line.strip() and not line.startswith('#'):
                raise SystemExit('lint.txt: three fields: ' + line)
    return out


def source(name, number):
    path = os.path.join(ROOT, name)
    if not os.path.isfile(path):
        return ''
    with open(path, errors='replace') as f:
        lines = f.read().split('\n')
    return lines[number - 1].strip() if number <= len(lines) else ''


def findings(text, kind):
    """[(kind, file, line, text of the line, message)]; kind: of what has no [name] at its end."""
    out, seen = [], set()
    for line in text.split('\n'):
        m = re.match(r'([^\s:]+):(\d+):(?:\d+:)? (?:warning|error|runtime error): (.*)', line)
        if not m:
            m = re.match(r'WARNING: NumericalStabilitySanitizer: (?P<m>.*)', line)
            if m:
                out.append(('nsan', '', 0, '', m.group('m')))
            where = re.match(r'\s+#\d+ \S+ in (\S+) (\S+?):(\d+)', line)
            if where and out and out[-1][0] == 'nsan' and not out[-1][2]:
                name = os.path.relpath(os.path.join(ROOT, where.group(2)), ROOT)
                out[-1] = ('nsan', name, int(where.group(3)), source(name, int(where.group(3))), out[-1][4])
            continue
        name = os.path.normpath(os.path.relpath(os.path.join(ROOT, m.group(1)), ROOT).replace('tests/../', ''))
        check = re.search(r'\[([\w.,*-]+)\]$', m.group(3))
        what = check.group(1).split(',')[0].replace('-Werror=', '').lstrip('-') if check else kind
        if what == 'Wanalyzer-too-complex' or 'used but never defined' in m.group(3):       # of the analyzer's own
            continue
        one = (what, name, int(m.group(2)), source(name, int(m.group(2))), m.group(3))
        if one[:3] not in seen:
            seen.add(one[:3])
            out.append(one)
    return out


def small_product(f):
    """2 * k of the widening check: k is an index into an array of ints, floats or nodes of a model."""
    return f[0] == 'bugprone-implicit-widening-of-multiplication-result' and re.search(r'\b[23] \* ', f[3])


def numbers_of_tests(f):
    """Tests draw numbers and make damage with arithmetic that wraps, which C defines; in the headers and tools it is a
    finding all the same, and what C leaves undefined is one everywhere."""
    return f[0] == 'ubsan' and f[1].startswith('tests/') and re.match(
        r"unsigned integer overflow|implicit conversion|left shift of \d+ by \d+ places .* \(aka 'unsigned|"
        r"left shift of \d+ by \d+ places cannot be represented in type 'unsigned", f[4])


def run(command, env=None):
    p = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace',
                       env=dict(os.environ, **(env or {})))
    died = '\nlint:1: error: %s ended by signal %d' % (command[0], -p.returncode) if p.returncode < 0 else ''
    return p.returncode, p.stdout + died


def sanitized(test, flags, env):
    """Builds and runs a test program; None without the compiler."""
    cc = tool('clang-19')
    if not cc:
        return None
    program = os.path.join(OUT, os.path.basename(test)[:-2])
    level = '-O0' if 'undefined' in flags[0] else '-O1'
    status, said = run([cc, '-g1', level, '-DICL_TRAIN_THREADS', '-DICL_TEST_QUICK', '-I.'] + flags
                       + [test, '-o', program, '-lm', '-lpthread'])
    if status:
        return 1, 'lint:1: error: %s does not build: %s' % (test, said[-300:].replace('\n', ' '))
    status, said = run([program], env)
    if status:
        said += '\nlint:1: error: %s ends with %d: %s' % (test, status, said[-200:].replace('\n', ' '))
    return status, said


def sections(header):
    """The section, >>name, of each line of a header."""
    out, now = [], ''
    with open(os.path.join(ROOT, header)) as f:
        for line in f:
            m = re.match(r' \* >>(\w+)\s*$|/\* =+ >>(\w+)', line)
            now = (m.group(1) or m.group(2)) if m else now
            out.append(now)
    return out


def only(text, header, where, section):
    """A preprocessed text in which functions of our headers have bodies in one section alone; elsewhere they are
    declared.  And how many have.  Lines keep their numbers."""
    lines, name, number, dropping, kept = text.split('\n'), '', 0, False, 0
    for i, line in enumerate(lines):
        m = re.match(r'# (\d+) "([^"]*)"', line)
        if m:
            number, name = int(m.group(1)) - 1, os.path.basename(m.group(2))
            continue
        number += 1
        if dropping:
            lines[i], dropping = '', line != '}'
        elif line == '{' and name in ('icl.h', 'icl_train.h'):
            if name == header and where[number - 1] == section:
                kept += 1
            else:
                lines[i], dropping = ';', True
    return '\n'.join(lines), kept


def analyzed(what):
    """gcc -fanalyzer on a header: icl.h as a whole, icl_train.h section by section.  As a whole it does not end: the
    analyzer walks into every function that a function calls, and in theirs.  Of another section's functions it
    assumes that they do and return anything.  Notes of code "too complex" say where gcc's own limits cut paths off."""
    header = 'icl.h' if what == 'icl' else 'icl_train.h'
    unit = os.path.join(OUT, what + '.c')
    with open(unit, 'w') as f:
        f.write('#define _DEFAULT_SOURCE\n#define ICL_NO_SIMD\n#define ICL_IMPLEMENTATION\n'
                '#define ICL_TRAIN_IMPLEMENTATION\n#include "%s"\n' % header)
    analyzer = ['gcc', '-O0', '-fanalyzer', '-fdiagnostics-plain-output', '-Wanalyzer-too-complex', '-c', '-o', '/dev/null']
    if what == 'icl':
        return run(analyzer + [unit] + DEFINES)
    status, text = run(['gcc', '-E', unit] + DEFINES)
    where, said = sections(header), ''
    for section in dict.fromkeys(where):
        part, kept = only(text, header, where, section)
        if status or not kept:
            continue
        name = os.path.join(OUT, 'train-%s.c' % section)
        with open(name, 'w') as f:
            f.write(part)
        status, out = run(analyzer + ['--param=analyzer-bb-explosion-factor=20', '-Wno-unused-function', name] + DEFINES)
        said += out
        print('         %s: %d functions, %d points with a limit' % (section, kept, out.count('-Wanalyzer-too-complex')),
              flush=True)
    return status, said + ('lint:1: error: gcc ends with %d: %s' % (status, text[-300:]) if status else '')


def begin(part):
    """(status, text) of a part, or None where its tool is missing."""
    name, _, what = part.partition('-')
    if name == 'tidy':
        tidy = tool('clang-tidy-19')
        files = ['tools/impl.c', 'tools/common.c']
        if what:
            files = sorted('tools/' + n for n in os.listdir(os.path.join(ROOT, 'tools')) if n.endswith('.c'))
        return tidy and run([tidy, '--quiet'] + files + ['--'] + DEFINES)
    if name == 'cppcheck':
        return tool('cppcheck') and run(['cppcheck', '-q', '--enable=warning,performance,portability',
                                         '--template={file}:{line}: warning: {message} [{id}]', '-D__x86_64__=1',
                                         '-D__unix__=1', '-D__linux__=1', 'tools/impl.c'] + [d for d in DEFINES if d[1] != 's']
                                        + ['--std=c99'])
    if name == 'analyzer':
        return tool('gcc') and analyzed(what)
    if name == 'ubsan':
        return sanitized('tests/test_%s.c' % what, [UBSAN], {'UBSAN_OPTIONS': 'print_stacktrace=0'})
    if name == 'nsan':                     # no float is off by 0.4 % and by 0.004 from its double
        return sanitized('tests/proof/lint_numbers.c', ['-fsanitize=numerical'], {
            'NSAN_OPTIONS': 'halt_on_error=0:log2_max_relative_error=8:log2_absolute_error_threshold=8'})
    raise SystemExit('lint.py: no part ' + part)


def timed(part):
    """What begin says, and the seconds that it took."""
    began = time.time()
    return begin(part), time.time() - began


def main():
    parts = [p for p in sys.argv[1:] if p != '--full'] or (FULL if '--full' in sys.argv else SHORT)
    passed = failed = skipped = 0
    known = exceptions()
    os.makedirs(OUT, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(timed, parts)
    for part, (result, took) in zip(parts, results):
        if result is None:
            print('skipped  %s: its tool is not here' % part)
            skipped += 1
            continue
        with open(os.path.join(OUT, part + '.log'), 'w') as f:
            f.write(result[1])
        all_of_it = findings(result[1], part.split('-')[0])
        bad = [f for f in all_of_it if (f[0], f[3]) not in known and not small_product(f)
               and not numbers_of_tests(f)]
        print('%-8s %s: %d findings, %d more are in lint.txt; %.0f s'
              % ('FAILED' if bad else 'ok', part, len(bad), len(all_of_it) - len(bad), took), flush=True)
        for f in bad[:40]:
            print('    %s:%d: %s [%s]\n        %s' % (f[1], f[2], f[4][:150], f[0], f[3]))
        passed, failed = passed + (not bad), failed + bool(bad)
    print('lint: %d passed, %d failed, %d skipped' % (passed, failed, skipped))
    return failed > 0


if __name__ == '__main__':
    sys.exit(main())
