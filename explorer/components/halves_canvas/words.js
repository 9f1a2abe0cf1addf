// The HTML around the stage, as strings.
import { HALVES } from "./halves.js";
import { built, scaleOf } from "./draw.js";
import { percentOf } from "../lambda_canvas/percent.js";
import { sym, equation, sign, code, sized, escapeHtml, times } from "../lambda_canvas/symbols.js";
import { legend, ticks, choiceHtml, SIGNS } from "../lambda_canvas/panels.js";

export const halvesHtml = `
  <div class="page">
    <header class="head"><div><div class="kick"></div><h2 data-testid="headline"></h2></div></header>
    <div class="stage"><canvas tabindex="0" role="application"></canvas></div>
    <div class="under">
      <div class="choice" data-choice="head" role="group" aria-label="Head"></div>
      <div class="choice" data-choice="scale" role="group" aria-label="Scale of colours"></div>
      <span class="where">${SIGNS}</span>
    </div>
    <div class="legends"></div>
    <section class="read"><div class="text"></div><div class="math"></div><div class="side"></div></section>
  </div>
  <footer class="foot">
    <div class="check" data-testid="check"></div>
    <div class="keys"><span><kbd>← ↑ ↓ →</kbd> move the pixel</span><span><kbd>[ ]</kbd> head</span></div>
  </footer>
  <div class="spoken" aria-live="polite"></div>`;

const half = (name, parts) => sym("output", { tensor: name, sup: name === "content" ? "c" : "p", sub: "n", ...parts });

export function headlineOf({ hasContent, hasPosition }) {
  if (hasContent && hasPosition) return "One half asks what is in the photo, the other where.";
  return hasContent ? "This layer has only a content half: it does not know where anything lies." : "This layer has only a position half: it weighs the photo by place alone.";
}

export const kickHtml = (layer) => `<span>${escapeHtml(layer.title || layer.name || "Lambda layer")}</span>`;

export function aboutHtml(model, tasks) {
  const { hasContent, hasPosition, windowed, U, bias } = model, lambdas = { content: sym("contentLambda"), position: sym("positionLambda") };
  const content = `${lambdas.content} weighs the values by <b>what they are</b>, with the keys: one matrix for the whole photo, the same wherever the pixel is.`;
  const position = `${lambdas.position} weighs them by <b>where they lie</b> as seen from the pixel${windowed ? ", inside its window" : ""}: another matrix for every pixel.`;
  const missing = hasContent && hasPosition ? "" : `<p>The network was built without the ${hasContent ? "position" : "content"} half in this layer, so that column is empty.</p>`;
  const maps = hasContent && hasPosition
    ? "Both are read with the pixel’s query. Multiplied out, each half gives every position a weight, as attention would: the maps below the matrices. The layer itself never stores them."
    : "It is read with the pixel’s query. Multiplied out, it gives every position a weight, as attention would: the map below the matrix. The layer itself never stores it.";
  const depth = U > 1 ? `<p class="note">A position has ${U} terms, one for each u; the weights shown are their sums.</p>` : "";
  const constant = bias ? `<p class="note">${lambdas.position} has a learned constant ${sym("bias")} too, which belongs to no position and so to no map.</p>` : "";
  return `<p>${[hasContent && content, hasPosition && position].filter(Boolean).join(" ")}</p>${missing}<p>${maps}</p>${depth}${constant}${tasksHtml(tasks)}`;
}

// Those that are done, and the next one.
function tasksHtml(tasks) {
  const next = tasks.findIndex((task) => !task.done);
  return tasks.filter((task, i) => task.done || i === next).map((task) => `<p class="task${task.done ? " done" : ""}" data-testid="task"><span class="tick" aria-hidden="true">${task.done ? "✓" : "○"}</span><span><b>Try it:</b> ${task.text}${/[.?]$/.test(task.text) ? "" : "."}<span class="spoken">${task.done ? " Done." : ""}</span></span></p>`).join("");
}

