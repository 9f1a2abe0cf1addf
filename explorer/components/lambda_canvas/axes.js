// The axis that a letter of the formula names, lit up in what the stage shows: "lambda-axis" on the document says which.
import { cellBox, drawDisc, outline } from "./marks.js";

// How a letter's axis runs in each kind of node. rows, columns: along its left, its bottom. each: from tile to tile.
// inside: over the positions of every map. pixel: the one that asks. whole: all of it belongs to one index.
const AXIS_RUNS = {
  photo: { b: "whole", m: "inside", n: "pixel" },
  score: { k: "each", m: "inside" }, keyMap: { k: "each", m: "inside" }, window: { k: "each", m: "inside" },
  kernel: { k: "each", n: "inside", m: "inside" }, valueMap: { v: "each", m: "inside" },
  queryMap: { h: "groupRows", k: "groupColumns", n: "inside" },
  content_lambda: { k: "rows", v: "columns" }, position_lambda: { n: "whole", k: "rows", v: "columns" },
  lambda: { n: "whole", k: "rows", v: "columns" },
  query: { n: "whole", k: "rows", h: "columns" }, output: { n: "whole", h: "rows", v: "columns" },
  weights: { h: "each", m: "inside" }, bars: { h: "each", v: "columns" },
  cellWeights: { m: "inside" }, cellValues: { m: "inside" }, cellProducts: { m: "inside" },
};
export const AXIS_AWAY = 5;
const AXIS_LINE = 3.5;

// What is lit for a letter: {kind: how its axis runs there}.
export function litAxes(scene, letter) {
  const found = {};
  for (const node of scene.nodes.values()) {
    const runs = node.alpha > 0.01 && AXIS_RUNS[node.kind]?.[letter];
    if (runs) found[node.kind] = runs;
  }
  return found;
}

export function drawAxis(app) {
  const { ctx, scene, palette, axis } = app;
  if (!axis) return;
  ctx.strokeStyle = ctx.fillStyle = palette.colour.ink;
  for (const [kind, runs] of Object.entries(litAxes(scene, axis))) {
    const nodes = [...scene.nodes.values()].filter((node) => node.kind === kind && node.alpha > 0.01);
    for (const box of runs.startsWith("group") || runs === "pixel" ? [scene.box(kind)] : nodes) AXIS_MARKS[runs](app, box);
    const [x, y] = axisDisc(app, scene.box(kind), runs);
    drawDisc(ctx, palette, x, y, axis, 9);
  }
}

// Where the letter stands: on the line that it names, away from the words above.
function axisDisc({ model, pixel }, box, runs) {
  if (runs === "pixel") {
    const cell = cellBox(model, box, pixel.n);
    return [cell.x + cell.w + 7, cell.y + cell.h + 7];
  }
  if (runs === "rows" || runs === "groupRows" || runs === "each") return [box.x - AXIS_AWAY, box.y + box.h / 2];
  return [box.x + box.w / 2, box.y + box.h + AXIS_AWAY];
}

const axisLine = (ctx, x0, y0, x1, y1) => {
  ctx.lineWidth = AXIS_LINE;
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
};
const axisLeft = ({ ctx }, box) => axisLine(ctx, box.x - AXIS_AWAY, box.y, box.x - AXIS_AWAY, box.y + box.h);
const axisBelow = ({ ctx }, box) => axisLine(ctx, box.x, box.y + box.h + AXIS_AWAY, box.x + box.w, box.y + box.h + AXIS_AWAY);

const AXIS_MARKS = {
  rows: axisLeft, groupRows: axisLeft, columns: axisBelow, groupColumns: axisBelow,
  each: ({ ctx, palette }, box) => outline(ctx, box, palette.colour.ink, 2, 1),
  whole: ({ ctx, palette }, box) => outline(ctx, box, palette.colour.ink, AXIS_LINE, 2),
  inside: ({ ctx }, box) => {
    const width = Math.min(AXIS_LINE, Math.max(1.5, box.w / 10)), x = box.x - width / 2, y = box.y + box.h + width / 2;
    ctx.lineWidth = width;
    ctx.beginPath();
    ctx.moveTo(x, box.y);
    ctx.lineTo(x, y);
    ctx.lineTo(box.x + box.w, y);
    ctx.stroke();
  },
  pixel: ({ ctx, palette, model, pixel }, box) => outline(ctx, cellBox(model, box, pixel.n), palette.colour.ink, AXIS_LINE, 4),
};
