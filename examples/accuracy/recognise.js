// recognise.js FOLDER: runs FOLDER/tapped.onnx with onnxruntime on the pictures there and writes what the linear layers get:
// I.calibration and I.test, floats, for layer I of layers.json.
const fs = require('fs');
const path = require('path');
const ort = require('onnxruntime-node');

const folder = process.argv[2];
const shape = [1, 3, 48, 640];
const size = shape.reduce((a, b) => a * b);

async function main() {
  const layers = JSON.parse(fs.readFileSync(path.join(folder, 'layers.json')));
  const session = await ort.InferenceSession.create(path.join(folder, 'tapped.onnx'));
  for (const part of ['calibration', 'test']) {
    const bytes = fs.readFileSync(path.join(folder, `${part}.pictures`));
    const pictures = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    const files = layers.map((_, i) => fs.openSync(path.join(folder, `${i}.${part}`), 'w'));
    const count = pictures.length / size;
    for (let p = 0; p < count; ++p) {
      const picture = new ort.Tensor('float32', pictures.slice(p * size, (p + 1) * size), shape);
      const results = await session.run({[session.inputNames[0]]: picture});
      layers.forEach(({input}, i) => {
        const {data} = results[input];
        fs.writeSync(files[i], Buffer.from(data.buffer, data.byteOffset, data.byteLength));
      });
      if (process.stderr.isTTY || p + 1 === count)
        process.stderr.write(`${process.stderr.isTTY ? '\r' : ''}recogniser, ${part}: ${p + 1} of ${count}` +
          (p + 1 === count ? '\n' : ''));
    }
    files.forEach(file => fs.closeSync(file));
  }
}

main();
