// Every number, text and layout of one packed layer (argument 1), as JSON: what test_content_position.py compares.
import { readFileSync } from "node:fs";
import { readHeader, readTensors } from "./lambda_canvas/trace.js";
import { buildModel } from "./lambda_canvas/model.js";
import { HALVES, createHalves, createHalvesCheck } from "./halves_canvas/halves.js";
import { layoutHalves, hitHalves, nearestPosition } from "./halves_canvas/layout.js";
import { buildTasks } from "./halves_canvas/tasks.js";
import { tipText } from "./halves_canvas/draw.js";
import { checkHtml } from "./lambda_canvas/panels.js";
import * as words from "./halves_canvas/words.js";

const bytes = new Uint8Array(readFileSync(process.argv[2])), { header, start } = readHeader(bytes);
const tensors = readTensors(bytes, header, start), model = buildModel(header.layer, tensors), live = createHalves(model, tensors);
const pixels = [], texts = [], tips = [], boxes = [], misses = [], state = { head: model.heads - 1, scale: "own", hover: null, dragging: false }, app = { model, live, state };
live.move(0);
live.hold();
const content = [];
for (let n = 0; n < model.N; n++) {
  live.move(n);
  const half = (name) => ({ lambda: [...live.halves[name].lambda], output: [...live.halves[name].output], weights: [...live.halves[name].weights] });
  pixels.push({ content: half("content"), position: half("position"), output: [...live.output] });
  content.push(live.change("content"));
  texts.push(words.sharesHtml(app));
  for (const kind of ["share", "weights", "lambda", "output"]) tips.push(tipText({ ...app, state: { ...state, hover: { kind, row: 0, col: n % model.V, position: n } } }));
}
const tasks = buildTasks(model, live.share);
texts.push(words.headlineOf(model), words.aboutHtml(model, tasks), words.formulaHtml(model), words.kickHtml(model.layer), words.choices(app).scale);
for (const width of [340, 372, 560, 720, 980, 1152, 1440]) for (const room of [420, 620]) {
  const layout = layoutHalves(width, model, room), named = { photo: layout.photo, sum: layout.sum };
  for (const half of HALVES) for (const kind of ["lambda", "weights", "share", "output"]) named[`${half} ${kind}`] = layout[half][kind];
  for (const [name, { x, y, w, h }] of Object.entries(named)) {
    if (!(x >= 0 && x + w <= width + 1 && y >= 0 && y + h <= layout.height + 1 && w > 0 && h > 0)) boxes.push(`${width} ${name}: ${x},${y} ${w}x${h} in ${layout.height}`);
    for (const [other, b] of Object.entries(named)) if (other > name && x < b.x + b.w - 1 && b.x < x + w - 1 && y < b.y + b.h - 1 && b.y < y + h - 1) boxes.push(`${width}: ${name} lies on ${other}`);
  }
  const { photo } = layout;
  for (let n = 0; n < model.N; n++) {
    const x = photo.x + ((n % model.W) + 0.5) * (photo.w / model.W), y = photo.y + (Math.floor(n / model.W) + 0.5) * (photo.h / model.H);
    if (hitHalves(layout, model, x, y)?.position !== n || nearestPosition(layout, model, x, y) !== n) misses.push([width, n]);
  }
  if (nearestPosition(layout, model, -50, -50) !== 0 || nearestPosition(layout, model, 1e5, 1e5) !== model.N - 1) misses.push([width, "outside"]);
}
const css = Array(256).fill("#000"), palette = { map: { content: { css }, position: { css }, output: { css } } };
const legends = ["own", "one"].map((scale) => words.scalesHtml({ ...app, palette, state: { ...state, scale } }));
const check = createHalvesCheck(model, tensors);
while (!check.run(50));
legends.push(checkHtml(check.result));
const share = { content: [...live.share.content], position: [...live.share.position], whole: live.share.whole };
console.log(JSON.stringify({ pixels, texts, tips, legends, boxes, misses, share, content, scales: live.scales, tasks: tasks.map((task) => task.id), check: check.result }));
