#!/usr/bin/env python3
"""Makes build/icl.html: the page with engine, models and script inside, so that it opens from disk.

    examples/web/build.py            (make web)
    examples/web/build.py --same     whether docs/icl.html is that page; make page puts it there

Needs python3, clang with a WebAssembly target, and wasi-libc.  The models go in with I8 weights, as `icl quantize`
leaves them in build/web; engine and models are compressed by gzip, which the browser undoes.  The same sources give
the same page, byte for byte, with clang and wasi-libc of Debian 12; with another compiler the engine differs.
"""
import base64, gzip, io, os, re, shutil, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, '..', '..'))
OUT = os.path.join(ROOT, 'build', 'web')
LIMIT = 1_500_000
PINNED = b'version 14.0.6'
MODELS = {'curves': 'examples/models/curves', 'both': 'examples/paper/models/both'}


def run(*command):
    print('+', ' '.join(command), flush=True)
    if subprocess.run(command, cwd=ROOT).returncode:
        raise SystemExit('web: failed: ' + ' '.join(command))


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


def packed(content):
    """The same bytes each time: without a date, and with no word of the system."""
    out = io.BytesIO()
    with gzip.GzipFile(filename='', mode='wb', compresslevel=9, fileobj=out, mtime=0) as f:
        f.write(content)
    return out.getvalue()


def block(name, content):
    content = packed(content)
    print('%-13s %7d bytes compressed' % (name, len(content)))
    return '<script type="application/octet-stream" id="%s">%s</script>\n' % (name, base64.b64encode(content).decode())


def parts(path):
    """The page at path in its parts, as the browser has them: name -> bytes."""
    html = read(path).decode()
    found = {name: gzip.decompress(base64.b64decode(data)) for name, data in
             re.findall(r'<script type="application/octet-stream" id="([^"]+)">([^<]*)</script>', html)}
    found['page'] = re.sub(r'(octet-stream" id="[^"]+">)[^<]*', r'\1', html).encode()
    return found


def same():
    """Compares docs/icl.html with build/icl.html; the engine, too, where the compiler is that of the committed page."""
    mine, theirs = (parts(os.path.join(ROOT, folder, 'icl.html')) for folder in ('build', 'docs'))
    version = subprocess.run([os.environ.get('WASM_CLANG', 'clang-14'), '--version'], stdout=subprocess.PIPE).stdout
    differing = [name for name in sorted(set(mine) | set(theirs)) if mine.get(name) != theirs.get(name)]
    if differing == ['engine'] and PINNED not in version:
        print('skipped  the engine of docs/icl.html: it was made by clang ' + PINNED.decode())
        differing = []
    if differing:
        raise SystemExit('docs/icl.html is not what make web builds: %s differ (make page)' % ', '.join(differing))


def main():
    if sys.argv[1:] == ['--same']:
        return same()
    os.makedirs(OUT, exist_ok=True)
    if not shutil.which(os.environ.get('WASM_CLANG', 'clang-14')):
        raise SystemExit('web: needs clang-14 with wasi-libc and libclang-rt-14-dev-wasm32 (or WASM_CLANG)')
    data = block('engine', engine())
    for name, file in MODELS.items():
        path = os.path.join(ROOT, file + '.safetensors')
        small = os.path.join(OUT, name + '.safetensors')
        run('build/icl', 'quantize', path, '--dtype', 'i8', '--force', '-o', small)
        small = read(small)
        data += block('model-' + name, small)
        print('%-7s %7d bytes of %s' % (name, len(small), os.path.relpath(path, ROOT)))
    page = read(os.path.join(HERE, 'page.html')).decode()
    page = page.replace('<!-- DATA -->\n', data)
    page = page.replace('/* APP */', read(os.path.join(HERE, 'app.js')).decode())
    target = os.path.join(ROOT, 'build', 'icl.html')
    with open(target, 'w') as f:
        f.write(page)
    size = os.path.getsize(target)
    print('build/icl.html: %d bytes' % size)
    if size > LIMIT:
        raise SystemExit('web: the page may have %d bytes at most' % LIMIT)


main()
