// Paints the stage: the photo with the window and what lies on it, the kernels, the weights, the curve over r.
import { withAlpha } from "../lambda_canvas/colour.js";
import { greyPhoto } from "../lambda_canvas/plates.js";
import { cellBox, outline, drawPixelRing, drawWindowFrame } from "../lambda_canvas/marks.js";
import { drawRuns, TEXT } from "../lambda_canvas/lettering.js";
import { drawAxisParts } from "../lambda_canvas/axis_marks.js";
import { litAxes } from "./axes.js";
import { sheetBox, headBox } from "./layout.js";
import { frameOf, handlesOf } from "./frame.js";

export const EDGE = 8; // room beside the stage, so that frames at its edge stay whole

export function drawScope(app) {
  const { ctx, dpr, width, height, layout, model } = app;
  ctx.setTransform(dpr, 0, 0, dpr, EDGE * dpr, EDGE * dpr);
  ctx.clearRect(-EDGE, -EDGE, width + 2 * EDGE, height + 2 * EDGE);
  drawTarget(app, layout.photo);
  layout.kernels.forEach((box, k) => drawSheet(app, box, k));
  layout.weights.forEach((box, h) => drawHead(app, box, h));
  if (layout.curve) drawCurve(app, layout.curve);
  for (const label of layout.labels) drawTitle(app, label, model);
  drawAxisParts(app, litAxes(app));
}

function drawTarget(app, box) {
  const { ctx, palette, model, plates, photoImage, state } = app, { dark } = palette, shown = app.overlay();
  ctx.imageSmoothingEnabled = true;
  if (!photoImage) {
    ctx.fillStyle = palette.colour.zero;
    ctx.fillRect(box.x, box.y, box.w, box.h);
  } else ctx.drawImage(shown ? greyPhoto(plates, photoImage, 480, Math.round((480 * model.H) / model.W), dark) : photoImage, box.x, box.y, box.w, box.h);
  if (shown) {
    const plate = plates.fill(`overlay ${shown.name}`, shown.cols, shown.rows, palette.photo[shown.ramp], shown.data, shown.offset, shown.scale, shown.stamp || null);
    ctx.globalAlpha = shown.old ? 0.35 : 1;
    ctx.globalCompositeOperation = dark ? "screen" : "multiply";
    ctx.imageSmoothingEnabled = shown.cols > 2 * model.W;
    ctx.drawImage(plate, box.x, box.y, box.w, box.h);
    ctx.globalCompositeOperation = "source-over";
    ctx.globalAlpha = 1;
  }
  drawGrid(app, box, !!shown);
  drawPixelRing(ctx, palette, cellBox(model, box, app.n), false);
  if (!model.hasPosition) return;
  const frame = frameOf(model, box, app.n, app.half);
  drawWindowFrame(ctx, palette, frame, !!shown);
  drawSaid(app, frame);
  if (state.pinned) for (const [x, y] of handlesOf(frame)) drawHandle(ctx, palette, x, y, state.dragging);
  if (state.hover >= 0 && state.hover !== app.n && state.pinned && !state.dragging) {
    const over = cellBox(model, box, state.hover);
    outline(ctx, over, "#fff", 2, -2);
    outline(ctx, over, palette.colour.ink, 1, 0);
  }
}

function drawGrid({ ctx, palette, model }, box, onGrey) {
  const { W, H } = model;
  if (box.w / W < 5) return;
  ctx.fillStyle = onGrey ? (palette.dark ? "rgba(0,0,0,.35)" : "rgba(255,255,255,.5)") : "rgba(255,255,255,.17)";
  for (let i = 1; i < W; i++) ctx.fillRect(Math.round(box.x + (i * box.w) / W) - 0.5, box.y, 1, box.h);
  for (let i = 1; i < H; i++) ctx.fillRect(box.x, Math.round(box.y + (i * box.h) / H) - 0.5, box.w, 1);
}

