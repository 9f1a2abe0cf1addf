// Pointer, buttons and keys. The keyboard goes to one instance: the one last used, or the only one.
import { BLEED } from "./draw.js";
import { followAxis, sendAxis } from "./axis_marks.js";
import { ARROWS, isFor } from "./keys.js";

const instances = new Set();
let active = null;

function onKey(event) {
  const path = event.composedPath();
  const app = [...instances].find((one) => path.includes(one.root)) || active || (instances.size === 1 ? [...instances][0] : null);
  if (!app || !app.model || !isFor(event, app.root, app.canvas)) return;
  // The picture on the home page takes keys only while the pointer or the focus is on it.
  if (app.mode === "overview" && !path.includes(app.root) && !app.root.matches(":hover")) return;
  const onButton = path[0].tagName === "BUTTON", move = ARROWS[event.key];
  if (move && event.shiftKey) app.pointOn(...move);
  else if (move) app.moveBy(...move);
  else if (event.key === "[" && app.mode === "steps") app.goTo(app.state.step - 1);
  else if (event.key === "]" && app.mode === "steps") app.goTo(app.state.step === 8 ? 0 : app.state.step + 1);
  else if (event.key === "Escape") app.back();
  else if (event.key === " " && !onButton) app.toggleSweep();
  else if (event.key === "Enter" && !onButton) app.enter();
  else return;
  event.preventDefault();
}

// Wires one app up; returns what undoes it.
export function connect(app) {
  const { root, canvas, page } = app, stop = new AbortController(), { signal } = stop;
  const on = (target, type, handler, options) => target.addEventListener(type, handler, { signal, ...options });
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left - BLEED, event.clientY - box.top];
  };
  if (!instances.size) document.addEventListener("keydown", onKey);
  instances.add(app);

  for (const type of ["pointerenter", "focusin", "pointerdown"]) on(root, type, () => (active = app));
  on(canvas, "pointermove", (event) => app.pointerMove(...place(event), event.timeStamp));
  on(canvas, "pointerdown", (event) => event.pointerType !== "mouse" && app.touch(...place(event), event.timeStamp));
  on(canvas, "pointerup", () => (app.restore = null));
  on(canvas, "pointercancel", () => app.restore?.());
  on(canvas, "pointerleave", () => app.pointerLeave());
  on(canvas, "click", (event) => app.model && app.press(...place(event)));

  on(root, "click", (event) => {
    const button = event.target.closest("button");
    if (!button || !app.model) return;
    const { step, overlay, head, do: action } = button.dataset;
    if (step !== undefined) {
      if (app.state.cell && +step === app.state.step) app.back();
      else app.goTo(+step);
    } else if (overlay) app.setOverlay(overlay);
    else if (head !== undefined) app.setHead(+head);
    else if (action === "sweep") app.toggleSweep();
    else if (action === "previous") app.goTo(app.state.step - 1);
    else if (action === "next") app.goTo(app.state.step === 8 ? 0 : app.state.step + 1);
  });
  for (const area of [page.read, page.legends]) {
    on(area, "pointerover", (event) => {
      const symbol = event.target.closest("[data-sym]");
      app.setSymbol(symbol ? symbol.dataset.sym : null);
    });
    on(area, "pointerleave", () => app.setSymbol(null));
  }
  followAxis(app, signal);
  sendAxis(page.math, signal);
  on(window, "resize", () => app.relayout(true));
  let width = 0;
  const observer = new ResizeObserver(() => {
    if (root.clientWidth === width) return;
    width = root.clientWidth;
    app.relayout(true);
  });
  observer.observe(root);
  document.fonts.ready.then(() => app.kick());
  Promise.all(['20px "Lambda Math"', '20px "Lambda Main"', '14px "Source Sans"', '600 13px "Source Sans"'].map((font) => document.fonts.load(font, "λKq"))).then(() => {
    for (const { spec } of app.scene.labels.values()) delete spec.width;
    app.kick();
  }, () => {});

  return () => {
    stop.abort();
    observer.disconnect();
    instances.delete(app);
    if (active === app) active = null;
    if (!instances.size) document.removeEventListener("keydown", onKey);
  };
}
