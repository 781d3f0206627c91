// tflite.js FOLDER: makes a TFLite model of one operator from every JSON file in FOLDER, runs it with TensorFlow Lite compiled to WebAssembly
// and compares its output with the file's last tensor.
const fs = require('fs');
const path = require('path');
const vm = require('vm');
const {Builder} = require('flatbuffers');

const folder = process.argv[2];
const wasm = path.join(path.dirname(require.resolve('@tensorflow/tfjs-tflite/package.json')), 'wasm');

// From the TensorFlow Lite schema: number, version and number of the options of an operator.
const operators = {
  CONCATENATION: [2, 2, 10], DEQUANTIZE: [6, 3, 0], SOFTMAX: [25, 2, 9], LEAKY_RELU: [98, 2, 75], QUANTIZE: [114, 2, 0],
  ADD: [0, 2, 11], AVERAGE_POOL_2D: [1, 2, 5], CONV_2D: [3, 3, 1], DEPTHWISE_CONV_2D: [4, 3, 2], FULLY_CONNECTED: [9, 4, 8], LOGISTIC: [14, 2, 0],
  MAX_POOL_2D: [17, 2, 5], MUL: [18, 2, 21], RELU: [19, 2, 0], RELU6: [21, 2, 0], TANH: [28, 2, 0], MEAN: [40, 2, 27],
  TRANSPOSE_CONV: [67, 3, 49], L2_NORMALIZATION: [11, 2, 12], RESIZE_BILINEAR: [23, 3, 15], PAD: [34, 2, 22], SUB: [41, 2, 28],
  LOG_SOFTMAX: [50, 2, 36], PRELU: [54, 1, 0], MAXIMUM: [55, 2, 39], MINIMUM: [57, 2, 39], PADV2: [60, 2, 43], SUM: [74, 2, 27],
  REDUCE_MAX: [82, 2, 27], REDUCE_MIN: [89, 2, 27], RESIZE_NEAREST_NEIGHBOR: [97, 3, 74], LEAKY_RELU: [98, 2, 75],
  SQUARED_DIFFERENCE: [99, 2, 76], ELU: [111, 1, 0], BATCH_MATMUL: [126, 2, 101],
};
const types = {float32: 0, int8: 9, uint8: 3, int16: 7, int32: 2, int64: 4};
const arrays = {float32: Float32Array, int8: Int8Array, uint8: Uint8Array, int16: Int16Array, int32: Int32Array, int64: BigInt64Array};

function model({operator, options, tensors}) {
  const b = new Builder(4096);
  const vector = (size, values, add) => {
    b.startVector(size, values.length, Math.max(size, 4));
    for (let i = values.length - 1; i >= 0; --i)
      add(values[i]);
    return b.endVector();
  };
  const bytes = array => {
    b.startVector(1, array.length, 16);
    for (let i = array.length - 1; i >= 0; --i)
      b.addInt8(array[i] << 24 >> 24);
    return b.endVector();
  };
  const ints = values => vector(4, values, v => b.addInt32(v));
  const floats = values => vector(4, values, v => b.addFloat32(v));
  const longs = values => vector(8, values, v => b.addInt64(BigInt(v)));
  const offsets = values => vector(4, values, v => b.addOffset(v));
  // table({field: [kind, value]}); offsets are made before.
  const table = (fields, count) => {
    b.startObject(count);
    for (const [field, [kind, value]] of Object.entries(fields))
      b[`addField${kind}`](Number(field), value, kind === 'Offset' ? 0 : undefined);
    return b.endObject();
  };

  const buffers = [table({}, 1)];
  const made = tensors.map((t, i) => {
    let buffer = 0;
    if (t.constant) {
      const codes = arrays[t.type].from(t.type === 'int64' ? t.codes.map(BigInt) : t.codes);
      buffer = buffers.length;
      buffers.push(table({0: ['Offset', bytes(new Uint8Array(codes.buffer))]}, 1));
    }
    const shape = ints(t.shape), name = b.createString(`t${i}`);
    const fields = {0: ['Offset', shape], 1: ['Int8', types[t.type]], 2: ['Int32', buffer], 3: ['Offset', name]};
    if (t.scale.length > 0) {
      const scale = floats(t.scale), zero = longs(t.scale.map(() => t.zero_point));
      fields[4] = ['Offset', table({2: ['Offset', scale], 3: ['Offset', zero], 6: ['Int32', t.axis]}, 7)];
    }
    return table(fields, 8);
  });
  const [number, version, optionsType] = operators[operator];
  const o = options, padding = ['Int8', o.same ? 0 : 1], activation = ['Int8', o.activation ?? 0];
  const optionFields = {
    9: () => table({0: ['Float32', o.beta]}, 1), 10: () => table({0: ['Int32', o.axis]}, 2), 75: () => table({0: ['Float32', o.alpha]}, 1),
    1: () => table({0: padding, 1: ['Int32', o.stride_width], 2: ['Int32', o.stride_height], 3: activation, 4: ['Int32', o.dilation_width],
      5: ['Int32', o.dilation_height]}, 7),
    2: () => table({0: padding, 1: ['Int32', o.stride_width], 2: ['Int32', o.stride_height], 3: ['Int32', o.depth_multiplier], 4: activation,
      5: ['Int32', o.dilation_width], 6: ['Int32', o.dilation_height]}, 7),
    5: () => table({0: padding, 1: ['Int32', o.stride_width], 2: ['Int32', o.stride_height], 3: ['Int32', o.filter_width],
      4: ['Int32', o.filter_height]}, 6),
    8: () => table({0: activation}, 4), 11: () => table({1: ['Int8', 0]}, 2), 21: () => table({}, 1), 27: () => table({0: ['Int8', o.keep_dims ?? 0]}, 1),
    12: () => table({0: activation}, 1), 28: () => table({0: activation}, 2), 75: () => table({0: ['Float32', o.alpha]}, 1),
    15: () => table({2: ['Int8', o.align_corners], 3: ['Int8', o.half_pixel_centers]}, 4),
    74: () => table({0: ['Int8', o.align_corners], 1: ['Int8', o.half_pixel_centers]}, 2),
    101: () => table({0: ['Int8', o.adj_x], 1: ['Int8', o.adj_y]}, 3),
    22: () => table({}, 1), 36: () => table({}, 1), 39: () => table({}, 1), 43: () => table({}, 1), 76: () => table({}, 1),
    49: () => table({0: padding, 1: ['Int32', o.stride_width], 2: ['Int32', o.stride_height]}, 4),
  }[optionsType];
  const last = tensors.length - 1, fed = [...tensors.keys()].filter(i => i < last && !tensors[i].constant);
  const inputs = ints([...Array(last).keys()]), outputs = ints([last]);
  const fields = {0: ['Int32', 0], 1: ['Offset', inputs], 2: ['Offset', outputs]};
  if (optionsType !== 0) {
    fields[4] = ['Offset', optionFields()];
    fields[3] = ['Int8', optionsType];
  }
  const list = offsets([table(fields, 9)]), all = offsets(made), graphInputs = ints(fed), graphOutputs = ints([last]);
  const graph = offsets([table({0: ['Offset', all], 1: ['Offset', graphInputs], 2: ['Offset', graphOutputs], 3: ['Offset', list]}, 5)]);
  const codes = offsets([table({0: ['Int8', number], 2: ['Int32', version], 3: ['Int32', number]}, 4)]);
  const storage = offsets(buffers), text = b.createString('nibble');
  b.finish(table({0: ['Int32', 3], 1: ['Offset', codes], 2: ['Offset', graph], 3: ['Offset', text], 4: ['Offset', storage]}, 8), 'TFL3');
  return {bytes: b.asUint8Array(), fed};
}

