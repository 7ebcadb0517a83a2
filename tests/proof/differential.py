#!/usr/bin/env python3
"""The loader against Python: generated checkpoints, good and broken, through build/verdict and through
json.loads and the rules of safetensors below, and through the package safetensors, where it is
installed.

    tests/proof/differential.py [N]       N files (100000)

What the loader accepts both must accept.  What one of them accepts the loader must accept, or refuse with a
text of OURS: rules that are stricter than the format's, each with its reason.  Closing line
"differential: N passed, N failed, N skipped"."""
import json
import math
import os
import random
import re
import struct
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
try:
    import safetensors
    from safetensors import deserialize
except ImportError:
    safetensors = None

# The loader's text -> why it is right to refuse what the format allows.
OURS = {
    r'escape in': 'names, keys and values are compared byte by byte',
    'repeated key': 'json takes the last of two, other readers the first',
    r'the header does not start with \{|bytes after the header|header length below 2': 'the text of the format',
    r'expected a string|not a string': 'metadata are strings',
    r'expected a whole number|expected \[|expected \]|too many numbers': 'sizes are whole numbers, rank is 4 at most',
    r'unknown tensor|unknown prefix|missing tensor|wrong shape|there twice|no I8 tensor': 'not this model',
    r'dtype': 'types of this model',
    r'impossible shape': 'no tensor is empty',
    r'metadata lack|bad value|contradict|in spite of|no wpe': 'the configuration',
    r'too many layers|too large|longer than 1 MiB': 'limits of this build',
    r'unknown key': 'members that the format does not have',
    r'n_head|n_embd|n_dims|n_positions|n_out|n_layer|epsilon|quantile|icl\.': 'the configuration',
}
BYTES = {'F32': 4, 'F16': 2, 'BF16': 2, 'I8': 1, 'F64': 8, 'I64': 8, 'I32': 4, 'I16': 2, 'U64': 8, 'U32': 4,
         'U16': 2, 'U8': 1, 'BOOL': 1}


def tensors(rng):
    """Name, dtype, shape of a small model; and its metadata."""
    c, d, layers = rng.choice([1, 2]), rng.choice([1, 2]), rng.choice([1, 1, 2])
    out = [('_read_in.weight', [c, d]), ('_read_in.bias', [c]), ('_backbone.wpe.weight', [5, c])]
    for i in range(layers):
        h = '_backbone.h.%d.' % i
        out += [(h + 'ln_1.weight', [c]), (h + 'ln_1.bias', [c]), (h + 'attn.c_attn.weight', [c, 3 * c]),
                (h + 'attn.c_attn.bias', [3 * c]), (h + 'attn.c_proj.weight', [c, c]), (h + 'attn.c_proj.bias', [c]),
                (h + 'ln_2.weight', [c]), (h + 'ln_2.bias', [c]), (h + 'mlp.c_fc.weight', [c, 4 * c]),
                (h + 'mlp.c_fc.bias', [4 * c]), (h + 'mlp.c_proj.weight', [4 * c, c]), (h + 'mlp.c_proj.bias', [c])]
    out += [('_backbone.ln_f.weight', [c]), ('_backbone.ln_f.bias', [c]), ('_read_out.weight', [1, c]),
            ('_read_out.bias', [1])]
    if rng.random() < 0.3:
        out.append(('_backbone.h.0.attn.masked_bias', [1]))
    return [[n, rng.choice(['F32'] * 6 + ['F16', 'BF16']), s] for n, s in out]


def header(rng):
    ts, at, members = tensors(rng), 0, []
    meta = {'n_head': '1'}
    if rng.random() < 0.3:
        meta['layer_norm_epsilon'] = rng.choice(['1e-5', '1E-05', '0.001', '1', '-1', 'nan', '1e-60', '00.1', '.5'])
    if rng.random() < 0.2:
        meta['icl.task'] = rng.choice(['dense', 'a"b', '\u00e9', 'x' * 50, ''])
    if rng.random() < 0.2:
        meta[rng.choice(['format', 'activation_function', 'n_positions', 'other'])] = rng.choice(
            ['pt', 'relu', 'gelu', '5', '0', ''])
    rng.random() < 0.5 and rng.shuffle(ts)
    for name, dtype, shape in ts:
        n = BYTES[dtype] * math.prod(shape)
        inner = ['"dtype":"%s"' % dtype, '"shape":%s' % json.dumps(shape), '"data_offsets":[%d,%d]' % (at, at + n)]
        rng.random() < 0.2 and rng.shuffle(inner)
        members.append('"%s":{%s}' % (name, ','.join(inner)))
        at += n
    if rng.random() < 0.5:
        rng.shuffle(members)
    members.insert(rng.choice([0, 0, len(members)]), '"__metadata__":' + json.dumps(meta, ensure_ascii=rng.random() < .5))
    return '{' + ','.join(members) + '}', at


def swap_number(rng, s):
    ms = list(re.finditer(r'\d+', s))
    if not ms:
        return s
    m = rng.choice(ms)
    new = rng.choice(['0', '1', '2', '3', '-1', '01', '1.0', '1e0', '4294967296', '9007199254740993',
                      '18446744073709551616', str(int(m.group()[:9]) + 1)])
    return s[:m.start()] + new + s[m.end():]


