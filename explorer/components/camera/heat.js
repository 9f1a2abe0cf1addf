// A small map of weights, laid over the picture: one pixel of a canvas a position, enlarged by CSS.
import { rampIndex } from "../lambda_canvas/colour.js";

// heat: {height, width, data: -127..127}. ramp: of readPalette().photo. Zero is the paper, which multiply or screen clears.
export function paintHeat(canvas, heat, ramp) {
  canvas.width = heat.width;
  canvas.height = heat.height;
  const ctx = canvas.getContext("2d"), image = ctx.createImageData(heat.width, heat.height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i++) pixels[i] = ramp.pixels[rampIndex(heat.data[i], 1 / 127)];
  ctx.putImageData(image, 0, 0);
}

// The ramp as a CSS gradient, from -limit (or 0) to limit.
export function rampCss(ramp, signed) {
  const middle = ramp.css.length >> 1, from = signed ? 0 : middle, stops = [];
  for (let i = 0; i <= 8; i++) stops.push(ramp.css[Math.round(from + ((ramp.css.length - 1 - from) * i) / 8)]);
  return `linear-gradient(90deg, ${stops.join(", ")})`;
}
