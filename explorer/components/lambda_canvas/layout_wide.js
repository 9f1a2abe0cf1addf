// The views at 800 px and more: photo at the left, its table at the right.
import { TOP, S, badge, tileFor, fitGrid, putStrip, putCell } from "./layout_parts.js";

const RIGHT = { align: "right" }, FAINT_RIGHT = { align: "right", faint: true }, FAINT = { faint: true };

function widePhoto(stage, size) {
  stage.put("photo", null, 0, TOP, size.photoW, size.photoH);
  return TOP + size.photoH;
}

// Two lanes, content above and position below, into one sum; the values between them feed both.
export function overviewWide(stage, size, model) {
  const { K, V, H, W, heads, hasContent, hasPosition } = model, { width } = size, bottom = widePhoto(stage, size);
  const lane = Math.floor((size.photoH - 104) / 2), rows = Math.min(K, Math.ceil(Math.sqrt(K))), columns = Math.ceil(K / rows);
  const pitch = Math.floor((lane + 4) / rows), tile = tileFor(pitch - 4, W), gridW = columns * pitch - (pitch - tile), gridH = rows * pitch - (pitch - tile);
  const py = Math.max(3, Math.min(14, Math.floor((gridH - 8) / K))), qx = Math.max(4, Math.min(py, 8));
  const left = width - size.photoW - gridW - 96 - heads * qx, px = Math.max(1, Math.min(V < 16 ? 18 : 12, Math.floor(left / (2 * V))));
  const extra = Math.max(0, Math.min(150, left - 2 * V * px)), toGrid = 28 + Math.floor(extra * 0.45), toTable = 22 + Math.floor(extra * 0.15), toSum = 38 + Math.floor(extra * 0.4);
  const gridX = size.photoW + toGrid, tableX = gridX + gridW + toTable, sumX = tableX + V * px + toSum;
  const tableW = V * px, tableH = K * py, inset = Math.round((gridH - tableH) / 2), low = bottom - gridH;
  if (hasContent) stage.grid("keyMap", K, columns, gridX, TOP, pitch, tile);
  if (hasPosition) stage.grid("window", K, columns, gridX, low, pitch, tile);
  stage.put("content_lambda", null, tableX, TOP + inset, tableW, tableH);
  stage.put("position_lambda", null, tableX, low + inset, tableW, tableH);
  const stripW = tableX + tableW - gridX, between = low - TOP - gridH, stripRows = V <= 16 ? 1 : V <= 64 ? 2 : 3, perRow = Math.ceil(V / stripRows);
  const stripPitch = Math.min(Math.floor((stripW + 3) / perRow), Math.floor((between - 44) / stripRows)), stripTile = stripPitch - 3;
  const stripY = TOP + gridH + 34 + Math.max(0, Math.floor((between - 44 - stripRows * stripPitch) / 2)), spread = (stripW - stripTile) / Math.max(1, perRow - 1);
  for (let v = 0; v < V; v++) stage.put("valueMap", v, gridX + (v % perRow) * spread, stripY + Math.floor(v / perRow) * stripPitch, stripTile, stripTile);
  const stripEnd = stripY + stripRows * stripPitch, middle = tableX + tableW / 2;
  const sumY = TOP + Math.round((size.photoH - tableH) / 2) - 20, outY = sumY + tableH + 8, outH = heads * Math.max(py, 5);
  stage.put("lambda", null, sumX, sumY, tableW, tableH);
  stage.put("query", null, sumX + tableW + 8, sumY, heads * qx, tableH);
  stage.put("output", null, sumX, outY, tableW, outH);

  const roomy = tableW >= 225, brief = tableW < 190, toWire = tableW + 8 + (heads * qx) / 2; // no word under the query's wire
  stage.label("o:keys", gridX, TOP - 10, [badge(3), S("keys"), !hasContent ? "none" : gridW + toTable > 110 ? "key maps" : ""]);
  stage.label("o:content", tableX, TOP - 10, [badge(4), S("contentLambda"), brief ? "" : "content"]);
  stage.label("o:same", tableX + tableW, TOP - 10, hasContent ? (roomy ? "the same for every pixel" : "shared") : "not in this layer", FAINT_RIGHT);
  stage.label("o:kernels", gridX, bottom + 22, [badge(5), S("kernels"), ...(!hasPosition ? ["none"] : gridW > 124 ? ["kernels at ", S("pixel")] : gridW + toTable > 110 ? ["kernels"] : [])]);
  stage.label("o:position", tableX, bottom + 22, [badge(5), S("positionLambda"), brief ? "" : "position"]);
  stage.label("o:moves", tableX + tableW, bottom + 22, hasPosition ? (roomy ? "moves with the pixel" : "moves") : "not in this layer", FAINT_RIGHT);
  stage.label("o:values", gridX, stripY - 10, [badge(2), S("values"), "value maps"]);
  stage.label("o:size", gridX + stripW, stripY - 10, `${V} × ${H} × ${W}`, FAINT_RIGHT);
  stage.label("o:lambda", sumX, sumY - 10, [badge(6), S("lambda"), hasContent && hasPosition ? "sum" : "lambda"]);
  stage.label("o:query", sumX + tableW + 8 + heads * qx, sumY - 10, [badge(2), S("query")], RIGHT);
  stage.label("o:output", sumX, outY + outH + 24, [badge(7), S("output"), toWire > 176 ? "output of this pixel" : toWire > 100 ? "output" : ""]);

  if (hasContent) {
    stage.link("o:seen", "beam", { from: "photo", to: "keyMap", tensor: "content", soft: true });
    stage.link("o:flow1", "flow", { from: "keyMap", to: "content_lambda", tensor: "key" });
    stage.link("o:up", "rise", { x: middle, y0: stripY - 24, y1: TOP + inset + tableH + 5, tensor: "value" });
  }
  if (hasPosition) {
    stage.link("o:near", "beam", { from: "frame", to: "window", tensor: "position", soft: true });
    stage.link("o:flow2", "flow", { from: "window", to: "position_lambda", tensor: "position" });
    stage.link("o:down", "rise", { x: middle, y0: stripEnd + 2, y1: low + inset - 5, tensor: "value" });
  }
  stage.link("o:merge", "merge", { parts: [hasContent && "content_lambda", hasPosition && "position_lambda"], to: "lambda" });
  stage.link("o:wire", "wire", { to: "query", lane: bottom + 35 });
  return bottom + 44;
}

