// Pointer, slider, buttons and keys.
import { followAxis } from "../lambda_canvas/axis_marks.js";
import { ARROWS, isFor } from "../lambda_canvas/keys.js";
import { EDGE } from "./draw.js";

// Wires one app up; returns what undoes it.
export function wire(app) {
  const { root, canvas, page } = app, stop = new AbortController(), { signal } = stop;
  const on = (target, type, handler, options) => target.addEventListener(type, handler, { signal, ...options });
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left - EDGE, event.clientY - box.top - EDGE];
  };

  on(canvas, "pointermove", (event) => app.pointerMove(...place(event), event.timeStamp));
  let tapped = false; // what a finger chooses counts at the click: until then it may be about to scroll the page
  on(canvas, "pointerdown", (event) => {
    if (event.button || !app.model) return;
    const touch = event.pointerType !== "mouse", drags = app.press(...place(event), touch);
    if (drags) canvas.setPointerCapture(event.pointerId);
    tapped = touch && !drags;
  });
  on(canvas, "click", (event) => tapped && app.tap(...place(event)));
  for (const type of ["pointerup", "pointercancel"]) on(canvas, type, () => app.release());
  on(canvas, "pointerleave", () => app.pointerLeave());
  // A finger on the frame drags it; elsewhere it scrolls the page.
  on(canvas, "touchstart", (event) => app.model && app.holds(...place(event.touches[0])) && event.preventDefault(), { passive: false });
  on(page.slider, "input", () => app.setScope(+page.slider.value));
  on(page.slider, "change", () => app.commit());

  on(root, "click", (event) => {
    const button = event.target.closest("button");
    if (!button || !app.model) return;
    const { overlay, part, head, do: action } = button.dataset;
    if (overlay) app.setOverlay(overlay);
    else if (part) app.setPart(part);
    else if (head !== undefined) app.setHead(+head);
    else if (action === "own") app.setScope(app.own, true);
  });

  on(document, "keydown", (event) => {
    if (!app.model || !isFor(event, root, canvas)) return;
    if (ARROWS[event.key]) app.moveBy(...ARROWS[event.key]);
    else if (event.key === "[") app.setScope(app.state.scope - 2, true);
    else if (event.key === "]") app.setScope(app.state.scope + 2, true);
    else if (event.key === "Escape") app.unpin();
    else return;
    event.preventDefault();
  });

  followAxis(app, signal);
  let width = 0;
  const observer = new ResizeObserver(() => {
    if (root.clientWidth === width) return;
    width = root.clientWidth;
    app.relayout();
  });
  observer.observe(root);
  on(window, "resize", () => app.relayout());
  Promise.all(['20px "Lambda Math"', '14px "Source Sans"'].map((font) => document.fonts.load(font, "Eλq"))).then(() => app.kick(), () => {});

  return () => {
    stop.abort();
    observer.disconnect();
  };
}