function drawHandle(ctx, palette, x, y, held) {
  const r = held ? 8 : 6.5;
  ctx.fillStyle = "#fff";
  ctx.beginPath();
  ctx.arc(x, y, r + 2, 0, 7);
  ctx.fill();
  ctx.fillStyle = palette.colour.position;
  ctx.beginPath();
  ctx.arc(x, y, r, 0, 7);
  ctx.fill();
}

// "7 × 7" on the frame, inside the photo.
function drawSaid({ ctx, palette, state, layout }, frame) {
  const text = `${state.scope} × ${state.scope}`, { photo } = layout;
  ctx.font = `600 13px ${TEXT}`;
  const w = ctx.measureText(text).width + 14, x = Math.max(photo.x + 2, Math.min(photo.x + photo.w - w - 2, frame.x + frame.w / 2 - w / 2)), y = Math.max(photo.y + 2, Math.min(photo.y + photo.h - 24, frame.y - 11));
  ctx.fillStyle = palette.colour.position;
  ctx.beginPath();
  ctx.roundRect(x, y, w, 22, 4);
  ctx.fill();
  ctx.fillStyle = palette.dark ? "#1B1005" : "#fff";
  ctx.textAlign = "center";
  ctx.fillText(text, x + w / 2, y + 15.5);
}

// A learned kernel; what lies beyond r is dimmed, r is framed.
function drawSheet(app, box, k) {
  const { ctx, palette, model, plates, themeKey } = app, { rows, cols, halfRows, halfCols } = model;
  const canvas = plates.fill(`kernel${k}`, cols, rows, palette.map.position, model.kernelMaps, k * rows * cols, model.scales.kernel, themeKey);
  const { x, y, w, h } = sheetBox(model, box), unit = w / cols;
  ctx.imageSmoothingEnabled = box.w < 2 * cols && box.w % cols !== 0;
  ctx.globalAlpha = 0.16;
  ctx.drawImage(canvas, x, y, w, h);
  ctx.globalAlpha = 1;
  const half = Math.min(app.half, Math.max(halfRows, halfCols)), top = Math.max(0, halfRows - half), left = Math.max(0, halfCols - half), tall = rows - 2 * top, broad = cols - 2 * left;
  ctx.save();
  ctx.beginPath();
  ctx.rect(x + left * unit, y + top * unit, broad * unit, tall * unit);
  ctx.clip();
  ctx.drawImage(canvas, x, y, w, h);
  ctx.restore();
  if (half < Math.max(halfRows, halfCols)) outline(ctx, { x: x + left * unit, y: y + top * unit, w: broad * unit, h: tall * unit }, palette.colour.position, 1.25, 0);
  if (app.state.over === k) outline(ctx, { x, y, w, h }, palette.colour.ink, 1.5, 2);
}

function drawHead(app, box, h) {
  const { ctx, palette, model, plates, photoImage, state } = app, { W, H, N } = model, part = headBox(model, box);
  ctx.imageSmoothingEnabled = true;
  if (photoImage) ctx.drawImage(greyPhoto(plates, photoImage, 480, Math.round((480 * H) / W), palette.dark), part.x, part.y, part.w, part.h);
  const plate = plates.fill(`head${h}`, W, H, palette.photo.position, app.weights(), h * N, app.weightScale, `${app.n},${state.scope}${app.themeKey}`);
  ctx.globalCompositeOperation = palette.dark ? "screen" : "multiply";
  ctx.imageSmoothingEnabled = false;
  ctx.drawImage(plate, part.x, part.y, part.w, part.h);
  ctx.globalCompositeOperation = "source-over";
  outline(ctx, frameOf(model, part, app.n, app.half), palette.colour.position, 1.5, -1);
  outline(ctx, cellBox(model, part, app.n), palette.colour.pixel, 1.5, 0);
  if (h === state.head && model.heads > 1) outline(ctx, part, palette.colour.ink, 1.5, 2);
}

// x of the curve for a scope: the r that can be chosen, evenly spaced.
export function curveX(app, curve, r) {
  const [first, last] = app.range();
  return curve.x + 34 + ((curve.w - 54) * (r - first)) / Math.max(1, last - first);
}

