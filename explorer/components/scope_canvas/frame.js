// The window on the photo: where its frame lies, what of it can be taken hold of, and the r under a pointer.
import { windowSpan } from "./reach.js";

const GRIP = 10;

// half may be between two whole numbers while the frame moves. Sides that the photo cuts off are not open.
export function frameOf(model, box, n, half) {
  const { H, W } = model, row = Math.floor(n / W), col = n % W, w = box.w / W, h = box.h / H;
  const left = Math.max(0, col - half), right = Math.min(W, col + half + 1), top = Math.max(0, row - half), bottom = Math.min(H, row + half + 1);
  const open = { left: col - half >= 0, right: col + half < W, top: row - half >= 0, bottom: row + half < H };
  if (!Object.values(open).some(Boolean)) Object.keys(open).forEach((side) => (open[side] = true)); // it covers the photo: pull it back from anywhere
  return { x: box.x + left * w, y: box.y + top * h, w: (right - left) * w, h: (bottom - top) * h, open };
}

// The corners of two open sides, else the middles of open sides: [x, y, cursor].
export function handlesOf(frame) {
  const { x, y, w, h, open } = frame, handles = [];
  for (const [side, at] of [["left", x], ["right", x + w]]) for (const [level, to] of [["top", y], ["bottom", y + h]]) {
    if (open[side] && open[level]) handles.push([at, to, (side === "left") === (level === "top") ? "nwse-resize" : "nesw-resize"]);
  }
  if (handles.length) return handles;
  for (const [side, at] of [["left", x], ["right", x + w]]) if (open[side]) handles.push([at, y + h / 2, "ew-resize"]);
  for (const [level, to] of [["top", y], ["bottom", y + h]]) if (open[level]) handles.push([x + w / 2, to, "ns-resize"]);
  return handles;
}

// The cursor of the part of the frame under (x, y), or null.
export function gripAt(frame, x, y, slack = GRIP) {
  for (const [at, to, cursor] of handlesOf(frame)) if (Math.max(Math.abs(x - at), Math.abs(y - to)) <= slack + 2) return cursor;
  const { open } = frame, near = slack * 0.6, tall = y > frame.y - near && y < frame.y + frame.h + near, broad = x > frame.x - near && x < frame.x + frame.w + near;
  if (tall && ((open.left && Math.abs(x - frame.x) < near) || (open.right && Math.abs(x - frame.x - frame.w) < near))) return "ew-resize";
  if (broad && ((open.top && Math.abs(y - frame.y) < near) || (open.bottom && Math.abs(y - frame.y - frame.h) < near))) return "ns-resize";
  return null;
}

// The r whose frame would pass through (x, y).
export function scopeAt(model, box, n, x, y) {
  const { H, W } = model, across = Math.abs(((x - box.x) * W) / box.w - (n % W) - 0.5), down = Math.abs(((y - box.y) * H) / box.h - Math.floor(n / W) - 0.5);
  return 2 * Math.round(Math.max(across, down) - 0.5) + 1;
}

export function positionAt(model, box, x, y) {
  if (x < box.x || y < box.y || x >= box.x + box.w || y >= box.y + box.h) return -1;
  return Math.floor(((y - box.y) / box.h) * model.H) * model.W + Math.floor(((x - box.x) / box.w) * model.W);
}

export const positionsIn = (model, n, r) => {
  const { top, bottom, left, right } = windowSpan(model, n, r);
  return (bottom - top + 1) * (right - left + 1);
};
