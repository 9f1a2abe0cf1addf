// The letters of the layer, once for text (HTML) and once for the stage (canvas runs).

export const SYMBOLS = {
  input: { tensor: "input", base: "X" },
  pixelInput: { tensor: "input", base: "x", sub: "n" },
  queries: { tensor: "query", base: "Q" },
  query: { tensor: "query", base: "q", sub: "n" },
  scores: { tensor: "key", base: "K" },
  keys: { tensor: "key", base: "K", bar: true },
  values: { tensor: "value", base: "V" },
  kernels: { tensor: "position", base: "E" },
  contentLambda: { tensor: "content", base: "λ", sup: "c" },
  positionLambda: { tensor: "position", base: "λ", sup: "p", sub: "n" },
  lambda: { tensor: "lambda", base: "λ", sub: "n" },
  output: { tensor: "output", base: "y", sub: "n" },
  weights: { tensor: "lambda", base: "w", sub: "n" },
  positionWeights: { tensor: "position", base: "w", sup: "p", sub: "n" },
  pixel: { tensor: "query", base: "n" },
  context: { tensor: "input", base: "m" },
  bias: { tensor: "position", base: "b" },
};

// What a symbol frames on the stage: node kinds.
export const FRAMES = {
  input: ["input", "column"], pixelInput: ["column"], queries: ["query", "queryMap"], query: ["query"], scores: ["score"],
  keys: ["keyMap", "score"], values: ["valueMap", "cellValues"], kernels: ["kernel", "window"],
  contentLambda: ["content_lambda"], positionLambda: ["position_lambda"], lambda: ["lambda"], output: ["output", "bars"],
  weights: ["weights", "cellWeights"],
};

export const CELL_SYMBOL = { content_lambda: "contentLambda", position_lambda: "positionLambda", lambda: "lambda", output: "output" };
export const CELL_TENSOR = { content_lambda: "content", position_lambda: "position", lambda: "lambda", output: "output" };

export const escapeHtml = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

// A symbol in running text. `parts` replaces sub or sup, as in sym("output", { sup: "h" }).
export function sym(name, parts = {}) {
  const { tensor, base, bar, sup, sub } = { ...SYMBOLS[name], ...parts };
  const letter = bar ? `<span class="bar">${base}</span>` : base;
  return `<span class="sym t-${tensor}" data-sym="${name}">${letter}${scripts(sup, sub)}</span>`;
}

// Index letters, each of which is an axis: those of "nk" or of "nmk,mv->nkv". Tags between them stay as they are.
export const indices = (html) => html.replace(/<[^>]*>|[bhkvunm]/g, (found) => (found.length > 1 ? found : `<span data-axis="${found}">${found}</span>`));

function scripts(sup = "", sub = "") {
  const above = indices(sup), below = indices(sub);
  if (sup && sub) return `<span class="both"><span>${above}</span><span>${below}</span></span>`;
  return sup ? `<sup>${above}</sup>` : sub ? `<sub>${below}</sub>` : "";
}

// Equations are HTML with a spoken label: scripts then sit the same in every browser.
export const equation = (spoken, ...parts) =>
  `<span class="formula" role="math" aria-label="${spoken}"><span aria-hidden="true">${parts.join("")}</span></span>`;
export const sign = (text) => `<span class="op">${text}</span>`;
export const upright = (text) => `<span class="up">${text}</span>`;
export const italic = (text) => `<i>${indices(text)}</i>`;
export const sum = (index) => `<span class="sum"><span>∑</span><span>${italic(index)}</span></span>`;
export const fraction = (over, under) => `<span class="frac"><span>${over}</span><span>${under}</span></span>`;
// A line of code, with the index letters of its einsum, or of the method along an axis, each for itself.
export const axesOf = (line) => line.replace(/(einsum|softmax|sum|norm)\("([^"]*)"/g, (_, name, text) => `${name}("${indices(text)}"`);
export const code = (name, text) => `<b class="t-${SYMBOLS[name].tensor}" data-sym="${name}">${text}</b>`;

export function number(x, digits = 3) {
  const text = Math.abs(x).toFixed(digits);
  return (x < 0 && +text !== 0 ? "−" : "") + text;
}
export function signed(x, digits = 3) {
  const text = number(x, digits);
  return (x > 0 && +text !== 0 ? "+" : "") + text;
}
// With so many decimals, or with two figures where these would leave hardly anything: 7.70, 0.0046, 4.6 × 10⁻⁶.
export function sized(x, digits = 3) {
  const size = Math.abs(x);
  if (!size || size >= 10 ** -digits) return number(x, digits);
  return (x < 0 ? "−" : "") + (size < 1e-4 ? scientific(size) : size.toPrecision(2));
}
export const thousands = (x) => x.toLocaleString("en-US");
export const times = (...sizes) => `<span class="keep">${sizes.join(" × ")}</span>`;

export function scientific(x) {
  if (!(x > 0)) return x === 0 ? "0" : "not a number";
  const power = Math.floor(Math.log10(x)), digits = { "-": "⁻" };
  const raised = String(power).replace(/[-\d]/g, (c) => digits[c] || "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]);
  return `${(x / 10 ** power).toFixed(1)} × 10${raised}`;
}
