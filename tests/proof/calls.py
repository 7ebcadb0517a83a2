#!/usr/bin/env python3
"""Every public function of the headers as a row of a table: tests/proof/calls.h, for tests/test_misuse.c.

    python3 tests/proof/calls.py            writes it anew
    python3 tests/proof/calls.py --check    exit 1 where it is not what the headers declare
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
STRUCTS = ["icl_config", "icl_ctx_options", "icl_metadata", "icl_sampling", "icl_train_options", "icl_run"]
INTS = {"int", "icl_error", "icl_storage", "icl_position", "icl_activation", "icl_tokens", "icl_input_kind",
        "icl_schedule", "icl_optimizer"}
LONGS = {"uint64_t": "u", "int64_t": "l", "size_t": "z"}
FUNCTIONS = {"icl_parallel *", "icl_draw"}


def bare(text):
    """Without comments, in one line's worth of spaces."""
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S)


def kind(type_):
    """One letter for a parameter: p pointer, g function, i int, f float, z size_t, u uint64_t, l int64_t."""
    if type_ in FUNCTIONS:
        return "g"
    if type_.endswith("*"):
        return "p"
    if type_ in INTS:
        return "i"
    return {"float": "f", "uint32_t": "i", "void": "v", **LONGS}[type_]


def split(text):
    """At commas outside of brackets."""
    parts, depth = [""], 0
    for ch in text:
        depth += (ch == "(") - (ch == ")")
        if ch == "," and not depth:
            parts.append("")
        else:
            parts[-1] += ch
    return [p.strip() for p in parts]


def parameter(text):
    """(type, name, kind); a function's type is what stands there."""
    inner = re.match(r"void \(\*(\w+)\)\((.*)\)$", text)
    if inner:
        return "void (*)(%s)" % inner[2], inner[1], "g"
    type_, name = re.match(r"(.*?)(\w+)$", text).groups()
    type_ = type_.strip()
    return type_, name, kind(type_)


def declarations():
    """The text of each, spaces as one, as tests/test_misuse.c reads them too."""
    for header in ("icl.h", "icl_train.h"):
        text = bare((ROOT / header).read_text())
        for m in re.finditer(r"^ICL_API [^;#]*;", text, flags=re.M):
            yield re.sub(r"\s+", " ", m[0])


def call(declaration):
    """Its row, and the function that calls it."""
    m = re.match(r"ICL_API (.*?)(\w+)\((.*)\);$", declaration)
    returns, name, params = m[1].strip(), m[2], m[3]
    params = [] if params == "void" else [parameter(p) for p in split(params)]
    args = []
    for i, (type_, _, k) in enumerate(params):
        member = {"p": "p", "g": "g", "i": "i", "f": "f", "z": "z", "u": "u", "l": "l"}[k]
        cast = "(%s)" % type_ if k == "g" or type_ in INTS - {"int"} else ""
        args.append("%sa[%d].%s" % (cast, i, member))
    k = "e" if returns == "icl_error" else kind(returns)
    text = "%s(%s)" % (name, ", ".join(args))
    if k == "v":
        body = text + "; r->i = 0;"
    elif k == "p":
        body = "r->p = (void *)(uintptr_t)%s;" % text
    else:
        body = "r->%s = %s%s;" % ("i" if k == "e" else k, "(int)" if k in "ei" else "", text)
    unused = "" if params else " (void)a;"
    rows = ", ".join('{"%s", "%s", \'%s\'}' % p for p in params) or '{NULL, NULL, 0}'
    function = "static void do_%s(const arg *a, arg *r) {%s %s }" % (name, unused, body)
    row = '  {"%s", \'%s\', do_%s, %d, {%s},\n   "%s"},' % (name, k, name, len(params), rows, declaration)
    return function, row


def fields(struct, inside=""):
    """The numbers and pointers of a struct of the caller's, and of the structs in it: (name, kind)."""
    text = "".join(bare((ROOT / header).read_text()) for header in ("icl.h", "icl_train.h"))
    body = re.search(r"typedef struct %s \{(.*?)\} %s;" % (struct, struct), text, flags=re.S)[1]
    for line in re.sub(r"\s+", " ", body).split(";"):
        if not line.strip() or "(*" in line:
            continue
        first, *more = split(line)
        type_, name = re.match(r"(.*?)(\w+)(?:\[\w+\])?$", first).groups()
        type_ = type_.strip()
        if type_ in STRUCTS:
            yield from fields(type_, name + ".")
            continue
        for n in [name] + more:
            yield inside + n, kind(type_)


def table():
    calls = [call(d) for d in declarations()]
    out = ["/* Made of icl.h and icl_train.h by tests/proof/calls.py: every public function. */"]
    out += [f for f, _ in calls]
    out += ["static const call calls[] = {"] + [r for _, r in calls] + ["};", ""]
    out += ["/* The numbers and pointers in structs of the caller's. */", "static const field fields[] = {"]
    for struct in STRUCTS:
        out += ["  {\"%s\", \"%s\", '%s', offsetof(%s, %s)}," % (struct, n, k, struct, n)
                for n, k in fields(struct)]
    return "\n".join(out + ["};"]) + "\n"


if __name__ == "__main__":
    path = ROOT / "tests" / "proof" / "calls.h"
    if "--check" not in sys.argv:
        path.write_text(table())
    elif path.read_text() != table():
        sys.exit("tests/proof/calls.h is not what the headers declare: run tests/proof/calls.py")
