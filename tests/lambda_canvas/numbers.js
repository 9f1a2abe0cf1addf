// Every number, text and layout of one packed layer (argument 1), as JSON: what test_lambda_canvas.py compares.
import { readFileSync } from "node:fs";
import { readHeader, readTensors } from "./trace.js";
import { buildModel } from "./model.js";
import { createPixel } from "./pixel.js";
import { createCheck } from "./check.js";
import { buildSteps, STEP_NAMES } from "./words.js";
import { buildTasks } from "./tasks.js";
import { measure, layoutView } from "./layout.js";
import * as panels from "./panels.js";

const bytes = new Uint8Array(readFileSync(process.argv[2])), odd = new Uint8Array(bytes.length + 1);
odd.set(bytes, 1); // a message buffer may start at any byte
const { header, start } = readHeader(odd.subarray(1)), model = buildModel(header.layer, readTensors(odd.subarray(1), header, start));
const pixel = createPixel(model), steps = buildSteps(model), pixels = [], cells = [], texts = [], boxes = [];
const kinds = ["content_lambda", "position_lambda", "lambda", "output"];
for (let n = 0; n < model.N; n++) {
  pixel.move(n);
  const { lambda, position_lambda, y, weights } = pixel.numbers();
  pixels.push({ lambda: [...lambda], position: [...position_lambda], y: [...y], sum: [...weights.sum] });
  for (const kind of kinds) {
    const row = n % (kind === "output" ? model.heads : model.K), value = n % model.V, cell = { kind, row, value };
    const terms = pixel.cellSum(cell, 6, true), shown = pixel.matrixValue(kind, row, value);
    cells.push([terms.products + terms.constant, shown]);
    for (const [many, sorted] of [[3, false], [6, true]]) {
      const { first, count, inside, product } = pixel.cellSum(cell, many, sorted), sizes = [...first].map((t) => Math.abs(product[t]));
      const right = first.length === Math.min(many, count) && first.every((t) => inside[t]) && sizes.every((size, i) => !i || size <= sizes[i - 1]);
      if (!right) boxes.push(`${kind} of pixel ${n}: ${first} of ${count}`);
    }
    texts.push(panels.positionSumHtml(model, cell, terms, true), panels.headHtml(steps[6], cell, "t").headline, panels.textHtml(model, steps[6], cell, null, terms));
    if (kind === "output") {
      const rows = pixel.rowSumOf(cell);
      cells.push([rows.product.reduce((a, b) => a + b, 0), shown]);
      texts.push(panels.rowSumHtml(model, cell, rows));
    }
  }
}
for (const step of steps) texts.push(step.headline, step.text, step.equation, ...step.einsum.filter(Boolean), panels.shapesHtml(step), panels.mathHtml(step));
texts.push(panels.stepsHtml(steps), ...buildTasks(model).filter(Boolean).map((task) => task.text));
for (const width of [368, 820, 980, 1168, 1380]) for (const view of [0, 1, 2, 3, 4, 5, 6, 7, 8, "cell"]) {
  const layout = layoutView(measure(width, model, 480), model, view, { kind: "lambda", row: 0, value: 0 });
  for (const node of layout.nodes.values()) {
    const inside = node.x >= 0 && node.x + node.w <= width + 1 && node.y >= 0 && node.y + node.h <= layout.height + 1 && node.w > 0 && node.h > 0;
    if (!inside) boxes.push(`${width} ${view} ${node.id}: ${node.x},${node.y} ${node.w}x${node.h} in ${layout.height}`);
  }
}
const check = createCheck(model);
while (!check.run(50));
console.log(JSON.stringify({ pixels, cells, texts, boxes, check: check.result, check_text: panels.checkHtml(check.result), attention: steps[8] }));