def broken(rng, s):
    """One change to a header's text."""
    at = rng.randrange(len(s))
    way = rng.randrange(9)
    if way < 3:
        return swap_number(rng, s)
    if way == 3:
        return s[:at] + s[at + 1:]
    if way == 4:
        return s[:at] + rng.choice(list('{}[]",:0 \t\n\\x\x01\x7f\u00e9')) + s[at:]
    if way == 5:
        return s[:at]
    if way == 6:
        word = rng.choice(re.findall(r'"([^"]*)"', s) or ['x'])
        return s.replace('"%s"' % word, '"%s"' % rng.choice(['dtype', 'shape', word + 'x', '\\u0041', 'I8', word]), 1)
    if way == 7 and '},' in s:
        members = s[1:-1].split('},')
        members.insert(0, rng.choice(members))
        return '{' + '},'.join(members) + '}'
    return s + rng.choice([' ', '   ', '\n', '}', ' x', '\0'])


def generate(rng):
    s, data = header(rng)
    for _ in range(rng.choice([0, 0, 1, 1, 1, 2])):
        s = broken(rng, s) if s else s
    raw = s.encode('utf-8', 'surrogatepass')
    if rng.random() < 0.03:
        at = rng.randrange(max(1, len(raw)))
        raw = raw[:at] + bytes([rng.choice([0xff, 0x80, 0xc0, 0xed])]) + raw[at + 1:]
    n = len(raw) + (rng.choice([1, -1, 8, 1 << 20, 1 << 40]) if rng.random() < 0.03 else 0)
    data += rng.choice([1, -1, 4]) if rng.random() < 0.04 else 0
    return struct.pack('<Q', max(0, n)) + raw + b'\0' * max(0, data)


repeated = False                             # a key of the file in hand is there twice


def note_repeated(pairs):
    global repeated
    repeated |= len({k for k, _ in pairs}) < len(pairs)
    return dict(pairs)


def refuse_constant(text):
    raise ValueError(text)


def python_accepts(f):
    """By json and the text of the format: https://github.com/huggingface/safetensors#format"""
    global repeated
    repeated = False
    if len(f) < 8:
        return False
    n = struct.unpack('<Q', f[:8])[0]
    if n > 100_000_000 or n > len(f) - 8:
        return False
    try:
        top = json.loads(f[8:8 + n].decode('utf-8'), parse_constant=refuse_constant,
                         object_pairs_hook=note_repeated)
    except (ValueError, RecursionError):
        return False
    if not isinstance(top, dict):
        return False
    spans = []
    for name, t in top.items():
        if name == '__metadata__':
            if not isinstance(t, dict) or not all(isinstance(v, str) for v in t.values()):
                return False
            continue
        if not isinstance(t, dict) or not {'dtype', 'shape', 'data_offsets'} <= set(t):
            return False
        size, shape, offsets = BYTES.get(t['dtype'] if isinstance(t['dtype'], str) else ''), t['shape'], t['data_offsets']
        for v in (shape, offsets):
            if not isinstance(v, list) or not all(type(x) is int and x >= 0 for x in v):
                return False
        if size is None or len(offsets) != 2 or size * math.prod(shape) != offsets[1] - offsets[0]:
            return False
        spans.append(tuple(offsets))
    at = 0
    for a, b in sorted(spans):
        if a != at:
            return False
        at = b
    return at == len(f) - 8 - n


def package_accepts(f):
    try:
        deserialize(f)
        return True
    except Exception:                        # of the package, by what it does not like
        return False


def tell(who, count, both, neither, stricter):
    print('%d files beside %s: %d accepted by both, %d refused by both, %d by a rule of ours' % (
        count, who, both, neither, sum(stricter.values())))
    for rule, n in sorted(stricter.items(), key=lambda x: -x[1]):
        print('%7d  %s: %s' % (n, rule.replace('\\', ''), OURS[rule]))


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100000
    rng, files = random.Random(15), []
    for _ in range(count):
        files.append(generate(rng))
    feed = b''.join(struct.pack('<I', len(f)) + f for f in files)
    out = subprocess.run([os.path.join(ROOT, 'build/verdict')], input=feed, stdout=subprocess.PIPE, check=True).stdout
    lines = out.decode().split('\n')[:-1]
    assert len(lines) == count, (len(lines), count)
    both = neither = bad = real_both = real_neither = 0
    stricter, real_stricter = {}, {}
    for f, line in zip(files, lines):
        code, _, text = line.split(' ', 2)
        ours, theirs = code == '0', python_accepts(f)
        rule = next((r for r in OURS if re.search(r, text)), None)
        if not ours and not rule and repeated:             # we read the first of the two, and refuse that
            rule = 'repeated key'
        both += ours and theirs
        neither += not ours and not theirs
        if ours and not theirs or (theirs and not ours and not rule):
            bad += 1
            print('differs: %s; Python %s: %r' % (line, 'accepts' if theirs else 'refuses', f[:300]))
        elif theirs and not ours:
            stricter[rule] = stricter.get(rule, 0) + 1
        if not safetensors:
            continue
        real = package_accepts(f)
        real_both += ours and real
        real_neither += not ours and not real
        if ours and not real or (real and not ours and not rule):
            bad += 1
            print('differs: %s; safetensors %s: %r' % (line, 'accepts' if real else 'refuses', f[:300]))
        elif real and not ours:
            real_stricter[rule] = real_stricter.get(rule, 0) + 1
    tell('Python', count, both, neither, stricter)
    if safetensors:
        tell('safetensors ' + safetensors.__version__, count, real_both, real_neither, real_stricter)
    else:
        print('skipped: the comparison with safetensors, which is not installed')
    if both < count // 20 or neither < count // 20:
        print('differential: 0 passed, 1 failed, 0 skipped: the generator makes too few of one kind')
        return 1
    print('differential: %d passed, %d failed, %d skipped' % (count - bad, bad, 0 if safetensors else 1))
    return bad > 0


sys.exit(main())
