// onnxruntime.js FOLDER: runs every model in FOLDER with onnxruntime and compares the bytes of its outputs with the files beside it.
const fs = require('fs');
const path = require('path');
const ort = require('onnxruntime-node');

const folder = process.argv[2];
const options = {graphOptimizationLevel: 'disabled', intraOpNumThreads: 1};
const hex = bytes => [...bytes.subarray(0, 8)].map(b => b.toString(16).padStart(2, '0')).join(' ');

async function main() {
  const counts = {};
  let failures = 0;
  for (const file of fs.readdirSync(folder).filter(f => f.endsWith('.onnx')).sort()) {
    const name = file.slice(0, -'.onnx'.length);
    const operator = name.split('-')[0];
    const count = counts[operator] ??= {models: 0, bytes: 0, wrong: 0};
    ++count.models;
    try {
      const session = await ort.InferenceSession.create(path.join(folder, file), options);
      const results = await session.run({});
      for (const output of session.outputNames) {
        const data = results[output].data;
        const theirs = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
        const ours = fs.readFileSync(path.join(folder, `${name}.${output}`));
        const first = ours.findIndex((byte, i) => byte !== theirs[i]);
        count.bytes += ours.length;
        if (first >= 0 || ours.length !== theirs.length) {
          console.log(`DIFFERENT ${name}.${output}: ${ours.length} and ${theirs.length} bytes, from byte ${first} on nibble has ` +
            `${hex(ours.subarray(first))}, onnxruntime ${hex(theirs.subarray(first))}`);
          ++count.wrong;
        }
      }
    } catch (error) {
      console.log(`FAILED ${name}: ${error.message}`);
      ++count.wrong;
    }
  }
  for (const [operator, {models, bytes, wrong}] of Object.entries(counts)) {
    console.log(`${operator}: ${models} models, ${bytes} bytes, ${wrong} differ`);
    failures += wrong;
  }
  if (failures > 0 || Object.keys(counts).length === 0)
    process.exit(1);
}

main();
