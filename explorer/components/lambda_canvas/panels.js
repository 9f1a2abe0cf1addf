// The HTML around the stage, as strings. No numbers are computed here.
import { axesOf, sym, number, signed, scientific, thousands, CELL_SYMBOL, CELL_TENSOR, sized } from "./symbols.js";
import { glyph, playIcon } from "./glyphs.js";

export function pageHtml() {
  return `
    <nav class="steps" aria-label="Steps"><ol></ol></nav>
    <div class="page">
      <header class="head">
        <div><div class="above"><div class="kick"></div><div class="check" data-testid="check"></div></div><h2 data-testid="headline"></h2></div>
        <div class="tools">
          <button class="tool" data-do="sweep" aria-pressed="false" title="Let the pixel move by itself">${playIcon}<span>Sweep</span></button>
          <button class="tool" data-do="previous" aria-label="Previous step">←</button>
          <button class="tool" data-do="next"></button>
        </div>
      </header>
      <div class="stage"><canvas tabindex="0" role="application"></canvas></div>
      <div class="under">
        <span class="where" data-testid="pixel"></span>
        <div class="choice" data-choice="overlay" role="group" aria-label="Weights on the photo"></div>
        <div class="choice" data-choice="head" role="group" aria-label="Head"></div>
        <div class="legends"></div>
      </div>
      <section class="read"><div class="text"></div><div class="math"></div><div class="side"></div></section>
    </div>
    <footer class="foot">
      <div class="keys"><span><kbd>← ↑ ↓ →</kbd> move the pixel</span><span><kbd>Shift</kbd> with them: point</span><span><kbd>[ ]</kbd> step</span><span><kbd>Enter</kbd> open a cell</span><span><kbd>space</kbd> sweep</span><span><kbd>Esc</kbd> back</span></div>
    </footer>
    <div class="spoken" aria-live="polite"></div>`;
}

export function stepsHtml(steps) {
  return steps.map(({ index, name, short, missing }) => `${index === 1 ? '<li class="rule" role="presentation"></li>' : ""}<li><button data-step="${index}" ${missing ? 'class="missing" ' : ""}aria-label="${index ? `Step ${index}: ` : ""}${name}${missing ? ", not in this layer" : ""}" title="${name}">${glyph(index)}<span class="name">${index ? `<span class="number">${index}</span>` : ""}<span class="long">${name}</span><span class="short">${short}</span></span></button></li>`).join("");
}

const cellWords = (cell) => (cell.kind === "output" ? `head ${cell.row + 1}, value ${cell.value + 1}` : `key ${cell.row + 1}, value ${cell.value + 1}`);

export function headHtml(step, cell, layerTitle) {
  if (cell) {
    const place = cell.kind === "output" ? `head ${cell.row + 1} reads value ${cell.value + 1}` : `key ${cell.row + 1} meets value ${cell.value + 1}`;
    return {
      kick: `<button data-step="0">Overview</button><i>›</i><button data-step="${step.index}">${step.index} ${step.name}</button><i>›</i><span>${cellWords(cell)}</span>`,
      headline: `One number of ${sym(CELL_SYMBOL[cell.kind])}: ${place}.`,
    };
  }
  return { kick: `<span>${step.index ? `Step ${step.index} of 8` : layerTitle}</span>`, headline: step.headline };
}

const NUMBERED = ["No product is", "The one product is", "Both products are", ...["three", "four", "five", "six"].map((n) => `All ${n} products are`)];

