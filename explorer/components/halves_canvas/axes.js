// How a letter's axis runs in the photo and in the maps and matrices of both halves; see AXIS_MARKS.
import { cellBox } from "../lambda_canvas/marks.js";
import { axisParts } from "../lambda_canvas/axis_marks.js";

const LAMBDA_RUNS = { k: "rows", v: "columns" }, OUTPUT_RUNS = { n: "whole", h: "rows", v: "columns" };
const WEIGHT_RUNS = { h: "whole", m: "inside", n: "pixel" }, SHARE_RUNS = { n: "inside" };
const HALVES_RUNS = {
  photo: { b: "whole", m: "inside", n: "pixel" }, sum: OUTPUT_RUNS,
  "content lambda": LAMBDA_RUNS, "content weights": WEIGHT_RUNS, "content share": SHARE_RUNS, "content output": OUTPUT_RUNS,
  "position lambda": { n: "whole", ...LAMBDA_RUNS }, "position weights": WEIGHT_RUNS, "position share": SHARE_RUNS, "position output": OUTPUT_RUNS,
};

// A half that the layer was built without has no axes.
export function litAxes({ layout, model, live, axis }) {
  return axisParts(HALVES_RUNS, axis, (kind, runs) => {
    const [half, name] = kind.split(" "), box = name ? layout[half][name] : layout[half];
    if (name && !(half === "content" ? model.hasContent : model.hasPosition)) return [];
    return [runs === "pixel" ? cellBox(model, box, live.n) : box];
  });
}
