// The words around the stage. Numbers come in, none are computed here.
import { sym, equation, sign, sum, upright, fraction, code, times, thousands, escapeHtml } from "../lambda_canvas/symbols.js";

const percent = (x, digits = 1) => `${(100 * x).toFixed(digits)}\u00a0%`;
const square = (r) => times(r, r);

export function headlineOf({ model, own, largestR, state: { scope } }) {
  if (!model.hasPosition) return "This layer has no position half, so it has no window.";
  if (scope < own) return `Cropped to ${square(scope)}: the rim of ${sym("kernels")} is zero, and the footprint shrinks with it.`;
  if (scope > own) return `Drawn ${square(scope)}, measured ${square(own)}: this layer has learned nothing further out.`;
  if (own === largestR) {
    const { scope: built } = model.layer; // `own` is no larger than the map has a use for
    if (built === null) return "This layer is global: its window is the whole map, wherever the pixel is.";
    const enough = built > own ? `; ${square(own)} would do` : "";
    return `Its window of ${square(built)} covers the whole map of ${times(model.H, model.W)}, wherever the pixel is${enough}.`;
  }
  if (own >= Math.max(model.H, model.W)) {
    const corner = [model.H, model.W].map((side) => Math.min(side, (own + 1) / 2));
    return `The window of ${square(own)} covers the whole map, ${times(model.H, model.W)}, from its middle; at the edges it is cut off, from a corner to ${times(...corner)}.`;
  }
  return `The position half of a pixel reaches ${square(own)} positions, and no further.`;
}

export function paragraphs({ model, own, largestR, state: { part } }) {
  if (!model.hasPosition) {
    return `<p>It was built without ${sym("kernels")}: where a position lies makes no difference to it. The content half that is left sees the whole map at once, so there is nothing to crop. What you see on the photo is its measured footprint.</p>`;
  }
  const widest = own === largestR ? `<p class="note">This layer has an offset for every pair of positions on its map, so its own ${upright("r")} already is the largest.</p>` : "";
  // With the content half held fixed, a zero is no promise about the whole pixel.
  const unchanged = part === "position" && model.hasContent ? "what this pixel takes through its window; through the content half it still can" : "this pixel";
  return `<p>The scope ${upright("r")} is how far the kernels ${sym("kernels")} reach: the pixel ${sym("pixel")} draws on the ${upright("r × r")} positions around it, and the window goes where it goes. <b>Drag the frame</b> to change ${upright("r")}. Inside the layer’s own ${own} the kernels are cropped, outside there is nothing to use.</p><p>The frame is drawn; the footprint is measured. PyTorch differentiates ${sym("output")} with respect to every input position ${sym("context")}: where the derivative is zero, nothing that happens there can change ${unchanged}.</p>${widest}`;
}

export function taskList(tasks, done) {
  return tasks.map(({ id, text }) => `<p class="task${done.has(id) ? " done" : ""}" data-testid="task"><span class="tick" aria-hidden="true">${done.has(id) ? "✓" : "○"}</span><span><b>Try it:</b> ${text}<span class="spoken">${done.has(id) ? " Done." : ""}</span></span></p>`).join("");
}

export function mathOf({ model }) {
  if (!model.hasPosition) return `<div class="equation">${equation("lambda p n is zero", sym("positionLambda"), sign("="), upright("0"))}</div>`;
  const u = model.U > 1 ? "u" : "";
  const reach = `${upright("|")}<i>m</i>−<i>n</i>${upright("| ≤ r/2")}`;
  const first = equation("lambda p n k v is the sum over m within half r of n of E at m minus n, k, times V m v", sym("positionLambda", { sub: "n,kv" }), sign("="), sum("m"), sym("kernels", { sub: "m−n,k" }), " ", sym("values", { sub: "mv" }), `<span class="when">${reach}</span>`);
  const second = equation("the derivative of y n with respect to x m is zero where m is further than half r from n", fraction(`∂ ${sym("output")}`, `∂ ${sym("pixelInput", { sub: "m" })}`), sign("="), upright("0"), `<span class="when">${upright("|")}<i>m</i>−<i>n</i>${upright("| > r/2, position half")}</span>`);
  const lines = [
    `near = (m - n).abs().amax(-1) <= r // 2`,
    `${code("weights", "w")} = einsum("nhk,nmk${u}->nhm", ${code("queries", "Q")}, ${code("kernels", "E")} * near)`,
    `slopes = [grad(y_v, ${code("input", "x")}) for y_v in ${code("output", "y")}[n]]`,
    `footprint = stack(slopes).norm(dim=("v", "c"))`,
  ];
  return `<div class="equation">${first}</div><div class="equation second">${second}</div><pre class="einsum">${lines.join("\n")}</pre>`;
}

// reading: what the numbers of this pixel and scope are, some of them null until they are measured.
export function sideOf({ model, own, state: { scope, part } }, reading) {
  const { K, U, rows, cols, N } = model, kept = Math.min(scope, rows) * Math.min(scope, cols) * K * U;
  const row = (letter, figure, words) => `<tr><td>${letter}</td><td>${figure}</td><td>${words}</td></tr>`;
  const measured = reading.layer ? `${thousands(reading.layer.count)} positions` : "…";
  const lies = model.hasPosition && reading.layer ? `. ${percent(reading.layer.share)} of its square lies in the window` : "";
  const inside = reading.layer ? `measured: ∂${sym("output")} is not zero there${lies}` : "being measured";
  const table = [
    model.hasPosition && row(sym("kernels"), thousands(kept), scope < own ? `of ${thousands(rows * cols * K * U)} numbers are left` : "learned numbers, all in use"),
    model.hasPosition && row(sym("context"), `${thousands(reading.window)} positions`, `in the window, of ${thousands(N)} on the map`),
    row(sym("output"), measured, part === "both" && model.hasContent && model.hasPosition ? `${inside}; the rest came through the content half` : inside),
    reading.image && model.hasPosition && row(sym("input", { base: "∂" }), percent(reading.image.share), "of the derivative to the photo itself lies in the window; the layers before this one widen and shift it"),
    model.hasPosition && row("Δ", percent(reading.change), `${sym("output")} moves by this share of its length when the rim goes`),
  ];
  return `<table class="shapes">${table.filter(Boolean).join("")}</table>`;
}

export function answersOf(answers, knows, scope, own, hasPosition) {
  if (!hasPosition || !answers) return "";
  const cell = (x, before) => `<td><span class="bar-of"><i style="width:${(100 * x).toFixed(1)}%"></i></span>${percent(x)}${before === null || Math.abs(x - before) < 0.0005 ? "" : `<small>${x > before ? "▲" : "▼"}</small>`}</td>`;
  const rows = answers.map(([name, trained, here, all]) => `<tr><th scope="row">${escapeHtml(name)}</th>${cell(trained, null)}${cell(here, trained)}${cell(all, trained)}</tr>`).join("");
  const title = scope < own ? `The network’s answer with ${sym("kernels")} cropped to ${square(scope)}` : `The network’s answer; crop ${sym("kernels")} and it changes`;
  return `<div class="answers" data-testid="answers"><h3>${title}</h3><table><thead><tr><th></th><th>as trained</th><th>this layer cropped</th><th>every lambda layer cropped</th></tr></thead><tbody>${rows}</tbody></table><p class="note">${escapeHtml(knows)}</p></div>`;
}

export function placeOf({ model, n, state: { pinned } }) {
  return `${sym("pixel")} row ${Math.floor(n / model.W) + 1}, col ${(n % model.W) + 1}${pinned ? "" : ", follows the pointer"}`;
}
