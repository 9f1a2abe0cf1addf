// Two inks a tensor: its own hue for plus, one neutral for minus, the plate colour for zero; mixed in OKLab.

const STEPS = 255;

export const hexToRgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
export const withAlpha = (hex, alpha) => `rgba(${hexToRgb(hex)},${alpha})`;

const toLinear = (c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
const fromLinear = (c) => 255 * (c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055);

export function toOklab(rgb) {
  const [r, g, b] = rgb.map(toLinear);
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

export function fromOklab([L, a, b]) {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((c) => Math.round(Math.min(255, Math.max(0, fromLinear(Math.max(0, c))))));
}

function mix(from, to, share) {
  const a = toOklab(from), b = toOklab(to);
  return fromOklab(a.map((x, i) => x + (b[i] - x) * share));
}

// 511 colours from -1 to 1, as pixels (little-endian RGBA) and as CSS.
function makeRamp(minus, zero, plus, deep) {
  const pixels = new Uint32Array(2 * STEPS + 1), css = new Array(2 * STEPS + 1);
  for (let i = -STEPS; i <= STEPS; i++) {
    const t = i / STEPS;
    let rgb;
    if (t < 0) rgb = mix(zero, minus, -t);
    else if (!deep) rgb = mix(zero, plus, t);
    else rgb = t < 0.68 ? mix(zero, plus, t / 0.68) : mix(plus, deep, (t - 0.68) / 0.32);
    pixels[i + STEPS] = ((255 << 24) | (rgb[2] << 16) | (rgb[1] << 8) | rgb[0]) >>> 0;
    css[i + STEPS] = `rgb(${rgb})`;
  }
  return { pixels, css };
}

export function rampIndex(x, perUnit) {
  const i = (x * perUnit * STEPS + STEPS + 0.5) | 0;
  return i < 0 ? 0 : i > 2 * STEPS ? 2 * STEPS : i;
}

export const TENSORS = ["input", "query", "key", "value", "content", "position", "lambda", "output"];

// Reads the palette off an element's CSS custom properties. `map` ramps are for plates, `photo` ramps lie on the grey photo.
export function readPalette(style, dark) {
  const get = (name) => style.getPropertyValue(`--${name}`).trim();
  const colour = {}, text = {}, map = {}, photo = {};
  for (const name of ["page", "rail", "zero", "line", "line-strong", "ink", "ink-soft", "ink-faint", "minus", "pixel"]) colour[name] = get(name);
  const zero = hexToRgb(get("zero")), minus = hexToRgb(get("minus"));
  const clear = dark ? [0, 0, 0] : [255, 255, 255], photoMinus = hexToRgb(get("minus-photo"));
  for (const name of TENSORS) {
    const plus = hexToRgb(get(name));
    colour[name] = get(name);
    text[name] = get(`${name}-text`);
    map[name] = makeRamp(minus, zero, plus);
    photo[name] = makeRamp(photoMinus, clear, plus);
  }
  const key = hexToRgb(get("key")), deep = hexToRgb(get("key-deep"));
  map.share = makeRamp(minus, zero, key, deep);
  photo.share = makeRamp(photoMinus, clear, key, dark ? key : deep);
  return { dark, colour, text, map, photo };
}
