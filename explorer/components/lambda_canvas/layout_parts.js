// Small pieces that several views lay out in the same way.

export const TOP = 28;

// A tile shows whole pixels a position, unless that would waste a fifth of a small one: below 2 px it may be smoothed.
export function tileFor(space, positions) {
  const whole = positions * Math.floor(space / positions);
  return whole >= 0.8 * space || (whole && space >= 2 * positions) ? whole : Math.max(2, Math.floor(space));
}

// The densest grid of `count` tiles in a space: the largest tile, then its columns.
export function fitGrid(count, width, height, gap, positions, largest = 80) {
  const sizes = [];
  for (let whole = positions * Math.ceil(largest / positions); whole >= Math.max(8, positions); whole -= positions) sizes.push(whole);
  for (const size of [24, 20, 18, 14, 12, 10, 8]) if (size < 2 * positions) sizes.push(size);
  sizes.sort((a, b) => b - a);
  for (const tile of sizes) {
    if (tile > largest) continue;
    const most = Math.floor((width + gap) / (tile + gap)), rows = Math.floor((height + gap) / (tile + gap));
    if (most < 1 || most * rows < count) continue;
    const even = [32, 24, 16, 12, 8, 6, 4].find((columns) => columns <= most && columns * rows >= count && count % columns === 0);
    const columns = even || Math.min(most, count);
    return { tile, columns, rows: Math.ceil(count / columns), count };
  }
  const columns = Math.floor((width + gap) / (8 + gap)), rows = Math.floor((height + gap) / (8 + gap));
  return { tile: 8, columns, rows, count: Math.min(count, columns * rows) };
}

export const S = (symbol, parts) => ({ symbol, parts });
export const badge = (step) => ({ badge: step });

// Value maps over their columns. Narrow columns share a thumb's width: the maps then stand in staggered rows.
export function putStrip(stage, model, x, y, px, rows, tile) {
  for (let v = 0; v < model.V; v++) {
    const inset = rows === 1 ? (px - tile) / 2 : 0;
    stage.put("valueMap", v, x + (v - (v % rows)) * px + inset, y + (v % rows) * (tile + 1), tile, tile);
  }
}

export function putCell(stage, cell, places, tile, running) {
  const source = { content_lambda: `keyMap:${cell.row}`, position_lambda: `window:${cell.row}`, lambda: "lambda", output: "query" }[cell.kind];
  const weights = { content_lambda: [S("keys")], position_lambda: [S("kernels")], lambda: [S("keys"), "+ ", S("kernels")], output: [S("weights")] }[cell.kind];
  const [[ax, ay], [bx, by], [cx, cy]] = places;
  stage.put("cellWeights", null, ax, ay, tile, tile, { from: source });
  stage.put("cellValues", null, bx, by, tile, tile, { from: `valueMap:${cell.value}` });
  stage.put("cellProducts", null, cx, cy, tile, tile, { from: cell.kind });
  stage.put("running", null, running.x, running.y, running.w, running.h, { from: cell.kind });
  stage.label("c:w", ax, ay - 10, [...weights, cell.kind === "output" ? `head ${cell.row + 1}` : `k ${cell.row + 1}`]);
  stage.label("c:v", bx, by - 10, [S("values"), `v ${cell.value + 1}`]);
  stage.label("c:p", cx, cy - 10, "products");
}
