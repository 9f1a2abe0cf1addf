// The lines between parts: beams from photo to maps, arrows, the sum, the query's wire.
import { withAlpha } from "./colour.js";
import { cellBox, windowBox } from "./marks.js";
import { drawRuns } from "./lettering.js";

const LINE = 1.75;

// Links that start on the photo are drawn over it.
export const overPhoto = (link) => link.type === "wire" || link.type === "fan" || (link.type === "beam" && link.from === "frame");

export function drawLink(app, link, onPhoto) {
  const photo = app.scene.node("photo");
  if (photo) DRAW[link.type](app, link, photo, onPhoto);
}

export function arrowHead(ctx, x, y, angle, colour, size = 8) {
  ctx.fillStyle = colour;
  ctx.beginPath();
  ctx.moveTo(x, y);
  ctx.lineTo(x - size * Math.cos(angle - 0.5), y - size * Math.sin(angle - 0.5));
  ctx.lineTo(x - size * Math.cos(angle + 0.5), y - size * Math.sin(angle + 0.5));
  ctx.fill();
}

function stroke(ctx, colour, width, path) {
  ctx.strokeStyle = colour;
  ctx.lineWidth = width;
  ctx.beginPath();
  path();
  ctx.stroke();
}

const DRAW = {
  beam({ ctx, scene, palette, model, pixel }, link, photo, onPhoto) {
    const to = scene.box(link.to);
    if (!to || to.x < photo.x + photo.w) return;
    const source = link.from === "frame" ? windowBox(model, photo, pixel.n) : photo;
    const start = source.x + source.w + (link.from === "photo" ? 5 : 0), edge = photo.x + photo.w, end = to.x - 6, bend = (Math.max(start, edge) + end) / 2;
    const low = source.y + source.h, colour = palette.colour[link.tensor];
    const top = () => {
      ctx.moveTo(start, source.y);
      if (start < edge) ctx.lineTo(edge, source.y);
      ctx.bezierCurveTo(bend, source.y, bend, to.y, end, to.y);
    };
    const under = () => {
      ctx.lineTo(end, to.y + to.h);
      ctx.bezierCurveTo(bend, to.y + to.h, bend, low, Math.max(start, edge), low);
      ctx.lineTo(start, low);
    };
    const shade = ctx.createLinearGradient(edge, 0, end, 0), strength = onPhoto ? 0.5 : 1;
    shade.addColorStop(0, withAlpha(colour, (palette.dark ? 0.34 : 0.24) * strength));
    shade.addColorStop(1, withAlpha(colour, palette.dark ? 0.1 : 0.06));
    ctx.save();
    ctx.beginPath();
    ctx.rect(edge, 0, Math.max(0, end - edge), 1e5); // on a dark photo a shade would look like another window
    ctx.clip();
    ctx.fillStyle = shade;
    ctx.beginPath();
    top();
    under();
    ctx.fill();
    ctx.restore();
    if (link.soft && !onPhoto) return;
    stroke(ctx, withAlpha(colour, onPhoto ? 0.8 : 0.45), 1, () => {
      top();
      ctx.moveTo(end, to.y + to.h);
      under();
    });
  },

  flow({ ctx, scene, palette }, link) {
    const from = scene.box(link.from), to = scene.box(link.to);
    if (!from || !to) return;
    const y = to.y + to.h / 2, colour = palette.colour[link.tensor];
    stroke(ctx, colour, LINE, () => {
      ctx.moveTo(from.x + from.w + 5, y);
      ctx.lineTo(to.x - 9, y);
    });
    arrowHead(ctx, to.x - 4, y, 0, colour);
  },

  rise({ ctx, palette }, { x, y0, y1, tensor }) {
    const colour = palette.colour[tensor], way = Math.sign(y1 - y0);
    stroke(ctx, colour, LINE, () => {
      ctx.moveTo(x, y0);
      ctx.lineTo(x, y1 - 5 * way);
    });
    arrowHead(ctx, x, y1, (way * Math.PI) / 2, colour);
  },

  route({ ctx, palette }, { tensor, y, to, lane, lanes }, photo) {
    const x0 = photo.x + photo.w + 6, y0 = photo.y + photo.h / 2 + (lane - (lanes - 1) / 2) * 9, colour = palette.colour[tensor];
    const turn = x0 + (lane === 0 || lane === lanes - 1 ? 16 : 28), way = Math.sign(y - y0), r = Math.min(9, Math.abs(y - y0) / 2);
    stroke(ctx, colour, LINE, () => {
      ctx.moveTo(x0, y0);
      ctx.lineTo(turn - r, y0);
      ctx.quadraticCurveTo(turn, y0, turn, y0 + r * way);
      ctx.lineTo(turn, y - r * way);
      ctx.quadraticCurveTo(turn, y, turn + r, y);
      ctx.lineTo(to - 7, y);
    });
    arrowHead(ctx, to, y, 0, colour);
    const symbol = { query: "queries", key: "scores", value: "values" }[tensor];
    drawRuns(ctx, palette, [{ symbol, parts: { base: "W", sub: { query: "Q", key: "K", value: "V" }[tensor] } }], turn + 12, y - 9);
  },

  merge({ ctx, scene, palette }, { parts, to }, photo) {
    const end = scene.node(to);
    if (!end) return;
    const half = { top: { ...photoBox(photo), h: photo.h / 2 }, bottom: { ...photoBox(photo), y: photo.y + photo.h / 2, h: photo.h / 2 } };
    const sources = parts.map((name) => name && (half[name] || scene.node(name))), first = sources.find(Boolean);
    if (!first) return;
    const middle = end.y + end.h / 2, x = (first.x + first.w + end.x) / 2;
    sources.forEach((source, i) => {
      if (!source) return;
      const y = source.y + source.h / 2, way = Math.sign(middle - y) || 1;
      stroke(ctx, palette.colour[i ? "position" : "content"], LINE, () => {
        ctx.moveTo(source.x + source.w + 6, y);
        ctx.lineTo(x - 10, y);
        ctx.quadraticCurveTo(x, y, x, y + 10 * way);
        ctx.lineTo(x, middle - 11 * way);
      });
    });
    const ink = palette.colour["ink-soft"];
    stroke(ctx, ink, 1.5, () => {
      ctx.arc(x, middle, 9, 0, 7);
      ctx.moveTo(x - 4.5, middle);
      ctx.lineTo(x + 4.5, middle);
      ctx.moveTo(x, middle - 4.5);
      ctx.lineTo(x, middle + 4.5);
      ctx.moveTo(x + 9, middle);
      ctx.lineTo(end.x - 8, middle);
    });
    arrowHead(ctx, end.x - 4, middle, 0, ink, 7);
  },

  wire({ ctx, scene, palette, model, pixel }, { to, lane, over }, photo) {
    const end = scene.node(to);
    if (!end) return;
    const cell = cellBox(model, photo, pixel.n), x0 = cell.x + cell.w / 2, x1 = end.x + end.w / 2, way = over ? -1 : 1, r = 8;
    const y0 = over ? cell.y - 2 : cell.y + cell.h + 2, stop = over ? end.y - 26 : end.y + end.h + 5;
    const path = () => {
      ctx.moveTo(x0, y0);
      ctx.lineTo(x0, lane - r * way);
      ctx.quadraticCurveTo(x0, lane, x0 + r, lane);
      ctx.lineTo(x1 - r, lane);
      ctx.quadraticCurveTo(x1, lane, x1, lane - r * way);
      ctx.lineTo(x1, stop + 5 * way);
    };
    ctx.save();
    ctx.beginPath();
    ctx.rect(photo.x, photo.y, photo.w, photo.h);
    ctx.clip();
    stroke(ctx, "rgba(255,255,255,.75)", 3.5, path);
    ctx.restore();
    stroke(ctx, palette.colour.pixel, LINE, path);
    arrowHead(ctx, x1, stop, (-way * Math.PI) / 2, palette.colour.pixel);
  },

  fan({ ctx, scene, palette, model, pixel }, { to }, photo) {
    const end = scene.node(to);
    if (!end || end.w > end.h) return;
    const cell = cellBox(model, photo, pixel.n), x0 = cell.x + cell.w + 2, x1 = end.x - 5, bend = (photo.x + photo.w + x1) / 2 - 10, colour = palette.colour.pixel;
    ctx.fillStyle = withAlpha(colour, 0.12);
    stroke(ctx, withAlpha(colour, 0.55), 1, () => {
      ctx.moveTo(x0, cell.y);
      ctx.bezierCurveTo(bend, cell.y, bend, end.y, x1, end.y);
      ctx.lineTo(x1, end.y + end.h);
      ctx.bezierCurveTo(bend, end.y + end.h, bend, cell.y + cell.h, x0, cell.y + cell.h);
      ctx.closePath();
      ctx.fill();
    });
  },
};

const photoBox = ({ x, y, w, h }) => ({ x, y, w, h });
