// The layer itself, for one pixel n. Pure functions over typed arrays; no page, no allocation unless said.

// λp_n = sum over m, u of E[m - n, k, u] V[m, v, u] (+ bias): (K, V)
export function positionLambda(model, n, out) {
  const { H, W, K, V, U, cols, halfRows, halfCols, table, valuesByPixel, bias, hasPosition } = model;
  if (bias) for (let k = 0; k < K; k++) out.fill(bias[k], k * V, (k + 1) * V);
  else out.fill(0);
  if (!hasPosition) return out;
  const row = (n / W) | 0, col = n % W, top = Math.max(0, row - halfRows), bottom = Math.min(H - 1, row + halfRows);
  const left = Math.max(0, col - halfCols), right = Math.min(W - 1, col + halfCols);
  for (let y = top; y <= bottom; y++) for (let x = left; x <= right; x++) {
    let at = ((y - row + halfRows) * cols + x - col + halfCols) * U * K, from = (y * W + x) * U * V;
    for (let u = 0; u < U; u++, from += V) for (let k = 0; k < K; k++) {
      const e = table[at++], to = k * V;
      for (let v = 0; v < V; v++) out[to + v] += e * valuesByPixel[from + v];
    }
  }
  return out;
}

// λ_n = λc + λp_n
export function addLambdas(model, own, out) {
  const shared = model.content;
  for (let i = 0; i < shared.length; i++) out[i] = shared[i] + own[i];
  return out;
}

// y_n = λ_nᵀ q_n, head by head: (heads, V)
export function applyQuery(model, n, lambda, out) {
  const { N, K, V, heads, q } = model;
  out.fill(0);
  for (let h = 0; h < heads; h++) for (let k = 0; k < K; k++) {
    const weight = q[(h * N + n) * K + k], from = k * V, to = h * V;
    for (let v = 0; v < V; v++) out[to + v] += weight * lambda[from + v];
  }
  return out;
}

// The implied attention of pixel n, summed over u: content and position, each (heads, N).
export function keyWeights(model, n, kernels, content, position) {
  const { N, K, heads, q, keyMaps } = model;
  content.fill(0);
  position.fill(0);
  for (let h = 0; h < heads; h++) for (let k = 0; k < K; k++) {
    const weight = q[(h * N + n) * K + k], from = k * N, to = h * N;
    for (let m = 0; m < N; m++) {
      content[to + m] += weight * keyMaps[from + m];
      position[to + m] += weight * kernels[from + m];
    }
  }
}

// The products that add up to one cell. kind: content_lambda | position_lambda | lambda | output; row: key or head.
// Terms are (m, u) pairs, index m * U + u, so that weight × value = product holds for every U; those that are not inside
// the window, where only it has weights, are zero and do not count. Allocates on first use.
export function cellTerms(model, n, kind, row, value, terms = newTerms(model)) {
  const { W, N, K, V, U, rows, cols, halfRows, halfCols, q, keys, embeddings, bias, valuesByPixel } = model;
  const useContent = model.hasContent && kind !== "position_lambda", usePosition = model.hasPosition && kind !== "content_lambda";
  const pixelRow = (n / W) | 0, pixelCol = n % W, first = kind === "output" ? 0 : row, last = kind === "output" ? K - 1 : row;
  const { content, position, weight, factor, product, inside } = terms;
  terms.count = 0;
  terms.products = 0;
  for (let m = 0; m < N; m++) {
    const y = ((m / W) | 0) - pixelRow + halfRows, x = (m % W) - pixelCol + halfCols;
    const inWindow = usePosition && y >= 0 && x >= 0 && y < rows && x < cols;
    for (let u = 0; u < U; u++) {
      const t = m * U + u;
      let a = 0, b = 0;
      for (let k = first; k <= last; k++) {
        const scale = kind === "output" ? q[(row * N + n) * K + k] : 1;
        if (useContent) a += scale * keys[(m * K + k) * U + u];
        if (inWindow) b += scale * embeddings[((k * U + u) * rows + y) * cols + x];
      }
      content[t] = a;
      position[t] = b;
      weight[t] = a + b;
      factor[t] = valuesByPixel[t * V + value];
      product[t] = (a + b) * factor[t];
      terms.products += product[t];
      inside[t] = inWindow || useContent;
      terms.count += inside[t];
    }
  }
  terms.constant = 0;
  if (bias && usePosition) for (let k = first; k <= last; k++) terms.constant += (kind === "output" ? q[(row * N + n) * K + k] : 1) * bias[k];
  terms.total = terms.products + terms.constant;
  return terms;
}

export function newTerms(model) {
  const size = model.N * model.U, array = () => new Float32Array(size);
  return {
    content: array(), position: array(), weight: array(), factor: array(), product: array(),
    order: new Uint32Array(size), inside: new Uint8Array(size), count: 0, products: 0, constant: 0, total: 0,
  };
}

// The same output number as a sum over the rows of lambda.
export function rowTerms(model, n, lambda, head, value) {
  const { N, K, V, q } = model, query = new Float32Array(K), factor = new Float32Array(K), product = new Float32Array(K);
  let total = 0;
  for (let k = 0; k < K; k++) {
    query[k] = q[(head * N + n) * K + k];
    factor[k] = lambda[k * V + value];
    product[k] = query[k] * factor[k];
    total += product[k];
  }
  return { weight: query, factor, product, total, order: largest(product, K), count: K };
}

// Indices of the `count` largest sizes, largest first; only of those inside, if that is said.
export function largest(data, count, inside = null) {
  const best = [];
  for (let i = 0; i < data.length; i++) {
    if (inside && !inside[i]) continue;
    const size = Math.abs(data[i]);
    if (best.length === count && size <= Math.abs(data[best[count - 1]])) continue;
    let at = best.length;
    while (at > 0 && Math.abs(data[best[at - 1]]) < size) at--;
    best.splice(at, 0, i);
    if (best.length > count) best.pop();
  }
  return best;
}

// All of them, largest product first; what is inside comes before what is not, also where it is zero.
export function sortTerms(terms) {
  const { order, product, inside } = terms;
  for (let i = 0; i < order.length; i++) order[i] = i;
  order.sort((i, j) => Math.abs(product[j]) - Math.abs(product[i]) || inside[j] - inside[i]);
  return order;
}