export function inputWide(stage, size, model) {
  const { channels, H, W } = model, bottom = widePhoto(stage, size), columnX = size.photoW + size.gap - 28;
  const x = columnX + 46, fit = fitGrid(channels, size.width - x, size.photoH, 4, W);
  const spreadX = fit.columns > 1 ? (size.width - x - fit.tile) / (fit.columns - 1) : 0, spreadY = fit.rows > 1 ? (size.photoH - fit.tile) / (fit.rows - 1) : 0;
  const pitchX = Math.min(spreadX, fit.tile * 1.6), pitchY = Math.min(spreadY, fit.tile * 1.6);
  for (let i = 0; i < fit.count; i++) stage.put("input", i, x + (i % fit.columns) * pitchX, TOP + Math.floor(i / fit.columns) * pitchY, fit.tile, fit.tile);
  stage.put("column", null, columnX, TOP, 18, size.photoH);
  const shown = fit.count < channels ? `the first ${fit.count} of ${channels} channels` : `${channels} channels of ${H} × ${W}`;
  stage.label("1:input", x, TOP - 10, [S("input"), shown]);
  stage.label("1:column", columnX + 18, TOP - 10, [S("pixelInput")], RIGHT);
  stage.label("1:length", columnX + 18, bottom + 20, `${channels} numbers`, FAINT_RIGHT);
  stage.link("1:fan", "fan", { to: "column" });
  return bottom + 30;
}

