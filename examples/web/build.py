#!/usr/bin/env python3
"""Makes build/icl.html: the page with engine, models and script inside, so that it opens from disk.

    examples/web/build.py            (make web)

Needs python3, clang with a WebAssembly target, and wasi-libc.  The models go in with the matrices of their blocks
as 8-bit whole numbers and a scale a column; build/web has the same rounded weights as F32, for the native engine
to be compared with.  A model of the paper that is not there yet is replaced by a small one, trained on the spot.
"""
import array, base64, json, os, shutil, struct, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, '..', '..'))
OUT = os.path.join(ROOT, 'build', 'web')
LIMIT = 1_500_000
PAPER = {'line': 'dense', 'sine': 'sine', 'both': '0.5*dense + 0.5*sine'}
MATRICES = ('attn.c_attn.weight', 'attn.c_proj.weight', 'mlp.c_fc.weight', 'mlp.c_proj.weight')


def run(*command):
    print('+', ' '.join(command), flush=True)
    subprocess.run(command, check=True, cwd=ROOT)


def engine():
    """engine.c as WebAssembly.  Linked without -O, which would call wasm-opt where there is one."""
    clang = [os.environ.get('WASM_CLANG', 'clang-14'), '--target=wasm32-unknown-wasi']
    run(*clang, '-std=c99', '-O2', '-msimd128', '-Wall', '-Wextra', '-c', 'examples/web/engine.c',
        '-o', 'build/web/engine.o')
    run(*clang, '-nostartfiles', '-Wl,--no-entry,--strip-all,--gc-sections', 'build/web/engine.o', '-lm',
        '-o', 'build/web/engine.wasm')
    return read(os.path.join(OUT, 'engine.wasm'))


def read(path):
    with open(path, 'rb') as f:
        return f.read()


def model_path(name):
    """Where the model is, or a stand-in for it."""
    if name == 'curves':
        return os.path.join(ROOT, 'examples', 'models', 'curves.safetensors'), False
    path = os.path.join(ROOT, 'examples', 'paper', 'models', name + '.safetensors')
    if os.path.exists(path):
        return path, False
    print('note: there is no %s; a stand-in takes its place' % os.path.relpath(path, ROOT))
    path = os.path.join(OUT, 'stand-in-%s.safetensors' % name)
    if not os.path.exists(path):
        run('make', '-s', 'build/icl')
        run('build/icl', 'train', '--force', '--task', PAPER[name], '--dims', '1', '--pairs', '17', '--layers', '2',
            '--heads', '2', '--width', '32', '--steps', '1500', '--lr', '0.003', '--schedule', 'cosine',
            '--warmup', '100', '--clip', '1', '--init-sd', '0.18', '--seed', '1', '-o', path)
    return path, True


def safetensors(metadata, tensors):
    """tensors: (name, dtype, shape, bytes) with the widest types first, so that all are aligned."""
    header, data = {'__metadata__': metadata}, b''
    for name, dtype, shape, content in tensors:
        header[name] = {'dtype': dtype, 'shape': shape, 'data_offsets': [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    return struct.pack('<Q', len(text)) + text + data


def floats(content):
    a = array.array('f')
    a.frombytes(content)
    if sys.byteorder == 'big':
        a.byteswap()
    return a


def as_bytes(a):
    if sys.byteorder == 'big':
        a = a[:]
        a.byteswap()
    return a.tobytes()


def eight_bits(file):
    """An F32 checkpoint with I8 matrices, NAME[i][j] = whole number x NAME.scale[j]; and those weights as F32."""
    length = struct.unpack('<Q', file[:8])[0]
    header, data = json.loads(file[8:8 + length]), file[8 + length:]
    metadata = header.pop('__metadata__')
    metadata.pop('icl.digest', None)                     # of the weights before they were rounded
    small, plain = [], []
    for name, t in sorted(header.items(), key=lambda item: item[1]['data_offsets'][0]):
        content = data[slice(*t['data_offsets'])]
        if t['dtype'] != 'F32':
            raise SystemExit('%s is %s; this reads F32' % (name, t['dtype']))
        if name.endswith(MATRICES):
            rows, cols = t['shape']
            w = floats(content)
            scale = array.array('f', [max(abs(v) for v in w[j::cols]) / 127 or 1 for j in range(cols)])
            q = array.array('b', [max(-127, min(127, round(v / scale[i % cols]))) for i, v in enumerate(w)])
            small += [(name, 'I8', t['shape'], q.tobytes()), (name + '.scale', 'F32', [cols], as_bytes(scale))]
            content = as_bytes(array.array('f', [v * scale[i % cols] for i, v in enumerate(q)]))
        else:
            small.append((name, 'F32', t['shape'], content))
        plain.append((name, 'F32', t['shape'], content))
    small.sort(key=lambda t: t[1] != 'F32')
    return safetensors(metadata, small), safetensors(metadata, plain)


def block(name, content):
    return '<script type="application/octet-stream" id="%s">%s</script>\n' % (name, base64.b64encode(content).decode())


def main():
    os.makedirs(OUT, exist_ok=True)
    if not shutil.which(os.environ.get('WASM_CLANG', 'clang-14')):
        raise SystemExit('web: needs clang-14 with wasi-libc and libclang-rt-14-dev-wasm32 (or WASM_CLANG)')
    data, stand_ins = block('engine', engine()), []
    for name in ('curves', 'line', 'sine', 'both'):
        path, stand_in = model_path(name)
        stand_ins += [name] * stand_in
        small, plain = eight_bits(read(path))
        with open(os.path.join(OUT, name + '.safetensors'), 'wb') as f:
            f.write(plain)
        data += block('model-' + name, small)
        print('%-7s %7d bytes of %s' % (name, len(small), os.path.relpath(path, ROOT)))
    page = read(os.path.join(HERE, 'page.html')).decode()
    page = page.replace('STAND_INS', ' '.join(stand_ins)).replace('<!-- DATA -->\n', data)
    page = page.replace('/* APP */', read(os.path.join(HERE, 'app.js')).decode())
    target = os.path.join(ROOT, 'build', 'icl.html')
    with open(target, 'w') as f:
        f.write(page)
    size = os.path.getsize(target)
    print('build/icl.html: %d bytes' % size)
    if size >= LIMIT:
        raise SystemExit('web: the page may have %d bytes at most' % LIMIT)


main()
