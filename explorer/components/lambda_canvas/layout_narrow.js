// The views below 800 px: the photo at full width, then the same parts one under the other.
import { TOP, S, badge, tileFor, fitGrid, putStrip, putCell } from "./layout_parts.js";

const NARROW_RIGHT = { align: "right" };

function narrowPhoto(stage, size) {
  stage.put("photo", null, 0, TOP - 20, size.photoW, size.photoH);
  return TOP - 20 + size.photoH + 36;
}

export function overviewNarrow(stage, size, model) {
  const { K, V, W, heads, hasContent, hasPosition } = model, { width } = size;
  let y = narrowPhoto(stage, size);
  const columns = Math.ceil(Math.sqrt(K)), rows = Math.ceil(K / columns), px = Math.max(1, Math.floor((width * 0.62) / V));
  const gridW = width - V * px - 20, pitch = Math.floor((gridW + 3) / columns), tile = tileFor(pitch - 3, W), gridH = rows * pitch - 3;
  const py = Math.max(3, Math.floor(gridH / K)), x = width - V * px, inset = Math.round((gridH - K * py) / 2), middle = x + (V * px) / 2;
  const stripColumns = Math.min(V, 16), stripPitch = Math.floor((width + 3) / stripColumns), stripRows = Math.ceil(V / stripColumns);
  if (hasContent) stage.grid("keyMap", K, columns, 0, y, pitch, tile);
  stage.put("content_lambda", null, x, y + inset, V * px, K * py);
  stage.label("o:keys", 0, y - 10, [badge(3), S("keys"), "key maps"]);
  stage.label("o:content", x, y - 10, [badge(4), S("contentLambda"), hasContent ? "content" : "not here"]);
  if (hasContent) stage.link("o:flow1", "flow", { from: "keyMap", to: "content_lambda", tensor: "key" });
  y += gridH + 38;
  if (hasContent) stage.link("o:up", "rise", { x: middle, y0: y - 12, y1: y - 30, tensor: "value" });
  stage.grid("valueMap", V, stripColumns, 0, y, stripPitch, stripPitch - 3);
  stage.label("o:values", 0, y - 10, [badge(2), S("values"), "value maps"]);
  y += stripRows * stripPitch + 44;
  if (hasPosition) {
    stage.link("o:down", "rise", { x: middle, y0: y - 44, y1: y - 26, tensor: "value" });
    stage.grid("window", K, columns, 0, y, pitch, tile);
    stage.link("o:flow2", "flow", { from: "window", to: "position_lambda", tensor: "position" });
  }
  stage.put("position_lambda", null, x, y + inset, V * px, K * py);
  stage.label("o:kernels", 0, y - 10, [badge(5), S("kernels"), "kernels"]);
  stage.label("o:position", x, y - 10, [badge(5), S("positionLambda"), hasPosition ? "position" : "not here"]);
  y += gridH + 40;
  const qx = Math.max(4, Math.min(px, Math.floor((width - V * px - 12) / heads), 14));
  stage.put("lambda", null, 0, y, V * px, K * py);
  stage.put("query", null, V * px + 10, y, heads * qx, K * py);
  stage.put("output", null, 0, y + K * py + 8, V * px, heads * Math.max(5, py));
  stage.label("o:lambda", 0, y - 10, [badge(6), S("lambda"), hasContent && hasPosition ? "sum of the two" : "lambda"]);
  stage.label("o:query", V * px + 10, y - 10, [badge(2), S("query")]);
  stage.label("o:output", V * px + 12, y + K * py + 24, [badge(7), S("output"), "output"]);
  return y + K * py + 8 + heads * Math.max(5, py) + 14;
}

