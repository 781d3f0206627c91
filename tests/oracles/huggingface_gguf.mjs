// huggingface_gguf.mjs FILE...: reads each file with npm's @huggingface/gguf and prints what it found, one line each; NODE_PATH or a
// node_modules folder beside the working directory holds the package.
import { createRequire } from "node:module";
const { gguf } = createRequire(process.cwd() + "/")("@huggingface/gguf");
for (const path of process.argv.slice(2)) {
  const { metadata, tensorInfos } = await gguf(path, { allowLocalFile: true });
  const shapes = tensorInfos.map((t) => `${t.name} ${t.dtype} ${t.shape.join("x")} ${t.offset}`);
  console.log(`${Object.keys(metadata).length} pairs, ${tensorInfos.length} tensors, ${metadata["general.architecture"]}; ${shapes.join("; ")}`);
}
