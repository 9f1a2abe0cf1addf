// Text on the stage: words, symbols with their scripts, step badges.
import { SYMBOLS } from "./symbols.js";

export const TEXT = '"Source Sans", "Source Sans 3", "Source Sans Pro", system-ui, sans-serif';
const MATH = '"Lambda Math", "KaTeX_Math", serif';

// Draws runs from x on, or only measures them; returns the width.
export function drawRuns(ctx, palette, runs, x, y, style = {}, measureOnly = false) {
  const { colour, text } = palette, size = style.big ? 26 : 14;
  let at = x;
  ctx.textAlign = "left";
  for (const run of runs) {
    if (!run) continue;
    if (run.badge) at += drawBadge(ctx, palette, run.badge, at, y, measureOnly);
    else if (run.symbol) at += drawSymbol(ctx, palette, { ...SYMBOLS[run.symbol], ...run.parts }, at, y, measureOnly);
    else {
      ctx.font = `${style.bold ? 600 : 400} ${size}px ${TEXT}`;
      ctx.fillStyle = style.tensor ? text[style.tensor] : style.faint ? colour["ink-faint"] : style.big ? colour["ink-soft"] : colour.ink;
      if (!measureOnly) ctx.fillText(run, at, y);
      at += ctx.measureText(run).width;
    }
  }
  return at - x;
}

function drawSymbol(ctx, palette, { tensor, base, bar, sup, sub }, x, y, measureOnly) {
  ctx.font = `20px ${MATH}`;
  ctx.fillStyle = palette.text[tensor];
  const width = ctx.measureText(base).width;
  if (!measureOnly) {
    ctx.fillText(base, x, y);
    if (bar) ctx.fillRect(x + 4, y - 16.5, width - 3, 1.4);
  }
  if (!sup && !sub) return width + 6;
  ctx.font = `13px ${MATH}`;
  let scripts = 0;
  for (const [script, shift] of [[sup, -8], [sub, 4]]) {
    if (!script) continue;
    if (!measureOnly) ctx.fillText(script, x + width, y + shift);
    scripts = Math.max(scripts, ctx.measureText(script).width);
  }
  return width + scripts + 5;
}

function drawBadge(ctx, palette, number, x, y, measureOnly) {
  const r = 8;
  if (!measureOnly) {
    ctx.strokeStyle = palette.colour["line-strong"];
    ctx.lineWidth = 1.25;
    ctx.beginPath();
    ctx.arc(x + r, y - 4.5, r, 0, 7);
    ctx.stroke();
    ctx.fillStyle = palette.colour["ink-soft"];
    ctx.font = `600 12px ${TEXT}`;
    ctx.fillText(number, x + r - ctx.measureText(number).width / 2, y - 0.5);
  }
  return 2 * r + 6;
}

export function drawLabel(ctx, palette, spec) {
  if (spec.align && !spec.width) spec.width = drawRuns(ctx, palette, spec.runs, 0, 0, spec, true) - (spec.runs.at(-1).symbol ? 6 : 0);
  const back = spec.align === "right" ? spec.width : spec.align === "center" ? spec.width / 2 : 0;
  drawRuns(ctx, palette, spec.runs, spec.x - back, spec.y, spec);
}

export function drawTip(ctx, palette, text, x, y, width) {
  ctx.font = `600 13px ${TEXT}`;
  ctx.textAlign = "left";
  const w = ctx.measureText(text).width + 18, left = Math.max(2, Math.min(width - w - 2, x + 14)), top = y - 36 < 2 ? y + 20 : y - 36;
  ctx.fillStyle = palette.colour.ink;
  ctx.beginPath();
  ctx.roundRect(left, top, w, 26, 4);
  ctx.fill();
  ctx.fillStyle = palette.colour.page;
  ctx.fillText(text, left + 9, top + 17.5);
}
