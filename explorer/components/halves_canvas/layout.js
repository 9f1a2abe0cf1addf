// Where everything stands: content left, position right, the photo between them; or, on a narrow page, both below it.
import { inside } from "../lambda_canvas/marks.js";
import { HALVES } from "./halves.js";

export const WIDE = 720;
const TOP = 28, ROW = 32, GAP = 8, BETWEEN = 36, FOOT = 16; // room for the letter of an axis

// Whole pixels a position where there is room for them.
const tile = (space, positions) => (space >= positions ? positions * Math.floor(space / positions) : Math.max(2, Math.floor(space)));
const cellsWide = (space, count) => (space >= count ? Math.floor(space / count) * count : space);

// {wide, photo, sum, height, content, position}: boxes {x, y, w, h}; a half has lambda, weights, share, output and x, w.
export function layoutHalves(width, model, room) {
  return width >= WIDE ? sideBySide(width, model, room) : stacked(width, model);
}

function sideBySide(width, model, room) {
  const { W, H, K, V, heads } = model, tall = H / W;
  const side = tile(Math.max(96, Math.min((width - 2 * BETWEEN) / 6 - GAP / 2, (room - 2 * TOP - ROW - 44) / (1 + tall))), W);
  const column = 2 * side + GAP, gap = (width - 3 * column) / 2, height = side * tall, pitch = Math.min(cellsWide(column, V) / V, 14);
  const lambdaHeight = cellsWide(side, K), maps = TOP + side + ROW, outputs = maps + height + ROW, outHeight = heads * Math.max(5, Math.min(pitch, 60 / heads));
  const layout = { wide: true, gap, height: Math.ceil(outputs + outHeight + FOOT) };
  HALVES.forEach((half, i) => {
    const x = Math.round(i * 2 * (column + gap));
    layout[half] = {
      x, w: column,
      lambda: { x, y: TOP + side - lambdaHeight, w: cellsWide(column, V), h: lambdaHeight },
      weights: { x, y: maps, w: side, h: height },
      share: { x: x + side + GAP, y: maps, w: side, h: height },
      output: { x, y: outputs, w: cellsWide(column, V), h: outHeight },
    };
  });
  const x = Math.round(column + gap), most = maps + height - TOP - 24, photo = Math.min(column, most / tall);
  layout.photo = { x: x + (column - photo) / 2, y: TOP, w: photo, h: photo * tall };
  layout.sum = { x, y: outputs, w: cellsWide(column, V), h: outHeight };
  return layout;
}

function stacked(width, model) {
  const { W, H, K, V, heads } = model, tall = H / W, column = Math.floor((width - 12) / 2), side = tile(column, W), pitch = Math.max(5, Math.min(10, 64 / heads));
  const photo = { x: 0, y: TOP, w: width, h: width * tall }, lambdas = TOP + photo.h + 28 + ROW, lambdaHeight = K * Math.max(2, Math.min(8, Math.floor(128 / K)));
  const weights = lambdas + lambdaHeight + ROW, share = weights + side * tall + ROW, outputs = share + side * tall + ROW, sum = outputs + heads * pitch + ROW;
  const layout = { wide: false, gap: 12, photo, sum: { x: 0, y: sum, w: cellsWide(width, V), h: heads * pitch }, height: Math.ceil(sum + heads * pitch + FOOT) };
  HALVES.forEach((half, i) => {
    const x = i * (column + 12);
    layout[half] = {
      x, w: column,
      lambda: { x, y: lambdas, w: cellsWide(column, V), h: lambdaHeight },
      weights: { x, y: weights, w: side, h: side * tall },
      share: { x, y: share, w: side, h: side * tall },
      output: { x, y: outputs, w: cellsWide(column, V), h: heads * pitch },
    };
  });
  return layout;
}

const cell = (box, x, y, rows, cols) => ({ row: Math.floor(((y - box.y) / box.h) * rows), col: Math.floor(((x - box.x) / box.w) * cols) });

// What lies under a point: {kind, half, row, col, position?}; kind: photo, lambda, weights, share, output or sum.
export function hitHalves(layout, model, x, y) {
  const { W, H, K, V, heads } = model, sizes = { photo: [H, W], weights: [H, W], share: [H, W], lambda: [K, V], output: [heads, V], sum: [heads, V] };
  const look = (kind, half, box) => {
    if (!inside(box, x, y)) return null;
    const [rows, cols] = sizes[kind], { row, col } = cell(box, x, y, rows, cols);
    return { kind, half, row, col, x, y, position: rows === H && cols === W && ["photo", "weights", "share"].includes(kind) ? row * W + col : -1 };
  };
  for (const kind of ["photo", "sum"]) if (look(kind, null, layout[kind])) return look(kind, null, layout[kind]);
  for (const half of HALVES) for (const kind of ["lambda", "weights", "share", "output"]) if (look(kind, half, layout[half][kind])) return look(kind, half, layout[half][kind]);
  return null;
}

// The nearest position of the photo, also for a pointer that has left it while it drags.
export function nearestPosition(layout, model, x, y) {
  const { W, H } = model, { photo } = layout, within = (value, size) => Math.max(0, Math.min(size - 1, Math.floor(value)));
  return within(((y - photo.y) / photo.h) * H, H) * W + within(((x - photo.x) / photo.w) * W, W);
}
