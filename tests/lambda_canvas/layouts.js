// Small and large layers at every width: parts that leave the stage or cover the photo, as JSON.
import { measure, layoutView } from "./layout.js";
const wrong = [], cell = { kind: "lambda", row: 0, value: 0 };
for (const K of [4, 16, 32]) for (const V of [8, 32, 48, 96]) for (const heads of [1, 4, 8]) for (const [H, W] of [[4, 4], [10, 10], [16, 16], [32, 32]])
  for (const [rows, scope] of [[3, 3], [23, 23], [2 * H - 1, null]]) for (const width of [320, 368, 760, 820, 980, 1160, 1380]) {
    const layer = { key_norm: "softmax", scope }, N = H * W, channels = heads * V;
    const model = { H, W, N, K, V, U: 1, heads, channels, outputs: channels, rows, cols: rows, layer, hasContent: true, hasPosition: true, windowed: scope !== null, softmax: true };
    for (const view of [0, 1, 2, 3, 4, 5, 6, 7, 8, "cell"]) {
      const { nodes, labels, links, height } = layoutView(measure(width, model, 420), model, view, cell), photo = nodes.get("photo");
      const said = labels.find(({ id }) => id === "o:output"), query = nodes.get("query"), wire = said && links.some(({ id }) => id === "o:wire") && query.x + query.w / 2;
      const wide = said && 44 + 6.4 * said.runs.filter((run) => typeof run === "string").join("").length; // badge, letter, text of 14 px
      if (wire && said.y > query.y && said.x + wide > wire - 4) wrong.push(`K${K} V${V} h${heads} ${H}x${W} width ${width}: the wire crosses ${JSON.stringify(said.runs)}`);
      for (const n of nodes.values()) {
        const inside = n.x >= 0 && n.x + n.w <= width + 1 && n.y >= 0 && n.y + n.h <= height + 1 && n.w > 0 && n.h > 0;
        const clear = n === photo || n.x >= photo.x + photo.w || n.y >= photo.y + photo.h;
        if (!inside || !clear) { wrong.push(`K${K} V${V} h${heads} ${H}x${W} r${rows} width ${width} view ${view} ${n.id}: ${n.x},${n.y} ${n.w}x${n.h} of ${height}`); break; }
      }
    }
  }
console.log(JSON.stringify([wrong.length, wrong.slice(0, 40)]));