export function formulaHtml({ hasContent, hasPosition, U }) {
  const transposed = '<span class="up">⊤</span>', read = (symbol, script) => `${sym(symbol, { sup: script + transposed })}\u2006${sym("query")}`;
  const terms = [hasContent && read("contentLambda", "c"), hasPosition && read("positionLambda", "p")].filter(Boolean);
  const spoken = [hasContent && "content lambda transposed times q n", hasPosition && "position lambda n transposed times q n"].filter(Boolean);
  const names = [hasContent && half("content"), hasPosition && half("position")].filter(Boolean);
  const u = U > 1 ? "u" : ""; // the weights are summed over it
  const lines = [
    hasContent && `yc = einsum("nhk,kv->nhv", ${code("query", "Q")}, ${code("contentLambda", "λc")})`,
    hasPosition && `yp = einsum("nhk,nkv->nhv", ${code("query", "Q")}, ${code("positionLambda", "λp")})`,
    hasContent && `wc = einsum("nhk,mk${u}->nhm", ${code("query", "Q")}, ${code("keys", "K̄")})`,
    hasPosition && `wp = einsum("nhk,nmk${u}->nhm", ${code("query", "Q")}, ${code("kernels", "E")})`,
  ].filter(Boolean);
  return `<div class="equation">${equation(`y n equals ${spoken.join(" plus ")}`, sym("output"), sign("="), names.join(sign("+")), sign("="), terms.join(sign("+")))}</div><pre class="einsum">${lines.join("\n")}</pre>`;
}

export function sharesHtml({ model, live, state }) {
  const { share, n } = live, size = (name) => Math.hypot(...live.halves[name].output), there = HALVES.filter((name) => built(model, name)), both = there.length > 1;
  const row = (title, read) => `<tr><td>${title}</td>${there.map((name) => `<td class="t-${name}">${read(name)}</td>`).join("")}</tr>`;
  const rows = [
    both && row(`share of ${sym("output")} here`, (name) => `<b>${percentOf(share[name][n])}</b>`),
    both && row("share over the whole photo", (name) => percentOf(share.whole[name])),
    row(`size of ${half("content", { sup: "", tensor: "output" })} here`, (name) => sized(size(name), 2)),
    row(`largest change of λ${state.dragging ? ", this drag" : ""}`, (name) => (live.moved ? sized(live.change(name)) : "–")),
  ].filter(Boolean);
  const heads = there.map((name) => `<th class="t-${name}">${name}</th>`).join("");
  return `<table class="both-halves" data-testid="shares"><thead><tr><th></th>${heads}</tr></thead><tbody>${rows.join("")}</tbody></table><p class="hint">Size is the root of the summed squares over ${times(model.heads, model.V)} numbers${both ? "; a share is one size of the sum of both" : ""}.</p>`;
}

export function choices({ model, state }) {
  const heads = Array.from({ length: model.heads }, (_, h) => [h, h ? h + 1 : "Head 1", "query"]);
  return { head: model.heads > 1 ? choiceHtml(heads, state.head, "head") : "", scale: choiceHtml([["one", "One scale", "ink"], ["own", "Own scales", "ink"]], state.scale, "scale") };
}

export function scalesHtml(app) {
  const { model, palette } = app, there = { content: model.hasContent, position: model.hasPosition };
  const names = { lambda: { content: sym("contentLambda"), position: sym("positionLambda") }, weights: { content: `${sym("query")}·${sym("keys")}`, position: `${sym("query")}·${sym("kernels")}` } };
  const bars = ["lambda", "weights"].flatMap((row) => HALVES.filter((name) => there[name]).map((name) => legend(names[row][name], palette.map[name].css, 0, ticks(scaleOf(app, row, name)))));
  for (const name of HALVES) if (there[name]) bars.push(legend(half(name), palette.map[name].css, 0, ticks(scaleOf(app, "output", name))));
  bars.push(legend(sym("output"), palette.map.output.css, 0, ticks(scaleOf(app, "output", "sum"))));
  for (const name of HALVES) if (there.content && there.position) bars.push(legend('<span class="word">share</span>', palette.map[name].css, 255, ["0", "100 %"]));
  return bars.join("");
}
