// The component: paint with the pointer, or with arrows and space; the mask goes to Python when the brush is lifted.
import { GRID, toText, fromText, stroke, stamp } from "./mask.js";
import { followTheme } from "../lambda_canvas/dark.js";
import { mountOnce } from "../lambda_canvas/mount.js";
import { percentOf } from "../lambda_canvas/percent.js";
import { pictureUrl } from "../lambda_canvas/picture.js";

const KEY = "brushApp";

export default function brushComponent({ data, parentElement, setStateValue }) {
  return mountOnce(parentElement, KEY, createBrush, data, setStateValue);
}

function createBrush(parent) {
  const root = document.createElement("div");
  root.className = "brush";
  root.dataset.testid = "brush";
  root.innerHTML = `
    <div class="board">
      <canvas tabindex="0" role="application" aria-label="Paint over the photograph: arrows move the brush, space paints, Delete clears"></canvas>
      <div class="tools">
        <label>Brush <input type="range" min="2" max="14" step="0.5" value="5" aria-label="Size of the brush"></label>
        <label><input type="checkbox" style="width:auto"> Uncover</label>
        <button type="button">Clear</button>
      </div>
    </div>
    <div class="answer" aria-live="polite"><h3></h3><div class="logit"><span class="before"></span><span class="arrow">→</span><span class="after"></span><span class="change"></span></div><div class="rows"></div><p class="key">Thin grey: the whole picture. Violet: with what you covered.</p></div>`;
  parent.appendChild(root);
  const find = (selector) => root.querySelector(selector), canvas = find("canvas"), ctx = canvas.getContext("2d");
  const app = { root, mask: new Uint8Array(GRID * GRID), session: null, version: null, strokes: 0 };
  let send = () => {}, lastSent = "", last = null, cursor = null, frame = 0, pictures = {}, keys = {};
  const kick = () => (frame ||= requestAnimationFrame(draw)), radius = () => Number(find("[type=range]").value);

  app.update = (data, setStateValue) => {
    // The count of the stroke: what was painted before, painted again after Python moved the mask, is news all the same.
    send = (digits) => setStateValue("mask", { digits, version: app.version, stroke: app.strokes });
    if (data.session !== app.session || data.version !== app.version) {
      app.session = data.session;
      app.version = data.version;
      app.mask = fromText(data.mask);
      lastSent = toText(app.mask);
    }
    for (const name of ["photo", "fill"]) {
      if (keys[name] === data[name]) continue;
      keys[name] = data[name];
      const image = new Image();
      image.onload = () => { if (keys[name] === data[name]) { pictures[name] = image; kick(); } };
      image.src = pictureUrl(data[name]);
    }
    answer(data.answer, /[^0]/.test(data.mask));
    kick();
  };

  const shown = (value) => Number(value.toFixed(2)) || 0; // as it is printed, and a zero has no sign
  const number = (value) => shown(value).toFixed(2).replace("-", "−");
  function answer(found, covered) { // a change of 0.00 is an answer too
    find(".answer").classList.remove("wait");
    find("h3").textContent = `Logit of ${found.title}`;
    find(".before").textContent = number(found.before);
    const change = shown(shown(found.after) - shown(found.before));
    find(".arrow").hidden = find(".after").hidden = !covered;
    find(".after").textContent = number(found.after);
    find(".change").textContent = covered ? `${change > 0 ? "+" : ""}${number(change)}` : "paint something away";
    find(".change").classList.toggle("down", change <= 0);
    const rows = found.rows.map(([name, before, after]) => {
      const label = document.createElement("span"), bar = document.createElement("span"), share = document.createElement("span");
      label.textContent = name;
      label.classList.toggle("chosen", name === found.title);
      bar.className = "bar";
      bar.innerHTML = `<i class="was"></i><i class="now"></i>`;
      bar.querySelector(".was").style.width = `${100 * before}%`;
      bar.querySelector(".now").style.width = `${100 * after}%`;
      share.className = "share";
      share.textContent = percentOf(after);
      return [label, bar, share];
    });
    find(".rows").replaceChildren(...rows.flat());
  }

  function draw() {
    frame = 0;
    const ratio = Math.min(2, devicePixelRatio || 1), side = Math.round(canvas.clientWidth * ratio);
    if (!side) return;
    const style = getComputedStyle(root);
    if (canvas.width !== side) canvas.width = canvas.height = side;
    ctx.imageSmoothingEnabled = true;
    if (pictures.photo) ctx.drawImage(pictures.photo, 0, 0, side, side);
    const cell = side / GRID;
    ctx.save();
    ctx.beginPath();
    app.mask.forEach((covered, i) => { if (covered) ctx.rect((i % GRID) * cell, Math.floor(i / GRID) * cell, cell + 0.5, cell + 0.5); });
    ctx.clip();
    if (pictures.fill) ctx.drawImage(pictures.fill, 0, 0, side, side);
    ctx.restore();
    outline(cell, style.getPropertyValue("--pixel"), ratio);
    if (cursor) {
      for (const [width, colour] of [[4, "rgba(255,255,255,.85)"], [2, style.getPropertyValue("--pixel")]]) {
        ctx.beginPath();
        ctx.arc(cursor.x * cell, cursor.y * cell, radius() * cell, 0, 7);
        ctx.lineWidth = width * ratio;
        ctx.strokeStyle = colour;
        ctx.stroke();
      }
    }
  }

  function outline(cell, colour, ratio) {
    const at = (row, column) => row >= 0 && column >= 0 && row < GRID && column < GRID && app.mask[row * GRID + column];
    ctx.beginPath();
    for (let row = 0; row < GRID; row++) for (let column = 0; column < GRID; column++) {
      if (!at(row, column)) continue;
      const x = column * cell, y = row * cell;
      if (!at(row - 1, column)) { ctx.moveTo(x, y); ctx.lineTo(x + cell, y); }
      if (!at(row + 1, column)) { ctx.moveTo(x, y + cell); ctx.lineTo(x + cell, y + cell); }
      if (!at(row, column - 1)) { ctx.moveTo(x, y); ctx.lineTo(x, y + cell); }
      if (!at(row, column + 1)) { ctx.moveTo(x + cell, y); ctx.lineTo(x + cell, y + cell); }
    }
    ctx.lineWidth = 1.5 * ratio;
    ctx.strokeStyle = colour;
    ctx.stroke();
  }

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: (event.clientX - box.left) / box.width * GRID, y: (event.clientY - box.top) / box.height * GRID };
  };
  const value = (event) => (event.shiftKey || find("[type=checkbox]").checked ? 0 : 1);
  const lift = () => {
    const text = toText(app.mask);
    if (text === lastSent) return; // not what was answered last: an answer may come while the next stroke is painted
    lastSent = text;
    app.strokes += 1;
    find(".answer").classList.add("wait");
    send(text);
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button || !event.isPrimary) return;
    canvas.setPointerCapture(event.pointerId);
    cursor = last = place(event);
    stamp(app.mask, last.x, last.y, radius(), value(event));
    kick();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!event.isPrimary) return; // a second finger paints nothing, and does not lift the first
    cursor = place(event);
    if (last) { stroke(app.mask, last, cursor, radius(), value(event)); last = cursor; }
    kick();
  });
  const end = (event) => { if (event.isPrimary && last) { last = null; lift(); } };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener("pointerleave", () => { if (!last) { cursor = null; kick(); } });
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  canvas.addEventListener("keydown", (event) => {
    cursor ||= { x: GRID / 2, y: GRID / 2 };
    const step = steps[event.key];
    if (step) {
      cursor = { x: Math.min(GRID, Math.max(0, cursor.x + 2 * step[0])), y: Math.min(GRID, Math.max(0, cursor.y + 2 * step[1])) };
    } else if (event.key === " ") { stamp(app.mask, cursor.x, cursor.y, radius(), value(event)); lift(); }
    else if (event.key === "Delete" || event.key === "Backspace") { app.mask.fill(0); lift(); }
    else return;
    event.preventDefault();
    kick();
  });
  find("button").addEventListener("click", () => { app.mask.fill(0); lift(); kick(); });
  find("[type=range]").addEventListener("input", kick);
  const watch = new ResizeObserver(kick);
  watch.observe(root);
  const leaveTheme = followTheme(root, kick);
  app.destroy = () => { watch.disconnect(); leaveTheme(); cancelAnimationFrame(frame); root.remove(); };
  root.brushApp = app;
  return app;
}
