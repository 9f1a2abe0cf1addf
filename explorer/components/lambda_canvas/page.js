// The HTML around the stage: built once, then each part is written only when it changes.
import { pageHtml, stepsHtml, headHtml, textHtml, mathHtml, shapesHtml, positionSumHtml, rowSumHtml, legendsHtml, choiceHtml, checkHtml, whereHtml } from "./panels.js";
import { activeCell, sumsRows, overlayChoices, overlayOf, isByRow } from "./view.js";
import { escapeHtml } from "./symbols.js";

const OVERLAY_WORDS = { photo: "Photo", content: "Content", position: "Position", sum: "Sum" };

export function createPage(parent) {
  const root = document.createElement("div");
  root.className = "lambda-canvas";
  root.dataset.testid = "lambda-canvas";
  root.innerHTML = pageHtml();
  parent.appendChild(root);
  const find = (selector) => root.querySelector(selector), written = new Map();
  const part = Object.fromEntries(["kick", "where", "legends", "text", "math", "side", "check", "tools"].map((name) => [name, find(`.${name}`)]));
  const steps = find(".steps ol"), headline = find("h2"), overlay = find('[data-choice="overlay"]'), heads = find('[data-choice="head"]'), spoken = find(":scope > .spoken");
  const write = (element, html) => {
    if (written.get(element) === html) return;
    written.set(element, html);
    element.innerHTML = html;
  };

  const page = {
    root, canvas: find("canvas"), stage: find(".stage"), read: find(".read"), math: part.math, legends: part.legends,
    say: (text) => (spoken.textContent = text),

    renderAll(app) {
      const { state } = app, step = app.steps[state.step], head = headHtml(step, state.cell, escapeHtml(app.model.layer.title || app.model.layer.name || "Lambda layer"));
      root.dataset.level = state.cell ? "cell" : "step";
      write(steps, stepsHtml(app.steps));
      for (const button of steps.querySelectorAll("button")) {
        if (+button.dataset.step === state.step) button.setAttribute("aria-current", "step");
        else button.removeAttribute("aria-current");
      }
      write(part.kick, head.kick);
      write(headline, head.headline);
      const next = find('[data-do="next"]');
      find('[data-do="previous"]').hidden = !state.step;
      next.textContent = state.step === 8 ? "Overview" : state.step ? "→" : "Start →";
      next.setAttribute("aria-label", state.step === 8 ? "Back to the overview" : "Next step");
      write(part.math, mathHtml(step));
      for (const render of ["Text", "Side", "Choices", "Legends", "Where", "Check", "Sweep"]) page[`render${render}`](app);
    },

    renderText(app) {
      const { model, pixel, state: { step, cell } } = app;
      write(part.text, textHtml(model, app.steps[step], cell, app.tasks[step], cell && pixel.cellSum(cell, 6, true)));
    },

    renderSide(app) {
      const { state, model, pixel } = app, cell = activeCell(model, state);
      if (!cell) write(part.side, shapesHtml(app.steps[state.step]));
      else if (sumsRows(state, cell)) write(part.side, rowSumHtml(model, cell, pixel.rowSumOf(cell)));
      else write(part.side, positionSumHtml(model, cell, pixel.cellSum(cell, state.cell ? 6 : 3, !!state.cell), !!state.cell));
    },

    renderChoices(app) {
      const { state, model } = app, choices = state.cell ? [] : overlayChoices(model, state.step), shown = overlayOf(model, state);
      const colour = (name) => (name === "photo" ? "ink" : name === "content" ? (isByRow(state.step) ? "key" : "content") : name === "position" ? "position" : "lambda");
      overlay.hidden = !choices.length;
      write(overlay, choiceHtml(choices.map((name) => [name, OVERLAY_WORDS[name], colour(name)]), shown, "overlay"));
      heads.hidden = model.heads < 2 || !!state.cell || !(state.step >= 7 || (state.step === 0 && shown !== "photo"));
      write(heads, choiceHtml(Array.from({ length: model.heads }, (_, h) => [h, h ? h + 1 : "Head 1", "query"]), state.head, "head"));
    },

    renderLegends(app) {
      if (app.steps) write(part.legends, legendsHtml(app.model, app.palette, app.state.step, app.state.cell));
    },

    renderWhere(app) {
      const { state, model } = app;
      let what = "";
      if (state.step === 1 || state.step === 2) what = "point at a map to lay it on the photo";
      else if (!state.cell && isByRow(state.step) && overlayOf(model, state) !== "photo") what = `${state.step < 5 ? "key map" : state.step === 5 ? "kernel" : "row k"} ${state.key + 1}`;
      write(part.where, whereHtml(model, app.pixel.n, state.pinned, what));
    },

    renderCheck: (app) => write(part.check, checkHtml(app.check.result)),
    renderSweep: (app) => find('[data-do="sweep"]').setAttribute("aria-pressed", app.state.sweep),
  };
  return page;
}
