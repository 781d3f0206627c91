// safetensors.js PROGRAM: writes a safetensors file, and compares what nibble reads there with what the npm package "safetensors" reads.
const fs = require('fs');
const os = require('os');
const path = require('path');
const {execFileSync} = require('child_process');
const {SafeTensor} = require('safetensors');

const sizes = {BOOL: 1, U8: 1, I8: 1, F8_E4M3: 1, F8_E5M2: 1, I16: 2, U16: 2, F16: 2, BF16: 2, I32: 4, U32: 4, F32: 4, I64: 8, U64: 8, F64: 8};
const shapes = [[], [5], [2, 3], [0, 4], [3, 1, 2, 7], [1, 2, 1, 1, 3, 1, 1, 1, 2]];
const names = ['größe', 'a "b" \\ c/', '層', '\u{1f600}'];
let state = 1;
const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24;
const hash = bytes => bytes.reduce((h, b) => BigInt.asUintN(64, (h ^ BigInt(b)) * 1099511628211n), 14695981039346656037n)
  .toString(16).padStart(16, '0');

const header = {}, parts = [];
let end = 0;
for (const dtype in sizes)
  for (const shape of shapes) {
    const count = shape.reduce((a, b) => a * b, sizes[dtype]);
    const name = `model.layers.${parts.length}.${names[parts.length % names.length]}/${dtype}`;
    header[name] = {dtype, shape, data_offsets: [end, end += count]};
    if (parts.length % 3 === 0)
      header[name].note = {of: [1, -2.5e3, null, true, 'x\n', {}]}; // a key that no reader knows
    parts.push(Buffer.from(Array.from({length: count}, random)));
  }
// Every other character outside ASCII as an escape sequence, and space in front.
let written = 0;
const json = JSON.stringify(header).replace(/[^\x20-\x7e]+/g, s =>
  written++ % 2 ? s : [...Array(s.length).keys()].map(i => '\\u' + s.charCodeAt(i).toString(16).padStart(4, '0')).join(''));
let text = Buffer.from(' \n' + json);
text = Buffer.concat([text, Buffer.alloc(-text.length & 7, ' ')]); // padded to 8 bytes, as its makers write it
const length = Buffer.alloc(8);
length.writeBigUInt64LE(BigInt(text.length));
const file = Uint8Array.from(Buffer.concat([length, text, ...parts])); // with a buffer of its own

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'safetensors-'));
let ours;
try {
  fs.writeFileSync(path.join(folder, 'tensors.safetensors'), file);
  ours = execFileSync(process.argv[2], [folder], {encoding: 'utf8'}).trim().split('\n').sort();
} finally {
  fs.rmSync(folder, {recursive: true});
}
const reader = new SafeTensor(file);
const theirs = [...reader.metadata].map(([name, t]) => [name, t.dtype, ...t.shape, hash(reader.getTensor(name))].join(' ')).sort();
const wrong = theirs.filter((line, i) => line !== ours[i]);
wrong.slice(0, 5).forEach((line, i) => console.log(`DIFFERENT\n  theirs ${line}\n  nibble ${ours[theirs.indexOf(line)]}`));
console.log(`${theirs.length} tensors, ${ours.length} read, ${wrong.length} differ`);
process.exit(wrong.length > 0 || ours.length !== theirs.length || theirs.length === 0 ? 1 : 0);
