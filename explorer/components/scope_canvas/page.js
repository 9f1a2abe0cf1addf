// The HTML around the stage: built once, each part written only when it changes.
import { choiceHtml, legend, ticks, SIGNS } from "../lambda_canvas/panels.js";
import { sym, scientific, sized, thousands, escapeHtml } from "../lambda_canvas/symbols.js";
import { headlineOf, paragraphs, taskList, mathOf, sideOf, answersOf, placeOf } from "./words.js";

const OVERLAYS = [["layer", "Footprint", "output"], ["image", "In pixels", "output"], ["weights", "Weights", "position"], ["change", "Change", "output"], ["photo", "Photo", "ink"]];
const HTML = `
  <div class="page">
    <header class="head"><div><div class="kick"></div><h2 data-testid="headline"></h2></div></header>
    <div class="stage"><canvas tabindex="0" role="application"></canvas></div>
    <div class="under">
      <span class="where" data-testid="pixel"></span>
      <label class="scope-slider"><span>r</span><input type="range" step="2" aria-label="Scope r"><output></output></label>
      <button class="tool own" data-do="own"></button>
      <div class="choice" data-choice="overlay" role="group" aria-label="What lies on the photo"></div>
      <div class="choice" data-choice="part" role="group" aria-label="Which half is differentiated"></div>
      <div class="choice" data-choice="head" role="group" aria-label="Head"></div>
      <div class="legends"></div>
    </div>
    <div class="answer-part"></div>
    <section class="read"><div class="text"></div><div class="math"></div><div class="side"></div></section>
  </div>
  <footer class="foot">
    <div class="check" data-testid="check"></div>
    <div class="keys"><span class="of-scope"><kbd>drag</kbd> the frame changes r</span><span><kbd>click</kbd> moves the pixel</span><span><kbd>← ↑ ↓ →</kbd> too</span><span class="of-scope"><kbd>[ ]</kbd> r</span><span><kbd>Esc</kbd> let the pixel follow the pointer</span></div>
  </footer>
  <div class="spoken" aria-live="polite"></div>`;

export function createScopePage(parent) {
  const root = document.createElement("div");
  root.className = "lambda-canvas scope-canvas";
  root.dataset.testid = "scope-canvas";
  root.innerHTML = HTML;
  parent.appendChild(root);
  const find = (selector) => root.querySelector(selector), written = new Map();
  const write = (selector, html) => {
    if (written.get(selector) === html) return;
    written.set(selector, html);
    find(selector).innerHTML = html;
  };
  const slider = find("input"), said = find("output"), own = find(".own"), spoken = find(":scope > .spoken");

  return {
    root, slider, canvas: find("canvas"), stage: find(".stage"), say: (text) => (spoken.textContent = text),

    // What follows the pixel and r.
    renderNumbers(app) {
      const { state, model } = app, [first, last] = app.range();
      write(".where", placeOf(app));
      write("h2", headlineOf(app));
      write(".side", sideOf(app, app.reading()));
      Object.assign(slider, { min: first, max: last, value: state.scope });
      slider.setAttribute("aria-valuetext", `${state.scope} by ${state.scope}`);
      slider.style.setProperty("--at", `${(100 * (state.scope - first)) / Math.max(1, last - first)}%`);
      said.textContent = state.scope;
      own.style.visibility = state.scope === app.own || !model.hasPosition ? "hidden" : "visible";
      own.textContent = `↺ ${app.own}`;
      own.setAttribute("aria-label", `Back to the layer's own r, ${app.own}`);
    },

    // What follows a choice, a measurement, a layer.
    renderAll(app) {
      const { state, model } = app, shown = app.overlayName();
      write(".kick", `<span>Scope · ${escapeHtml(model.layer.title || model.layer.name || "Lambda layer")}</span>`);
      for (const part of root.querySelectorAll(".scope-slider, .of-scope")) part.hidden = !model.hasPosition;
      write('[data-choice="overlay"]', choiceHtml(OVERLAYS.filter(([name]) => model.hasPosition || !["weights", "change"].includes(name)), shown, "overlay"));
      const parts = find('[data-choice="part"]');
      parts.hidden = !(model.hasPosition && model.hasContent) || !["layer", "image"].includes(shown);
      write('[data-choice="part"]', choiceHtml([["position", "Position half", "position"], ["both", "With content", "lambda"]], state.part, "part"));
      find('[data-choice="head"]').hidden = model.heads < 2;
      write('[data-choice="head"]', choiceHtml(Array.from({ length: model.heads }, (_, h) => [h, h ? h + 1 : "Head 1", "query"]), state.head, "head"));
      write(".text", paragraphs(app) + taskList(app.tasks, app.done));
      write(".math", mathOf(app));
      write(".answer-part", answersOf(app.facts.answers, app.facts.knows, app.facts.scope, app.own, model.hasPosition));
      this.renderNumbers(app);
      this.renderLegends(app);
      this.renderCheck(app);
    },

    renderLegends(app) {
      const { palette, model } = app;
      if (!palette) return;
      const up = (scale) => ["0", scale >= 10 ? scale.toFixed(0) : scale >= 1 ? scale.toFixed(1) : scale.toPrecision(1)];
      const shown = app.overlay(), bars = [];
      if (model.hasPosition) {
        bars.push(legend(sym("kernels"), palette.map.position.css, 0, ticks(model.scales.kernel)));
        bars.push(legend(`${sym("query")} · ${sym("kernels")}`, palette.map.position.css, 0, ticks(app.weightScale)));
      }
      if (shown && shown.ramp === "output") bars.push(legend(shown.name === "change" ? `Δ ${sym("output")}` : `|∂${sym("output")}|`, palette.map.output.css, 255, shown.name === "change" ? ["0", `${Math.round(100 * shown.scale)} %`] : up(shown.scale)));
      write(".legends", `<span class="note">${SIGNS}</span>${bars.join("")}`);
    },

    renderCheck(app) {
      const { check, model } = app;
      if (!model.hasPosition) return write(".check", "<span>no window to check: this layer has no position half</span>");
      if (!check) return write(".check", "<span>check against PyTorch</span><b>measuring…</b>");
      const wrong = !(check.maxDelta <= 1e-3 * Math.max(1, check.maxAbs));
      write(".check", `<span>${wrong ? "this page disagrees with PyTorch:" : "window weights against autograd:"} <span class="keep">max |Δ|</span></span><b class="${wrong ? "wrong" : ""}">${scientific(check.maxDelta)}</b><span>over ${thousands(check.count)} weights of size up to ${sized(check.maxAbs, 2)}</span>`);
    },
  };
}
