// Paints the stage from the scene's present positions.
import { activeCell, photoWeights, sumsRows, tileData, perPosition } from "./view.js";
import { rampIndex, withAlpha } from "./colour.js";
import { greyPhoto } from "./plates.js";
import { cellBox, windowBox, outline, drawPixelRing, drawWindowFrame, drawDisc } from "./marks.js";
import { drawLink, overPhoto } from "./links.js";
import { drawLabel, TEXT } from "./lettering.js";
import { drawHighlights } from "./highlights.js";
import { drawAxisParts } from "./axis_marks.js";
import { litAxes } from "./axes.js";

export const BLEED = 8; // room beside the stage, so that frames at its edge stay whole
export const shownTerms = (state) => ({ count: state.cell ? 6 : 3, sorted: !!state.cell });

export function drawStage(app) {
  const { ctx, scene, width, dpr } = app;
  ctx.setTransform(dpr, 0, 0, dpr, BLEED * dpr, 0);
  ctx.clearRect(-BLEED, 0, width + 2 * BLEED, app.stageHeight);
  const links = [...scene.links.values()];
  for (const { spec, alpha } of links) {
    if (overPhoto(spec) && spec.type !== "beam") continue;
    ctx.globalAlpha = alpha;
    drawLink(app, spec, false);
  }
  for (const node of scene.inOrder()) {
    if (node.alpha < 0.01) continue;
    ctx.globalAlpha = node.alpha;
    drawNode(app, node);
    if (node.kind === "photo") drawLinksOverPhoto(app, links, node);
  }
  ctx.globalAlpha = 1;
  drawHighlights(app);
  for (const { spec, alpha } of scene.labels.values()) {
    ctx.globalAlpha = alpha;
    drawLabel(ctx, app.palette, spec);
  }
  ctx.globalAlpha = 1;
  drawAxisParts(app, litAxes(app));
}

function drawLinksOverPhoto(app, links, photo) {
  const { ctx } = app;
  for (const { spec, alpha } of links) {
    if (!overPhoto(spec)) continue;
    ctx.save();
    ctx.globalAlpha = alpha;
    if (spec.type === "beam") {
      ctx.beginPath();
      ctx.rect(photo.x, photo.y, photo.w, photo.h);
      ctx.clip();
    }
    drawLink(app, spec, true);
    ctx.restore();
  }
}

function drawNode(app, node) {
  const draw = { photo: drawPhoto, column: drawColumn, weights: drawWeights, bars: drawBars, kernel: drawKernel, running: drawRunningSum }[node.kind];
  if (draw) draw(app, node);
  else if (node.kind.startsWith("cell")) drawCellMap(app, node);
  else if (app.pixel.matrix[node.kind]) drawMatrix(app, node);
  else drawTile(app, node);
}

function drawPhoto(app, box) {
  const { ctx, palette, model, pixel, state, photoImage, plates } = app, { W, H } = model, { dark } = palette;
  const weights = photoWeights(model, pixel, state, shownTerms(state)), alpha = ctx.globalAlpha, cell = box.w / W;
  app.greyGoal = weights ? 1 : 0;
  ctx.imageSmoothingEnabled = true;
  if (photoImage) ctx.drawImage(photoImage, box.x, box.y, box.w, box.h);
  else {
    ctx.fillStyle = palette.colour.zero;
    ctx.fillRect(box.x, box.y, box.w, box.h);
  }
  if (weights) plates.fill("overlay", W, H, palette.photo[weights.ramp], weights.data, weights.offset, weights.scale, null);
  if (app.grey > 0) {
    ctx.globalAlpha = alpha * app.grey;
    drawOnGrey(app, box, plates.plate("overlay", W, H).canvas);
    ctx.globalAlpha = alpha;
  }
  const onGrey = app.grey > 0.5;
  if (cell >= 5) {
    ctx.fillStyle = onGrey ? (dark ? "rgba(0,0,0,.35)" : "rgba(255,255,255,.5)") : "rgba(255,255,255,.17)";
    for (let i = 1; i < W; i++) ctx.fillRect(Math.round(box.x + i * cell) - 0.5, box.y, 1, box.h);
    for (let i = 1; i < H; i++) ctx.fillRect(box.x, Math.round(box.y + (i * box.h) / H) - 0.5, box.w, 1);
  }
  const open = state.cell, framed = open ? open.kind !== "content_lambda" : state.step === 0 || state.step === 5 || (weights && weights.frame);
  if (framed && model.windowed && (open || (state.step !== 1 && state.step !== 2))) drawWindowFrame(ctx, palette, windowBox(model, box, pixel.n), onGrey);
  const whole = state.step === 0 ? model.hasContent && "content" : !open && (state.step === 4 && model.hasContent ? "content" : state.step === 5 && model.hasPosition && !model.windowed && "position");
  if (whole) outline(ctx, box, palette.colour[whole], 3, 2);
  const current = activeCell(model, state);
  if (current && !sumsRows(state, current)) drawTermDiscs(app, box, current);
  drawPixelRing(ctx, palette, cellBox(model, box, pixel.n), state.pinned);
  if (state.hover && state.hover.position >= 0 && state.hover.position !== pixel.n) {
    const hovered = cellBox(model, box, state.hover.position);
    outline(ctx, hovered, "#fff", 2, -2);
    outline(ctx, hovered, palette.colour.ink, 1, 0);
  }
}

