// Paints the stage: two columns of maps and matrices, the photo between them.
import { HALVES } from "./halves.js";
import { withAlpha } from "../lambda_canvas/colour.js";
import { greyPhoto } from "../lambda_canvas/plates.js";
import { cellBox, windowBox, outline, drawPixelRing, drawWindowFrame } from "../lambda_canvas/marks.js";
import { drawLabel } from "../lambda_canvas/lettering.js";
import { drawAxisParts } from "../lambda_canvas/axis_marks.js";
import { litAxes } from "./axes.js";
import { percentOf } from "../lambda_canvas/percent.js";
import { sized } from "../lambda_canvas/symbols.js";

const S = (symbol, parts) => ({ symbol, parts });
const LAMBDA = { content: "contentLambda", position: "positionLambda" }, WEIGHTED = { content: "keys", position: "kernels" }, SCRIPT = { content: "c", position: "p" };
export const built = (model, half) => (half === "content" ? model.hasContent : model.hasPosition);

// The scale of a row of the view: its own for each half, or one for both.
export function scaleOf({ live, state }, row, half) {
  const scales = live.scales[row];
  return state.scale === "one" ? scales.one : scales[half];
}

export function drawHalves(app) {
  const { ctx, layout, bleed, dpr, width } = app;
  ctx.setTransform(dpr, 0, 0, dpr, bleed * dpr, 0);
  ctx.clearRect(-bleed, 0, width + 2 * bleed, layout.height);
  if (layout.wide) drawBeams(app);
  drawPhoto(app);
  for (const half of HALVES) drawColumn(app, half);
  drawSum(app);
  if (app.state.hover) drawHover(app);
  drawAxisParts(app, litAxes(app));
}

function drawPhoto(app) {
  const { ctx, palette, model, live, layout, photoImage } = app, box = layout.photo, { W, H } = model, cell = box.w / W;
  drawLabel(ctx, palette, { x: box.x, y: box.y - 9, runs: ["drag the pixel ", S("pixel")] });
  drawLabel(ctx, palette, { x: box.x + box.w, y: box.y - 9, runs: [`row ${Math.floor(live.n / W) + 1}, column ${(live.n % W) + 1}`], align: "right", faint: true });
  ctx.imageSmoothingEnabled = true;
  if (photoImage) ctx.drawImage(photoImage, box.x, box.y, box.w, box.h);
  else {
    ctx.fillStyle = palette.colour.zero;
    ctx.fillRect(box.x, box.y, box.w, box.h);
  }
  ctx.fillStyle = "rgba(255,255,255,.17)";
  if (cell >= 5) {
    for (let i = 1; i < W; i++) ctx.fillRect(Math.round(box.x + i * cell) - 0.5, box.y, 1, box.h);
    for (let i = 1; i < H; i++) ctx.fillRect(box.x, Math.round(box.y + (i * box.h) / H) - 0.5, box.w, 1);
  }
  if (model.hasContent) outline(ctx, box, palette.colour.content, 3, 2);
  if (model.windowed) drawWindowFrame(ctx, palette, windowBox(model, box, live.n), false);
  drawPixelRing(ctx, palette, cellBox(model, box, live.n), app.state.dragging);
}

// The whole photo flows into λᶜ, the window into λᵖ.
function drawBeams({ ctx, palette, model, live, layout }) {
  const { photo, content, position } = layout, seen = model.windowed ? windowBox(model, photo, live.n) : photo;
  if (model.hasContent) beam(ctx, palette, "content", photo.x - 3, photo, content.lambda.x + content.lambda.w + 4, content.lambda);
  if (model.hasPosition) beam(ctx, palette, "position", photo.x + photo.w + 3, seen, position.lambda.x - 4, position.lambda);
}

function beam(ctx, palette, half, x0, from, x1, to) {
  const middle = (x0 + x1) / 2, colour = palette.colour[half], fade = ctx.createLinearGradient(x0, 0, x1, 0);
  fade.addColorStop(0, withAlpha(colour, palette.dark ? 0.4 : 0.3));
  fade.addColorStop(1, withAlpha(colour, 0.06));
  ctx.beginPath();
  ctx.moveTo(x0, from.y);
  ctx.bezierCurveTo(middle, from.y, middle, to.y, x1, to.y);
  ctx.lineTo(x1, to.y + to.h);
  ctx.bezierCurveTo(middle, to.y + to.h, middle, from.y + from.h, x0, from.y + from.h);
  ctx.closePath();
  ctx.fillStyle = fade;
  ctx.fill();
}