export function projectionsWide(stage, size, model) {
  const { K, V, W, heads, hasContent } = model, bottom = widePhoto(stage, size), x = size.photoW + 158;
  const columns = Math.max(16, Math.min(K, 32)), room = size.width - x, keyRows = hasContent ? Math.ceil(K / columns) : 0, valueRows = Math.ceil(V / columns);
  const rows = heads + keyRows + valueRows, bands = hasContent ? 2 : 1;
  let pitchX = Math.floor((room + 6) / columns), pitchY = Math.floor((size.photoH - bands * 34 + 4) / rows);
  const tile = tileFor(Math.min(pitchX, pitchY) - 3, W);
  pitchX = Math.min(pitchX, tile + Math.max(8, tile / 4));
  pitchY = Math.min(pitchY, tile + 8);
  const gap = (size.photoH - rows * pitchY + (pitchY - tile)) / bands, space = pitchY - tile;
  const end = x + Math.min(columns, Math.max(K, Math.min(V, columns))) * pitchX - (pitchX - tile);
  const keyY = TOP + heads * pitchY + gap, valueY = hasContent ? keyY + keyRows * pitchY + gap : keyY;
  for (let i = 0; i < heads * K; i++) stage.put("queryMap", i, x + (i % K) * pitchX, TOP + Math.floor(i / K) * pitchY, tile, tile);
  if (hasContent) stage.grid("score", K, columns, x, keyY, [pitchX, pitchY], tile);
  stage.grid("valueMap", V, columns, x, valueY, [pitchX, pitchY], tile);
  stage.label("2:q", x, TOP - 10, [S("queries"), "queries"]);
  stage.label("2:qs", end, TOP - 10, heads > 1 ? `${heads} heads × ${K} maps` : `${K} maps`, FAINT_RIGHT);
  if (heads > 1) for (let h = 0; h < heads; h++) stage.label(`2:h${h}`, x - 12, TOP + h * pitchY + tile / 2 + 5, `head ${h + 1}`, FAINT_RIGHT);
  if (hasContent) {
    stage.label("2:k", x, keyY - 10, [S("scores"), "keys"]);
    stage.label("2:ks", end, keyY - 10, `${K} maps`, FAINT_RIGHT);
  }
  stage.label("2:v", x, valueY - 10, [S("values"), "values"]);
  stage.label("2:vs", end, valueY - 10, `${V} maps`, FAINT_RIGHT);
  const targets = [["query", TOP + (heads * pitchY - space) / 2, heads > 1 ? x - 64 : x - 14]];
  if (hasContent) targets.push(["key", keyY + (keyRows * pitchY - space) / 2, x - 14]);
  targets.push(["value", valueY + (valueRows * pitchY - space) / 2, x - 14]);
  targets.forEach(([tensor, y, to], i) => stage.link(`2:r${tensor}`, "route", { tensor, y: Math.round(y), to, lane: i, lanes: targets.length }));
  return bottom + 30;
}

export function keysWide(stage, size, model) {
  const { K, N, W, hasContent, softmax, layer } = model, bottom = widePhoto(stage, size), x0 = size.photoW + 72;
  if (!hasContent) return absent(stage, size, x0, bottom);
  const half = Math.floor((size.photoH - 62) / 2), fit = fitGrid(K, size.width - x0, half, 12, W, 128);
  const pitchX = fit.columns > 1 ? Math.min(fit.tile + 18, (size.width - x0 - fit.tile) / (fit.columns - 1)) : 0, pitchY = fit.tile + 12;
  const width = (fit.columns - 1) * pitchX + fit.tile, height = fit.rows * pitchY - 12;
  const x = Math.round(x0 + (size.width - x0 - width) / 2), low = bottom - height, middle = x + width / 2;
  stage.grid("score", K, fit.columns, x, TOP, [pitchX, pitchY], fit.tile);
  stage.grid("keyMap", K, fit.columns, x, low, [pitchX, pitchY], fit.tile);
  const how = { l2: `divided by their length over ${N} positions`, none: "unchanged" }[layer.key_norm] || `softmax over ${N} positions`;
  stage.label("3:k", x, TOP - 10, [S("scores"), "scores of either sign"]);
  stage.label("3:s", x, low - 10, [S("keys"), softmax ? "weights, 1 in all for each map" : layer.key_norm === "l2" ? "weights, length 1 for each map" : "weights"]);
  stage.label("3:how", x + width, low - 10, how, FAINT_RIGHT);
  stage.link("3:down", "rise", { x: middle, y0: TOP + height + 8, y1: low - 8, tensor: "key" });
  return bottom + 30;
}

function absent(stage, size, x, bottom) {
  stage.label("absent", x, TOP + size.photoH / 2, "This layer does without.", FAINT);
  return bottom + 30;
}

