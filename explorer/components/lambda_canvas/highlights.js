// What the pointer, the key and the head in question light up on the stage, and the words beside the pointer.
import { activeCell, sumsRows, isByRow, headOf, overlayOf, stepOfGroup } from "./view.js";
import { withAlpha } from "./colour.js";
import { FRAMES, SYMBOLS, number } from "./symbols.js";
import { outline, drawDisc } from "./marks.js";
import { arrowHead } from "./links.js";
import { STEP_NAMES } from "./words.js";

export function drawHighlights(app) {
  const { ctx, state, scene, palette } = app, cell = activeCell(app.model, state);
  if (state.symbol) for (const kind of FRAMES[state.symbol] || []) {
    const box = scene.box(kind);
    if (box) outline(ctx, box, palette.text[SYMBOLS[state.symbol].tensor], 2.5, 4);
  }
  if (state.cell) return;
  if (state.step === 0) {
    const box = state.hover && stepOfGroup(state.hover.kind) ? scene.box(state.hover.kind) : null;
    if (box) outline(ctx, box, palette.colour.ink, 1.5, 4);
    return;
  }
  if (state.step === 7) drawHeadFrames(app);
  if (!cell && isByRow(state.step)) drawRowFrames(app);
  if (cell) drawCellFrames(app, cell);
  else if (state.hover && state.hover.index !== null && state.hover.index !== undefined) {
    const node = scene.node(state.hover.id);
    if (node && node.kind !== "bars") outline(ctx, node, palette.colour.ink, 2, 1);
  }
}

function part(box, rows, cols, row, col, height = 1, width = 1) {
  const w = box.w / cols, h = box.h / rows;
  return { x: box.x + col * w, y: box.y + row * h, w: w * width - 1, h: h * height - 1 };
}

function drawHeadFrames({ ctx, state, scene, palette, model }) {
  const query = scene.node("query"), output = scene.node("output"), head = headOf(state);
  if (query) outline(ctx, part(query, 1, model.heads, 0, head), palette.colour.ink, 1.5, 1);
  if (output) outline(ctx, part(output, model.heads, 1, head, 0), palette.colour.ink, 1.5, 1);
}

// The key whose map lies on the photo: its thumb and its row.
function drawRowFrames({ ctx, state, scene, palette, model }) {
  const { step, key } = state, thumb = scene.node(`${step === 5 ? "window" : "keyMap"}:${key}`);
  if (thumb && step < 6) outline(ctx, thumb, palette.colour.ink, 1.5, 1);
  if (overlayOf(model, state) === "photo") return;
  for (const kind of ["content_lambda", "position_lambda", "lambda"]) {
    const table = scene.node(kind);
    if (!table || step < 4) continue;
    const row = part(table, model.K, 1, key, 0), y = row.y + row.h / 2;
    if (step < 6) outline(ctx, row, palette.colour.ink, 1.25, 0.75);
    else {
      arrowHead(ctx, row.x - 3, y, 0, palette.colour.ink);
      arrowHead(ctx, row.x + row.w + 3, y, Math.PI, palette.colour.ink);
    }
  }
}

function drawCellFrames(app, { kind, row, value }) {
  const { ctx, scene, palette, model, state, pixel } = app, table = scene.node(kind);
  if (!table) return;
  const { K, V, heads } = model, ink = palette.colour.ink, cell = part(table, kind === "output" ? heads : K, V, row, value);
  ctx.fillStyle = withAlpha(ink, 0.09);
  if (sumsRows(state, { kind })) drawRowTerms(app, row, value);
  else if (kind !== "output") {
    const above = scene.node(`valueMap:${value}`), aside = scene.node(`${kind === "content_lambda" ? "keyMap" : "window"}:${row}`);
    if (above) {
      ctx.fillRect(cell.x, above.y + above.h, cell.w, Math.max(0, cell.y - above.y - above.h));
      outline(ctx, above, palette.colour.value, 2, 1);
    }
    if (aside) {
      ctx.fillRect(aside.x + aside.w, cell.y, Math.max(0, cell.x - aside.x - aside.w), cell.h);
      outline(ctx, aside, palette.colour[kind === "content_lambda" ? "key" : "position"], 2, 1);
    }
    if (kind === "lambda") for (const source of ["content_lambda", "position_lambda"]) {
      const other = scene.node(source);
      if (other) outline(ctx, part(other, K, V, row, value), ink, 1.5, 0.5);
    }
    if (state.step === 6 && kind !== "lambda") {
      const sum = scene.node("lambda");
      if (sum) outline(ctx, part(sum, K, V, row, value), ink, 1.5, 0.5);
    }
  }
  outline(ctx, cell, ink, 2, 0.5);
}

// The column of lambda that one output reads, its three strongest rows numbered.
function drawRowTerms({ ctx, scene, palette, model, pixel }, head, value) {
  const lambda = scene.node("lambda"), query = scene.node("query"), { K, V, heads } = model;
  if (!lambda || !query) return;
  const column = part(lambda, 1, V, 0, value);
  outline(ctx, column, palette.colour.ink, 1.5, 1);
  const { order } = pixel.rowSumOf({ row: head, value });
  order.slice(0, 3).forEach((k, i) => {
    const from = part(lambda, K, V, k, value), to = part(query, K, heads, k, head), x = from.x + from.w;
    ctx.fillStyle = withAlpha(palette.colour.ink, 0.12);
    ctx.fillRect(x, from.y, to.x + to.w - x, from.h);
    drawDisc(ctx, palette, from.x + from.w / 2, from.y + from.h / 2, i + 1, Math.max(6, Math.min(8, from.h / 2)));
  });
}

export function tipText(app) {
  const { state, model, pixel } = app, { hover } = state, { K } = model;
  if (!hover) return "";
  if (state.step === 0) {
    const step = stepOfGroup(hover.kind);
    return step ? `Step ${step}  ${app.steps[step].name || STEP_NAMES[step][0]}` : "";
  }
  if (state.cell) {
    if (!(hover.position >= 0) || model.U > 1) return "";
    const terms = pixel.cellSum(state.cell, 6, true), m = hover.position;
    return `${number(terms.weight[m])} × ${number(terms.factor[m])} = ${number(terms.product[m])}`;
  }
  const cell = activeCell(model, state), one = (hover.index ?? 0) + 1;
  if (cell) return `${cell.kind === "output" ? "head" : "k"} ${cell.row + 1}   v ${cell.value + 1}   ${number(pixel.matrixValue(cell.kind, cell.row, cell.value))}`;
  switch (hover.kind) {
    case "query": return `k ${hover.row + 1}   head ${hover.col + 1}   ${number(pixel.matrixValue("query", hover.row, hover.col))}`;
    case "input": return `channel ${one}`;
    case "queryMap": return `head ${Math.floor(hover.index / K) + 1}   query ${(hover.index % K) + 1}`;
    case "score": return `key ${one}`;
    case "keyMap": return `key ${one}   largest weight ${number(largestIn(model.keyMaps, hover.index, model.N))}`;
    case "valueMap": return `value ${one}`;
    case "window": case "kernel": return `kernel ${one}`;
    case "weights": return `head ${one}   ${hover.part === "sum" ? "sum of both" : hover.part}`;
    default: return "";
  }
}

export function largestIn(maps, index, size) {
  let best = 0;
  for (let m = index * size; m < (index + 1) * size; m++) if (Math.abs(maps[m]) > Math.abs(best)) best = maps[m];
  return best;
}
