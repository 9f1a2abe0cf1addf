// One letter at a time: pointed at, focused, typed or pinned, it lights up in the equation, tensors, einsum and source.
import { followTheme } from "../lambda_canvas/dark.js";
import { escapeHtml } from "../lambda_canvas/symbols.js";
import { equationHtml, einsumHtml, namedHtml, sourceHtml } from "./typeset.js";
import { boxHtml } from "./boxes.js";

const IDLE = "Point at a letter, or type it: it lights up wherever it is used. A click holds it.";

export function createFormula(parent) {
  const root = document.createElement("section");
  root.className = "formula-code";
  root.dataset.testid = "formula";
  root.innerHTML = '<details><summary>Formula and code</summary><div class="tabs" role="tablist" aria-label="Equation"></div><p class="says"></p><div class="letters" role="group" aria-label="Index letters"></div><p class="meaning" aria-live="polite"></p><div class="parts"><div class="left"><div class="equation"></div><pre class="einsum"></pre><div class="tensors"></div><ul class="named"></ul></div><div class="source"></div></div></details>';
  parent.appendChild(root);
  const find = (selector) => root.querySelector(selector), details = find("details"), meaning = find(".meaning");
  const app = { root, data: null, text: "", name: "", asked: "", held: "", lit: "" };

  function light(letter) {
    if (letter === app.lit) return;
    app.lit = letter;
    for (const element of root.querySelectorAll("[data-axis]")) element.classList.toggle("lit", element.dataset.axis === letter);
    const size = app.data.sizes?.[letter];
    meaning.innerHTML = letter ? `<i>${letter}</i>${size ? ` = ${size.toLocaleString("en-US")}` : ""}, ${escapeHtml(app.data.meaning[letter])}` : IDLE;
    document.dispatchEvent(new CustomEvent("lambda-axis", { detail: letter })); // a canvas on the page may follow
  }

  function hold(letter, under = "") {
    app.held = app.held === letter ? "" : letter;
    for (const button of root.querySelectorAll(".letters button")) button.setAttribute("aria-pressed", button.dataset.axis === app.held);
    light(app.held || under);
  }

  function draw() {
    const { data, name } = app, shown = data.equations[name], { sizes } = data, lit = app.held;
    const used = new Set(shown.tensors.flatMap(([, axes]) => [...axes]));
    find(".tabs").innerHTML = Object.entries(data.equations).map(([key, { title }]) => `<button role="tab" data-name="${key}" aria-selected="${key === name}" tabindex="${key === name ? 0 : -1}">${escapeHtml(title)}</button>`).join("");
    find(".says").textContent = shown.says;
    find(".letters").innerHTML = [...data.letters].map((letter) => `<button data-axis="${letter}" aria-pressed="${letter === lit}" title="${escapeHtml(data.meaning[letter])}"${used.has(letter) ? "" : ' class="unused"'}><i>${letter}</i>${sizes ? `<span>${sizes[letter].toLocaleString("en-US")}</span>` : ""}</button>`).join("");
    find(".equation").innerHTML = equationHtml(shown);
    find(".einsum").innerHTML = einsumHtml(shown);
    find(".einsum").hidden = !shown.subscripts;
    find(".tensors").innerHTML = shown.tensors.map((tensor) => boxHtml(tensor, sizes)).join("");
    find(".named").innerHTML = namedHtml(shown);
    find(".source").innerHTML = shown.code.map(sourceHtml).join("");
    app.lit = null;
    light(lit);
  }

  app.update = (data) => {
    const text = JSON.stringify(data);
    if (text === app.text) return;
    app.text = text;
    app.data = data;
    if (data.open !== app.asked || !data.equations[app.name]) app.name = app.asked = data.open; // the page asks for another one
    draw();
  };

  const letterAt = (event) => event.target.closest?.("[data-axis]")?.dataset.axis ?? "";
  root.addEventListener("pointerover", (event) => light(letterAt(event) || app.held));
  root.addEventListener("pointerleave", () => light(app.held));
  root.addEventListener("focusin", (event) => { if (letterAt(event)) light(letterAt(event)); });
  root.addEventListener("focusout", () => light(app.held));
  root.addEventListener("click", (event) => {
    const tab = event.target.closest("[data-name]");
    if (tab) choose(tab.dataset.name);
    else if (letterAt(event)) hold(letterAt(event), letterAt(event));
  });
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !details.open) return;
    const tab = event.target.closest?.("[data-name]"), turn = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (tab && turn) {
      const names = Object.keys(app.data.equations);
      choose(names.at((names.indexOf(app.name) + turn) % names.length));
    } else if (event.key === "Escape" && app.held) hold(app.held);
    else if (app.data.letters.includes(event.key)) hold(event.key);
    else return;
    event.preventDefault();
    event.stopPropagation(); // the page has keys of its own
  });

  function choose(name) {
    app.name = name;
    draw();
    find(`[data-name="${name}"]`).focus({ preventScroll: true });
  }

  const follow = ({ detail }) => app.data && light(detail || app.held); // an equation above a stage was pointed at
  document.addEventListener("lambda-axis", follow);
  const leaveTheme = followTheme(root);
  app.destroy = () => {
    leaveTheme();
    document.removeEventListener("lambda-axis", follow);
    document.dispatchEvent(new CustomEvent("lambda-axis", { detail: "" }));
    root.remove();
  };
  return app;
}
