// A layer and its tensors, rearranged once so that every later sum runs over neighbouring numbers.
// Letters: N positions of an H x W map, K keys, V values, U intra-depth, heads; offsets are table entries.
import { positionLambda, applyQuery, addLambdas, keyWeights } from "./algebra.js";

const SAMPLE = 16384, PIXELS = 24; // what scales are measured on: numbers of a tensor, pixels of the map

export function buildModel(layer, tensors) {
  const H = layer.height, W = layer.width, N = H * W;
  const K = layer.dim_k, V = layer.dim_v, U = layer.dim_u, heads = layer.heads;
  const hasContent = layer.content && !!tensors.keys, hasPosition = layer.position && !!tensors.embeddings;
  const [rows, cols] = hasPosition ? layer.table : [1, 1];
  const model = {
    layer, H, W, N, K, V, U, heads, channels: layer.dim, outputs: layer.dim_out, stride: layer.stride || 1,
    pool: { size: layer.pool[0], pad: layer.pool[1] }, // the window that is averaged, and how far it hangs over the rim
    rows, cols, halfRows: rows >> 1, halfCols: cols >> 1, hasContent, hasPosition,
    // A window is worth a frame only where it leaves something out.
    windowed: hasPosition && layer.scope !== null && (rows < 2 * H - 1 || cols < 2 * W - 1),
    softmax: layer.key_norm.startsWith("softmax"),
    input: tensors.input, q: tensors.q, keys: tensors.keys, values: tensors.v, output: tensors.output,
    bias: hasPosition && tensors.position_bias ? tensors.position_bias : null,
    embeddings: hasPosition ? tensors.embeddings : new Float32Array(K * U),
    content: hasContent ? tensors.content_lambda : new Float32Array(K * V),
  };
  model.valuesByPixel = permute(model.values, [N, V, U], [0, 2, 1]);
  model.table = permute(model.embeddings, [K, U, rows * cols], [2, 1, 0]);
  model.valueMaps = permute(sumLast(model.values, U), [N, V], [1, 0]);
  model.keyMaps = hasContent ? permute(sumLast(model.keys, U), [N, K], [1, 0]) : new Float32Array(K * N);
  model.scoreMaps = hasContent ? centred(permute(sumLast(tensors.k, U), [N, K], [1, 0]), K, N) : new Float32Array(K * N);
  model.queryMaps = permute(model.q, [heads, N, K], [0, 2, 1]);
  model.kernelMaps = sumMiddle(model.embeddings, K, U, rows * cols);
  model.inputMax = model.input && maxPerRow(model.input, model.channels, N);
  model.scales = measureScales(model);
  return model;
}

export function permute(data, shape, order) {
  const out = new Float32Array(data.length), stride = new Array(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--) stride[i] = stride[i + 1] * shape[i + 1];
  const [a, b, c = 0] = order, third = order.length > 2;
  let at = 0;
  for (let i = 0; i < shape[a]; i++) for (let j = 0; j < shape[b]; j++) {
    const from = i * stride[a] + j * stride[b];
    if (!third) out[at++] = data[from];
    else for (let l = 0; l < shape[c]; l++) out[at++] = data[from + l * stride[c]];
  }
  return out;
}

function sumLast(data, depth) {
  if (depth === 1) return data;
  const out = new Float32Array(data.length / depth);
  for (let i = 0; i < data.length; i++) out[(i / depth) | 0] += data[i];
  return out;
}

function sumMiddle(data, outer, depth, inner) {
  if (depth === 1) return data;
  const out = new Float32Array(outer * inner);
  for (let i = 0; i < data.length; i++) out[((i / (depth * inner)) | 0) * inner + (i % inner)] += data[i];
  return out;
}

// Softmax does not see a constant added to a map, so scores are drawn around the mean of their map.
function centred(maps, count, size) {
  for (let i = 0; i < count; i++) {
    let mean = 0;
    for (let m = 0; m < size; m++) mean += maps[i * size + m] / size;
    for (let m = 0; m < size; m++) maps[i * size + m] -= mean;
  }
  return maps;
}

function maxPerRow(data, count, size) {
  const out = new Float32Array(count);
  for (let i = 0; i < count; i++) for (let m = 0; m < size; m++) out[i] = Math.max(out[i], Math.abs(data[i * size + m]));
  return out;
}

// The size below which `share` of the numbers lie; of a large tensor, a sample spread evenly over it is enough.
export function sizeQuantile(data, share) {
  const step = Math.ceil(data.length / SAMPLE) | 1, sizes = new Float32Array(Math.ceil(data.length / step));
  for (let i = 0; i < sizes.length; i++) sizes[i] = Math.abs(data[i * step]);
  sizes.sort();
  return Math.max(1e-9, sizes[Math.min(sizes.length - 1, Math.floor(sizes.length * share))]);
}

// One scale a tensor, from some pixels spread over the map; content, position and their sum share one.
function measureScales(model) {
  const { N, K, V, heads } = model, count = Math.min(PIXELS, N);
  const lambdas = new Float32Array(count * K * V), outputs = new Float32Array(count * heads * V);
  const sums = new Float32Array(count * heads * N), contents = new Float32Array(count * heads * N);
  const own = new Float32Array(K * V), kernels = new Float32Array(K * N), position = new Float32Array(heads * N);
  for (let i = 0; i < count; i++) {
    const n = Math.floor(((i + 0.5) * N) / count), lambda = lambdas.subarray(i * K * V, (i + 1) * K * V);
    addLambdas(model, positionLambda(model, n, own), lambda);
    applyQuery(model, n, lambda, outputs.subarray(i * heads * V, (i + 1) * heads * V));
    const content = contents.subarray(i * heads * N, (i + 1) * heads * N);
    keyWeights(model, n, centredKernels(model, n, kernels), content, position);
    for (let j = 0; j < heads * N; j++) sums[i * heads * N + j] = content[j] + position[j];
  }
  return {
    lambda: sizeQuantile(lambdas, 0.985), output: sizeQuantile(outputs, 0.985), value: sizeQuantile(model.valueMaps, 0.985),
    query: sizeQuantile(model.q, 0.985), score: sizeQuantile(model.scoreMaps, 0.99), key: sizeQuantile(model.keyMaps, 0.99),
    kernel: sizeQuantile(model.kernelMaps, 0.995), weight: sizeQuantile(sums, 0.985), contentWeight: sizeQuantile(contents, 0.97),
  };
}

// What kernel k gives each position of the map when the window is centred on pixel n: (K, N), zero outside.
export function centredKernels(model, n, out) {
  const { H, W, N, K, rows, cols, halfRows, halfCols, kernelMaps } = model;
  out.fill(0);
  const row = (n / W) | 0, col = n % W, top = Math.max(0, row - halfRows), bottom = Math.min(H - 1, row + halfRows);
  const left = Math.max(0, col - halfCols), right = Math.min(W - 1, col + halfCols);
  for (let k = 0; k < K; k++) for (let y = top; y <= bottom; y++) {
    let from = (k * rows + y - row + halfRows) * cols + left - col + halfCols, to = k * N + y * W + left;
    for (let x = left; x <= right; x++) out[to++] = kernelMaps[from++];
  }
  return out;
}
