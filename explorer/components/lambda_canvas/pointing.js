// Pointing with keys: from what is pointed at to what lies next to it.
import { gridSize, hitTest } from "./view.js";
import { inside } from "./marks.js";

// The next cell of a table in a direction, else the nearest part on that side, and the first part where nothing is
// pointed at; null where there is none. The photo is left out: the pixel has keys of its own.
export function nextHit(layout, model, from, rows, columns) {
  const parts = [...layout.nodes.values()].filter(({ kind, id }) => kind !== "photo" && id !== from?.id);
  if (!from) return hitNear(layout, model, parts[0], 0, 0);
  const node = layout.nodes.get(from.id), { x, y, w, h } = cellOf(model, node, from);
  if (inside(node, x + columns * w, y + rows * h)) return hitNear(layout, model, node, x + columns * w, y + rows * h);
  let best = null, least = Infinity;
  for (const part of parts) {
    const ahead = columns * (part.x + part.w / 2 - x) + rows * (part.y + part.h / 2 - y) - (columns ? w : h) / 2;
    const dx = Math.abs(nearest(x, part.x, part.w) - x), dy = Math.abs(nearest(y, part.y, part.h) - y);
    const way = columns ? dx + 2 * dy : dy + 2 * dx;
    if (ahead > 0 && way < least) [best, least] = [part, way];
  }
  return best && hitNear(layout, model, best, x, y);
}

const nearest = (place, start, size) => Math.max(start, Math.min(start + size - 1, place));

// The box of a hit around its centre: of a cell, or of a part that has none.
function cellOf(model, node, hit) {
  const [rows, cols] = gridSize(model, node.kind) || [1, 1], w = node.w / cols, h = node.h / rows;
  return { x: node.x + ((hit.col ?? 0) + 0.5) * w, y: node.y + ((hit.row ?? 0) + 0.5) * h, w, h };
}

// The hit in a part that is nearest to a place, at its centre.
function hitNear(layout, model, node, x, y) {
  const hit = hitTest(layout, model, nearest(x, node.x, node.w), nearest(y, node.y, node.h)), centre = cellOf(model, node, hit);
  return { ...hit, x: centre.x, y: centre.y };
}
