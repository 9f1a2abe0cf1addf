// Marks for the axis of the index letter that "lambda-axis" on the document names: an equation that is pointed at sends it.
import { drawDisc, outline } from "./marks.js";

export const AXIS_AWAY = 5;
const AXIS_LINE = 3.5, AXIS_DISC = 9;

export function followAxis(app, signal) {
  document.addEventListener("lambda-axis", ({ detail }) => {
    app.axis = detail || "";
    for (const element of app.root.querySelectorAll("[data-axis]")) element.classList.toggle("lit", element.dataset.axis === app.axis);
    app.kick();
  }, { signal });
}

// The letters of an equation send their axis while they are pointed at.
export function sendAxis(equation, signal) {
  let sent = "";
  const send = (letter) => {
    if (letter === sent) return;
    sent = letter;
    document.dispatchEvent(new CustomEvent("lambda-axis", { detail: letter }));
  };
  equation.addEventListener("pointerover", (event) => send(event.target.closest("[data-axis]")?.dataset.axis ?? ""), { signal });
  equation.addEventListener("pointerleave", () => send(""), { signal });
}

// What is lit: parts {kind, runs, boxes} by how the letter's axis runs in each kind of box. runs is a name of AXIS_MARKS.
export function axisParts(kinds, letter, boxesOf) {
  const parts = [];
  for (const [kind, letters] of Object.entries(kinds)) {
    const runs = letters[letter], boxes = runs ? boxesOf(kind, runs) : [];
    if (boxes.length) parts.push({ kind, runs, boxes });
  }
  return parts;
}

export const axisRuns = (parts) => Object.fromEntries(parts.map(({ kind, runs }) => [kind, runs]));

// Each box is marked; the letter itself stands once a part.
export function drawAxisParts({ ctx, palette, canvas, axis }, parts) {
  if (!parts.length) return;
  const { a: scale, e, f } = ctx.getTransform(), room = AXIS_DISC + 1.5, within = (x, from, size) => Math.max((room * scale - from) / scale, Math.min((size - from) / scale - room, x));
  ctx.strokeStyle = ctx.fillStyle = palette.colour.ink;
  for (const { runs, boxes } of parts) for (const box of boxes) AXIS_MARKS[runs](ctx, box, palette.colour.ink);
  for (const { runs, boxes } of parts) {
    const [x, y] = axisDisc(unionOf(boxes), runs);
    drawDisc(ctx, palette, within(x, e, canvas.width), within(y, f, canvas.height), axis, AXIS_DISC);
  }
}

export function unionOf(boxes) {
  const x = Math.min(...boxes.map((box) => box.x)), y = Math.min(...boxes.map((box) => box.y));
  return { x, y, w: Math.max(...boxes.map((box) => box.x + box.w)) - x, h: Math.max(...boxes.map((box) => box.y + box.h)) - y };
}

// Where the letter stands: on the line that it names, away from the words above.
function axisDisc(box, runs) {
  if (runs === "pixel") return [box.x + box.w + 7, box.y + box.h + 7];
  if (runs === "rows" || runs === "each") return [box.x - AXIS_AWAY, box.y + box.h / 2];
  return [box.x + box.w / 2, box.y + box.h + AXIS_AWAY];
}

function axisLine(ctx, width, ...points) {
  ctx.lineWidth = width;
  ctx.beginPath();
  for (const [x, y] of points) ctx.lineTo(x, y);
  ctx.stroke();
}

// rows, columns: along the left, along the bottom. each: from box to box. inside: over the positions of every map.
// pixel: the one that asks. whole: all of it belongs to one index.
const AXIS_MARKS = {
  rows: (ctx, { x, y, h }) => axisLine(ctx, AXIS_LINE, [x - AXIS_AWAY, y], [x - AXIS_AWAY, y + h]),
  columns: (ctx, { x, y, w, h }) => axisLine(ctx, AXIS_LINE, [x, y + h + AXIS_AWAY], [x + w, y + h + AXIS_AWAY]),
  each: (ctx, box, ink) => outline(ctx, box, ink, 2, 1),
  whole: (ctx, box, ink) => outline(ctx, box, ink, AXIS_LINE, 2),
  pixel: (ctx, box, ink) => outline(ctx, box, ink, AXIS_LINE, 4),
  inside: (ctx, { x, y, w, h }) => {
    const width = Math.min(AXIS_LINE, Math.max(1.5, w / 10)), left = x - width / 2, low = y + h + width / 2;
    axisLine(ctx, width, [left, y], [left, low], [x + w, low]);
  },
};
