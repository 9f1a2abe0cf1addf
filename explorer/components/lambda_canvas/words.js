// What each step says: name, headline, paragraph, equation, einsum line and shapes, for the layer at hand.
import { sym, equation, sign, upright, italic, sum, fraction, code, thousands, times } from "./symbols.js";

const plural = (count, one, many = `${one}s`) => `${count === 1 ? "one" : count} ${count === 1 ? one : many}`;

export const STEP_NAMES = [
  ["Overview", "Overview"], ["Feature map", "Input"], ["Queries, keys, values", "Q, K, V"], ["Normalise the keys", "Keys"],
  ["Content lambda", "Content"], ["Position lambda", "Position"], ["Add the two", "Sum"], ["Apply the query", "Apply"],
  ["Implied attention", "Attention"],
];

export function buildSteps(model) {
  const about = describe(model);
  const writers = [overview, featureMap, projections, normalise, contentLambdaStep, positionLambdaStep, addTwo, applyTheQuery, impliedAttention];
  return writers.map((write, index) => {
    const [name, short] = STEP_NAMES[index];
    return { index, name: index === 3 ? about.normName : name, short, missing: isMissing(model, index), ...write(model, about) };
  });
}

const isMissing = (model, index) => (!model.hasContent && (index === 3 || index === 4)) || (!model.hasPosition && index === 5);

function describe(model) {
  const { layer, U, K, V, hasContent, hasPosition } = model, u = U > 1 ? "u" : "", by = U > 1 ? [U] : [];
  const normName = { softmax: "Softmax the keys", softmax_keys_queries: "Softmax the keys", l2: "Scale the keys", none: "Keys as they are" }[layer.key_norm];
  const depth = U > 1 ? `<p class="note">Here keys and values also have an intra-depth of ${U}: every sum runs over it too, and each map on the stage is drawn summed over its ${U} layers.</p>` : "";
  const bias = model.bias ? `<p class="note">This layer also adds a learned number ${sym("bias", { sub: "k" })} to each row of ${sym("positionLambda")}; it is counted in every sum.</p>` : "";
  const sumOf = hasContent && hasPosition ? [sym("contentLambda"), sign("+"), sym("positionLambda")] : [sym(hasContent ? "contentLambda" : "positionLambda")];
  const size = times(K, V);
  return { u, by, normName, depth, bias, sumOf, size };
}

function overview(model, { u, by, sumOf, size }) {
  const { N, K, V, heads, rows, cols, hasContent, hasPosition } = model;
  const place = model.windowed ? "a <b>window around the pixel</b>" : "kernels that know <b>how far away</b> each position is";
  const halves = hasContent && hasPosition
    ? `${sym("contentLambda")} gathers the <b>whole photo</b> and is the same for all pixels; ${sym("positionLambda")} gathers it through ${place}, so it moves.`
    : hasContent ? `In this layer ${sym("contentLambda")} does this alone, from the <b>whole photo</b>.` : `In this layer ${sym("positionLambda")} does this alone, through ${place}.`;
  const last = hasContent && hasPosition ? "Their sum" : "This";
  return {
    headline: "A lambda layer packs the photo into one small matrix and lets each pixel read from it.",
    text: `<p>Choose a pixel. What surrounds it is packed into a table of ${size} numbers. ${halves} ${last}, ${sym("lambda")}, is read out by the pixel’s query ${sym("query")}: that gives the output ${sym("output")}.</p>`,
    equation: equation("y n equals lambda n transposed times q n", sym("output"), sign("="), sumOf.length > 1 ? upright("(") : "", ...sumOf, sumOf.length > 1 ? upright(")") : "", "<sup class=\"up\">⊤</sup>", sym("query")),
    einsum: [
      hasContent && `${code("contentLambda", "λc")} = einsum("mk${u},mv${u}->kv", ${code("keys", "K̄")}, ${code("values", "V")})`,
      hasPosition && `${code("positionLambda", "λp")} = einsum("nmk${u},mv${u}->nkv", ${code("kernels", "E")}, ${code("values", "V")})`,
      `${code("output", "y")}  = einsum("nhk,nkv->nhv", ${code("queries", "Q")}, ${[hasContent && code("contentLambda", "λc"), hasPosition && code("positionLambda", "λp")].filter(Boolean).join(" + ")})`,
    ],
    shapes: [
      ["values", [N, V, ...by], "what there is at each position"],
      hasContent && ["keys", [N, K, ...by], "where each key looks, photo by photo"],
      hasPosition && ["kernels", [rows, cols, K, ...by], "where each kernel looks, seen from the pixel"],
      ["lambda", [K, V], "the table made for one pixel"],
      ["query", [heads, K], "how each head reads the table"],
      ["output", [heads, V], "what the pixel passes on"],
    ],
    hint: "Click any part of the picture to open its step.",
  };
}