export function inputNarrow(stage, size, model) {
  const { channels, W } = model;
  let y = narrowPhoto(stage, size);
  stage.put("column", null, 0, y, size.width, 14);
  stage.label("1:column", 0, y - 10, [S("pixelInput"), `${channels} numbers`]);
  y += 50;
  const fit = fitGrid(channels, size.width, 420, 3, W, 48), pitch = fit.columns > 1 ? (size.width - fit.tile) / (fit.columns - 1) : 0;
  stage.grid("input", fit.count, fit.columns, 0, y, [pitch, fit.tile + 3], fit.tile);
  stage.label("1:input", 0, y - 10, [S("input"), fit.count < channels ? `the first ${fit.count} of ${channels} channels` : `${channels} channels`]);
  return y + fit.rows * (fit.tile + 3) + 8;
}

export function projectionsNarrow(stage, size, model) {
  const { K, V, heads, hasContent } = model, columns = 16, pitch = Math.floor((size.width + 3) / columns), tile = pitch - 3;
  let y = narrowPhoto(stage, size);
  const bands = [["queryMap", heads * K, "queries", heads > 1 ? `queries, ${heads} heads × ${K}` : `queries, ${K}`]];
  if (hasContent) bands.push(["score", K, "scores", `keys, ${K}`]);
  bands.push(["valueMap", V, "values", `values, ${V}`]);
  for (const [kind, count, symbol, text] of bands) {
    stage.grid(kind, count, columns, 0, y, pitch, tile);
    stage.label(`2:${kind}`, 0, y - 10, [S(symbol), text]);
    y += Math.ceil(count / columns) * pitch + 34;
  }
  return y - 24;
}

export function keysNarrow(stage, size, model) {
  const { K, hasContent, softmax } = model, columns = 8, pitch = Math.floor((size.width + 5) / columns), rows = Math.ceil(K / columns);
  let y = narrowPhoto(stage, size);
  if (!hasContent) {
    stage.label("absent", 0, y, "This layer does without.", { faint: true });
    return y + 16;
  }
  stage.grid("score", K, columns, 0, y, pitch, pitch - 5);
  stage.label("3:k", 0, y - 10, [S("scores"), "scores of either sign"]);
  y += rows * pitch + 36;
  stage.grid("keyMap", K, columns, 0, y, pitch, pitch - 5);
  stage.label("3:s", 0, y - 10, [S("keys"), softmax ? "weights, 1 in all for each map" : "weights"]);
  return y + rows * pitch + 8;
}

export function tableNarrow(stage, size, model, view) {
  const { K, V, N, rows, cols } = model, content = view === 4, exists = content ? model.hasContent : model.hasPosition;
  const thumb = 11, x = thumb + 5, px = Math.max(3, Math.floor((size.width - x) / V)), py = Math.max(size.py, 11), kind = content ? "keyMap" : "window";
  const stripRows = px >= 9 ? 1 : Math.ceil(10 / px), stripTile = stripRows * px - 1;
  let y = narrowPhoto(stage, size);
  putStrip(stage, model, x, y, px, stripRows, stripTile);
  stage.label(`${view}:row`, 0, y - 10, [S(content ? "keys" : "kernels"), "rows, ", S("values"), "columns"]);
  y += stripRows * (stripTile + 1) + 5;
  if (exists) for (let k = 0; k < K; k++) stage.put(kind, k, 0, y + k * py, thumb, Math.min(thumb, py - 1));
  stage.put(content ? "content_lambda" : "position_lambda", null, x, y, V * px, K * py);
  y += K * py + 23;
  stage.label(`${view}:t`, x, y, [S(content ? "contentLambda" : "positionLambda"), !exists ? "not in this layer" : content ? `one table for all ${N} pixels` : "one table for each pixel"]);
  if (content || !exists) return y + 12;
  const columns = Math.min(K, 8), pitch = Math.floor((size.width + 3) / columns), tile = tileFor(Math.min(48, pitch - 3), cols);
  y += 36;
  stage.grid("kernel", K, columns, 0, y, pitch, tile, { ratio: rows / cols });
  stage.label("5:e", 0, y - 10, [S("kernels"), `${K} kernels, ${rows} × ${cols} offsets`]);
  return y + Math.ceil(K / columns) * pitch + 6;
}