// terms: of the cell, where one is open.
export function textHtml(model, step, cell, task, terms) {
  const tick = task ? `<p class="task${task.done ? " done" : ""}" data-testid="task"><span class="tick" aria-hidden="true">${task.done ? "✓" : "○"}</span><span><b>Try it:</b> ${task.text}${/[.?]$/.test(task.text) ? "" : "."}<span class="spoken">${task.done ? " Done." : ""}</span></span></p>` : "";
  if (!cell) return step.text + tick;
  const k = cell.row + 1, { windowed, hasContent, hasPosition } = model;
  const kernel = `kernel ${k}, laid around the pixel${windowed ? "; outside the window they are zero" : ""}`;
  const weights = {
    content_lambda: `The weights are key map ${k}, wherever the pixel is.`,
    position_lambda: `The weights are ${kernel}.`,
    lambda: hasContent && hasPosition ? `The weights are key map ${k} plus kernel ${k}, laid around the pixel.` : hasContent ? `The weights are key map ${k}.` : `The weights are ${kernel}.`,
    output: `Step 7 adds ${model.K} rows of lambda to reach this number. Here the same number is a sum over ${model.N} positions, and the weights are the implied attention of head ${k}.`,
  }[cell.kind];
  const depth = model.U > 1 ? `<p class="note">A position has ${model.U} terms, one for each u; the maps show their sums.</p>` : "";
  return `<p>Each position of the photo adds one product to this number: its weight times its value. ${weights}</p>${depth}<p>${NUMBERED[terms.count] || "The six largest products are"} numbered, on the photo and in the sum. Move the pixel with the arrow keys and see the sum ${cell.kind === "content_lambda" || (cell.kind === "lambda" && !hasPosition) ? "stay as it is" : "change"}.</p>${tick}`;
}

export const mathHtml = (step) => `<div class="equation">${step.equation}</div><pre class="einsum">${step.einsum.filter(Boolean).map(axesOf).join("\n")}</pre>`;

export function shapesHtml(step) {
  const rows = step.shapes.filter(Boolean).map(([symbol, shape, words]) => `<tr><td>${sym(symbol)}</td><td>${shape.map(thousands).join(" × ")}</td><td>${words}</td></tr>`).join("");
  return `<table class="shapes"><tbody>${rows}</tbody></table>${step.hint ? `<p class="hint">${step.hint}</p>` : ""}`;
}

const rankHtml = (i) => `<span class="rank">${i + 1}</span>`;
const resultHtml = (cell, total) => `<div class="result">${sym(CELL_SYMBOL[cell.kind])}<span>${cellWords(cell)}</span><b class="t-${CELL_TENSOR[cell.kind]}">= ${number(total)}</b></div>`;

const printed = (x) => +x.toFixed(3);
// What the other terms make of a sum, from the numbers as they are printed: who adds them up finds the total.
const leftOver = (products, constant, total) => products.reduce((left, x) => left - printed(x), printed(total) - printed(constant));

function added(x) {
  const text = number(x);
  return text.startsWith("−") ? `− ${text.slice(1)}` : `+ ${text}`;
}

// The sum in one line, ending in the number shown. Where no other terms are left, the printed ones may miss it by a digit.
function writtenHtml(products, rest, constant, total) {
  const parts = products.map((x, i) => (i ? added(x) : number(x)));
  if (rest !== null) parts.push(added(rest));
  if (constant) parts.push(added(constant));
  const equal = rest !== null || printed(leftOver(products, constant, total)) === 0 ? "=" : "≈";
  return `<p class="written" data-testid="arithmetic">${parts.join(" ")} ${equal} <b>${number(total)}</b></p>`;
}