export function scopeOfCurve(app, curve, x) {
  const [first, last] = app.range();
  return first + ((x - curve.x - 34) / (curve.w - 54)) * (last - first);
}

function drawCurve(app, curve) {
  const { ctx, palette, state } = app, changes = app.changes(), [first, last] = app.range(), own = app.own, bottom = curve.y + curve.h - 22, top = curve.y + 8;
  let most = 0.1;
  for (let r = first; r <= own; r += 2) most = Math.max(most, changes[r >> 1]);
  const Y = (value) => bottom - (Math.min(value, most) / most) * (bottom - top), at = (r) => changes[Math.min(r, own) >> 1];
  ctx.font = `12px ${TEXT}`;
  ctx.textAlign = "right";
  for (const value of [0, most]) {
    ctx.fillStyle = palette.colour.line;
    ctx.fillRect(curve.x + 34, Math.round(Y(value)) - 0.5, curve.w - 54, 1);
    ctx.fillStyle = palette.colour["ink-faint"];
    ctx.fillText(`${Math.round(value * 100)} %`, curve.x + 28, Y(value) + 4);
  }
  const line = () => {
    ctx.beginPath();
    for (let r = first; r <= last; r += 2) ctx.lineTo(curveX(app, curve, r), Y(at(r)));
  };
  line();
  ctx.lineTo(curveX(app, curve, last), bottom);
  ctx.lineTo(curveX(app, curve, first), bottom);
  ctx.fillStyle = withAlpha(palette.colour.output, palette.dark ? 0.2 : 0.16);
  ctx.fill();
  line();
  ctx.strokeStyle = palette.colour.output;
  ctx.lineWidth = 2;
  ctx.lineJoin = "round";
  ctx.stroke();
  drawTicks(app, curve, bottom, first, last);
  const x = curveX(app, curve, state.scope), y = Y(at(state.scope));
  ctx.fillStyle = palette.colour.position;
  ctx.fillRect(x - 0.75, top, 1.5, bottom - top);
  drawHandle(ctx, palette, x, y, false);
}

function drawTicks(app, curve, bottom, first, last) {
  const { ctx, palette, own } = app;
  const near = [first, own, last].filter((r, i, all) => all.indexOf(r) === i), rest = [];
  for (let r = first; r <= last; r += 2) if (!near.includes(r)) rest.push(r);
  const put = [];
  ctx.textAlign = "center";
  for (const r of [...near, ...rest]) {
    const x = curveX(app, curve, r), text = r === last && last > own ? "global" : String(r), w = ctx.measureText(text).width / 2 + 6;
    if (put.some(([from, to]) => x + w > from && x - w < to)) continue;
    put.push([x - w, x + w]);
    ctx.fillStyle = r === own ? palette.colour.ink : palette.colour["ink-faint"];
    ctx.font = `${r === own ? 600 : 400} 12px ${TEXT}`;
    ctx.fillText(text, x, bottom + 17);
  }
}

function drawTitle(app, { id, x, y, right }, model) {
  const { ctx, palette, state, own } = app, { K, rows, cols, heads, U } = model;
  const words = {
    kernels: [[{ symbol: "kernels" }, ` ${K} kernels${U > 1 ? ", summed over u" : ""}`], state.scope < own ? `${rows} × ${cols}, cropped to ${state.scope} × ${state.scope}` : `${rows} × ${cols} offsets`],
    weights: [[{ symbol: "query" }, " · ", { symbol: "kernels" }, ` weights in the window${heads > 1 ? ", a map a head" : ""}`], ""],
    curve: [["How far ", { symbol: "output" }, " moves when ", { symbol: "kernels" }, " is cropped to r"], app.layout.wide ? `${(100 * app.changes()[Math.min(state.scope, own) >> 1]).toFixed(1)} % at r = ${state.scope}` : ""],
  }[id];
  drawRuns(ctx, palette, words[0], x, y);
  ctx.font = `14px ${TEXT}`;
  ctx.fillStyle = palette.colour["ink-faint"];
  ctx.textAlign = "right";
  if (words[1]) ctx.fillText(words[1], right, y);
}
