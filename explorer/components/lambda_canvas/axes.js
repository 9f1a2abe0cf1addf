// How a letter's axis runs in what the stage shows, by kind of node; see AXIS_MARKS.
import { cellBox } from "./marks.js";
import { axisParts, unionOf } from "./axis_marks.js";

const AXIS_RUNS = {
  photo: { b: "whole", m: "inside", n: "pixel" },
  score: { k: "each", m: "inside" }, keyMap: { k: "each", m: "inside" }, window: { k: "each", m: "inside" },
  kernel: { k: "each", n: "inside", m: "inside" }, valueMap: { v: "each", m: "inside" },
  queryMap: { h: "rows", k: "columns", n: "inside" },
  content_lambda: { k: "rows", v: "columns" }, position_lambda: { n: "whole", k: "rows", v: "columns" },
  lambda: { n: "whole", k: "rows", v: "columns" },
  query: { n: "whole", k: "rows", h: "columns" }, output: { n: "whole", h: "rows", v: "columns" },
  weights: { h: "each", m: "inside" }, bars: { h: "each", v: "columns" },
  cellWeights: { m: "inside" }, cellValues: { m: "inside" }, cellProducts: { m: "inside" },
};

export function litAxes({ scene, model, pixel, axis }) {
  return axisParts(AXIS_RUNS, axis, (kind, runs) => {
    const nodes = [...scene.nodes.values()].filter((node) => node.kind === kind && node.alpha > 0.01);
    if (!nodes.length) return [];
    if (runs === "pixel") return nodes.map((node) => cellBox(model, node, pixel.n));
    return kind === "queryMap" && runs !== "inside" ? [unionOf(nodes)] : nodes; // one grid: heads by keys
  });
}
