// Pointer, buttons and keys of the page with the two halves.
import { followAxis } from "../lambda_canvas/axis_marks.js";
import { ARROWS, isFor } from "../lambda_canvas/keys.js";

export const BLEED = 8; // room beside the stage, so that frames at its edge stay whole

// Wires the app up; returns what undoes it.
export function connect(app) {
  const { root, canvas } = app, stop = new AbortController(), { signal } = stop;
  const on = (target, type, handler, options) => target.addEventListener(type, handler, { signal, ...options });
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left - BLEED, event.clientY - box.top];
  };
  on(canvas, "pointerdown", (event) => {
    if (event.button || !app.press(...place(event))) return;
    canvas.setPointerCapture(event.pointerId);
  });
  on(canvas, "pointermove", (event) => app.pointerMove(...place(event), event.timeStamp));
  for (const type of ["pointerup", "pointercancel"]) on(canvas, type, () => app.release());
  on(canvas, "pointerleave", () => app.pointerLeave());
  // A finger on the photo drags the pixel; anywhere else it scrolls the page.
  on(canvas, "touchstart", (event) => {
    if (event.touches.length === 1 && app.isPhoto(...place(event.touches[0]))) event.preventDefault();
  }, { passive: false });

  on(root, "click", (event) => {
    const button = event.target.closest("button");
    if (!button || !app.model) return;
    if (button.dataset.head !== undefined) app.setHead(+button.dataset.head);
    else if (button.dataset.scale) app.setScale(button.dataset.scale);
  });
  on(document, "keydown", (event) => {
    if (!app.model || !isFor(event, root, canvas)) return;
    const move = ARROWS[event.key];
    if (move) app.moveBy(...move);
    else if (event.key === "[") app.setHead(app.state.head - 1);
    else if (event.key === "]") app.setHead(app.state.head + 1);
    else return;
    event.preventDefault();
  });

  followAxis(app, signal);
  on(window, "resize", () => app.relayout());
  let width = 0;
  const observer = new ResizeObserver(() => {
    if (root.clientWidth === width) return;
    width = root.clientWidth;
    app.relayout();
  });
  observer.observe(root);
  Promise.all(['20px "Lambda Math"', '14px "Source Sans"', '600 13px "Source Sans"'].map((font) => document.fonts.load(font, "λKq"))).then(() => app.kick(), () => {});
  return () => {
    stop.abort();
    observer.disconnect();
  };
}
