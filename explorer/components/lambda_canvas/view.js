// What the current state shows: the cell in question, the weights that lie on the photo, what lies under the pointer.

export const MATRICES = ["content_lambda", "position_lambda", "lambda", "output", "query"];
const CELLS = MATRICES.slice(0, 4), CELL_MAPS = ["cellWeights", "cellValues", "cellProducts"];
const OVERLAYS = [
  ["photo", "content", "position", "sum"], [], [], ["photo", "content"], ["photo", "content"], ["photo", "position"],
  ["photo", "content", "position", "sum"], ["photo", "content", "position", "sum"], ["photo", "content", "position", "sum"],
];
const FIRST = ["photo", "photo", "photo", "content", "content", "position", "sum", "photo", "sum"];
const GROUP_STEP = { keyMap: 3, window: 5, valueMap: 2, content_lambda: 4, position_lambda: 5, lambda: 6, query: 7, output: 7 };

export const isByRow = (step) => step >= 3 && step <= 6;
export const stepOfGroup = (kind) => GROUP_STEP[kind];

export function overlayChoices(model, step) {
  const has = { photo: true, content: model.hasContent, position: model.hasPosition, sum: model.hasContent && model.hasPosition };
  const choices = OVERLAYS[step].filter((name) => has[name]);
  return choices.length > 1 ? choices : [];
}

export function overlayOf(model, state) {
  const choices = overlayChoices(model, state.step);
  if (choices.includes(state.overlay)) return state.overlay;
  if (choices.includes(FIRST[state.step])) return FIRST[state.step];
  return FIRST[state.step] === "photo" || !choices.length ? "photo" : choices[choices.length - 1];
}

// Whether cells of a kind are in this layer: the table of a half that it was built without is drawn, but empty.
export function hasCells(model, kind) {
  const { hasContent, hasPosition } = model;
  return CELLS.includes(kind) && ({ content_lambda: hasContent, position_lambda: hasPosition }[kind] ?? true);
}

// The cell that is open, or else the one under the pointer.
export function activeCell(model, state) {
  if (state.cell) return state.cell;
  const { hover, step } = state;
  return hover && step >= 4 && hasCells(model, hover.kind) ? { kind: hover.kind, row: hover.row, value: hover.col } : null;
}

// In step 7 a hovered output is a sum over the rows of lambda; opened it is a sum over positions.
export const sumsRows = (state, cell) => !!cell && cell.kind === "output" && !state.cell;

export const isOpenable = (model, state, hit) => !state.cell && state.step >= 4 && hasCells(model, hit.kind);

export function headOf(state) {
  const { hover } = state;
  if (hover && !state.cell) {
    if (hover.kind === "output") return hover.row;
    if (hover.kind === "query") return hover.col;
    if (hover.kind === "weights" || hover.kind === "bars") return hover.index;
  }
  return state.head;
}

// Data, ramp and scale of one tile.
export function tileData(model, pixel, kind, index) {
  const { N, scales, softmax } = model, at = index * N;
  switch (kind) {
    case "input": return { data: model.input, offset: at, scale: model.inputMax[index] || 1, ramp: "input" };
    case "queryMap": return { data: model.queryMaps, offset: at, scale: scales.query, ramp: "query" };
    case "score": return { data: model.scoreMaps, offset: at, scale: scales.score, ramp: "key" };
    case "keyMap": return { data: model.keyMaps, offset: at, scale: scales.key, ramp: softmax ? "share" : "key" };
    case "valueMap": return { data: model.valueMaps, offset: at, scale: scales.value, ramp: "value" };
    case "window": return { data: pixel.kernelMaps(), offset: at, scale: scales.kernel, ramp: "position", moves: true };
    default: return null;
  }
}

// The weights on the photo: data, offset, scale, ramp and whether the window frame goes with them; null for the bare photo.
export function photoWeights(model, pixel, state, cellShown) {
  const { scales, softmax } = model, cell = activeCell(model, state), { hover } = state;
  const keyRamp = softmax ? "share" : "key", both = model.hasContent ? "lambda" : "position";
  if (cell && !sumsRows(state, cell)) {
    const terms = pixel.cellSum(cell, cellShown.count, cellShown.sorted), data = perPosition(model, terms.weight);
    if (cell.kind === "content_lambda") return { data, offset: 0, scale: scales.key, ramp: keyRamp, frame: false };
    if (cell.kind === "output") return { data, offset: 0, scale: scales.weight, ramp: "lambda", frame: model.windowed };
    return { data, offset: 0, scale: model.hasPosition ? scales.kernel : scales.key, ramp: cell.kind === "lambda" ? both : "position", frame: model.windowed };
  }
  if (hover && state.step > 0 && !state.cell) {
    const kind = hover.kind === "kernel" ? "window" : hover.kind, tile = tileData(model, pixel, kind, hover.index);
    if (tile) return { ...tile, frame: kind === "window" && model.windowed };
  }
  const mode = hover && hover.kind === "weights" && !state.cell ? hover.part : state.cell ? "photo" : overlayOf(model, state);
  if (mode === "photo") return null;
  const ramp = { content: "content", position: "position", sum: "lambda" }[mode];
  if (isByRow(state.step)) {
    const k = state.key * model.N;
    if (mode === "content") return { data: model.keyMaps, offset: k, scale: scales.key, ramp: keyRamp, frame: false };
    if (mode === "position") return { data: pixel.kernelMaps(), offset: k, scale: scales.kernel, ramp, frame: model.windowed };
    return { data: pixel.rowSum(state.key), offset: 0, scale: scales.kernel, ramp, frame: model.windowed };
  }
  const data = pixel.impliedWeights()[mode];
  return { data, offset: headOf(state) * model.N, scale: mode === "content" ? scales.contentWeight : scales.weight, ramp, frame: mode !== "content" && model.windowed };
}

const summed = new WeakMap();

// Terms are (position, u) pairs; the stage shows one number a position.
export function perPosition(model, data) {
  if (model.U === 1) return data;
  const out = summed.get(data) || new Float32Array(model.N);
  summed.set(data, out);
  out.fill(0);
  for (let t = 0; t < data.length; t++) out[(t / model.U) | 0] += data[t];
  return out;
}

export function hitTest(layout, model, x, y) {
  const photo = layout.nodes.get("photo");
  for (const node of layout.nodes.values()) {
    const slack = node.index === null ? 0 : 1;
    if (x < node.x - slack || y < node.y - slack || x >= node.x + node.w + slack || y >= node.y + node.h + slack) continue;
    const hit = { id: node.id, kind: node.kind, index: node.index, part: node.part, x, y };
    const size = gridSize(model, node.kind);
    if (!size) return hit;
    hit.row = Math.max(0, Math.min(size[0] - 1, Math.floor(((y - node.y) / node.h) * size[0])));
    hit.col = Math.max(0, Math.min(size[1] - 1, Math.floor(((x - node.x) / node.w) * size[1])));
    if (node === photo || CELL_MAPS.includes(node.kind)) hit.position = hit.row * model.W + hit.col;
    return hit;
  }
  return null;
}

export function gridSize(model, kind) {
  const { H, W, K, V, heads } = model;
  if (kind === "photo" || CELL_MAPS.includes(kind)) return [H, W];
  return { content_lambda: [K, V], position_lambda: [K, V], lambda: [K, V], output: [heads, V], query: [K, heads] }[kind] || null;
}

export const sameHit = (a, b) => a === b || (!!a && !!b && a.id === b.id && a.row === b.row && a.col === b.col);
