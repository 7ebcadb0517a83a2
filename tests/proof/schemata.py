"""All mutants of some C functions in one source: every place that can change chooses by a number,
(icl__mutant == 7 ? a <= b : a < b), so that one build holds all of them.  With MUTANT_MS=250 in the environment
the program reads numbers of mutants, one a line, runs each as a process of its own that ends after so much time
of the processor, and answers with the status of that process; 0 is the program without a change.

Places come from clang's syntax tree (-ast-dump=json).  The changes:
    < <= > >=    the boundary, and the opposite
    == !=        the opposite
    && ||        the other, and either operand left out
    + - * / % << >> & | ^   another of them
    ++ --        the other
    ! - ~        left out
    conditions   of if and ?: always, never; of loops never
    whole numbers   one more; one less from 2 on; 1: 0
    statements   left out: assignments, calls, continue, break
Not: in sizeof, case labels, enumerations, tables of constants, or what a macro expands to."""
import json
import re
import subprocess

SWAPS = {'<': ['<=', '>='], '<=': ['<', '>'], '>': ['>=', '<='], '>=': ['>', '<'], '==': ['!='], '!=': ['=='],
         '&&': ['||'], '||': ['&&'], '+': ['-'], '-': ['+'], '*': ['+'], '/': ['*'], '%': ['+'], '<<': ['>>'],
         '>>': ['<<'], '&': ['|'], '|': ['&'], '^': ['|'], '+=': ['-='], '-=': ['+='], '|=': ['&='], '&=': ['|='],
         '*=': ['+='], '/=': ['*='], '<<=': ['>>='], '>>=': ['<<='], '^=': ['|=']}
PRELUDE = '''#ifndef ICL__MUTANT_CHOSEN
#define ICL__MUTANT_CHOSEN
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
static int icl__mutant;
/* The process of one mutant, which ends after so much time of the processor, or many times as much of the clock. */
static void icl__be_mutant(int number, int ms)
{
  struct itimerval end = {{0, 0}, {0, 0}};
  int null = open("/dev/null", O_RDWR);
  setsid();
  dup2(null, 0), dup2(null, 1), dup2(null, 2);
  close(null);
  end.it_value.tv_sec = ms / 1000;
  end.it_value.tv_usec = ms % 1000 * 1000;
  setitimer(ITIMER_PROF, &end, 0);
  alarm(60u + (unsigned)ms / 100);
  icl__mutant = number;
}
__attribute__((constructor)) static void icl__serve_mutants(void)
{
  const char *ms = getenv("MUTANT_MS");
  char line[32];
  FILE *asked = ms ? fdopen(dup(0), "r") : NULL, *told = ms ? fdopen(dup(1), "w") : NULL;
  if (!ms) return;
  while (fgets(line, sizeof line, asked)) {
    int status = 0;
    pid_t child = fork();
    if (!child) {
      close(fileno(asked)), close(fileno(told));
      icl__be_mutant(atoi(line), atoi(line) ? atoi(ms) : 1000000);
      return;
    }
    waitpid(child, &status, 0);
    kill(-child, SIGKILL);                     /* processes that it left */
    fprintf(told, "%d\\n", status);
    fflush(told);
  }
  _exit(0);
}
#endif
'''


class Mutant:
    def __init__(self, number, file, function, line, change):
        self.number, self.file, self.function, self.line, self.change = number, file, function, line, change

    def key(self):
        return self.file, self.function, self.line, self.change


def tree(clang, folder, source, flags):
    out = subprocess.run([clang, '-w', *flags, '-Xclang', '-ast-dump=json', '-fsyntax-only', source], cwd=folder,
                         stdout=subprocess.PIPE, check=True).stdout
    return json.loads(out)


def place(loc):
    """(offset, length of the token, 1 if from a macro)"""
    if 'expansionLoc' in loc:
        return loc['expansionLoc'].get('offset'), loc['expansionLoc'].get('tokLen', 0), True
    return loc.get('offset'), loc.get('tokLen', 0), False