function drawOnGrey(app, box, weights) {
  const { ctx, palette, plates, photoImage } = app;
  if (photoImage) ctx.drawImage(greyPhoto(plates, photoImage, 480, Math.round((480 * app.model.H) / app.model.W), palette.dark), box.x, box.y, box.w, box.h);
  ctx.globalCompositeOperation = palette.dark ? "screen" : "multiply";
  ctx.imageSmoothingEnabled = false;
  ctx.drawImage(weights, box.x, box.y, box.w, box.h);
  ctx.globalCompositeOperation = "source-over";
}

function drawTermDiscs(app, box, cell) {
  const { ctx, palette, model, pixel, state } = app, { count, sorted } = shownTerms(state), { first } = pixel.cellSum(cell, count, sorted);
  for (let i = first.length - 1; i >= 0; i--) {
    const at = cellBox(model, box, Math.floor(first[i] / model.U));
    drawDisc(ctx, palette, at.x + at.w / 2, at.y + at.h / 2, i + 1, Math.max(6.5, Math.min(9, at.w / 2.1)));
  }
}

function drawTile(app, node) {
  const { ctx, palette, model, pixel, plates, dpr } = app, tile = tileData(model, pixel, node.kind, node.index);
  if (!tile) return;
  const stamp = tile.moves ? `${app.themeKey}${pixel.version}` : app.themeKey;
  const canvas = plates.fill(node.id, model.W, model.H, palette.map[tile.ramp], tile.data, tile.offset, tile.scale, stamp);
  const scale = (node.w * dpr) / model.W;
  ctx.imageSmoothingEnabled = scale < 1.95 && Math.abs(scale - Math.round(scale)) > 0.02;
  ctx.imageSmoothingQuality = "high";
  ctx.drawImage(canvas, node.x, node.y, node.w, node.h);
  if (node.kind !== "input" || node.w < 12) return;
  const at = cellBox(model, node, pixel.n), side = Math.max(3, at.w + 2);
  ctx.strokeStyle = palette.colour.pixel;
  ctx.lineWidth = 1.2;
  ctx.strokeRect(at.x + at.w / 2 - side / 2, at.y + at.h / 2 - side / 2, side, side);
}

// A learned kernel; where it covers the whole map, the part that lies on the photo now is framed.
function drawKernel(app, node) {
  const { ctx, palette, model, pixel, plates, themeKey } = app, { rows, cols, H, W, halfRows, halfCols } = model;
  const canvas = plates.fill(node.id, cols, rows, palette.map.position, model.kernelMaps, node.index * rows * cols, model.scales.kernel, themeKey);
  ctx.imageSmoothingEnabled = node.w < 2 * cols && node.w % cols !== 0;
  ctx.drawImage(canvas, node.x, node.y, node.w, node.h);
  if (model.windowed) return;
  const unit = node.w / cols, row = Math.floor(pixel.n / W), col = pixel.n % W;
  const crop = { x: node.x + (halfCols - col) * unit, y: node.y + (halfRows - row) * unit, w: W * unit, h: H * unit };
  outline(ctx, crop, palette.colour.page, 3, -2);
  outline(ctx, crop, palette.colour.ink, 1.25, -1);
}

