// Where the parts of the stage lie, for a width: the photo, the kernels, the heads' weights, the curve over r.
const GAP = 10, LABEL = 28;

// Tiles of `size` numbers a side in rows of at most `most`, as large as the room allows: whole pixels a number, full rows
// rather than slightly larger tiles.
function tiles(count, size, width, height, most) {
  let best = null;
  for (let columns = Math.min(count, most); columns >= Math.min(count, 2); columns--) {
    const rows = Math.ceil(count / columns), room = Math.min((width - (columns - 1) * GAP) / columns, (height - (rows - 1) * GAP) / rows);
    const side = room >= size ? Math.floor(room / size) * size : Math.floor(room);
    const better = !best || side > 1.15 * best.side || (count % best.columns !== 0 && count % columns === 0 && side > 0.85 * best.side);
    if (better) best = { columns, rows, side };
  }
  return { ...best, width: best.columns * (best.side + GAP) - GAP, height: best.rows * (best.side + GAP) - GAP };
}

function place(set, count, x, y) {
  return Array.from({ length: count }, (_, i) => ({ x: x + (i % set.columns) * (set.side + GAP), y: y + Math.floor(i / set.columns) * (set.side + GAP), w: set.side, h: set.side }));
}

// Where in its tile a kernel lies, and the weights of a head: as large as fits, at the upper left.
const fitted = ({ x, y, w }, rows, cols) => ({ x, y, w: (w * cols) / Math.max(rows, cols), h: (w * rows) / Math.max(rows, cols) });
export const sheetBox = ({ rows, cols }, tile) => fitted(tile, rows, cols);
export const headBox = ({ H, W }, tile) => fitted(tile, H, W);

export function layoutScope(width, model, tallest) {
  const { H, W, K, heads, rows, cols, hasPosition } = model, wide = width >= 700, cell = Math.max(1, Math.floor(Math.min(wide ? Math.min(width * (hasPosition ? 0.46 : 1), tallest) : width, 720) / Math.max(H, W)));
  const photo = { x: 0, y: 0, w: W * cell, h: H * cell };
  if (!wide) Object.assign(photo, { w: width, h: Math.round((width * H) / W) });
  const left = wide ? photo.w + 40 : 0, room = width - left, table = Math.max(rows, cols);
  const labels = [];
  let y = wide ? 0 : photo.h + 16, kernels = [], weights = [], curve = null;
  if (hasPosition) {
    const set = tiles(K, table, room, wide ? photo.h * 0.36 : 180, wide ? 16 : 8);
    labels.push({ id: "kernels", x: left, y: y + 16, right: left + set.width });
    kernels = place(set, K, left, y + LABEL);
    y += LABEL + set.height + 16;
    const maps = tiles(heads, Math.max(H, W), room, wide ? photo.h * 0.3 : 120, 8);
    labels.push({ id: "weights", x: left, y: y + 16, right: left + maps.width });
    weights = place(maps, heads, left, y + LABEL);
    y += LABEL + maps.height + 16;
    labels.push({ id: "curve", x: left, y: y + 16, right: width });
    y += LABEL;
    curve = { x: left, y, w: room, h: Math.max(96, wide ? photo.h - y : 120) };
    y += curve.h;
  }
  return { wide, photo, kernels, weights, curve, labels, height: Math.max(y, photo.h) };
}