function featureMap(model) {
  const { channels, H, W, N } = model;
  return {
    headline: `The layer sees the photo as ${plural(channels, "small map")}.`,
    text: `<p>The layers before this one have turned the photo into a grid of ${times(H, W)} pixels. Each tile is one channel, strongest where that channel responds. The pixel that you point at is one spot in every tile. Read through all the tiles, it is a list of ${plural(channels, "number")}, ${sym("pixelInput")}.</p>`,
    equation: equation("x n is X at pixel n, all channels", sym("pixelInput"), sign("="), sym("input"), upright("[:,\u2006"), italic("n"), upright("]")),
    einsum: [`${code("input", "X")}.shape == (${channels}, ${H}, ${W})`, `${code("pixelInput", "x_n")} = ${code("input", "X")}.flatten(1)[:, n]`],
    shapes: [
      ["input", [channels, H, W], "channels, height, width"], ["pixelInput", [channels], "one pixel through all channels"],
      ["pixel", [N], "the pixel that asks"], ["context", [N], "the pixels that it can draw on"],
    ],
  };
}

function projections(model, { by, depth }) {
  const { heads, K, V, N, layer, hasContent } = model, third = hasContent ? "Three" : "Two";
  const batch = layer.norm_qv ? '<p class="note">Queries and values are batch-normalised as well.</p>' : "";
  const normalised = layer.key_norm === "softmax_keys_queries" ? `<p class="note">Each query is then put through a softmax over its ${K} entries; that is what you see here.</p>` : "";
  const one = (letter, name, out, at) => equation(`${out} ${at} equals W ${letter} times x ${at}`, sym(name, { base: out, sub: at, sup: letter === "Q" ? "h" : "" }), sign("="), sym(name, { base: "W", sub: letter, sup: letter === "Q" ? "h" : "" }), sym("input", { base: "x", sub: at }));
  return {
    headline: hasContent ? "Every pixel gets a query, a key and a value." : "Every pixel gets a query and a value.",
    text: `<p>${third} small linear maps, the same ones at every pixel, turn its list of numbers into ${hasContent ? "three" : "two"} other ones. The query ${sym("queries")} says how the pixel will read, ${hasContent ? `the key ${sym("scores")} says which positions belong together, ` : ""}the value ${sym("values")} says what there is to read. ${heads > 1 ? `Each of the ${heads} heads has its own queries; ${hasContent ? "keys and values are" : "the values are"} shared.` : "There is one head."}</p>${batch}${normalised}${depth}`,
    equation: `<span class="row">${one("Q", "queries", "q", "n")}${hasContent ? one("K", "scores", "k", "m") : ""}${one("V", "values", "v", "m")}</span>`,
    einsum: [
      `${code("queries", "Q")} = einsum("cn,hkc->nhk", ${code("input", "X")}, W${code("queries", "q")})`,
      hasContent && `${code("scores", "K")} = einsum("cm,kc->mk", ${code("input", "X")}, W${code("scores", "k")})`,
      `${code("values", "V")} = einsum("cm,vc->mv", ${code("input", "X")}, W${code("values", "v")})`,
    ],
    shapes: [
      ["queries", [N, heads, K], `${heads} × ${K} query maps`], hasContent && ["scores", [N, K, ...by], `${plural(K, "key map")}, for all heads`],
      ["values", [N, V, ...by], `${plural(V, "value map")}, for all heads`],
    ],
  };
}