function drawMatrix(app, node) {
  const { ctx, palette, pixel, plates } = app, { data, rows, cols, tensor, scale, transposed } = pixel.matrix[node.kind]();
  const stamp = node.kind === "content_lambda" ? app.themeKey : `${app.themeKey}${pixel.version}`;
  const [w, h] = transposed ? [rows, cols] : [cols, rows];
  const canvas = plates.fill(node.kind, w, h, palette.map[tensor], data, 0, scale, stamp);
  ctx.imageSmoothingEnabled = false;
  if (!transposed) ctx.drawImage(canvas, node.x, node.y, node.w, node.h);
  else drawTransposed(ctx, palette.map[tensor].css, data, rows, cols, scale, node);
  clearGaps(ctx, node, node.w / cols, node.h / rows, rows, cols);
}

function drawTransposed(ctx, css, data, rows, cols, scale, node) {
  const w = node.w / cols, h = node.h / rows;
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) {
    ctx.fillStyle = css[rampIndex(data[j * rows + i], 1 / scale)];
    ctx.fillRect(node.x + j * w, node.y + i * h, w, h);
  }
}

// One clear pixel between cells, from pitch 6 up.
function clearGaps(ctx, node, w, h, rows, cols) {
  if (Math.min(w, h) < 6) return;
  for (let i = 1; i <= cols; i++) ctx.clearRect(node.x + i * w - 1, node.y, 1, node.h);
  for (let i = 1; i <= rows; i++) ctx.clearRect(node.x, node.y + i * h - 1, node.w, 1);
}

function drawColumn({ ctx, palette, pixel, model }, node) {
  const column = pixel.inputColumn(), upright = node.h > node.w, length = (upright ? node.h : node.w) / model.channels, { css } = palette.map.input;
  for (let i = 0; i < model.channels; i++) {
    ctx.fillStyle = css[rampIndex(column[i], 1)];
    if (upright) ctx.fillRect(node.x, node.y + i * length, node.w, length + 0.3);
    else ctx.fillRect(node.x + i * length, node.y, length + 0.3, node.h);
  }
}

function drawWeights(app, node) {
  const { ctx, palette, model, pixel, plates, state } = app, { N, W, H, scales } = model;
  const ramp = { content: "content", position: "position", sum: "lambda" }[node.part], scale = node.part === "content" ? scales.contentWeight : scales.weight;
  const canvas = plates.fill(node.id, W, H, palette.photo[ramp], pixel.impliedWeights()[node.part], node.index * N, scale, `${app.themeKey}${pixel.version}`);
  drawOnGrey(app, node, canvas);
  const at = cellBox(model, node, pixel.n);
  outline(ctx, at, "#fff", 1, 1);
  outline(ctx, at, palette.colour.pixel, 1.5, 0);
  if (node.index === state.head && node.part === "sum") outline(ctx, node, palette.colour.ink, 1.5, 2);
}

function drawBars({ ctx, palette, pixel, model }, node) {
  const { data } = pixel.matrix.output(), { V } = model, w = node.w / V, middle = node.y + node.h / 2;
  let most = 1e-9;
  for (const y of data) most = Math.max(most, Math.abs(y));
  ctx.fillStyle = palette.colour["line-strong"];
  ctx.fillRect(node.x, middle - 0.5, node.w, 1);
  for (let v = 0; v < V; v++) {
    const y = data[node.index * V + v], height = (Math.abs(y) / most) * (node.h / 2);
    ctx.fillStyle = y < 0 ? palette.colour.minus : palette.colour.output;
    ctx.fillRect(node.x + v * w, y < 0 ? middle : middle - height, w > 2 ? w - 1 : w, height);
  }
}

