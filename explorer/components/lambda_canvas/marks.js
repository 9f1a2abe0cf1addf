// Boxes of the stage, and marks that point: the pixel's ring, the window's frame, numbered discs, outlines.
import { TEXT } from "./lettering.js";

export function cellBox(model, box, n) {
  const w = box.w / model.W, h = box.h / model.H;
  return { x: box.x + (n % model.W) * w, y: box.y + Math.floor(n / model.W) * h, w, h };
}

export const inside = (box, x, y) => x >= box.x && y >= box.y && x < box.x + box.w && y < box.y + box.h;

// The part of the map that the window of pixel n covers.
export function windowBox(model, box, n) {
  const { H, W, halfRows, halfCols } = model, row = Math.floor(n / W), col = n % W, w = box.w / W, h = box.h / H;
  const left = Math.max(0, col - halfCols), right = Math.min(W, col + halfCols + 1), top = Math.max(0, row - halfRows), bottom = Math.min(H, row + halfRows + 1);
  return { x: box.x + left * w, y: box.y + top * h, w: (right - left) * w, h: (bottom - top) * h };
}

export function outline(ctx, box, colour, width = 2, away = 1) {
  const out = away + width / 2 - 0.5;
  ctx.strokeStyle = colour;
  ctx.lineWidth = width;
  ctx.strokeRect(box.x - out, box.y - out, box.w + 2 * out, box.h + 2 * out);
}

export function drawPixelRing(ctx, palette, box, pinned) {
  ctx.lineJoin = "miter";
  outline(ctx, box, "rgba(0,0,0,.55)", 1, 3);
  outline(ctx, box, "#fff", 1.5, -1.5);
  outline(ctx, box, palette.colour.pixel, 3, 0);
  if (!pinned) return;
  for (const [r, colour] of [[4.5, "#fff"], [3, palette.colour.pixel]]) {
    ctx.fillStyle = colour;
    ctx.beginPath();
    ctx.arc(box.x + box.w / 2, box.y + box.h / 2, r, 0, 7);
    ctx.fill();
  }
}

export function drawWindowFrame(ctx, palette, box, onGrey) {
  outline(ctx, box, palette.dark && onGrey ? "rgba(0,0,0,.75)" : "rgba(255,255,255,.95)", 5, -3);
  outline(ctx, box, palette.colour.position, 2.5, -2);
}

export function drawDisc(ctx, palette, x, y, text, r = 9) {
  ctx.fillStyle = palette.colour.page;
  ctx.beginPath();
  ctx.arc(x, y, r + 1.5, 0, 7);
  ctx.fill();
  ctx.fillStyle = palette.colour.ink;
  ctx.beginPath();
  ctx.arc(x, y, r, 0, 7);
  ctx.fill();
  ctx.fillStyle = palette.colour.page;
  ctx.font = `600 ${r < 7 ? 10 : 12}px ${TEXT}`;
  ctx.textAlign = "center";
  ctx.fillText(text, x, y + (r < 7 ? 3.5 : 4));
}