export function sumNarrow(stage, size, model) {
  const { K, V } = model, px = Math.max(1, Math.floor((size.width - 32) / (2 * V))), py = Math.max(px, 5), big = Math.max(2, Math.floor(size.width / V)), bigY = Math.max(big, 9);
  let y = narrowPhoto(stage, size);
  stage.put("content_lambda", null, 0, y, V * px, K * py);
  stage.put("position_lambda", null, size.width - V * px, y, V * px, K * py);
  stage.label("6:c", 0, y - 10, [S("contentLambda"), model.hasContent ? "content" : "none"]);
  stage.label("6:p", size.width - V * px, y - 10, [S("positionLambda"), model.hasPosition ? "position" : "none"]);
  stage.label("6:plus", size.width / 2, y + (K * py) / 2 + 8, "+", { align: "center", big: true });
  y += K * py + 42;
  stage.put("lambda", null, 0, y, V * big, K * bigY);
  stage.label("6:l", 0, y - 10, ["= ", S("lambda"), "lambda of this pixel"]);
  return y + K * bigY + 8;
}

export function applyNarrow(stage, size, model) {
  const { K, V, heads } = model, qx = size.qx, px = Math.max(2, Math.floor((size.width - 10 - heads * qx) / V)), py = size.py, y = narrowPhoto(stage, size);
  stage.put("lambda", null, 0, y, V * px, K * py);
  stage.put("query", null, V * px + 10, y, heads * qx, K * py);
  stage.put("output", null, 0, y + K * py + 10, V * px, heads * py);
  stage.label("7:l", 0, y - 10, S("lambda"));
  stage.label("7:q", V * px + 10 + heads * qx, y - 10, S("query"), NARROW_RIGHT);
  stage.label("7:y", V * px + 14, y + K * py + 10 + (heads * py) / 2 + 6, S("output"));
  return y + K * py + 10 + heads * py + 12;
}

export function attentionNarrow(stage, size, model) {
  const { heads } = model, gap = heads > 4 ? 4 : 8, columns = Math.min(heads, 4), tile = tileFor((size.width - (columns - 1) * gap) / columns, model.W);
  const pitch = columns > 1 ? (size.width - tile) / (columns - 1) : 0, rows = Math.ceil(heads / columns);
  let y = narrowPhoto(stage, size);
  const bands = [["content", ["content  ", S("query"), "· ", S("keys")]], ["position", ["+ position  ", S("query"), "· ", S("kernels")]], ["sum", ["= sum  ", S("weights")]]];
  const place = (h, height) => [(h % columns) * pitch, y + Math.floor(h / columns) * (height + gap)];
  for (const [part, runs] of bands) {
    for (let h = 0; h < heads; h++) stage.put("weights", h, ...place(h, tile), tile, tile, { part });
    stage.label(`8:${part}`, 0, y - 10, runs, { tensor: part === "sum" ? "lambda" : part });
    y += rows * (tile + gap) + 28;
  }
  for (let h = 0; h < heads; h++) stage.put("bars", h, ...place(h, 44), tile, 44);
  stage.label("8:y", 0, y - 10, ["× ", S("values"), "= ", S("output")]);
  return y + rows * (44 + gap) + 4;
}

export function cellNarrow(stage, size, model, cell) {
  const tile = tileFor((size.width - 32) / 2, model.W), right = size.width - tile, y = narrowPhoto(stage, size), low = y + tile + 40;
  putCell(stage, cell, [[0, y], [right, y], [0, low]], tile, { x: right, y: low, w: tile, h: tile });
  stage.label("c:times", size.width / 2, y + tile / 2 + 9, "×", { align: "center", big: true });
  stage.label("c:running", right, low - 10, "running sum");
  return low + tile + 16;
}