// Rows × columns = table: key maps in step 4, kernels in step 5; the table keeps its place.
export function tableWide(stage, size, model, view) {
  const { K, V, N, rows, cols } = model, { px, py, thumb, tableX: x, tableY: y } = size, bottom = widePhoto(stage, size);
  const content = view === 4, exists = content ? model.hasContent : model.hasPosition, end = y + K * py, right = x + V * px;
  putStrip(stage, model, x, TOP, px, size.stripRows, size.stripTile);
  const rowKind = content ? "keyMap" : "window";
  if (exists) for (let k = 0; k < K; k++) stage.put(rowKind, k, x - thumb - 10, y + k * py + (py - thumb) / 2, thumb, thumb);
  stage.put(content ? "content_lambda" : "position_lambda", null, x, y, V * px, K * py);
  stage.label("4:v", x, TOP - 10, [S("values"), "value maps"]);
  stage.label("4:vs", right, TOP - 10, `v = 1 … ${V}`, FAINT_RIGHT);
  stage.label("4:k1", right + 12, y + py / 2 + 5, "k = 1", FAINT);
  if (K > 2) stage.label("4:kn", right + 12, end - py / 2 + 5, `k = ${K}`, FAINT);
  stage.label(`${view}:row`, x - 10, TOP - 10, S(content ? "keys" : "kernels"), RIGHT);
  stage.label(`${view}:t`, x, end + 23, [S(content ? "contentLambda" : "positionLambda"), `${K} × ${V}`]);
  stage.label(`${view}:ts`, right, end + 23, !exists ? "not in this layer" : content ? `one table for all ${N} pixels` : "one table for each pixel", FAINT_RIGHT);
  if (exists) stage.link(`${view}:beam`, "beam", { from: content || !model.windowed ? "photo" : "frame", to: rowKind, tensor: content ? "content" : "position" });
  if (content || !exists) return Math.max(bottom, end + 12) + 30;
  const sheetY = end + 62, pitch = Math.min(Math.floor((right - x + 4) / K), 44), tile = tileFor(pitch - 3, cols);
  for (let k = 0; k < K; k++) stage.put("kernel", k, x + k * pitch, sheetY, tile, Math.round((tile * rows) / cols));
  stage.label("5:e", x, sheetY - 10, [S("kernels"), `${K} learned kernels`]);
  stage.label("5:es", right, sheetY - 10, model.windowed ? `${rows} × ${cols} offsets` : `${rows} × ${cols} offsets, the part in use framed`, FAINT_RIGHT);
  return Math.max(bottom + 30, sheetY + (tile * rows) / cols + 12);
}

export function sumWide(stage, size, model) {
  const { K, V, hasContent, hasPosition } = model, bottom = widePhoto(stage, size), x = size.photoW + 48;
  const py = Math.max(2, Math.min(size.py, Math.floor((size.photoH - 84) / (2 * K)))), space = size.width - x - 64;
  const px = Math.max(2, Math.min(V < 16 ? 20 : 8, Math.floor((space * 0.32) / V))), big = Math.max(px, Math.min(size.px, Math.floor((space - V * px) / V)));
  const w = V * px, h = K * py, bigY = Math.min(size.py, Math.max(py, Math.floor((size.photoH - 40) / K)));
  const y = TOP + Math.round((size.photoH - 2 * h - 72) / 2) + 6, low = y + h + 72, sumX = x + w + 64, sumY = TOP + Math.round((size.photoH - K * bigY) / 2) + 6;
  stage.put("content_lambda", null, x, y, w, h);
  stage.put("position_lambda", null, x, low, w, h);
  stage.put("lambda", null, sumX, sumY, V * big, K * bigY);
  const stripRows = big >= 13 ? 1 : Math.ceil(13 / big), stripTile = stripRows === 1 ? tileFor(big - 1, model.W) : stripRows * big - 1;
  const stripY = sumY - 8 - stripRows * (stripTile + 1);
  if (stripY > TOP + 4) {
    putStrip(stage, model, sumX, stripY, big, stripRows, stripTile);
    stage.label("6:v", sumX, stripY - 8, [S("values"), "value maps"]);
  }
  const wide = w >= 230;
  stage.label("6:c", x, y - 10, [S("contentLambda"), "content"]);
  stage.label("6:cs", x + w, y - 10, hasContent ? (wide ? "the same for every pixel" : "shared") : "none", FAINT_RIGHT);
  stage.label("6:p", x, low + h + 23, [S("positionLambda"), "position"]);
  stage.label("6:ps", x + w, low + h + 23, hasPosition ? (wide ? "moves with the pixel" : "moves") : "none", FAINT_RIGHT);
  stage.label("6:l", sumX, sumY + K * bigY + 23, [S("lambda"), "lambda of this pixel"]);
  stage.label("6:ls", sumX + V * big, sumY + K * bigY + 23, `${K} × ${V}`, FAINT_RIGHT);
  stage.label("6:plus", x + w / 2, y + h + 45, "+", { align: "center", big: true });
  stage.label("6:is", x + w + 32, sumY + (K * bigY) / 2 + 9, "=", { align: "center", big: true });
  return bottom + 30;
}