function drawColumn(app, half) {
  const { ctx, palette, model, live, layout, state, themeKey } = app, { N, K, V, heads } = model, boxes = layout[half], { lambda, output, weights } = live.halves[half];
  const label = (box, runs, style) => drawLabel(ctx, palette, { x: box.x, y: box.y - 9, runs, ...style }), right = (box, text, style) => label({ x: box.x + box.w, y: box.y }, [text], { align: "right", ...style });
  const stamp = half === "content" ? `${themeKey}${state.scale}` : `${themeKey}${state.scale}${live.version}`, narrow = !layout.wide;
  label(boxes.lambda, [S(LAMBDA[half]), half]);
  const moved = live.moved ? `${narrow ? "Δ" : "changed by"} ${sized(live.change(half))}` : "";
  right(boxes.lambda, built(model, half) ? moved : "not built", { faint: true });
  drawMatrix(app, boxes.lambda, { name: `${half} lambda`, data: lambda, rows: K, cols: V, ramp: half, scale: scaleOf(app, "lambda", half), stamp });
  label(boxes.weights, [S("query"), "· ", S(WEIGHTED[half]), `head ${state.head + 1}`]); // on the left: at the right it reads on into "share of"
  drawOnPhoto(app, boxes.weights, { name: `${half} weights`, ramp: palette.photo[half], data: weights, offset: state.head * N, scale: scaleOf(app, "weights", half), stamp: `${themeKey}${state.scale}${live.version}h${state.head}` });
  label(boxes.share, ["share of ", S("output")]);
  if (built(model, half)) right(boxes.share, percentOf(live.share[half][live.n]), { tensor: half, bold: true });
  drawOnPhoto(app, boxes.share, { name: `${half} share`, ramp: palette.photo[half], data: live.share[half], offset: 0, scale: 1, stamp: themeKey });
  label(boxes.output, [S("output", { tensor: half, sup: SCRIPT[half], sub: "n" })]);
  if (boxes.w > 240) right(boxes.output, `${heads} ${heads > 1 ? "heads" : "head"} × ${V} values`, { faint: true });
  drawMatrix(app, boxes.output, { name: `${half} output`, data: output, rows: heads, cols: V, ramp: half, scale: scaleOf(app, "output", half), stamp: `${themeKey}${state.scale}${live.version}` });
  if (built(model, half)) headFrame(app, boxes.output);
  if (half === "position" && model.windowed) drawWindowFrame(ctx, palette, windowBox(model, boxes.weights, live.n), true);
}

function drawSum(app) {
  const { ctx, palette, model, live, layout, themeKey, state } = app, { V, heads } = model, box = layout.sum, middle = box.y + box.h / 2;
  const there = HALVES.filter((half) => built(model, half)), terms = there.flatMap((half, i) => [i ? "+ " : "= ", S("output", { tensor: half, sup: SCRIPT[half], sub: "n" })]);
  drawLabel(ctx, palette, { x: box.x, y: box.y - 9, runs: [S("output"), ...terms] });
  drawMatrix(app, box, { name: "sum", data: live.output, rows: heads, cols: V, ramp: "output", scale: scaleOf(app, "output", "sum"), stamp: `${themeKey}${state.scale}${live.version}` });
  headFrame(app, box);
  if (!layout.wide || layout.gap < 24) return;
  const { content, position } = layout;
  if (model.hasContent) arrow(ctx, palette.colour.content, content.output.x + content.output.w + 5, box.x - 6, middle);
  if (model.hasPosition) arrow(ctx, palette.colour.position, position.output.x - 5, box.x + box.w + 6, middle);
}

