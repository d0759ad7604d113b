// A program that calls another program: its first account is the program to call, the rest and the data are passed on.
//
// Payments through it are made by an inner instruction, as those of multi-signature wallets and of exchanges' programs are.
// There is no compiler for such programs here, so its few instructions are assembled below, for the oldest version of the
// binary interface: accounts come one after the other in the input, behind them the data, and `sol_invoke_signed_c` calls.

import { testSigner } from "./keys.mjs";

/** Where the program is. */
export const relayAddress = async () => (await testSigner("relay program")).address;

// Instructions of eight bytes: operation, registers, offset, constant.

const instruction = (operation, target, source, offset, constant) => {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt8(operation, 0);
  bytes.writeUInt8((source << 4) | target, 1);
  bytes.writeInt16LE(offset, 2);
  bytes.writeInt32LE(constant, 4);
  return [bytes];
};
const move = (to, from) => instruction(0xbf, to, from, 0, 0);
const set = (to, constant) => instruction(0xb7, to, 0, 0, constant);
const setWide = (to, value) => [
  ...instruction(0x18, to, 0, 0, Number(value & 0xffffffffn)),
  ...instruction(0, 0, 0, 0, Number(value >> 32n)),
];
const add = (to, constant) => instruction(0x07, to, 0, 0, constant);
const addRegister = (to, from) => instruction(0x0f, to, from, 0, 0);
const multiply = (to, constant) => instruction(0x27, to, 0, 0, constant);
const and = (to, constant) => instruction(0x57, to, 0, 0, constant);
const loadByte = (to, from, offset) => instruction(0x71, to, from, offset, 0);
const loadWord = (to, from, offset) => instruction(0x79, to, from, offset, 0);
const storeByte = (to, offset, from) => instruction(0x73, to, from, offset, 0);
const storeWord = (to, offset, from) => instruction(0x7b, to, from, offset, 0);
const CALL = instruction(0x85, 0, 0, 0, -1);
const EXIT = instruction(0x95, 0, 0, 0, 0);

/** Jumps are written with the name of a label and resolved at the end. */
const label = (name) => [{ label: name }];
const jump = (to) => [{ jump: to, operation: 0x05, registers: 0, constant: 0 }];
const jumpIfEqual = (left, right, to) => [{ jump: to, operation: 0x1d, registers: (right << 4) | left, constant: 0 }];
const jumpIfConstant = (left, constant, to) => [{ jump: to, operation: 0x15, registers: left, constant }];

// The heap holds what is passed on: for each account its description and how it is used, and the instruction.

const ACCOUNTS = 0x3_0000_0000n;
const ACCOUNT_SIZE = 56;
const USES = ACCOUNTS + 0x2000n;
const USE_SIZE = 16;
const INSTRUCTION = ACCOUNTS + 0x4000n;

/** Accounts may grow in a call by this much, which the input leaves room for. */
const MAX_GROWTH = 10_240;

const NOT_REPEATED = 0xff;
const [CURSOR, COUNT, INDEX, ACCOUNT] = [6, 7, 8, 9];

const storeAddress = (from, to) => [...move(4, CURSOR), ...add(4, from), ...storeWord(ACCOUNT, to, 4)];

const code = [
  ...loadWord(COUNT, 1, 0),
  ...move(CURSOR, 1),
  ...add(CURSOR, 8),
  ...set(INDEX, 0),

  ...label("next account"),
  ...jumpIfEqual(INDEX, COUNT, "call"),
  ...setWide(ACCOUNT, ACCOUNTS),
  ...move(2, INDEX),
  ...multiply(2, ACCOUNT_SIZE),
  ...addRegister(ACCOUNT, 2),
  ...loadByte(2, CURSOR, 0),
  ...jumpIfConstant(2, NOT_REPEATED, "described"),

  // The account came before; its description is copied.
  ...multiply(2, ACCOUNT_SIZE),
  ...setWide(3, ACCOUNTS),
  ...addRegister(3, 2),
  ...[0, 8, 16, 24, 32, 40, 48].flatMap((offset) => [...loadWord(4, 3, offset), ...storeWord(ACCOUNT, offset, 4)]),
  ...add(CURSOR, 8),
  ...jump("use"),

  ...label("described"),
  // Addresses of its key, owner, lamports and data.
  ...storeAddress(8, 0),
  ...storeAddress(40, 32),
  ...storeAddress(72, 8),
  ...storeAddress(88, 24),
  // Whether it signs, may be written to, is a program.
  ...[1, 2, 3].flatMap((offset) => [...loadByte(4, CURSOR, offset), ...storeByte(ACCOUNT, 47 + offset, 4)]),
  ...loadWord(5, CURSOR, 80),
  ...storeWord(ACCOUNT, 16, 5),
  ...addRegister(CURSOR, 5),
  ...add(CURSOR, 88 + MAX_GROWTH + 7),
  ...and(CURSOR, -8),
  ...loadWord(4, CURSOR, 0),
  ...storeWord(ACCOUNT, 40, 4),
  ...add(CURSOR, 8),

  ...label("use"),
  ...setWide(3, USES),
  ...move(2, INDEX),
  ...multiply(2, USE_SIZE),
  ...addRegister(3, 2),
  ...loadWord(4, ACCOUNT, 0),
  ...storeWord(3, 0, 4),
  ...loadByte(4, ACCOUNT, 49),
  ...storeByte(3, 8, 4),
  ...loadByte(4, ACCOUNT, 48),
  ...storeByte(3, 9, 4),
  ...add(INDEX, 1),
  ...jump("next account"),

  ...label("call"),
  ...setWide(1, INSTRUCTION),
  ...setWide(2, ACCOUNTS),
  ...loadWord(4, 2, 0),
  ...storeWord(1, 0, 4),
  ...setWide(4, USES + BigInt(USE_SIZE)),
  ...storeWord(1, 8, 4),
  ...move(4, COUNT),
  ...add(4, -1),
  ...storeWord(1, 16, 4),
  ...move(4, CURSOR),
  ...add(4, 8),
  ...storeWord(1, 24, 4),
  ...loadWord(4, CURSOR, 0),
  ...storeWord(1, 32, 4),
  ...move(3, COUNT),
  ...set(4, 0),
  ...set(5, 0),
  ...CALL,
  ...EXIT,
];

