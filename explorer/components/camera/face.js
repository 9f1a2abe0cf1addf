// The HTML of the component: built once, then only what changes is written. Names of classes go in as text, never as HTML.
import { percentOf } from "../lambda_canvas/percent.js";
import { rampCss } from "./heat.js";

const FACE_HTML = `
<div class="left">
  <div class="stage" tabindex="0" role="group" aria-label="Picture. Arrow keys move the pinned pixel, space freezes the camera.">
    <img class="still" alt=""><video playsinline muted hidden></video><canvas class="frozen" hidden></canvas>
    <canvas class="heat" hidden></canvas><div class="pin" hidden></div>
    <span class="badge" hidden></span>
  </div>
  <div class="bar">
    <button class="start" data-testid="camera-start"></button>
    <button class="freeze" data-testid="camera-freeze" hidden></button>
  </div>
  <p class="under"><span class="rate" data-testid="camera-rate"></span><span class="notice" role="status" data-testid="camera-notice"></span></p>
</div>
<div class="right">
  <h3></h3>
  <ol class="top" data-testid="camera-top"></ol>
  <p class="unlike" hidden></p>
  <div class="legend" hidden><span class="of"></span><i class="ramp"></i><span class="ticks"><span></span><span></span></span></div>
  <p class="spoken" role="status"></p>
</div>`;

const FACE_WORDS = { still: "this picture", live: "the camera", frozen: "the frozen frame" };
const number = (x) => (Math.abs(x) >= 100 ? x.toFixed(0) : x.toPrecision(2)).replace("-", "−");

export function createFace(parent) {
  const root = document.createElement("div");
  root.className = "camera";
  root.dataset.testid = "camera";
  root.innerHTML = FACE_HTML;
  parent.appendChild(root);
  const find = (selector) => root.querySelector(selector);
  const part = Object.fromEntries(
    ["stage", "still", "frozen", "heat", "pin", "badge", "start", "freeze", "rate", "notice", "top", "unlike", "legend", "spoken"].map((name) => [name, find(`.${name}`)]),
  );
  const face = { root, ...part, video: find("video"), headline: find("h3"), rows: [] };

  // mode: "still", "starting", "live" or "frozen"
  face.showMode = (mode, title) => {
    root.dataset.mode = mode;
    face.still.hidden = mode === "live" || mode === "frozen";
    face.video.hidden = mode !== "live";
    face.frozen.hidden = mode !== "frozen";
    face.start.textContent = { still: "Start camera", starting: "Waiting for the camera" }[mode] || "Stop camera";
    face.start.disabled = mode === "starting";
    face.freeze.hidden = mode !== "live" && mode !== "frozen";
    face.freeze.textContent = mode === "frozen" ? "Go on" : "Freeze";
    face.badge.hidden = mode !== "live" && mode !== "frozen";
    face.badge.textContent = mode === "frozen" ? "Frozen" : "Live";
    face.headline.textContent = `What the network sees: ${mode === "still" && title ? title : FACE_WORDS[mode] || FACE_WORDS.still}`;
    if (mode !== "live") face.rate.textContent = "";
  };

  face.showTop = (top) => {
    while (face.rows.length < top.length) {
      const row = document.createElement("li");
      row.innerHTML = `<span class="name"></span><span class="share"></span><i class="bar-of"><i></i></i>`;
      face.top.appendChild(row);
      face.rows.push(row);
    }
    face.rows.forEach((row, i) => {
      row.hidden = i >= top.length;
      if (row.hidden) return;
      row.querySelector(".name").textContent = top[i].name;
      row.querySelector(".share").textContent = percentOf(top[i].p);
      row.querySelector(".bar-of > i").style.transform = `scaleX(${top[i].p})`;
    });
  };

  face.showLegend = (heat, ramp) => {
    face.legend.hidden = !heat;
    if (!heat) return;
    face.legend.querySelector(".of").textContent = heat.title;
    face.legend.querySelector(".ramp").style.background = rampCss(ramp, heat.signed);
    const [least, most] = face.legend.querySelectorAll(".ticks span");
    least.textContent = heat.signed ? number(-heat.limit) : "0";
    most.textContent = number(heat.limit);
  };

  face.showPin = (row, column, [height, width]) => {
    face.pin.hidden = false;
    Object.assign(face.pin.style, {
      left: `${(100 * column) / width}%`, top: `${(100 * row) / height}%`, width: `${100 / width}%`, height: `${100 / height}%`,
    });
  };

  face.showRate = (read) => {
    face.rate.textContent = read ? `${read.rate.toFixed(read.rate < 9.95 ? 1 : 0)} frames a second, each answered after ${Math.round(read.took)} ms` : "";
  };
  return face;
}