async function main() {
  globalThis.window ??= globalThis; // the loader looks for a browser
  const loader = fs.readFileSync(path.join(wasm, 'tflite_web_api_cc_simd.js'), 'utf8');
  const tflite = await vm.runInThisContext(loader + ';tflite_web_api_ModuleFactory')({
    wasmBinary: fs.readFileSync(path.join(wasm, 'tflite_web_api_cc_simd.wasm')), print: () => {}, printErr: () => {},
  });
  const counts = {};
  let failures = 0;
  for (const file of fs.readdirSync(folder).filter(f => f.endsWith('.json')).sort()) {
    const test = JSON.parse(fs.readFileSync(path.join(folder, file)));
    const last = test.tensors[test.tensors.length - 1].type, name = test.operator + (last === 'int8' ? '' : ` ${last}`);
    const count = counts[name] ??= {models: 0, codes: 0, wrong: 0, most: 0};
    ++count.models;
    const {bytes, fed} = model(test);
    const at = tflite._malloc(bytes.length);
    tflite.HEAPU8.set(bytes, at);
    const made = tflite.TFLiteWebModelRunner.CreateFromBufferAndOptions(at, bytes.length,
      {numThreads: 1, enableProfiling: false, maxProfilingBufferEntries: 0});
    if (!made.ok()) {
      console.log(`FAILED ${file}, ${test.operator}: ${made.errorMessage()}`);
      ++failures;
      continue;
    }
    const runner = made.value();
    fed.forEach((tensor, i) => {
      const data = runner.GetInputs().get(i).data();
      const {type, codes} = test.tensors[tensor];
      new arrays[type](data.buffer, data.byteOffset, codes.length).set(codes);
    });
    if (!runner.Infer()) {
      console.log(`FAILED ${file}, ${test.operator}: it does not run`);
      ++failures;
      continue;
    }
    const {type, codes} = test.tensors[test.tensors.length - 1], ours = arrays[type].from(codes), data = runner.GetOutputs().get(0).data();
    const theirs = new arrays[type](data.buffer, data.byteOffset, ours.length);
    count.codes += ours.length;
    ours.forEach((code, i) => {
      count.wrong += code !== theirs[i];
      count.most = Math.max(count.most, Math.abs(code - theirs[i]));
    });
    runner.delete();
    tflite._free(at);
  }
  for (const [operator, {models, codes, wrong, most}] of Object.entries(counts)) {
    console.log(`${operator}: ${models} models, ${codes} codes, ${wrong} differ, by at most ${most}`);
    failures += wrong;
  }
  process.exit(failures > 0 || Object.keys(counts).length === 0 ? 1 : 0);
}

main();
