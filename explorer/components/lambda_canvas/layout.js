// Where everything rests, in whole CSS pixels. Pure geometry: no page, no numbers of the layer, only its sizes.
import { TOP, tileFor } from "./layout_parts.js";
import { overviewWide, inputWide, projectionsWide, keysWide, tableWide, sumWide, applyWide, attentionWide, cellWide } from "./layout_wide.js";
import { overviewNarrow, inputNarrow, projectionsNarrow, keysNarrow, tableNarrow, sumNarrow, applyNarrow, attentionNarrow, cellNarrow } from "./layout_narrow.js";

export const WIDE = 800;
const clamp = (x, low, high) => Math.max(low, Math.min(high, x));

// Sizes that all views of one width share. room: the height that the stage may take.
export function measure(width, model, room) {
  const { H, W, K, V, heads } = model;
  if (width < WIDE) {
    const w = Math.min(width, 640), cell = Math.max(1, Math.floor(w / Math.max(W, H)));
    const thumb = 11, px = Math.max(3, Math.floor((w - thumb - 12) / (V + heads))), py = clamp(px, 8, 14);
    return { wide: false, width: w, photoW: cell * W, photoH: cell * H, px, py, qx: Math.max(px, 4), thumb };
  }
  const cell = Math.max(1, Math.floor(Math.min(room / H, (0.335 * width) / W)));
  const photoW = cell * W, photoH = cell * H;
  const py = clamp(Math.floor((photoH - 36) / (K + heads)), 6, 28), qx = clamp(py, 8, 20), thumb = tileFor(py - 1, W);
  const fixed = photoW + 64 + thumb + 10 + 14 + heads * qx;
  const px = clamp(Math.floor((width - fixed) / V), 3, V < 16 ? 44 : 28);
  const stripRows = px >= 13 ? 1 : Math.ceil(13 / px), stripTile = stripRows === 1 ? tileFor(px - 1, W) : stripRows * px - 1;
  const strip = stripRows * (stripTile + 1) - 1, gap = clamp(64 + width - fixed - V * px, 64, 150);
  const tableX = photoW + gap + thumb + 10, slack = photoH - strip - 12 - (K + heads) * py;
  const tableY = TOP + strip + (slack >= 6 && slack <= 28 ? slack : 8);
  return { wide: true, width, photoW, photoH, cell, px, py, qx, thumb, stripRows, stripTile, strip, gap, tableX, tableY, room };
}

// view: 0 to 8, or "cell". Returns nodes by id, labels, links and the height.
export function layoutView(size, model, view, cell) {
  const stage = createStage();
  const wide = [overviewWide, inputWide, projectionsWide, keysWide, tableWide, tableWide, sumWide, applyWide, attentionWide];
  const narrow = [overviewNarrow, inputNarrow, projectionsNarrow, keysNarrow, tableNarrow, tableNarrow, sumNarrow, applyNarrow, attentionNarrow];
  const place = view === "cell" ? (size.wide ? cellWide : cellNarrow) : (size.wide ? wide : narrow)[view];
  const height = place(stage, size, model, view === "cell" ? cell : view);
  return { nodes: stage.nodes, labels: stage.labels, links: stage.links, height: Math.ceil(height), size };
}

// The tallest step of a width, so that the text below keeps its place.
export function reservedHeight(size, model, cell, views = [1, 2, 3, 4, 5, 6, 7, 8]) {
  return Math.max(...views.map((view) => layoutView(size, model, view).height), layoutView(size, model, "cell", cell).height);
}

function createStage() {
  const nodes = new Map(), labels = [], links = [];
  const put = (kind, index, x, y, w, h, more = {}) => {
    const id = more.part ? `${kind}:${more.part}:${index}` : index === null ? kind : `${kind}:${index}`;
    nodes.set(id, { id, kind, index, x: Math.round(x), y: Math.round(y), w: Math.round(w), h: Math.round(h), ...more });
  };
  return {
    nodes, labels, links, put,
    label: (id, x, y, runs, more = {}) => labels.push({ id, x: Math.round(x), y: Math.round(y), runs: [].concat(runs), ...more }),
    link: (id, type, more) => links.push({ id, type, ...more }),
    grid: (kind, count, columns, x, y, pitch, tile, more = {}) => {
      const [pitchX, pitchY] = [].concat(pitch, pitch);
      for (let i = 0; i < count; i++) put(kind, i, x + (i % columns) * pitchX, y + Math.floor(i / columns) * pitchY, tile, (tile * (more.ratio || 1)), more);
    },
  };
}