export function applyWide(stage, size, model) {
  const { K, V, heads, hasContent, hasPosition } = model, { px, py, qx, tableX: x, tableY: y } = size, bottom = widePhoto(stage, size);
  const right = x + V * px, queryX = right + 14, outY = y + K * py + 12, middle = size.photoW + (x - size.photoW) / 2 - 14;
  putStrip(stage, model, x, TOP, px, size.stripRows, size.stripTile);
  stage.put("lambda", null, x, y, V * px, K * py);
  stage.put("query", null, queryX, y, heads * qx, K * py);
  stage.put("output", null, x, outY, V * px, heads * py);
  stage.label("7:v", x - 10, TOP + size.strip - 3, S("values"), RIGHT);
  stage.label("7:l", x - 12, y + (K * py) / 2 - 12, S("lambda"), RIGHT);
  stage.label("7:q", queryX, y - 10, S("query"));
  if (heads * qx >= 72) stage.label("7:qs", queryX + heads * qx, y - 10, `${heads} heads`, FAINT_RIGHT);
  if (py >= 14) for (let h = 0; h < heads; h++) stage.label(`7:h${h}`, x - 12, outY + h * py + py / 2 + 5, `head ${h + 1}`, FAINT_RIGHT);
  stage.label("7:y", queryX, outY + (heads * py) / 2 + 6, S("output"));
  if (hasContent) stage.label("7:c", middle, TOP + size.photoH / 4 - 9, S("contentLambda"), RIGHT);
  if (hasPosition) stage.label("7:p", middle, TOP + size.photoH * 0.75 - 10, S("positionLambda"), RIGHT);
  stage.link("7:merge", "merge", { parts: [hasContent && "top", hasPosition && "bottom"], to: "lambda" });
  stage.link("7:wire", "wire", { to: "query", lane: 8, over: true });
  return Math.max(bottom, outY + heads * py) + 30;
}

export function attentionWide(stage, size, model) {
  const { heads, W } = model, bottom = widePhoto(stage, size), gap = 12, bars = 40;
  const tile = Math.min(tileFor((size.photoH - 2 * gap) / 3, W), tileFor((size.width - size.photoW - 130) / heads - 10, W));
  const pitch = Math.min(tile + 28, Math.floor((size.width - size.photoW - 130) / heads));
  const left = size.photoW + 118, x = Math.round(left + (size.width - left - heads * pitch + pitch - tile) / 2);
  const rows = [["content", ["content"], [S("query"), " · ", S("keys")]], ["position", ["+ position"], [S("query"), " · ", S("kernels")]], ["sum", ["= sum"], [S("weights")]]];
  rows.forEach(([part, name, formula], i) => {
    const y = TOP + i * (tile + gap);
    for (let h = 0; h < heads; h++) stage.put("weights", h, x + h * pitch, y, tile, tile, { part });
    stage.label(`8:${part}`, x - 22, y + tile / 2 - 4, name, { align: "right", tensor: part === "sum" ? "lambda" : part, bold: true });
    stage.label(`8:f${part}`, x - 22, y + tile / 2 + 17, formula, RIGHT);
  });
  const y = TOP + 3 * (tile + gap) - 4;
  for (let h = 0; h < heads; h++) {
    stage.put("bars", h, x + h * pitch, y, tile, bars);
    stage.label(`8:h${h}`, x + h * pitch, TOP - 10, tile > 44 ? `head ${h + 1}` : `${h + 1}`, FAINT);
  }
  stage.label("8:v", x - 22, y + bars / 2 - 5, ["× ", S("values")], RIGHT);
  stage.label("8:y", x - 22, y + bars / 2 + 17, ["= ", S("output")], RIGHT);
  return Math.max(bottom + 30, y + bars + 12);
}

// One number opened: weights × value map = products, and the sum as it grows.
export function cellWide(stage, size, model, cell) {
  const bottom = widePhoto(stage, size), x = size.photoW + 48, room = size.width - x;
  const tile = Math.min(tileFor((room - 96) / 3, model.W), tileFor(size.photoH - 130, model.W)), gap = Math.min(72, Math.floor((room - 3 * tile) / 2));
  putCell(stage, cell, [[x, TOP], [x + tile + gap, TOP], [x + 2 * (tile + gap), TOP]], tile, { x, y: TOP + tile + 66, w: 3 * tile + 2 * gap, h: size.photoH - tile - 66 });
  stage.label("c:times", x + tile + gap / 2, TOP + tile / 2 + 9, "×", { align: "center", big: true });
  stage.label("c:equals", x + 2 * tile + 1.5 * gap, TOP + tile / 2 + 9, "=", { align: "center", big: true });
  stage.label("c:running", x, TOP + tile + 54, "The sum as it grows, largest products first");
  return bottom + 30;
}