// A cell as a sum over positions.
export function positionSumHtml(model, cell, terms, open) {
  const { W, U } = model, tensor = CELL_TENSOR[cell.kind], both = (cell.kind === "lambda" || cell.kind === "output") && model.hasContent && model.hasPosition;
  const contentOnly = cell.kind === "content_lambda" || (!both && model.hasContent && cell.kind !== "position_lambda");
  const first = Array.from(terms.first), products = first.map((t) => terms.product[t]);
  const most = Math.max(1e-12, ...products.map(Math.abs)), restCount = terms.count - first.length, rest = leftOver(products, terms.constant, terms.total);
  const heads = both ? (cell.kind === "output" ? ["content", "position"] : [sym("keys"), sym("kernels")]) : [cell.kind === "output" ? sym("weights") : sym(contentOnly ? "keys" : "kernels")];
  const cells = (t) => (both ? `<td class="t-${cell.kind === "output" ? "content" : "key"}">${number(terms.content[t])}</td><td class="t-position">${signed(terms.position[t])}</td>` : `<td class="t-${contentOnly ? "key" : "position"}">${number(terms.weight[t])}</td>`);
  const bar = (x) => (open ? `<td class="bars"><div><i class="${x < 0 ? "minus" : `f-${tensor}`}" style="width:${((Math.abs(x) / most) * 50).toFixed(1)}%"></i></div></td>` : "");
  const rows = first.map((t, i) => {
    const m = Math.floor(t / U);
    return `<tr><td>${rankHtml(i)}row ${Math.floor(m / W) + 1}, col ${(m % W) + 1}${U > 1 ? `, u ${(t % U) + 1}` : ""}</td>${cells(t)}<td class="t-value"><span class="dim">×</span> ${number(terms.factor[t])}</td><td>${signed(products[i])}</td>${bar(products[i])}</tr>`;
  });
  const blank = "<td></td>".repeat(heads.length + 1), end = open ? "<td></td>" : "";
  if (restCount > 0) rows.push(`<tr class="rest"><td>+ ${thousands(restCount)} ${U > 1 ? "other terms" : "other positions"}</td>${blank}<td>${signed(rest)}</td>${end}</tr>`);
  if (terms.constant) rows.push(`<tr class="rest"><td>+ learned number ${sym("bias")}</td>${blank}<td>${signed(terms.constant)}</td>${end}</tr>`);
  rows.push(`<tr class="total"><td>sum</td>${blank}<td class="t-${tensor}">${number(terms.total)}</td>${end}</tr>`);
  return `<div class="sum-table">${resultHtml(cell, terms.total)}<table><thead><tr><th>position</th>${heads.map((h) => `<th>${h}</th>`).join("")}<th>${sym("values")}</th><th>product</th>${open ? "<th></th>" : ""}</tr></thead><tbody>${rows.join("")}</tbody></table>${writtenHtml(products, restCount > 0 ? rest : null, terms.constant, terms.total)}</div>`;
}

// An output as a sum over the rows of lambda.
export function rowSumHtml(model, cell, terms) {
  const first = terms.order.slice(0, 3), products = first.map((k) => terms.product[k]), rest = leftOver(products, 0, terms.total), restCount = model.K - first.length;
  const rows = first.map((k, i) => `<tr><td>${rankHtml(i)}k ${k + 1}</td><td class="t-query">${number(terms.weight[k])}</td><td class="t-lambda"><span class="dim">×</span> ${number(terms.factor[k])}</td><td>${signed(products[i])}</td></tr>`);
  if (restCount > 0) rows.push(`<tr class="rest"><td>+ ${restCount} other rows</td><td></td><td></td><td>${signed(rest)}</td></tr>`);
  rows.push(`<tr class="total"><td>sum</td><td></td><td></td><td class="t-output">${number(terms.total)}</td></tr>`);
  return `<div class="sum-table">${resultHtml(cell, terms.total)}<table><thead><tr><th>row</th><th>${sym("query")}</th><th>${sym("lambda")}</th><th>product</th></tr></thead><tbody>${rows.join("")}</tbody></table>${writtenHtml(products, restCount > 0 ? rest : null, 0, terms.total)}</div>`;
}

export const SIGNS = '<span class="in-light">grey</span><span class="in-dark">white</span> is minus, colour is plus';
const LEGENDS = [["lambda", "output"], ["input"], ["query", "score", "value"], ["score", "key"], ["key", "value", "content"], ["kernel", "value", "position"], ["content", "position", "lambda"], ["lambda", "query", "output"], ["contentWeight", "weight", "output"]];
const CELL_LEGENDS = { content_lambda: ["key", "value", "content"], position_lambda: ["kernel", "value", "position"], lambda: ["mixed", "value", "lambda"], output: ["weight", "value", "output"] };