function assemble(lines) {
  const labels = new Map();
  const instructions = [];
  for (const line of lines) {
    if (line.label === undefined) instructions.push(line);
    else labels.set(line.label, instructions.length);
  }
  return Buffer.concat(
    instructions.map((line, index) => {
      if (Buffer.isBuffer(line)) return line;
      const { operation, registers, constant, jump: to } = line;
      return instruction(operation, registers & 0xf, registers >> 4, labels.get(to) - index - 1, constant)[0];
    }),
  );
}

/** The program as an ELF file, whose one relocation names what `CALL` calls. */
export function relayProgram() {
  const text = assemble(code);
  const callAt = text.length - 16;
  const sectionNames = strings("", ".text", ".dynamic", ".dynsym", ".dynstr", ".rel.dyn", ".shstrtab");
  const symbolNames = strings("", "sol_invoke_signed_c");

  // Addresses equal offsets in the file.
  const textAt = 64 + 3 * 56;
  const dynamicAt = textAt + text.length;
  const symbolsAt = dynamicAt + 7 * 16;
  const namesAt = symbolsAt + 2 * 24;
  const relocationsAt = align(namesAt + symbolNames.bytes.length);
  const sectionNamesAt = relocationsAt + 16;
  const sectionsAt = align(sectionNamesAt + sectionNames.bytes.length);

  const dynamic = words(
    [17, relocationsAt],
    [18, 16],
    [19, 16],
    [6, symbolsAt],
    [5, namesAt],
    [10, symbolNames.bytes.length],
    [0, 0],
  );
  const symbols = Buffer.alloc(48);
  symbols.writeUInt32LE(symbolNames.at("sol_invoke_signed_c"), 24);
  symbols.writeUInt8(0x10, 28); // global
  const relocation = words([textAt + callAt, (1 << 16) * 0x10000 + 10]);

  const section = (name, type, flags, at, size, link, entrySize) => {
    const bytes = Buffer.alloc(64);
    bytes.writeUInt32LE(sectionNames.at(name), 0);
    bytes.writeUInt32LE(type, 4);
    words([flags, at], [at, size]).copy(bytes, 8);
    bytes.writeUInt32LE(link, 40);
    words([8, entrySize]).copy(bytes, 48);
    return bytes;
  };
  const segment = (type, flags, at, size) => {
    const bytes = Buffer.alloc(56);
    bytes.writeUInt32LE(type, 0);
    bytes.writeUInt32LE(flags, 4);
    words([at, at], [at, size], [size, 8]).copy(bytes, 8);
    return bytes;
  };
  const header = Buffer.alloc(64);
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(header);
  header.writeUInt16LE(3, 16); // a shared object
  header.writeUInt16LE(247, 18); // for BPF
  header.writeUInt32LE(1, 20);
  words([textAt, 64]).copy(header, 24);
  header.writeBigUInt64LE(BigInt(sectionsAt), 40);
  // Sizes and numbers of headers, segments and sections, and which section names the others.
  for (const [index, value] of [64, 56, 3, 64, 7, 6].entries()) header.writeUInt16LE(value, 52 + 2 * index);

  const file = Buffer.alloc(sectionsAt + 7 * 64);
  const parts = [
    [0, header],
    [64, segment(1, 5, textAt, text.length)],
    [64 + 56, segment(1, 4, dynamicAt, sectionNamesAt - dynamicAt)],
    [64 + 2 * 56, segment(2, 4, dynamicAt, dynamic.length)],
    [textAt, text],
    [dynamicAt, dynamic],
    [symbolsAt, symbols],
    [namesAt, symbolNames.bytes],
    [relocationsAt, relocation],
    [sectionNamesAt, sectionNames.bytes],
    [sectionsAt + 64, section(".text", 1, 6, textAt, text.length, 0, 0)],
    [sectionsAt + 2 * 64, section(".dynamic", 6, 3, dynamicAt, dynamic.length, 4, 16)],
    [sectionsAt + 3 * 64, section(".dynsym", 11, 2, symbolsAt, 48, 4, 24)],
    [sectionsAt + 4 * 64, section(".dynstr", 3, 2, namesAt, symbolNames.bytes.length, 0, 0)],
    [sectionsAt + 5 * 64, section(".rel.dyn", 9, 2, relocationsAt, 16, 3, 16)],
    [sectionsAt + 6 * 64, section(".shstrtab", 3, 0, sectionNamesAt, sectionNames.bytes.length, 0, 0)],
  ];
  for (const [at, bytes] of parts) bytes.copy(file, at);
  return new Uint8Array(file);
}

const align = (offset) => (offset + 7) & ~7;

function words(...pairs) {
  const bytes = Buffer.alloc(16 * pairs.length);
  for (const [index, value] of pairs.flat().entries()) bytes.writeBigUInt64LE(BigInt(value), 8 * index);
  return bytes;
}

function strings(...texts) {
  const offsets = new Map();
  let bytes = Buffer.alloc(0);
  for (const text of texts) {
    offsets.set(text, bytes.length);
    bytes = Buffer.concat([bytes, Buffer.from(`${text}\0`)]);
  }
  return { bytes, at: (text) => offsets.get(text) };
}
