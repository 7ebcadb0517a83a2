// Runs a WASI program with the files of this folder: node tests/web/wasi.mjs PROGRAM.wasm [ARGUMENT...]
import { readFileSync } from 'node:fs';
import { WASI } from 'node:wasi';

const wasi = new WASI({ version: 'preview1', args: process.argv.slice(2), preopens: { '.': '.', '/tmp': '/tmp' },
                        returnOnExit: true });
// Called through functions of ours: node 20 aborts in direct calls once the program's memory has grown.
const calls = wasi.wasiImport;
const imports = Object.fromEntries(Object.keys(calls).map(name => [name, (...args) => calls[name](...args)]));
const program = new WebAssembly.Module(readFileSync(process.argv[2]));
process.exitCode = wasi.start(new WebAssembly.Instance(program, { wasi_snapshot_preview1: imports }));