function normalise(model, { by, depth }) {
  const { N, K, U, layer, hasContent } = model, deep = U > 1; // a key then has a map in each of its layers
  if (!hasContent) return gone("content", "keys", "nothing to normalise");
  const over = sym("scores", { sub: "mk" }), result = sym("keys", { sub: "mk" }), exp = upright("exp");
  const kind = {
    softmax: {
      headline: `Each key hands out exactly one unit of weight over the whole photo${deep ? `, in each of its ${U} layers` : ""}.`,
      text: `A key map starts as scores of either sign. Softmax makes all ${N} of them${deep ? " in a layer" : ""} positive and lets them add up to 1, so a high score becomes a large share. ${sym("keys")} is where a key looks in this photo. No query has been asked yet.`,
      equation: equation("K bar m k is exp K m k over the sum of exp K j k over all positions j", result, sign("="), fraction(`${exp} ${over}`, `<span class="small">∑</span><sub>${italic("j")}</sub> ${exp} ${sym("scores", { sub: "jk" })}`)),
      einsum: [`${code("keys", "K̄")} = ${code("scores", "K")}.softmax("m")`, `${code("keys", "K̄")}.sum("m") == 1    # for every key${deep ? " and u" : ""}`],
      after: `shares, never negative, ${deep ? `1 in all for each layer, so ${U} for each map as it is drawn` : "1 in all for each map"}`,
    },
    l2: {
      headline: `Each key map is scaled to length 1${deep ? `, in each of its ${U} layers` : ""}.`,
      text: `This layer divides a key map${deep ? ", layer by layer," : ""} by its length, the root of the sum of its ${N} squares. The pattern and its signs stay, only the loudness goes: ${sym("keys")} says where a key looks, and what it takes away.`,
      equation: equation("K bar m k is K m k over the length of key map k", result, sign("="), fraction(over, `‖${sym("scores", { sub: "k" })}‖`)),
      einsum: [`${code("keys", "K̄")} = ${code("scores", "K")} / ${code("scores", "K")}.norm("m")`],
      after: `the same maps, ${deep ? "each layer " : ""}at length 1, signs kept`,
    },
    none: {
      headline: "This layer takes the key maps as they are.",
      text: `Nothing is normalised here: the scores themselves are the weights. ${sym("keys")} may be of either sign and any size, and it says where a key looks in this photo.`,
      equation: equation("K bar m k is K m k", result, sign("="), over),
      einsum: [`${code("keys", "K̄")} = ${code("scores", "K")}`],
      after: "the weights: the scores, unchanged",
    },
  };
  const chosen = kind[layer.key_norm] || kind.softmax;
  return {
    headline: chosen.headline, text: `<p>${chosen.text}</p>${depth}`, equation: chosen.equation, einsum: chosen.einsum,
    shapes: [["scores", [N, K, ...by], "scores, drawn around the mean of their map"], ["keys", [N, K, ...by], chosen.after]],
  };
}

function contentLambdaStep(model, { u, by, depth }) {
  const { N, K, V, hasContent } = model;
  if (!hasContent) return gone("content", "contentLambda", "no content lambda");
  return {
    headline: "Every key map meets every value map: the content lambda.",
    text: `<p>Read it like a times table. A row is a key map, a column a value map. Where they meet, the two maps are multiplied position by position and the ${thousands(N)} products are added: one number. The pixel plays no part in it, so all ${thousands(N)} pixels share this ${sym("contentLambda")}.</p>${depth}`,
    equation: equation("lambda c k v is the sum over m of K bar m k times V m v", sym("contentLambda", { sub: "kv" }), sign("="), sum("m"), sym("keys", { sub: "mk" }), "\u2006", sym("values", { sub: "mv" })),
    einsum: [`${code("contentLambda", "λc")} = einsum("mk${u},mv${u}->kv", ${code("keys", "K̄")}, ${code("values", "V")})`],
    shapes: [
      ["keys", [N, K, ...by], "rows: where to look"], ["values", [N, V, ...by], "columns: what is there"],
      ["contentLambda", [K, V], "one table for the photo"],
    ],
    hint: "Point at a cell to see its sum, click to open it.",
  };
}

