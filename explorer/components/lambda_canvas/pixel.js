// The numbers of the current pixel, in buffers that are filled in place and only when someone asks.
import { positionLambda, addLambdas, applyQuery, keyWeights, cellTerms, rowTerms, newTerms, sortTerms, largest } from "./algebra.js";
import { centredKernels } from "./model.js";

export function createPixel(model) {
  const { N, K, V, heads, channels } = model;
  const own = new Float32Array(K * V), lambda = new Float32Array(K * V), output = new Float32Array(heads * V), query = new Float32Array(heads * K);
  const kernels = new Float32Array(K * N), mixed = new Float32Array(N), column = new Float32Array(channels);
  const weights = { content: new Float32Array(heads * N), position: new Float32Array(heads * N), sum: new Float32Array(heads * N) };
  const terms = newTerms(model), fresh = { tables: false, kernels: false, weights: false, column: false };
  let n = 0, version = 0, termsKey = "";

  function move(to) {
    n = to;
    version++;
    for (const name in fresh) fresh[name] = false;
  }
  function tables() {
    if (fresh.tables) return;
    positionLambda(model, n, own);
    addLambdas(model, own, lambda);
    applyQuery(model, n, lambda, output);
    for (let h = 0; h < heads; h++) query.set(model.q.subarray((h * N + n) * K, (h * N + n + 1) * K), h * K);
    fresh.tables = true;
  }
  function kernelMaps() {
    if (!fresh.kernels) centredKernels(model, n, kernels);
    fresh.kernels = true;
    return kernels;
  }
  function impliedWeights() {
    if (fresh.weights) return weights;
    keyWeights(model, n, kernelMaps(), weights.content, weights.position);
    for (let i = 0; i < weights.sum.length; i++) weights.sum[i] = weights.content[i] + weights.position[i];
    fresh.weights = true;
    return weights;
  }
  function inputColumn() {
    if (!fresh.column) for (let c = 0; c < channels; c++) column[c] = model.input[c * N + n] / (model.inputMax[c] || 1);
    fresh.column = true;
    return column;
  }
  function rowSum(k) {
    const maps = kernelMaps();
    for (let m = 0; m < N; m++) mixed[m] = model.keyMaps[k * N + m] + maps[k * N + m];
    return mixed;
  }
  const matrix = {
    content_lambda: () => ({ data: model.content, rows: K, cols: V, tensor: "content", scale: model.scales.lambda }),
    position_lambda: () => (tables(), { data: own, rows: K, cols: V, tensor: "position", scale: model.scales.lambda }),
    lambda: () => (tables(), { data: lambda, rows: K, cols: V, tensor: "lambda", scale: model.scales.lambda }),
    output: () => (tables(), { data: output, rows: heads, cols: V, tensor: "output", scale: model.scales.output }),
    query: () => (tables(), { data: query, rows: K, cols: heads, tensor: "query", scale: model.scales.query, transposed: true }),
  };
  const matrixValue = (kind, row, col) => {
    const { data, rows, cols, transposed } = matrix[kind]();
    return transposed ? data[col * rows + row] : data[row * cols + col];
  };

  // The sum behind one cell, ending in the number that the table shows. sorted: all terms in order, else the first few.
  function cellSum({ kind, row, value }, shown, sorted) {
    const key = [kind, row, value, version, sorted].join();
    if (key !== termsKey) {
      cellTerms(model, n, kind, row, value, terms);
      const most = Math.min(shown, terms.count);
      terms.first = sorted ? sortTerms(terms).subarray(0, most) : largest(terms.product, most, terms.inside);
      termsKey = key;
    }
    terms.total = matrixValue(kind, row, value);
    return terms;
  }
  const rowSumOf = ({ row, value }) => {
    tables();
    return { ...rowTerms(model, n, lambda, row, value), total: output[row * V + value] };
  };

  return {
    move, kernelMaps, impliedWeights, inputColumn, rowSum, matrix, matrixValue, cellSum, rowSumOf,
    get n() { return n; },
    get version() { return version; },
    numbers() {
      tables();
      const { content, position, sum } = impliedWeights();
      return { n, lambda, position_lambda: own, content_lambda: model.content, query, y: output, weights: { content, position, sum } };
    },
  };
}
