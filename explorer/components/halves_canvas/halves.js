// Both halves of a lambda layer at one pixel, and over the whole photo. Typed arrays, filled in place; no page.
import { positionLambda, applyQuery, keyWeights } from "../lambda_canvas/algebra.js";
import { centredKernels, sizeQuantile } from "../lambda_canvas/model.js";

export const HALVES = ["content", "position"];
const SAMPLES = 24, MOST = 2e9; // pixels that scales are measured on; products that the check may cost

// given: what PyTorch computed, {content_output, position_output}, each (heads, N, V); a half that is not built is zero.
export function createHalves(model, given) {
  const { N, K, V, heads } = model, lambda = () => new Float32Array(K * V), outputs = () => new Float32Array(heads * V), maps = () => new Float32Array(heads * N);
  const halves = { content: { lambda: model.content, output: outputs(), weights: maps() }, position: { lambda: lambda(), output: outputs(), weights: maps() } };
  const output = outputs(), kernels = new Float32Array(K * N), held = { content: lambda(), position: lambda() };
  const share = shares(model, given);
  let n = 0, version = 0, heldAt = 0;

  function move(to) {
    const { content, position } = halves;
    n = to;
    version++;
    positionLambda(model, n, position.lambda);
    for (const half of HALVES) applyQuery(model, n, halves[half].lambda, halves[half].output);
    for (let i = 0; i < output.length; i++) output[i] = content.output[i] + position.output[i];
    keyWeights(model, n, centredKernels(model, n, kernels), content.weights, position.weights);
  }
  // Remembers both lambdas, so that a move can be told in numbers.
  function hold() {
    heldAt = n;
    for (const half of HALVES) held[half].set(halves[half].lambda);
  }
  function change(half) {
    let most = 0;
    for (let i = 0; i < K * V; i++) most = Math.max(most, Math.abs(halves[half].lambda[i] - held[half][i]));
    return most;
  }

  move(0);
  hold();
  return {
    halves, output, share, move, hold, change, scales: halfScales(model, given),
    get n() { return n; },
    get moved() { return n !== heldAt; },
    get version() { return version; },
  };
}

// ‖yᶜ_n‖ and ‖yᵖ_n‖ over all heads and values, as shares of their sum: maps (N), and the same for the whole photo.
export function shares(model, given) {
  const { N } = model, sizes = {}, whole = {}, share = { content: new Float32Array(N), position: new Float32Array(N), whole };
  for (const half of HALVES) sizes[half] = norms(model, given[`${half}_output`]);
  let all = 0;
  for (const half of HALVES) all += whole[half] = Math.sqrt(sizes[half].reduce((total, size) => total + size * size, 0));
  for (const half of HALVES) {
    whole[half] /= all || 1;
    for (let n = 0; n < N; n++) share[half][n] = sizes[half][n] / (sizes.content[n] + sizes.position[n] || 1);
  }
  return share;
}

function norms({ N, V, heads }, output) {
  const sizes = new Float64Array(N);
  if (!output) return sizes;
  for (let h = 0; h < heads; h++) for (let n = 0; n < N; n++) for (let v = 0; v < V; v++) sizes[n] += output[(h * N + n) * V + v] ** 2;
  return sizes.map(Math.sqrt);
}

// The scale of each half alone, and the one that both share: {lambda, weights, output} of {content, position, one}.
function halfScales(model, given) {
  const { N, K, V, heads, scales, hasContent, hasPosition } = model, count = Math.min(SAMPLES, N);
  const lambdas = new Float32Array(count * K * V), contents = new Float32Array(count * heads * N), positions = new Float32Array(count * heads * N);
  const kernels = new Float32Array(K * N);
  for (let i = 0; i < count; i++) {
    const n = Math.floor(((i + 0.5) * N) / count), at = (size) => [i * size, (i + 1) * size];
    positionLambda(model, n, lambdas.subarray(...at(K * V)));
    keyWeights(model, n, centredKernels(model, n, kernels), contents.subarray(...at(heads * N)), positions.subarray(...at(heads * N)));
  }
  // Outside the window a weight is zero for every pixel: left out, or a small window would shrink its own scale.
  const seen = positions.filter((weight) => weight !== 0);
  const own = (there, data, share) => (there && data && data.length ? sizeQuantile(data, share) : 0);
  const pair = (content, position) => ({ content: content || position || 1, position: position || content || 1, one: Math.max(content, position) || 1 });
  return {
    lambda: pair(own(hasContent, model.content, 0.985), own(hasPosition, lambdas, 0.985)),
    weights: pair(own(hasContent, contents, 0.97), own(hasPosition, seen, 0.97)),
    output: { ...pair(own(hasContent, given.content_output, 0.985), own(hasPosition, given.position_output, 0.985)), sum: scales.output },
  };
}

// Recomputes yᶜ and yᵖ at every pixel and compares them with PyTorch's, a slice at a time; on large maps, at every
// `step`th pixel, so that it ends within seconds.
export function createHalvesCheck(model, given) {
  const { N, K, V, heads, rows, cols } = model, step = Math.ceil((N * Math.min(N, rows * cols) * K * V * model.U) / MOST) || 1;
  const own = new Float32Array(K * V), output = new Float32Array(heads * V), result = { done: false, maxDelta: 0, maxAbs: 0, count: 0 };
  let next = 0;

  function compare(n, name, lambda) {
    const expected = given[name];
    if (!expected) return;
    applyQuery(model, n, lambda, output);
    for (let h = 0; h < heads; h++) for (let v = 0; v < V; v++) {
      const real = expected[(h * N + n) * V + v], delta = Math.abs(output[h * V + v] - real);
      if (!(delta <= result.maxDelta)) result.maxDelta = delta; // also where it is not a number
      result.maxAbs = Math.max(result.maxAbs, Math.abs(real));
      result.count++;
    }
  }

  // Works until the time is over; true when there is nothing left.
  function run(budget = 8, clock = () => performance.now()) {
    const end = clock() + budget;
    for (; next < N && clock() < end; next += step) {
      compare(next, "content_output", model.content);
      compare(next, "position_output", positionLambda(model, next, own));
    }
    result.done = next >= N;
    return result.done;
  }
  return { result, run };
}
