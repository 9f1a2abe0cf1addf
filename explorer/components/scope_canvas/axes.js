// How a letter's axis runs in the photo, the kernels and the heads' weights; see AXIS_MARKS. m and n lie in a kernel as offset.
import { cellBox } from "../lambda_canvas/marks.js";
import { axisParts } from "../lambda_canvas/axis_marks.js";
import { sheetBox, headBox } from "./layout.js";

const SCOPE_RUNS = {
  photo: { b: "whole", m: "inside", n: "pixel" },
  kernels: { k: "each", m: "inside", n: "inside" },
  weights: { h: "each", m: "inside", n: "pixel" },
};

export function litAxes({ layout, model, n, axis }) {
  const boxes = { photo: [layout.photo], kernels: layout.kernels.map((box) => sheetBox(model, box)), weights: layout.weights.map((box) => headBox(model, box)) };
  return axisParts(SCOPE_RUNS, axis, (kind, runs) => (runs === "pixel" ? boxes[kind].map((box) => cellBox(model, box, n)) : boxes[kind]));
}