function arrow(ctx, colour, from, to, y) {
  const way = Math.sign(to - from);
  ctx.strokeStyle = ctx.fillStyle = colour;
  ctx.lineWidth = 2;
  ctx.beginPath();
  ctx.moveTo(from, y);
  ctx.lineTo(to - 6 * way, y);
  ctx.stroke();
  ctx.beginPath();
  ctx.moveTo(to, y);
  ctx.lineTo(to - 8 * way, y - 4.5);
  ctx.lineTo(to - 8 * way, y + 4.5);
  ctx.fill();
}

function headFrame({ ctx, palette, model, state }, box) {
  const h = box.h / model.heads;
  if (model.heads > 1) outline(ctx, { x: box.x, y: box.y + state.head * h, w: box.w - 1, h: h - 1 }, palette.colour.ink, 1.25, 0.75);
}

function drawMatrix({ ctx, palette, plates }, box, { name, data, rows, cols, ramp, scale, stamp }) {
  const w = box.w / cols, h = box.h / rows;
  ctx.imageSmoothingEnabled = false;
  ctx.drawImage(plates.fill(name, cols, rows, palette.map[ramp], data, 0, scale, stamp), box.x, box.y, box.w, box.h);
  // One clear pixel between cells where they are large enough.
  if (Math.min(w, h) >= 5) {
    for (let j = 1; j <= cols; j++) ctx.clearRect(box.x + j * w - 1, box.y, 1, box.h);
    for (let i = 1; i <= rows; i++) ctx.clearRect(box.x, box.y + i * h - 1, box.w, 1);
  }
}

// A map on the photo, which turns grey: weights multiplied in light, screened in dark.
function drawOnPhoto(app, box, { name, ramp, data, offset, scale, stamp }) {
  const { ctx, palette, plates, model, live, photoImage } = app, { W, H } = model;
  const map = plates.fill(name, W, H, ramp, data, offset, scale, stamp), at = cellBox(model, box, live.n);
  ctx.imageSmoothingEnabled = true;
  if (photoImage) ctx.drawImage(greyPhoto(plates, photoImage, 480, Math.round((480 * H) / W), palette.dark), box.x, box.y, box.w, box.h);
  else {
    ctx.fillStyle = palette.colour.zero;
    ctx.fillRect(box.x, box.y, box.w, box.h);
  }
  ctx.globalCompositeOperation = palette.dark ? "screen" : "multiply";
  ctx.imageSmoothingEnabled = false;
  ctx.drawImage(map, box.x, box.y, box.w, box.h);
  ctx.globalCompositeOperation = "source-over";
  outline(ctx, at, "#fff", 1, 1);
  outline(ctx, at, palette.colour.pixel, 1.5, 0);
}

// A position pointed at is framed on every map; a cell, in every matrix of its kind.
function drawHover({ ctx, palette, model, layout, state: { hover } }) {
  const frame = (box, rows, cols) => outline(ctx, { x: box.x + (hover.col * box.w) / cols, y: box.y + (hover.row * box.h) / rows, w: box.w / cols - 1, h: box.h / rows - 1 }, palette.colour.ink, 1.5, 0.75);
  for (const half of HALVES) {
    if (hover.position >= 0) for (const kind of ["weights", "share"]) frame(layout[half][kind], model.H, model.W);
    else if (hover.kind === "lambda") frame(layout[half].lambda, model.K, model.V);
    else frame(layout[half].output, model.heads, model.V);
  }
  if (hover.kind === "output" || hover.kind === "sum") frame(layout.sum, model.heads, model.V);
}

export function tipText({ model, live, state: { hover, head } }) {
  const { N, V } = model, both = (read) => HALVES.filter((half) => built(model, half)).map((half) => `${half} ${read(half)}`).join("   ");
  if (hover.kind === "photo" || (hover.half && !built(model, hover.half))) return "";
  if (hover.kind === "share") return both((half) => percentOf(live.share[half][hover.position]));
  if (hover.kind === "weights") return both((half) => sized(live.halves[half].weights[head * N + hover.position], 4));
  const cell = hover.row * V + hover.col;
  if (hover.kind === "lambda") return `k ${hover.row + 1}  v ${hover.col + 1}   ${both((half) => sized(live.halves[half].lambda[cell]))}`;
  return `head ${hover.row + 1}  v ${hover.col + 1}   ${both((half) => sized(live.halves[half].output[cell]))}   sum ${sized(live.output[cell])}`;
}