function positionLambdaStep(model, { u, by, depth, bias }) {
  const { N, K, V, rows, cols, hasPosition, windowed, H, W } = model;
  if (!hasPosition) return gone("position", "positionLambda", "no position lambda");
  const look = windowed
    ? `Its ${times(rows, cols)} window goes where the pixel goes, and at the rim of the photo it is cut off.`
    : `They reach over the whole map. Each is a sheet of ${times(rows, cols)} offsets, and the pixel decides which ${times(H, W)} part of it lies on the photo.`;
  return {
    headline: "Swap the key maps for kernels that travel with the pixel: the position lambda.",
    text: `<p>The columns stay, the rows change: they are now ${plural(K, "learned kernel")}, laid around the pixel. A kernel knows how far a position is from the pixel and nothing of the photo. ${look} Move the pixel and all of ${sym("positionLambda")} changes.</p>${bias}${depth}`,
    equation: equation("lambda p n k v is the sum over m of E at m minus n, k, times V m v", sym("positionLambda", { sub: "n,kv" }), sign("="), sum("m"), sym("kernels", { sub: "m−n,k" }), "\u2006", sym("values", { sub: "mv" }), model.bias ? sign("+") + sym("bias", { sub: "k" }) : ""),
    einsum: [`${code("positionLambda", "λp")} = einsum("nmk${u},mv${u}->nkv", ${code("kernels", "E")}, ${code("values", "V")})${model.bias ? ` + ${code("bias", "b")}` : ""}`],
    shapes: [
      ["kernels", [rows, cols, K, ...by], "rows: learned once, for every photo"], ["values", [N, V, ...by], "columns: what is there"],
      ["positionLambda", [K, V], `one table for each of ${thousands(N)} pixels`],
    ],
    hint: "Point at a cell to see its sum, click to open it.",
  };
}

function addTwo(model, { sumOf, size }) {
  const { K, V, N, hasContent, hasPosition } = model, both = hasContent && hasPosition;
  const only = hasContent ? "contentLambda" : "positionLambda";
  const how = both
    ? `The two tables have the same shape, so they are added cell by cell. ${sym("contentLambda")} stays when the pixel moves, ${sym("positionLambda")} changes.`
    : `This layer has only one part, so there is nothing to add: ${sym("lambda")} is ${sym(only)}.`;
  return {
    headline: both ? "Shared table plus own table: this pixel’s lambda." : `With one part only, ${hasContent ? "the content" : "the position"} lambda is the lambda.`,
    text: `<p>${how} The result is a ${size} matrix, and a matrix is a function: put ${K} numbers in, get ${V} out. Hence the name.</p>`,
    equation: equation(both ? "lambda n is lambda c plus lambda p n" : "lambda n is its only part", sym("lambda"), sign("="), ...sumOf),
    einsum: [`${code("lambda", "λ")} = ${[hasContent && code("contentLambda", "λc"), hasPosition && code("positionLambda", "λp")].filter(Boolean).join(" + ")}${both ? "    # (k, v) + (n, k, v)" : ""}`],
    shapes: [
      hasContent && ["contentLambda", [K, V], "for the photo"], hasPosition && ["positionLambda", [K, V], "for the pixel"],
      ["lambda", [K, V], hasPosition ? `one function for each of ${thousands(N)} pixels` : "one function for the photo"],
    ],
    hint: "Point at a cell to see its sum, click to open it.",
  };
}

function applyTheQuery(model) {
  const { K, V, heads, outputs, stride, pool: { size } } = model;
  const apart = size === stride ? "blocks" : `windows, one every ${stride} pixels`;
  const pool = stride > 1 ? `<p class="note">After this the map is averaged over ${times(size, size)} ${apart}; the check above compares with the averages.</p>` : "";
  return {
    headline: "The query mixes the rows of lambda: that is the output.",
    text: `<p>A head’s query ${sym("query")} holds ${K} numbers, one for each row of ${sym("lambda")}. Multiply every row by its number and add the rows up: ${V} numbers remain. ${heads > 1 ? `All ${heads} heads read the same table, each in its own way, and together they fill the ${outputs} channels of this pixel.` : `They are the ${outputs} channels of this pixel.`}</p>${pool}`,
    equation: equation("y n h is lambda n transposed times q n h", sym("output", { sup: "h" }), sign("="), sym("lambda", { sup: '<span class="up">⊤</span>' }), "\u2006", sym("query", { sup: "h" })),
    einsum: [`${code("output", "y")} = einsum("nhk,nkv->nhv", ${code("queries", "Q")}, ${code("lambda", "λ")})`],
    shapes: [
      ["query", [heads, K], "one number a row, head by head"], ["lambda", [K, V], "the same for all heads"],
      ["output", [heads, V], `side by side: ${outputs} channels`],
    ],
    hint: "Point at an output to see which rows made it, click to open it.",
  };
}

