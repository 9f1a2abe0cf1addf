// Recomputes every output of the layer and compares it with the tensor that PyTorch gave, a slice at a time.
import { positionLambda, addLambdas, applyQuery, keyWeights } from "./algebra.js";
import { centredKernels } from "./model.js";

// Through lambda (the numbers on the page) or, where that would take long, through the implied attention.
export function createCheck(model) {
  const { N, H, W, K, V, U, heads, stride, pool, outputs } = model;
  const outRows = Math.ceil(H / stride), outCols = Math.ceil(W / stride);
  const reach = Math.min(N, model.rows * model.cols), throughLambda = U > 1 || model.bias || N * reach * K * V < 6e8;
  const own = new Float32Array(K * V), lambda = new Float32Array(K * V), y = new Float32Array(heads * V);
  const content = new Float32Array(heads * N), position = new Float32Array(heads * N), kernels = new Float32Array(K * N);
  const pooled = new Float64Array(outputs * outRows * outCols);
  const result = { done: false, maxDelta: 0, maxAbs: 0, count: pooled.length };
  let next = 0;

  function pixelOutput(n) {
    if (throughLambda) return applyQuery(model, n, addLambdas(model, positionLambda(model, n, own), lambda), y);
    keyWeights(model, n, centredKernels(model, n, kernels), content, position);
    y.fill(0);
    for (let h = 0; h < heads; h++) for (let m = 0; m < N; m++) {
      const weight = content[h * N + m] + position[h * N + m];
      for (let v = 0; v < V; v++) y[h * V + v] += weight * model.valuesByPixel[m * V + v];
    }
    return y;
  }

  function addPixel(n) {
    const row = (n / W) | 0, col = n % W, out = pixelOutput(n);
    for (let r = first(row); r <= last(row, outRows); r++) for (let q = first(col); q <= last(col, outCols); q++) {
      const share = averaged(r, H) * averaged(q, W);
      for (let c = 0; c < outputs; c++) pooled[(c * outRows + r) * outCols + q] += out[c] / share;
    }
  }

  // The averages that a place is part of, along one axis, and of how many places each is.
  const first = (at) => Math.max(0, Math.ceil((at + pool.pad - pool.size + 1) / stride));
  const last = (at, count) => Math.min(count - 1, Math.floor((at + pool.pad) / stride));
  const averaged = (index, side) => (pool.pad ? pool.size : Math.min(pool.size, side - index * stride)); // zeros count

  function compare() {
    for (let i = 0; i < pooled.length; i++) {
      result.maxDelta = Math.max(result.maxDelta, Math.abs(pooled[i] - model.output[i]));
      result.maxAbs = Math.max(result.maxAbs, Math.abs(model.output[i]));
    }
    if (pooled.length !== model.output.length) result.maxDelta = NaN;
    result.done = true;
  }

  // Works until the time is over; true when there is nothing left.
  function run(budget = 8, clock = () => performance.now()) {
    const end = clock() + budget;
    while (next < N && clock() < end) addPixel(next++);
    if (next === N && !result.done) compare();
    return result.done;
  }
  return { result, run };
}
