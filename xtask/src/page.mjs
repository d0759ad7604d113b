// Finishes the page that Trunk has built: node page.mjs BUILT SERVED
//
// Trunk names files before wasm-opt has changed them, so equal names could mean different content. Here each file gets the
// name of its final content, which lets browsers keep it for ever, and a brotli and a gzip copy beside it.

import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const [built, served] = process.argv.slice(2);
const names = readdirSync(built);
const only = (ending) => {
  const found = names.filter((name) => name.endsWith(ending));
  if (found.length !== 1) throw new Error(`expected one ${ending} file, found: ${found.join(', ') || 'none'}`);
  return found[0];
};
const wasmName = only('.wasm');
const scriptName = only('.js');
const others = names.filter((name) => ![wasmName, scriptName, 'index.html'].includes(name));
if (others.length) throw new Error(`nothing serves these files: ${others.join(', ')}`);

const named = (ending, content) => `frontend-${createHash('sha256').update(content).digest('hex').slice(0, 16)}${ending}`;
const replaced = (text, from, to) => {
  if (!text.includes(from)) throw new Error(`${from} is not mentioned where it should be`);
  return text.replaceAll(from, to);
};

const wasm = readFileSync(join(built, wasmName));
const newWasmName = named('_bg.wasm', wasm);
const script = readFileSync(join(built, scriptName));
const newScriptName = named('.js', script);
// The page tells the script which WASM to load, so names stand in the page alone.
let html = readFileSync(join(built, 'index.html'), 'utf8');
html = replaced(replaced(html, wasmName, newWasmName), scriptName, newScriptName);

const files = new Map();
for (const [name, content] of [[newWasmName, wasm], [newScriptName, script]]) {
  files.set(name, content);
  files.set(`${name}.br`, brotliCompressSync(content, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: content.length },
  }));
  files.set(`${name}.gz`, gzipSync(content, { level: 9 }));
}
// The page comes last, when everything it names is there, and only then goes what it no longer names.
files.set('index.html', html);

mkdirSync(served, { recursive: true });
for (const [name, content] of files) writeFileSync(join(served, name), content);
for (const name of readdirSync(served)) {
  if (!files.has(name) && name !== '.gitkeep') rmSync(join(served, name), { recursive: true });
}