class Source:
    """The text of one file, the functions to change, and the changes found."""

    def __init__(self, name, text, numbers, wanted):
        self.name, self.text, self.numbers, self.wanted = name, text, numbers, wanted
        self.edits, self.mutants, self.seen = {}, [], {}
        self.function = '-'

    def span(self, node):
        """(begin, end) in the text, or None where a macro hides it."""
        r = node.get('range')
        if not r or not r.get('begin'):
            return None
        (b, _, macro), (e, n, macro_end) = place(r['begin']), place(r['end'])
        if b is None or e is None or (macro and macro_end and b == e):
            return None
        e += n
        if macro_end and self.text[e:e + 1] == '(':
            depth = 0
            while True:
                depth += (self.text[e] == '(') - (self.text[e] == ')')
                e += 1
                if not depth:
                    break
        return (b, e) if b < e else None

    def of(self, node):
        s = self.span(node)
        return self.text[s[0]:s[1]] if s else None

    def add(self, span, kind, new, old_text, new_text):
        line = self.text[self.text.rfind('\n', 0, span[0]) + 1:self.text.find('\n', span[0])].strip()
        change = '%s -> %s' % (' '.join(old_text.split()), ' '.join(new_text.split()) or 'nothing')
        key = self.function, line, change
        self.seen[key] = self.seen.get(key, 0) + 1
        if self.seen[key] > 1:
            change += ' (%d)' % self.seen[key]
        m = Mutant(next(self.numbers), self.name, self.function, line, change)
        self.mutants.append(m)
        self.edits.setdefault(span, {'expr': [], 'truth': [], 'stmt': []})[kind].append((m.number, new))

    # ----- what changes ------------------------------------------------------------------------------

    def truth(self, node, values):
        """A condition or operand that becomes constant."""
        span = self.span(node)
        for v in values if span else []:
            self.add(span, 'truth', v, self.of(node), v)

    def binary(self, node):
        op, (a, b) = node['opcode'], node['inner']
        left, right, span = self.of(a), self.of(b), self.span(node)
        if not left or not right or not span:
            return
        pointers = '*' in a.get('type', {}).get('qualType', '') and '*' in b.get('type', {}).get('qualType', '')
        for new in SWAPS.get(op, []):
            if not (pointers and op == '-'):
                self.add(span, 'expr', '%s %s %s' % (left, new, right), self.text[span[0]:span[1]],
                         '%s %s %s' % (left, new, right))
        if op in ('&&', '||'):
            self.truth(a, ['1' if op == '&&' else '0'])
            self.truth(b, ['1' if op == '&&' else '0'])

    def unary(self, node):
        op, inner, span = node['opcode'], self.of(node['inner'][0]), self.span(node)
        if not inner or not span:
            return
        if op in ('++', '--'):
            new = '--' if op == '++' else '++'
            text = inner + new if node.get('isPostfix') else new + inner
        elif op in ('!', '-', '~'):
            text = '!!(%s)' % inner if op == '!' else inner
        else:
            return
        self.add(span, 'expr', text, self.text[span[0]:span[1]], text)

    def number(self, node):
        text, span = self.of(node), self.span(node)
        m = text and re.fullmatch(r'(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)', text)
        if not m:
            return
        v = int(m.group(1), 0)
        for new in [0] if v == 1 else [v + 1] if v == 0 else [v + 1, v - 1]:
            if new < 1 << 64:
                t = '%d%s' % (new, m.group(2) or ('u' if new > 0x7fffffff else ''))
                self.add(span, 'expr', t, text, t)

    def statement(self, node):
        """Leaves it out, with its semicolon."""
        kind, op = node['kind'], node.get('opcode')
        if not (kind in ('CompoundAssignOperator', 'CallExpr', 'ContinueStmt', 'BreakStmt')
                or (kind == 'BinaryOperator' and op == '=') or (kind == 'UnaryOperator' and op in ('++', '--'))):
            return
        span = self.span(node)
        if not span:
            return
        end = span[1]
        while self.text[end].isspace():
            end += 1
        if self.text[end] == ';':
            self.add((span[0], end + 1), 'stmt', '', self.text[span[0]:end + 1], 'nothing')

    # ----- the walk -----------------------------------------------------------------------------------

    def walk(self, node, parent=None):
        kind = node.get('kind')
        inner = [c for c in node.get('inner', []) if c]
        if kind in ('UnaryExprOrTypeTraitExpr', 'EnumDecl', 'RecordDecl', 'TypedefDecl', 'StaticAssertDecl'):
            return
        if kind == 'VarDecl' and node.get('storageClass') == 'static':
            return
        if kind == 'ImplicitCastExpr' and node.get('castKind') == 'NullToPointer':
            return
        r = node.get('range', {})
        if r.get('begin') and r.get('end'):
            (b, _, m), (e, _, n) = place(r['begin']), place(r['end'])
            if m and n and b == e:
                return
        if kind in ('BinaryOperator', 'CompoundAssignOperator'):
            self.binary(node)
        elif kind == 'UnaryOperator':
            self.unary(node)
        elif kind == 'IntegerLiteral':
            self.number(node)
        elif kind in ('IfStmt', 'ConditionalOperator'):
            self.truth(inner[0], ['0', '1'])
        elif kind == 'WhileStmt':
            self.truth(inner[0], ['0'])
        elif kind == 'DoStmt':
            self.truth(inner[1], ['0'])
        elif kind == 'ForStmt' and node['inner'][2]:
            self.truth(node['inner'][2], ['0'])
        if kind == 'CompoundStmt':
            bodies = inner
        elif kind == 'IfStmt':
            bodies = inner[1:]
        elif kind in ('ForStmt', 'WhileStmt', 'LabelStmt', 'DefaultStmt', 'CaseStmt'):
            bodies = inner[-1:]
        else:
            bodies = inner[:1] if kind == 'DoStmt' else []
        for b in bodies:
            self.statement(b)
        for c in inner[1:] if kind == 'CaseStmt' else inner:
            self.walk(c, node)

    def take(self, top):
        for f in top['inner']:
            if f.get('kind') != 'FunctionDecl' or f.get('name') not in self.wanted:
                continue
            body = [c for c in f.get('inner', []) if c.get('kind') == 'CompoundStmt']
            at = f['loc'].get('offset', 0)
            if body and self.text[at:at + len(f['name'])] == f['name']:
                self.function = f['name']
                self.walk(body[0])

    # ----- the new text ---------------------------------------------------------------------------------

    def render(self, begin, end, spans):
        """text[begin:end] with the edits at spans, which lie in it, outermost first."""
        out, at, i = [], begin, 0
        while i < len(spans):
            b, e = spans[i]
            j = i + 1
            while j < len(spans) and spans[j][0] < e:
                j += 1
            out.append(self.text[at:b])
            inside, edit = self.render(b, e, spans[i + 1:j]), self.edits[spans[i]]
            if edit['expr']:
                inside = '(%s(%s))' % (''.join('icl__mutant == %d ? (%s) : ' % x for x in edit['expr']), inside)
            if edit['truth']:
                inside = '(%s!!(%s))' % (''.join('icl__mutant == %d ? %s : ' % x for x in edit['truth']), inside)
            if edit['stmt']:
                inside = '{ if (icl__mutant != %d) { %s } }' % (edit['stmt'][0][0], inside)
            out.append(inside)
            at, i = e, j
        out.append(self.text[at:end])
        return ''.join(out)

    def result(self):
        spans = sorted(self.edits, key=lambda s: (s[0], -s[1]))
        return self.render(0, len(self.text), spans)