function drawCellMap(app, node) {
  const { ctx, palette, model, pixel, state, plates, themeKey } = app, cell = state.cell;
  if (!cell) return;
  const { count, sorted } = shownTerms(state), terms = pixel.cellSum(cell, count, sorted), { W, H, N } = model;
  const tensor = { content_lambda: "content", position_lambda: "position", lambda: "lambda", output: "output" }[cell.kind];
  let shown;
  if (node.kind === "cellValues") shown = tileData(model, pixel, "valueMap", cell.value);
  else if (node.kind === "cellWeights") shown = photoWeights(model, pixel, { ...state, hover: null }, { count, sorted });
  else shown = { data: perPosition(model, terms.product), offset: 0, scale: Math.abs(terms.product[terms.first[Math.min(2, terms.first.length - 1)]]) || 1e-9, ramp: tensor };
  const canvas = plates.fill(node.kind, W, H, palette.map[shown.ramp], shown.data, shown.offset, shown.scale, node.kind === "cellValues" ? `${themeKey}${cell.value}` : null);
  ctx.imageSmoothingEnabled = false;
  ctx.drawImage(canvas, node.x, node.y, node.w, node.h);
  clearGaps(ctx, node, node.w / W, node.h / H, H, W);
  if (node.kind === "cellProducts") drawTermDiscs(app, node, cell);
  outline(ctx, cellBox(model, node, pixel.n), palette.colour.pixel, 2, 0);
  if (state.hover && state.hover.position >= 0 && state.hover.position < N) outline(ctx, cellBox(model, node, state.hover.position), palette.colour.ink, 2, 0);
}

// The sum as a line, largest products first; the horizontal scale favours the first terms.
function drawRunningSum({ ctx, palette, pixel, state }, node) {
  const cell = state.cell;
  if (!cell || node.h < 30) return;
  const terms = pixel.cellSum(cell, 6, true), { order, product, constant, first } = terms, size = order.length;
  const tensor = { content_lambda: "content", position_lambda: "position", lambda: "lambda", output: "output" }[cell.kind];
  let low = Math.min(0, constant), high = Math.max(0, constant), total = constant;
  for (let i = 0; i < size; i++) {
    total += product[order[i]];
    low = Math.min(low, total);
    high = Math.max(high, total);
  }
  const width = node.w - 64, X = (i) => node.x + Math.sqrt(i / size) * width, Y = (s) => node.y + node.h - 6 - ((s - low) / (high - low || 1)) * (node.h - 20);
  const zero = Y(0);
  const line = () => {
    let sum = constant;
    ctx.beginPath();
    ctx.moveTo(X(0), zero);
    for (let i = 0; i < size; i++) {
      sum += product[order[i]];
      ctx.lineTo(X(i), Y(sum));
      ctx.lineTo(X(i + 1), Y(sum));
    }
  };
  ctx.fillStyle = palette.colour["line-strong"];
  ctx.fillRect(node.x, zero - 0.5, width, 1);
  line();
  ctx.lineTo(X(size), zero);
  ctx.closePath();
  ctx.fillStyle = withAlpha(palette.colour[tensor], palette.dark ? 0.26 : 0.14);
  ctx.fill();
  line();
  ctx.strokeStyle = palette.colour[tensor];
  ctx.lineWidth = 2;
  ctx.lineJoin = "round";
  ctx.stroke();
  ctx.font = `600 12px ${TEXT}`;
  ctx.textAlign = "center";
  ctx.fillStyle = palette.colour["ink-soft"];
  let before = constant;
  for (let i = 0; i < first.length && X(i + 1) - X(i) > 7; i++) {
    const after = before + product[order[i]], above = Y(Math.max(before, after)) - 6;
    ctx.fillText(i + 1, (X(i) + X(i + 1)) / 2, above > node.y - 2 ? above : Y(Math.min(before, after)) + 15);
    before = after;
  }
  drawRunningText(ctx, palette, tensor, X(size) + 10, Math.max(node.y + 8, Y(total)), terms.total);
}

function drawRunningText(ctx, palette, tensor, x, y, total) {
  ctx.font = `600 15px ${TEXT}`;
  ctx.textAlign = "left";
  ctx.fillStyle = palette.text[tensor];
  ctx.fillText((total < 0 ? "−" : "") + Math.abs(total).toFixed(3), x, y + 5);
}