export function legendsHtml(model, palette, step, cell) {
  const { scales, softmax } = model, signedInput = model.input.some((x) => x < 0);
  const names = {
    lambda: [sym("lambda"), "lambda", scales.lambda], output: [sym("output"), "output", scales.output], query: [sym("queries"), "query", scales.query],
    score: [sym("scores"), "key", scales.score], value: [sym("values"), "value", scales.value], content: [sym("contentLambda"), "content", scales.lambda],
    position: [sym("positionLambda"), "position", scales.lambda], kernel: [sym("kernels"), "position", scales.kernel],
    mixed: [model.hasContent ? (model.hasPosition ? `${sym("keys")} + ${sym("kernels")}` : sym("keys")) : sym("kernels"), model.hasContent ? "lambda" : "position", model.hasPosition ? scales.kernel : scales.key],
    weight: [sym("weights"), "lambda", scales.weight], contentWeight: [`${sym("query")} · ${sym("keys")}`, "content", scales.contentWeight],
  };
  const items = (cell ? CELL_LEGENDS[cell.kind] : LEGENDS[step]).filter((id) => (model.hasContent || !["score", "key", "content", "contentWeight"].includes(id)) && (model.hasPosition || !["kernel", "position"].includes(id)));
  const bars = items.map((id) => {
    if (id === "key") return softmax ? legend(sym("keys"), palette.map.share.css, 255, ["0", scales.key.toFixed(3)]) : legend(sym("keys"), palette.map.key.css, 0, ticks(scales.key));
    if (id === "input") return signedInput ? legend(sym("input"), palette.map.input.css, 0, ["−max", "0", "channel max"]) : legend(sym("input"), palette.map.input.css, 255, ["0", "channel max"]);
    const [name, ramp, scale] = names[id];
    return legend(name, palette.map[ramp].css, 0, ticks(scale));
  });
  const note = items.length === 1 && items[0] === "input" && !signedInput ? "" : `<span class="note">${SIGNS}</span>`;
  return note + bars.join("");
}

export function ticks(scale) {
  const text = sized(scale, scale >= 10 ? 0 : scale >= 0.3 ? 1 : scale >= 0.02 ? 2 : 3);
  return [`−${text}`, "0", text];
}

export function legend(name, css, from, labels) {
  const stops = Array.from({ length: 9 }, (_, i) => css[Math.round(from + ((css.length - 1 - from) * i) / 8)]);
  return `<div class="legend"><span class="of">${name}</span><span class="ramp" style="background:linear-gradient(to right,${stops})"></span><span class="ticks">${labels.map((t) => `<span>${t}</span>`).join("")}</span></div>`;
}

export function choiceHtml(names, chosen, attribute) {
  return names.map(([value, text, colour]) => `<button data-${attribute}="${value}" style="--mark:var(--${colour})" aria-pressed="${value === chosen}">${text}</button>`).join("");
}

export function checkHtml(result) {
  if (!result.done) return "<span>check against PyTorch</span><b>checking…</b>";
  const wrong = !(result.maxDelta <= 1e-3 * Math.max(1, result.maxAbs));
  return `<span>${wrong ? "this page disagrees with PyTorch:" : "check against PyTorch:"} <span class="keep">max |Δ|</span></span><b class="${wrong ? "wrong" : ""}">${scientific(result.maxDelta)}</b><span class="scope">over ${thousands(result.count)} outputs of size up to ${sized(result.maxAbs, 1)}</span>`;
}

export function whereHtml(model, n, pinned, what) {
  return `${sym("pixel")} row ${Math.floor(n / model.W) + 1}, col ${(n % model.W) + 1}${pinned ? ", pinned" : ""}${what ? `<span class="what">${what}</span>` : ""}`;
}
