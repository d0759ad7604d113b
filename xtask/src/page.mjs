// Finishes the page that Trunk has built: node page.mjs BUILT SERVED
//
// Trunk names files before wasm-opt has changed them, so equal names could mean different content. Here each file gets the
// name of its final content, which lets browsers keep it for ever, and a brotli and a gzip copy beside it. The names by which
// script and WASM know each other are shortened first: they hold hashes, which do not compress.

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

// An unsigned number as WASM writes it (LEB128), and the position after the one that is read.
const written = (number) => (number < 128 ? [number] : [(number % 128) + 128, ...written(Math.floor(number / 128))]);
const read = (bytes, at) => {
  if (bytes[at] < 128) return [bytes[at], at + 1];
  const [rest, end] = read(bytes, at + 1);
  return [bytes[at] - 128 + rest * 128, end];
};
const block = (bytes, at) => {
  const [size, start] = read(bytes, at);
  return [bytes.subarray(start, start + size), start + size];
};
const withSize = (bytes) => Buffer.concat([Buffer.from(written(bytes.length)), bytes]);

const IMPORT_SECTION = 2;
const FUNCTION = 0;

// The list of imports, with the name of each function as `shortened` gives it.
const renamedImports = (section, shortened) => {
  let [count, at] = read(section, 0);
  const parts = [Buffer.from(written(count))];
  while (count--) {
    let module, name;
    [module, at] = block(section, at);
    [name, at] = block(section, at);
    const kind = section[at];
    if (kind !== FUNCTION) throw new Error(`${name} is imported, but is no function`);
    const [, end] = read(section, at + 1);
    parts.push(withSize(module), withSize(Buffer.from(shortened(name.toString()))), section.subarray(at, end));
    at = end;
  }
  return Buffer.concat(parts);
};

// Gives each function that the WASM imports a short name, in both files.
const withShortNames = (wasm, script) => {
  const imports = WebAssembly.Module.imports(new WebAssembly.Module(wasm));
  const short = new Map(imports.map(({ name }, number) => [name, `i${number.toString(36)}`]));
  const defined = new Set();
  const newScript = script.replace(/^( +)(\w+): function\(/gm, (definition, space, name) => {
    if (!short.has(name)) return definition;
    defined.add(name);
    return `${space}${short.get(name)}: function(`;
  });
  for (const name of short.keys()) {
    if (!defined.has(name) || newScript.includes(name)) throw new Error(`the script should define ${name} and not use it`);
  }

  const parts = [wasm.subarray(0, 8)];
  for (let at = 8, content; at < wasm.length; ) {
    const kind = wasm[at];
    [content, at] = block(wasm, at + 1);
    if (kind === IMPORT_SECTION) content = renamedImports(content, (name) => short.get(name));
    parts.push(Buffer.from([kind]), withSize(content));
  }
  const newWasm = Buffer.concat(parts);
  if (!WebAssembly.validate(newWasm)) throw new Error('the WASM is broken after its imports were renamed');
  return [newWasm, newScript];
};

const [wasm, script] = withShortNames(readFileSync(join(built, wasmName)), readFileSync(join(built, scriptName), 'utf8'));
const newWasmName = named('_bg.wasm', wasm);
const newScriptName = named('.js', script);
// The page tells the script which WASM to load, so names stand in the page alone.
let html = readFileSync(join(built, 'index.html'), 'utf8');
html = replaced(replaced(html, wasmName, newWasmName), scriptName, newScriptName);
// The first frame has no byte to spare for how a style sheet is laid out. Ours break lines after braces, semicolons and commas.
html = html.replace(/(<style[^>]*>)([^]*?)(<\/style>)/g, (_, open, css, close) => {
  const packed = css.replace(/\/\*[^]*?\*\//g, '').replace(/\n\s*/g, '').replace(/ \{/g, '{').replace(/: /g, ':').replace(/;\}/g, '}');
  return open + packed + close;
});

const files = new Map();
for (const [name, content] of [[newWasmName, wasm], [newScriptName, Buffer.from(script)]]) {
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
