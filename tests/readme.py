"""README.md and docs/*.md as a reader follows them: every C program is compiled and every command line run, and what
they print is what the page says, numbers within 2 %, or 1.5 of their last digit but 0.02 at most; links lead somewhere.

    python3 tests/readme.py [--update] [FILE.md...]         --update: the output on the page becomes what was printed

In a ``` block a line that starts with "$ " is a command, with its continuation lines; lines up to the next one are
its output, where there are any.  A ```c block is program.c for the commands after it.  Calls of c++ in a sentence or
a table are run too, where there is one.  What takes minutes is not run.
Closing line "readme: N passed, N failed, N skipped"; exit 1 if anything failed.
SPDX-License-Identifier: MIT"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LONG = re.compile(r'icl (train|repro|eval)|make (mcu|real|bench|models|test|demo|web|install)|python3 tools/|pip |mpirun|train\.sh')
counts = {'passed': 0, 'failed': 0, 'skipped': 0}


def fail(what, why):
    counts['failed'] += 1
    print('FAILED   %s\n%s' % (what, why))


def folder():
    """A copy of the project, by links, where commands can write; docs is a folder of its own."""
    there = tempfile.mkdtemp(prefix='readme-')
    for name in os.listdir(TOP):
        if name not in ('docs', '.git'):
            os.symlink(os.path.join(TOP, name), os.path.join(there, name))
    os.mkdir(os.path.join(there, 'docs'))
    shutil.copy(os.path.join(TOP, 'examples/real/data/1d/Eckerle4.csv'), os.path.join(there, 'mydata.csv'))
    return there


def words(line):
    return [w.strip(',;:()') for w in re.split(r'[\s,]+', line.strip())]


def same_word(a, b):
    if a == b:
        return True
    try:
        x, y = float(a), float(b)
    except ValueError:
        return False
    last = len(a.partition('.')[2]) if 'e' not in a.lower() else 6
    return abs(x - y) <= max(min(0.02, 1.5 * 10.0 ** -last), 0.02 * abs(x))


def same(expected, found):
    return len(expected) == len(found) and all(
        len(words(a)) == len(words(b)) and all(map(same_word, words(a), words(b))) for a, b in zip(expected, found))


def run(command, expected, there, where):
    """The lines that it printed, or None."""
    plain = re.sub(r'\s+#.*$', '', command)
    if LONG.search(plain):
        counts['skipped'] += 1
        return None
    done = subprocess.run(plain, shell=True, cwd=there, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, stdin=subprocess.DEVNULL)
    found = [line.rstrip() for line in done.stdout.rstrip('\n').split('\n')]
    if done.returncode not in ((0, 3) if 'check' in plain else (0,)):
        fail(where + ': ' + plain, done.stdout[-600:])
    elif expected and not same([line.rstrip() for line in expected], found):
        fail(where + ': ' + plain, 'expected:\n%s\nprinted:\n%s' % ('\n'.join(expected), '\n'.join(found)))
    else:
        counts['passed'] += 1
    return found if expected else None


def block(lines, there, where):
    """Runs the commands of a ``` block; the block with what they printed."""
    out, at, untrained = [], 0, False
    while at < len(lines):
        if not lines[at].startswith('$ '):
            out.append(lines[at])
            at += 1
            continue
        end = at + 1
        while lines[end - 1].endswith('\\'):
            end += 1
        command = '\n'.join(lines[at:end])[2:]
        to = end
        while to < len(lines) and not lines[to].startswith('$ '):
            to += 1
        expected = lines[end:to]
        while expected and not expected[-1].strip():
            expected.pop()
        if untrained:                       # what needs a model that was not trained here
            counts['skipped'] += 1
            found = None
        else:
            found = run(command, expected, there, where)
        untrained = untrained or 'icl train' in command
        out += lines[at:end] + (found if found is not None else lines[end:to])
        at = to
    return out


def page(path, there, update):
    with open(os.path.join(TOP, path), encoding='utf-8') as f:
        lines = f.read().split('\n')
    out, inside, kind = [], None, ''
    for line in lines:
        if inside is None and line.startswith('```'):
            inside, kind = [], line[3:]
            out.append(line)
        elif inside is not None and line == '```':
            if kind == 'c':
                with open(os.path.join(there, 'program.c'), 'w') as f:
                    f.write('\n'.join(inside) + '\n')
            out += block(inside, there, path) if kind == '' else inside
            out.append(line)
            inside = None
        else:
            (out if inside is None else inside).append(line)
    if update:
        with open(os.path.join(TOP, path), 'w', encoding='utf-8') as f:
            f.write('\n'.join(out))
    for command in re.findall(r'`(c\+\+ [^`]+)`', '\n'.join(lines)) if shutil.which('c++') else []:
        run(command, [], there, path)
    links(path, '\n'.join(lines))


def links(path, text):
    """Links lead to files, and >>names to sections of the headers."""
    bad = []
    headers = ''.join(open(os.path.join(TOP, h), encoding='ascii').read() for h in ('icl.h', 'icl_train.h'))
    bad += [name for name in re.findall(r'`(>>\w+)`', text) if name != '>>name' and '* ' + name + '\n' not in headers]
    for target in re.findall(r'\]\(([^)]+)\)', text):
        name = target.split('#')[0]
        if not target.startswith('http') and name and not os.path.exists(os.path.join(TOP, os.path.dirname(path), name)):
            bad.append(target)
    if bad:
        fail(path + ': links', ' '.join(bad))
    else:
        counts['passed'] += 1


def main():
    files = [a for a in sys.argv[1:] if a != '--update']
    files = files or ['README.md'] + sorted('docs/' + f for f in os.listdir(os.path.join(TOP, 'docs')) if f.endswith('.md'))
    there = folder()
    try:
        for path in files:
            page(path, there, '--update' in sys.argv)
    finally:
        shutil.rmtree(there)
    print('readme: %(passed)d passed, %(failed)d failed, %(skipped)d skipped' % counts)
    return counts['failed'] > 0


sys.exit(main())