function impliedAttention(model, { u, by, depth, bias }) {
  const { N, K, V, U, heads, hasContent, hasPosition } = model, grid = 64, at = u && `,${u}`; // weights keep u: so do values
  const parts = [hasContent && sym("keys", { sub: `m${at}` }), hasPosition && sym("kernels", { sub: `m−n${at}` })].filter(Boolean);
  const inner = parts.length > 1 ? `${upright("(")}${parts.join(sign("+"))}${upright(")")}` : parts[0];
  const millions = (x) => `${thousands(x < 1e7 ? Math.round(x / 1e5) / 10 : Math.round(x / 1e6))} million`, maps = heads * U * grid ** 4;
  const lambdas = hasPosition ? `${millions(grid ** 2 * K * V)} numbers of lambda` : `the ${thousands(K * V)} numbers of the one lambda that all pixels share`;
  const halves = hasContent && hasPosition ? "The content part mixes the key maps, which stay put; the position part mixes the kernels, which move along." : hasContent ? "It mixes the key maps, which stay put." : "It mixes the kernels, which move along.";
  const weight = sym("weights", { sub: `nm${at}`, sup: "h" }), query = sym("query", { sup: "h" }), also = u && ` and ${u}`;
  const first = equation(`w n m h is q n h dot the weights of m${also}`, weight, sign("="), query, sign("·"), inner);
  const constant = model.bias ? `${sign("+")}${query}${sign("·")}${sym("bias")}` : "";
  const second = equation(`y n h is the sum over m${also} of w times v m${model.bias ? ", plus q n h dot b" : ""}`, sym("output", { sup: "h" }), sign("="), sum(`m${at}`), weight, "\u2006", sym("values", { base: "v", sub: `m${at}` }), constant);
  return {
    headline: "Do the same sum in another order and an attention map appears.",
    text: `<p>Let the query meet the weights first and the values last. Then ${sym("weights")} tells how much this pixel takes from each position. ${halves} Both orders end in the same ${sym("output")}, yet a lambda layer never has to store such a map.</p><p class="note">On a map of ${times(grid, grid)}, with ${plural(heads, "head")}: ${millions(maps)} weights to store, or ${lambdas}.</p>${bias}${depth}`,
    equation: `<span class="row">${first}${second}</span>`,
    einsum: [
      `${code("weights", "w")} = einsum("nhk,${hasPosition ? "n" : ""}mk${u}->nhm${u}", ${code("queries", "Q")}, ${[hasContent && code("keys", "K̄"), hasPosition && code("kernels", "E")].filter(Boolean).join(" + ")})`,
      `${code("output", "y")} = einsum("nhm${u},mv${u}->nhv", ${code("weights", "w")}, ${code("values", "V")})${model.bias ? ` + (${code("queries", "Q")} @ ${code("bias", "b")})[..., None]` : ""}`,
    ],
    shapes: [
      ["weights", [heads, N, ...by], "a weight for each position, head by head"], ["values", [N, V, ...by], "what is there"],
      ["output", [heads, V], "the same numbers as in step 7"],
    ],
  };
}

function gone(part, symbol, what) {
  return {
    headline: `This layer has no ${part} part.`,
    text: `<p>It was built without its ${part} half, so there is ${what} here. ${part === "content" ? "Everything that it knows of a position comes from how far away it is." : "Everything that it knows of the photo is the same for all pixels."} Go on with the next step.</p>`,
    equation: equation("zero", sym(symbol), sign("="), upright("0")), einsum: [`${part} = False`], shapes: [],
  };
}
