// The component: one canvas a map, one pointer over all. Nothing that happens here reaches Python.
import { decodeValues, quantile, mapPicture } from "./paint.js";
import { hexToRgb } from "../lambda_canvas/colour.js";
import { followTheme } from "../lambda_canvas/dark.js";
import { ARROWS } from "../lambda_canvas/keys.js";
import { mountOnce } from "../lambda_canvas/mount.js";
import { pictureUrl } from "../lambda_canvas/picture.js";
import { createPlates, greyPhoto } from "../lambda_canvas/plates.js";

const KEY = "heatMapsApp", FULL = 0.985;
const STRIDES = 32; // by which keys cross a map that has more values a row

export default function heatMaps({ data, parentElement }) {
  return mountOnce(parentElement, KEY, create, data);
}

function create(parent) {
  const root = document.createElement("div");
  root.className = "heat-maps";
  root.dataset.testid = "heat-maps";
  root.innerHTML = `
    <div class="tools">
      <fieldset role="radiogroup" aria-label="Colour scale">
        <label><input type="radio" name="scale" value="one" checked>One scale</label>
        <label><input type="radio" name="scale" value="own">Each its own</label>
      </fieldset>
      <label>Photo <input type="range" min="0" max="1" step="0.05" value="0.9" aria-label="Opacity of the maps"> map</label>
      <span class="legend"><span class="low"></span><canvas width="132" height="10"></canvas><span class="high"></span></span>
    </div>
    <div class="tiles"></div>`;
  parent.appendChild(root);
  const app = { root, plates: createPlates(), tiles: [], photo: null, photoKey: "", dataKey: "", pointer: null };
  const find = (selector) => root.querySelector(selector), grid = find(".tiles");
  const state = () => ({ own: find('[value="own"]').checked, opacity: Number(find("[type=range]").value) });
  let frame = 0;
  const kick = () => (frame ||= requestAnimationFrame(draw));

  app.update = (data) => {
    const key = JSON.stringify(data.tiles.map((tile) => [tile.title, tile.note, tile.unit, tile.values.length, tile.values.slice(0, 400)]));
    if (key !== app.dataKey) {
      app.dataKey = key;
      app.tiles = data.tiles.map((tile) => {
        const decoded = decodeValues(tile);
        return { ...tile, decoded, full: quantile(decoded, FULL) || 1, pictures: new Map() };
      });
      // One scale: values in means of the own map, so that maps of different units can stand beside each other.
      app.shared = Math.max(...app.tiles.map((tile) => tile.full / (tile.mean || 1)), 1e-9);
      build(data.title);
    }
    if (data.photo !== app.photoKey) {
      app.photoKey = data.photo;
      const image = new Image();
      image.onload = () => { if (app.photoKey === data.photo) { app.photo = image; kick(); } };
      image.src = pictureUrl(data.photo);
    }
    kick();
  };

  function build(title) {
    grid.replaceChildren(...app.tiles.map((tile) => {
      const figure = document.createElement("figure"), canvas = document.createElement("canvas"), caption = document.createElement("figcaption");
      canvas.tabIndex = 0;
      canvas.setAttribute("role", "application");
      canvas.setAttribute("aria-label", `${tile.title} on ${title}. Arrow keys read its values.`);
      for (const [name, tag, text] of [["title", "b", tile.title], ["note", "span", tile.note], ["ask", "span", tile.question], ["here", "span", ""]]) {
        const part = document.createElement(tag);
        part.className = name;
        part.textContent = text;
        caption.appendChild(part);
        if (name === "here") tile.here = part;
      }
      figure.append(canvas, caption);
      tile.canvas = canvas;
      return figure;
    }));
  }

  // ---- drawing
  function repaint() {
    app.tiles.forEach((tile) => tile.pictures.clear());
    kick();
  }

  function draw() {
    frame = 0;
    if (!app.tiles.length || !root.clientWidth) return;
    const style = getComputedStyle(root), dark = root.dataset.theme === "dark", { own, opacity } = state(), ratio = Math.min(2, devicePixelRatio || 1);
    const minus = hexToRgb(style.getPropertyValue("--minus-photo"));
    const side = Math.round(app.tiles[0].canvas.clientWidth * ratio);
    const pale = app.photo && greyPhoto(app.plates, app.photo, side, side, dark);
    for (const tile of app.tiles) {
      const { canvas } = tile, ctx = canvas.getContext("2d"), name = own ? "own" : "one";
      if (canvas.width !== side) canvas.width = canvas.height = side;
      const limit = own ? tile.full : app.shared * (tile.mean || 1);
      if (!tile.pictures.has(name)) tile.pictures.set(name, mapPicture(tile, limit, hexToRgb(style.getPropertyValue(`--${tile.hue}`)), minus));
      ctx.clearRect(0, 0, side, side);
      if (app.photo) {
        ctx.drawImage(app.photo, 0, 0, side, side);
        ctx.globalAlpha = Math.min(1, opacity * 1.1);
        ctx.drawImage(pale, 0, 0, side, side);
      }
      ctx.globalAlpha = opacity;
      ctx.imageSmoothingEnabled = side / tile.width < 2;
      ctx.drawImage(tile.pictures.get(name), 0, 0, side, side);
      ctx.globalAlpha = 1;
      point(tile, ctx, side, style, ratio);
    }
    legend(style, own, minus);
  }

  function point(tile, ctx, side, style, ratio) {
    if (!app.pointer) { tile.here.textContent = ""; return; }
    const column = Math.min(tile.width - 1, Math.floor(app.pointer.x * tile.width)), row = Math.min(tile.height - 1, Math.floor(app.pointer.y * tile.height));
    const value = tile.decoded[row * tile.width + column], times = Math.abs(value) / (tile.mean || 1);
    ctx.strokeStyle = style.getPropertyValue("--page");
    ctx.lineWidth = 4 * ratio;
    for (let pass = 0; pass < 2; pass++) {
      ctx.beginPath();
      ctx.arc((column + 0.5) / tile.width * side, (row + 0.5) / tile.height * side, 7 * ratio, 0, 7);
      ctx.stroke();
      ctx.strokeStyle = style.getPropertyValue("--pixel");
      ctx.lineWidth = 2 * ratio;
    }
    tile.here.textContent = tile.mean === 0 ? "" : `${value.toPrecision(3).replace("-", "−")}, ${times.toFixed(1)} × the mean size`;
  }

  function legend(style, own, minus) {
    const canvas = find(".legend canvas"), ctx = canvas.getContext("2d"), signed = app.tiles.some((tile) => tile.decoded.some((value) => value < 0));
    const hues = [...new Set(app.tiles.map((tile) => tile.hue))].map((hue) => hexToRgb(style.getPropertyValue(`--${hue}`)));
    const zero = hexToRgb(style.getPropertyValue("--zero")), { width, height } = canvas;
    for (let x = 0; x < width; x++) {
      const t = signed ? 2 * x / (width - 1) - 1 : x / (width - 1), size = Math.abs(t) ** 0.8;
      hues.forEach((plus, i) => {
        const colour = t < 0 ? minus : plus;
        ctx.fillStyle = `rgb(${zero.map((z, c) => Math.round(z + (colour[c] - z) * size))})`;
        ctx.fillRect(x, i * height / hues.length, 1, height / hues.length);
      });
    }
    const most = own ? "nearly its most" : `${app.shared < 10 ? app.shared.toFixed(1) : Math.round(app.shared)} × the mean size`;
    find(".low").textContent = signed ? "against (−)" : "0";
    find(".high").textContent = signed ? `for (+), ${most}` : most;
  }

  // ---- pointer and keys
  const within = (share) => Math.min(0.9999, Math.max(0, share));
  const move = (event) => {
    const canvas = event.target.closest?.("canvas");
    if (!canvas || !grid.contains(canvas)) return leave();
    const box = canvas.getBoundingClientRect();
    app.pointer = { x: within((event.clientX - box.left) / box.width), y: within((event.clientY - box.top) / box.height) };
    kick();
  };
  const leave = () => { if (app.pointer) { app.pointer = null; kick(); } };
  grid.addEventListener("pointermove", move);
  grid.addEventListener("pointerleave", leave);
  grid.addEventListener("keydown", (event) => {
    const tile = app.tiles.find(({ canvas }) => canvas === event.target), arrow = ARROWS[event.key];
    if (!tile || !arrow) return;
    const { x, y } = app.pointer ?? { x: 0.5, y: 0.5 }, stride = (count) => 1 / Math.min(count, STRIDES);
    app.pointer = { x: within(x + arrow[1] * stride(tile.width)), y: within(y + arrow[0] * stride(tile.height)) };
    event.preventDefault();
    kick();
  });
  grid.addEventListener("focusin", ({ target }) => { // only the map that keys move over is read out
    for (const { canvas, here } of app.tiles) here.ariaLive = canvas === target ? "polite" : "off";
  });
  grid.addEventListener("focusout", leave);
  find(".tools").addEventListener("input", kick);
  const watch = new ResizeObserver(kick);
  watch.observe(root);
  const leaveTheme = followTheme(root, repaint);
  app.destroy = () => { watch.disconnect(); leaveTheme(); cancelAnimationFrame(frame); root.remove(); };
  root.heatMaps = app;
  return app;
}
