// What a pixel draws through its window, for any scope r. Pure functions over the model of lambda_canvas.
import { applyQuery } from "../lambda_canvas/algebra.js";

// The scope that a layer has on its map: the side of its table, or the map's whole reach where that is less.
export const largestScope = (model) => 2 * Math.max(model.H, model.W) - 1;
export const ownScope = (model) => (model.hasPosition ? Math.min(Math.max(model.rows, model.cols), largestScope(model)) : 0);
export const nearestScope = (r, largest, least = 3) => Math.max(Math.min(least, largest), Math.min(largest, 2 * Math.round((r - 1) / 2) + 1));

// First and last row and column of the map inside the window of pixel n.
export function windowSpan(model, n, r) {
  const half = r >> 1, row = Math.floor(n / model.W), col = n % model.W;
  return { top: Math.max(0, row - half), bottom: Math.min(model.H - 1, row + half), left: Math.max(0, col - half), right: Math.min(model.W - 1, col + half) };
}

// w_nm^h = q_n^h · E_(m-n), summed over u, zero beyond r: (heads, N)
export function windowWeights(model, n, r, out) {
  const { W, N, K, heads, q, rows, cols, halfRows, halfCols, kernelMaps } = model;
  out.fill(0);
  if (!model.hasPosition) return out;
  const row = Math.floor(n / W), col = n % W, { top, bottom, left, right } = windowSpan(model, n, r);
  for (let y = Math.max(top, row - halfRows); y <= Math.min(bottom, row + halfRows); y++) {
    for (let x = Math.max(left, col - halfCols); x <= Math.min(right, col + halfCols); x++) {
      const offset = (y - row + halfRows) * cols + x - col + halfCols;
      for (let h = 0; h < heads; h++) {
        let weight = 0;
        for (let k = 0; k < K; k++) weight += q[(h * N + n) * K + k] * kernelMaps[k * rows * cols + offset];
        out[h * N + y * W + x] = weight;
      }
    }
  }
  return out;
}

// y_n for every scope: row i is y_n with E cropped to r = 2i + 1, (rings, heads * V). Content and bias are in all of them.
export function outputsByScope(model, n) {
  const { H, W, N, K, V, U, heads, q, cols, halfRows, halfCols, table, valuesByPixel, bias } = model;
  const row = Math.floor(n / W), col = n % W, rings = (ownScope(model) >> 1) + 1, size = heads * V, out = new Float32Array(rings * size);
  applyQuery(model, n, model.content, out.subarray(0, size));
  if (bias) for (let h = 0; h < heads; h++) {
    let sum = 0;
    for (let k = 0; k < K; k++) sum += q[(h * N + n) * K + k] * bias[k];
    for (let v = 0; v < V; v++) out[h * V + v] += sum;
  }
  if (model.hasPosition) for (let y = Math.max(0, row - halfRows); y <= Math.min(H - 1, row + halfRows); y++) {
    for (let x = Math.max(0, col - halfCols); x <= Math.min(W - 1, col + halfCols); x++) {
      const ring = Math.max(Math.abs(y - row), Math.abs(x - col)), offset = (y - row + halfRows) * cols + x - col + halfCols;
      for (let u = 0; u < U; u++) for (let h = 0; h < heads; h++) {
        const from = ((y * W + x) * U + u) * V, to = ring * size + h * V;
        let weight = 0;
        for (let k = 0; k < K; k++) weight += q[(h * N + n) * K + k] * table[(offset * U + u) * K + k];
        for (let v = 0; v < V; v++) out[to + v] += weight * valuesByPixel[from + v];
      }
    }
  }
  for (let i = size; i < out.length; i++) out[i] += out[i - size];
  return out;
}

// ‖y_n(r) − y_n‖ / ‖y_n‖ for r = 1, 3, 5 ... up to the layer's own.
export function changeByScope(model, outputs) {
  const size = model.heads * model.V, rings = outputs.length / size, last = outputs.length - size, changes = new Float32Array(rings);
  let length = 0;
  for (let i = 0; i < size; i++) length += outputs[last + i] ** 2;
  for (let ring = 0; ring < rings; ring++) {
    let sum = 0;
    for (let i = 0; i < size; i++) sum += (outputs[ring * size + i] - outputs[last + i]) ** 2;
    changes[ring] = Math.sqrt(sum / (length || 1));
  }
  return changes;
}

// How much of a footprint's square lies in the window, and on how many positions it is not zero. map: (rows, cols) over the photo.
export function shareInside(model, map, n, r) {
  const { data, shape: [rows, cols] } = map, { top, bottom, left, right } = windowSpan(model, n, r);
  const y0 = (top * rows) / model.H, y1 = ((bottom + 1) * rows) / model.H, x0 = (left * cols) / model.W, x1 = ((right + 1) * cols) / model.W;
  let inside = 0, all = 0, count = 0;
  for (let y = 0; y < rows; y++) for (let x = 0; x < cols; x++) {
    const square = data[y * cols + x] ** 2;
    if (square > 0) count++;
    all += square;
    if (y + 0.5 > y0 && y + 0.5 < y1 && x + 0.5 > x0 && x + 0.5 < x1) inside += square;
  }
  return { share: all ? inside / all : 0, count, size: rows * cols };
}

export function largestDifference(a, b) {
  let most = a.length === b.length ? 0 : NaN;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i] - b[i]));
  return most;
}

export function biggest(data) {
  let most = 0;
  for (let i = 0; i < data.length; i++) most = Math.max(most, Math.abs(data[i]));
  return most;
}
