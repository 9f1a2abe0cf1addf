// What the browser computes of one packed layer (argument 1) for every pixel and scope, as JSON: see test_scope.py.
import { readFileSync } from "node:fs";
import { readHeader, readTensors } from "../lambda_canvas/trace.js";
import { buildModel } from "../lambda_canvas/model.js";
import { windowWeights, outputsByScope, changeByScope, shareInside, windowSpan, ownScope, largestScope, nearestScope } from "./reach.js";
import { frameOf, handlesOf, gripAt, scopeAt, positionAt, positionsIn } from "./frame.js";
import { layoutScope } from "./layout.js";
import { headlineOf, paragraphs, mathOf, sideOf, answersOf, taskList } from "./words.js";
import { buildScopeTasks } from "./tasks.js";

const bytes = new Uint8Array(readFileSync(process.argv[2])), { header, start } = readHeader(bytes), [length, padded] = header.trace;
const inner = bytes.slice(start, start + length), trace = readHeader(inner), measured = readTensors(bytes, header, start + padded);
const model = buildModel(trace.header.layer, readTensors(inner, trace.header, trace.start)), { H, W, N, heads } = model;
const own = ownScope(model), largestR = largestScope(model), weights = {}, outputs = [], changes = [], shares = [], wrong = [], texts = [];
for (let r = 1; r <= largestR; r += 2) weights[r] = Array.from({ length: N }, (_, n) => [...windowWeights(model, n, r, new Float32Array(heads * N))]);
const map = { data: Float32Array.from({ length: 4 * N }, (_, i) => 1 + (i % 7)), shape: [2 * H, 2 * W] }, box = { x: 0, y: 0, w: 30 * W, h: 30 * H };
for (let n = 0; n < N; n++) {
  const all = outputsByScope(model, n);
  outputs.push([...all]);
  changes.push([...changeByScope(model, all)]);
  for (let r = 3; r <= largestR; r += 2) {
    shares.push([n, r, shareInside(model, map, n, r).share, positionsIn(model, n, r), windowSpan(model, n, r)]);
    // A pointer on an open side of the frame asks for the r that is drawn.
    const frame = frameOf(model, box, n, r >> 1), handles = handlesOf(frame);
    if (!handles.length) wrong.push(`no handle at ${n}, ${r}`);
    const covers = frame.w >= box.w && frame.h >= box.h;
    for (const [x, y] of handles) if (!covers && nearestScope(scopeAt(model, box, n, x, y), largestR) !== r) wrong.push(`pixel ${n}, r ${r}: a handle at ${x}, ${y} means ${scopeAt(model, box, n, x, y)}`);
    for (const [x, y] of handles) if (!gripAt(frame, x, y)) wrong.push(`pixel ${n}, r ${r}: the handle at ${x}, ${y} cannot be held`);
  }
  if (positionAt(model, box, ((n % W) + 0.5) * 30, (Math.floor(n / W) + 0.5) * 30) !== n) wrong.push(`pixel ${n} is not under its own middle`);
}
for (const width of [320, 368, 700, 1000, 1160, 1500]) {
  const { photo, kernels, weights: maps, curve, height } = layoutScope(width, model, 500);
  for (const part of [photo, ...kernels, ...maps, ...(curve ? [curve] : [])]) if (!(part.x >= 0 && part.x + part.w <= width + 1 && part.y + part.h <= height + 1 && part.w > 0 && part.h > 0)) wrong.push(`width ${width}: ${JSON.stringify(part)} of ${height}`);
}
const answers = [["<b>bold</b>", 0.5, 0.25, 0.1]];
for (let scope = 3; scope <= largestR; scope += 2) for (const part of ["position", "both"]) {
  const app = { model, own, largestR, state: { scope, part, pinned: true } }, share = { share: 0.5, count: 3, size: N };
  texts.push(headlineOf(app), paragraphs(app), mathOf(app), taskList(buildScopeTasks(app), new Set()), answersOf(answers, "It knows <all>.", scope, own, model.hasPosition));
  for (const layer of [share, null]) texts.push(sideOf(app, { window: 9, change: 0.1, layer, image: layer }));
}
console.log(JSON.stringify({ own, largestR, weights, outputs, changes, shares, wrong, texts, facts: header.facts, measured: Object.fromEntries(Object.entries(measured).map(([name, data]) => [name, [...data]])) }));
